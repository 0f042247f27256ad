//! How the fleet's own group loses hosts: named ones with their places, or all but what a person keeps.

use super::Steps;
use super::members::Spared;
use super::terminate::{ADOPT, keep_report};
use crate::engine::failure::Failure;
use crate::engine::run::Done;
use crate::exit::Exit;
use crate::gate::{self, Candidate, Reason};
use crate::model::{FaultKind, Group, GroupMember, Instance, InstanceId, Mark, count, tags};
use crate::plan::CONSISTENT;
use crate::plan::group::{suspended, warm_pool_end};
use crate::plan::scale::evenly;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use std::collections::BTreeMap;
use std::time::Duration;

/// Between two looks at a group.
const LOOK: Duration = Duration::from_secs(10);
/// How long AWS may take to take hosts out: a graceful shutdown is cut off by EC2 after a few minutes.
const PATIENCE: SignedDuration = SignedDuration::from_mins(15);

impl Steps {
    /// Takes hosts out of the group together with their places, so that nothing takes their place; they end by that.
    pub(super) async fn leave_group(&self, step: &str, name: &str, going: &[InstanceId]) -> Result<(), Failure> {
        // Auto Scaling ends a member whatever EC2 was told. Asked before the look, which must not grow old meanwhile.
        let guarded = self.all_guarded(going).await?;
        let (mut asked, mut told, mut shielded) = (guarded.clone(), BTreeMap::new(), false);
        let mut deadline = self.clock.now() + PATIENCE;
        loop {
            let read_at = self.clock.now();
            let Some(group) = self.group_now(name).await? else { return Ok(()) };
            let (ids, even) = in_turn(&group, going);
            if ids.is_empty() {
                return Ok(());
            }
            if !even && !shielded && !suspended(&group).contains(&"AZRebalance") {
                // Auto Scaling evens out its zones by that, and ends hosts of its own choice.
                let members = group.members.iter().filter(|member| !going.contains(&member.id)).cloned().collect();
                let rest = Group { members, ..group.clone() };
                let spared = self.spared(&rest, &[Mark::Protect], &mut asked).await?;
                if !spared.foreign.is_empty() {
                    return Err(spared.refusal(name));
                }
                shielded = !self.keep(step, name, &spared, &mut told).await?;
                if !shielded {
                    self.pause(LOOK).await?;
                }
                // That took its time, and the look must be fresh.
                deadline = self.clock.now() + PATIENCE;
                continue;
            }
            if read_at > deadline {
                let left: Vec<&str> = ids.iter().map(InstanceId::as_str).collect();
                let (minutes, left) = (PATIENCE.as_mins(), left.join(", "));
                let message = format!(
                    "take hosts out of the group {name}: AWS took none for {minutes} minutes; still in it: {left}"
                );
                return Err(Failure::to(Exit::Unavailable, message).hint("the same command again"));
            }
            if self.take_out(step, (&group, read_at), &ids, &guarded).await? > 0 {
                deadline = self.clock.now() + PATIENCE;
            } else {
                self.pause(LOOK).await?;
            }
            self.check_cancel()?;
        }
    }

    /// Takes these members out as long as the look is fresh; how many AWS took.
    async fn take_out(
        &self,
        step: &str,
        (group, read_at): (&Group, Timestamp),
        ids: &[InstanceId],
        guarded: &BTreeMap<InstanceId, bool>,
    ) -> Result<usize, Failure> {
        let (name, mut taken) = (&group.name, 0);
        let seen = self.read("look at these hosts", async || self.clients.instances_by_ids(ids).await).await?;
        let candidate = |i: &Instance| Candidate {
            id: i.id.to_string(),
            tags: i.tags.clone(),
            termination_protected: guarded.get(&i.id).is_some_and(|on| *on),
        };
        let in_order = ids.iter().filter_map(|id| seen.iter().find(|host| host.id == *id));
        let candidates: Vec<Candidate> = in_order.filter(|i| i.state.live()).map(candidate).collect();
        if candidates.is_empty() {
            return Ok(0);
        }
        let Some(passed) = self.gate(candidates, read_at)? else { return Ok(0) };
        keep_report(self.for_certain(passed.kept, (&seen, read_at)), ADOPT)?;
        let owned = self.own(group, read_at, ids.len(), &Spared::default())?;
        let (Some(owned), Some(hosts)) = (owned, passed.owned) else { return Ok(0) };
        for host in hosts.chunks(1) {
            let one = host.ids().join(" ");
            // What stands aside has no place: a smaller group would end another for it.
            let placed =
                |member: &GroupMember| host.ids().iter().any(|id| id == member.id.as_str()) && !member.standby();
            let placed = group.members.iter().any(placed);
            let sent = self
                .end_owned(
                    step,
                    &format!("end {one} and its place in {name}"),
                    async || self.clients.draft_leave(&owned, &host, placed).await,
                    async |permit| self.clients.leave(permit).await.map(|()| host.ids().to_vec()),
                )
                .await;
            match sent {
                Ok(ended) => taken += ended.unwrap_or(0),
                // No member any more, or on its way out: the next look tells.
                Err(failure) => match failure.fault.as_ref().map(|fault| fault.kind) {
                    Some(FaultKind::Invalid | FaultKind::Gone | FaultKind::Busy) => {}
                    Some(_) | None => return Err(failure),
                },
            }
            if self.clock.now().duration_since(read_at) > gate::FRESH {
                break;
            }
        }
        Ok(taken)
    }

