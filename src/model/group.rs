//! Auto Scaling groups as they were read, and their scheduled actions.

use super::{FaultKind, InstanceId, Market, SubnetId, Tags, TemplateId};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the names of our scheduled actions begin, since they can't be tagged.
pub const OURS: &str = "fleetwright-";

/// The lifecycle hook of a fleet's own group.
pub const DRAIN_HOOK: &str = "fleetwright-drain";

/// Name of a fleet's own group, and of its launch template.
pub fn of_fleet(fleet: &str) -> String {
    format!("{OURS}{fleet}")
}

/// What a group is called among the things of ours.
pub const KIND: &str = "auto-scaling-group";

/// One scheduled action. What is absent leaves the group as it is: absent is never zero.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ScheduledAction {
    /// Unique within the group.
    pub name: String,
    /// Five cron fields; absent for what runs once.
    pub recurrence: Option<String>,
    /// The zone of the recurrence; UTC if absent.
    pub zone: Option<String>,
    /// When it runs next; sent only for one that runs once, AWS works it out for the others.
    pub start: Option<Timestamp>,
    /// When it stops to recur.
    pub end: Option<Timestamp>,
    /// New least size.
    pub min: Option<u32>,
    /// New greatest size.
    pub max: Option<u32>,
    /// New desired capacity.
    pub desired: Option<u32>,
}

/// An instance of a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupMember {
    /// Its id.
    pub id: InstanceId,
    /// Its zone.
    pub zone: String,
    /// Its type.
    pub instance_type: String,
    /// Auto Scaling's word, for example `InService`.
    pub state: String,
    /// Whether Auto Scaling takes it for healthy.
    pub healthy: bool,
    /// Whether it is protected from scale in.
    pub protected: bool,
    /// Its launch template and version; absent for one of a launch configuration.
    pub template: Option<(TemplateId, u64)>,
    /// When EC2 accepted its launch; absent where EC2 does not know it any more.
    pub launched: Option<Timestamp>,
    /// Spot or on-demand.
    pub market: Market,
}

impl GroupMember {
    /// A host in service of which a test says what else matters to it.
    #[cfg(test)]
    pub(crate) fn sample(id: &str) -> Self {
        Self {
            id: id.into(),
            zone: "us-east-1a".to_owned(),
            instance_type: "m7i.large".to_owned(),
            state: "InService".to_owned(),
            healthy: true,
            protected: false,
            template: None,
            launched: None,
            market: Market::OnDemand,
        }
    }

    /// Whether it counts against the desired capacity.
    pub fn counts(&self) -> bool {
        self.state.starts_with("Pending") || self.state == "InService"
    }

    /// Whether somebody set it aside: it does not count, and Auto Scaling neither looks after it nor ends it.
    pub fn standby(&self) -> bool {
        self.state.ends_with("Standby")
    }

    /// Whether it is neither on its way in nor out: set aside or being so counts as in.
    pub fn settled(&self) -> bool {
        self.state == "InService" || self.standby()
    }

    /// Whether it is on its way out.
    pub fn leaves(&self) -> bool {
        self.ends() || self.state.starts_with("Detach")
    }

    /// Whether Auto Scaling ends it, also while a lifecycle hook still holds it.
    pub fn ends(&self) -> bool {
        self.state.starts_with("Terminat")
    }
}

/// How a group of mixed instances splits its capacity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mixed {
    /// On-demand instances before anything else.
    pub base: u32,
    /// Share of on-demand above that, percent.
    pub percent: u32,
    /// Types in order of preference.
    pub types: Vec<String>,
    /// OnDemandAllocationStrategy.
    pub on_demand: String,
    /// SpotAllocationStrategy.
    pub spot: String,
    /// SpotMaxPrice, dollars an hour; the on-demand price if absent.
    pub max_price: Option<String>,
    /// Whether instance weights or requirements are in use.
    pub weighted: bool,
}

