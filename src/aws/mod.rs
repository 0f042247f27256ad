//! The only user of the AWS SDK: clients, exact replay, one closed list of faults, one function per call.
//!
//! Reads answer in the words of `model`. Everything that changes the account comes as a pair: `draft_...` returns the exact
//! bytes that will be sent, the journal turns them into a `Permit`, and the second function sends those bytes, the first and
//! every further time.

mod account;
mod classify;
mod codes;
mod config;
mod convert;
mod exact;
mod fleets;
mod groups;
mod hooks;
mod images;
mod instances;
mod network;
mod objects;
mod ours;
mod own_group;
mod prices;
mod queues;
pub mod refresh;
#[cfg(test)]
pub(crate) mod responder;
mod sts;
mod tags;
mod templates;
#[cfg(test)]
mod tests;
mod transport;
mod trial;
mod types;
mod volumes;
mod webhook;

pub use classify::by_age;
pub use config::{AwsSettings, Clients};
pub use groups::{ACTIONS_AT_ONCE, Refused};
pub use objects::{Got, Only};
pub use queues::{ITEM_ATTRIBUTE, QueueRequest, Received, Redrive};
pub use volumes::{Snapshot, Volume};
pub use webhook::tell;
