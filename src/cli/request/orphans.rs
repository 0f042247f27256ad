//! What `orphans` was asked for.

use crate::model::FleetName;

/// `orphans`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Orphans {
    /// Only this fleet's.
    pub fleet: Option<FleetName>,
    /// End them after a second look.
    pub reap: bool,
    /// The most that may be ended; the brake's own bounds when absent.
    pub max: Option<usize>,
}