/// An Auto Scaling group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is one switch of Auto Scaling's")]
pub struct Group {
    /// Its name.
    pub name: String,
    /// Least size.
    pub min: u32,
    /// Greatest size.
    pub max: u32,
    /// Desired capacity.
    pub desired: u32,
    /// Its zones.
    pub zones: Vec<String>,
    /// Its subnets.
    pub subnets: Vec<SubnetId>,
    /// How long a new instance may look unhealthy, seconds.
    pub grace: u32,
    /// Whether spot instances are replaced before they are interrupted.
    pub rebalance: bool,
    /// Termination policies in their order.
    pub policies: Vec<String>,
    /// Its instances.
    pub members: Vec<GroupMember>,
    /// Processes that are suspended.
    pub suspended: Vec<String>,
    /// Its launch template; absent for a launch configuration.
    pub template: Option<TemplateId>,
    /// The version that new instances are launched from, where the group names a number.
    pub version: Option<u64>,
    /// Mixed instances, where it has them.
    pub mixed: Option<Mixed>,
    /// Whether new instances are protected from scale in.
    pub protects_new: bool,
    /// Whether it has an instance maintenance policy.
    pub maintenance: bool,
    /// Whether it has a warm pool: instances of the group that are in no list of its members.
    #[serde(default)]
    pub warm_pool: bool,
    /// Its tags.
    pub tags: Tags,
    /// `Delete in progress`, while it is.
    pub status: Option<String>,
}

/// A lifecycle hook: how Auto Scaling holds an instance on its way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Hook {
    /// On which way, for example `autoscaling:EC2_INSTANCE_TERMINATING`.
    pub transition: String,
    /// For how long unless somebody lets it go, seconds.
    pub seconds: u32,
    /// What comes of it then: `CONTINUE` or `ABANDON`.
    pub result: String,
}

impl Hook {
    /// The hook that gives what ends so many seconds to drain.
    #[must_use]
    pub fn drain(seconds: u32) -> Self {
        Self { transition: "autoscaling:EC2_INSTANCE_TERMINATING".to_owned(), seconds, result: "CONTINUE".to_owned() }
    }
}

impl Group {
    /// An empty group of which a test says what else matters to it.
    #[cfg(test)]
    pub(crate) fn sample(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            min: 0,
            max: 0,
            desired: 0,
            zones: Vec::new(),
            subnets: Vec::new(),
            grace: 300,
            rebalance: false,
            policies: Vec::new(),
            members: Vec::new(),
            suspended: Vec::new(),
            template: None,
            version: None,
            mixed: None,
            protects_new: false,
            maintenance: false,
            warm_pool: false,
            tags: Tags::default(),
            status: None,
        }
    }

    /// Whether Auto Scaling keeps this member when the group gets smaller.
    pub fn protects(&self, id: &InstanceId) -> bool {
        self.members.iter().any(|member| member.id == *id && member.protected)
    }
}

/// What a fleet's own group should be, its sizes and its launch template apart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GroupRequest {
    /// `fleetwright-<fleet>`, unique within account and region.
    pub name: String,
    /// One for each zone.
    pub subnets: Vec<SubnetId>,
    /// Types in the order of preference.
    pub types: Vec<String>,
    /// On-demand hosts before anything else.
    pub base: u32,
    /// Share of on-demand above that, percent.
    pub percent: u32,
    /// Most to pay for a spot hour, dollars.
    pub max_price: Option<String>,
    /// How long a new host may look unhealthy, seconds.
    pub grace: u32,
    /// Whether spot hosts are replaced before they are interrupted.
    pub rebalance: bool,
    /// How a host that Auto Scaling ends is held while it drains; absent where there is nothing to drain.
    pub hook: Option<Hook>,
    /// Its tags, which its hosts get as well.
    pub tags: Tags,
}

/// One scaling activity: a launch or an end that the group tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Activity {
    /// Its id.
    pub id: String,
    /// When it began.
    pub started: Option<Timestamp>,
    /// Auto Scaling's word, for example `Failed`.
    pub status: String,
    /// Why, in AWS's words.
    pub message: String,
    /// What its code means; none where the message has none that is known.
    pub kind: Option<FaultKind>,
    /// The zone, as far as AWS says.
    pub place: Option<String>,
}
