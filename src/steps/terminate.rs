//! Ending hosts: only through the gate, only what is ours, until EC2 says that they are gone.

use super::call::state;
use super::{Steps, past};
use crate::engine::failure::Failure;
use crate::engine::run::Done;
use crate::event::Event;
use crate::exit::Exit;
use crate::gate::{self, Candidate, GateFacts, OwnedIds, Passed, Reason};
use crate::journal::History;
use crate::model::{FaultKind, Instance, InstanceId, InstanceState, Residue, Tags, Thing, count, count_is, tags};
use crate::plan::{Action, CONSISTENT};
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Ids in one TerminateInstances call: EC2 takes 1,000 and advises smaller batches; Karpenter uses 500.
const BATCH: usize = 500;
/// How long hosts may take to end: a graceful shutdown is cut off by EC2 after a few minutes, "stuck in shutting-down" cases
/// are reported from ten minutes on.
const PATIENCE: SignedDuration = SignedDuration::from_mins(15);
/// A host that still runs so long after its end was accepted is told again (karpenter#7684: one call was not enough).
const AGAIN: SignedDuration = SignedDuration::from_secs(60);
/// Between two looks.
const LOOK: Duration = Duration::from_secs(5);

/// What the step leaves.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Terminated {
    /// How many hosts it ended.
    ended: usize,
    /// Hosts that it left alone, and the rest went on.
    #[serde(default)]
    kept: BTreeSet<InstanceId>,
    /// Those of them that carry our tags and are not ours.
    #[serde(default)]
    copied: BTreeSet<InstanceId>,
    /// Those of them that EC2's own termination protection keeps.
    #[serde(default)]
    guarded: BTreeSet<InstanceId>,
}

impl Steps {
    /// Passes candidates through the gate with facts read just now.
    ///
    /// `None` when the facts are older than the gate takes: read again.
    pub(super) fn gate(&self, candidates: Vec<Candidate>, read_at: jiff::Timestamp) -> Result<Option<Passed>, Failure> {
        let history = History::read(&self.state).map_err(state)?;
        let known_intents = past::known_intents(&history);
        let blast_radius = self.blast_radius(&history);
        let facts = GateFacts {
            account: self.fleet.account.clone(),
            caller: self.caller.clone(),
            region: self.fleet.region.clone(),
            read_region: self.clients.region().clone(),
            fleet: self.fleet.name.clone(),
            now: self.clock.now(),
            read_at,
            candidates,
            known_intents,
            made: past::made(&history),
            expired_only: self.plan.steps.iter().any(|step| step.action == Action::Reap),
            template: self.fleet.template_instance().cloned(),
            blast_radius,
            claim_held: self.claim_held,
        };
        match gate::decide(&facts) {
            Ok(passed) => Ok(Some(passed)),
            Err(refusal) if refusal.reason == Reason::Stale => Ok(None),
            Err(refusal) => Err(Failure::new(Exit::Refused, refusal.to_string())
                .hint("fleetwright status     # what is there, and whose")),
        }
    }

    /// What the gate kept back, without hosts of which AWS may not show yet that the fleet's group launched them: these are not
    /// ended either, and looked at again.
    pub(super) fn for_certain(
        &self,
        kept: Vec<(String, Reason)>,
        (seen, read_at): (&[Instance], jiff::Timestamp),
    ) -> Vec<(String, Reason)> {
        let grouped = self.fleet.fleet.as_ref().is_some_and(|hosts| hosts.group.is_some());
        if grouped { certain(kept, seen, read_at) } else { kept }
    }

    /// Most hosts that may be ended in one go.
    pub(super) fn blast_radius(&self, history: &History) -> usize {
        let hosts = self.fleet.fleet.as_ref();
        let expected = hosts.map_or(0, |hosts| usize::try_from(hosts.size).unwrap_or(usize::MAX));
        let most = expected.max(past::asked(history)).max(1);
        // A group has up to twice its size while it replaces its hosts.
        if hosts.is_some_and(|hosts| hosts.group.is_some()) { most.saturating_mul(2) } else { most }
    }

