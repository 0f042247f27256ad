//! What a rehearsal world starts with: made from a spec by the composition root, or read from a file by tests.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Everything that exists before the first call.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seed {
    /// 12 digits.
    pub account: String,
    /// For example `us-east-1`.
    pub region: String,
    /// Subnets with their zones.
    pub subnets: Vec<SeedSubnet>,
    /// Security group ids (all in one VPC).
    pub security_groups: Vec<String>,
    /// Key pair names and the public key that each lets in (OpenSSH format).
    #[serde(default)]
    pub key_pairs: BTreeMap<String, String>,
    /// Instance profile names.
    #[serde(default)]
    pub instance_profiles: Vec<String>,
    /// Instance types that the region offers.
    pub types: Vec<SeedType>,
    /// Free capacity per pool; a pool not listed has `default_capacity`.
    #[serde(default)]
    pub pools: Vec<SeedPool>,
    /// Free capacity of pools not listed.
    #[serde(default = "default_capacity")]
    pub default_capacity: u32,
    /// vCPU quota for on-demand instances.
    #[serde(default = "default_quota")]
    pub on_demand_vcpus: u32,
    /// vCPU quota for spot instances.
    #[serde(default = "default_quota")]
    pub spot_vcpus: u32,
    /// The template instance, running at the start; none for worlds without one.
    #[serde(default)]
    pub template: Option<SeedTemplate>,
    /// Images that exist; each is public or owned by `owner`.
    #[serde(default)]
    pub images: Vec<SeedImage>,
    /// SQS queues that exist.
    #[serde(default)]
    pub queues: Vec<SeedQueue>,
    /// S3 buckets that exist, empty.
    #[serde(default)]
    pub buckets: Vec<String>,
    /// Whether other owners' instances, look-alike tags and the template's image on a foreign instance exist as well.
    #[serde(default)]
    pub decoys: bool,
    /// Folders of this machine that every host sees.
    #[serde(default)]
    pub mounts: Vec<SeedMount>,
    /// World time at the start; the present moment if absent.
    #[serde(default)]
    pub start: Option<jiff::Timestamp>,
    /// Longest visibility lag of a change, seconds of world time.
    #[serde(default)]
    pub lag_seconds: u32,
}

fn default_capacity() -> u32 {
    100_000
}

fn default_quota() -> u32 {
    1_000_000
}

/// A subnet.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeedSubnet {
    /// `subnet-...`
    pub id: String,
    /// For example `us-east-1a`.
    pub zone: String,
    /// Free addresses.
    #[serde(default = "default_addresses")]
    pub addresses: u32,
}

fn default_addresses() -> u32 {
    4091
}

/// An instance type.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeedType {
    /// For example `m7i.large`.
    pub name: String,
    /// vCPUs.
    pub vcpus: u32,
    /// Memory, MiB.
    pub memory_mib: u32,
    /// `x86_64` or `arm64`.
    pub architecture: String,
    /// Whether it is of a generation that AWS recommends today.
    #[serde(default = "default_current")]
    pub current: bool,
    /// The zones that offer it; all when empty.
    #[serde(default)]
    pub zones: Vec<String>,
    /// On-demand price, dollars an hour as text.
    pub on_demand: String,
    /// Spot price, dollars an hour as text.
    pub spot: String,
}

fn default_current() -> bool {
    true
}

/// Capacity of one pool.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeedPool {
    /// Instance type, or `*`.
    pub instance_type: String,
    /// Zone, or `*`.
    pub zone: String,
    /// `spot` or `on-demand`.
    pub market: String,
    /// Instances that fit now.
    pub free: u32,
}

/// The template instance.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeedTemplate {
    /// `i-...`
    pub id: String,
    /// Its type.
    pub instance_type: String,
    /// Its subnet.
    pub subnet: String,
    /// Its image.
    pub image: String,
    /// Its security groups.
    pub security_groups: Vec<String>,
    /// Its key pair.
    #[serde(default)]
    pub key_name: Option<String>,
    /// Its instance profile.
    #[serde(default)]
    pub instance_profile: Option<String>,
    /// Its tags.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// Shell script that is run once on its directory before the first boot, as the operator's own work on it.
    #[serde(default)]
    pub setup: Option<PathBuf>,
}

/// An image.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeedImage {
    /// `ami-...`
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its owner's account.
    pub owner: String,
    /// `x86_64` or `arm64`.
    pub architecture: String,
}

/// An SQS queue.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeedQueue {
    /// Its name, as in the last part of its URL.
    pub name: String,
    /// Seconds.
    #[serde(default = "default_visibility")]
    pub visibility_timeout: u32,
    /// Name of the dead-letter queue, which must be listed too.
    #[serde(default)]
    pub dead_letter: Option<String>,
    /// Receives before an item goes there.
    #[serde(default = "default_receives")]
    pub max_receive: u32,
}

fn default_visibility() -> u32 {
    30
}

fn default_receives() -> u32 {
    5
}

/// A folder that hosts see.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeedMount {
    /// Absolute path on the hosts.
    pub at: PathBuf,
    /// Folder of this machine.
    pub from: PathBuf,
    /// Whether hosts may write.
    #[serde(default)]
    pub writable: bool,
}
