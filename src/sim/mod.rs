//! The rehearsal cloud: one process on loopback that answers as AWS would.
//!
//! Shares no type with `aws/` and no schedule code with `time/`: two readings of every rule, so that one wrong
//! reading shows.

pub(crate) mod api;
pub(crate) mod audit;
pub(crate) mod buckets;
pub(crate) mod clock;
pub(crate) mod draw;
pub(crate) mod ec2;
pub(crate) mod faults;
pub(crate) mod gates;
pub(crate) mod hosts;
pub mod seed;
pub(crate) mod sqs;
pub(crate) mod sts;
pub(crate) mod xml;
