//! An AMI and what belongs to it.

use super::{ImageId, InstanceId, SnapshotId, Tags, tags};
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

impl ImageState {
    /// EC2's own word.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Pending => "pending",
            Self::Available => "available",
            Self::Failed => "failed",
            Self::Other(word) => word,
        }
    }
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
    /// GiB of its root volume.
    #[serde(default)]
    pub root_gib: Option<u32>,
    /// Its snapshots: billed until deleted.
    pub snapshots: Vec<SnapshotId>,
    /// Size of its volumes, GiB: the most that its snapshots can hold.
    pub gib: u64,
    /// The instance it was made of, where EC2 still knows.
    pub template: Option<InstanceId>,
    /// The image that instance was started from, where EC2 still knows.
    pub base: Option<ImageId>,
    /// All its tags.
    pub tags: Tags,
}

impl Image {
    /// Whether hosts may be launched from it: it is available, and none that is only there to be copied.
    pub fn launchable(&self) -> bool {
        self.state == ImageState::Available && self.tags.get(tags::DRAFT).is_none()
    }
}
