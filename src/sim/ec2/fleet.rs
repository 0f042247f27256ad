//! CreateFleet of type `instant`: one attempt, answered at once with what it got and why it got no more.

use super::allocate::{Allocation, Purse, Short, Slot, allocate};
use super::launch::{Birth, no_addresses, no_capacity, over_quota, too_cheap};
use super::params::{Node, invalid, missing};
use super::records::{Fleet, FleetPart, Market, Origin, Subnet};
use super::run::{template_tags, terminated, without_interface};
use super::spec::{Spec, joined, price, subnet};
use super::tag::{Specifications, specifications};
use super::template_write::token;
use super::wish::{Wish, configuration, wishes};
use super::{Ask, Ec2, ids};
use crate::sim::api::{ApiError, Handled, Reply};
use std::collections::{BTreeMap, BTreeSet};

/// One override in one subnet, resolved.
#[derive(Clone, Debug)]
struct Candidate {
    template: (String, String, u64),
    overrides: Node,
    spec: Spec,
    subnet: Subnet,
    weight: u32,
    priority: f64,
    bid: Option<u64>,
}

impl Ec2 {
    /// Launches what can be had; success even if that is nothing.
    pub(super) fn create_fleet(&mut self, ask: &Ask) -> Handled {
        let params = &ask.params;
        match params.text("Type") {
            Some("instant") => {}
            // AWS's default is `maintain`.
            other => {
                let kind = other.unwrap_or("maintain");
                return Err(ApiError::new(
                    "UnsupportedOperation",
                    format!("The rehearsal cloud launches fleets of type instant only, not {kind}"),
                ));
            }
        }
        let key = token(ask, "CreateFleet")?;
        if let Some(key) = &key
            && let Some([id, ..]) = self.tokens.earlier(key, ask.pairs, ask.now)?
        {
            return self.same_fleet(id);
        }
        let wishes = wishes(params)?;
        let tags =
            specifications(params, &["fleet", "instance", "volume", "network-interface", "spot-instances-request"])?;
        if tags.contains_key("spot-instances-request") && !wishes.iter().any(|wish| wish.market == Market::Spot) {
            return Err(invalid(
                "Tag specification resource type 'spot-instances-request' needs a spot target capacity",
            ));
        }
        let (candidates, mut parts) = self.candidates(ask, &tags)?;
        one_subnet_a_zone(&candidates)?;
        let id = self.ids.fleet();
        let mut made = vec![id.clone()];
        for wish in wishes.iter().filter(|wish| wish.target > 0) {
            if self.control.launch_denied {
                let why = "You are not authorized to perform this operation.".to_owned();
                let error = ("UnauthorizedOperation".to_owned(), why);
                parts.extend(candidates.iter().map(|one| part(one, wish.market, Vec::new(), Some(error.clone()))));
                continue;
            }
            let (allocation, slots) = self.fill(wish, &candidates);
            for (n, count) in allocation.counts.iter().enumerate().filter(|(_, count)| **count > 0) {
                let born = self.bear_many(ask, &id, wish.market, &candidates[n], *count);
                made.extend(born.iter().cloned());
                parts.push(part(&candidates[n], wish.market, born, None));
            }
            for (n, short) in &allocation.short {
                let error = self.short_error(&candidates[*n], &slots[*n], wish.market, *short);
                parts.push(part(&candidates[*n], wish.market, Vec::new(), Some((error.code, error.message))));
            }
        }
        let units = |market: Market| wishes.iter().filter(|wish| wish.market == market).map(|wish| wish.target).sum();
        let fleet = Fleet {
            id: id.clone(),
            token: params.string("ClientToken"),
            created: ask.now,
            state: "active",
            asked: params.clone(),
            total: wishes.iter().map(|wish| wish.target).sum(),
            on_demand: units(Market::OnDemand),
            spot: units(Market::Spot),
            parts,
            tags: super::spec::tags_for(&tags, "fleet"),
        };
        let body = Self::fleet_answer(&fleet);
        self.fleets.insert(&id, ask.now, fleet);
        if let Some(key) = key {
            self.tokens.spend(key, ask.pairs, vec![id], ask.now);
        }
        Ok(Reply { body, made, ..Reply::default() })
    }

