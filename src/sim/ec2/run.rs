//! RunInstances.

use super::launch::{Birth, no_addresses, no_capacity, over_quota, too_cheap};
use super::params::{Node, invalid, missing};
use super::records::{Market, Origin, Subnet, Tags};
use super::spec::{Spec, joined, subnet};
use super::tokens::{self, TokenKey};
use super::{Ask, Ec2, ids};
use crate::sim::api::{ApiError, Handled, Reply};
use crate::sim::xml::Xml;

impl Ec2 {
    /// As many as fit, from `MinCount` to `MaxCount`, or none.
    pub(super) fn run_instances(&mut self, ask: &Ask) -> Handled {
        let (least, most) = counts(&ask.params)?;
        let key = self.run_token(&ask.params)?;
        if let Some(key) = &key
            && let Some(made) = self.tokens.earlier(key, ask.pairs, ask.now)?
        {
            return self.same_again(made);
        }
        let (spec, subnet) = self.wanted_launch(ask, most)?;
        let (room, short) = self.room(&spec, &subnet);
        let count = most.min(room);
        if count < least {
            return Err(short);
        }
        let birth = Birth {
            reservation: self.ids.long("r"),
            token: ask.params.string("ClientToken"),
            fleet: None,
            origin: Origin::Call(ask.eye.principal.clone()),
            at: ask.now,
        };
        let made: Vec<String> =
            (0..count as usize).map(|index| self.give_birth(&spec, &subnet, &birth, index)).collect();
        if let Some(key) = key {
            self.tokens.spend(key, ask.pairs, made.clone(), ask.now);
        }
        Ok(Reply { body: self.reservation(&made), made, ..Reply::default() })
    }

    /// Whether a launch makes sense; capacity is not asked for.
    pub(super) fn check_launch(&self, ask: &Ask) -> Result<(), ApiError> {
        let (_, most) = counts(&ask.params)?;
        self.wanted_launch(ask, most).map(|_| ())
    }

    /// What is to be launched and where, from the call and the launch template it names.
    fn wanted_launch(&self, ask: &Ask, most: u32) -> Result<(Spec, Subnet), ApiError> {
        let (template, mut node) = match ask.params.at("LaunchTemplate") {
            None => (None, ask.params.clone()),
            Some(named) => {
                let (template, version) = self.template_version(named, ask)?;
                let stamp = (template.id.clone(), version.number);
                (Some(stamp), joined(&version.data, &ask.params))
            }
        };
        // A call's own subnet takes the place of the one in a template's network interface.
        if ask.params.text("SubnetId").is_some() && ask.params.list("NetworkInterface").is_empty() {
            node = without_interface(node);
        }
        let mut spec = self.spec(&node, &ask.eye)?;
        if let Some((id, number)) = template {
            spec.tags.entry("instance".to_owned()).or_default().extend(template_tags(&id, number));
        }
        let subnet = self.place(&node, &spec, most)?;
        if let Some(why) = Self::not_offered(&spec.kind, &subnet.zone) {
            return Err(ApiError::new("Unsupported", why));
        }
        Ok((spec, subnet))
    }

    /// The token and where it counts.
    fn run_token(&self, params: &Node) -> Result<Option<TokenKey>, ApiError> {
        let Some(token) = params.string("ClientToken") else { return Ok(None) };
        tokens::check(&token)?;
        let zone = params.string("Placement.AvailabilityZone").or_else(|| {
            let id = subnet(params)?;
            // An unknown subnet fails later, with its own error.
            Some(self.network.subnets.get(&id).map_or(id, |subnet| subnet.zone.clone()))
        });
        Ok(Some(TokenKey { action: "RunInstances".to_owned(), token, zone }))
    }

    /// The answer to a token that was spent before, in the states of today.
    fn same_again(&self, made: &[String]) -> Handled {
        let dead = |id: &String| self.instances.get(id).is_none_or(|instance| !instance.state.live());
        if !made.is_empty() && made.iter().all(dead) {
            return Err(terminated());
        }
        Ok(Reply { body: self.reservation(made), ..Reply::default() })
    }

