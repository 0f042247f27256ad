//! The write-ahead journal: the only durable truth on our side.

pub mod depot;
pub mod dir;
pub mod error;
mod fetch;
mod frame;
pub mod history;
pub mod lease;
pub mod lock;
pub mod log;
#[cfg(test)]
pub(crate) mod memory;
pub mod record;
mod shared;
pub mod store;
#[cfg(test)]
mod tests;

pub use depot::{Depot, DepotError, Found, If, Team};
pub use dir::{FleetDir, RunDir};
pub use error::JournalError;
pub use frame::{Damage, TornTail};
pub use history::{History, PastRun};
pub use lease::Lease;
pub use lock::{Claim, ClaimError, Holder};
pub use log::{Journal, Permit};
pub use record::{Begun, Draft, Fold, IntentId, IntentState, Outcome, Record};
pub use store::{FileStore, Store};
