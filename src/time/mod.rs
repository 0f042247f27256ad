//! Time as a parameter: the clock that domain waits use, and what is computed from it.
//!
//! Connect, command and signing time-outs are not domain waits: they always use wall time.

pub mod cron;
mod endpoint;
pub mod hours;
#[cfg(test)]
pub(crate) mod manual;
mod system;
pub mod tempo;
pub mod zone;

pub use endpoint::EndpointClock;
pub use system::SystemClock;

use jiff::{SignedDuration, Timestamp};
use std::pin::Pin;
use std::sync::Arc;

/// A future without a name, so that clocks can be swapped at run time.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Tells world time and waits for it.
pub trait Clock: Send + Sync {
    /// The world's time now.
    fn now(&self) -> Timestamp;
    /// Returns once the world's time has reached `instant`; dropping the future ends the wait.
    fn sleep_until(&self, instant: Timestamp) -> BoxFuture<'_, ()>;
}

/// A clock that is handed around.
pub type SharedClock = Arc<dyn Clock>;

/// Waits for `span` of world time.
pub async fn sleep(clock: &dyn Clock, span: std::time::Duration) {
    let span = SignedDuration::try_from(span).unwrap_or(SignedDuration::MAX);
    let until = clock.now().saturating_add(span).unwrap_or(Timestamp::MAX);
    clock.sleep_until(until).await;
}
