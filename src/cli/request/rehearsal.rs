//! What `rehearse` and `sim serve` were asked for.

use std::net::SocketAddr;
use std::path::PathBuf;

/// `rehearse`
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rehearse {
    /// Hosts instead of the spec's `fleet.size`, at least 1.
    pub hosts: Option<u32>,
    /// Items to feed, at least 1; by range of the real files when there are fewer.
    pub items: Option<u64>,
    /// Folder whose regular files are the items.
    pub items_from: Option<PathBuf>,
    /// Decides what goes wrong where.
    pub seed: Option<u64>,
    /// Fault script.
    pub faults: Option<PathBuf>,
    /// Leave cloud and hosts running at the end.
    pub keep: bool,
    /// File for the report.
    pub report: Option<PathBuf>,
    /// World seconds per second, more than zero.
    pub speed: Option<f64>,
}

/// What the rehearsal cloud's instances are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HostsKind {
    /// Real processes on this machine.
    #[default]
    Real,
    /// Nothing answers on them.
    None,
}

/// `sim serve`
#[derive(Clone, Debug, PartialEq)]
pub struct SimServe {
    /// Loopback address and port; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The spec that the world is made from.
    pub spec: Option<PathBuf>,
    /// What instances are.
    pub hosts: HostsKind,
    /// World seconds per second, more than zero; 1 if absent.
    pub speed: Option<f64>,
    /// Decides what goes wrong where.
    pub seed: Option<u64>,
    /// Fault script.
    pub faults: Option<PathBuf>,
}
