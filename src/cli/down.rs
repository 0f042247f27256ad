//! `fleetwright down`

use super::request::Down;

/// End the fleet, and see by a second look that it is gone
///
/// Ends hosts, volumes and the launch template that this fleet made, nothing else. Images stay and are
/// listed.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  fleetwright down
  fleetwright down --images --yes
  fleetwright down --adopt")]
pub(super) struct DownArgs {
    /// End images that are not in use, too, except the newest of image.keep
    #[arg(long)]
    images: bool,
    /// Act on what carries this fleet's tags but is in no journal here, too
    #[arg(long)]
    adopt: bool,
}

impl DownArgs {
    /// The same, checked.
    pub(super) fn check(self) -> Down {
        Down { images: self.images, adopt: self.adopt }
    }
}
