//! CreateAutoScalingGroup, UpdateAutoScalingGroup, DeleteAutoScalingGroup, SetDesiredCapacity.

use super::ask::{flag, invalid, members, need, texts, whole};
use super::records::{Group, Mixed, TemplateRef};
use super::{Ask, AutoScaling, tags};
use crate::sim::api::{ApiError, Handled, Reply};
use crate::sim::ec2::params::Node;
use std::collections::BTreeMap;

/// Policies that AWS knows by name.
const POLICIES: [&str; 7] = [
    "Default",
    "AllocationStrategy",
    "OldestLaunchTemplate",
    "OldestLaunchConfiguration",
    "ClosestToNextInstanceHour",
    "NewestInstance",
    "OldestInstance",
];

/// Groups of an account in a region.
const MOST_GROUPS: usize = 500;

impl AutoScaling {
    pub(super) fn create_group(&mut self, ask: &mut Ask) -> Handled {
        let name = need(&ask.params, "AutoScalingGroupName")?.to_owned();
        if name.chars().count() > 255 || name.contains(':') {
            return Err(invalid(format!("'{name}' is no valid name for an Auto Scaling group")));
        }
        if self.groups.iter().any(|group| group.name == name) {
            return Err(ApiError::new(
                "AlreadyExists",
                format!("AutoScalingGroup by this name already exists - A group with the name {name} already exists"),
            ));
        }
        if self.groups.len() >= MOST_GROUPS {
            return Err(ApiError::new("LimitExceeded", format!("Group limit exceeded. Limit: {MOST_GROUPS}")));
        }
        let (template, mixed) = launched_from(ask)?.ok_or_else(|| {
            invalid("Valid requests must contain either LaunchTemplate, LaunchConfigurationName, InstanceId or MixedInstancesPolicy parameter.")
        })?;
        let min = whole(&ask.params, "MinSize")?.ok_or_else(|| invalid("MinSize is required"))?;
        let max = whole(&ask.params, "MaxSize")?.ok_or_else(|| invalid("MaxSize is required"))?;
        let subnets =
            subnets(ask)?.ok_or_else(|| invalid("At least one Availability Zone or VPC Subnet is required."))?;
        let uuid = self.uuid();
        let mut group = Group {
            arn: self.arn("autoScalingGroup", &uuid, &format!("autoScalingGroupName/{name}")),
            name: name.clone(),
            created: ask.now,
            template,
            mixed,
            min: 0,
            max: u32::MAX,
            desired: min,
            cooldown: whole(&ask.params, "DefaultCooldown")?.unwrap_or(300),
            subnets,
            health_check: "EC2".to_owned(),
            grace: 0,
            policies: vec!["Default".to_owned()],
            protect_new: false,
            rebalance: None,
            lifetime: None,
            maintenance: None,
            tags: Vec::new(),
            suspended: BTreeMap::new(),
            members: Vec::new(),
            actions: Vec::new(),
            hooks: super::hooks::born_with(&ask.params)?,
            scaling: Vec::new(),
            refreshes: Vec::new(),
            warm_pool: false,
            deleting: false,
            evening: None,
            retry: None,
            cause: "a user request created an AutoScalingGroup".to_owned(),
        };
        tags::put(&mut group, members(&ask.params, "Tags"))?;
        settings(&mut group, &ask.params)?;
        group.resize(Some(min), Some(max), whole(&ask.params, "DesiredCapacity")?).map_err(invalid)?;
        self.groups.push(group);
        Ok(Reply { made: vec![name], ..Reply::default() })
    }

    pub(super) fn update_group(&mut self, ask: &mut Ask) -> Handled {
        let changed = launched_from(ask)?;
        let subnets = subnets(ask)?;
        let group = self.group(ask)?;
        let (min, max) = (whole(&ask.params, "MinSize")?, whole(&ask.params, "MaxSize")?);
        let mut after = group.clone();
        after.resize(min, max, whole(&ask.params, "DesiredCapacity")?).map_err(invalid)?;
        settings(&mut after, &ask.params)?;
        if let Some((template, mixed)) = changed {
            (after.template, after.mixed) = (template, mixed);
        }
        after.subnets = subnets.unwrap_or(after.subnets);
        after.cause = caused(group, &after, "a user request update of AutoScalingGroup constraints");
        *group = after;
        Ok(Reply::default())
    }

