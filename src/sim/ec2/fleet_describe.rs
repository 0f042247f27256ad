//! DescribeFleets, DeleteFleets, and how a fleet is written.

use super::filter::Filters;
use super::lifecycle::Cause;
use super::network::done;
use super::page::{Bounds, page};
use super::params::{Node, invalid, missing};
use super::records::{Fleet, FleetPart, Market, State};
use super::{Ask, Ec2, ids, when, write_tags};
use crate::sim::api::{Handled, Reply};
use crate::sim::xml::Xml;

fn write_overrides(xml: &mut Xml, over: &Node) {
    for (name, element) in [
        ("InstanceType", "instanceType"),
        ("MaxPrice", "maxPrice"),
        ("SubnetId", "subnetId"),
        ("AvailabilityZone", "availabilityZone"),
        ("WeightedCapacity", "weightedCapacity"),
        ("Priority", "priority"),
        ("ImageId", "imageId"),
    ] {
        xml.opt(element, over.text(name));
    }
}

fn write_part(xml: &mut Xml, part: &FleetPart) {
    xml.open("launchTemplateAndOverrides", |xml| {
        xml.open("launchTemplateSpecification", |xml| {
            xml.text("launchTemplateId", &part.template.0).text("version", part.template.2);
        });
        xml.open("overrides", |xml| write_overrides(xml, &part.overrides));
    });
    xml.text("lifecycle", part.market.word());
    match &part.error {
        Some((code, message)) => {
            xml.text("errorCode", code).text("errorMessage", message);
        }
        None => {
            xml.open("instanceIds", |xml| {
                for id in &part.instances {
                    xml.text("item", id);
                }
            })
            .text("instanceType", &part.instance_type);
        }
    }
}

fn write_parts(xml: &mut Xml, fleet: &Fleet) {
    let (bad, good): (Vec<_>, Vec<_>) = fleet.parts.iter().partition(|part| part.error.is_some());
    xml.list("errorSet", bad, write_part);
    xml.list("fleetInstanceSet", good, write_part);
}

impl Ec2 {
    /// CreateFleet's answer.
    pub(super) fn fleet_answer(fleet: &Fleet) -> String {
        let mut xml = Xml::new();
        xml.text("fleetId", &fleet.id);
        write_parts(&mut xml, fleet);
        xml.finish()
    }

    /// Instant fleets are told only to who knows their ids: that is why a lost answer needs tags or the token.
    pub(super) fn describe_fleets(&self, ask: &Ask) -> Handled {
        let known = [
            "activity-status",
            "excess-capacity-termination-policy",
            "fleet-state",
            "replace-unhealthy-instances",
            "type",
        ];
        let filters = Filters::read(&ask.params, &known)?;
        let wanted = ask.wanted("FleetId", "fleet", |id| self.fleets.seen(id, &ask.eye).is_some())?;
        let found = self.fleets.all_seen(&ask.eye).filter(|(_, fleet)| {
            wanted.some()
                && wanted.takes(&fleet.id)
                && filters.pass(&fleet.tags, |name| match name {
                    "activity-status" => vec![activity(fleet).to_owned()],
                    "fleet-state" => vec![fleet.state.to_owned()],
                    "type" => vec!["instant".to_owned()],
                    "replace-unhealthy-instances" => vec!["false".to_owned()],
                    _ => Vec::new(),
                })
        });
        let page = page(&ask.params, "DescribeFleets", Bounds(1, 1000), found)?;
        let mut xml = Xml::new();
        xml.list("fleetSet", &page.items, |xml, fleet| write_fleet(xml, fleet));
        Ok(done(xml, page.next))
    }

