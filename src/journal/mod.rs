//! The write-ahead journal: the only durable truth on our side.

pub mod record;

pub use record::{Draft, Fold, IntentId, IntentState, Outcome, Record};
