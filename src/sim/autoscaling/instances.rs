//! Calls about instances of groups.

use super::ask::{flag, invalid, list, need, page, texts};
use super::records::{Group, Life, Member};
use super::{Ask, AutoScaling};
use crate::sim::api::{ApiError, Handled, Reply};
use crate::sim::xml::Xml;

/// Instances in one SetInstanceProtection or DescribeAutoScalingInstances.
const MOST: usize = 50;

impl AutoScaling {
    /// What the metadata service of an instance says of its group; nothing for one of no group.
    pub(crate) fn target_state(&self, id: &str) -> Option<&'static str> {
        let mut members = self.groups.iter().flat_map(|group| &group.members);
        Some(members.find(|member| member.id == id)?.life.target())
    }

    pub(super) fn terminate_instance(&mut self, ask: &mut Ask) -> Handled {
        let id = need(&ask.params, "InstanceId")?.to_owned();
        let less = flag(&ask.params, "ShouldDecrementDesiredCapacity")?
            .ok_or_else(|| invalid("ShouldDecrementDesiredCapacity is required"))?;
        let now = ask.now;
        let known = |group: &Group| group.staying().any(|member| member.id == id);
        let place = self.groups.iter().position(known).ok_or_else(|| {
            invalid(format!("Instance Id not found - No managed instance found for instance ID: {id}"))
        })?;
        let group = &mut self.groups[place];
        if less {
            if group.desired <= group.min {
                return Err(invalid(format!(
                    "Currently, desiredSize equals minSize ({}). Terminating instance without replacement will violate group's min size constraint. Either set shouldDecrementDesiredCapacity flag to false or lower group's min size.",
                    group.min
                )));
            }
            group.desired -= 1;
        }
        let activity = self.leave(place, &id, "a user request took the instance out of service", now, ask.ec2);
        let mut xml = Xml::new();
        if let Some(activity) = self.activities.iter().find(|one| one.id == activity) {
            xml.open("Activity", |xml| super::describe::write_activity(xml, activity));
        }
        Ok(Reply { body: xml.finish(), ended: vec![id], ..Reply::default() })
    }

    pub(super) fn set_protection(&mut self, ask: &mut Ask) -> Handled {
        let ids = texts(&ask.params, "InstanceIds");
        let protect =
            flag(&ask.params, "ProtectedFromScaleIn")?.ok_or_else(|| invalid("ProtectedFromScaleIn is required"))?;
        if ids.is_empty() || ids.len() > MOST {
            return Err(invalid(format!("1 to {MOST} instances can be named, not {}", ids.len())));
        }
        let group = self.group(ask)?;
        for id in &ids {
            let Some(member) = group.member(id) else {
                return Err(invalid(format!("The instance {id} is not part of Auto Scaling group {}.", group.name)));
            };
            if !matches!(member.life, Life::InService | Life::Standby) {
                return Err(invalid(format!("The instance {id} is not in InService or EnteringStandby or Standby.")));
            }
        }
        for id in &ids {
            if let Some(member) = group.member(id) {
                member.protected = protect;
            }
        }
        Ok(Reply::default())
    }

    pub(super) fn set_health(&mut self, ask: &mut Ask) -> Handled {
        let id = need(&ask.params, "InstanceId")?;
        let healthy = match need(&ask.params, "HealthStatus")? {
            "Healthy" => true,
            "Unhealthy" => false,
            other => return Err(invalid(format!("HealthStatus is Healthy or Unhealthy, not {other}"))),
        };
        let member = self.groups.iter_mut().find_map(|group| group.member(id));
        let absent = || -> ApiError {
            invalid(format!("Instance Id not found - No managed instance found for instance ID: {id}"))
        };
        member.ok_or_else(absent)?.healthy = healthy;
        Ok(Reply::default())
    }

    pub(super) fn describe_instances(&mut self, ask: &mut Ask) -> Handled {
        let ids = texts(&ask.params, "InstanceIds");
        if ids.len() > MOST {
            return Err(invalid(format!("At most {MOST} instances can be named, not {}", ids.len())));
        }
        let found: Vec<(&Group, &Member)> = self
            .groups
            .iter()
            .flat_map(|group| group.members.iter().map(move |member| (group, member)))
            .filter(|(_, member)| ids.is_empty() || ids.contains(&member.id))
            .collect();
        let (found, next) = page(&ask.params, "DescribeAutoScalingInstances", (50, 50), found)?;
        let mut xml = Xml::new();
        list(&mut xml, "AutoScalingInstances", found, |xml, (group, member)| {
            xml.text("AutoScalingGroupName", &group.name);
            super::describe::write_member(xml, member);
        });
        xml.opt("NextToken", next);
        Ok(Reply { body: xml.finish(), ..Reply::default() })
    }
}
