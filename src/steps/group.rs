//! The fleet's own Auto Scaling group: had, given an end, raised, deleted.

use super::Steps;
use super::call::state;
use super::epoch::Epoch;
use super::members::Spared;
use super::past;
use crate::aws::by_age;
use crate::engine::failure::Failure;
use crate::engine::run::Done;
use crate::exit::Exit;
use crate::gate::{self, GroupFacts, GroupLook, OwnedGroup, Reason};
use crate::journal::{History, Outcome};
use crate::model::group::KIND;
use crate::model::{FaultKind, Group, GroupRequest, Hook, InstanceId, Residue, Tags, Thing, count, tags};
use crate::plan::group::{DEADMAN, deadman, differences, follows, hook_differs, suspended};
use crate::plan::{CONSISTENT, Deadline};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use std::collections::BTreeSet;
use std::time::Duration;

/// Between two looks at a group.
const LOOK: Duration = Duration::from_secs(10);
/// How long a group may take to lose its hosts or itself: a graceful shutdown is cut off by EC2 after a few minutes.
const PATIENCE: SignedDuration = SignedDuration::from_mins(15);
/// The call that makes a group.
const MAKE: &str = "CreateAutoScalingGroup";

impl Steps {
    /// The group as it is now.
    pub(super) async fn group_now(&self, name: &str) -> Result<Option<Group>, Failure> {
        self.read(&format!("look at the group {name}"), async || self.clients.group_alone(name).await).await
    }

    /// The group's lifecycle hook of ours as it is now; nobody asks where the spec names no worker.
    pub(super) async fn hook_now(&self, name: &str) -> Result<Option<Hook>, Failure> {
        if self.fleet.worker.is_none() {
            return Ok(None);
        }
        self.read(&format!("look at the lifecycle hook of {name}"), async || self.clients.drain_hook(name).await).await
    }

    /// What the gate has to know of a look at a group.
    pub(super) fn group_look<'a>(&'a self, group: &'a Group, read_at: Timestamp) -> GroupLook<'a> {
        GroupLook {
            account: &self.fleet.account,
            caller: &self.caller,
            region: &self.fleet.region,
            read_region: self.clients.region(),
            fleet: &self.fleet.name,
            group,
            now: self.clock.now(),
            read_at,
            claim_held: self.claim_held,
        }
    }

