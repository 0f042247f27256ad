//! Auto Scaling as the rehearsal cloud answers it and does it, on top of the same EC2 that calls see.
//!
//! Written from AWS's text alone: what `plan` foretells of a group and `time` of a schedule shares no code with this, so
//! that one wrong reading shows.

mod ask;
mod balance;
mod create;
mod describe;
mod hooks;
mod instances;
mod membership;
mod policies;
mod reconcile;
mod records;
mod recurrence;
mod refresh;
mod renew;
mod schedule;
mod suspend;
mod tags;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod truth;
mod warm_pool;

use super::api::{ApiError, Call, Handled, Payload};
use super::draw;
use super::ec2::Ec2;
use super::ec2::params::Node;
use super::seed::Seed;
use ask::invalid;
use jiff::Timestamp;
use records::{Activity, Group};

/// All groups of the account in the region.
#[derive(Debug)]
pub(crate) struct AutoScaling {
    account: String,
    region: String,
    seed: u64,
    /// How many ids were given.
    given: u64,
    groups: Vec<Group>,
    /// Newest last.
    activities: Vec<Activity>,
}

/// One call, read.
struct Ask<'a> {
    params: Node,
    now: Timestamp,
    ec2: &'a mut Ec2,
}

impl AutoScaling {
    /// No group yet.
    pub(crate) fn new(seed: &Seed, rng_seed: u64) -> Self {
        Self {
            account: seed.account.clone(),
            region: seed.region.clone(),
            seed: rng_seed,
            given: 0,
            groups: Vec::new(),
            activities: Vec::new(),
        }
    }

    /// Carries a call out.
    pub(crate) fn handle(&mut self, call: &Call, ec2: &mut Ec2) -> Handled {
        let Payload::Query(pairs) = &call.payload else {
            return Err(ApiError::new("MalformedQueryString", "Auto Scaling takes form parameters"));
        };
        let params = Node::from_pairs(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let ask = &mut Ask { params, now: call.now, ec2 };
        match call.action.as_str() {
            "CreateAutoScalingGroup" => self.create_group(ask),
            "UpdateAutoScalingGroup" => self.update_group(ask),
            "DeleteAutoScalingGroup" => self.delete_group(ask),
            "DescribeAutoScalingGroups" => self.describe_groups(ask),
            "DescribeAutoScalingInstances" => self.describe_instances(ask),
            "DescribeScalingActivities" => self.describe_activities(ask),
            "SetDesiredCapacity" => self.set_desired(ask),
            "TerminateInstanceInAutoScalingGroup" => self.terminate_instance(ask),
            "SetInstanceProtection" => self.set_protection(ask),
            "SetInstanceHealth" => self.set_health(ask),
            "AttachInstances" => self.attach(ask),
            "DetachInstances" => self.detach(ask),
            "EnterStandby" => self.enter_standby(ask),
            "ExitStandby" => self.exit_standby(ask),
            "PutWarmPool" => self.put_warm_pool(ask),
            "DescribeWarmPool" => self.describe_warm_pool(ask),
            "DeleteWarmPool" => self.delete_warm_pool(ask),
            "SuspendProcesses" => self.suspend(ask),
            "ResumeProcesses" => self.resume(ask),
            "PutScheduledUpdateGroupAction" => self.put_action(ask),
            "BatchPutScheduledUpdateGroupAction" => self.put_actions(ask),
            "DeleteScheduledAction" => self.delete_action(ask),
            "BatchDeleteScheduledAction" => self.delete_actions(ask),
            "DescribeScheduledActions" => self.describe_actions(ask),
            "CreateOrUpdateTags" => self.create_tags(ask),
            "DeleteTags" => self.delete_tags(ask),
            "DescribeTags" => self.describe_tags(ask),
            "PutScalingPolicy" => self.put_policy(ask),
            "DescribePolicies" => self.describe_policies(ask),
            "DeletePolicy" => self.delete_policy(ask),
            "PutLifecycleHook" => self.put_hook(ask),
            "DescribeLifecycleHooks" => self.describe_hooks(ask),
            "DeleteLifecycleHook" => self.delete_hook(ask),
            "CompleteLifecycleAction" => self.complete_hook(ask),
            "StartInstanceRefresh" => self.start_refresh(ask),
            "DescribeInstanceRefreshes" => self.describe_refreshes(ask),
            "CancelInstanceRefresh" => self.cancel_refresh(ask),
            other => {
                let message = format!("Could not find operation {other} for version 2011-01-01");
                Err(ApiError::new("InvalidAction", message))
            }
        }
    }

    /// A UUID that nothing else has.
    fn uuid(&mut self) -> String {
        self.given += 1;
        draw::uuid(self.seed, &["autoscaling", &self.given.to_string()])
    }

    fn place(&self, name: &str) -> Result<usize, ApiError> {
        let place = self.groups.iter().position(|group| group.name == name);
        place.ok_or_else(|| invalid(format!("AutoScalingGroup name not found - null: {name}")))
    }

    /// The group that a call names.
    fn group(&mut self, ask: &Ask) -> Result<&mut Group, ApiError> {
        let place = self.place(ask::need(&ask.params, "AutoScalingGroupName")?)?;
        Ok(&mut self.groups[place])
    }

    fn arn(&self, kind: &str, uuid: &str, rest: &str) -> String {
        format!(
            "arn:{}:autoscaling:{}:{}:{kind}:{uuid}:{rest}",
            crate::sim::partition::of(&self.region),
            self.region,
            self.account
        )
    }
}
