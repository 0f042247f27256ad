//! Bodies for the world's instances: real processes on this machine, or none at all.
//!
//! The world decides *when* an instance starts, stops or ends and calls down; a body only calls up through [`Upcall`].

#[cfg(target_os = "linux")]
mod children;
#[cfg(target_os = "linux")]
mod cloudinit;
#[cfg(target_os = "linux")]
mod command;
#[cfg(target_os = "linux")]
mod console;
#[cfg(not(target_os = "linux"))]
mod elsewhere;
#[cfg(target_os = "linux")]
mod helper;
#[cfg(target_os = "linux")]
mod host;
#[cfg(target_os = "linux")]
mod images;
#[cfg(target_os = "linux")]
mod init;
#[cfg(target_os = "linux")]
mod login;
#[cfg(target_os = "linux")]
mod metadata;
#[cfg(target_os = "linux")]
mod namespace;
#[cfg(target_os = "linux")]
mod orders;
#[cfg(target_os = "linux")]
mod real;
#[cfg(target_os = "linux")]
mod root;
#[cfg(target_os = "linux")]
mod services;
#[cfg(target_os = "linux")]
mod shims;
#[cfg(target_os = "linux")]
mod sshd;
#[cfg(target_os = "linux")]
mod unit_files;
#[cfg(target_os = "linux")]
mod units;

use super::seed::SeedMount;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;

#[cfg(not(target_os = "linux"))]
pub use elsewhere::{RealHosts, helper_main};
#[cfg(target_os = "linux")]
pub use helper::helper_main;
#[cfg(target_os = "linux")]
pub use real::RealHosts;

/// First argument that turns this binary into a host's helper; the rest goes to [`helper_main`].
pub const HELPER: &str = "__host";

/// What [`RealHosts::start`] needs.
#[derive(Clone, Debug)]
pub struct RealHostsOptions {
    /// Where hosts and images are kept; only what is made there is removed again.
    pub state_dir: PathBuf,
    /// Port of every host's SSH server; 0 picks a free one.
    pub ssh_port: u16,
    /// Images that boot from the minimal base.
    pub images: Vec<String>,
    /// Names and public keys in OpenSSH's format.
    pub key_pairs: BTreeMap<String, String>,
    /// Folders of this machine that every host sees.
    pub mounts: Vec<SeedMount>,
    /// What every process on a host has in its environment, the rehearsal's endpoint and credentials among it.
    pub env: BTreeMap<String, String>,
    /// This binary, which is run again with [`HELPER`] as its first argument.
    pub helper: PathBuf,
    /// The operator's own work on the template, or on the image that one is built of.
    pub template_setup: Option<TemplateSetup>,
}

/// A script that is run on one host during its first boot, before anybody can log in; or on every host of one image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateSetup {
    /// `i-...` or `ami-...`
    pub id: String,
    /// POSIX sh, on this machine.
    pub script: PathBuf,
}

/// Why there can be no real hosts.
#[derive(Debug, thiserror::Error)]
pub enum HostsError {
    /// The kernel, its administrator or the container that this runs in forbids what a host needs.
    #[error(
        "make hosts: this machine forbids the namespaces that keep them from harming it ({reason}); \
         allow unprivileged user namespaces, or use --hosts none"
    )]
    NoNamespaces {
        /// What was refused.
        reason: String,
    },
    /// Not Linux.
    #[error("make hosts: real hosts need Linux; use --hosts none")]
    NotLinux,
    /// The state directory can't be used.
    #[error("prepare hosts in {}", path.display())]
    State {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The SSH port can't be had.
    #[error("reserve port {port} on 127.64.0.0")]
    Port {
        /// As asked for; 0 is any.
        port: u16,
        /// Why.
        source: std::io::Error,
    },
    /// No threads.
    #[error("start the threads that serve hosts")]
    Runtime(#[source] std::io::Error),
}

/// What a new body needs to know.
#[derive(Clone, Debug)]
pub struct NewHost {
    /// `i-...`
    pub id: String,
    /// `ami-...`: the directory that it boots from is copied from this image's.
    pub image: String,
    /// Its own loopback address in 127.64.0.0/10; the world gives it as the private address too.
    pub address: Ipv4Addr,
    /// User data as given, decoded from base64.
    pub user_data: Option<Vec<u8>>,
    /// Name of the key pair, whose public half may log in.
    pub key_name: Option<String>,
}

/// Changes of power that the world asks for. Each returns at once; the work goes on in the background.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Power {
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
pub enum HostAct {
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
pub trait Hosts: Send + Sync + 'static {
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
pub struct Metadata {
    /// `i-...`
    pub instance_id: String,
    /// `ami-...`
    pub ami_id: String,
    /// For example `m7i.large`.
    pub instance_type: String,
    /// Its zone.
    pub zone: String,
    /// Its region.
    pub region: String,
    /// Account that owns it.
    pub account: String,
    /// Private address.
    pub local_ipv4: String,
    /// `spot` or `on-demand`.
    pub life_cycle: String,
    /// Instance tags, when InstanceMetadataTags is enabled.
    pub tags: Option<BTreeMap<String, String>>,
    /// `{"action":"terminate","time":"..."}` once interrupted.
    pub spot_action: Option<String>,
    /// `{"noticeTime":"..."}` once EC2 recommends to replace it.
    pub rebalance: Option<String>,
    /// Where Auto Scaling takes it, for example `InService`; only for an instance of a group.
    pub target_state: Option<String>,
    /// Instance profile name, if any.
    pub instance_profile: Option<String>,
}

/// What bodies may ask of the world.
pub trait Upcall: Send + Sync + 'static {
    /// Facts for the metadata service; `None` once the instance is gone.
    fn metadata(&self, id: &str) -> Option<Metadata>;
    /// The host powered itself off (`poweroff`, `shutdown -h`): the world applies InstanceInitiatedShutdownBehavior.
    fn powered_off(&self, id: &str);
    /// The host asked for a reboot from inside: the world calls [`Hosts::power`] with `Reboot`.
    fn rebooted(&self, id: &str);
}

/// `--hosts none`: instances without bodies. The console still prints host keys, as users of the API expect.
#[derive(Debug, Default)]
pub struct NoHosts;

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
pub type SharedHosts = Arc<dyn Hosts>;
