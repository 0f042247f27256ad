//! `fleetwright status`

use super::request::HostName;
use super::values;

/// Show fleet, hosts, images and queue
///
/// Reads the account and changes nothing. With --why one host is shown closely: EC2's reason, how far its boot came, what
/// is waited for, the end of its console.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  fleetwright status
  fleetwright status -o json
  fleetwright status --why 3")]
pub(super) struct StatusArgs {
    /// Show this host closely: its slot (3 or #3), id or address
    #[arg(long, value_name = "HOST", value_parser = values::host_name)]
    why: Option<HostName>,
}

impl StatusArgs {
    /// The same, checked.
    pub(super) fn check(self) -> Option<HostName> {
        self.why
    }
}
