//! Auto Scaling groups: looked at, and their scheduled actions changed.

use super::Clients;
use super::convert::{instant, need, pages, read};
use super::exact::{capture, invalid, send};
use crate::gate::ConsentedGroup;
use crate::journal::{Draft, Permit};
use crate::model::{
    DRAIN_HOOK, Fault, Group, GroupMember, Hook, InstanceId, Market, Mixed, ScheduledAction, SubnetId, Tags, TemplateId,
};
use aws_sdk_autoscaling::types::{
    AutoScalingGroup, FailedScheduledUpdateGroupActionRequest, Instance, MixedInstancesPolicy,
    ScheduledUpdateGroupActionRequest,
};
use jiff::Timestamp;
use std::collections::BTreeMap;

const GROUPS: &str = "DescribeAutoScalingGroups";
const ACTIONS: &str = "DescribeScheduledActions";
const HOOKS: &str = "DescribeLifecycleHooks";
const POLICIES: &str = "DescribePolicies";
const PUT: &str = "BatchPutScheduledUpdateGroupAction";
const DELETE: &str = "BatchDeleteScheduledAction";

/// Scheduled actions in one batch: Auto Scaling's bound.
pub const ACTIONS_AT_ONCE: usize = 50;

/// One item of a batch that AWS did not take, in an answer of success.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Refused {
    /// The action's name.
    pub name: String,
    /// AWS's code.
    pub code: String,
    /// AWS's words.
    pub message: String,
}

impl Clients {
    /// The group of this name as Auto Scaling has it: when its instances were launched and how they are paid is not said.
    pub async fn group_alone(&self, name: &str) -> Result<Option<Group>, Fault> {
        let call = self.autoscaling().describe_auto_scaling_groups().auto_scaling_group_names(name);
        let found = read(GROUPS, call.send()).await?.auto_scaling_groups.unwrap_or_default();
        found.into_iter().find(|group| group.auto_scaling_group_name() == Some(name)).map(group).transpose()
    }

    /// The group of this name with its instances, absent if there is none.
    pub async fn group(&self, name: &str) -> Result<Option<Group>, Fault> {
        let Some(mut group) = self.group_alone(name).await? else { return Ok(None) };
        let ids: Vec<InstanceId> = group.members.iter().map(|member| member.id.clone()).collect();
        let instances: BTreeMap<_, _> =
            self.instances_by_ids(&ids).await?.into_iter().map(|instance| (instance.id.clone(), instance)).collect();
        for member in &mut group.members {
            if let Some(instance) = instances.get(&member.id) {
                member.launched = Some(instance.launched);
                member.market = instance.market;
            }
        }
        Ok(Some(group))
    }

    /// Our lifecycle hook of a group, absent if it has none of ours.
    pub async fn drain_hook(&self, group: &str) -> Result<Option<Hook>, Fault> {
        let call = self.autoscaling().describe_lifecycle_hooks().auto_scaling_group_name(group);
        let found =
            read(HOOKS, call.lifecycle_hook_names(DRAIN_HOOK).send()).await?.lifecycle_hooks.unwrap_or_default();
        Ok(found.into_iter().find(|hook| hook.lifecycle_hook_name() == Some(DRAIN_HOOK)).map(|hook| Hook {
            transition: hook.lifecycle_transition.unwrap_or_default(),
            seconds: hook.heartbeat_timeout.and_then(|seconds| u32::try_from(seconds).ok()).unwrap_or_default(),
            result: hook.default_result.unwrap_or_default(),
        }))
    }

    /// All scheduled actions of a group, ours and others'.
    pub async fn scheduled_actions(&self, group: &str) -> Result<Vec<ScheduledAction>, Fault> {
        let raw = pages(ACTIONS, |token| {
            let call = self.autoscaling().describe_scheduled_actions().auto_scaling_group_name(group);
            let call = call.max_records(100).set_next_token(token);
            async {
                let answer = read(ACTIONS, call.send()).await?;
                Ok((answer.scheduled_update_group_actions.unwrap_or_default(), answer.next_token))
            }
        });
        let size = |size: Option<i32>| size.and_then(|size| u32::try_from(size).ok());
        raw.await?
            .into_iter()
            .map(|action| {
                Ok(ScheduledAction {
                    name: need(ACTIONS, "name of an action", action.scheduled_action_name)?,
                    recurrence: action.recurrence,
                    zone: action.time_zone,
                    start: action.start_time.as_ref().and_then(instant),
                    end: action.end_time.as_ref().and_then(instant),
                    min: size(action.min_size),
                    max: size(action.max_size),
                    desired: size(action.desired_capacity),
                })
            })
            .collect()
    }

