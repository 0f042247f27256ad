//! `fleetwright protect` and `fleetwright quarantine`

use super::request::{HostName, MarkHost};
use super::values;
use crate::model::Mark;

/// Keep one host from being ended by fleetwright
///
/// Puts the tag fleetwright:protect on it: down ends everything else and exits 10, and the host does not power itself off
/// when it expires. It is a tag and not EC2's own termination protection: others, and spot interruptions, end it as before.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  fleetwright protect 3
  fleetwright protect i-0123456789abcdef0 --off")]
pub(super) struct ProtectArgs {
    /// The host: its slot (3 or #3), id or address
    #[arg(value_name = "HOST", value_parser = values::host_name)]
    host: HostName,
    /// Take the mark off again
    #[arg(long)]
    off: bool,
}

/// Keep one host for inspection, without work and out of the count
///
/// Puts the tag fleetwright:quarantine on it, then stops its worker, also for the next boot; the item in hand comes back to
/// the queue. launch replaces it, push and exec leave it out unless --only names it, down ends it with the others. --off
/// starts the worker again before it is counted in.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  fleetwright quarantine 3
  fleetwright quarantine 3 --off")]
pub(super) struct QuarantineArgs {
    /// The host: its slot (3 or #3), id or address
    #[arg(value_name = "HOST", value_parser = values::host_name)]
    host: HostName,
    /// Take the mark off again
    #[arg(long)]
    off: bool,
}

impl ProtectArgs {
    /// The same, checked.
    pub(super) fn check(self) -> MarkHost {
        MarkHost { host: self.host, mark: Mark::Protect, off: self.off }
    }
}

impl QuarantineArgs {
    /// The same, checked.
    pub(super) fn check(self) -> MarkHost {
        MarkHost { host: self.host, mark: Mark::Quarantine, off: self.off }
    }
}
