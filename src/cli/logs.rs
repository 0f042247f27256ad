//! `fleetwright logs`

use super::request::{HostName, Logs};
use super::values;

/// Show what one host said: its console, and the journal of its worker
///
/// The console comes from EC2 and needs no login; the journal is asked for over SSH. With --follow the journal alone is
/// shown as it is written, until Ctrl-C; on the host that ends when nobody listens any more.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  fleetwright logs 3
  fleetwright logs 3 -f
  fleetwright logs i-0123456789abcdef0 --lines 500")]
pub(super) struct LogsArgs {
    /// The host: its slot (3 or #3), id or address
    #[arg(value_name = "HOST", value_parser = values::host_name)]
    host: HostName,
    /// Lines of the journal, newest last
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = values::whole::<u32>(1, 10_000))]
    lines: u32,
    /// Go on with what is written from now on; the spec's file is --file here
    #[arg(short, long)]
    follow: bool,
}

impl LogsArgs {
    /// The same, checked.
    pub(super) fn check(self) -> Logs {
        Logs { host: self.host, lines: self.lines, follow: self.follow }
    }
}
