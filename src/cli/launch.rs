//! `fleetwright launch`

use super::request::{Launch, Until};
use super::values;
use clap::ValueEnum;

/// Bring the fleet to its size
///
/// N is the wanted size, not N more: the same command again launches only what is missing. A shortfall is named with
/// the reasons of the pools that gave nothing.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  fleetwright launch
  fleetwright launch -n 40 --until ready --yes
  fleetwright launch --watch
  fleetwright launch --image ami-0123456789abcdef0 --unattested")]
pub(super) struct LaunchArgs {
    /// The wanted size [default: the spec's fleet.size]
    #[arg(short = 'n', long = "size", value_name = "N", value_parser = values::whole::<u32>(1, 10_000))]
    n: Option<u32>,
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
    /// Replace hosts that are gone, while it lasts
    #[arg(long)]
    watch: bool,
}

/// When a host counts as there.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum UntilArg {
    /// EC2 says running
    Running,
    /// SSH lets us in
    Ssh,
    /// The worker's service is active
    Ready,
}

impl UntilArg {
    /// The same, checked.
    pub(super) fn check(self) -> Until {
        match self {
            Self::Running => Until::Running,
            Self::Ssh => Until::Ssh,
            Self::Ready => Until::Ready,
        }
    }
}

impl LaunchArgs {
    /// The same, checked.
    pub(super) fn check(self) -> Launch {
        Launch {
            n: self.n,
            image: self.image,
            until: self.until.check(),
            unattested: self.unattested,
            adopt: self.adopt,
            keep: false,
            watch: self.watch,
        }
    }
}
