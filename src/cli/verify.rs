//! `fleetwright verify`

use super::request::Verify;

/// Check the template, reboot included
///
/// Runs the verify playbook on the template over SSH, reboots it and sees the worker come back, and completes a few
/// real items through a private queue. What it finds is written down and stamped on the image.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  fleetwright verify
  fleetwright verify --skip-canary --yes")]
pub(super) struct VerifyArgs {
    /// Leave out the real items through a private queue
    #[arg(long)]
    skip_canary: bool,
    /// Reboot the template although it is a member of an Auto Scaling group
    #[arg(long)]
    allow_member: bool,
}

impl VerifyArgs {
    /// The same, checked.
    pub(super) fn check(self) -> Verify {
        Verify { skip_canary: self.skip_canary, allow_member: self.allow_member }
    }
}
