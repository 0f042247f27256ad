//! Waiting until new hosts are up: running, known by their key, answering over SSH, worker active.

use super::Steps;
use super::call::state;
use super::past;
use super::service::Served;
use crate::engine::failure::Failure;
use crate::engine::run::Done;
use crate::event::Event;
use crate::exit::Exit;
use crate::journal::History;
use crate::model::{Host, Instance, InstanceId, InstanceState, Market, Residue, Thing, Zone, count};
use crate::plan::{Action, CONSISTENT, Until, ladder, slots};
use crate::ssh::output::{Bounds, sanitise};
use crate::ssh::{Input, Limits, Ssh, SshFaultKind, Target, Trust};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// What the step leaves for later runs.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Settled {
    /// Every live host's slot.
    pub slots: BTreeMap<InstanceId, u32>,
    /// New hosts that are up as far as was asked.
    pub ready: Vec<InstanceId>,
    /// Hosts that ended, with EC2's reason: new ones, and those that were counted when the launch was planned.
    pub dead: BTreeMap<InstanceId, String>,
    /// What the new hosts that run are: of those that a group launched no call of ours tells what they cost.
    #[serde(default)]
    pub machines: Vec<Machine>,
}

/// What decides the cost of a host.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Machine {
    /// The host.
    pub id: InstanceId,
    /// For example `m7i.large`.
    pub instance_type: String,
    /// Where it runs.
    pub zone: Zone,
    /// Spot or on-demand.
    pub market: Market,
    /// When it was launched.
    pub launched: Timestamp,
}

impl Machine {
    fn of(host: &Instance) -> Self {
        let (id, instance_type, zone) = (host.id.clone(), host.instance_type.clone(), host.zone.clone());
        Self { id, instance_type, zone, market: host.market, launched: host.launched }
    }
}

/// How long a host may take from launch to login: the longest boots reported are around ten minutes.
const PATIENCE: SignedDuration = SignedDuration::from_mins(15);
/// Between two looks.
const LOOK: Duration = Duration::from_secs(5);
/// Hosts that are not up and are named in the message; what is left in the account names all.
const NAMED: usize = 8;
/// Lines of a console that are shown of a host that did not come up.
const TAIL: usize = 8;
/// So many hosts ending for the same reason is a broken image or account, not bad luck.
pub(super) const CIRCUIT: usize = 3;

impl Steps {
    /// Waits for the new hosts, and for those of earlier launches that never came up.
    pub(super) async fn settle(
        &self,
        step: &str,
        until: Until,
        (existing, aside): (&[InstanceId], &[InstanceId]),
        awaited: &[InstanceId],
    ) -> Result<Done, Failure> {
        let others = [existing, aside].concat();
        let mut new = self.new_hosts(&others)?;
        new.extend_from_slice(awaited);
        // One that a group has in service now may be awaited from before.
        new.sort();
        new.dedup();
        let deadline = self.clock.now() + PATIENCE;
        let (running, mut dead) = self.running(step, &new, deadline).await?;
        let mut told: BTreeSet<&str> = BTreeSet::new();
        for (id, reason) in dead.iter().filter(|(_, reason)| told.insert(reason.as_str())) {
            self.last_words(id, &format!("ended again: {reason}")).await;
        }
        circuit(&dead)?;
        let mut live = running.clone();
        if !others.is_empty() {
            let old =
                self.read("look at the other hosts", async || self.clients.instances_by_ids(&others).await).await?;
            // A refresh is there to end them; else somebody did since they were counted.
            if !self.plan.steps.iter().any(|step| matches!(step.action, Action::Refresh { .. })) {
                dead.extend(missed(existing, &old, self.planned_long_ago()));
            }
            live.extend(old.into_iter().filter(|host| host.state.live()));
        }
        let known = past::slots(&History::read(&self.state).map_err(state)?);
        let slots = slots::assign(&known, &live);
        let hosts: Vec<Host> = running
            .iter()
            .filter_map(|instance| {
                let slot = slots.get(&instance.id).copied()?;
                Some(Host {
                    slot,
                    id: instance.id.clone(),
                    address: self.address(instance)?,
                    user: self.fleet.ssh.user.clone(),
                })
            })
            .collect();
        match until {
            Until::Running => {}
            Until::Ssh => self.answering(step, &hosts, None, deadline).await?,
            Until::Ready => {
                let service = self.fleet.worker.as_ref().map(|worker| worker.service.clone()).ok_or_else(|| {
                    Failure::to(Exit::Usage, "wait until workers are ready: the spec names no `worker`")
                })?;
                self.answering(step, &hosts, Some(service), deadline).await?;
            }
        }
        let ready = hosts.iter().map(|host| host.id.clone()).collect();
        let settled = Settled { slots, ready, dead, machines: running.iter().map(Machine::of).collect() };
        let output = super::output(&settled)?;
        let detail = format!("{} up", count(settled.ready.len(), "host"));
        Ok(if settled.dead.is_empty() {
            Done::new(output, detail)
        } else {
            let (id, reason) =
                settled.dead.iter().next().map(|(id, r)| (id.to_string(), r.clone())).unwrap_or_default();
            Done::warning(output, format!("{detail}; {} ended, {id} because of {reason}", settled.dead.len()))
        })
    }

