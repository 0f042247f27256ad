//! How the fleet's own group loses hosts: named ones with their places, or all but what a person keeps.

use super::Steps;
use super::members::Spared;
use crate::engine::failure::Failure;
use crate::engine::run::Done;
use crate::exit::Exit;
use crate::gate::{self, Candidate, Reason};
use crate::model::{FaultKind, GroupMember, Instance, InstanceId, Mark, count, tags};
use crate::plan::CONSISTENT;
use crate::plan::group::warm_pool_end;
use jiff::SignedDuration;
use serde_json::json;
use std::collections::BTreeSet;
use std::time::Duration;

/// Between two looks at a group.
const LOOK: Duration = Duration::from_secs(10);
/// How long AWS may take to take hosts out: a graceful shutdown is cut off by EC2 after a few minutes.
const PATIENCE: SignedDuration = SignedDuration::from_mins(15);

impl Steps {
    /// Takes hosts out of the group together with their places, so that nothing takes their place; they end by that.
    pub(super) async fn leave_group(&self, step: &str, name: &str, going: &[InstanceId]) -> Result<(), Failure> {
        // Auto Scaling ends a member whatever EC2 was told. Asked before the look, which must not grow old meanwhile.
        let mut guarded = BTreeSet::new();
        for id in going {
            if self.guarded(id).await? {
                guarded.insert(id.clone());
            }
        }
        let deadline = self.clock.now() + PATIENCE;
        loop {
            let read_at = self.clock.now();
            let Some(group) = self.group_now(name).await? else { return Ok(()) };
            let ids: Vec<InstanceId> = group
                .members
                .iter()
                .filter(|member| !member.leaves() && going.contains(&member.id))
                .map(|member| member.id.clone())
                .collect();
            if ids.is_empty() {
                return Ok(());
            }
            if read_at > deadline {
                let left: Vec<&str> = ids.iter().map(InstanceId::as_str).collect();
                let message =
                    format!("take hosts out of the group {name}: AWS took it for none of {}", left.join(", "));
                return Err(Failure::to(Exit::Unavailable, message).hint("the same command again"));
            }
            let seen = self.read("look at these hosts", async || self.clients.instances_by_ids(&ids).await).await?;
            let candidate = |i: &Instance| Candidate {
                id: i.id.to_string(),
                tags: i.tags.clone(),
                termination_protected: guarded.contains(&i.id),
            };
            let candidates: Vec<Candidate> = seen.iter().filter(|i| i.state.live()).map(candidate).collect();
            if candidates.is_empty() {
                self.pause(LOOK).await?;
                continue;
            }
            let Some(passed) = self.gate(candidates, read_at)? else { continue };
            super::terminate::keep_report(passed.kept)?;
            let (Some(owned), Some(hosts)) = (self.own(&group, read_at, ids.len(), &Spared::default())?, passed.owned)
            else {
                continue;
            };
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
                    Ok(_) => {}
                    // No member any more, or on its way out: the next look tells.
                    Err(failure) => match failure.fault.as_ref().map(|fault| fault.kind) {
                        Some(FaultKind::Invalid | FaultKind::Gone | FaultKind::Busy) => {
                            self.pause(LOOK).await?;
                        }
                        Some(_) | None => return Err(failure),
                    },
                }
                if self.clock.now().duration_since(read_at) > gate::FRESH {
                    break;
                }
            }
            self.check_cancel()?;
        }
    }

    /// Makes the group's size what is left in it, and tells whether that was a change. Only a group that is to have no host is
    /// made smaller than it is: of hosts that nobody named AWS would choose. What a person keeps the group is told to keep
    /// before that.
    pub(super) async fn shrink_group(&self, step: &str, name: &str, size: u32) -> Result<bool, Failure> {
        let deadline = self.clock.now() + CONSISTENT;
        loop {
            let mut spared = Spared::default();
            if size == 0
                && let Some(group) = self.group_now(name).await?
            {
                spared = self.spared(&group, &[Mark::Protect]).await?;
                // What was told before is soon seen; a group with anything foreign in it is refused as it is.
                if spared.foreign.is_empty() && !spared.kept.is_empty() && self.clock.now() < deadline {
                    self.keep(step, name, &spared).await?;
                    continue;
                }
            }
            let read_at = self.clock.now();
            let Some(group) = self.group_now(name).await? else { return Ok(false) };
            let stay = group.members.iter().filter(|member| !member.leaves() && !member.standby()).count();
            // One more than it wants is there while it evens out its zones: that is no wish for more.
            let stay = u32::try_from(stay).unwrap_or(u32::MAX);
            if size > 0 && group.desired == 0 {
                // Somebody else, or its end, lets it have none: its hosts may drain, and nothing here makes that quicker.
                return Ok(false);
            }
            let size = if size == 0 { 0 } else { size.max(stay).min(group.desired) };
            let sized = (group.min, group.max, group.desired) == (0, size, size);
            // Nobody waits for hosts of a group that is to have none.
            let held = size == 0 && self.hook_now(name).await?.is_some();
            if sized && !held {
                return Ok(false);
            }
            let ending = group.members.len().saturating_sub(usize::try_from(size).unwrap_or(usize::MAX));
            let Some(owned) = self.own(&group, read_at, ending, &spared)? else { continue };
            if held {
                self.change(
                    step,
                    &format!("let {name} wait for no host that drains"),
                    async || self.clients.draft_hook_end(&owned).await,
                    async |permit| self.clients.end_hook(permit).await.map(|()| (vec![name.to_owned()], ())),
                )
                .await?;
            }
            if sized {
                return Ok(true);
            }
            self.change(
                step,
                &format!("let the group {name} have {}", count(size, "host")),
                async || self.clients.draft_group_shrunk(&owned, size).await,
                async |permit| self.clients.update_group(permit).await.map(|()| (vec![name.to_owned()], ())),
            )
            .await?;
            return Ok(true);
        }
    }

    /// Tells the group to keep what a person keeps.
    async fn keep(&self, step: &str, name: &str, spared: &Spared) -> Result<(), Failure> {
        for (id, how) in &spared.kept {
            self.events.warn(format!("host {id} stays in {name}: {how}"));
            self.shield(step, name, id, true).await?;
        }
        self.pause(LOOK).await
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
