//! The write-ahead journal: the only durable truth on our side.

pub mod log;
pub mod record;

pub use log::Permit;
pub use record::{Draft, Fold, IntentId, IntentState, Outcome, Record};
