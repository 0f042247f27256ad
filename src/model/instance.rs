//! An EC2 instance as a survey sees it.

use super::{ImageId, InstanceId, Mark, Market, SecurityGroupId, SubnetId, Tags, VolumeId, Zone};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The six states of EC2's instance life cycle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InstanceState {
    /// Being started; billed from `running` on.
    Pending,
    /// Running and billed.
    Running,
    /// On its way to `stopped`.
    Stopping,
    /// Stopped; its volumes are still billed.
    Stopped,
    /// On its way to `terminated`; can't come back.
    ShuttingDown,
    /// Gone; stays visible for about an hour.
    Terminated,
}

impl InstanceState {
    /// Whether the instance still exists and is not on its way out.
    pub fn live(self) -> bool {
        !matches!(self, Self::ShuttingDown | Self::Terminated)
    }

    /// EC2's own word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
            Self::ShuttingDown => "shutting-down",
            Self::Terminated => "terminated",
        }
    }

    /// Reads EC2's own word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Pending, Self::Running, Self::Stopping, Self::Stopped, Self::ShuttingDown, Self::Terminated]
            .into_iter()
            .find(|state| state.as_str() == word)
    }
}

impl fmt::Display for InstanceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One instance, ours or not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    /// `i-...`
    pub id: InstanceId,
    /// Where it is in its life.
    pub state: InstanceState,
    /// For example `m7i.large`.
    pub instance_type: String,
    /// Its availability zone.
    pub zone: Zone,
    /// Its subnet, absent once it is terminated.
    pub subnet: Option<SubnetId>,
    /// Spot or on-demand.
    pub market: Market,
    /// The image it was started from.
    pub image: ImageId,
    /// Private address; may lag behind `running` in a large launch.
    pub private_ip: Option<String>,
    /// Public address, where it has one.
    pub public_ip: Option<String>,
    /// The first IPv6 address of its first interface, where it has one.
    #[serde(default)]
    pub ipv6: Option<String>,
    /// All its tags.
    pub tags: Tags,
    /// When EC2 accepted the launch.
    pub launched: Timestamp,
    /// EC2's StateReason, `code: message`, where there is one.
    pub state_reason: Option<String>,
    /// Its security groups.
    pub security_groups: Vec<SecurityGroupId>,
    /// The key pair's name, where there is one.
    pub key_name: Option<String>,
    /// The instance profile's name or ARN, where there is one.
    pub instance_profile: Option<String>,
    /// `x86_64` or `arm64`.
    pub architecture: Option<String>,
    /// Volumes attached to it.
    pub volumes: Vec<VolumeId>,
    /// The Auto Scaling group it is a member of (tag `aws:autoscaling:groupName`).
    pub group: Option<String>,
    /// Whether its group has it in standby: somebody set it aside.
    #[serde(default)]
    pub standby: bool,
    /// Whether its metadata service wants tokens (IMDSv2), where EC2 says so.
    pub imds_tokens_required: Option<bool>,
    /// How many hops an answer of its metadata service goes, where EC2 says so.
    pub imds_hop_limit: Option<i32>,
}

impl Instance {
    /// A running spot host of which a test says what else matters to it.
    #[cfg(test)]
    pub(crate) fn sample(id: &str) -> Self {
        Self {
            id: id.into(),
            state: InstanceState::Running,
            instance_type: "m7i.large".to_owned(),
            zone: "us-east-1a".into(),
            subnet: None,
            market: Market::Spot,
            image: "ami-1".into(),
            private_ip: None,
            public_ip: None,
            ipv6: None,
            tags: Tags::default(),
            launched: Timestamp::UNIX_EPOCH,
            state_reason: None,
            security_groups: Vec::new(),
            key_name: None,
            instance_profile: None,
            architecture: None,
            volumes: Vec::new(),
            group: None,
            standby: false,
            imds_tokens_required: None,
            imds_hop_limit: None,
        }
    }

    /// The value of a mark, where it has it.
    pub fn marked(&self, mark: Mark) -> Option<&str> {
        self.tags.get(mark.key())
    }

    /// Whether it takes one of the fleet's N places: live, and not set aside. In a group a host in quarantine keeps its place
    /// all the same.
    pub fn has_place(&self) -> bool {
        self.state.live() && !self.standby && (self.counts() || self.group.is_some())
    }

    /// Whether it is one of the fleet's N: live, and neither in quarantine nor in its group's standby.
    pub fn counts(&self) -> bool {
        self.state.live() && !self.standby && self.marked(Mark::Quarantine).is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::tags;

    #[test]
    fn who_takes_a_place_and_who_counts() {
        let host = Instance::sample("i-1");
        let group = Some("fleetwright-crew".to_owned());
        let quarantined = Tags::default().with(tags::QUARANTINE, "x");
        let told = |host: Instance| (host.has_place(), host.counts());
        assert_eq!(told(host.clone()), (true, true));
        assert_eq!(told(Instance { tags: quarantined.clone(), ..host.clone() }), (false, false));
        assert_eq!(told(Instance { tags: quarantined, group: group.clone(), ..host.clone() }), (true, false));
        assert_eq!(told(Instance { standby: true, group, ..host.clone() }), (false, false));
        assert_eq!(told(Instance { state: InstanceState::ShuttingDown, ..host }), (false, false));
    }
}
