//! `fleetwright recycle`

use super::launch::UntilArg;
use super::request::{Launch, Recycle, Renew, Verb};
use super::values;
use clap::Subcommand;
use std::time::Duration;

/// Replace hosts, on schedule or now
///
/// `recycle now` puts new hosts in the place of the fleet's own, a few at a time. The other verbs are about schedules: the
/// spec's windows become scheduled actions of the Auto Scaling group: some hosts more when a window opens, as many less
/// when it closes. Only actions that fleetwright itself put there for this fleet are ever changed.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  fleetwright recycle preview            # which host goes in which night
  fleetwright recycle apply
  fleetwright recycle list
  fleetwright recycle remove
  fleetwright recycle now --older-than 20h   # from cron, however often")]
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
    Now(NowArgs),
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
    #[arg(long, value_name = "N", default_value_t = 14, value_parser = values::whole::<u16>(1, 366))]
    nights: u16,
}

/// Take this fleet's scheduled actions off the group
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  fleetwright recycle remove
  fleetwright recycle remove --yes")]
struct RemoveArgs {}

/// Replace the fleet's hosts now, a few at a time
///
/// New hosts are launched and waited for, until their workers run where the spec names a worker; then as many of the old
/// ones, oldest first (in a group the oldest of the fuller zone), are drained and ended, until all have given way. There are
/// never fewer than the fleet's size and never more than that and --surge. What carries fleetwright:protect or has EC2's
/// termination protection stays. Where it is killed or fails, the same command goes on.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  fleetwright recycle now
  fleetwright recycle now --surge 4 --yes
  fleetwright recycle now --older-than 20h   # the second call of a night finds nothing to do
  fleetwright recycle now --instance-refresh --skip-matching")]
#[expect(clippy::struct_excessive_bools, reason = "each is one switch of the command line")]
struct NowArgs {
    /// So many hosts more than the fleet's size at a time
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = values::whole::<u32>(1, 1000))]
    surge: u32,
    /// Only hosts that live at least this long, for example 20h
    #[arg(long, value_name = "DURATION", value_parser = values::duration)]
    older_than: Option<Duration>,
    /// End hosts without draining them: what they have in hand comes back later
    #[arg(long)]
    no_drain: bool,
    /// Image to launch [default: the newest, which must be attested]
    #[arg(long, value_name = "ID")]
    image: Option<String>,
    /// When a host counts as there
    #[arg(long, value_name = "STATE", value_enum)]
    until: Option<UntilArg>,
    /// Launch an image that carries no attestation
    #[arg(long)]
    unattested: bool,
    /// Launch an image that is older than the release that was pushed
    #[arg(long)]
    stale_image: bool,
    /// Let Auto Scaling replace the hosts of a fleet in a group of its own, and watch it
    ///
    /// It goes on by itself when this command ends. New hosts get `fleet.group.grace` to warm up and are asked for nothing
    /// else until all are replaced; what ends drains by the host unit where the spec names a worker. --surge is taken in whole
    /// percent, rounded down: one at a time where that is less than one, never more than as many again.
    #[arg(long, conflicts_with_all = ["older_than", "no_drain"])]
    instance_refresh: bool,
    /// Leave hosts alone that the group would launch the same again
    #[arg(long, requires = "instance_refresh")]
    skip_matching: bool,
}

impl RecycleArgs {
    /// The same, checked.
    pub(super) fn check(self) -> Verb {
        match self.command {
            RecycleCommand::Apply(ApplyArgs {}) => Verb::Recycle(Recycle::Apply),
            RecycleCommand::List(ListArgs {}) => Verb::Recycle(Recycle::List),
            RecycleCommand::Preview(PreviewArgs { nights }) => Verb::Recycle(Recycle::Preview { days: nights }),
            RecycleCommand::Remove(RemoveArgs {}) => Verb::Recycle(Recycle::Remove),
            RecycleCommand::Now(args) => Verb::Renew(Renew {
                launch: Launch { image: args.image, unattested: args.unattested, ..Launch::default() },
                until: args.until.map(UntilArg::check),
                surge: args.surge,
                older_than: args.older_than,
                drain: !args.no_drain,
                stale_image: args.stale_image,
                refresh: args.instance_refresh.then_some(args.skip_matching),
            }),
        }
    }
}
