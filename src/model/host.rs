//! A host as push, exec and the reports see it.

use super::InstanceId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// Command line of the host unit, which every host has: what a worker's is known by must not be in it.
pub const HOST_UNIT: &str = "/bin/sh /opt/fleetwright/host";

/// Where SSH finds a host.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Address {
    /// Name or address to connect to.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // An IPv6 address has colons of its own (RFC 3986).
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// One host of the fleet: a slot, and the instance that fills it now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Host {
    /// Stable index 0..N-1 within the fleet; its place in the list for a foreign machine.
    pub slot: u32,
    /// The instance, or the name of a foreign machine; a fleet's host keys are stored under this id, never under the address.
    pub id: InstanceId,
    /// Where SSH finds it.
    pub address: Address,
    /// Who to log in as.
    pub user: String,
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{} {}", self.slot, self.id)
    }
}

/// A text without the fingerprints in it, which differ from host to host where the cause is one.
pub fn without_fingerprints(text: &str) -> String {
    let mut parts = text.split("SHA256:");
    let mut masked = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        masked.push_str("<fingerprint>");
        masked.push_str(part.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/')));
    }
    masked
}

/// How one host came out of a push or exec.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum HostResult {
    /// Nothing had to change.
    Ok,
    /// Changed, as asked.
    Changed,
    /// We got in, and a step said no.
    Failed,
    /// We never got in, or lost the host on the way.
    Unreachable,
    /// We refused: host key or ownership did not match.
    Refused,
    /// Not tried, because the run stopped before it.
    Skipped,
}

impl HostResult {
    /// Whether the host has what it should have.
    pub fn good(self) -> bool {
        matches!(self, Self::Ok | Self::Changed)
    }

    /// The word used in every output.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Changed => "changed",
            Self::Failed => "failed",
            Self::Unreachable => "unreachable",
            Self::Refused => "refused",
            Self::Skipped => "skipped",
        }
    }
}

impl fmt::Display for HostResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What one host has to say for itself at the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HostReport {
    /// Which host.
    pub host: Host,
    /// How it came out.
    pub result: HostResult,
    /// Where it went wrong: `connect`, `host key`, `auth`, or the playbook step's name.
    pub stage: Option<String>,
    /// Why, in one line; already safe to print.
    pub cause: Option<String>,
    /// The failing step's exit status, where there was one.
    pub exit_status: Option<u32>,
    /// The tail of its output, escaped and bounded.
    pub output: String,
    /// How long it took, connect included.
    pub took: Duration,
}
