//! `fleetwright resume`

use super::request::Resume;
use super::values;

/// Go on where a run stopped
///
/// The plan is the one that the run was started with, whatever the spec says now.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  fleetwright resume
  fleetwright resume 7c1e09aa")]
pub(super) struct ResumeArgs {
    /// The run's id, or the beginning or end of it [default: the newest unfinished run]
    #[arg(value_name = "RUN", value_parser = values::run)]
    run: Option<String>,
}

impl ResumeArgs {
    /// The same, checked.
    pub(super) fn check(self) -> Resume {
        Resume { run: self.run }
    }
}
