//! A clock for tests: nobody sleeps, whoever waits moves the time on.

use super::{BoxFuture, Clock};
use jiff::{SignedDuration, Timestamp};
use std::sync::{Mutex, PoisonError};

/// Starts at the same instant each time; `sleep_until` jumps there.
#[derive(Debug)]
pub(crate) struct ManualClock(Mutex<Timestamp>);

impl Default for ManualClock {
    fn default() -> Self {
        Self(Mutex::new(Timestamp::constant(1_800_000_000, 0)))
    }
}

impl ManualClock {
    /// Moves the time on, or back.
    pub(crate) fn advance(&self, by: SignedDuration) {
        let mut now = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *now += by;
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sleep_until(&self, instant: Timestamp) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            // Others get their turn first, as in a real sleep.
            tokio::task::yield_now().await;
            let mut now = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            *now = (*now).max(instant);
        })
    }
}
