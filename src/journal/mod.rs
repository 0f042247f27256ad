//! The write-ahead journal: the only durable truth on our side.

pub mod dir;
pub mod error;
mod frame;
pub mod history;
pub mod lock;
pub mod log;
#[cfg(test)]
pub(crate) mod memory;
pub mod record;
pub mod store;
#[cfg(test)]
mod tests;

pub use dir::{FleetDir, RunDir};
pub use error::JournalError;
pub use frame::{Damage, TornTail};
pub use history::{History, PastRun};
pub use lock::{Claim, ClaimError, Holder};
pub use log::{Journal, Permit};
pub use record::{Begun, Draft, Fold, IntentId, IntentState, Outcome, Record};
pub use store::{FileStore, Store};