    fn same_fleet(&self, id: &str) -> Handled {
        let fleet = self.fleets.get(id).ok_or_else(|| ids::unknown("fleet", id))?;
        let dead = |id: &String| self.instances.get(id).is_none_or(|instance| !instance.state.live());
        if fleet.instances().next().is_some() && fleet.instances().all(dead) {
            return Err(terminated());
        }
        Ok(Reply { body: Self::fleet_answer(fleet), ..Reply::default() })
    }

    /// Every override in every subnet it may use; what can't be launched at all becomes an error of the answer.
    fn candidates(&self, ask: &Ask, tags: &Specifications) -> Result<(Vec<Candidate>, Vec<FleetPart>), ApiError> {
        let configs = ask.params.list("LaunchTemplateConfigs");
        if configs.is_empty() || configs.len() > 50 {
            return Err(if configs.is_empty() {
                missing("LaunchTemplateConfigs")
            } else {
                invalid("A fleet can have at most 50 launch template configurations")
            });
        }
        let (mut candidates, mut errors) = (Vec::new(), Vec::new());
        for config in configs {
            let named =
                config.at("LaunchTemplateSpecification").ok_or_else(|| missing("LaunchTemplateSpecification"))?;
            let (template, version) = self.template_version(named, ask)?;
            let base = version.data.clone().with("InstanceMarketOptions", Node::default());
            let stamp = (template.id.clone(), template.name.clone(), version.number);
            let none = Node::default();
            let overrides = config.list("Overrides");
            for over in if overrides.is_empty() { vec![&none] } else { overrides } {
                let node = joined(&base, &over.clone().with("Placement", Node::default()));
                let node = if over.text("SubnetId").is_some() { without_interface(node) } else { node };
                let weight = over.number::<f64>("WeightedCapacity")?.unwrap_or(1.0);
                // Fleets weigh in whole units from 1 to 999.
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 1..=999")]
                let weight = weight.clamp(1.0, 999.0) as u32;
                for kind in self.kinds(over, &node)? {
                    let node = node.clone().with("InstanceType", leaf(&kind));
                    let resolved =
                        self.spec(&node, &ask.eye).and_then(|spec| Ok((spec, self.fleet_subnets(over, &node)?)));
                    match resolved {
                        Ok((mut spec, subnets)) => {
                            for (kind, tags) in tags {
                                spec.tags.entry(kind.clone()).or_default().extend(tags.clone());
                            }
                            for subnet in subnets {
                                if let Some(why) = Self::not_offered(&spec.kind, &subnet.zone) {
                                    errors.push(FleetPart {
                                        template: stamp.clone(),
                                        overrides: over.clone(),
                                        market: if spot_only(&ask.params) { Market::Spot } else { Market::OnDemand },
                                        instance_type: kind.clone(),
                                        instances: Vec::new(),
                                        error: Some(("InvalidFleetConfiguration".to_owned(), why)),
                                    });
                                    continue;
                                }
                                candidates.push(Candidate {
                                    template: stamp.clone(),
                                    overrides: over.clone().with("InstanceType", leaf(&kind)),
                                    spec: spec.clone(),
                                    subnet,
                                    weight,
                                    priority: over.number("Priority")?.unwrap_or(f64::MAX),
                                    bid: price(over, "MaxPrice")?,
                                });
                            }
                        }
                        Err(error) => errors.push(FleetPart {
                            template: stamp.clone(),
                            overrides: over.clone(),
                            market: if spot_only(&ask.params) { Market::Spot } else { Market::OnDemand },
                            instance_type: kind,
                            instances: Vec::new(),
                            error: Some((error.code, error.message)),
                        }),
                    }
                }
            }
        }
        Ok((candidates, errors))
    }