    /// Whether EC2 shows by now every host that was counted when this run was planned, unless it has forgotten it.
    fn planned_long_ago(&self) -> bool {
        let at = self.journal.with_fold(|fold| fold.begun.as_ref().map(|begun| begun.at));
        at.is_some_and(|at| self.clock.now().duration_since(at) > CONSISTENT)
    }

    /// Hosts that this run launched, by itself or by a group.
    fn new_hosts(&self, existing: &[InstanceId]) -> Result<Vec<InstanceId>, Failure> {
        if self.plan.ladder().is_some() {
            return Ok(ladder::launched(&self.rungs()));
        }
        // A launch that only waits for hosts of an earlier one launches none.
        let Served { mut hosts } = self.output_of::<Option<Served>>("accept")?.unwrap_or_default();
        hosts.retain(|host| !existing.contains(host));
        Ok(hosts)
    }

    /// Until every new host runs and has an address, or has ended again; two good looks in a row.
    async fn running(
        &self,
        step: &str,
        new: &[InstanceId],
        deadline: jiff::Timestamp,
    ) -> Result<(Vec<Instance>, BTreeMap<InstanceId, String>), Failure> {
        let mut good = 0;
        let since = self.clock.now();
        loop {
            let begun = self.clock.now();
            let seen = self.read("look at the new hosts", async || self.clients.instances_by_ids(new).await).await?;
            let up = |i: &&Instance| i.state == InstanceState::Running && self.address(i).is_some();
            let running: Vec<Instance> = seen.iter().filter(up).cloned().collect();
            let dead: BTreeMap<InstanceId, String> = reasons(&seen).collect();
            good = if running.len() + dead.len() == new.len() { good + 1 } else { 0 };
            if good >= 2 {
                return Ok((running, dead));
            }
            self.progress(step, running.len(), new.len(), "running");
            // A look may take long itself: only one that was begun too late and saw them not up ends the wait.
            if good == 0 && begun > deadline {
                let late: Vec<&Instance> = seen.iter().filter(|i| i.state.live() && !up(i)).collect();
                if let Some(first) = late.first() {
                    self.last_words(&first.id, &format!("is {}", first.state)).await;
                }
                return Err(not_up(&stuck(new, &seen, &late), "run"));
            }
            if good > 0 { self.pause(LOOK).await? } else { self.pause_longer(LOOK, since).await? }
        }
    }

    /// Until every host lets us in with the key that its console showed, and its service is active where one is named.
    async fn answering(
        &self,
        step: &str,
        hosts: &[Host],
        service: Option<String>,
        deadline: jiff::Timestamp,
    ) -> Result<(), Failure> {
        let places = Arc::new(Semaphore::new(usize::try_from(self.fleet.ssh.parallel).unwrap_or(64)));
        let mut waiting: BTreeSet<usize> = (0..hosts.len()).collect();
        let mut why: BTreeMap<usize, String> = BTreeMap::new();
        loop {
            let begun = self.clock.now();
            let mut tries = JoinSet::new();
            for index in waiting.clone() {
                let Some(host) = hosts.get(index) else { continue };
                if !self.learn(&host.id).await? {
                    why.insert(index, "its console shows no host key yet".to_owned());
                    continue;
                }
                let (ssh, trust) = (Arc::clone(&self.reach.ssh), self.reach.trust.clone());
                let target = Target::of(host);
                let (places, service) = (Arc::clone(&places), service.clone());
                tries.spawn(async move {
                    let _place = places.acquire_owned().await;
                    (index, knock(&ssh, &target, &trust, service.as_deref()).await)
                });
            }
            while let Some(tried) = tries.join_next().await {
                match tried {
                    Ok((index, Ok(()))) => {
                        waiting.remove(&index);
                    }
                    Ok((index, Err(Knock::Refused(failure)))) => {
                        let id = hosts.get(index).map(|host| host.id.to_string()).unwrap_or_default();
                        return Err(Failure::to(Exit::Refused, format!("trust {id}: {failure}")));
                    }
                    Ok((index, Err(Knock::NotYet(reason)))) => {
                        why.insert(index, reason);
                    }
                    Err(panicked) => return Err(Failure::to(Exit::Bug, format!("knock at a host: {panicked}"))),
                }
            }
            self.progress(step, hosts.len() - waiting.len(), hosts.len(), "answering");
            if waiting.is_empty() {
                return Ok(());
            }
            if begun > deadline {
                if let Some(host) = waiting.first().and_then(|index| hosts.get(*index)) {
                    self.last_words(&host.id, "runs and can't be entered").await;
                }
                let stuck = waiting.iter().filter_map(|index| {
                    let reason = why.get(index).map_or("no answer", String::as_str);
                    hosts.get(*index).map(|host| format!("{} ({reason})", host.id))
                });
                return Err(not_up(&stuck.collect::<Vec<_>>(), "answer over SSH"));
            }
            self.pause(LOOK).await?;
        }
    }

