//! `fleetwright extend`

use super::request::Extend;
use super::values;
use std::time::Duration;

/// Let the fleet live longer before its hosts power themselves off
///
/// Every live host gets the same new end: the latest that any of them has, or now where that is past, and so much more.
/// It is one tag, which the hosts read by themselves; no host's end is ever brought nearer.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  fleetwright extend 4h
  fleetwright extend 90m --dry-run")]
pub(super) struct ExtendArgs {
    /// How much longer, for example 4h
    #[arg(value_name = "DURATION", value_parser = values::duration)]
    by: Duration,
}

impl ExtendArgs {
    /// The same, checked.
    pub(super) fn check(self) -> Extend {
        Extend { by: self.by }
    }
}