    /// Ends these hosts and waits until they are gone; `None` means every host of the fleet, whatever the journal knows.
    pub(super) async fn end(
        &self,
        step: &str,
        only: Option<&BTreeSet<InstanceId>>,
    ) -> Result<(usize, Vec<(String, Reason)>), Failure> {
        let begun = self.clock.now();
        let mut deadline = begun + PATIENCE;
        let mut told: BTreeMap<InstanceId, jiff::Timestamp> = BTreeMap::new();
        let mut guarded: BTreeSet<InstanceId> = BTreeSet::new();
        let mut kept: BTreeMap<String, Reason> = BTreeMap::new();
        let mut quiet_looks = 0;
        loop {
            let read_at = self.clock.now();
            let seen: Vec<Instance> = self
                .read("list this fleet's hosts", async || self.clients.instances_of_fleet(&self.fleet.name).await)
                .await?
                .into_iter()
                .filter(|instance| only.is_none_or(|only| only.contains(&instance.id)))
                .collect();
            let ending = seen.iter().filter(|i| i.state == InstanceState::ShuttingDown).count();
            let unseen = self.recently_launched(&seen, only);
            let candidates: Vec<Candidate> = seen
                .iter()
                .filter(|i| i.state.live())
                .filter(|i| told.get(&i.id).is_none_or(|at| read_at.duration_since(*at) >= AGAIN))
                .filter(|i| !kept.contains_key(i.id.as_str()))
                .map(|i| Candidate {
                    id: i.id.to_string(),
                    tags: i.tags.clone(),
                    termination_protected: guarded.contains(&i.id),
                })
                .collect();
            if !candidates.is_empty() {
                let Some(passed) = self.gate(candidates, read_at)? else {
                    self.check_cancel()?;
                    if read_at > deadline {
                        return Err(too_slow(&seen));
                    }
                    continue;
                };
                kept.extend(self.for_certain(passed.kept, (&seen, read_at)));
                for chunk in passed.owned.iter().flat_map(|owned| owned.chunks(BATCH)) {
                    // The rest is looked at again: what was seen now is old by the time that AWS takes more.
                    if !self.limits.spare("TerminateInstances", chunk.ids().len()) {
                        break;
                    }
                    if self.terminate_chunk(step, &chunk, &mut guarded).await? {
                        let now = self.clock.now();
                        let ids = chunk.ids().iter().map(|id| InstanceId::new(id.as_str()));
                        let new = ids.filter(|id| told.insert(id.clone(), now).is_none()).count();
                        deadline = if new > 0 { now + PATIENCE } else { deadline };
                    }
                }
            }
            let live = seen.iter().filter(|i| i.state.live() && !kept.contains_key(i.id.as_str())).count();
            let left = live + ending + unseen.len();
            let total = u64::try_from(told.len().max(left)).unwrap_or(u64::MAX);
            self.events.emit(Event::StepProgress {
                step: step.to_owned(),
                done: total.saturating_sub(u64::try_from(left).unwrap_or(u64::MAX)),
                total: Some(total),
                note: if unseen.is_empty() { String::new() } else { format!("{} not visible yet", unseen.len()) },
            });
            quiet_looks = if left == 0 { quiet_looks + 1 } else { 0 };
            if quiet_looks >= 2 {
                return Ok((told.len(), kept.into_iter().collect()));
            }
            if self.clock.now() > deadline {
                return Err(Failure::to(Exit::Residue, format!("end every host: {left} are still not gone"))
                    .leaving(remaining(&seen))
                    .hint("fleetwright down       # tries again"));
            }
            if quiet_looks > 0 { self.pause(LOOK).await? } else { self.pause_longer(LOOK, begun).await? }
        }
    }

    /// One TerminateInstances call. False when it did not end the chunk: the next look tells what is to be ended now.
    async fn terminate_chunk(
        &self,
        step: &str,
        chunk: &OwnedIds,
        guarded: &mut BTreeSet<InstanceId>,
    ) -> Result<bool, Failure> {
        let what = format!("end {}", count(chunk.ids().len(), "host"));
        let sent = self
            .end_owned(
                step,
                &what,
                async || self.clients.draft_terminate(chunk).await,
                async |permit| {
                    let changes = self.clients.terminate(permit).await?;
                    Ok(changes.iter().map(|(id, _)| id.to_string()).collect())
                },
            )
            .await;
        match sent {
            Ok(ended) => Ok(ended.is_some()),
            Err(failure) => match &failure.fault {
                // EC2: "If you enable termination protection ... none of the instances in that zone are terminated".
                Some(fault) if fault.code == "OperationNotPermitted" => {
                    for id in chunk.ids() {
                        let id = InstanceId::new(id.as_str());
                        if self.guarded(&id).await? {
                            guarded.insert(id);
                        }
                    }
                    if guarded.is_empty() { Err(failure) } else { Ok(false) }
                }
                // Ended by somebody else in between, or not visible to this reader: the next look tells.
                Some(fault) if matches!(fault.kind, FaultKind::Gone | FaultKind::Busy) => Ok(false),
                Some(_) | None => Err(failure),
            },
        }
    }