    /// Shows how a host's boot went: EC2's word for it and the end of its console.
    async fn last_words(&self, id: &InstanceId, state: &str) {
        let said = self.clients.console(id).await.unwrap_or_default();
        let said = sanitise(said.as_bytes(), Bounds { line: 200, total: 4096 });
        let lines: Vec<&str> = said.lines().filter(|line| !line.trim().is_empty()).collect();
        let tail = lines[lines.len().saturating_sub(TAIL)..].iter().map(|line| format!("console: {line}")).collect();
        let console = if lines.is_empty() { ", and its console is empty" } else { "; the end of its console:" };
        self.events.emit(Event::Warning { message: format!("{id} {state}{console}"), hints: tail });
    }

    fn progress(&self, step: &str, done: usize, total: usize, note: &str) {
        self.events.emit(Event::StepProgress {
            step: step.to_owned(),
            done: u64::try_from(done).unwrap_or(u64::MAX),
            total: u64::try_from(total).ok(),
            note: note.to_owned(),
        });
    }
}

/// Why a host is not up yet.
enum Knock {
    NotYet(String),
    Refused(String),
}

async fn knock(ssh: &Ssh, target: &Target, trust: &Trust, service: Option<&str>) -> Result<(), Knock> {
    let session = ssh.connect(target, trust).await.map_err(|fault| match fault.kind {
        SshFaultKind::HostKey => Knock::Refused(fault.message),
        SshFaultKind::Unreachable
        | SshFaultKind::Auth
        | SshFaultKind::Lost
        | SshFaultKind::TimedOut
        | SshFaultKind::Protocol => Knock::NotYet(format!("{}: {}", fault.stage, fault.message)),
    })?;
    let Some(service) = service else { return Ok(()) };
    let command = format!("systemctl is-active {}", crate::model::shell_word(service));
    let limits = Limits { timeout: Duration::from_secs(30), max_output: 4096 };
    match session.exec(&command, Input::Empty, limits).await {
        Ok(execution) if execution.success() => Ok(()),
        Ok(execution) => Err(Knock::NotYet(format!("{service} is not active: {}", super::reach::ended(&execution)))),
        Err(fault) => Err(Knock::NotYet(fault.message)),
    }
}

/// Why hosts ended, as EC2 says.
fn reasons<'a>(seen: impl IntoIterator<Item = &'a Instance>) -> impl Iterator<Item = (InstanceId, String)> {
    let reason = |host: &Instance| host.state_reason.clone().unwrap_or_else(|| "no reason given".to_owned());
    seen.into_iter().filter(|host| !host.state.live()).map(move |host| (host.id.clone(), reason(host)))
}

/// Hosts that were counted and have ended since, and why. EC2 forgets one about an hour after its end: where it would show
/// them all, one that it does not show has ended.
fn missed(counted: &[InstanceId], seen: &[Instance], shows_all: bool) -> BTreeMap<InstanceId, String> {
    let counted: BTreeSet<&InstanceId> = counted.iter().collect();
    let shown: BTreeSet<&InstanceId> = seen.iter().map(|host| &host.id).collect();
    let forgotten = counted.iter().filter(|id| shows_all && !shown.contains(**id));
    let forgotten = forgotten.map(|id| ((*id).clone(), "an end so long ago that EC2 has forgotten it".to_owned()));
    reasons(seen.iter().filter(|host| counted.contains(&host.id))).chain(forgotten).collect()
}

