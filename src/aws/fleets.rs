//! EC2 fleets of type `instant`: one request over many pools, answered at once.
//!
//! Such a fleet is never deleted to clean up: DeleteFleets would end its hosts.

use super::Clients;
use super::classify::{classify_code, garbled};
use super::convert::{birth_tags, need};
use super::exact::{capture, invalid, send};
use crate::journal::{Draft, Permit};
use crate::model::{Fault, FleetGiven, FleetRequest, GivenHost, InstanceId, Market, RefusedPool, SubnetId};
use aws_sdk_ec2::types::{
    CreateFleetError, CreateFleetInstance, DefaultTargetCapacityType, FleetLaunchTemplateConfigRequest,
    FleetLaunchTemplateOverrides, FleetLaunchTemplateOverridesRequest, FleetLaunchTemplateSpecificationRequest,
    FleetOnDemandAllocationStrategy, FleetType, InstanceLifecycle, InstanceType, LaunchTemplateAndOverridesResponse,
    OnDemandOptionsRequest, ResourceType, SpotAllocationStrategy, SpotOptionsRequest,
    TargetCapacitySpecificationRequest,
};

const ACTION: &str = "CreateFleet";

impl Clients {
    /// Drafts one launch over all pools: every type in every subnet, spot and on-demand in one call. Spot takes the pools
    /// least likely to be interrupted among the cheap ones, on-demand the types in the order given.
    ///
    /// # Errors
    ///
    /// `Invalid` for no hosts, no types or no subnets.
    pub async fn draft_fleet(&self, request: &FleetRequest) -> Result<Draft, Fault> {
        let pools = overrides(request);
        if pools.is_empty() {
            return Err(invalid(ACTION, "a fleet needs types and subnets"));
        }
        let template = FleetLaunchTemplateSpecificationRequest::builder()
            .launch_template_id(request.template.as_str())
            .version(request.version.to_string());
        let config = FleetLaunchTemplateConfigRequest::builder()
            .launch_template_specification(template.build())
            .set_overrides(Some(pools));
        // No `spot-instances-request`: EC2 refuses that kind in a request without spot.
        let born = [ResourceType::Instance, ResourceType::Volume, ResourceType::NetworkInterface].into_iter();
        let born: Vec<_> = born.filter_map(|kind| birth_tags(kind, &request.host_tags)).collect();
        let mut call = self
            .ec2()
            .create_fleet()
            .r#type(FleetType::Instant)
            .client_token(&request.token)
            .launch_template_configs(config.build())
            .target_capacity_specification(capacity(request)?)
            .set_tag_specifications(Some(born).filter(|born| !born.is_empty()));
        if request.spot > 0 {
            let strategy = SpotAllocationStrategy::PriceCapacityOptimized;
            call = call.spot_options(SpotOptionsRequest::builder().allocation_strategy(strategy).build());
        }
        if request.on_demand > 0 {
            let strategy = FleetOnDemandAllocationStrategy::Prioritized;
            call = call.on_demand_options(OnDemandOptionsRequest::builder().allocation_strategy(strategy).build());
        }
        capture(ACTION, Some(&request.token), |hook| call.customize().interceptor(hook).send()).await
    }

    /// Launches the drafted fleet. Fewer hosts than asked for is no error: `refused` says why.
    ///
    /// # Errors
    ///
    /// `Transport` (unknown) also when AWS answers neither a host nor a reason.
    pub async fn create_fleet(&self, permit: &Permit) -> Result<FleetGiven, Fault> {
        let call = self.ec2().create_fleet().customize().config_override(Self::patient());
        let answer = send(ACTION, permit, |hook| call.interceptor(hook).send()).await?;
        let mut hosts = Vec::new();
        for group in answer.instances.unwrap_or_default() {
            given(group, &mut hosts);
        }
        let refused: Vec<_> = answer.errors.unwrap_or_default().into_iter().map(refused).collect();
        if hosts.is_empty() && refused.is_empty() {
            return Err(garbled(ACTION, "the answer has neither hosts nor errors"));
        }
        Ok(FleetGiven { fleet: need(ACTION, "fleet id", answer.fleet_id)?, hosts, refused })
    }
}