    /// Hosts that journals of this fleet launched less than five minutes ago and that the look does not show.
    fn recently_launched(&self, seen: &[Instance], only: Option<&BTreeSet<InstanceId>>) -> Vec<InstanceId> {
        let now = self.clock.now();
        let seen: BTreeSet<&InstanceId> = seen.iter().map(|instance| &instance.id).collect();
        self.launched()
            .into_iter()
            .filter(|(id, at)| now.duration_since(*at) < CONSISTENT && !seen.contains(id))
            .map(|(id, _)| id)
            .filter(|id| only.is_none_or(|only| only.contains(id)))
            .collect()
    }

    /// Ends hosts that this run launched, for `accept.otherwise: abort` and undo.
    pub(super) async fn end_instances(&self, step: &str, ids: &[InstanceId]) -> Result<(), Failure> {
        let only = ids.iter().cloned().collect();
        let (_, kept) = self.end(step, Some(&only)).await?;
        keep_report(kept, ADOPT)
    }

    /// Ends every host of the fleet, and says what it did not dare to touch.
    pub(super) async fn terminate(&self, step: &str) -> Result<Done, Failure> {
        let stripped = self.stripped().await?;
        let (ended, mut kept) = self.end(step, None).await?;
        kept.extend(stripped.into_iter().map(|id| (id, Reason::NotOurs)));
        // What a person protected stays, and so does what is in disguise, and the rest goes on; anything else that was kept
        // back stops the teardown.
        let stays = |(_, reason): &&(String, Reason)| {
            matches!(reason, Reason::Protected | Reason::TerminationProtected | Reason::Copied)
        };
        if kept.iter().filter(stays).count() < kept.len() {
            keep_report(kept.clone(), DOWN_ADOPT)?;
        }
        for (id, reason) in &kept {
            self.events.warn(format!("host {id} is left alone: {reason}"));
        }
        let ids = |which: &dyn Fn(&Reason) -> bool| {
            kept.iter().filter(|(_, reason)| which(reason)).map(|(id, _)| InstanceId::new(id.as_str())).collect()
        };
        let copied = ids(&|reason| *reason == Reason::Copied);
        let guarded = ids(&|reason| *reason == Reason::TerminationProtected);
        let output = super::output(&Terminated { ended, kept: ids(&|_| true), copied, guarded })?;
        let detail =
            if ended == 0 { "no host is there".to_owned() } else { format!("{} gone", count_is(ended, "host")) };
        Ok(if ended == 0 { Done::unchanged(output, detail) } else { Done::new(output, detail) })
    }

    /// Hosts that a person keeps, as the step that ends all others found them. A teardown that saw nothing has no such step.
    pub(super) fn kept(&self) -> Result<BTreeSet<InstanceId>, Failure> {
        Ok(self.output_of::<Option<Terminated>>("hosts")?.map(|ended| ended.kept).unwrap_or_default())
    }

    /// Those of them that EC2's own termination protection keeps.
    pub(super) fn kept_by_ec2(&self) -> Result<BTreeSet<InstanceId>, Failure> {
        Ok(self.output_of::<Option<Terminated>>("hosts")?.map(|ended| ended.guarded).unwrap_or_default())
    }

    /// Refuses to call a teardown whole that left hosts alone which carry our tags and are not ours.
    pub(super) fn refuse_copied(&self) -> Result<(), Failure> {
        let copied = self.output_of::<Option<Terminated>>("hosts")?.map(|ended| ended.copied).unwrap_or_default();
        keep_report(copied.into_iter().map(|id| (id.to_string(), Reason::Copied)).collect(), DOWN_ADOPT)
    }

    /// Hosts that the journals launched and that live without this fleet's tag: somebody took it off. Listed, not ended.
    async fn stripped(&self) -> Result<Vec<String>, Failure> {
        let ids: Vec<InstanceId> = self.launched().into_keys().collect();
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let seen =
            self.read("look at launched hosts by id", async || self.clients.instances_by_ids(&ids).await).await?;
        let ours = |tags: &Tags| tags.get(tags::FLEET) == Some(self.fleet.name.as_str());
        // Tags lag like everything else: only an instance that shows tags, but not ours, was stripped.
        let stripped = |i: &&Instance| i.state.live() && !ours(&i.tags) && self.age(i) > CONSISTENT;
        Ok(seen.iter().filter(stripped).map(|i| i.id.to_string()).collect())
    }