/// Three hosts that end for the same reason stop the launch: a fourth would end too.
fn circuit(dead: &BTreeMap<InstanceId, String>) -> Result<(), Failure> {
    let mut counts = BTreeMap::<&str, usize>::new();
    for reason in dead.values() {
        *counts.entry(reason).or_default() += 1;
    }
    match counts.into_iter().find(|(_, n)| *n >= CIRCUIT) {
        Some((reason, n)) => {
            Err(Failure::to(Exit::Partial, format!("keep new hosts alive: {n} ended because of {reason}"))
                .hint("see to the image or the account first; then run the same command again")
                .hint("fleetwright down       # ends the others"))
        }
        None => Ok(()),
    }
}

/// The hosts that are not up, in words: those that EC2 does not show are not up either.
fn stuck(new: &[InstanceId], seen: &[Instance], late: &[&Instance]) -> Vec<String> {
    let shown: BTreeSet<&InstanceId> = seen.iter().map(|instance| &instance.id).collect();
    let late = late.iter().map(|instance| match instance.state {
        InstanceState::Running => format!("{} (it has no address)", instance.id),
        _ => format!("{} (it is {})", instance.id, instance.state),
    });
    late.chain(new.iter().filter(|id| !shown.contains(id)).map(|id| format!("{id} (EC2 does not show it)"))).collect()
}

fn not_up(stuck: &[String], what: &str) -> Failure {
    let things = stuck
        .iter()
        .map(|id| Thing { kind: "instance".to_owned(), id: id.split(' ').next().unwrap_or_default().to_owned() })
        .collect();
    let mut told = stuck.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
    if let Some(more) = stuck.len().checked_sub(NAMED).filter(|more| *more > 0) {
        told = format!("{told} and {}", count(more, "other"));
    }
    Failure::to(
        Exit::Partial,
        format!("see {} {what} within {} minutes: {told}", count(stuck.len(), "host"), PATIENCE.as_mins()),
    )
    .leaving(Residue::Remaining(things))
    .hint("aws ec2 get-console-output --latest --instance-id ...     # what the host said")
    .hint("fleetwright down       # ends the fleet")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(id: &str, state: InstanceState) -> Instance {
        Instance { state, ..Instance::sample(id) }
    }

    #[test]
    fn only_what_was_counted_is_missed_and_what_ec2_forgot_only_once_it_must_show_all() {
        let (ended, live) = (InstanceState::Terminated, InstanceState::Running);
        let counted = ["i-1", "i-2", "i-3"].map(InstanceId::new);
        let why = Some("Server.SpotInstanceTermination".to_owned());
        let by_spot = Instance { state_reason: why, ..seen("i-2", ended) };
        let aside = seen("i-4", ended);
        let there = [seen("i-1", live), by_spot, aside];
        let told = |shows_all| {
            let missed = missed(&counted, &there, shows_all);
            missed.into_iter().map(|(id, why)| format!("{id} {why}")).collect::<Vec<_>>()
        };
        assert_eq!(told(false), ["i-2 Server.SpotInstanceTermination"]);
        assert_eq!(
            told(true),
            ["i-2 Server.SpotInstanceTermination", "i-3 an end so long ago that EC2 has forgotten it"]
        );
        assert!(missed(&[], &there, true).is_empty(), "no place was theirs");
    }

    #[test]
    fn who_is_not_up_is_counted_whether_ec2_shows_it_or_not() {
        let new: Vec<InstanceId> = ["i-1", "i-2", "i-3", "i-4"].map(InstanceId::new).into();
        let seen = [
            seen("i-1", InstanceState::Running),
            seen("i-2", InstanceState::Pending),
            seen("i-3", InstanceState::Terminated),
        ];
        let late: Vec<&Instance> = seen[..2].iter().collect();
        let stuck = stuck(&new, &seen, &late);
        assert_eq!(stuck, ["i-1 (it has no address)", "i-2 (it is pending)", "i-4 (EC2 does not show it)"]);
        let failure = not_up(&stuck, "run");
        assert!(failure.to_string().contains("see 3 hosts run within 15 minutes: i-1 (it has no address), i-2"));
        let many: Vec<String> = (0..1000).map(|n| format!("i-{n}")).collect();
        let failure = not_up(&many, "run");
        assert!(failure.to_string().ends_with("i-7 and 992 others"), "{failure}");
        assert!(matches!(failure.residue, Residue::Remaining(all) if all.len() == 1000));
    }
}
