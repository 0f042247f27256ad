//! The fleet's own Auto Scaling group: made empty, changed, sized, and deleted when it is empty again.

use super::Clients;
use super::classify::classify_code;
use super::convert::{instant, read};
use super::exact::{capture, invalid, send};
use super::images::one;
use crate::gate::{OwnedGroup, OwnedIds};
use crate::journal::{Draft, Permit};
use crate::model::{
    Activity, DRAIN_HOOK, Fault, FaultKind, GroupRequest, Hook, InstanceId, ScheduledAction, Tags, TemplateId, tags,
};
use aws_sdk_autoscaling::types::{
    InstancesDistribution, LaunchTemplate, LaunchTemplateOverrides, LaunchTemplateSpecification,
    LifecycleHookSpecification, MixedInstancesPolicy, Tag,
};

const CREATE: &str = "CreateAutoScalingGroup";
const UPDATE: &str = "UpdateAutoScalingGroup";
const DELETE: &str = "DeleteAutoScalingGroup";
const PUT_HOOK: &str = "PutLifecycleHook";
const DELETE_HOOK: &str = "DeleteLifecycleHook";
const TAG: &str = "CreateOrUpdateTags";
const TERMINATE: &str = "TerminateInstanceInAutoScalingGroup";
const SHIELD: &str = "SetInstanceProtection";
const ACTIVITIES: &str = "DescribeScalingActivities";

impl Clients {
    /// Drafts the group, empty: hosts come when its size is raised. It has no ClientToken; its name is unique, so that the
    /// same call again is refused instead of making a second one.
    pub async fn draft_group(
        &self,
        request: &GroupRequest,
        template: &TemplateId,
        version: i64,
    ) -> Result<Draft, Fault> {
        let call = self
            .autoscaling()
            .create_auto_scaling_group()
            .auto_scaling_group_name(&request.name)
            .mixed_instances_policy(policy(request, template, version))
            .min_size(0)
            .max_size(0)
            .desired_capacity(0)
            .vpc_zone_identifier(zones(request))
            .health_check_type("EC2")
            .health_check_grace_period(seconds(request))
            .capacity_rebalance(request.rebalance)
            .set_lifecycle_hook_specification_list(request.hook.as_ref().map(|hook| vec![born_with(hook)]))
            .set_tags(Some(tag_list(&request.name, &request.tags)));
        // Its hosts carry the intent, so that the journal knows them for ours.
        let intent = request.tags.get(tags::INTENT);
        capture(CREATE, intent, |hook| call.customize().interceptor(hook).send()).await
    }

    /// Makes the drafted group.
    pub async fn create_group(&self, permit: &Permit) -> Result<(), Fault> {
        let call = self.autoscaling().create_auto_scaling_group().customize();
        send(CREATE, permit, |hook| call.interceptor(hook).send()).await.map(drop).map_err(unseen_template)
    }

    /// Drafts what the group launches and where, its sizes left as they are.
    pub async fn draft_group_change(
        &self,
        request: &GroupRequest,
        template: &TemplateId,
        version: i64,
    ) -> Result<Draft, Fault> {
        let call = self
            .autoscaling()
            .update_auto_scaling_group()
            .auto_scaling_group_name(&request.name)
            .mixed_instances_policy(policy(request, template, version))
            .vpc_zone_identifier(zones(request))
            .health_check_type("EC2")
            .health_check_grace_period(seconds(request))
            .capacity_rebalance(request.rebalance);
        capture(UPDATE, None, |hook| call.customize().interceptor(hook).send()).await
    }

    /// Drafts a larger size: nothing ends by it, since the size is never below what the group has.
    pub async fn draft_group_size(&self, name: &str, size: u32) -> Result<Draft, Fault> {
        self.draft_size(name, size).await
    }

    /// Drafts a smaller size, zero among them.
    pub async fn draft_group_shrunk(&self, group: &OwnedGroup, size: u32) -> Result<Draft, Fault> {
        self.draft_size(group.name(), size).await
    }

    /// The least size is always zero: then a host can be ended together with its place.
    async fn draft_size(&self, name: &str, size: u32) -> Result<Draft, Fault> {
        let size = i32::try_from(size).map_err(|_| invalid(UPDATE, &format!("a group of {size} hosts")))?;
        let call = self.autoscaling().update_auto_scaling_group().auto_scaling_group_name(name);
        let call = call.min_size(0).max_size(size).desired_capacity(size);
        capture(UPDATE, None, |hook| call.customize().interceptor(hook).send()).await
    }

    /// Changes the group as drafted.
    pub async fn update_group(&self, permit: &Permit) -> Result<(), Fault> {
        let call = self.autoscaling().update_auto_scaling_group().customize();
        send(UPDATE, permit, |hook| call.interceptor(hook).send()).await.map(drop).map_err(unseen_template)
    }

