//! An instance refresh: how Auto Scaling itself replaces the hosts of a group.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is asked of an instance refresh, in Auto Scaling's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RefreshPreferences {
    /// `MinHealthyPercentage`: so many percent of the desired capacity stay in service, 0 to 100.
    pub min_healthy: u32,
    /// `MaxHealthyPercentage`: so many percent are there at most, what is on its way out not counted, 100 to 200.
    pub max_healthy: u32,
    /// `InstanceWarmup`: seconds in service before a new host counts.
    pub warmup: u32,
    /// `SkipMatching`: what the group would launch the same again stays.
    pub skip_matching: bool,
}

/// An instance refresh as Auto Scaling tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refresh {
    /// Its id.
    pub id: String,
    /// AWS's word, for example `InProgress`.
    pub status: String,
    /// Why, in AWS's words, where it says so.
    pub reason: Option<String>,
    /// When it began.
    pub started: Option<Timestamp>,
    /// How much of it is done, 0 to 100.
    pub percent: u32,
    /// What was asked; none where it asks for what fleetwright never does.
    pub preferences: Option<RefreshPreferences>,
}

impl Refresh {
    /// Whether nothing comes of it any more.
    pub fn over(&self) -> bool {
        ["Successful", "Failed", "Cancelled", "RollbackSuccessful", "RollbackFailed"].contains(&self.status.as_str())
    }
}
