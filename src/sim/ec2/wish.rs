//! What a fleet asks for in each market, read and checked.

use super::allocate::Strategy;
use super::params::{Node, invalid, missing};
use super::records::Market;
use super::spec::price;
use crate::sim::api::ApiError;

/// How one market's share is to be filled.
pub(super) struct Wish {
    pub(super) market: Market,
    pub(super) target: u32,
    pub(super) strategy: Strategy,
    pub(super) least: u32,
    pub(super) money: Option<u64>,
    /// Whether all must be of one type.
    pub(super) one_type: bool,
    /// Whether all must be in one zone.
    pub(super) one_zone: bool,
}

/// The error of a fleet that asks for what can't be.
pub(super) fn configuration(message: impl Into<String>) -> ApiError {
    ApiError::new("InvalidFleetConfiguration", message)
}

/// The two targets and how each is to be met.
pub(super) fn wishes(params: &Node) -> Result<Vec<Wish>, ApiError> {
    let at = |name: &str| params.number::<u32>(&format!("TargetCapacitySpecification.{name}"));
    let total = at("TotalTargetCapacity")?.ok_or_else(|| missing("TargetCapacitySpecification.TotalTargetCapacity"))?;
    let (mut on_demand, mut spot) =
        (at("OnDemandTargetCapacity")?.unwrap_or(0), at("SpotTargetCapacity")?.unwrap_or(0));
    let given = on_demand.saturating_add(spot);
    if given > total {
        return Err(invalid(
            "The sum of OnDemandTargetCapacity and SpotTargetCapacity can't be greater than TotalTargetCapacity.",
        ));
    }
    if total == 0 || total > 10_000 {
        return Err(invalid(format!("TotalTargetCapacity ({total}) must be between 1 and 10000")));
    }
    match params.text("TargetCapacitySpecification.DefaultTargetCapacityType") {
        Some("spot") => spot += total - given,
        // AWS's default is on-demand.
        Some("on-demand") | None => on_demand += total - given,
        Some(other) => return Err(invalid(format!("Invalid value '{other}' for DefaultTargetCapacityType."))),
    }
    let wish = |market: Market, target: u32, options: &str, strategy: Strategy| -> Result<Wish, ApiError> {
        let flag = |name: &str| Ok::<_, ApiError>(params.flag(&format!("{options}.{name}"))?.unwrap_or(false));
        let least = params.number(&format!("{options}.MinTargetCapacity"))?.unwrap_or(0);
        let (one_type, one_zone) = (flag("SingleInstanceType")?, flag("SingleAvailabilityZone")?);
        if least > 0 && !one_type && !one_zone {
            return Err(configuration(format!(
                "{options}.MinTargetCapacity needs SingleInstanceType or SingleAvailabilityZone"
            )));
        }
        if least > target {
            return Err(configuration(format!("{options}.MinTargetCapacity is greater than the target capacity")));
        }
        let money = price(params, &format!("{options}.MaxTotalPrice"))?;
        Ok(Wish { market, target, strategy, least, money, one_type, one_zone })
    };
    let pools = params.number("SpotOptions.InstancePoolsToUseCount")?.unwrap_or(1);
    let for_spot = match params.text("SpotOptions.AllocationStrategy").unwrap_or("lowest-price") {
        "lowest-price" | "lowestPrice" => Strategy::LowestPrice(pools),
        "diversified" => Strategy::Diversified,
        "capacity-optimized" | "capacityOptimized" => Strategy::CapacityOptimized,
        "capacity-optimized-prioritized" => Strategy::Prioritized,
        "price-capacity-optimized" => Strategy::PriceCapacityOptimized,
        other => return Err(invalid(format!("Invalid value '{other}' for SpotOptions.AllocationStrategy."))),
    };
    let for_on_demand = match params.text("OnDemandOptions.AllocationStrategy").unwrap_or("lowest-price") {
        "lowest-price" | "lowestPrice" => Strategy::LowestPrice(1),
        "prioritized" => Strategy::Prioritized,
        other => return Err(invalid(format!("Invalid value '{other}' for OnDemandOptions.AllocationStrategy."))),
    };
    let mut wishes = Vec::new();
    if on_demand > 0 {
        wishes.push(wish(Market::OnDemand, on_demand, "OnDemandOptions", for_on_demand)?);
    }
    if spot > 0 {
        wishes.push(wish(Market::Spot, spot, "SpotOptions", for_spot)?);
    }
    Ok(wishes)
}
