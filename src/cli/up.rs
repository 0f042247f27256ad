//! `fleetwright up`

use super::request::Up;

/// Verify, bake, launch, push, feed, wait, and down when done
///
/// A job that does not end well leaves the fleet running, and says so.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  fleetwright up
  fleetwright up --keep --yes")]
pub(super) struct UpArgs {
    /// Leave everything running at the end
    #[arg(long)]
    keep: bool,
}

impl UpArgs {
    /// The same, checked.
    pub(super) fn check(self) -> Up {
        Up { keep: self.keep }
    }
}
