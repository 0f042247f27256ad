//! DescribeInstanceStatus.

use super::filter::Filters;
use super::network::{done, zone_id};
use super::page::{Bounds, page};
use super::params::invalid;
use super::power::write_state;
use super::records::{Instance, State};
use super::{Ask, Ec2};
use crate::sim::api::Handled;
use crate::sim::xml::Xml;
use jiff::{SignedDuration, Timestamp};

/// Status checks take a minute or two after the start; one here.
const CHECKED: SignedDuration = SignedDuration::from_secs(60);

const KNOWN: [&str; 10] = [
    "availability-zone",
    "availability-zone-id",
    "instance-state-code",
    "instance-state-name",
    "instance-status.reachability",
    "instance-status.status",
    "system-status.reachability",
    "system-status.status",
    "event.code",
    "tag",
];

impl Ec2 {
    /// Running instances only, unless all are asked for.
    pub(super) fn describe_instance_status(&self, ask: &Ask) -> Handled {
        let filters = Filters::read(&ask.params, &KNOWN)?;
        if ask.params.texts("InstanceId").len() > 100 {
            return Err(invalid("At most 100 instance IDs can be given"));
        }
        let wanted = ask.wanted("InstanceId", "i", |id| self.visible(id, ask).is_some())?;
        ask.not_paged(&wanted, "instancesSet")?;
        let all = ask.params.flag("IncludeAllInstances")?.unwrap_or(false);
        let found = self.visible_instances(ask).filter(|(_, instance)| {
            let (status, reachable) = health(instance, ask.now);
            wanted.takes(&instance.id)
                && (all || instance.state == State::Running)
                && filters.pass(&instance.tags, |name| {
                    vec![match name {
                        "availability-zone" => instance.zone.clone(),
                        "availability-zone-id" => zone_id(&self.region, &instance.zone),
                        "instance-state-code" => instance.state.code().to_string(),
                        "instance-state-name" => instance.state.word().to_owned(),
                        "instance-status.reachability" | "system-status.reachability" => reachable.to_owned(),
                        "instance-status.status" | "system-status.status" => status.to_owned(),
                        // No event is ever scheduled here.
                        _ => return Vec::new(),
                    }]
                })
        });
        let page = page(&ask.params, "DescribeInstanceStatus", Bounds(5, 1000), found)?;
        let mut xml = Xml::new();
        xml.list("instanceStatusSet", &page.items, |xml, instance| {
            xml.text("instanceId", &instance.id)
                .text("availabilityZone", &instance.zone)
                .text("availabilityZoneId", zone_id(&self.region, &instance.zone));
            write_state(xml, "instanceState", instance.state);
            let (status, reachable) = health(instance, ask.now);
            for check in ["systemStatus", "instanceStatus"] {
                xml.open(check, |xml| {
                    xml.text("status", status).list(
                        "details",
                        (!reachable.is_empty()).then_some(reachable),
                        |xml, word| {
                            xml.text("name", "reachability").text("status", word);
                        },
                    );
                });
            }
        });
        Ok(done(xml, page.next))
    }
}

/// Status and reachability.
fn health(instance: &Instance, now: Timestamp) -> (&'static str, &'static str) {
    match instance.state {
        State::Running if now.duration_since(instance.since) < CHECKED => ("initializing", "initializing"),
        State::Running => ("ok", "passed"),
        State::Pending | State::Stopping | State::Stopped | State::ShuttingDown | State::Terminated => {
            ("not-applicable", "")
        }
    }
}
