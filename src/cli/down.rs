//! `fleetwright down`

use super::request::Down;
use super::values;

/// End the fleet, and see by a second look that it is gone
///
/// Ends hosts, volumes and the launch template that this fleet made, nothing else. Images stay and are
/// listed. With --only some hosts go and the fleet stays.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  fleetwright down
  fleetwright down --images --yes
  fleetwright down --adopt
  fleetwright down --only 3,i-0123456789abcdef0")]
pub(super) struct DownArgs {
    /// End images that are not in use, too, except the newest of image.keep
    #[arg(long)]
    images: bool,
    /// Take over what carries this fleet's tags but is in no journal here first, as adopt does
    #[arg(long)]
    adopt: bool,
    /// Only these: ids, slots, names of `hosts`, or @FILE with one a line; can be repeated
    #[arg(long, value_name = "HOSTS", conflicts_with = "images")]
    only: Vec<String>,
    /// End hosts without draining them: what they have in hand comes back later
    #[arg(long, requires = "only")]
    no_drain: bool,
}

impl DownArgs {
    /// The same, checked.
    pub(super) fn check(self) -> Result<Down, String> {
        let only = values::only(&self.only).map_err(|error| format!("invalid value for '--only <HOSTS>': {error}"))?;
        Ok(Down { images: self.images, adopt: self.adopt, only, no_drain: self.no_drain })
    }
}