    /// Names of a group's scaling policies.
    pub async fn scaling_policies(&self, group: &str) -> Result<Vec<String>, Fault> {
        let raw = pages(POLICIES, |token| {
            let call = self.autoscaling().describe_policies().auto_scaling_group_name(group).set_next_token(token);
            async {
                let answer = read(POLICIES, call.send()).await?;
                Ok((answer.scaling_policies.unwrap_or_default(), answer.next_token))
            }
        });
        Ok(raw.await?.into_iter().filter_map(|policy| policy.policy_name).collect())
    }

    /// Drafts scheduled actions of ours; the same ones again change nothing.
    ///
    /// # Errors
    ///
    /// `Invalid` for none, more than 50, or a name that does not begin as ours do.
    pub async fn draft_put_actions(&self, group: &ConsentedGroup, actions: &[ScheduledAction]) -> Result<Draft, Fault> {
        ours(PUT, actions.iter().map(|action| action.name.as_str()), group)?;
        self.draft_actions(group.name(), actions).await
    }

    /// Drafts these actions, whatever they are for.
    pub(super) async fn draft_actions(&self, group: &str, actions: &[ScheduledAction]) -> Result<Draft, Fault> {
        let size = |size: Option<u32>| size.and_then(|size| i32::try_from(size).ok());
        let time = |at: Option<Timestamp>| at.map(|at| aws_smithy_types::DateTime::from_secs(at.as_second()));
        let request = |action: &ScheduledAction| {
            let request = ScheduledUpdateGroupActionRequest::builder()
                .scheduled_action_name(&action.name)
                .set_recurrence(action.recurrence.clone())
                .set_time_zone(action.zone.clone())
                .set_start_time(time(action.start))
                .set_end_time(time(action.end))
                .set_min_size(size(action.min))
                .set_max_size(size(action.max))
                .set_desired_capacity(size(action.desired));
            request.build()
        };
        let call = self.autoscaling().batch_put_scheduled_update_group_action().auto_scaling_group_name(group);
        let call = call.set_scheduled_update_group_actions(Some(actions.iter().map(request).collect()));
        capture(PUT, None, |hook| call.customize().interceptor(hook).send()).await
    }

    /// Puts the drafted actions; tells those that AWS did not take.
    pub async fn put_actions(&self, permit: &Permit) -> Result<Vec<Refused>, Fault> {
        let call = self.autoscaling().batch_put_scheduled_update_group_action().customize();
        let answer = send(PUT, permit, |hook| call.interceptor(hook).send()).await?;
        Ok(refused(answer.failed_scheduled_update_group_actions.unwrap_or_default()))
    }

    /// Drafts the end of scheduled actions of ours.
    ///
    /// # Errors
    ///
    /// `Invalid` for none, more than 50, or a name that does not begin as ours do.
    pub async fn draft_delete_actions(&self, group: &ConsentedGroup, names: &[String]) -> Result<Draft, Fault> {
        ours(DELETE, names.iter().map(String::as_str), group)?;
        let call = self.autoscaling().batch_delete_scheduled_action().auto_scaling_group_name(group.name());
        let call = call.set_scheduled_action_names(Some(names.to_vec()));
        capture(DELETE, None, |hook| call.customize().interceptor(hook).send()).await
    }

    /// Deletes the drafted actions; tells those that AWS did not.
    pub async fn delete_actions(&self, permit: &Permit) -> Result<Vec<Refused>, Fault> {
        let call = self.autoscaling().batch_delete_scheduled_action().customize();
        let answer = send(DELETE, permit, |hook| call.interceptor(hook).send()).await?;
        Ok(refused(answer.failed_scheduled_actions.unwrap_or_default()))
    }
}

/// Nothing goes into a batch that another may have made.
fn ours<'n>(action: &str, names: impl ExactSizeIterator<Item = &'n str>, group: &ConsentedGroup) -> Result<(), Fault> {
    let count = names.len();
    if count == 0 || count > ACTIONS_AT_ONCE {
        return Err(invalid(action, &format!("{count} scheduled actions at once")));
    }
    for name in names {
        if !name.starts_with(group.prefix()) {
            return Err(invalid(action, &format!("the scheduled action {name} is not this fleet's")));
        }
    }
    Ok(())
}

