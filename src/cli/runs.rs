//! `fleetwright runs`

use super::request::Runs;
use super::values;
use clap::Subcommand;

/// Show past runs and those under way, from their journals
///
/// Reads only files of this machine: no credentials are needed and no AWS call is made.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  fleetwright runs list
  fleetwright runs show 7c1e09aa
  fleetwright runs report")]
pub(super) struct RunsArgs {
    #[command(subcommand)]
    command: RunsCommand,
}

/// What can be asked of runs.
#[derive(Subcommand, Clone, Debug)]
enum RunsCommand {
    List(ListArgs),
    Show(ShowArgs),
    Report(ReportArgs),
}

/// All runs of this fleet, newest first
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  fleetwright runs list
  fleetwright runs list -o json")]
struct ListArgs {}

/// One run: its steps, and every call that it made to change something
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  fleetwright runs show 7c1e09aa
  fleetwright runs show 7c1e09aa -o json")]
struct ShowArgs {
    /// The run's id, or as much of its beginning or end as no other run has
    #[arg(value_name = "RUN", value_parser = values::run)]
    run: String,
}

/// One run for a reader who was not there: steps with durations, calls, retries, hosts, failures by cause
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  fleetwright runs report
  fleetwright runs report 7c1e09aa -o json")]
struct ReportArgs {
    /// The run's id, or as much of its beginning or end as no other run has [default: the newest]
    #[arg(value_name = "RUN", value_parser = values::run)]
    run: Option<String>,
}

impl RunsArgs {
    /// The same, checked.
    pub(super) fn check(self) -> Runs {
        match self.command {
            RunsCommand::List(ListArgs {}) => Runs::List,
            RunsCommand::Show(ShowArgs { run }) => Runs::Show(run),
            RunsCommand::Report(ReportArgs { run }) => Runs::Report(run),
        }
    }
}
