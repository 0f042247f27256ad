//! Carries out plans: run, retry, pace, wait, fan out, stop. Generic; knows nothing of AWS.

pub mod cancel;
pub mod failure;
pub mod fanout;
pub mod group;
pub mod limit;
pub mod retry;
pub mod run;
#[cfg(test)]
mod tests;
pub mod tools;
pub mod wait;

pub use cancel::{Cancel, Level, Signal};
pub use limit::Limits;
pub use retry::{Context, Jitter, Policy, retry};
pub use wait::{Patience, Progress, Seen, WaitError, until};