fn refused(failed: Vec<FailedScheduledUpdateGroupActionRequest>) -> Vec<Refused> {
    failed
        .into_iter()
        .map(|item| Refused {
            name: item.scheduled_action_name.unwrap_or_default(),
            code: item.error_code.unwrap_or_default(),
            message: item.error_message.unwrap_or_default(),
        })
        .collect()
}

fn group(raw: AutoScalingGroup) -> Result<Group, Fault> {
    let size =
        |what: &str, size: Option<i32>| need(GROUPS, what, size).map(|size| u32::try_from(size).unwrap_or_default());
    let tags: Tags = raw.tags().iter().filter_map(|tag| Some((tag.key()?, tag.value().unwrap_or_default()))).collect();
    let specification = raw
        .launch_template()
        .or_else(|| raw.mixed_instances_policy()?.launch_template()?.launch_template_specification());
    let template = specification.and_then(|template| template.launch_template_id()).map(TemplateId::new);
    let version = specification.and_then(|template| template.version()).and_then(|version| version.parse().ok());
    let suspended = raw.suspended_processes().iter().filter_map(|process| process.process_name().map(str::to_owned));
    Ok(Group {
        min: size("min size", raw.min_size)?,
        max: size("max size", raw.max_size)?,
        desired: size("desired capacity", raw.desired_capacity)?,
        zones: raw.availability_zones().to_vec(),
        subnets: raw
            .vpc_zone_identifier()
            .unwrap_or_default()
            .split(',')
            .filter(|id| !id.is_empty())
            .map(SubnetId::new)
            .collect(),
        grace: raw.health_check_grace_period.and_then(|seconds| u32::try_from(seconds).ok()).unwrap_or(0),
        rebalance: raw.capacity_rebalance.unwrap_or(false),
        policies: raw.termination_policies().to_vec(),
        members: raw.instances().iter().map(member).collect::<Result<_, _>>()?,
        suspended: suspended.collect(),
        template,
        version,
        mixed: raw.mixed_instances_policy().map(mixed),
        protects_new: raw.new_instances_protected_from_scale_in().unwrap_or(false),
        maintenance: raw.instance_maintenance_policy().is_some(),
        warm_pool: raw.warm_pool_configuration().is_some(),
        tags,
        status: raw.status.clone(),
        name: need(GROUPS, "name", raw.auto_scaling_group_name)?,
    })
}

fn member(raw: &Instance) -> Result<GroupMember, Fault> {
    let text = |what: &str, field: Option<&str>| need(GROUPS, what, field).map(str::to_owned);
    let template = raw.launch_template().and_then(|template| {
        Some((TemplateId::new(template.launch_template_id()?), template.version()?.parse().ok()?))
    });
    Ok(GroupMember {
        id: InstanceId::new(text("instance id", raw.instance_id())?),
        zone: text("zone", raw.availability_zone())?,
        instance_type: raw.instance_type().unwrap_or_default().to_owned(),
        state: raw.lifecycle_state().map(|state| state.as_str().to_owned()).unwrap_or_default(),
        healthy: raw.health_status() != Some("Unhealthy"),
        protected: raw.protected_from_scale_in().unwrap_or(false),
        template,
        launched: None,
        market: Market::OnDemand,
    })
}

fn mixed(policy: &MixedInstancesPolicy) -> Mixed {
    let spread = policy.instances_distribution();
    let number = |number: Option<i32>, usual: u32| number.and_then(|n| u32::try_from(n).ok()).unwrap_or(usual);
    let overrides =
        policy.launch_template().map(aws_sdk_autoscaling::types::LaunchTemplate::overrides).unwrap_or_default();
    Mixed {
        base: number(spread.and_then(aws_sdk_autoscaling::types::InstancesDistribution::on_demand_base_capacity), 0),
        percent: number(
            spread
                .and_then(aws_sdk_autoscaling::types::InstancesDistribution::on_demand_percentage_above_base_capacity),
            100,
        ),
        types: overrides.iter().filter_map(|one| one.instance_type().map(str::to_owned)).collect(),
        on_demand: spread.and_then(|spread| spread.on_demand_allocation_strategy()).unwrap_or("prioritized").to_owned(),
        spot: spread.and_then(|spread| spread.spot_allocation_strategy()).unwrap_or("lowest-price").to_owned(),
        max_price: spread
            .and_then(|spread| spread.spot_max_price())
            .filter(|price| !price.is_empty())
            .map(str::to_owned),
        weighted: overrides
            .iter()
            .any(|one| one.weighted_capacity().is_some() || one.instance_requirements().is_some()),
    }
}
