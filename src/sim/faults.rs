//! What a fault script changes inside the world, as opposed to on the wire.

use serde::{Deserialize, Serialize};

/// Switches that a fault script has set for the services.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Control {
    /// Longest visibility lag of a change, seconds of world time.
    pub(crate) lag_seconds: u32,
    /// Pools without any capacity now.
    pub(crate) empty_pools: Vec<PoolPattern>,
    /// Whether images made from now on end in `failed`.
    pub(crate) image_fails: bool,
    /// Whether instances launched from now on die soon.
    pub(crate) die_after_launch: Option<DieAfter>,
    /// States that instances do not leave.
    pub(crate) stuck: Vec<StuckState>,
}

/// Which pools are meant; `*` matches all.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct PoolPattern {
    /// Instance type or `*`.
    pub(crate) instance_type: String,
    /// Zone or `*`.
    pub(crate) zone: String,
    /// `spot`, `on-demand` or `*`.
    pub(crate) market: String,
}

/// A share of launches that dies.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct DieAfter {
    /// 0 to 100.
    pub(crate) share_percent: u32,
    /// World seconds after the launch.
    pub(crate) after_seconds: u32,
    /// StateReason, for example `Server.InternalError`.
    pub(crate) reason: String,
}

/// A state that a share of instances does not leave.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct StuckState {
    /// `pending`, `stopping` or `shutting-down`.
    pub(crate) state: String,
    /// 0 to 100.
    pub(crate) share_percent: u32,
}
