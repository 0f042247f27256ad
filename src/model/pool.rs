//! Where capacity is asked for.

use super::{SubnetId, Zone};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// How an instance is paid for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Market {
    /// Spare capacity that can be taken back with two minutes' notice.
    Spot,
    /// Capacity at the list price that stays.
    OnDemand,
}

impl Market {
    /// EC2's own word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Spot => "spot",
            Self::OnDemand => "on-demand",
        }
    }
}

impl fmt::Display for Market {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One capacity pool: EC2 keeps capacity per type, zone and market.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Pool {
    /// Spot or on-demand.
    pub market: Market,
    /// For example `m7i.large`.
    pub instance_type: String,
    /// The subnet asked for.
    pub subnet: SubnetId,
    /// The subnet's zone.
    pub zone: Zone,
}

impl fmt::Display for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} in {}", self.market, self.instance_type, self.zone)
    }
}