    /// Drafts tags of the group that its later hosts get as well.
    pub async fn draft_group_tags(&self, name: &str, tags: &Tags) -> Result<Draft, Fault> {
        let call = self.autoscaling().create_or_update_tags().set_tags(Some(tag_list(name, tags)));
        capture(TAG, None, |hook| call.customize().interceptor(hook).send()).await
    }

    /// Puts the drafted tags.
    pub async fn tag_group(&self, permit: &Permit) -> Result<(), Fault> {
        let call = self.autoscaling().create_or_update_tags().customize();
        send(TAG, permit, |hook| call.interceptor(hook).send()).await.map(drop)
    }

    /// Drafts our lifecycle hook; the same again changes nothing.
    pub async fn draft_hook(&self, name: &str, hook: &Hook) -> Result<Draft, Fault> {
        let call = self.autoscaling().put_lifecycle_hook().auto_scaling_group_name(name);
        let call = call.lifecycle_hook_name(DRAIN_HOOK).lifecycle_transition(&hook.transition);
        let call = call.heartbeat_timeout(heartbeat(hook)).default_result(&hook.result);
        capture(PUT_HOOK, None, |hook| call.customize().interceptor(hook).send()).await
    }

    /// Puts the drafted hook.
    pub async fn put_hook(&self, permit: &Permit) -> Result<(), Fault> {
        let call = self.autoscaling().put_lifecycle_hook().customize();
        send(PUT_HOOK, permit, |hook| call.interceptor(hook).send()).await.map(drop)
    }

    /// Drafts the end of our lifecycle hook: what it holds then ends at once.
    pub async fn draft_hook_end(&self, group: &OwnedGroup) -> Result<Draft, Fault> {
        let call = self.autoscaling().delete_lifecycle_hook().auto_scaling_group_name(group.name());
        let call = call.lifecycle_hook_name(DRAIN_HOOK);
        capture(DELETE_HOOK, None, |hook| call.customize().interceptor(hook).send()).await
    }

    /// Ends the drafted hook.
    pub async fn end_hook(&self, permit: &Permit) -> Result<(), Fault> {
        let call = self.autoscaling().delete_lifecycle_hook().customize();
        send(DELETE_HOOK, permit, |hook| call.interceptor(hook).send()).await.map(drop)
    }

    /// Drafts the group's dead-man's switch: one scheduled action, under one name, that runs once.
    pub async fn draft_group_end(&self, group: &OwnedGroup, action: &ScheduledAction) -> Result<Draft, Fault> {
        self.draft_actions(group.name(), std::slice::from_ref(action)).await
    }

    /// Drafts the end of one host, and of its place in the group where it has one.
    ///
    /// # Errors
    ///
    /// `Invalid` unless there is exactly one id: the call names no group, since a host is in one at most.
    pub async fn draft_leave(&self, _: &OwnedGroup, host: &OwnedIds, placed: bool) -> Result<Draft, Fault> {
        let call = self.autoscaling().terminate_instance_in_auto_scaling_group();
        let call = call.instance_id(one(TERMINATE, host)?).should_decrement_desired_capacity(placed);
        capture(TERMINATE, None, |hook| call.customize().interceptor(hook).send()).await
    }

    /// Ends the drafted host and its place.
    pub async fn leave(&self, permit: &Permit) -> Result<(), Fault> {
        let call = self.autoscaling().terminate_instance_in_auto_scaling_group().customize();
        send(TERMINATE, permit, |hook| call.interceptor(hook).send()).await.map(drop)
    }

    /// Drafts that scale-in keeps this member, or no longer.
    pub async fn draft_shield(&self, group: &str, host: &InstanceId, on: bool) -> Result<Draft, Fault> {
        let call = self.autoscaling().set_instance_protection().auto_scaling_group_name(group);
        let call = call.instance_ids(host.as_str()).protected_from_scale_in(on);
        capture(SHIELD, None, |hook| call.customize().interceptor(hook).send()).await
    }

    /// Sets the drafted protection.
    pub async fn shield(&self, permit: &Permit) -> Result<(), Fault> {
        let call = self.autoscaling().set_instance_protection().customize();
        send(SHIELD, permit, |hook| call.interceptor(hook).send()).await.map(drop)
    }

    /// Drafts the end of an empty group: AWS refuses it while there is an instance in it.
    pub async fn draft_delete_group(&self, group: &OwnedGroup) -> Result<Draft, Fault> {
        let call = self.autoscaling().delete_auto_scaling_group().auto_scaling_group_name(group.name());
        capture(DELETE, None, |hook| call.customize().interceptor(hook).send()).await
    }

    /// Deletes the drafted group.
    pub async fn delete_group(&self, permit: &Permit) -> Result<(), Fault> {
        let call = self.autoscaling().delete_auto_scaling_group().customize();
        send(DELETE, permit, |hook| call.interceptor(hook).send()).await.map(drop)
    }

