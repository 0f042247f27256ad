//! `fleetwright verify`

use super::request::Verify;

/// Check the template, reboot included
///
/// Launches and provisions the template first where the spec has it built. Runs the verify playbook on it over SSH, reboots
/// it and sees the worker come back, and completes a few real items through a private queue. What it finds is written down
/// and stamped on the image.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  fleetwright verify
  fleetwright verify --skip-canary --yes
  fleetwright verify --keep-template # look at a built template that does not pass")]
pub(super) struct VerifyArgs {
    /// Leave out the real items through a private queue
    #[arg(long)]
    skip_canary: bool,
    /// Reboot the template although it is a member of an Auto Scaling group
    #[arg(long)]
    allow_member: bool,
    /// Leave a template that was built running, whatever comes of it
    ///
    /// It is ended without this once its image is there, or once a step on it says no.
    #[arg(long)]
    keep_template: bool,
}

impl VerifyArgs {
    /// The same, checked.
    pub(super) fn check(self) -> Verify {
        Verify { skip_canary: self.skip_canary, allow_member: self.allow_member, keep: self.keep_template }
    }
}
