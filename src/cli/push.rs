//! `fleetwright push`

use super::request::Push;
use super::target::TargetArgs;

/// Bring a release to running hosts, in waves
///
/// The first wave is a canary; when more hosts fail than --max-fail allows, the rest is left alone. Hosts that have the
/// release already are left alone too.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  fleetwright push
  fleetwright push --canary 1 --max-fail 5% --failed-to failed.txt
  fleetwright push --only @failed.txt --junit push.xml
  fleetwright push --tag Role=web --tag Stage=prod    # machines that fleetwright did not launch")]
pub(super) struct PushArgs {
    #[command(flatten)]
    target: TargetArgs,
    /// Hosts of the first wave [default: the spec's release.canary]
    #[arg(long, value_name = "N")]
    canary: Option<u32>,
    /// Push to hosts that have this release already, too
    #[arg(long)]
    force: bool,
}

impl PushArgs {
    /// The same, checked.
    pub(super) fn check(self) -> Result<Push, String> {
        Ok(Push { target: self.target.check()?, canary: self.canary, force: self.force })
    }
}
