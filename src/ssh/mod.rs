//! The only user of SSH as a client: host keys, login, commands, and plays carried out on one host.
//!
//! One connection a host, one channel a play. Host keys are learnt over AWS's own authenticated channel and stored by
//! instance id; a host that can't prove to be that instance gets nothing, not even a login attempt. Nothing is forwarded.

pub mod auth;
mod capture;
pub mod console;
mod exec;
mod fault;
mod files;
mod frames;
mod keypair;
pub mod known;
mod lifted;
pub mod openssh;
pub mod output;
mod payload;
mod play_report;
mod progress;
mod reboot;
mod runner;
mod session;
mod tied;
mod trust;
mod user_known;

pub use auth::Identities;
pub use exec::{Execution, Input, Limits, Status, Stream};
pub use fault::{SshFault, SshFaultKind};
pub use files::put_files;
pub use keypair::KeyPair;
pub use known::HostKeys;
pub use lifted::raise_open_files;
pub use openssh::OpenSsh;
pub use payload::bundle;
pub use play_report::{PlayEnd, PlayReport};
pub use runner::{Marker, Runner};
pub use session::{Session, Ssh, Target};
pub use trust::Trust;
pub use user_known::UserKnownHosts;

/// A host's public key, as SSH and the consoles of new instances know it.
pub use russh::keys::PublicKey;
