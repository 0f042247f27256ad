//! `fleetwright recycle`

use super::request::Recycle;
use clap::Subcommand;

/// Replace a group's hosts on schedule
///
/// The spec's windows become scheduled actions of the Auto Scaling group: some hosts more when a window opens, as many less
/// when it closes. Only actions that fleetwright itself put there for this fleet are ever changed.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  fleetwright recycle preview            # which host goes in which night
  fleetwright recycle apply
  fleetwright recycle list
  fleetwright recycle remove")]
pub(super) struct RecycleArgs {
    #[command(subcommand)]
    command: RecycleCommand,
}

#[derive(Subcommand, Clone, Debug)]
enum RecycleCommand {
    Apply(ApplyArgs),
    List(ListArgs),
    Preview(PreviewArgs),
    Remove(RemoveArgs),
}

/// Make the group's scheduled actions those of the spec
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  fleetwright recycle apply
  fleetwright recycle apply --dry-run")]
struct ApplyArgs {}

/// All scheduled actions of the group, ours and others'
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  fleetwright recycle list
  fleetwright recycle list -o json")]
struct ListArgs {}

/// When windows open next, and which hosts they end
///
/// Asks AWS about the group as it is now and changes nothing. Where nobody but AWS can know which host goes, it says so.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  fleetwright recycle preview
  fleetwright recycle preview --nights 60")]
struct PreviewArgs {
    /// How many days to look ahead, 1 to 366
    #[arg(long, value_name = "N", default_value_t = 14, value_parser = clap::value_parser!(u16).range(1..=366))]
    nights: u16,
}

/// Take this fleet's scheduled actions off the group
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  fleetwright recycle remove
  fleetwright recycle remove --yes")]
struct RemoveArgs {}

impl RecycleArgs {
    /// The same, checked.
    pub(super) fn check(self) -> Recycle {
        match self.command {
            RecycleCommand::Apply(ApplyArgs {}) => Recycle::Apply,
            RecycleCommand::List(ListArgs {}) => Recycle::List,
            RecycleCommand::Preview(PreviewArgs { nights }) => Recycle::Preview { days: nights },
            RecycleCommand::Remove(RemoveArgs {}) => Recycle::Remove,
        }
    }
}
