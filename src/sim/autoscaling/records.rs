//! What the world remembers of groups, their members and all that belongs to them.

use super::recurrence::Recurrence;
use crate::sim::ec2::params::Node;
use jiff::Timestamp;
use std::collections::BTreeMap;

/// A launch template, resolved as far as the group has it.
#[derive(Clone, Debug)]
pub(super) struct TemplateRef {
    /// `lt-...`
    pub(super) id: String,
    /// Its name.
    pub(super) name: String,
    /// As given: a number, `$Latest` or `$Default`.
    pub(super) version: String,
}

/// A mixed instances policy.
#[derive(Clone, Debug)]
pub(super) struct Mixed {
    /// As given, to be answered as it is.
    pub(super) asked: Node,
    /// Types in order of preference; the template's own if empty.
    pub(super) kinds: Vec<String>,
    /// OnDemandBaseCapacity.
    pub(super) base: u32,
    /// OnDemandPercentageAboveBaseCapacity.
    pub(super) percent: u32,
    /// OnDemandAllocationStrategy.
    pub(super) on_demand: String,
    /// SpotAllocationStrategy.
    pub(super) spot: String,
}

impl Mixed {
    /// On-demand instances among `total`: the base, and the share of the rest rounded up.
    pub(super) fn on_demand_of(&self, total: u32) -> u32 {
        let above = total.saturating_sub(self.base);
        self.base.min(total) + (above * self.percent).div_ceil(100)
    }
}

/// How far a member's life has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    /// EC2 starts it.
    Pending,
    /// A launching hook holds it.
    PendingWait,
    /// At work.
    InService,
    /// Set aside by somebody: it does not count, is not looked after, and no scale-in ends it.
    Standby,
    /// A terminating hook holds it.
    TerminatingWait,
    /// EC2 ends it.
    Terminating,
}

impl Life {
    /// Auto Scaling's word.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::PendingWait => "Pending:Wait",
            Self::InService => "InService",
            Self::Standby => "Standby",
            Self::TerminatingWait => "Terminating:Wait",
            Self::Terminating => "Terminating",
        }
    }

    /// `autoscaling/target-lifecycle-state`: the steady state that it goes to, or is in.
    pub(super) fn target(self) -> &'static str {
        match self {
            Self::Pending | Self::PendingWait | Self::InService => "InService",
            Self::Standby => "Standby",
            Self::TerminatingWait | Self::Terminating => "Terminated",
        }
    }

    /// Whether it counts against the desired capacity.
    pub(super) fn counts(self) -> bool {
        matches!(self, Self::Pending | Self::PendingWait | Self::InService)
    }
}

/// An instance of a group.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) id: String,
    pub(super) zone: String,
    pub(super) kind: String,
    pub(super) spot: bool,
    /// Template id, name and version number.
    pub(super) template: (String, String, u64),
    pub(super) life: Life,
    pub(super) healthy: bool,
    /// Protected from scale in.
    pub(super) protected: bool,
    pub(super) launched: Timestamp,
    /// Since when it is in service.
    pub(super) serving: Option<Timestamp>,
    /// When a hook's time is over.
    pub(super) deadline: Option<Timestamp>,
    /// The activity that ends with its present passage.
    pub(super) activity: String,
}

/// A tag of a group.
#[derive(Clone, Debug)]
pub(super) struct GroupTag {
    pub(super) key: String,
    pub(super) value: String,
    pub(super) propagate: bool,
}

/// A scheduled action.
#[derive(Clone, Debug)]
pub(super) struct Action {
    pub(super) name: String,
    pub(super) arn: String,
    pub(super) recurrence: Option<Recurrence>,
    pub(super) zone: Option<String>,
    /// When it runs next; that is what `StartTime` shows.
    pub(super) next: Timestamp,
    /// How long after `next` it will run, seconds.
    pub(super) late: i64,
    pub(super) end: Option<Timestamp>,
    pub(super) min: Option<u32>,
    pub(super) max: Option<u32>,
    pub(super) desired: Option<u32>,
}

