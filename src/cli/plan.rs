//! `fleetwright plan`

use super::request::{Plan, PlanVerb};
use clap::ValueEnum;

/// Show what a verb would do
///
/// Lists the steps with their capacity pools and settings. Reads the account and changes nothing.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  fleetwright plan
  fleetwright plan launch --set fleet.size=60
  fleetwright plan down --detailed-exitcode -o json")]
pub(super) struct PlanArgs {
    /// The verb to plan
    #[arg(value_enum, value_name = "VERB", default_value_t = PlanVerbArg::Up)]
    verb: PlanVerbArg,
    /// Exit 14 when there is something to do, 0 when there is not
    #[arg(long)]
    detailed_exitcode: bool,
}

/// Verbs that can be planned.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum PlanVerbArg {
    /// Checks on the template
    Verify,
    /// Template to image
    Bake,
    /// The fleet has N hosts
    Launch,
    /// A release to running hosts
    Push,
    /// Items into the queue
    Feed,
    /// All of it
    Up,
    /// Gone
    Down,
}

impl PlanArgs {
    /// The same, checked.
    pub(super) fn check(self) -> Plan {
        let verb = match self.verb {
            PlanVerbArg::Verify => PlanVerb::Verify,
            PlanVerbArg::Bake => PlanVerb::Bake,
            PlanVerbArg::Launch => PlanVerb::Launch,
            PlanVerbArg::Push => PlanVerb::Push,
            PlanVerbArg::Feed => PlanVerb::Feed,
            PlanVerbArg::Up => PlanVerb::Up,
            PlanVerbArg::Down => PlanVerb::Down,
        };
        Plan { verb, detailed_exitcode: self.detailed_exitcode }
    }
}
