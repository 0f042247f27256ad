//! The clock of the real world.

use super::{BoxFuture, Clock};
use jiff::Timestamp;
use std::time::Duration;

/// Wall time as the operating system tells it.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

/// The longest single sleep: after a laptop's suspend the wall clock has moved on, the timer has not.
const NAP: Duration = Duration::from_secs(5);

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn sleep_until(&self, instant: Timestamp) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            while let Ok(left) = Duration::try_from(instant.duration_since(Timestamp::now())) {
                if left.is_zero() {
                    break;
                }
                tokio::time::sleep(left.min(NAP)).await;
            }
        })
    }
}
