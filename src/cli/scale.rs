//! `fleetwright scale`

use super::launch::UntilArg;
use super::request::{GoesFirst, Launch, Scale};
use super::values;
use clap::ValueEnum;

/// Bring the fleet to another size, up or down
///
/// More hosts are launched as `launch` does it. Fewer: the hosts that go are drained first (the playbook worker.drain, or
/// the worker's service is stopped), taken from the zone that has most, and only ended once nothing is in their hands;
/// those that carry fleetwright:protect stay.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  fleetwright scale 60
  fleetwright scale 20 --order idlest --yes
  fleetwright scale 0 --no-drain")]
pub(super) struct ScaleArgs {
    /// The wanted size
    #[arg(value_name = "N", value_parser = values::whole::<u32>(0, 10_000))]
    n: u32,
    /// Which hosts go first when there are too many
    #[arg(long, value_name = "ORDER", value_enum, default_value_t = OrderArg::Oldest)]
    order: OrderArg,
    /// End hosts without draining them: what they have in hand comes back later
    #[arg(long)]
    no_drain: bool,
    /// Image to launch [default: the newest, which must be attested]
    #[arg(long, value_name = "ID")]
    image: Option<String>,
    /// When a host counts as there
    #[arg(long, value_name = "STATE", value_enum, default_value_t = UntilArg::Ssh)]
    until: UntilArg,
    /// Launch an image that carries no attestation
    #[arg(long)]
    unattested: bool,
    /// Take over what carries this fleet's tags but is in no journal here first, as adopt does
    #[arg(long)]
    adopt: bool,
}

/// Which hosts go first.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum OrderArg {
    /// Launched longest ago
    Oldest,
    /// Launched last
    Newest,
    /// Fewest processes under the worker, then the lowest load
    Idlest,
}

impl ScaleArgs {
    /// The same, checked.
    pub(super) fn check(self) -> Scale {
        let launch = Launch {
            n: Some(self.n),
            image: self.image,
            until: self.until.check(),
            unattested: self.unattested,
            adopt: self.adopt,
            ..Launch::default()
        };
        let order = match self.order {
            OrderArg::Oldest => GoesFirst::Oldest,
            OrderArg::Newest => GoesFirst::Newest,
            OrderArg::Idlest => GoesFirst::Idlest,
        };
        Scale { n: self.n, order, drain: !self.no_drain, launch }
    }
}
