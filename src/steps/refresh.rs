//! An instance refresh of the fleet's own group: begun once, attached to, and watched to its end.

use super::Steps;
use super::call::state;
use super::service::{cause, failed_since};
use crate::aws::refresh::START;
use crate::engine::failure::Failure;
use crate::engine::run::Done;
use crate::event::Event;
use crate::exit::Exit;
use crate::journal::{History, IntentState, Outcome};
use crate::model::{FaultKind, Group, InstanceId, Refresh, RefreshPreferences, tags};
use crate::plan::CONSISTENT;
use crate::plan::refresh::{Known, Whose, whose};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

/// Between two looks: a host takes minutes, and six calls a minute are far below any of Auto Scaling's limits.
const LOOK: Duration = Duration::from_secs(10);

impl Steps {
    /// Has the group's hosts replaced by Auto Scaling, and waits until that came to an end.
    pub(super) async fn refresh(
        &self,
        step: &str,
        name: &str,
        preferences: RefreshPreferences,
    ) -> Result<Done, Failure> {
        let begun = self.clock.now();
        let (mut told, mut watched) = (None, None::<String>);
        loop {
            let read_at = self.clock.now();
            let what = format!("look at the instance refreshes of {name}");
            let seen = self.read(&what, async || self.clients.refreshes(name).await).await;
            let seen = seen.map_err(|failure| match &watched {
                Some(id) => goes_on(failure, name, id),
                None => failure,
            })?;
            let one = match whose(&seen, &self.known_refreshes(step)?, &preferences) {
                Whose::Ours(one) => one,
                Whose::Foreign(one) => return Err(foreign(name, one)),
                Whose::Unseen(id) if self.clock.now().duration_since(begun) < CONSISTENT => {
                    self.events.note(format!("instance refresh {id} is not visible yet"));
                    self.pause(LOOK).await?;
                    continue;
                }
                Whose::Unseen(id) => {
                    let text = format!("see the instance refresh {id} of {name}: it was begun, and no look shows it");
                    return Err(goes_on(Failure::to(Exit::Unavailable, text), name, &id));
                }
                Whose::Nobodys => {
                    self.begin_refresh(step, name, &preferences, read_at).await?;
                    continue;
                }
            };
            self.remember(step, one)?;
            watched = Some(one.id.clone());
            if told.as_ref() != Some(&one.reason)
                && let Some(reason) = &one.reason
            {
                self.events.note(format!("instance refresh {}: {reason}", one.id));
            }
            told = Some(one.reason.clone());
            self.events.emit(Event::StepProgress {
                step: step.to_owned(),
                done: u64::from(one.percent),
                total: Some(100),
                note: format!("% replaced, {}", one.status),
            });
            if one.over() {
                return self.came_to(name, one).await;
            }
            self.pause(LOOK).await.map_err(|failure| goes_on(failure, name, &one.id))?;
        }
    }

    /// What the journals know.
    fn known_refreshes(&self, step: &str) -> Result<Known, Failure> {
        let history = History::read(&self.state).map_err(state)?;
        let all = history.runs().flat_map(|past| {
            let done = past.fold.intents.iter().filter(|intent| intent.call.action == START).flat_map(ids);
            done.chain(past.fold.cursors.get(step).and_then(Value::as_str)).map(str::to_owned).collect::<Vec<_>>()
        });
        let all = all.collect();
        Ok(self.journal.with_fold(|fold| {
            let mut calls = fold.of_step(step).filter(|intent| intent.call.action == START);
            let asked = calls.next().map(|intent| intent.at);
            let made = fold.of_step(step).filter(|intent| intent.call.action == START).flat_map(ids).last();
            let mine = fold.cursors.get(step).and_then(Value::as_str).or(made).map(str::to_owned);
            Known { mine, asked, all }
        }))
    }

    /// Writes down which refresh the step is about, before anything is waited for.
    fn remember(&self, step: &str, one: &Refresh) -> Result<(), Failure> {
        let (open, known) = self.journal.with_fold(|fold| {
            let open: Vec<_> = fold.of_step(step).filter(|intent| intent.open()).map(|intent| intent.id).collect();
            (open, fold.cursors.get(step).and_then(Value::as_str) == Some(&one.id))
        });
        let now = self.clock.now();
        for id in open {
            let done = Outcome::Done { ids: vec![one.id.clone()], data: json!(1), request_id: None };
            self.journal.settle(id, done, now).map_err(state)?;
        }
        if known { Ok(()) } else { self.journal.cursor(step, json!(one.id), now).map_err(state) }
    }

