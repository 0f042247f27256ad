//! Runs things: hosts in waves, each on its own.

pub mod fanout;
pub mod group;
//! Runs plans and waits for the world, knowing nothing of AWS.

pub mod cancel;
pub mod limit;
pub mod retry;
#[cfg(test)]
mod tests;
pub mod wait;

pub use cancel::{Cancel, Level, Signal};
pub use limit::{Limits, Rate};
pub use retry::{Context, Jitter, Policy, retry};
pub use wait::{Patience, Progress, Seen, WaitError, until};