/// A lifecycle hook.
#[derive(Clone, Debug)]
pub(super) struct Hook {
    pub(super) name: String,
    /// Whether it holds terminating instances, not launching ones.
    pub(super) terminating: bool,
    /// HeartbeatTimeout, seconds.
    pub(super) timeout: i64,
    /// Whether the default result is ABANDON.
    pub(super) abandon: bool,
    pub(super) metadata: Option<String>,
}

/// A scaling policy: stored and described, never acted on, since the world has no metrics.
#[derive(Clone, Debug)]
pub(super) struct Policy {
    pub(super) name: String,
    pub(super) arn: String,
    pub(super) kind: String,
    pub(super) enabled: bool,
    pub(super) asked: Node,
}

/// A scaling activity.
#[derive(Clone, Debug)]
pub(super) struct Activity {
    pub(super) id: String,
    pub(super) group: String,
    pub(super) description: String,
    pub(super) cause: String,
    pub(super) started: Timestamp,
    pub(super) ended: Option<Timestamp>,
    /// `PreInService`, `InProgress`, `Successful`, `Failed`, `Cancelled`.
    pub(super) status: &'static str,
    pub(super) message: Option<String>,
    /// Where, as JSON.
    pub(super) details: String,
}

/// What an instance refresh does about instances that are protected from scale in, or in standby.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spare {
    /// It waits an hour, then fails.
    Wait,
    /// It leaves them alone.
    Ignore,
    /// It replaces them all the same.
    End,
}

impl Spare {
    /// Auto Scaling's word; `End` has another for each of the two.
    pub(super) fn word(self, end: &'static str) -> &'static str {
        match self {
            Self::Wait => "Wait",
            Self::Ignore => "Ignore",
            Self::End => end,
        }
    }
}

/// Preferences of an instance refresh.
#[derive(Clone, Debug)]
pub(super) struct Preferences {
    /// MinHealthyPercentage.
    pub(super) least: u32,
    /// MaxHealthyPercentage.
    pub(super) most: Option<u32>,
    /// InstanceWarmup, seconds.
    pub(super) warmup: u32,
    pub(super) skip_matching: bool,
    pub(super) protected: Spare,
    /// The same of those in standby.
    pub(super) standby: Spare,
}

impl Preferences {
    /// What is done about a member that stands in the way, if it does.
    pub(super) fn of(&self, member: &Member) -> Option<Spare> {
        match member.life {
            Life::Standby => Some(self.standby),
            _ => member.protected.then_some(self.protected),
        }
    }
}

/// An instance refresh.
#[derive(Clone, Debug)]
pub(super) struct Refresh {
    pub(super) id: String,
    pub(super) started: Timestamp,
    pub(super) ended: Option<Timestamp>,
    /// `Pending`, `InProgress`, `Successful`, `Failed`, `Cancelling`, `Cancelled`.
    pub(super) status: &'static str,
    pub(super) reason: Option<String>,
    pub(super) preferences: Preferences,
    /// Members that it replaces, oldest first.
    pub(super) old: Vec<String>,
    /// How many these are.
    pub(super) total: u32,
    /// How many of them are still to be replaced.
    pub(super) left: u32,
    /// New ones that are in service and warm.
    pub(super) updated: u32,
    /// So many more than desired are to be there now.
    pub(super) extra: u32,
    /// When it got further last.
    pub(super) moved: Timestamp,
    /// When it has to be looked at next.
    pub(super) due: Option<Timestamp>,
}

impl Refresh {
    /// PercentageComplete.
    pub(super) fn percent(&self) -> u32 {
        if self.status == "Successful" { 100 } else { self.updated * 100 / self.total.max(1) }
    }

