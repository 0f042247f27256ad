//! `fleetwright resume`

use super::request::Resume;

/// Go on where a run stopped
///
/// The plan is the one that the run was started with, whatever the spec says now.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  fleetwright resume
  fleetwright resume 7c1e09aa")]
pub(super) struct ResumeArgs {
    /// The run's id, or the end of it [default: the newest unfinished run]
    #[arg(value_name = "RUN")]
    run: Option<String>,
}

impl ResumeArgs {
    /// The same, checked.
    pub(super) fn check(self) -> Result<Resume, String> {
        let id = |text: &str| text.len() >= 4 && text.chars().all(|c| c.is_ascii_hexdigit() || c == '-');
        match self.run {
            Some(run) if !id(&run) => {
                Err(format!("invalid value '{run}' for '[RUN]': expected a run's id, or at least its last 4 digits"))
            }
            run => Ok(Resume { run }),
        }
    }
}
