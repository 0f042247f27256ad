//! `fleetwright diff`

/// Show where the live fleet is not as the spec says
///
/// Compares size, launch template, image, types, subnets, security groups, profile, key, metadata options, tags, release
/// and end of every live host. Reads the account and changes nothing.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  fleetwright diff
  fleetwright diff --detailed-exitcode -o json")]
pub(super) struct DiffArgs {
    /// Exit 14 when there is something to change, 0 when there is not
    #[arg(long)]
    detailed_exitcode: bool,
}

impl DiffArgs {
    /// The same, checked.
    pub(super) fn check(self) -> bool {
        self.detailed_exitcode
    }
}
