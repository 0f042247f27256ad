//! Watching over a fleet while its campaign lives: hosts that are gone are replaced. Every round starts from what is there;
//! `plan/decide.rs` judges it, and a small launch like any other does what has to be done.

use super::context::Context;
use super::hold::Held;
use super::money::Purse;
use crate::cli::request::{Launch, Push, Until as CliUntil};
use crate::engine::failure::Failure;
use crate::exit::Exit;
use crate::journal::History;
use crate::model::{Group, Instance, InstanceId, Survey, count_is};
use crate::plan::decide::{Decision, Memory, World, decide, over};
use crate::plan::group::born_of;
use crate::plan::launch::template_name;
use crate::plan::{CONSISTENT, Until};
use crate::spec::Need;
use crate::steps::past;
use crate::survey;
use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Between two looks, world time: one call a page of hosts, and one for their group.
const LOOK: Duration = Duration::from_secs(15);

/// What is watched.
pub(super) struct Watch<'a> {
    /// The claim, where the verb holds it all the time; else it is taken for each replacement and given back.
    pub(super) held: Option<&'a Held>,
    /// Hosts that there should be; as the last launch or `scale` of this campaign left it if absent.
    pub(super) size: Option<u32>,
}

/// What became of a watch.
#[derive(Default)]
pub(super) struct Watched {
    /// Hosts that were there and ended by themselves.
    pub(super) lost: BTreeSet<InstanceId>,
    /// Why nothing was replaced any more, if so, and how a verb that only watches ends for that.
    pub(super) stopped: Option<(Exit, String)>,
}

impl Context {
    /// Replaces hosts that are gone until `over`, or until that makes no sense any more.
    pub(super) async fn watch(&self, watch: &Watch<'_>, over: &CancellationToken) -> Result<Watched, Failure> {
        let since = self.clock.now();
        let (mut memory, mut out, mut purse) = (Memory::default(), Watched::default(), Purse::default());
        let mut live: BTreeSet<InstanceId> = BTreeSet::new();
        loop {
            if let Some((mut instances, group)) = self.glance().await? {
                for gone in instances.iter().filter(|host| !host.state.live()) {
                    memory.gone_at.entry(gone.id.clone()).or_insert_with(|| self.clock.now());
                    if live.remove(&gone.id) {
                        let why = gone.state_reason.as_deref().unwrap_or("no reason given");
                        self.events.warn(format!("{} ended: {why}", gone.id));
                        out.lost.insert(gone.id.clone());
                    }
                }
                live.extend(instances.iter().filter(|host| host.state.live()).map(|host| host.id.clone()));
                // One that drains, or is set aside, has no place any more, and did not end.
                survey::as_members(&mut instances, group.as_ref());
                if let Some((exit, why)) =
                    self.round(watch, (&instances, group.as_ref()), since, &mut memory, &mut purse).await?
                {
                    self.events.warn(format!("hosts are replaced no more: {why}"));
                    out.stopped = Some((exit, why));
                    return Ok(out);
                }
            }
            tokio::select! {
                () = over.cancelled() => return Ok(out),
                paused = self.pause(LOOK) => paused?,
            }
        }
    }

    /// The fleet's instances and its group as one look shows them; none when they can't be read now.
    async fn glance(&self) -> Result<Option<(Vec<Instance>, Option<Group>)>, Failure> {
        let clients = self.clients().await?;
        match self.read("look at the fleet", async || survey::hosts(&clients, &self.fleet).await).await {
            Ok(seen) => Ok(Some(seen)),
            Err(failure) if self.stopped().is_some() => Err(failure),
            Err(failure) => {
                self.events.warn(failure.to_string());
                Ok(None)
            }
        }
    }

