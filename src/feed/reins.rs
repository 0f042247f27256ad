//! What the operator tells a feed that is at it: `feed --pause`, `--resume`, `--rate`.

use serde::{Deserialize, Serialize};

/// Kept in the run's folder, so that it outlives the feed's process; looked at again all the time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Reins {
    /// Nothing goes in.
    pub paused: bool,
    /// Items a second in place of the spec's rate.
    pub rate: Option<f64>,
}
