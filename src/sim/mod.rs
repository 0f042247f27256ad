//! The rehearsal cloud: one process on loopback that answers as AWS would.
//!
//! Shares no type with `aws/` and no schedule code with `time/`: two readings of every rule, so that one wrong
//! reading shows.
//!
//! ```text
//! connection ─► wire ─► audit ─► gates ─► faults ─► world ─► ec2 │ autoscaling │ sqs │ s3 │ sts ─► hosts
//!                 └───► control (/_sim/)              ▲ clock, buckets, host events
//! ```

mod account;
pub(crate) mod api;
mod audit;
pub(crate) mod autoscaling;
mod buckets;
mod clock;
mod control;
pub(crate) mod draw;
pub(crate) mod ec2;
mod faults;
mod gates;
pub mod hosts;
mod iam;
mod kms;
mod partition;
mod pricing;
mod quotas;
mod refusal;
mod s3;
pub mod seed;
mod server;
mod sqs;
mod sts;
mod wire;
mod world;
pub(crate) mod xml;

pub use faults::{FaultScript, ScriptError};
pub use server::{Bodies, Running, ServeError, ServeOptions, serve};

#[cfg(test)]
mod tests;
