//! `fleetwright plan`

use super::request::{Plan, Up, Verb};
use super::{bake, down, extend, feed, launch, push, up, verify};
use clap::{Subcommand, ValueHint};
use std::path::PathBuf;

/// Show what a verb would do
///
/// Does what the verb does with --dry-run, and takes its flags. Lists the steps with their capacity pools and settings.
/// Reads the account and changes nothing; a run that is unfinished is shown as it would be gone on with.
/// Values that do not stand in the spec's file are listed with what they come from; -o json has all of them.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  fleetwright plan
  fleetwright plan launch -n 60
  fleetwright plan launch --out launch.plan
  fleetwright plan launch --values     # where each value comes from
  fleetwright plan down --detailed-exitcode -o json")]
pub(super) struct PlanArgs {
    #[command(subcommand)]
    verb: Option<PlannedArgs>,
    /// Exit 14 when there is something to change, 0 when there is not
    #[arg(long, global = true)]
    detailed_exitcode: bool,
    /// Save the plan to this file, for --plan of the same verb
    #[arg(long, global = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
    out: Option<PathBuf>,
    /// Show every value that matters to the verb, those of the file and defaults too
    #[arg(long, global = true)]
    values: bool,
}

/// Verbs that can be planned; `up` where none is named.
#[derive(Subcommand, Clone, Debug)]
enum PlannedArgs {
    #[command(after_help = "Examples:\n  fleetwright plan verify\n  fleetwright plan verify --skip-canary")]
    Verify(verify::VerifyArgs),
    #[command(after_help = "Examples:\n  fleetwright plan bake --if-changed")]
    Bake(bake::BakeArgs),
    #[command(after_help = "Examples:\n  fleetwright plan launch\n  fleetwright plan launch -n 40 --until ready")]
    Launch(launch::LaunchArgs),
    #[command(after_help = "Examples:\n  fleetwright plan push --canary 1")]
    Push(push::PushArgs),
    #[command(after_help = "Examples:\n  fleetwright plan feed")]
    Feed(feed::FeedArgs),
    #[command(after_help = "Examples:\n  fleetwright plan up --keep")]
    Up(up::UpArgs),
    #[command(after_help = "Examples:\n  fleetwright plan extend 4h")]
    Extend(extend::ExtendArgs),
    #[command(after_help = "Examples:\n  fleetwright plan down --images\n  fleetwright plan down --detailed-exitcode")]
    Down(down::DownArgs),
}

impl PlanArgs {
    /// The same, checked.
    pub(super) fn check(self) -> Result<Plan, String> {
        let of = match self.verb {
            None => Verb::Up(Up::default()),
            Some(PlannedArgs::Verify(args)) => Verb::Verify(args.check()),
            Some(PlannedArgs::Bake(args)) => Verb::Bake(args.check()),
            Some(PlannedArgs::Launch(args)) => Verb::Launch(args.check()),
            Some(PlannedArgs::Push(args)) => Verb::Push(args.check()?),
            Some(PlannedArgs::Feed(args)) => match args.check() {
                Verb::Feed => Verb::Feed,
                _ => return Err("what a feed that is at it is told has no plan".to_owned()),
            },
            Some(PlannedArgs::Up(args)) => Verb::Up(args.check()),
            Some(PlannedArgs::Extend(args)) => Verb::Extend(args.check()),
            Some(PlannedArgs::Down(args)) => Verb::Down(args.check()?),
        };
        Ok(Plan { of: Box::new(of), detailed_exitcode: self.detailed_exitcode, out: self.out, values: self.values })
    }
}