/// How many hosts of each market. Both numbers are said, so that nothing is left to the default type.
fn capacity(request: &FleetRequest) -> Result<TargetCapacitySpecificationRequest, Fault> {
    let count = |hosts: Option<u32>| hosts.and_then(|hosts| i32::try_from(hosts).ok());
    let total = count(request.spot.checked_add(request.on_demand)).filter(|total| *total > 0);
    let Some(((total, spot), on_demand)) = total.zip(count(Some(request.spot))).zip(count(Some(request.on_demand)))
    else {
        let asked = format!("{} spot and {} on-demand hosts asked for", request.spot, request.on_demand);
        return Err(invalid(ACTION, &asked));
    };
    let default = if spot > 0 { DefaultTargetCapacityType::Spot } else { DefaultTargetCapacityType::OnDemand };
    Ok(TargetCapacitySpecificationRequest::builder()
        .total_target_capacity(total)
        .spot_target_capacity(spot)
        .on_demand_target_capacity(on_demand)
        .default_target_capacity_type(default)
        .build())
}

/// Every type in every subnet; the order of the types is their priority, which on-demand goes by.
fn overrides(request: &FleetRequest) -> Vec<FleetLaunchTemplateOverridesRequest> {
    let mut pools = Vec::with_capacity(request.types.len() * request.subnets.len());
    let max_price = request.max_price.as_ref().filter(|_| request.spot > 0);
    for (priority, kind) in (0_u32..).zip(&request.types) {
        let left_out = |subnet: &&SubnetId| !request.without.iter().any(|(k, s)| k == kind && s == *subnet);
        for subnet in request.subnets.iter().filter(left_out) {
            let pool = FleetLaunchTemplateOverridesRequest::builder()
                .instance_type(InstanceType::from(kind.as_str()))
                .subnet_id(subnet.as_str())
                .set_priority((request.on_demand > 0).then(|| f64::from(priority)))
                .set_max_price(max_price.cloned());
            pools.push(pool.build());
        }
    }
    pools
}

/// The market that an answer names; EC2 leaves the word out only for on-demand.
fn market(lifecycle: Option<&InstanceLifecycle>) -> Market {
    if lifecycle == Some(&InstanceLifecycle::Spot) { Market::Spot } else { Market::OnDemand }
}

/// The pool that an answer names.
fn pool(answer: Option<LaunchTemplateAndOverridesResponse>) -> Option<FleetLaunchTemplateOverrides> {
    answer.and_then(|answer| answer.overrides)
}

/// The hosts of one group of the answer: those of one pool.
fn given(group: CreateFleetInstance, hosts: &mut Vec<GivenHost>) {
    let market = market(group.lifecycle.as_ref());
    let pool = pool(group.launch_template_and_overrides);
    let kind = group.instance_type.or_else(|| pool.as_ref()?.instance_type.clone());
    let kind = kind.map(|kind| kind.as_str().to_owned()).unwrap_or_default();
    let subnet = group.subnet_id.or_else(|| pool.as_ref()?.subnet_id.clone());
    let zone = group.availability_zone.or_else(|| pool.as_ref()?.availability_zone.clone());
    for id in group.instance_ids.unwrap_or_default() {
        hosts.push(GivenHost {
            id: InstanceId::new(id),
            market,
            instance_type: kind.clone(),
            subnet: subnet.as_deref().map(Into::into),
            zone: zone.as_deref().map(Into::into),
        });
    }
}

/// One error of the answer.
fn refused(error: CreateFleetError) -> RefusedPool {
    let pool = pool(error.launch_template_and_overrides);
    let code = error.error_code.unwrap_or_default();
    let message = error.error_message.unwrap_or_default();
    RefusedPool {
        market: market(error.lifecycle.as_ref()),
        instance_type: pool.as_ref().and_then(|pool| pool.instance_type()).map(|kind| kind.as_str().to_owned()),
        subnet: pool.as_ref().and_then(|pool| pool.subnet_id()).map(Into::into),
        kind: classify_code(&code, &message, 0).0,
        code,
        message,
    }
}
