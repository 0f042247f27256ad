//! Bodies for the world's instances: real processes on this machine, or none at all.
//!
//! The world decides *when* an instance starts, stops or ends and calls down; a body only calls up through [`Upcall`].

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

/// What a new body needs to know.
#[derive(Clone, Debug)]
pub(crate) struct NewHost {
    /// `i-...`
    pub(crate) id: String,
    /// `ami-...`: the directory that it boots from is copied from this image's.
    pub(crate) image: String,
    /// Its own loopback address in 127.64.0.0/10; the world gives it as the private address too.
    pub(crate) address: Ipv4Addr,
    /// User data as given, decoded from base64.
    pub(crate) user_data: Option<Vec<u8>>,
    /// Name of the key pair, whose public half may log in.
    pub(crate) key_name: Option<String>,
}

/// Changes of power that the world asks for. Each returns at once; the work goes on in the background.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Power {
    /// Boot: fresh boot id, boot hooks run.
    On,
    /// Stop every process; the root directory stays.
    Off,
    /// Off, then on.
    Reboot,
    /// Stop every process and remove the root directory.
    Destroy,
}

/// What the control port can do to a host from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum HostAct {
    /// SIGKILL to everything on it except what boots it: a worker dies mid-item.
    Kill,
    /// Its SSH address accepts nothing any more: connects hang.
    Blackhole,
    /// Ends a black hole.
    Restore,
    /// Spot interruption: notice in the metadata service, two minutes later the world ends it.
    Interrupt,
    /// Reboot from outside.
    Reboot,
    /// New host key, as after a swapped machine.
    Rekey,
}

/// Where bodies come from. Every method returns quickly.
pub(crate) trait Hosts: Send + Sync + 'static {
    /// Prepares a body in the off state.
    fn create(&self, host: NewHost);
    /// Changes power.
    fn power(&self, id: &str, power: Power);
    /// CreateImage: from now on `image` boots from a copy of this host's directory as it is now (quiesced by the caller).
    fn snapshot(&self, id: &str, image: &str);
    /// DeregisterImage plus its snapshots gone: the directory may go.
    fn forget_image(&self, image: &str);
    /// The serial console so far, as GetConsoleOutput would give it (before base64).
    fn console(&self, id: &str) -> String;
    /// Something done to it from outside, other than interrupt and reboot, which the world turns into power.
    fn act(&self, id: &str, act: HostAct);
    /// Ends everything and removes every directory; called once, waits until it is so.
    fn shutdown(&self);
}

/// What the metadata service tells a host about itself.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Metadata {
    /// `i-...`
    pub(crate) instance_id: String,
    /// `ami-...`
    pub(crate) ami_id: String,
    /// For example `m7i.large`.
    pub(crate) instance_type: String,
    /// Its zone.
    pub(crate) zone: String,
    /// Its region.
    pub(crate) region: String,
    /// Account that owns it.
    pub(crate) account: String,
    /// Private address.
    pub(crate) local_ipv4: String,
    /// `spot` or `on-demand`.
    pub(crate) life_cycle: String,
    /// Instance tags, when InstanceMetadataTags is enabled.
    pub(crate) tags: Option<BTreeMap<String, String>>,
    /// `{"action":"terminate","time":"..."}` once interrupted.
    pub(crate) spot_action: Option<String>,
    /// Instance profile name, if any.
    pub(crate) instance_profile: Option<String>,
}

/// What bodies may ask of the world.
pub(crate) trait Upcall: Send + Sync + 'static {
    /// Facts for the metadata service; `None` once the instance is gone.
    fn metadata(&self, id: &str) -> Option<Metadata>;
    /// The host powered itself off (`poweroff`, `shutdown -h`): the world applies InstanceInitiatedShutdownBehavior.
    fn powered_off(&self, id: &str);
    /// The host asked for a reboot from inside: the world calls [`Hosts::power`] with `Reboot`.
    fn rebooted(&self, id: &str);
}

/// `--hosts none`: instances without bodies. The console still prints host keys, as users of the API expect.
#[derive(Debug, Default)]
pub(crate) struct NoHosts;

impl Hosts for NoHosts {
    fn create(&self, _: NewHost) {}
    fn power(&self, _: &str, _: Power) {}
    fn snapshot(&self, _: &str, _: &str) {}
    fn forget_image(&self, _: &str) {}
    fn console(&self, id: &str) -> String {
        format!("[    0.000000] {id} has no body here (--hosts none)\n")
    }
    fn act(&self, _: &str, _: HostAct) {}
    fn shutdown(&self) {}
}

/// A shared source of bodies.
pub(crate) type SharedHosts = Arc<dyn Hosts>;