    /// The types that an override means: named, by requirements, or the template's.
    fn kinds(&self, over: &Node, node: &Node) -> Result<Vec<String>, ApiError> {
        let Some(needs) = over.at("InstanceRequirements").or_else(|| node.at("InstanceRequirements")) else {
            let kind = node.string("InstanceType");
            return kind.map(|kind| vec![kind]).ok_or_else(|| missing("InstanceType"));
        };
        let range = |name: &str, value: u32| -> Result<bool, ApiError> {
            let least = needs.number(&format!("{name}.Min"))?.unwrap_or(0);
            let most = needs.number(&format!("{name}.Max"))?.unwrap_or(u32::MAX);
            Ok((least..=most).contains(&value))
        };
        let allowed = needs.texts("AllowedInstanceType");
        let excluded = needs.texts("ExcludedInstanceType");
        let image = node.text("ImageId").and_then(|id| self.images.get(id));
        let mut kinds = Vec::new();
        for kind in &self.types {
            let fits = range("VCpuCount", kind.vcpus)?
                && range("MemoryMiB", kind.memory_mib)?
                && (allowed.is_empty() || allowed.contains(&kind.name))
                && !excluded.contains(&kind.name)
                && image.is_none_or(|image| image.architecture == kind.architecture);
            if fits {
                kinds.push(kind.name.clone());
            }
        }
        if kinds.is_empty() {
            return Err(invalid("No instance type satisfies the instance requirements"));
        }
        Ok(kinds)
    }

    /// The subnet named (an instant fleet takes one an override), the zone's, the template's, or one in each zone.
    fn fleet_subnets(&self, over: &Node, node: &Node) -> Result<Vec<Subnet>, ApiError> {
        if over.text("SubnetId").is_some_and(|id| id.contains(',')) {
            return Err(invalid("A request of type instant can have only one subnet ID in an override"));
        }
        if let Some(id) = over.string("SubnetId").or_else(|| subnet(node)) {
            let found = self.network.subnets.get(&id).cloned();
            return found.map(|subnet| vec![subnet]).ok_or_else(|| ids::unknown("subnet", &id));
        }
        let zone = over.text("AvailabilityZone").or(node.text("Placement.AvailabilityZone"));
        let mut zones = BTreeSet::new();
        let subnets: Vec<Subnet> = self
            .network
            .subnets
            .all()
            .filter(|subnet| zone.is_none_or(|zone| zone == subnet.zone) && zones.insert(subnet.zone.clone()))
            .cloned()
            .collect();
        if subnets.is_empty() {
            return Err(invalid(format!("Invalid availability zone: [{}]", zone.unwrap_or_default())));
        }
        Ok(subnets)
    }

    /// Spreads one market's target.
    fn fill(&self, wish: &Wish, candidates: &[Candidate]) -> (Allocation, Vec<Slot>) {
        let slots: Vec<Slot> = candidates
            .iter()
            .map(|candidate| Slot {
                pool: Self::pool(&candidate.spec.kind, &candidate.subnet, wish.market),
                subnet: candidate.subnet.id.clone(),
                weight: candidate.weight,
                vcpus: candidate.spec.kind.vcpus,
                price: Self::price(&candidate.spec.kind, wish.market),
                bid: candidate.bid.filter(|_| wish.market == Market::Spot),
                priority: candidate.priority,
            })
            .collect();
        let purse = Purse {
            vcpus: self.quota_left(wish.market),
            addresses: candidates.iter().map(|c| (c.subnet.id.clone(), self.network.free(&c.subnet))).collect(),
            pools: slots.iter().map(|s| (s.pool.clone(), self.capacity.free(&s.pool, &self.control))).collect(),
            money: wish.money,
        };
        // With one type or one zone only, the group that gets furthest is taken, the earliest of equals.
        let mut groups: BTreeMap<(String, String), Vec<usize>> = BTreeMap::new();
        for (n, slot) in slots.iter().enumerate() {
            let kind = if wish.one_type { slot.pool.instance_type.clone() } else { String::new() };
            let zone = if wish.one_zone { slot.pool.zone.clone() } else { String::new() };
            groups.entry((kind, zone)).or_default().push(n);
        }
        let mut groups: Vec<Vec<usize>> = groups.into_values().collect();
        groups.sort();
        let mut best: Option<Allocation> = None;
        for group in groups {
            let some: Vec<Slot> = group.iter().map(|n| slots[*n].clone()).collect();
            let got = allocate(&some, &mut purse.clone(), wish.target, wish.strategy);
            let mut whole = Allocation { counts: vec![0; slots.len()], short: Vec::new() };
            for (place, n) in group.iter().enumerate() {
                whole.counts[*n] = got.counts[place];
            }
            whole.short = got.short.into_iter().map(|(place, short)| (group[place], short)).collect();
            if best.as_ref().is_none_or(|best| whole.met(&slots) > best.met(&slots)) {
                best = Some(whole);
            }
        }
        let mut best = best.unwrap_or_default();
        if best.met(&slots) < wish.least.min(wish.target) {
            best.counts.iter_mut().for_each(|count| *count = 0);
        }
        (best, slots)
    }