    /// Has the group as wanted, launching from this run's epoch; one that is not there is only made where that is asked. A name
    /// belongs to one group, so that nothing is made twice.
    pub(super) async fn have_group(&self, step: &str, wanted: &GroupRequest, make: bool) -> Result<Done, Failure> {
        let epoch: Epoch = self.output_of("epoch")?;
        let wanted = GroupRequest { tags: wanted.tags.clone().with(tags::EPOCH, epoch.name()), ..wanted.clone() };
        let (name, begun) = (&wanted.name, self.clock.now());
        // A launch template that was made moments ago is not seen by every reader.
        let young = |fault| by_age(fault, self.clock.now().duration_since(begun) < CONSISTENT);
        let output = json!({ "group": name });
        while self.clock.now().duration_since(begun) < PATIENCE {
            let Some(group) = self.group_now(name).await? else {
                if !make {
                    return Ok(Done::unchanged(output, "no group is there"));
                }
                let what = format!("make the Auto Scaling group {name}");
                // Whoever finds it without its journal knows by that when nobody wants it any more.
                let born = GroupRequest { tags: self.with_end(&wanted.tags), ..wanted.clone() };
                let made = self.change(
                    step,
                    &what,
                    async || self.clients.draft_group(&born, &epoch.template, epoch.version).await,
                    async |permit| {
                        self.clients.create_group(permit).await.map_err(young).map(|()| (vec![name.clone()], ()))
                    },
                );
                match made.await {
                    Ok(()) => return Ok(Done::new(output, "made, without hosts yet")),
                    Err(failure) if failure.fault.as_ref().is_some_and(|fault| fault.kind == FaultKind::Exists) => {
                        self.pause(LOOK).await?;
                        continue;
                    }
                    Err(failure) => return Err(failure),
                }
            };
            if group.tags.get(tags::FLEET) != Some(self.fleet.name.as_str()) {
                return Err(foreign(&group));
            }
            // A call of unknown outcome, of this run or the one that it goes on with, has made it.
            let open: Vec<_> = self.journal.with_fold(|fold| {
                fold.of_step(step).filter(|i| i.open() && i.call.action == MAKE).map(|intent| intent.id).collect()
            });
            for id in open {
                let done = Outcome::Done { ids: vec![name.clone()], data: json!(null), request_id: None };
                self.journal.settle(id, done, self.clock.now()).map_err(state)?;
            }
            if group.status.is_some() {
                self.pause(LOOK).await?;
                continue;
            }
            let changes = differences(&group, &wanted);
            let same = changes.is_empty() && follows(&group, &epoch.template, epoch.version);
            if !same {
                self.change(
                    step,
                    &format!("change the Auto Scaling group {name}"),
                    async || self.clients.draft_group_change(&wanted, &epoch.template, epoch.version).await,
                    async |permit| {
                        self.clients.update_group(permit).await.map_err(young).map(|()| (vec![name.clone()], ()))
                    },
                )
                .await?;
            }
            let unheld = hook_differs(self.hook_now(name).await?.as_ref(), &wanted);
            if let Some(hook) = wanted.hook.as_ref().filter(|_| unheld) {
                self.change(
                    step,
                    &format!("let {name} wait for hosts that drain"),
                    async || self.clients.draft_hook(name, hook).await,
                    async |permit| self.clients.put_hook(permit).await.map(|()| (vec![name.clone()], ())),
                )
                .await?;
            }
            let same = same && !unheld;
            let missing: Tags = wanted.tags.iter().filter(|(key, value)| group.tags.get(key) != Some(*value)).collect();
            if missing.iter().next().is_some() {
                self.change(
                    step,
                    &format!("tag the Auto Scaling group {name}"),
                    async || self.clients.draft_group_tags(name, &missing).await,
                    async |permit| self.clients.tag_group(permit).await.map(|()| (vec![name.clone()], ())),
                )
                .await?;
            }
            let detail = format!("launches from version {}", epoch.version);
            return Ok(if same { Done::unchanged(output, "as wanted") } else { Done::new(output, detail) });
        }
        Err(Failure::new(Exit::Unavailable, format!("have the group {name}: it was on its way out all the time"))
            .hint("the same command again, once it is gone"))
    }

    /// These tags and the end that a group of this spec has when it is made now.
    fn with_end(&self, of: &Tags) -> Tags {
        let life = self.fleet.fleet.as_ref().and_then(|hosts| SignedDuration::try_from(hosts.expires).ok());
        let end = life.and_then(|life| Timestamp::from_second((self.clock.now() + life).as_second()).ok());
        match end {
            Some(end) => of.clone().with(tags::EXPIRES, end.to_string()),
            None => of.clone(),
        }
    }

    /// Lets the group go to zero at an instant, whoever has forgotten it by then.
    pub(super) async fn group_ends(&self, step: &str, name: &str, at: Deadline) -> Result<Done, Failure> {
        let (until, enough) = match at {
            Deadline::In { seconds } => {
                let now = self.clock.now();
                (now + SignedDuration::from_secs(seconds), now + SignedDuration::from_secs(seconds / 4))
            }
            Deadline::At { until } => (until, until),
        };
        let until = Timestamp::from_second(until.as_second()).unwrap_or(until);
        let mut warned = false;
        self.afresh(&format!("let {name} end at {until}"), async |read_at| {
            let Some(group) = self.group_now(name).await? else {
                return Ok(Some(Done::unchanged(json!({}), "no group is there")));
            };
            let what = format!("list the scheduled actions of {name}");
            let actions = self.read(&what, async || self.clients.scheduled_actions(name).await).await?;
            let there = actions.iter().find(|action| action.name == DEADMAN);
            if let Some(start) = there.and_then(|action| action.start).filter(|start| *start >= enough) {
                self.tell_end(step, &group, start).await?;
                return Ok(Some(Done::unchanged(json!({ "until": start }), format!("at {start}"))));
            }
            if suspended(&group).contains(&"ScheduledActions") && !std::mem::replace(&mut warned, true) {
                self.events.warn(format!("{name}: its process ScheduledActions is suspended, so that it has no end"));
            }
            let Some(owned) = self.own(&group, read_at, 0, &Spared::default())? else { return Ok(None) };
            let refused = self
                .change(
                    step,
                    "put the scheduled action that ends the group",
                    async || self.clients.draft_group_end(&owned, &deadman(until)).await,
                    async |permit| {
                        self.clients.put_actions(permit).await.map(|refused| (vec![name.to_owned()], refused))
                    },
                )
                .await?;
            if let Some(item) = refused.first() {
                let why = format!("let {name} end at {until}: {} ({})", item.code, item.message);
                return Err(Failure::to(Exit::Partial, why).hint("the same command again"));
            }
            self.tell_end(step, &group, until).await?;
            Ok(Some(Done::new(json!({ "until": until }), format!("at {until}"))))
        })
        .await
    }

