//! Scaling policies: stored and described. The world has no metrics, so that no policy ever acts.

use super::ask::{flag, invalid, list, need, page, texts};
use super::records::{Group, Policy};
use super::{Ask, AutoScaling};
use crate::sim::api::{Handled, Reply};
use crate::sim::xml::Xml;

const KINDS: [&str; 4] = ["SimpleScaling", "StepScaling", "TargetTrackingScaling", "PredictiveScaling"];

impl AutoScaling {
    pub(super) fn put_policy(&mut self, ask: &mut Ask) -> Handled {
        let name = need(&ask.params, "PolicyName")?.to_owned();
        let kind = ask.params.text("PolicyType").unwrap_or("SimpleScaling").to_owned();
        if !KINDS.contains(&kind.as_str()) {
            return Err(invalid(format!("'{kind}' is not a valid policy type")));
        }
        let uuid = self.uuid();
        let group = self.group(ask)?.name.clone();
        let arn = self.arn("scalingPolicy", &uuid, &format!("autoScalingGroupName/{group}:policyName/{name}"));
        let enabled = flag(&ask.params, "Enabled")?.unwrap_or(true);
        let policy = Policy { name: name.clone(), arn: arn.clone(), kind, enabled, asked: ask.params.clone() };
        let group = self.group(ask)?;
        group.scaling.retain(|policy| policy.name != name);
        group.scaling.push(policy);
        let mut xml = Xml::new();
        xml.text("PolicyARN", arn).open("Alarms", |_| ());
        Ok(Reply { body: xml.finish(), ..Reply::default() })
    }

    pub(super) fn describe_policies(&mut self, ask: &mut Ask) -> Handled {
        let (names, kinds) = (texts(&ask.params, "PolicyNames"), texts(&ask.params, "PolicyTypes"));
        if let Some(name) = ask.params.text("AutoScalingGroupName") {
            self.place(name)?;
        }
        let found: Vec<(&Group, &Policy)> = self
            .groups
            .iter()
            .filter(|group| ask.params.text("AutoScalingGroupName").is_none_or(|name| name == group.name))
            .flat_map(|group| group.scaling.iter().map(move |policy| (group, policy)))
            .filter(|(_, policy)| names.is_empty() || names.contains(&policy.name) || names.contains(&policy.arn))
            .filter(|(_, policy)| kinds.is_empty() || kinds.contains(&policy.kind))
            .collect();
        let (found, next) = page(&ask.params, "DescribePolicies", (50, 100), found)?;
        let mut xml = Xml::new();
        list(&mut xml, "ScalingPolicies", found, |xml, (group, policy)| {
            xml.text("AutoScalingGroupName", &group.name)
                .text("PolicyName", &policy.name)
                .text("PolicyARN", &policy.arn)
                .text("PolicyType", &policy.kind)
                .text("Enabled", policy.enabled)
                .opt("AdjustmentType", policy.asked.text("AdjustmentType"))
                .opt("ScalingAdjustment", policy.asked.text("ScalingAdjustment"))
                .open("Alarms", |_| ());
        });
        xml.opt("NextToken", next);
        Ok(Reply { body: xml.finish(), ..Reply::default() })
    }

    pub(super) fn delete_policy(&mut self, ask: &mut Ask) -> Handled {
        let name = need(&ask.params, "PolicyName")?.to_owned();
        let groups: Vec<&mut Group> = match ask.params.text("AutoScalingGroupName") {
            Some(_) => vec![self.group(ask)?],
            // An ARN names the group, too.
            None => self.groups.iter_mut().collect(),
        };
        let mut gone = false;
        for group in groups {
            let before = group.scaling.len();
            group.scaling.retain(|policy| policy.name != name && policy.arn != name);
            gone |= group.scaling.len() < before;
        }
        if gone { Ok(Reply::default()) } else { Err(invalid(format!("PolicyName not found: {name}"))) }
    }
}
