//! `fleetwright ssh`

use super::request::{HostName, Ssh};
use super::values;

/// Log in to one host, or run one command there
///
/// Becomes your own ssh, which checks the host strictly against the key that was learnt from its console, and whose exit
/// code is passed on. Your configuration of ssh applies. One word is taken as a shell line, several words are passed as
/// they are, each quoted. With --dry-run the command line is printed instead.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  fleetwright ssh 3
  fleetwright ssh i-0123456789abcdef0 -- journalctl -u worker -n 20
  fleetwright ssh 10.0.3.7 --dry-run")]
pub(super) struct SshArgs {
    /// The host: its slot (3 or #3), id or address
    #[arg(value_name = "HOST", value_parser = values::host_name)]
    host: HostName,
    /// A command and its arguments, after --
    #[arg(value_name = "COMMAND", last = true)]
    command: Vec<String>,
}

impl SshArgs {
    /// The same, checked.
    pub(super) fn check(self) -> Ssh {
        Ssh { host: self.host, command: self.command }
    }
}