    /// Lets the group's tags tell when it ends: its scheduled action is gone once it ran.
    async fn tell_end(&self, step: &str, group: &Group, at: Timestamp) -> Result<(), Failure> {
        let ours = group.tags.get(tags::FLEET) == Some(self.fleet.name.as_str());
        if !ours || group.tags.ends() == Some(at) {
            return Ok(());
        }
        let end = Tags::default().with(tags::EXPIRES, at.to_string());
        self.change(
            step,
            &format!("tag the Auto Scaling group {}", group.name),
            async || self.clients.draft_group_tags(&group.name, &end).await,
            async |permit| self.clients.tag_group(permit).await.map(|()| (vec![group.name.clone()], ())),
        )
        .await
    }

    /// Raises the group's size; never lowers it.
    pub(super) async fn raise_group(&self, step: &str, name: &str, size: u32) -> Result<Done, Failure> {
        let group = self.group_now(name).await?.ok_or_else(|| gone(name))?;
        if group.tags.get(tags::FLEET) != Some(self.fleet.name.as_str()) {
            return Err(foreign(&group));
        }
        let output = json!({ "size": size });
        if group.desired >= size {
            return Ok(Done::unchanged(output, format!("{} wanted already", group.desired)));
        }
        self.check_end(name).await?;
        self.change(
            step,
            &format!("let the group {name} have {}", count(size, "host")),
            async || self.clients.draft_group_size(name, size).await,
            async |permit| self.clients.update_group(permit).await.map(|()| (vec![name.to_owned()], ())),
        )
        .await?;
        Ok(Done::new(output, format!("{} more", size - group.desired)))
    }

    /// Refuses to have hosts in a group whose end is over: a launch that was cut short is gone on with too late.
    async fn check_end(&self, name: &str) -> Result<(), Failure> {
        let begun = self.clock.now();
        loop {
            let what = format!("list the scheduled actions of {name}");
            let actions = self.read(&what, async || self.clients.scheduled_actions(name).await).await?;
            let end = actions.iter().find(|action| action.name == DEADMAN).and_then(|action| action.start);
            let now = self.clock.now();
            if end.is_some_and(|end| end > now) {
                return Ok(());
            }
            // One that was put moments ago may not be seen yet.
            if now.duration_since(begun) >= CONSISTENT {
                let why = format!("let the group {name} have hosts: the scheduled action that would end them is over");
                return Err(Failure::to(Exit::Refused, why).hint("fleetwright launch     # gives the group a new end"));
            }
            self.pause(LOOK).await?;
        }
    }

