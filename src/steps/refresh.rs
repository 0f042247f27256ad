//! An instance refresh of the fleet's own group: begun once, attached to, and watched to its end.

use super::Steps;
use super::call::state;
use super::service::{cause, failed_since};
use crate::aws::refresh::START;
use crate::engine::failure::Failure;
use crate::engine::run::Done;
use crate::event::Event;
use crate::exit::Exit;
use crate::journal::{Fold, History, Outcome};
use crate::model::{FaultKind, Group, Mark, Refresh, RefreshPreferences};
use crate::plan::CONSISTENT;
use crate::plan::launch::epoch_name;
use crate::plan::refresh::{Asked, Known, Whose, Wish, whose};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Between two looks: a host takes minutes, and six calls a minute are far below any of Auto Scaling's limits.
const LOOK: Duration = Duration::from_secs(10);
/// How long AWS may take none: an answer that never comes, or one that is under way and that no look shows.
const PATIENCE: SignedDuration = SignedDuration::from_mins(15);

impl Steps {
    /// Has the group's hosts replaced by Auto Scaling, and waits until that came to an end.
    pub(super) async fn refresh(
        &self,
        step: &str,
        name: &str,
        preferences: RefreshPreferences,
    ) -> Result<Done, Failure> {
        let begun = self.clock.now();
        let (_, onto) = self.launches(name).await?;
        let wish = Wish { preferences, onto };
        let (mut told, mut watched, mut asked_at) = (None, None::<String>, begun);
        let mut others = self.known_refreshes(step)?;
        loop {
            let what = format!("look at the instance refreshes of {name}");
            let seen = self.read(&what, async || self.clients.refreshes(name).await).await;
            let seen = seen.map_err(|failure| match &watched {
                Some(id) => goes_on(failure, name, id),
                None => failure,
            })?;
            let known = Known { mine: self.my_refresh(step), all: others.clone() };
            let one = match whose(&seen, &known, &wish) {
                Whose::Ours(one) => one,
                Whose::Foreign(one) => return Err(foreign(name, one)),
                Whose::Unseen(id) if self.clock.now().duration_since(asked_at) < CONSISTENT => {
                    self.events.note(format!("instance refresh {id} is not visible yet"));
                    self.pause(LOOK).await?;
                    continue;
                }
                Whose::Unseen(id) => {
                    let text = format!("see the instance refresh {id} of {name}: it was begun, and no look shows it");
                    return Err(goes_on(Failure::to(Exit::Unavailable, text), name, &id));
                }
                Whose::Nobodys if self.clock.now().duration_since(begun) < PATIENCE => {
                    self.begin_refresh(step, name, &wish).await?;
                    (asked_at, others) = (self.clock.now(), self.known_refreshes(step)?);
                    self.pause(LOOK).await?;
                    continue;
                }
                Whose::Nobodys => {
                    let minutes = PATIENCE.as_mins();
                    let text = format!("begin an instance refresh of {name}: AWS took none within {minutes} minutes");
                    return Err(Failure::to(Exit::Unavailable, text).hint("the same command again tries again"));
                }
            };
            self.remember(step, one, &wish.onto)?;
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

    /// What the group launches now, by its name in tags.
    async fn launches(&self, name: &str) -> Result<(Group, String), Failure> {
        let group = self.group_now(name).await?.ok_or_else(|| {
            Failure::to(Exit::Refused, format!("begin an instance refresh of {name}: the group is gone"))
                .hint("fleetwright launch     # makes it anew")
        })?;
        let version = group.version.and_then(|version| i64::try_from(version).ok());
        let Some((template, version)) = group.template.as_ref().zip(version) else {
            let text =
                format!("begin an instance refresh of {name}: it launches from no version that it names by number");
            return Err(Failure::to(Exit::Refused, text).hint("fleetwright launch     # gives it one"));
        };
        let onto = epoch_name(template.as_str(), version);
        Ok((group, onto))
    }

    /// The refreshes that the journals know: ids, and onto what each brings the hosts.
    fn known_refreshes(&self, step: &str) -> Result<BTreeMap<String, Option<String>>, Failure> {
        let history = History::read(&self.state).map_err(state)?;
        let mut all = BTreeMap::new();
        for past in history.runs() {
            let asked = asked(&past.fold, step);
            for (id, at) in made(&past.fold) {
                let onto = asked.as_ref().filter(|asked| at >= asked.since).map(|asked| asked.onto.clone());
                all.insert(id, onto);
            }
            if let Some(Asked { id: Some(id), onto, .. }) = asked {
                all.insert(id, Some(onto));
            }
        }
        Ok(all)
    }

    /// What this step asked for last.
    fn my_refresh(&self, step: &str) -> Option<Asked> {
        self.journal.with_fold(|fold| {
            let mut mine = asked(fold, step)?;
            let answered = made(fold).filter(|(_, at)| *at >= mine.since).last();
            mine.id = mine.id.or(answered.map(|(id, _)| id));
            Some(mine)
        })
    }

    /// Writes down which refresh the step is about, before anything is waited for.
    fn remember(&self, step: &str, one: &Refresh, onto: &str) -> Result<(), Failure> {
        let (open, known) = self.journal.with_fold(|fold| {
            let open: Vec<_> = fold.of_step(step).filter(|intent| intent.open()).map(|intent| intent.id).collect();
            (open, asked(fold, step))
        });
        let now = self.clock.now();
        for id in open {
            let done = Outcome::Done { ids: vec![one.id.clone()], data: json!(1), request_id: None };
            self.journal.settle(id, done, now).map_err(state)?;
        }
        let since = known.as_ref().filter(|known| known.onto == onto).map_or(now, |known| known.since);
        self.note(step, known.as_ref(), &Asked { onto: onto.to_owned(), since, id: Some(one.id.clone()) })
    }

    fn note(&self, step: &str, known: Option<&Asked>, now: &Asked) -> Result<(), Failure> {
        if known == Some(now) {
            return Ok(());
        }
        self.journal.cursor(step, super::output(now)?, self.clock.now()).map_err(state)
    }

    /// Begins a refresh, unless one that nobody here has seen is in its way, or AWS takes none now: the next look tells.
    async fn begin_refresh(&self, step: &str, name: &str, wish: &Wish) -> Result<(), Failure> {
        let (group, _) = self.launches(name).await?;
        let spared = self.spared(&group, &[Mark::Protect, Mark::Quarantine], &mut BTreeMap::new()).await?;
        let read_at = self.clock.now();
        let (group, onto) = self.launches(name).await?;
        let Some(owned) = self.own(&group, read_at, group.members.len(), &spared)? else { return Ok(()) };
        if onto != wish.onto {
            let text = format!(
                "begin an instance refresh of {name}: somebody lets it launch {onto} in place of {}",
                wish.onto
            );
            return Err(Failure::to(Exit::Refused, text).hint("the same command again"));
        }
        let known = self.journal.with_fold(|fold| asked(fold, step));
        let since = known.as_ref().filter(|known| known.onto == onto && known.id.is_none());
        let since = since.map_or(self.clock.now(), |known| known.since);
        self.note(step, known.as_ref(), &Asked { onto, since, id: None })?;
        let sent = self
            .end_owned(
                step,
                &format!("let Auto Scaling replace the hosts of {name}"),
                async || self.clients.draft_refresh(&owned, &wish.preferences).await,
                async |permit| self.clients.start_refresh(permit).await.map(|id| vec![id]),
            )
            .await;
        match sent {
            Ok(_) => Ok(()),
            // There is one: the next look tells whose, once it is visible.
            Err(failure) if failure.fault.as_ref().is_some_and(|fault| fault.kind == FaultKind::Exists) => Ok(()),
            Err(failure) => Err(failure),
        }
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

/// What a run asked for, as it wrote it down.
fn asked(fold: &Fold, step: &str) -> Option<Asked> {
    serde_json::from_value(fold.cursors.get(step)?.clone()).ok()
}

/// The refreshes that calls of a run began, and when each was asked for.
fn made(fold: &Fold) -> impl Iterator<Item = (String, Timestamp)> {
    fold.intents.iter().filter(|intent| intent.call.action == START).flat_map(|intent| {
        let ids = match &intent.outcome {
            Some(Outcome::Done { ids, .. }) => ids.as_slice(),
            Some(_) | None => &[],
        };
        ids.iter().map(|id| (id.clone(), intent.at))
    })
}

fn foreign(name: &str, one: &Refresh) -> Failure {
    let text = format!(
        "replace the hosts of {name}: instance refresh {} is under way, begun by nobody here, or onto an earlier launch \
         template version, or with other bounds ({}, {} %)",
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
