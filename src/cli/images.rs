//! `fleetwright images`

use super::request::Images;
use clap::Subcommand;

/// Show, compare and end this fleet's images
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  fleetwright images list
  fleetwright images diff ami-0123456789abcdef0
  fleetwright images prune")]
pub(super) struct ImagesArgs {
    #[command(subcommand)]
    command: ImagesCommand,
}

/// What can be done with images.
#[derive(Subcommand, Clone, Debug)]
enum ImagesCommand {
    List(ListArgs),
    Prune(PruneArgs),
    Diff(DiffArgs),
}

/// All images of this fleet, newest first: who uses them, and which `images prune` would end
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  fleetwright images list
  fleetwright images list -o json")]
struct ListArgs {}

/// End images that nobody uses, except the newest of image.keep
///
/// An image is in use while a live host was started from it, and while the newest version of the fleet's launch template
/// names it. Images that failed, and snapshots that no image holds, are ended too. `down --images` does the same.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  fleetwright images prune --dry-run
  fleetwright images prune --set image.keep=1 --yes")]
struct PruneArgs {
    /// Take over what carries this fleet's tags but is in no journal here first, as adopt does
    #[arg(long)]
    adopt: bool,
}

/// What is different between two images
///
/// Compares release, verification, template, base, disk and tags.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  fleetwright images diff ami-0123456789abcdef0
  fleetwright images diff nightly-a05662af nightly-77e1c09a -o json")]
struct DiffArgs {
    /// Id or name of an image
    #[arg(value_name = "IMAGE")]
    from: String,
    /// Id or name of another [default: the newest that can be launched]
    #[arg(value_name = "OTHER")]
    to: Option<String>,
}

impl ImagesArgs {
    /// The same, checked.
    pub(super) fn check(self) -> Images {
        match self.command {
            ImagesCommand::List(ListArgs {}) => Images::List,
            ImagesCommand::Prune(PruneArgs { adopt }) => Images::Prune { adopt },
            ImagesCommand::Diff(DiffArgs { from, to }) => Images::Diff { from, to },
        }
    }
}
