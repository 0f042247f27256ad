//! `fleetwright exec`

use super::request::Exec;
use super::target::TargetArgs;
use super::values;
use std::time::Duration;

/// Run one command on every host
///
/// Results are reported as push reports them; equal output is shown once with the hosts that gave it. One word is taken
/// as a shell line, several words are passed as they are, each quoted. On a host the command ends when nobody waits for it
/// any more: after --within, and when the connection to it ends.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  fleetwright exec -- uname -r
  fleetwright exec --within 30s -- systemctl is-active worker
  fleetwright exec --group api-prod -- uptime    # machines that fleetwright did not launch
  fleetwright exec --only 0,3 -- 'systemctl is-active worker | tail -n 1'")]
pub(super) struct ExecArgs {
    #[command(flatten)]
    target: TargetArgs,
    /// How long it may take on one host
    #[arg(long, value_name = "DURATION", value_parser = values::duration, default_value = "1h")]
    within: Duration,
    /// The command and its arguments, after --
    #[arg(value_name = "COMMAND", required = true, last = true)]
    command: Vec<String>,
}

impl ExecArgs {
    /// The same, checked.
    pub(super) fn check(self) -> Result<Exec, String> {
        Ok(Exec { target: self.target.check()?, within: self.within, command: self.command })
    }
}
