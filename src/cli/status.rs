//! `fleetwright status`

/// Show fleet, hosts, images and queue
///
/// Reads the account and changes nothing.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  fleetwright status
  fleetwright status -o json")]
pub(super) struct StatusArgs {}
