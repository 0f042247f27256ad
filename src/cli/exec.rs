//! `fleetwright exec`

use super::request::Exec;
use super::target::TargetArgs;

/// Run one command on every host
///
/// Results are reported as push reports them; equal output is shown once with the hosts that gave it. One word is taken
/// as a shell line, several words are passed as they are, each quoted.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  fleetwright exec -- uname -r
  fleetwright exec --only 0,3 -- 'systemctl is-active worker | tail -n 1'")]
pub(super) struct ExecArgs {
    #[command(flatten)]
    target: TargetArgs,
    /// The command and its arguments, after --
    #[arg(value_name = "COMMAND", required = true, last = true)]
    command: Vec<String>,
}

impl ExecArgs {
    /// The same, checked.
    pub(super) fn check(self) -> Result<Exec, String> {
        Ok(Exec { target: self.target.check()?, command: self.command })
    }
}
