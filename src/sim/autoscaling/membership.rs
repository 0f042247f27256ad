//! Instances that come to a group, leave it and stand aside by a call: AttachInstances, DetachInstances, EnterStandby,
//! ExitStandby.

use super::ask::{flag, invalid, list, need, texts};
use super::records::{Group, Life, Member};
use super::{Ask, AutoScaling};
use crate::sim::api::{ApiError, Handled, Reply};
use crate::sim::xml::Xml;

/// Instances in one of these calls.
const MOST: usize = 20;

impl AutoScaling {
    /// "You can attach instances that are running and not part of another group"; the desired capacity rises by as many.
    pub(super) fn attach(&mut self, ask: &mut Ask) -> Handled {
        let ids = named(ask)?;
        let place = self.place(need(&ask.params, "AutoScalingGroupName")?)?;
        for id in &ids {
            if let Some(other) = self.groups.iter().find(|group| group.members.iter().any(|member| member.id == *id)) {
                return Err(invalid(format!("Instance {id} is already part of AutoScalingGroup:{}.", other.name)));
            }
            let seen = ask.ec2.seen_by_group(id).filter(|seen| seen.state == "running");
            let seen =
                seen.ok_or_else(|| invalid(format!("Instance {id} is not in correct state. It must be running.")))?;
            if !self.groups[place].zones().contains(&seen.zone.as_str()) {
                return Err(invalid(format!("The availability zone of {id} is not among those of the group.")));
            }
        }
        let group = &mut self.groups[place];
        let wanted = group.desired.saturating_add(number(ids.len()));
        if wanted > group.max {
            return Err(invalid(format!(
                "AutoScalingGroup {} has min-size={}, max-size={}, and desired-size={}. To attach {} more instance, please \
                 update the AutoScalingGroup sizes appropriately.",
                group.name,
                group.min,
                group.max,
                group.desired,
                ids.len()
            )));
        }
        group.desired = wanted;
        let name = group.name.clone();
        for id in ids {
            let Some(seen) = ask.ec2.seen_by_group(&id) else { continue };
            ask.ec2.join_group(&id, Some(&name));
            // It was launched from whatever it was: nothing that the group has matches it.
            self.groups[place].members.push(Member {
                id,
                zone: seen.zone,
                kind: seen.kind,
                spot: seen.spot,
                template: (String::new(), String::new(), 0),
                life: Life::Pending,
                healthy: true,
                protected: false,
                launched: ask.now,
                serving: None,
                deadline: None,
                activity: String::new(),
            });
        }
        Ok(Reply::default())
    }

    /// The instances run on, without the group's tag.
    pub(super) fn detach(&mut self, ask: &mut Ask) -> Handled {
        let (ids, name) = self.aside(ask, &[Life::InService, Life::Standby])?;
        let mut said = Vec::new();
        for id in &ids {
            ask.ec2.join_group(id, None);
            let place = self.place(&name)?;
            self.groups[place].members.retain(|member| member.id != *id);
            said.push(self.done(&name, &format!("Detaching EC2 instance: {id}"), ask));
        }
        Ok(self.told(&said))
    }

    pub(super) fn enter_standby(&mut self, ask: &mut Ask) -> Handled {
        let (ids, name) = self.aside(ask, &[Life::InService])?;
        let mut said = Vec::new();
        for id in &ids {
            let place = self.place(&name)?;
            if let Some(member) = self.groups[place].member(id) {
                (member.life, member.serving) = (Life::Standby, None);
            }
            said.push(self.done(&name, &format!("Moving EC2 instance to Standby: {id}"), ask));
        }
        Ok(self.told(&said))
    }

    /// "When you put instances back in service, the desired capacity is incremented."
    pub(super) fn exit_standby(&mut self, ask: &mut Ask) -> Handled {
        let ids = named(ask)?;
        let group = self.group(ask)?;
        let name = group.name.clone();
        for id in &ids {
            known(group, id, &[Life::Standby])?;
        }
        let wanted = group.desired.saturating_add(number(ids.len()));
        if wanted > group.max {
            return Err(invalid(format!(
                "AutoScalingGroup {name} has max-size={}: {wanted} would be too many. To exit standby, please update the \
                 AutoScalingGroup sizes appropriately.",
                group.max
            )));
        }
        group.desired = wanted;
        let mut said = Vec::new();
        for id in &ids {
            if let Some(member) = self.group(ask)?.member(id) {
                member.life = Life::Pending;
            }
            said.push(self.done(&name, &format!("Moving EC2 instance out of Standby: {id}"), ask));
        }
        Ok(self.told(&said))
    }

    /// The members that a call takes out of service, and the desired capacity less by them where that is asked.
    fn aside(&mut self, ask: &Ask, from: &[Life]) -> Result<(Vec<String>, String), ApiError> {
        let ids = named(ask)?;
        let less = flag(&ask.params, "ShouldDecrementDesiredCapacity")?
            .ok_or_else(|| invalid("ShouldDecrementDesiredCapacity is required"))?;
        let group = self.group(ask)?;
        for id in &ids {
            known(group, id, from)?;
        }
        if less {
            let counted = group.active().filter(|member| ids.contains(&member.id)).count();
            let left = group.desired.saturating_sub(number(counted));
            if left < group.min {
                return Err(invalid(format!(
                    "AutoScalingGroup {} has min-size={}, max-size={}, and desired-size={}. To place into standby {counted} \
                     more instance, please update the AutoScalingGroup sizes appropriately.",
                    group.name, group.min, group.max, group.desired
                )));
            }
            group.desired = left;
        }
        Ok((ids, group.name.clone()))
    }

