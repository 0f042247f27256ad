//! What Auto Scaling sees of instances and does with them: it is a caller like any other, but for the tags it may set.

use super::lifecycle::Cause;
use super::params::Node;
use super::records::{Market, State, Tags};
use super::visible::Eye;
use super::{Ask, Ec2};
use crate::sim::api::ApiError;
use crate::sim::faults::Control;
use jiff::Timestamp;

/// Who launches a group's instances.
const PRINCIPAL: &str = "autoscaling.amazonaws.com";

/// An instance as Auto Scaling sees it, without any lag.
#[derive(Clone, Debug)]
pub(in crate::sim) struct Seen {
    /// EC2's word for its state.
    pub(in crate::sim) state: &'static str,
    /// Whether it is neither gone nor on its way out.
    pub(in crate::sim) live: bool,
    /// Its zone.
    pub(in crate::sim) zone: String,
    /// Its type.
    pub(in crate::sim) kind: String,
    /// Whether it is a spot instance.
    pub(in crate::sim) spot: bool,
}

impl Ec2 {
    fn group_ask<'a>(&self, pairs: &'a [(String, String)]) -> Ask<'a> {
        let eye = Eye { seed: self.seed, principal: PRINCIPAL.to_owned(), now: self.now, lag: 0 };
        let params = Node::from_pairs(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        Ask { params, pairs, eye, now: self.now, offered: None }
    }

    /// When something happens by itself next.
    pub(in crate::sim) fn next_due(&self) -> Option<Timestamp> {
        self.agenda.first()
    }

    /// One instance.
    pub(in crate::sim) fn seen_by_group(&self, id: &str) -> Option<Seen> {
        let instance = self.instances.get(id)?;
        Some(Seen {
            state: instance.state.word(),
            live: instance.state.live(),
            zone: instance.zone.clone(),
            kind: instance.instance_type.clone(),
            spot: instance.market == Market::Spot,
        })
    }

    /// A subnet's zone.
    pub(in crate::sim) fn zone_of_subnet(&self, id: &str) -> Option<String> {
        self.network.subnets.get(id).map(|subnet| subnet.zone.clone())
    }

    /// The first subnet of a zone.
    pub(in crate::sim) fn subnet_in_zone(&self, zone: &str) -> Option<String> {
        self.network.subnets.all().find(|subnet| subnet.zone == zone).map(|subnet| subnet.id.clone())
    }

    /// Id, name and version number of the launch template that these parameters name.
    pub(in crate::sim) fn template_for_group(&self, named: &Node) -> Result<(String, String, u64), ApiError> {
        let (template, version) = self.template_version(named, &self.group_ask(&[]))?;
        Ok((template.id.clone(), template.name.clone(), version.number))
    }

    /// A type's spot price, millionths of a dollar an hour.
    pub(in crate::sim) fn spot_price(&self, kind: &str) -> u64 {
        self.kind(kind).map(|kind| Self::price(&kind, Market::Spot)).unwrap_or_default()
    }

    /// Launches one instance: RunInstances with these parameters, and the tags that only AWS may set.
    pub(in crate::sim) fn launch_for_group(
        &mut self,
        pairs: &[(String, String)],
        stamp: Tags,
        control: &Control,
    ) -> Result<String, ApiError> {
        self.control = control.clone();
        if control.launch_denied {
            return Err(ApiError::new("UnauthorizedOperation", "You are not authorized to perform this operation."));
        }
        let ask = self.group_ask(pairs);
        let made = self.run_instances(&ask)?.made;
        let Some(id) = made.into_iter().next() else {
            return Err(ApiError::new("InternalError", "nothing was launched").with_status(500));
        };
        self.stamp(&id, stamp, self.now)?;
        Ok(id)
    }

    /// Puts an instance's tag of the group that it is in now, or takes it off.
    pub(in crate::sim) fn join_group(&mut self, id: &str, group: Option<&str>) {
        const OF: &str = "aws:autoscaling:groupName";
        let now = self.now;
        if self.instances.get(id).is_some() {
            self.instances.change(id, now, |instance| match group {
                Some(name) => drop(instance.tags.insert(OF.to_owned(), name.to_owned())),
                None => drop(instance.tags.remove(OF)),
            });
        }
    }

    /// Ends one instance; EC2's own termination protection does not hold Auto Scaling back.
    pub(in crate::sim) fn end_for_group(&mut self, id: &str) {
        if self.instances.get(id).is_some_and(|instance| instance.state.live()) {
            self.enter(id, State::ShuttingDown, self.now, &Cause::user());
        }
    }
}