    /// Begins a refresh, unless one that nobody here has seen is in its way.
    async fn begin_refresh(
        &self,
        step: &str,
        name: &str,
        preferences: &RefreshPreferences,
        read_at: Timestamp,
    ) -> Result<(), Failure> {
        let group = self.group_now(name).await?.ok_or_else(|| {
            Failure::to(Exit::Refused, format!("begin an instance refresh of {name}: the group is gone"))
                .hint("fleetwright launch     # makes it anew")
        })?;
        let protected = self.unshielded(&group).await?;
        let Some(owned) = self.own(&group, read_at, group.members.len(), protected)? else { return Ok(()) };
        let sent = self
            .end_owned(
                step,
                &format!("let Auto Scaling replace the hosts of {name}"),
                async || self.clients.draft_refresh(&owned, preferences).await,
                async |permit| self.clients.start_refresh(permit).await.map(|id| vec![id]),
            )
            .await;
        match sent {
            Ok(_) => Ok(()),
            // There is one: the next look tells whose, once it is visible.
            Err(failure) if failure.fault.as_ref().is_some_and(|fault| fault.kind == FaultKind::Exists) => {
                self.pause(LOOK).await
            }
            Err(failure) => Err(failure),
        }
    }

    /// How many hosts a person protects of which the group does not know: a refresh would replace them.
    async fn unshielded(&self, group: &Group) -> Result<usize, Failure> {
        let hosts = async || self.clients.instances_of_fleet(&self.fleet.name).await;
        let hosts = self.read("list this fleet's hosts", hosts).await?;
        let free: BTreeSet<&InstanceId> =
            group.members.iter().filter(|member| !member.protected).map(|member| &member.id).collect();
        let kept = |host: &&crate::model::Instance| {
            host.state.live() && host.tags.get(tags::PROTECT).is_some() && free.contains(&host.id)
        };
        Ok(hosts.iter().filter(kept).count())
    }

    /// What a refresh that is over came to.
    async fn came_to(&self, name: &str, one: &Refresh) -> Result<Done, Failure> {
        if one.status == "Successful" {
            return Ok(Done::new(json!({ "refresh": one.id }), format!("instance refresh {} is done", one.id)));
        }
        let what = format!("read what the group {name} did");
        let activities = self.read(&what, async || self.clients.activities(name).await).await?;
        let since = one.started.unwrap_or(Timestamp::MIN);
        let causes: BTreeSet<String> =
            activities.iter().filter(|activity| failed_since(activity, since)).map(cause).collect();
        let why: Vec<String> = one.reason.iter().cloned().chain(causes).collect();
        let why = if why.is_empty() { "AWS names no cause".to_owned() } else { why.join("; ") };
        let text = format!(
            "replace the hosts of {name}: instance refresh {} is {} at {} %: {why}",
            one.id, one.status, one.percent
        );
        Err(Failure::to(Exit::Partial, text)
            .hint("fleetwright status     # which hosts are there")
            .hint("the same command again begins another"))
    }
}

/// What a call made, by what its journal says.
fn ids(intent: &IntentState) -> impl Iterator<Item = &str> {
    let made = match &intent.outcome {
        Some(Outcome::Done { ids, .. }) => ids.as_slice(),
        Some(_) | None => &[],
    };
    made.iter().map(String::as_str)
}

fn foreign(name: &str, one: &Refresh) -> Failure {
    let text = format!(
        "replace the hosts of {name}: instance refresh {} is under way, begun by nobody here or for something else ({}, {} %)",
        one.id, one.status, one.percent
    );
    Failure::to(Exit::Refused, text)
        .hint("the same command again, once it is over")
        .hint(format!("aws autoscaling cancel-instance-refresh --auto-scaling-group-name {name}     # stops it"))
}

fn goes_on(failure: Failure, name: &str, id: &str) -> Failure {
    failure
        .hint(format!("the same command again     # watches instance refresh {id}, which goes on in AWS"))
        .hint(format!("aws autoscaling cancel-instance-refresh --auto-scaling-group-name {name}     # stops it"))
}