    fn bear_many(&mut self, ask: &Ask, fleet: &str, market: Market, candidate: &Candidate, count: u32) -> Vec<String> {
        let mut spec = Spec { market, ..candidate.spec.clone() };
        let tags = spec.tags.entry("instance".to_owned()).or_default();
        tags.extend(template_tags(&candidate.template.0, candidate.template.2));
        tags.insert("aws:ec2:fleet-id".to_owned(), fleet.to_owned());
        let birth = Birth {
            reservation: self.ids.long("r"),
            token: None,
            fleet: Some(fleet.to_owned()),
            origin: Origin::Call(ask.eye.principal.clone()),
            at: ask.now,
        };
        (0..count as usize).map(|index| self.give_birth(&spec, &candidate.subnet, &birth, index)).collect()
    }

    fn short_error(&self, candidate: &Candidate, slot: &Slot, market: Market, short: Short) -> ApiError {
        match short {
            Short::Capacity => no_capacity(&candidate.spec.kind.name, &candidate.subnet.zone),
            Short::Quota => over_quota(market),
            Short::Addresses => no_addresses(&candidate.subnet.id),
            Short::Bid => too_cheap(slot.bid.unwrap_or_default(), slot.price),
            Short::Money => ApiError::new(
                "UnfulfillableCapacity",
                format!(
                    "Unable to fulfill capacity in {} due to your request configuration: MaxTotalPrice is reached. Please \
                     adjust your request and try again.",
                    self.region
                ),
            ),
        }
    }
}

fn leaf(text: &str) -> Node {
    Node::from_pairs([("x", text)]).at("x").cloned().unwrap_or_default()
}

fn part(candidate: &Candidate, market: Market, instances: Vec<String>, error: Option<(String, String)>) -> FleetPart {
    let overrides = candidate
        .overrides
        .clone()
        .with("SubnetId", leaf(&candidate.subnet.id))
        .with("AvailabilityZone", leaf(&candidate.subnet.zone));
    let instance_type = candidate.spec.kind.name.clone();
    FleetPart { template: candidate.template.clone(), overrides, market, instance_type, instances, error }
}

/// A fleet may use one subnet a zone, and no pool twice.
fn one_subnet_a_zone(candidates: &[Candidate]) -> Result<(), ApiError> {
    let mut zones: BTreeMap<&str, &str> = BTreeMap::new();
    let mut pools = BTreeSet::new();
    for candidate in candidates {
        let (zone, subnet) = (candidate.subnet.zone.as_str(), candidate.subnet.id.as_str());
        if let Some(other) = zones.insert(zone, subnet).filter(|other| *other != subnet) {
            return Err(configuration(format!(
                "The fleet configuration contains more than one subnet in Availability Zone {zone}: {other}, {subnet}"
            )));
        }
        if !pools.insert((&candidate.spec.kind.name, subnet)) {
            return Err(configuration("The fleet configuration contains duplicate instance pools"));
        }
    }
    Ok(())
}

fn spot_only(params: &Node) -> bool {
    params.text("TargetCapacitySpecification.DefaultTargetCapacityType") == Some("spot")
}