    /// It is over.
    pub(super) fn end(&mut self, status: &'static str, reason: Option<String>, now: Timestamp) {
        (self.status, self.ended, self.extra, self.due) = (status, Some(now), 0, None);
        self.reason = reason.or(self.reason.take());
    }
}

/// A group.
#[derive(Clone, Debug)]
pub(super) struct Group {
    pub(super) name: String,
    pub(super) arn: String,
    pub(super) created: Timestamp,
    pub(super) template: TemplateRef,
    pub(super) mixed: Option<Mixed>,
    pub(super) min: u32,
    pub(super) max: u32,
    pub(super) desired: u32,
    pub(super) cooldown: u32,
    /// Subnets with their zones.
    pub(super) subnets: Vec<(String, String)>,
    pub(super) health_check: String,
    pub(super) grace: u32,
    /// Termination policies in their order.
    pub(super) policies: Vec<String>,
    pub(super) protect_new: bool,
    pub(super) rebalance: Option<bool>,
    pub(super) lifetime: Option<u32>,
    /// InstanceMaintenancePolicy: least and most healthy percentage.
    pub(super) maintenance: Option<(u32, u32)>,
    pub(super) tags: Vec<GroupTag>,
    /// Suspended processes with the reason of each.
    pub(super) suspended: BTreeMap<String, String>,
    pub(super) members: Vec<Member>,
    pub(super) actions: Vec<Action>,
    pub(super) hooks: Vec<Hook>,
    pub(super) scaling: Vec<Policy>,
    /// Newest last.
    pub(super) refreshes: Vec<Refresh>,
    /// Whether it has one; nothing is ever in it.
    pub(super) warm_pool: bool,
    pub(super) deleting: bool,
    /// The member that was launched to even out the zones.
    pub(super) evening: Option<String>,
    /// No launch is tried before this, after one that failed.
    pub(super) retry: Option<Timestamp>,
    /// Why the desired capacity is what it is.
    pub(super) cause: String,
}

impl Group {
    /// Whether a process does its work.
    pub(super) fn runs(&self, process: &str) -> bool {
        !self.suspended.contains_key(process)
    }

    /// The instance refresh that is under way.
    pub(super) fn refresh(&self) -> Option<&Refresh> {
        self.refreshes.last().filter(|one| one.ended.is_none())
    }

    /// How many members it is to have now: more than desired while an instance refresh launches before it ends.
    pub(super) fn wanted(&self) -> u32 {
        self.desired.saturating_add(self.refresh().map_or(0, |one| one.extra))
    }

    /// Members that are not on their way out.
    pub(super) fn staying(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(|member| member.life.counts() || member.life == Life::Standby)
    }

    /// Members that count against the desired capacity.
    pub(super) fn active(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(|member| member.life.counts())
    }

    /// How many these are.
    pub(super) fn size(&self) -> u32 {
        u32::try_from(self.active().count()).unwrap_or(u32::MAX)
    }

    /// Zones in the order of the subnets, each once.
    pub(super) fn zones(&self) -> Vec<&str> {
        let mut zones: Vec<&str> = Vec::new();
        for (_, zone) in &self.subnets {
            if !zones.contains(&zone.as_str()) {
                zones.push(zone);
            }
        }
        zones
    }

    /// A member.
    pub(super) fn member(&mut self, id: &str) -> Option<&mut Member> {
        self.members.iter_mut().find(|member| member.id == id)
    }

    /// Sets the sizes that are given, as a call or a scheduled action does. "If a new value for MinSize is specified
    /// without setting a value for DesiredCapacity, and the new MinSize is larger than the current size of the group, this
    /// sets the group's DesiredCapacity to the new MinSize value", and the same for MaxSize.
    pub(super) fn resize(&mut self, min: Option<u32>, max: Option<u32>, desired: Option<u32>) -> Result<(), String> {
        let (least, most) = (min.unwrap_or(self.min), max.unwrap_or(self.max));
        if least > most {
            return Err(format!("Max bound, {most}, must be greater than or equal to min bound, {least}"));
        }
        if let Some(wanted) = desired.filter(|wanted| !(least..=most).contains(wanted)) {
            return Err(format!(
                "Desired capacity:{wanted} must be between the specified min size:{least} and max size:{most}"
            ));
        }
        (self.min, self.max) = (least, most);
        self.desired = desired.unwrap_or(self.desired).clamp(least, most);
        Ok(())
    }
}
