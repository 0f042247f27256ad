//! What is asked of AWS, as data: the same request makes the same bytes each time.

use super::{ImageId, InstanceId, Market, Region, SecurityGroupId, SubnetId, Tags, TemplateId, Zone};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What every host of an epoch has in common: one version of the fleet's launch template.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TemplateRequest {
    /// `fleetwright-<fleet>`.
    pub name: String,
    /// The template to add a version to; a new template if absent.
    pub onto: Option<TemplateId>,
    /// ClientToken.
    pub token: String,
    /// VersionDescription: the spec digest, by which two machines recognise the same epoch.
    pub description: String,
    /// Tags of the launch template itself (only when it is made).
    pub template_tags: Tags,
    /// Image to start from.
    pub image: ImageId,
    /// First type of the list; the fleet request overrides it.
    pub instance_type: String,
    /// Key pair, if any.
    pub key_name: Option<String>,
    /// Instance profile name or ARN, if any.
    pub instance_profile: Option<String>,
    /// Security groups.
    pub security_groups: Vec<SecurityGroupId>,
    /// User data, already base64; at most 16 KiB before encoding.
    pub user_data: Option<String>,
    /// The image's root device, for example `/dev/xvda`.
    pub root_device: String,
    /// GiB; the snapshot's own size if absent.
    pub root_gib: Option<u32>,
    /// For example `gp3`.
    pub root_type: String,
    /// Whether the root volume is encrypted.
    pub root_encrypted: bool,
    /// IMDSv2 only.
    pub metadata_tokens_required: bool,
    /// IMDS hop limit.
    pub metadata_hop_limit: u8,
    /// Tags of instances, volumes and network interfaces from birth.
    pub host_tags: Tags,
}

/// One launch request: an EC2 fleet of type `instant` over several types and subnets, both markets at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FleetRequest {
    /// ClientToken; also the hosts' intent tag.
    pub token: String,
    /// The epoch's launch template.
    pub template: TemplateId,
    /// Its version.
    pub version: i64,
    /// Spot hosts wanted.
    pub spot: u32,
    /// On-demand hosts wanted.
    pub on_demand: u32,
    /// Types in order of preference.
    pub types: Vec<String>,
    /// Subnets, one per zone.
    pub subnets: Vec<SubnetId>,
    /// Most to pay for a spot hour, dollars as text.
    pub max_price: Option<String>,
    /// Types in subnets that are left out.
    pub without: Vec<(String, SubnetId)>,
    /// Tags of the hosts that the template can't carry: the intent.
    pub host_tags: Tags,
}

/// What a fleet request brought.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FleetGiven {
    /// EC2's id of the instant fleet; never used to clean up.
    pub fleet: String,
    /// The instances, with the pool each came from.
    pub hosts: Vec<GivenHost>,
    /// Pools that gave nothing.
    pub refused: Vec<RefusedPool>,
}

/// One instance of a fleet's answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GivenHost {
    /// The instance.
    pub id: InstanceId,
    /// How it is paid for.
    pub market: Market,
    /// Its type.
    pub instance_type: String,
    /// Its subnet, where the answer says so.
    pub subnet: Option<SubnetId>,
    /// Its zone, where the answer says so.
    pub zone: Option<Zone>,
}

/// One entry of a fleet answer's `errorSet`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedPool {
    /// The market asked.
    pub market: Market,
    /// The type asked for, where the answer says so.
    pub instance_type: Option<String>,
    /// The subnet asked for, where the answer says so.
    pub subnet: Option<SubnetId>,
    /// How the error was classified.
    pub kind: super::FaultKind,
    /// AWS's code.
    pub code: String,
    /// AWS's message.
    pub message: String,
}

/// An image of the template.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ImageRequest {
    /// Deterministic, unique within account and region: CreateImage has no ClientToken.
    pub name: String,
    /// What it is an image of.
    pub instance: InstanceId,
    /// For people.
    pub description: String,
    /// Whether the instance is left running, which gives up a consistent file system.
    pub no_reboot: bool,
    /// Tags of image and snapshots from birth.
    pub tags: Tags,
}

/// A copy of an image that an earlier step leaves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CopyRequest {
    /// The region that gets it.
    pub region: Region,
    /// ClientToken.
    pub token: String,
    /// Its name.
    pub name: String,
    /// For people.
    pub description: String,
    /// The KMS key of that region that encrypts it; as it is if absent.
    pub kms_key: Option<String>,
    /// Tags of image and snapshots from birth: CopyImage copies none by itself.
    pub tags: Tags,
    /// The step that leaves the image to copy, which is in the fleet's region.
    pub of: String,
}
