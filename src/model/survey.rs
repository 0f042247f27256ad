//! What one read-only look at the account saw.

use super::{AccountId, Group, Hook, Image, Instance, Region, SubnetId, Tags, TemplateId, Zone};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A subnet that hosts may be launched into.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subnet {
    /// `subnet-...`
    pub id: SubnetId,
    /// Its zone.
    pub zone: Zone,
    /// Whether its hosts get a public IPv4 address each.
    #[serde(default)]
    pub public_addresses: bool,
    /// IPv4 addresses still free in it.
    pub free_addresses: Option<u32>,
    /// Whether it has IPv6 addresses only: its hosts have no private IPv4 address.
    #[serde(default)]
    pub ipv6_only: bool,
}

/// One version of a launch template.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TemplateVersion {
    /// 1, 2, 3 ...
    pub number: i64,
    /// VersionDescription: where we keep the spec digest, since versions can't be tagged.
    pub description: Option<String>,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// The image it launches.
    pub image: Option<String>,
    /// Tags that its instances get.
    pub instance_tags: Tags,
}

/// The fleet's launch template, `fleetwright-<name>`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaunchTemplate {
    /// `lt-...`
    pub id: TemplateId,
    /// Unique within account and region.
    pub name: String,
    /// Tags of the template itself.
    pub tags: Tags,
    /// All its versions, oldest first.
    pub versions: Vec<TemplateVersion>,
}

/// One read-only look at the account: always a little stale, perhaps partial.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Survey {
    /// When the look was complete, world time.
    pub at: Timestamp,
    /// The account that answered.
    pub account: AccountId,
    /// The region asked.
    pub region: Region,
    /// The template instance, where the spec names one and it is there.
    pub template: Option<Instance>,
    /// Every instance with our fleet tag, in any state.
    pub instances: Vec<Instance>,
    /// The same of the fleet whose one host is a template that is built for this one.
    #[serde(default)]
    pub built: Vec<Instance>,
    /// The fleet's launch template, where it is there.
    pub launch_template: Option<LaunchTemplate>,
    /// The fleet's own Auto Scaling group, where it is there; of an account without one nobody asks.
    #[serde(default)]
    pub group: Option<Box<Group>>,
    /// That group's lifecycle hook of ours; nobody asks where the spec names no worker.
    #[serde(default)]
    pub hook: Option<Hook>,
    /// Our images of this fleet, newest first.
    pub images: Vec<Image>,
    /// The subnets that the spec names, or the template's.
    pub subnets: Vec<Subnet>,
}

impl Survey {
    /// The look that was not taken, where nothing in the account matters.
    pub fn untaken(at: Timestamp, account: AccountId, region: Region) -> Self {
        Self {
            at,
            account,
            region,
            template: None,
            instances: Vec::new(),
            built: Vec::new(),
            launch_template: None,
            group: None,
            hook: None,
            images: Vec::new(),
            subnets: Vec::new(),
        }
    }
}