    fn done(&mut self, group: &str, what: &str, ask: &Ask) -> String {
        let cause = format!("At {} {what} was asked for by a user.", super::ask::when(ask.now));
        let id = self.begin(group, what, &cause, ask.now);
        self.finish(&id, "Successful", None, ask.now);
        id
    }

    fn told(&self, activities: &[String]) -> Reply {
        let mut xml = Xml::new();
        let found = self.activities.iter().filter(|one| activities.contains(&one.id));
        list(&mut xml, "Activities", found, super::describe::write_activity);
        Reply { body: xml.finish(), ..Reply::default() }
    }
}

fn named(ask: &Ask) -> Result<Vec<String>, ApiError> {
    let ids = texts(&ask.params, "InstanceIds");
    if ids.is_empty() || ids.len() > MOST {
        return Err(invalid(format!("1 to {MOST} instances can be named, not {}", ids.len())));
    }
    Ok(ids)
}

fn known(group: &Group, id: &str, from: &[Life]) -> Result<(), ApiError> {
    let Some(member) = group.members.iter().find(|member| member.id == id) else {
        return Err(invalid(format!("The instance {id} is not part of Auto Scaling group {}.", group.name)));
    };
    if from.contains(&member.life) {
        return Ok(());
    }
    let words: Vec<&str> = from.iter().map(|life| life.word()).collect();
    Err(invalid(format!("The instance {id} is in {} and not in {}.", member.life.word(), words.join(" or "))))
}

fn number(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use crate::sim::autoscaling::testing::{Cloud, Pairs};
    use serde_json::{Value, json};

    const WEB: (&str, &str) = ("AutoScalingGroupName", "web");
    const LESS: (&str, &str) = ("ShouldDecrementDesiredCapacity", "true");
    const SAME: (&str, &str) = ("ShouldDecrementDesiredCapacity", "false");

    fn cloud(more: Pairs) -> (Cloud, Vec<String>) {
        let cloud = Cloud::new(7, json!({}));
        cloud.group("1", "4", "3", more);
        cloud.pass(60);
        let ids = cloud.serving().iter().map(|member| member["id"].as_str().unwrap().to_owned()).collect();
        (cloud, ids)
    }

    fn states(cloud: &Cloud) -> Vec<String> {
        let web = cloud.web();
        let mut states: Vec<String> =
            web["instances"].as_array().unwrap().iter().map(|one| one["state"].as_str().unwrap().to_owned()).collect();
        states.sort();
        states
    }

    #[test]
    fn what_stands_aside_is_replaced_unless_its_place_goes_with_it() {
        let (cloud, ids) = cloud(&[]);
        let one = ("InstanceIds.member.1", ids[0].as_str());
        cloud.ok("EnterStandby", &[WEB, one, LESS]);
        cloud.pass(120);
        assert_eq!(
            (states(&cloud), cloud.web()["desired"].clone()),
            (vec!["InService".to_owned(); 2].into_iter().chain(["Standby".to_owned()]).collect(), json!(2))
        );
        assert_eq!(cloud.target_state(&ids[0]).as_deref(), Some("Standby"));
        // Neither a group without a host nor its end ends it, and nobody looks after its health.
        assert_eq!(cloud.fails("EnterStandby", &[WEB, one, LESS]).code, "ValidationError");
        cloud.ok("ExitStandby", &[WEB, one]);
        cloud.pass(60);
        assert_eq!((states(&cloud), cloud.web()["desired"].clone()), (vec!["InService".to_owned(); 3], json!(3)));
        cloud.ok("EnterStandby", &[WEB, one, SAME]);
        cloud.pass(120);
        assert_eq!(states(&cloud).iter().filter(|state| *state == "InService").count(), 3);
        cloud.ok("UpdateAutoScalingGroup", &[WEB, ("MinSize", "0"), ("MaxSize", "0"), ("DesiredCapacity", "0")]);
        cloud.pass(600);
        assert_eq!(states(&cloud), ["Standby"]);
        cloud.kill(&ids[0]);
        cloud.pass(600);
        assert_eq!(states(&cloud), ["Standby"]);
        assert_eq!(cloud.fails("DeleteAutoScalingGroup", &[WEB]).code, "ResourceInUse");
        cloud.ok("TerminateInstanceInAutoScalingGroup", &[("InstanceId", &ids[0]), SAME]);
        cloud.pass(60);
        assert_eq!(cloud.web()["instances"], json!([]));
    }

    #[test]
    fn what_is_detached_runs_on_and_may_be_attached_again() {
        let (cloud, ids) = cloud(&[]);
        let tags = |id: &str| {
            let told = cloud.ec2("DescribeInstances", &[("InstanceId.1", id)]);
            told.matches("aws:autoscaling:groupName").count()
        };
        let one = ("InstanceIds.member.1", ids[0].as_str());
        assert_eq!(tags(&ids[0]), 1);
        cloud.ok("DetachInstances", &[WEB, one, SAME]);
        cloud.pass(120);
        assert_eq!((tags(&ids[0]), cloud.serving().len()), (0, 3));
        cloud.ok("AttachInstances", &[WEB, one]);
        cloud.pass(60);
        assert_eq!((tags(&ids[0]), cloud.serving().len(), cloud.web()["desired"].clone()), (1, 4, json!(4)));
        assert_eq!(cloud.fails("AttachInstances", &[WEB, one]).code, "ValidationError");
        cloud.ok("DetachInstances", &[WEB, one, LESS]);
        assert_eq!((cloud.web()["desired"].clone(), Value::from(cloud.serving().len())), (json!(3), json!(3)));
        cloud.ok("UpdateAutoScalingGroup", &[WEB, ("MaxSize", "3")]);
        assert_eq!(cloud.fails("AttachInstances", &[WEB, one]).code, "ValidationError");
    }
}