    /// The group's newest activities, newest first, at most 100.
    pub async fn activities(&self, name: &str) -> Result<Vec<Activity>, Fault> {
        let call = self.autoscaling().describe_scaling_activities().auto_scaling_group_name(name).max_records(100);
        let raw = read(ACTIVITIES, call.send()).await?.activities.unwrap_or_default();
        let told = raw.into_iter().map(|activity| {
            let message = activity.status_message.unwrap_or_default();
            Activity {
                place: activity.details.as_deref().and_then(place),
                id: activity.activity_id.unwrap_or_default(),
                started: activity.start_time.as_ref().and_then(instant),
                status: activity.status_code.map(|status| status.as_str().to_owned()).unwrap_or_default(),
                kind: code(&message).map(|code| classify_code(code, &message, UNKNOWN).0),
                message,
            }
        });
        Ok(told.collect())
    }
}

/// An unknown code in a message says as little as a failure inside AWS.
const UNKNOWN: u16 = 500;

/// AWS's code in a message (`... CODE - text ...`), where there is one.
fn code(message: &str) -> Option<&str> {
    let (before, _) = message.split_once(" - ")?;
    let word = before.rsplit([' ', ':']).next()?;
    let code = word.len() > 3 && word.starts_with(|c: char| c.is_ascii_uppercase());
    (code && word.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'.')).then_some(word)
}

/// `us-east-1a` of an activity's details, which are JSON.
fn place(details: &str) -> Option<String> {
    let details: serde_json::Value = serde_json::from_str(details).ok()?;
    details.get("Availability Zone")?.as_str().map(str::to_owned)
}

/// Both markets over all types; spot from the pools least likely to be interrupted among the cheap ones, on-demand by the
/// order of the types.
fn policy(request: &GroupRequest, template: &TemplateId, version: i64) -> MixedInstancesPolicy {
    let specification = LaunchTemplateSpecification::builder()
        .launch_template_id(template.as_str())
        .version(version.to_string())
        .build();
    let count = |n: u32| i32::try_from(n).unwrap_or(i32::MAX);
    let overrides = request.types.iter().map(|kind| LaunchTemplateOverrides::builder().instance_type(kind).build());
    let spread = InstancesDistribution::builder()
        .on_demand_allocation_strategy("prioritized")
        .on_demand_base_capacity(count(request.base))
        .on_demand_percentage_above_base_capacity(count(request.percent))
        .spot_allocation_strategy("price-capacity-optimized")
        // Empty takes a former bound away; absent would leave it.
        .spot_max_price(request.max_price.as_deref().unwrap_or_default());
    let template =
        LaunchTemplate::builder().launch_template_specification(specification).set_overrides(Some(overrides.collect()));
    MixedInstancesPolicy::builder().launch_template(template.build()).instances_distribution(spread.build()).build()
}

fn heartbeat(hook: &Hook) -> i32 {
    i32::try_from(hook.seconds).unwrap_or(i32::MAX)
}

/// The hook as a group is made with it, so that no host is ever without.
fn born_with(hook: &Hook) -> LifecycleHookSpecification {
    let sketch = LifecycleHookSpecification::builder().lifecycle_hook_name(DRAIN_HOOK);
    let sketch = sketch.lifecycle_transition(&hook.transition).default_result(&hook.result);
    sketch.heartbeat_timeout(heartbeat(hook)).build()
}

fn zones(request: &GroupRequest) -> String {
    request.subnets.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

fn seconds(request: &GroupRequest) -> i32 {
    i32::try_from(request.grace).unwrap_or(i32::MAX)
}

fn tag_list(group: &str, of_it: &Tags) -> Vec<Tag> {
    let tag = |(key, value): (&str, &str)| {
        let tag = Tag::builder().resource_id(group).resource_type("auto-scaling-group");
        // A host that bore its group's end would power itself off, and the group would replace it.
        tag.key(key).value(value).propagate_at_launch(key != tags::EXPIRES).build()
    };
    of_it.iter().map(tag).collect()
}

/// The launch template was made moments ago, so that Auto Scaling may not see it, or its version, yet.
fn unseen_template(fault: Fault) -> Fault {
    if fault.code == "ValidationError" && fault.message.to_ascii_lowercase().contains("launch template") {
        return Fault { kind: FaultKind::Gone, ..fault };
    }
    fault
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_of_a_failed_launch_is_read_from_its_message() {
        let spot = "Could not launch Spot Instances. InsufficientInstanceCapacity - There is no Spot capacity available \
                    that matches your request. Launching EC2 instance failed.";
        assert_eq!(code(spot), Some("InsufficientInstanceCapacity"));
        assert_eq!(code("VcpuLimitExceeded - You have requested more"), Some("VcpuLimitExceeded"));
        assert_eq!(code("We currently do not have sufficient m7i.large capacity"), None);
        assert_eq!(code("try again - later"), None);
        assert_eq!(
            place(r#"{"Availability Zone":"us-east-1a","Subnet ID":"subnet-a"}"#).as_deref(),
            Some("us-east-1a")
        );
        assert_eq!(place("{}"), None);
    }
}
