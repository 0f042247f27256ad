//! The words of the domain, without any I/O: every other room speaks in these types.

pub mod buckets;
pub mod checkup;
pub mod count;
pub mod fault;
pub mod group;
pub mod host;
pub mod ids;
pub mod image;
pub mod instance;
pub mod money;
pub mod occasion;
pub mod offer;
pub mod ours;
pub mod partition;
pub mod play;
pub mod pool;
pub mod quote;
pub mod refresh;
pub mod request;
pub mod residue;
pub mod sample;
pub mod survey;
pub mod tags;

pub use buckets::Bucket;
pub use checkup::{Caller, Checkup};
pub use count::{count, count_is};
pub use fault::{Fault, FaultKind};
pub use group::{Activity, DRAIN_HOOK, Group, GroupMember, GroupRequest, Hook, Mixed, ScheduledAction};
pub use host::{Address, HOST_UNIT, Host, HostReport, HostResult, without_fingerprints};
pub use ids::{
    AccountId, FleetKey, FleetName, ImageId, InstanceId, Region, RunId, SecurityGroupId, SnapshotId, SubnetId,
    TemplateId, VolumeId, Zone,
};
pub use image::{Image, ImageState};
pub use instance::{Instance, InstanceState};
pub use money::{Cost, Money};
pub use occasion::Occasion;
pub use offer::{Offer, Offers};
pub use ours::Ours;
pub use partition::Partition;
pub use play::{Play, PlayKind, PlayStep, StepOutcome, StepResult};
pub use pool::{Market, Pool};
pub use quote::shell_word;
pub use refresh::{Refresh, RefreshPreferences};
pub use request::{CopyRequest, FleetGiven, FleetRequest, GivenHost, ImageRequest, RefusedPool, TemplateRequest};
pub use residue::{Residue, Thing};
pub use sample::Sample;
pub use survey::{LaunchTemplate, Subnet, Survey, TemplateVersion};
pub use tags::{Mark, Tags};