    /// Asks the gate whether the fleet's group may lose so many hosts; `None` when the look is too old: look again.
    pub(super) fn own(
        &self,
        group: &Group,
        read_at: Timestamp,
        ending: usize,
        spared: &Spared,
    ) -> Result<Option<OwnedGroup>, Failure> {
        let history = History::read(&self.state).map_err(state)?;
        let facts = GroupFacts {
            look: self.group_look(group, read_at),
            known_intents: &past::known_intents(&history),
            protected: spared.kept.len(),
            foreign: spared.foreign.len(),
            ending,
            blast_radius: self.blast_radius(&history),
        };
        match gate::own(&facts) {
            Ok(owned) => Ok(Some(owned)),
            Err(refusal) if refusal.reason == Reason::Stale => Ok(None),
            Err(refusal) => {
                // The same reasons hold for the group itself.
                let itself = match refusal.reason {
                    Reason::NotOurs => group.tags.get(tags::FLEET) != Some(self.fleet.name.as_str()),
                    Reason::Protected => group.tags.get(tags::PROTECT).is_some(),
                    _ => true,
                };
                if !itself {
                    return Err(spared.refusal(&group.name));
                }
                let why = format!("change the group {}: {}", group.name, refusal.reason);
                let failure = Failure::to(Exit::Refused, why);
                Err(match refusal.reason {
                    Reason::UnknownIntent => {
                        failure.hint("fleetwright adopt     # when it is yours all the same; then again")
                    }
                    _ => failure.hint("fleetwright status     # what is there, and whose"),
                })
            }
        }
    }

    /// Deletes the group once no instance is in it, and waits until it is gone. One that has nothing but hosts that a person
    /// keeps stays with them, and wants none.
    pub(super) async fn delete_group(&self, step: &str, name: &str) -> Result<Done, Failure> {
        let deadline = self.clock.now() + PATIENCE;
        let kept = self.kept()?;
        let mut deleted = false;
        loop {
            let read_at = self.clock.now();
            let group = self.group_now(name).await?;
            let ours = |group: &Group| group.tags.get(tags::FLEET) == Some(self.fleet.name.as_str());
            let output = json!({ "group": name });
            let Some(group) = group.filter(ours) else {
                return Ok(if deleted {
                    Done::new(output, "deleted")
                } else {
                    Done::unchanged(output, "no group of ours is there")
                });
            };
            if holds_only(&group, &kept) {
                let members = count(group.members.len(), "host");
                let detail = format!("stays with {members} that a person keeps, and wants none");
                return Ok(Done::warning(output, detail));
            }
            let free = group.members.is_empty() && group.status.is_none();
            let owned = if free { self.own(&group, read_at, 0, &Spared::default())? } else { None };
            if let Some(owned) = owned {
                let sent = self
                    .end_owned(
                        step,
                        &format!("delete the group {name}"),
                        async || self.clients.draft_delete_group(&owned).await,
                        async |permit| self.clients.delete_group(permit).await.map(|()| vec![name.to_owned()]),
                    )
                    .await;
                match sent {
                    Ok(ended) => deleted |= ended.is_some(),
                    Err(failure) => match failure.fault.as_ref().map(|fault| fault.kind) {
                        // An activity is under way, or somebody else was faster.
                        Some(FaultKind::Busy | FaultKind::Gone | FaultKind::Invalid) => {}
                        Some(_) | None => return Err(failure),
                    },
                }
            }
            if self.clock.now() > deadline {
                let left = count(group.members.len(), "instance");
                let thing = Thing { kind: KIND.to_owned(), id: name.to_owned() };
                return Err(Failure::to(Exit::Residue, format!("see the group {name} gone: {left} in it"))
                    .leaving(Residue::Remaining(vec![thing]))
                    .hint("fleetwright down       # tries again"));
            }
            self.pause(LOOK).await?;
        }
    }
}

/// Whether all that is in a group is among these hosts, and something is.
pub(super) fn holds_only(group: &Group, kept: &BTreeSet<InstanceId>) -> bool {
    !group.members.is_empty() && group.members.iter().all(|member| kept.contains(&member.id))
}

fn gone(name: &str) -> Failure {
    Failure::new(Exit::Refused, format!("the group {name} is gone")).hint("fleetwright launch --replan")
}

fn foreign(group: &Group) -> Failure {
    Failure::new(
        Exit::Refused,
        format!("the Auto Scaling group {} exists and does not carry this fleet's tag", group.name),
    )
    .hint("choose another `name` in the spec, or have its owner delete it")
}
