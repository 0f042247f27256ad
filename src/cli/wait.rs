//! `fleetwright wait`

use super::request::Wait;

/// Wait until the job is done, failed, stalled or out of time
///
/// Looks at the queue until its counts have been zero for long enough to be believed. Exits 0 when every item is done,
/// 11 when some failed, 12 when nothing moves any more, 13 at the deadline, 15 when items are unaccounted for.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  fleetwright wait
  fleetwright wait --watch
  fleetwright wait --timeout 10h -o json")]
pub(super) struct WaitArgs {
    /// Replace hosts that are gone, while it lasts
    #[arg(long)]
    watch: bool,
}

impl WaitArgs {
    /// The same, checked.
    pub(super) fn check(self) -> Wait {
        Wait { watch: self.watch }
    }
}