    /// Deleting an instant fleet always ends its instances.
    pub(super) fn delete_fleets(&mut self, ask: &Ask) -> Handled {
        let wanted = ask.params.texts("FleetId");
        if wanted.is_empty() {
            return Err(missing("FleetId"));
        }
        if wanted.len() > 25 {
            return Err(invalid("At most 25 fleets of type instant can be deleted in one call"));
        }
        if !ask.params.flag("TerminateInstances")?.ok_or_else(|| missing("TerminateInstances"))? {
            return Err(invalid("A fleet of type instant can't be deleted without terminating its instances"));
        }
        let (mut good, mut bad, mut ended) = (Vec::new(), Vec::new(), Vec::new());
        for id in wanted {
            let Some(fleet) = self.fleets.seen(&id, &ask.eye).and_then(|_| self.fleets.get(&id)).cloned() else {
                let formed = id.starts_with("fleet-") && id.len() == 42;
                bad.push((id, if formed { "fleetIdDoesNotExist" } else { "fleetIdMalformed" }));
                continue;
            };
            if fleet.state != "active" {
                bad.push((id, "fleetNotInDeletableState"));
                continue;
            }
            for instance in fleet.instances() {
                let ends = self.instances.get(instance).is_some_and(|one| one.state.live() && !one.guard.terminate);
                if ends {
                    self.enter(instance, State::ShuttingDown, ask.now, &Cause::user());
                    ended.push(instance.clone());
                }
            }
            self.fleets.change(&id, ask.now, |fleet| fleet.state = "deleted_terminating");
            ended.push(id.clone());
            good.push(id);
        }
        let mut xml = Xml::new();
        xml.list("successfulFleetDeletionSet", &good, |xml, id| {
            xml.text("currentFleetState", "deleted_terminating")
                .text("previousFleetState", "active")
                .text("fleetId", id);
        });
        xml.list("unsuccessfulFleetDeletionSet", &bad, |xml, (id, code)| {
            xml.open("error", |xml| {
                let message = match ids::unknown("fleet", id).message {
                    message if *code == "fleetIdDoesNotExist" => message,
                    _ => format!("The fleet {id} can't be deleted ({code})"),
                };
                xml.text("code", code).text("message", message);
            })
            .text("fleetId", id);
        });
        Ok(Reply { body: xml.finish(), ended, ..Reply::default() })
    }
}

fn fulfilled(fleet: &Fleet, market: Market) -> usize {
    fleet.parts.iter().filter(|part| part.market == market).map(|part| part.instances.len()).sum()
}

fn activity(fleet: &Fleet) -> &'static str {
    let got = fulfilled(fleet, Market::Spot) + fulfilled(fleet, Market::OnDemand);
    if got >= fleet.total as usize { "fulfilled" } else { "error" }
}

fn write_fleet(xml: &mut Xml, fleet: &Fleet) {
    let on_demand = fulfilled(fleet, Market::OnDemand);
    xml.text("activityStatus", activity(fleet))
        .text("createTime", when(fleet.created))
        .text("fleetId", &fleet.id)
        .text("fleetState", fleet.state)
        .opt("clientToken", fleet.token.as_ref())
        .text("fulfilledCapacity", on_demand + fulfilled(fleet, Market::Spot))
        .text("fulfilledOnDemandCapacity", on_demand)
        .list("launchTemplateConfigs", fleet.asked.list("LaunchTemplateConfigs"), |xml, config| {
            xml.open("launchTemplateSpecification", |xml| {
                xml.opt("launchTemplateId", config.text("LaunchTemplateSpecification.LaunchTemplateId"))
                    .opt("launchTemplateName", config.text("LaunchTemplateSpecification.LaunchTemplateName"))
                    .opt("version", config.text("LaunchTemplateSpecification.Version"));
            })
            .list("overrides", config.list("Overrides"), write_overrides);
        })
        .open("targetCapacitySpecification", |xml| {
            xml.text("totalTargetCapacity", fleet.total)
                .text("onDemandTargetCapacity", fleet.on_demand)
                .text("spotTargetCapacity", fleet.spot)
                .opt(
                    "defaultTargetCapacityType",
                    fleet.asked.text("TargetCapacitySpecification.DefaultTargetCapacityType"),
                );
        })
        .text("type", "instant")
        .text("replaceUnhealthyInstances", false);
    for (name, element) in [("SpotOptions", "spotOptions"), ("OnDemandOptions", "onDemandOptions")] {
        if let Some(strategy) = fleet.asked.text(&format!("{name}.AllocationStrategy")) {
            xml.open(element, |xml| {
                xml.text("allocationStrategy", strategy);
            });
        }
    }
    write_tags(xml, &fleet.tags);
    write_parts(xml, fleet);
}
