//! `fleetwright validate`

/// Find every problem of the spec and its playbooks
///
/// Says file, line and column of each and what to write instead. Makes no AWS call. Exits 2 when there are problems.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  fleetwright validate
  fleetwright -f specs/crawl.yaml validate --set fleet.size=60")]
pub(super) struct ValidateArgs {}