    /// The subnet named, or one in the zone named, or the one that has most room.
    fn place(&self, node: &Node, spec: &Spec, most: u32) -> Result<Subnet, ApiError> {
        let zone = node.text("Placement.AvailabilityZone");
        if let Some(id) = subnet(node) {
            let subnet = self.network.subnets.get(&id).ok_or_else(|| ids::unknown("subnet", &id))?;
            if zone.is_some_and(|zone| zone != subnet.zone) {
                return Err(ApiError::new(
                    "InvalidParameterCombination",
                    format!("The subnet '{id}' is not in the Availability Zone that the request names"),
                ));
            }
            return Ok(subnet.clone());
        }
        let mut fitting: Vec<&Subnet> =
            self.network.subnets.all().filter(|subnet| zone.is_none_or(|zone| zone == subnet.zone)).collect();
        // The sort is stable: the seed's order decides among equals.
        let offered = |subnet: &Subnet| Self::not_offered(&spec.kind, &subnet.zone).is_none();
        fitting.sort_by_key(|subnet| std::cmp::Reverse((offered(subnet), self.room(spec, subnet).0.min(most))));
        fitting.first().copied().cloned().ok_or_else(|| match zone {
            Some(zone) => invalid(format!("Invalid availability zone: [{zone}]")),
            None => ApiError::new("VPCIdNotSpecified", "No default VPC for this user"),
        })
    }

    /// How many fit, and the error if that is too few.
    pub(super) fn room(&self, spec: &Spec, subnet: &Subnet) -> (u32, ApiError) {
        let price = Self::price(&spec.kind, spec.market);
        if let Some(bid) = spec.max_price.filter(|bid| spec.market == Market::Spot && *bid < price) {
            return (0, too_cheap(bid, price));
        }
        let quota = self.quota_left(spec.market) / spec.kind.vcpus.max(1);
        let addresses = self.network.free(subnet);
        let pool = self.capacity.free(&Self::pool(&spec.kind, subnet, spec.market), &self.control);
        let room = quota.min(addresses).min(pool);
        let short = if room == quota {
            over_quota(spec.market)
        } else if room == addresses {
            no_addresses(&subnet.id)
        } else {
            no_capacity(&spec.kind.name, &subnet.zone)
        };
        (room, short)
    }

    /// The answer's XML.
    fn reservation(&self, made: &[String]) -> String {
        let instances: Vec<_> = made.iter().filter_map(|id| self.instances.get(id)).collect();
        let mut xml = Xml::new();
        if let Some(first) = instances.first() {
            xml.text("reservationId", &first.reservation).text("ownerId", &self.account).open("groupSet", |_| ());
        }
        xml.list("instancesSet", instances, |xml, instance| self.write_instance(xml, instance));
        xml.finish()
    }
}

/// The same without a network interface, whose groups stay unless others are named.
pub(super) fn without_interface(node: Node) -> Node {
    let groups = node.list("NetworkInterface").first().and_then(|first| first.at("SecurityGroupId")).cloned();
    let node = node.with("NetworkInterface", Node::default());
    match groups {
        Some(groups) if node.at("SecurityGroupId").is_none() => node.with("SecurityGroupId", groups),
        Some(_) | None => node,
    }
}

/// What EC2 tags an instance of a launch template with.
pub(super) fn template_tags(id: &str, number: u64) -> Tags {
    Tags::from([
        ("aws:ec2launchtemplate:id".to_owned(), id.to_owned()),
        ("aws:ec2launchtemplate:version".to_owned(), number.to_string()),
    ])
}

/// `IdempotentInstanceTerminated`.
pub(super) fn terminated() -> ApiError {
    ApiError::new(
        "IdempotentInstanceTerminated",
        "The request uses the same client token as a previous request whose instances have been terminated.",
    )
}

fn counts(params: &Node) -> Result<(u32, u32), ApiError> {
    let least = params.number::<i64>("MinCount")?.ok_or_else(|| missing("MinCount"))?;
    let most = params.number::<i64>("MaxCount")?.ok_or_else(|| missing("MaxCount"))?;
    match (u32::try_from(least), u32::try_from(most)) {
        (Ok(least @ 1..), Ok(most @ 1..)) if least <= most => Ok((least, most)),
        (Ok(least @ 1..), Ok(1..)) => Err(invalid(format!(
            "Value ({least}) for parameter MinCount is invalid. MinCount may not be greater than MaxCount ({most})."
        ))),
        _ => Err(invalid(format!(
            "Value ({}) for parameter minCount or maxCount is invalid. Expecting at least 1.",
            least.min(most)
        ))),
    }
}
