//! One look at a queue.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Counts as the engine reported them at one moment. Unknown is `None`, never 0.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Sample {
    /// World time at which the answer was complete.
    pub at: Timestamp,
    /// Items that a worker could take now.
    pub waiting: Option<u64>,
    /// Items taken and not yet acknowledged.
    pub in_flight: Option<u64>,
    /// Items that become visible later (delayed, scheduled, in retry back-off).
    pub delayed: Option<u64>,
    /// Items given up on (dead-letter queue, dead set).
    pub dead: Option<u64>,
}

impl Sample {
    /// Whether every count of unfinished work is known and zero.
    pub fn empty(&self) -> bool {
        self.waiting == Some(0) && self.in_flight == Some(0) && self.delayed == Some(0)
    }

    /// Unfinished items, where all three counts are known.
    pub fn remaining(&self) -> Option<u64> {
        Some(self.waiting? + self.in_flight? + self.delayed?)
    }
}
