//! The rehearsal cloud: one process on loopback that answers as AWS would.
//!
//! Shares no type with `aws/` and no schedule code with `time/`: two readings of every rule, so that one wrong
//! reading shows.

pub(crate) mod api;
pub mod hosts;
pub mod seed;