    pub(super) fn set_desired(&mut self, ask: &mut Ask) -> Handled {
        let wanted = whole(&ask.params, "DesiredCapacity")?.ok_or_else(|| invalid("DesiredCapacity is required"))?;
        let group = self.group(ask)?;
        let (min, max) = (group.min, group.max);
        if wanted > max {
            return Err(invalid(format!(
                "New SetDesiredCapacity value {wanted} is above max value {max} for the AutoScalingGroup."
            )));
        }
        if wanted < min {
            return Err(invalid(format!(
                "New SetDesiredCapacity value {wanted} is below min value {min} for the AutoScalingGroup."
            )));
        }
        let mut after = group.clone();
        after.desired = wanted;
        after.cause = caused(group, &after, "a user request explicitly set group desired capacity");
        *group = after;
        Ok(Reply::default())
    }

    /// Without force a group must be empty; with force its instances end with it.
    pub(super) fn delete_group(&mut self, ask: &mut Ask) -> Handled {
        let force = flag(&ask.params, "ForceDelete")?.unwrap_or(false);
        let name = need(&ask.params, "AutoScalingGroupName")?.to_owned();
        let place = self.place(&name)?;
        let group = &mut self.groups[place];
        if !force && group.staying().next().is_some() {
            return Err(ApiError::new(
                "ResourceInUse",
                "You cannot delete an AutoScalingGroup while there are instances or pending Spot instance request(s) still in the group.",
            ));
        }
        if !force && !group.members.is_empty() {
            let message =
                "You cannot delete an AutoScalingGroup while there are scaling activities in progress for that group.";
            return Err(ApiError::new("ScalingActivityInProgress", message));
        }
        (group.min, group.desired, group.deleting) = (0, 0, true);
        // A forced deletion waits for no hook and spares nobody.
        group.hooks.clear();
        group.actions.clear();
        "a user request deleted the AutoScalingGroup".clone_into(&mut group.cause);
        let ended: Vec<String> = group.members.iter().map(|member| member.id.clone()).collect();
        for id in &ended {
            ask.ec2.end_for_group(id);
        }
        for member in &mut group.members {
            member.life = super::records::Life::Terminating;
        }
        Ok(Reply { ended, ..Reply::default() })
    }
}

/// What the console writes about a change of the desired capacity.
pub(super) fn caused(before: &Group, after: &Group, what: &str) -> String {
    if before.desired == after.desired {
        return before.cause.clone();
    }
    format!("{what} changing the desired capacity from {} to {}", before.desired, after.desired)
}

