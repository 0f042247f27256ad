//! `fleetwright bake`

use super::request::Bake;

/// Make an image of the verified template
///
/// The image carries the release and the digest of the verification. A template that the spec has built is launched,
/// provisioned and verified first where it is not there, and ended when its image is. A bake that was not finished is gone
/// on with.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  fleetwright bake
  fleetwright bake --if-changed --yes
  fleetwright bake --no-login        # where the template can't be reached")]
#[expect(clippy::struct_excessive_bools, reason = "each is one switch of the command line")]
pub(super) struct BakeArgs {
    /// Do nothing when release and playbooks are those of the newest image
    #[arg(long)]
    if_changed: bool,
    /// Bake a template that verify has not passed
    #[arg(long)]
    unverified: bool,
    /// Do not log in to the template
    ///
    /// It is not searched for keys and credentials then, and its worker goes on; without a verification the image is an
    /// unattested one.
    #[arg(long)]
    no_login: bool,
    /// Leave the template running, which gives up a consistent file system
    #[arg(long)]
    no_reboot: bool,
    /// Leave a template that was built running, whatever comes of it
    ///
    /// It is ended without this once its image is there, or once a step on it says no.
    #[arg(long)]
    keep_template: bool,
}

impl BakeArgs {
    /// The same, checked.
    pub(super) fn check(self) -> Bake {
        Bake {
            if_changed: self.if_changed,
            unverified: self.unverified,
            no_login: self.no_login,
            no_reboot: self.no_reboot,
            keep: self.keep_template,
        }
    }
}
