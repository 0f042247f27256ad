//! What is due when, on the world's clock.

use jiff::Timestamp;
use std::collections::BTreeMap;

/// Something that happens by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// An instance's passing state is over, unless it has changed since `step`.
    Settle {
        /// `i-...`
        id: String,
        /// The instance's step when the timer was set.
        step: u64,
    },
    /// An instance dies by a fault script.
    Die {
        /// `i-...`
        id: String,
        /// StateReason code.
        reason: String,
    },
    /// A spot notice takes effect.
    Reclaim(String),
    /// An image is made, or not.
    Image(String),
    /// A snapshot is complete, or not.
    Snapshot(String),
}

/// Timers in the order of their times, those of one moment in the order they were set.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    due: BTreeMap<(Timestamp, u64), Due>,
    set: u64,
}

impl Agenda {
    /// Sets a timer.
    pub(super) fn set(&mut self, at: Timestamp, due: Due) {
        self.due.insert((at, self.set), due);
        self.set += 1;
    }

    /// When the next thing is due.
    pub(super) fn first(&self) -> Option<Timestamp> {
        self.due.keys().next().map(|(at, _)| *at)
    }

    /// The next thing due by `now`.
    pub(super) fn next(&mut self, now: Timestamp) -> Option<(Timestamp, Due)> {
        let entry = self.due.first_entry().filter(|entry| entry.key().0 <= now)?;
        let ((at, _), due) = entry.remove_entry();
        Some((at, due))
    }
}