/// Launch template or mixed instances policy, each checked against what is there.
fn launched_from(ask: &Ask) -> Result<Option<(TemplateRef, Option<Mixed>)>, ApiError> {
    let resolve = |node: &Node| -> Result<TemplateRef, ApiError> {
        let (id, name, _) = ask.ec2.template_for_group(node).map_err(|error| {
            invalid(format!("You must use a valid fully-formed launch template. {}", error.message))
        })?;
        let version = node.text("Version").unwrap_or("$Default").to_owned();
        Ok(TemplateRef { id, name, version })
    };
    match (ask.params.at("LaunchTemplate"), ask.params.at("MixedInstancesPolicy")) {
        (Some(_), Some(_)) => Err(invalid("LaunchTemplate and MixedInstancesPolicy cannot both be given")),
        (Some(node), None) => Ok(Some((resolve(node)?, None))),
        (None, Some(policy)) => {
            let node = policy
                .at("LaunchTemplate.LaunchTemplateSpecification")
                .ok_or_else(|| invalid("MixedInstancesPolicy needs a LaunchTemplateSpecification"))?;
            let template = resolve(node)?;
            let spread = policy.at("InstancesDistribution").cloned().unwrap_or_default();
            let overrides = policy.at("LaunchTemplate").map(|node| members(node, "Overrides")).unwrap_or_default();
            if overrides
                .iter()
                .any(|over| over.at("InstanceRequirements").is_some() || over.text("WeightedCapacity").is_some())
            {
                return Err(ApiError::new(
                    "UnsupportedOperation",
                    "The rehearsal cloud knows overrides by type, without requirements and weights",
                ));
            }
            let percent = whole(&spread, "OnDemandPercentageAboveBaseCapacity")?.unwrap_or(100);
            if percent > 100 {
                return Err(invalid("OnDemandPercentageAboveBaseCapacity must be from 0 to 100"));
            }
            let word = |name: &str, usual: &str| spread.text(name).unwrap_or(usual).to_owned();
            let mixed = Mixed {
                kinds: overrides.iter().filter_map(|over| over.string("InstanceType")).collect(),
                base: whole(&spread, "OnDemandBaseCapacity")?.unwrap_or(0),
                percent,
                on_demand: word("OnDemandAllocationStrategy", "prioritized"),
                spot: word("SpotAllocationStrategy", "lowest-price"),
                asked: policy.clone(),
            };
            Ok(Some((template, Some(mixed))))
        }
        (None, None) => Ok(None),
    }
}

/// Subnets named, or one in each zone named.
fn subnets(ask: &Ask) -> Result<Option<Vec<(String, String)>>, ApiError> {
    if let Some(list) = ask.params.text("VPCZoneIdentifier") {
        let found = list.split(',').map(str::trim).map(|id| {
            let zone = ask.ec2.zone_of_subnet(id);
            zone.map(|zone| (id.to_owned(), zone))
                .ok_or_else(|| invalid(format!("The subnet ID '{id}' does not exist")))
        });
        return found.collect::<Result<Vec<_>, _>>().map(Some);
    }
    let zones = texts(&ask.params, "AvailabilityZones");
    if zones.is_empty() {
        return Ok(None);
    }
    let found = zones.into_iter().map(|zone| {
        let subnet = ask.ec2.subnet_in_zone(&zone);
        subnet.map(|id| (id, zone.clone())).ok_or_else(|| invalid(format!("Invalid availability zone: [{zone}]")))
    });
    found.collect::<Result<Vec<_>, _>>().map(Some)
}

/// What Create and Update both may say.
fn settings(group: &mut Group, params: &Node) -> Result<(), ApiError> {
    group.cooldown = whole(params, "DefaultCooldown")?.unwrap_or(group.cooldown);
    group.grace = whole(params, "HealthCheckGracePeriod")?.unwrap_or(group.grace);
    group.health_check = params.string("HealthCheckType").unwrap_or_else(|| group.health_check.clone());
    group.protect_new = flag(params, "NewInstancesProtectedFromScaleIn")?.unwrap_or(group.protect_new);
    group.rebalance = flag(params, "CapacityRebalance")?.or(group.rebalance);
    group.lifetime = whole(params, "MaxInstanceLifetime")?.or(group.lifetime);
    if let Some(policy) = params.at("InstanceMaintenancePolicy") {
        let pair = (whole(policy, "MinHealthyPercentage")?, whole(policy, "MaxHealthyPercentage")?);
        group.maintenance = pair.0.zip(pair.1);
    }
    let policies = texts(params, "TerminationPolicies");
    if !policies.is_empty() {
        let function = |word: &str| word.starts_with("arn:aws") && word.contains(":lambda:");
        if let Some(bad) = policies.iter().find(|word| !POLICIES.contains(&word.as_str()) && !function(word)) {
            return Err(invalid(format!("'{bad}' is not a valid termination policy")));
        }
        if policies.iter().rposition(|word| word == "Default").is_some_and(|at| at + 1 != policies.len()) {
            return Err(invalid("The Default termination policy must be the last one in the list"));
        }
        if policies.iter().skip(1).any(|word| function(word)) {
            return Err(invalid("A custom termination policy must be the first one in the list"));
        }
        group.policies = policies;
    }
    Ok(())
}
