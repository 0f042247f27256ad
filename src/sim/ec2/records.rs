//! What the world remembers of each kind of resource.

use super::params::Node;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;

/// Tags of a resource.
pub(super) type Tags = BTreeMap<String, String>;

/// `spot` or `on-demand`, EC2's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Market {
    /// Can be taken back.
    Spot,
    /// Stays.
    OnDemand,
}

impl Market {
    /// EC2's word.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Spot => "spot",
            Self::OnDemand => "on-demand",
        }
    }
}

/// The six states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Being started.
    Pending,
    /// Up and billed.
    Running,
    /// On its way down, to be started again.
    Stopping,
    /// Down, to be started again.
    Stopped,
    /// On its way out.
    ShuttingDown,
    /// Gone.
    Terminated,
}

impl State {
    /// EC2's word.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
            Self::ShuttingDown => "shutting-down",
            Self::Terminated => "terminated",
        }
    }

    /// EC2's number.
    pub(super) fn code(self) -> u8 {
        match self {
            Self::Pending => 0,
            Self::Running => 16,
            Self::ShuttingDown => 32,
            Self::Terminated => 48,
            Self::Stopping => 64,
            Self::Stopped => 80,
        }
    }

    /// Whether it is neither gone nor on its way out.
    pub(super) fn live(self) -> bool {
        !matches!(self, Self::ShuttingDown | Self::Terminated)
    }
}

/// StateReason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reason {
    /// For example `Client.UserInitiatedShutdown`.
    pub(super) code: String,
    /// For people.
    pub(super) message: String,
}

/// Who made it: ground truth for tests, never on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// A call by this principal.
    Call(String),
    /// The seed's template.
    Template,
    /// The seed's decoys.
    Decoy,
}

impl Origin {
    /// The word in the ground truth.
    pub(super) fn word(&self) -> &str {
        match self {
            Self::Call(principal) => principal,
            Self::Template => "template",
            Self::Decoy => "decoy",
        }
    }
}

/// MetadataOptions.
#[derive(Clone, Debug)]
pub(super) struct MetadataOptions {
    /// `optional` or `required`.
    pub(super) tokens: String,
    /// 1 to 64.
    pub(super) hops: u32,
    /// `enabled` or `disabled`.
    pub(super) endpoint: String,
    /// `enabled` or `disabled`.
    pub(super) tags: String,
}

/// A volume as an instance sees it.
#[derive(Clone, Debug)]
pub(super) struct Attached {
    /// `/dev/xvda`.
    pub(super) device: String,
    /// `vol-...`
    pub(super) volume: String,
    /// Whether it ends with the instance.
    pub(super) ends: bool,
    /// Since when.
    pub(super) at: Timestamp,
}

/// An instance's one network interface.
#[derive(Clone, Debug)]
pub(super) struct Interface {
    /// `eni-...`
    pub(super) id: String,
    /// `eni-attach-...`
    pub(super) attachment: String,
    /// Address of the card.
    pub(super) mac: String,
    /// Its tags.
    pub(super) tags: Tags,
}

/// Protection against calls of the API.
#[derive(Clone, Copy, Debug)]
pub(super) struct Guard {
    /// DisableApiTermination.
    pub(super) terminate: bool,
    /// DisableApiStop.
    pub(super) stop: bool,
}

/// An instance.
#[derive(Clone, Debug)]
#[expect(clippy::struct_field_names, reason = "instance type is EC2's word")]
pub(super) struct Instance {
    pub(super) id: String,
    pub(super) reservation: String,
    pub(super) index: usize,
    pub(super) token: Option<String>,
    pub(super) image: String,
    pub(super) instance_type: String,
    pub(super) architecture: String,
    pub(super) vcpus: u32,
    pub(super) subnet: String,
    pub(super) zone: String,
    pub(super) market: Market,
    pub(super) spot_request: Option<String>,
    pub(super) spot_tags: Tags,
    pub(super) key: Option<String>,
    pub(super) groups: Vec<String>,
    pub(super) profile: Option<String>,
    /// Base64, as given.
    pub(super) user_data: Option<String>,
    pub(super) address: Ipv4Addr,
    pub(super) interface: Interface,
    pub(super) root_device: String,
    pub(super) devices: Vec<Attached>,
    pub(super) metadata: MetadataOptions,
    /// `stop` or `terminate`.
    pub(super) shutdown: String,
    pub(super) guard: Guard,
    pub(super) monitored: bool,
    pub(super) ebs_optimized: bool,
    pub(super) tenancy: String,
    pub(super) tags: Tags,
    pub(super) state: State,
    /// Rises with each change of state, so that an old timer finds that it is old.
    pub(super) step: u64,
    /// When the present state began.
    pub(super) since: Timestamp,
    pub(super) reason: Option<Reason>,
    /// StateTransitionReason.
    pub(super) transition: String,
    pub(super) launched: Timestamp,
    pub(super) ended: Option<Timestamp>,
    pub(super) fleet: Option<String>,
    pub(super) origin: Origin,
    /// When a spot notice takes effect.
    pub(super) notice: Option<Timestamp>,
    /// Dollars an hour, millionths.
    pub(super) price: u64,
    /// Billed spans, the last one perhaps open.
    pub(super) billed: Vec<(Timestamp, Option<Timestamp>)>,
}