    /// Makes the group's size what is left in it, and tells whether that was a change. Only a group that is to have no host is
    /// made smaller than it is: of hosts that nobody named AWS would choose. What a person keeps the group is told to keep
    /// before that.
    pub(super) async fn shrink_group(&self, step: &str, name: &str, size: u32) -> Result<bool, Failure> {
        let (mut guarded, mut told) = (BTreeMap::new(), BTreeMap::new());
        self.afresh(&format!("let the group {name} have {}", count(size, "host")), async |mut read_at| {
            let Some(mut group) = self.group_now(name).await? else { return Ok(Some(false)) };
            // Nobody waits for hosts of a group that is to have none.
            let held = size == 0 && self.hook_now(name).await?.is_some();
            let mut spared = Spared::default();
            if size == 0 && (held || lowered(&group, size).is_some()) {
                spared = self.spared(&group, &[Mark::Protect], &mut guarded).await?;
                if self.keep(step, name, &spared, &mut told).await? {
                    return Ok(None);
                }
                // It may have taken minutes.
                read_at = self.clock.now();
                let Some(now) = self.group_now(name).await? else { return Ok(Some(false)) };
                group = now;
            }
            let lower = lowered(&group, size);
            if lower.is_none() && !held {
                return Ok(Some(false));
            }
            let left = usize::try_from(lower.unwrap_or(size)).unwrap_or(usize::MAX);
            let ending = group.members.len().saturating_sub(left);
            let Some(owned) = self.own(&group, read_at, ending, &spared)? else { return Ok(None) };
            if held {
                self.change(
                    step,
                    &format!("let {name} wait for no host that drains"),
                    async || self.clients.draft_hook_end(&owned).await,
                    async |permit| self.clients.end_hook(permit).await.map(|()| (vec![name.to_owned()], ())),
                )
                .await?;
            }
            if let Some(size) = lower {
                self.change(
                    step,
                    &format!("let the group {name} have {}", count(size, "host")),
                    async || self.clients.draft_group_shrunk(&owned, size).await,
                    async |permit| self.clients.update_group(permit).await.map(|()| (vec![name.to_owned()], ())),
                )
                .await?;
            }
            Ok(Some(true))
        })
        .await
    }

    /// Tells the group to keep what a person keeps; whether that may not be seen yet. A group with anything foreign in it is
    /// refused as it is.
    async fn keep(
        &self,
        step: &str,
        name: &str,
        spared: &Spared,
        told: &mut BTreeMap<InstanceId, Timestamp>,
    ) -> Result<bool, Failure> {
        let now = self.clock.now();
        let lags = |id: &InstanceId| told.get(id).is_none_or(|at| now.duration_since(*at) < CONSISTENT);
        if !spared.foreign.is_empty() || !spared.kept.iter().any(|(id, _)| lags(id)) {
            return Ok(false);
        }
        for (id, how) in &spared.kept {
            self.shield(step, name, id, true).await?;
            told.entry(id.clone()).or_insert_with(|| {
                self.events.warn(format!("host {id} stays in {name}: {how}"));
                now
            });
        }
        Ok(true)
    }

    /// Lets the group want no host any more, so that it replaces none that end next. What is not ours is left alone.
    pub(super) async fn empty_group(&self, step: &str, name: &str) -> Result<Done, Failure> {
        let Some(group) = self.group_now(name).await? else {
            return Ok(Done::unchanged(json!({}), "no group is there"));
        };
        if group.tags.get(tags::FLEET) != Some(self.fleet.name.as_str()) {
            self.events.warn(format!("group {name} is left alone: {}", Reason::NotOurs));
            return Ok(Done::unchanged(json!({}), "none of ours"));
        }
        if group.warm_pool {
            let why = format!("let {name} want no host: it has a warm pool, which would go on launching instances");
            return Err(Failure::to(Exit::Refused, why).hint(warm_pool_end(name)));
        }
        let shrunk = group.status.is_none() && self.shrink_group(step, name, 0).await?;
        self.end_standby(step, name).await?;
        Ok(if shrunk { Done::new(json!({}), "wants no host") } else { Done::unchanged(json!({}), "wants no host") })
    }

