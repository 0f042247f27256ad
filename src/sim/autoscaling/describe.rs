//! DescribeAutoScalingGroups and DescribeScalingActivities, and how groups, members and activities are written.

use super::ask::{invalid, list, members, need, page, texts, when};
use super::records::{Activity, Group, Member};
use super::{Ask, AutoScaling, tags};
use crate::sim::api::{Handled, Reply};
use crate::sim::ec2::params::Node;
use crate::sim::xml::Xml;

/// One member.
pub(super) fn write_member(xml: &mut Xml, member: &Member) {
    xml.text("InstanceId", &member.id)
        .text("InstanceType", &member.kind)
        .text("AvailabilityZone", &member.zone)
        .text("LifecycleState", member.life.word())
        .text("HealthStatus", if member.healthy { "Healthy" } else { "Unhealthy" })
        .text("ProtectedFromScaleIn", member.protected)
        .open("LaunchTemplate", |xml| {
            xml.text("LaunchTemplateId", &member.template.0)
                .text("LaunchTemplateName", &member.template.1)
                .text("Version", member.template.2);
        });
}

/// One activity.
pub(super) fn write_activity(xml: &mut Xml, activity: &Activity) {
    xml.text("ActivityId", &activity.id)
        .text("AutoScalingGroupName", &activity.group)
        .text("Description", &activity.description)
        .text("Cause", &activity.cause)
        .text("StartTime", when(activity.started))
        .opt("EndTime", activity.ended.map(when))
        .text("StatusCode", activity.status)
        .opt("StatusMessage", activity.message.as_ref())
        .text("Progress", if activity.ended.is_some() { 100 } else { 50 })
        .text("Details", &activity.details);
}

/// Parameters answered as they were given.
fn write_given(xml: &mut Xml, node: &Node) {
    for (name, child) in node.children() {
        match child.value() {
            Some(value) => {
                xml.text(name, value);
            }
            None => match child.at("member") {
                Some(inner) => list(xml, name, inner.members(), write_given),
                None => {
                    xml.open(name, |xml| write_given(xml, child));
                }
            },
        }
    }
}

fn write_group(xml: &mut Xml, group: &Group) {
    xml.text("AutoScalingGroupName", &group.name).text("AutoScalingGroupARN", &group.arn);
    match &group.mixed {
        Some(mixed) => {
            xml.open("MixedInstancesPolicy", |xml| write_given(xml, &mixed.asked));
        }
        None => {
            xml.open("LaunchTemplate", |xml| {
                xml.text("LaunchTemplateId", &group.template.id)
                    .text("LaunchTemplateName", &group.template.name)
                    .text("Version", &group.template.version);
            });
        }
    }
    xml.text("MinSize", group.min)
        .text("MaxSize", group.max)
        .text("DesiredCapacity", group.desired)
        .text("DefaultCooldown", group.cooldown);
    texts_of(xml, "AvailabilityZones", group.zones());
    xml.open("LoadBalancerNames", |_| ()).open("TargetGroupARNs", |_| ());
    xml.text("HealthCheckType", &group.health_check).text("HealthCheckGracePeriod", group.grace);
    list(xml, "Instances", &group.members, write_member);
    xml.text("CreatedTime", when(group.created));
    list(xml, "SuspendedProcesses", &group.suspended, |xml, (name, reason)| {
        xml.text("ProcessName", name).text("SuspensionReason", reason);
    });
    let subnets: Vec<&str> = group.subnets.iter().map(|(id, _)| id.as_str()).collect();
    xml.text("VPCZoneIdentifier", subnets.join(",")).open("EnabledMetrics", |_| ());
    xml.opt("Status", group.deleting.then_some("Delete in progress"));
    list(xml, "Tags", &group.tags, |xml, tag| tags::write(xml, &group.name, tag));
    texts_of(xml, "TerminationPolicies", &group.policies);
    xml.text("NewInstancesProtectedFromScaleIn", group.protect_new)
        .opt("MaxInstanceLifetime", group.lifetime)
        .opt("CapacityRebalance", group.rebalance);
    if group.warm_pool {
        super::warm_pool::write(xml);
    }
    if let Some((least, most)) = group.maintenance {
        xml.open("InstanceMaintenancePolicy", |xml| {
            xml.text("MinHealthyPercentage", least).text("MaxHealthyPercentage", most);
        });
    }
}

/// `<name><member>text</member>..</name>`.
fn texts_of(xml: &mut Xml, name: &str, items: impl IntoIterator<Item = impl AsRef<str>>) {
    xml.open(name, |xml| {
        for item in items {
            xml.text("member", item.as_ref());
        }
    });
}

impl AutoScaling {
    pub(super) fn describe_groups(&mut self, ask: &mut Ask) -> Handled {
        let names = texts(&ask.params, "AutoScalingGroupNames");
        let mut filters = Vec::new();
        for node in members(&ask.params, "Filters") {
            let name = need(node, "Name")?.to_owned();
            if !(["tag-key", "tag-value"].contains(&name.as_str()) || name.starts_with("tag:")) {
                return Err(invalid(format!("Filter type {name} is not correct")));
            }
            filters.push((name, texts(node, "Values")));
        }
        let passes = |group: &&Group| {
            (names.is_empty() || names.contains(&group.name))
                && filters.iter().all(|(name, values)| {
                    group.tags.iter().any(|tag| match name.strip_prefix("tag:") {
                        Some(key) => tag.key == key && values.contains(&tag.value),
                        None if name == "tag-key" => values.contains(&tag.key),
                        None => values.contains(&tag.value),
                    })
                })
        };
        let found: Vec<&Group> = self.groups.iter().filter(passes).collect();
        let (found, next) = page(&ask.params, "DescribeAutoScalingGroups", (50, 100), found)?;
        let mut xml = Xml::new();
        list(&mut xml, "AutoScalingGroups", found, write_group);
        xml.opt("NextToken", next);
        Ok(Reply { body: xml.finish(), ..Reply::default() })
    }

    pub(super) fn describe_activities(&mut self, ask: &mut Ask) -> Handled {
        let ids = texts(&ask.params, "ActivityIds");
        let group = ask.params.text("AutoScalingGroupName");
        if let Some(name) = group {
            self.place(name)?;
        }
        let found: Vec<&Activity> = self
            .activities
            .iter()
            .rev()
            .filter(|one| group.is_none_or(|name| name == one.group) && (ids.is_empty() || ids.contains(&one.id)))
            .collect();
        let (found, next) = page(&ask.params, "DescribeScalingActivities", (100, 100), found)?;
        let mut xml = Xml::new();
        list(&mut xml, "Activities", found, write_activity);
        xml.opt("NextToken", next);
        Ok(Reply { body: xml.finish(), ..Reply::default() })
    }
}