    /// Waits until a launch of unknown outcome can no longer bring hosts that nobody sees. Nothing is replayed.
    pub(super) async fn quiet(&self, seconds: i64) -> Result<Done, Failure> {
        self.pause_until(self.clock.now() + SignedDuration::from_secs(seconds)).await?;
        Ok(Done::new(json!({}), "whatever was made is visible by now"))
    }

    fn age(&self, instance: &Instance) -> SignedDuration {
        self.clock.now().duration_since(instance.launched)
    }
}

fn certain(mut kept: Vec<(String, Reason)>, seen: &[Instance], read_at: jiff::Timestamp) -> Vec<(String, Reason)> {
    let young = |id: &str| seen.iter().any(|host| host.id.as_str() == id && past::young(host, read_at));
    kept.retain(|(id, reason)| *reason != Reason::Copied || !young(id));
    kept
}

/// What to do about a host in disguise.
pub const TAG_OFF: &str = "take the tag fleetwright:fleet off what is not yours; then again";
/// What a whole teardown says of hosts that no journal knows.
const DOWN_ADOPT: &str = "fleetwright down --adopt     # when they are yours all the same";
/// What everybody else says of them: no hint may end more than was asked for.
pub(super) const ADOPT: &str = "fleetwright adopt     # when they are yours all the same; then again";

/// What is not gone.
fn remaining(seen: &[Instance]) -> Residue {
    let left = seen.iter().filter(|i| i.state != InstanceState::Terminated);
    Residue::Remaining(left.map(|i| Thing { kind: "instance".to_owned(), id: i.id.to_string() }).collect())
}

/// Reading them takes longer than what was read may be acted upon.
fn too_slow(seen: &[Instance]) -> Failure {
    let what = "end every host: AWS takes so long to list them that the list is too old to end anything by";
    Failure::to(Exit::Residue, what)
        .leaving(remaining(seen))
        .hint("fleetwright down       # tries again, when AWS or the way to it is faster")
}

/// Things the gate kept back are a failure of `down`: something billable remains.
pub(super) fn keep_report(kept: Vec<(String, Reason)>, adopt: &str) -> Result<(), Failure> {
    if kept.is_empty() {
        return Ok(());
    }
    let lines: Vec<String> = kept.iter().map(|(id, reason)| format!("{id}: {reason}")).collect();
    let any = |wanted: Reason| kept.iter().any(|(_, reason)| *reason == wanted);
    let hints = [
        (any(Reason::Copied), TAG_OFF),
        (any(Reason::UnknownIntent) || any(Reason::Copied), adopt),
        (any(Reason::NotOurs), "put the tag fleetwright:fleet back on what is yours, or end it by hand; then again"),
    ];
    let things = kept.into_iter().map(|(id, _)| Thing { kind: "instance".to_owned(), id }).collect();
    let failure =
        Failure::new(Exit::Refused, format!("refused to end {}: {}", count(lines.len(), "host"), lines.join("; ")))
            .leaving(Residue::Remaining(things));
    let hints = hints.into_iter().filter_map(|(told, hint)| told.then_some(hint));
    Err(hints.fold(failure, Failure::hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Only what may yet turn out to be a group's is looked at again, and only until it would have been seen.
    #[test]
    fn nobody_calls_a_host_a_strangers_before_its_groups_name_can_be_seen() {
        let at = |seconds| jiff::Timestamp::from_second(seconds).unwrap();
        let seen = [Instance { launched: at(1000), ..Instance::sample("i-1") }];
        let kept = |reason| vec![("i-1".to_owned(), reason)];
        assert_eq!(certain(kept(Reason::Copied), &seen, at(1299)), []);
        assert_eq!(certain(kept(Reason::Copied), &seen, at(1300)), kept(Reason::Copied));
        for reason in [Reason::NotOurs, Reason::UnknownIntent, Reason::Protected, Reason::Template] {
            assert_eq!(certain(kept(reason.clone()), &seen, at(1000)), kept(reason));
        }
        assert_eq!(certain(kept(Reason::Copied), &[], at(1000)), kept(Reason::Copied), "it was not seen");
    }
}