    /// Ends what somebody set aside: no group that wants none ends it, and while it is listed the group can't be deleted, whatever
    /// EC2 did to it.
    async fn end_standby(&self, step: &str, name: &str) -> Result<(), Failure> {
        let Some(group) = self.group_now(name).await? else { return Ok(()) };
        let aside = group.members.iter().filter(|member| member.standby()).map(|member| member.id.clone());
        let aside: Vec<InstanceId> = aside.collect();
        if aside.is_empty() {
            return Ok(());
        }
        let seen = self.read("look at hosts in standby", async || self.clients.instances_by_ids(&aside).await).await?;
        let mut going = Vec::new();
        for host in seen.iter().filter(|host| host.state.live() && host.marked(Mark::Protect).is_none()) {
            if self.may_tag(host) && !self.guarded(&host.id).await? {
                going.push(host.id.clone());
            }
        }
        self.leave_group(step, name, &going).await
    }
}

/// Those of these hosts that are in the group still, in the order in which they leave it so that its zones stay as even as they
/// can; and whether no zone is more than one ahead of another by that, at any moment, that was not so before.
fn in_turn(group: &Group, going: &[InstanceId]) -> (Vec<InstanceId>, bool) {
    let mut left: BTreeMap<&str, usize> = group.zones.iter().map(|zone| (zone.as_str(), 0)).collect();
    for member in group.members.iter().filter(|member| member.counts()) {
        *left.entry(member.zone.as_str()).or_default() += 1;
    }
    let in_it = |id: &InstanceId| group.members.iter().find(|member| member.id == *id && !member.leaves());
    let members: Vec<(&GroupMember, &str)> =
        going.iter().filter_map(in_it).map(|member| (member, member.zone.as_str())).collect();
    let order = evenly(left.clone(), members);
    let apart = |left: &BTreeMap<&str, usize>| {
        left.values().max().copied().unwrap_or(0).abs_diff(left.values().min().copied().unwrap_or(0))
    };
    let mut even = true;
    for member in order.iter().filter(|member| member.counts()) {
        left.entry(member.zone.as_str()).and_modify(|n| *n = n.saturating_sub(1));
        even &= apart(&left) <= 1;
    }
    (order.into_iter().map(|member| member.id.clone()).collect(), even)
}

/// The size that a group is to have so that it wants these and what is left in it; none where it stays as it is.
fn lowered(group: &Group, size: u32) -> Option<u32> {
    if size > 0 && group.desired == 0 {
        // Somebody else, or its end, lets it have none: its hosts may drain, and nothing here makes that quicker.
        return None;
    }
    let stay = group.members.iter().filter(|member| !member.leaves() && !member.standby()).count();
    // One more than it wants is there while it evens out its zones: that is no wish for more.
    let stay = u32::try_from(stay).unwrap_or(u32::MAX);
    let size = if size == 0 { 0 } else { size.max(stay).min(group.desired) };
    ((group.min, group.max, group.desired) != (0, size, size)).then_some(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_leave_from_the_fuller_zone() {
        let member = |id: &str, zone: &str| GroupMember { zone: zone.to_owned(), ..GroupMember::sample(id) };
        let zones = ["a", "b"].map(str::to_owned).to_vec();
        let members = |of: &[(&str, &str)]| of.iter().map(|(id, zone)| member(id, zone)).collect();
        let group = |of| Group { zones: zones.clone(), members: members(of), ..Group::sample("web") };
        let four = group(&[("i-1", "a"), ("i-2", "a"), ("i-3", "b"), ("i-4", "b")]);
        let leave = |group: &Group, ids: &[&str]| {
            let (order, even) = in_turn(group, &ids.iter().copied().map(InstanceId::from).collect::<Vec<_>>());
            (order.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "), even)
        };
        assert_eq!(leave(&four, &["i-4", "i-2", "i-3"]), ("i-4 i-2 i-3".to_owned(), true));
        assert_eq!(leave(&four, &["i-3", "i-4", "i-2"]), ("i-3 i-2 i-4".to_owned(), true));
        assert_eq!(leave(&four, &["i-1", "i-9", "i-2"]), ("i-1 i-2".to_owned(), false), "none of the other zone goes");
        let aside = Group { members: vec![GroupMember { state: "Standby".to_owned(), ..member("i-1", "a") }], ..four };
        assert_eq!(leave(&aside, &["i-1"]), ("i-1".to_owned(), true), "it counts for no zone");
    }

    #[test]
    fn a_group_wants_what_is_left_in_it_and_never_more_than_before() {
        let member = |state: &str| GroupMember { state: state.to_owned(), ..GroupMember::sample("i-1") };
        let there = ["InService", "Pending", "Standby", "Terminating:Wait"].map(member).to_vec();
        let group = |min, max, desired| Group { min, max, desired, members: there.clone(), ..Group::sample("web") };
        assert_eq!(lowered(&group(0, 4, 4), 0), Some(0));
        assert_eq!(lowered(&group(0, 0, 0), 0), None);
        assert_eq!(lowered(&group(0, 4, 4), 3), Some(3));
        assert_eq!(lowered(&group(0, 4, 4), 1), Some(2), "two are there");
        assert_eq!(lowered(&group(0, 4, 4), 9), None, "nobody asked for more");
        assert_eq!(lowered(&group(1, 4, 4), 4), Some(4), "its bounds are ours to set");
        assert_eq!(lowered(&group(0, 4, 0), 2), None, "somebody lets it have none");
    }
}