/// A volume.
#[derive(Clone, Debug)]
pub(super) struct Volume {
    pub(super) id: String,
    pub(super) size: u32,
    pub(super) kind: String,
    pub(super) iops: Option<u32>,
    pub(super) throughput: Option<u32>,
    pub(super) encrypted: bool,
    pub(super) key: Option<String>,
    pub(super) snapshot: Option<String>,
    pub(super) zone: String,
    pub(super) created: Timestamp,
    /// Instance, device, ends with it, since.
    pub(super) attached: Option<(String, String, bool, Timestamp)>,
    pub(super) tags: Tags,
    pub(super) origin: Origin,
}

/// A block device of an image.
#[derive(Clone, Debug)]
pub(super) struct ImageDevice {
    pub(super) device: String,
    pub(super) snapshot: Option<String>,
    pub(super) size: u32,
    pub(super) kind: String,
    pub(super) iops: Option<u32>,
    pub(super) throughput: Option<u32>,
    pub(super) encrypted: bool,
    pub(super) key: Option<String>,
    pub(super) ends: bool,
}

/// What an image or a snapshot comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Making {
    /// Not yet.
    Pending,
    /// Good.
    Done,
    /// Not good, and won't be.
    Failed,
}

/// An image.
#[derive(Clone, Debug)]
#[expect(clippy::struct_field_names, reason = "source image is EC2's word")]
pub(super) struct Image {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) description: Option<String>,
    pub(super) owner: String,
    pub(super) architecture: String,
    pub(super) made: Making,
    /// Whether it is going to fail.
    pub(super) doomed: bool,
    pub(super) created: Timestamp,
    /// Since when its owner advises against it.
    pub(super) deprecated: Option<Timestamp>,
    /// Whether nobody can launch it.
    pub(super) disabled: bool,
    pub(super) public: bool,
    pub(super) root_device: String,
    pub(super) devices: Vec<ImageDevice>,
    pub(super) source: Option<String>,
    /// The image that this one came from, and its region.
    pub(super) source_image: Option<(String, String)>,
    /// The image whose files its instances boot from: itself, or the first of those that it is a copy of.
    pub(super) body: String,
    pub(super) last_launched: Option<Timestamp>,
    pub(super) tags: Tags,
}

/// A snapshot.
#[derive(Clone, Debug)]
pub(super) struct Snapshot {
    pub(super) id: String,
    pub(super) volume: String,
    pub(super) size: u32,
    pub(super) owner: String,
    pub(super) description: String,
    pub(super) encrypted: bool,
    pub(super) started: Timestamp,
    /// When it will be, or was, complete.
    pub(super) due: Timestamp,
    pub(super) made: Making,
    /// The image it belongs to.
    pub(super) image: String,
    pub(super) tags: Tags,
}

/// One version of a launch template.
#[derive(Clone, Debug)]
pub(super) struct Version {
    pub(super) number: u64,
    pub(super) description: Option<String>,
    pub(super) created: Timestamp,
    pub(super) creator: String,
    /// LaunchTemplateData as given.
    pub(super) data: Node,
}

/// A launch template.
#[derive(Clone, Debug)]
pub(super) struct Template {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) created: Timestamp,
    pub(super) creator: String,
    pub(super) default: u64,
    /// Highest number ever given.
    pub(super) latest: u64,
    pub(super) versions: Vec<Version>,
    pub(super) tags: Tags,
}

/// One group of a fleet's answer: what was asked and which instances came of it.
#[derive(Clone, Debug)]
pub(super) struct FleetPart {
    /// Template id, name and version as resolved.
    pub(super) template: (String, String, u64),
    /// The override as given.
    pub(super) overrides: Node,
    pub(super) market: Market,
    pub(super) instance_type: String,
    /// Empty for an error.
    pub(super) instances: Vec<String>,
    /// Code and message, for an error.
    pub(super) error: Option<(String, String)>,
}

/// A fleet of type `instant`.
#[derive(Clone, Debug)]
pub(super) struct Fleet {
    pub(super) id: String,
    pub(super) token: Option<String>,
    pub(super) created: Timestamp,
    /// `active`, `deleted_terminating` or `deleted_running`.
    pub(super) state: &'static str,
    /// The request.
    pub(super) asked: Node,
    pub(super) total: u32,
    pub(super) on_demand: u32,
    pub(super) spot: u32,
    pub(super) parts: Vec<FleetPart>,
    pub(super) tags: Tags,
}

impl Fleet {
    /// All its instances.
    pub(super) fn instances(&self) -> impl Iterator<Item = &String> {
        self.parts.iter().flat_map(|part| &part.instances)
    }
}

/// A subnet.
#[derive(Clone, Debug)]
pub(super) struct Subnet {
    pub(super) id: String,
    pub(super) zone: String,
    /// Its place in the seed: which block of addresses it has.
    pub(super) block: u8,
    /// Addresses free at the start.
    pub(super) room: u32,
    pub(super) tags: Tags,
}

/// A security group.
#[derive(Clone, Debug)]
pub(super) struct Group {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) tags: Tags,
}

/// A key pair.
#[derive(Clone, Debug)]
pub(super) struct Key {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) public: String,
    pub(super) tags: Tags,
}
