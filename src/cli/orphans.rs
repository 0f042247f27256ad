//! `fleetwright orphans`

use super::request::Orphans;
use crate::model::FleetName;

/// List what fleets left behind, in the whole account, and end it
///
/// An orphan carries our tags, is past its fleetwright:expires, and belongs to a fleet of which nothing is to stay and that
/// nobody on this machine is at work on. Needs no journal. --reap looks a second time ten minutes later and ends what is one
/// still; more than a fifth of all that is ours, or more than fifty things, it ends only with --max. Exits 10 while there are
/// any.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  fleetwright orphans
  fleetwright orphans --fleet nightly-crawl -o json
  fleetwright orphans --reap --max 120 --yes")]
pub(super) struct OrphansArgs {
    /// Only those of this fleet
    #[arg(long, value_name = "NAME")]
    fleet: Option<String>,
    /// End them, after a second look
    #[arg(long)]
    reap: bool,
    /// The most things that may be ended [default: a fifth of all that is ours, and 50]
    #[arg(long, value_name = "N", requires = "reap")]
    max: Option<usize>,
}

impl OrphansArgs {
    /// The same, checked.
    pub(super) fn check(self) -> Orphans {
        Orphans { fleet: self.fleet.map(FleetName::new), reap: self.reap, max: self.max }
    }
}
