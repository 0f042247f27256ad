//! An AMI and what belongs to it.

use super::{ImageId, SnapshotId, Tags};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// EC2's image states, those that matter told apart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ImageState {
    /// Snapshots are being copied.
    Pending,
    /// Can be launched.
    Available,
    /// Will never be available.
    Failed,
    /// Any other word of EC2's (`deregistered`, `transient`, `disabled` ...).
    Other(String),
}

/// One AMI.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// `ami-...`
    pub id: ImageId,
    /// Unique within owner and region.
    pub name: String,
    /// The owning account.
    pub owner: String,
    /// Where it is in its life.
    pub state: ImageState,
    /// EC2's StateReason when it failed.
    pub state_reason: Option<String>,
    /// When it was asked for.
    pub created: Option<Timestamp>,
    /// `x86_64` or `arm64`.
    pub architecture: Option<String>,
    /// The root device's name, for example `/dev/xvda`.
    pub root_device: Option<String>,
    /// The size of its root volume in GiB, where EC2 tells it.
    pub root_gib: Option<u32>,
    /// Its snapshots: billed until deleted.
    pub snapshots: Vec<SnapshotId>,
    /// All its tags.
    pub tags: Tags,
}