    /// One round; why to stop, if so, and with which exit code.
    async fn round(
        &self,
        watch: &Watch<'_>,
        (instances, group): (&[Instance], Option<&Group>),
        since: jiff::Timestamp,
        memory: &mut Memory,
        purse: &mut Purse,
    ) -> Result<Option<(Exit, String)>, Failure> {
        let history = Self::whole_history(&self.state_dir()?)?;
        let wish = past::wish(&history);
        let Some(size) = watch.size.or(wish.as_ref().map(|wish| wish.size)) else {
            return Ok(Some((Exit::Partial, "no launch from this machine says how many there should be".to_owned())));
        };
        let now = self.clock.now();
        let look = Survey::untaken(now, self.fleet.account.clone(), self.fleet.region.clone());
        let mut look = past::without_ended(Survey { instances: instances.to_vec(), ..look }, &history);
        let disguised = past::disguised(&history, &self.fleet.name);
        look.instances.retain(|host| !disguised(host));
        let mut world = World {
            instances: &look.instances,
            unseen: past::unseen(&history, &look).len(),
            template: true,
            over: None,
            size,
            since,
            now,
        };
        memory.missed(&world);
        let mut template = None;
        if decide(&world, memory) != Decision::Steady {
            let (clients, name) = (self.clients().await?, template_name(self.fleet.name.as_str()));
            template = self.read("read the launch template", async || clients.launch_template(&name).await).await?;
            world.template = template.is_some() || Self::launched_just_now(&history, now);
        }
        let over = group.and_then(|group| over(group, now));
        world.over = over.as_deref();
        let missing = match decide(&world, memory) {
            Decision::Steady | Decision::Look | Decision::Rest { .. } => return Ok(None),
            Decision::Stop { why } => return Ok(Some((Exit::Partial, why))),
            Decision::Replace { missing } => missing,
        };
        if let Some(why) = self.unpaid(purse, &format!("{missing} of {} gone", count_is(size, "host"))).await? {
            return Ok(Some((Exit::Deadline, why)));
        }
        let newest = look.instances.iter().max_by_key(|host| host.launched);
        let launch = Launch {
            n: Some(size),
            image: born_of(group, template.as_ref(), newest),
            until: match wish.map(|wish| wish.until) {
                Some(Until::Running) => CliUntil::Running,
                Some(Until::Ssh) | None => CliUntil::Ssh,
                Some(Until::Ready) => CliUntil::Ready,
            },
            // The same image as the others have, or get.
            unattested: true,
            keep: true,
            ..Launch::default()
        };
        self.events.note(format!("{missing} of {} gone: replacements are launched", count_is(size, "host")));
        match self.replace(watch, &launch).await {
            Ok(None) => {}
            Ok(Some(live)) if live < usize::try_from(size).unwrap_or(usize::MAX) => {
                memory.short_at = Some(self.clock.now());
            }
            Ok(Some(_)) => memory.launches.clear(),
            Err(failure) if self.stopped().is_some() => return Err(failure),
            Err(failure) if failure.exit == Exit::Capacity => {
                self.events.warn(failure.to_string());
                memory.short_at = Some(self.clock.now());
            }
            Err(failure) => {
                self.events.warn(failure.to_string());
                memory.launches.push(kind(&failure));
            }
        }
        memory.looks = 0;
        Ok(None)
    }

    /// Launches what is missing and brings it the release that the others have; how many are live then, or none when somebody
    /// else is at work on the fleet.
    pub(super) async fn replace(&self, watch: &Watch<'_>, launch: &Launch) -> Result<Option<usize>, Failure> {
        let own;
        let held = match watch.held {
            Some(held) => held,
            None => match self.hold("wait").await {
                Ok(held) => {
                    own = held;
                    &own
                }
                Err(failure) if failure.exit == Exit::Locked => return Ok(None),
                Err(failure) => return Err(failure),
            },
        };
        // Watching was asked for: its launches are not asked for one by one.
        let before = self.standing.swap(true, Ordering::Relaxed);
        let launched = Box::pin(self.launch_held(held, launch)).await;
        let pushed = match &launched {
            Ok(_) if Self::pushed_before(held)? && self.has(Need::Release) => {
                self.push_held(held, &Push::default()).await.map(|told| told.failure)
            }
            Ok(_) | Err(_) => Ok(None),
        };
        self.standing.store(before, Ordering::Relaxed);
        if let Some(failure) = pushed? {
            return Err(failure);
        }
        launched.map(|launched| Some(launched.hosts.live))
    }

    /// Whether this campaign pushed a release: an image alone may not have it.
    fn pushed_before(held: &Held) -> Result<bool, Failure> {
        let history = Self::whole_history(&held.state)?;
        Ok(history.campaign().any(|past| past.fold.begun.as_ref().is_some_and(|begun| begun.verb == "push")))
    }

    /// Why no replacement is paid any more, if so: a wait stops at the budget by itself, a watch over a launch does not. What
    /// can't be read now is asked for again before the next one.
    async fn unpaid(&self, purse: &mut Purse, outlook: &str) -> Result<Option<String>, Failure> {
        if self.fleet.budget.is_none() {
            return Ok(None);
        }
        match self.spent_meanwhile(&self.state_dir()?, purse, None).await {
            Ok(spent) => Ok(self.over_budget(spent.as_ref(), outlook)),
            Err(failure) if self.stopped().is_some() => Err(failure),
            Err(failure) => {
                self.events.warn(failure.to_string());
                Ok(None)
            }
        }
    }

    /// Whether the launch template may be so young that a look does not show it.
    fn launched_just_now(history: &History, now: jiff::Timestamp) -> bool {
        past::launched(history).values().any(|at| now.duration_since(*at) < CONSISTENT)
    }
}

/// What kind of failure it was: two launches that failed alike have the same, whatever hosts, counts and sums they name.
fn kind(failure: &Failure) -> String {
    if let Some(fault) = &failure.fault {
        return format!("{} answered {}", fault.action, fault.code);
    }
    let told = |word: &&str| !word.contains(|c: char| c.is_ascii_digit());
    failure.message.split(' ').filter(told).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_paid_is_the_same_failure_however_much_it_is_by_now() {
        let refused = |host: &str, sum: &str| {
            let text =
                format!("launch 1 host like {host}: {sum} spent so far, and the budget is $2.00 (for 3600 s: an hour)");
            kind(&Failure::to(Exit::Refused, text))
        };
        assert_eq!(refused("i-0a", "$1.97"), refused("i-0b", "$2.03"));
        assert_ne!(refused("i-0a", "$1.97"), kind(&Failure::to(Exit::Refused, "launch 1 host: the image is gone")));
    }
}
