//! What the journals of earlier runs tell later ones: intents that are ours, hosts that were launched, attempts used, slots.

use super::call::{mismatch, state};
use super::settle::Settled;
use super::{Adopted, Steps};
use crate::engine::failure::Failure;
use crate::gate::{self, Made};
use crate::journal::{Begun, Draft, History, IntentState, Outcome, PastRun};
use crate::model::{FleetName, Instance, InstanceId, Region, Survey};
use crate::plan::bill::{End, Used};
use crate::plan::ladder::{Dry, REMEMBERED, RungOutcome};
use crate::plan::token::run_intent;
use crate::plan::{Action, CONSISTENT, Plan, Until};
use crate::spec::Fleet;
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// The action that launches hosts.
const LAUNCH: &str = "CreateFleet";
/// The note in the plan of a run that puts hosts in the place of others: the fleet's size stays what it was.
pub const GIVES_WAY: &str = "hosts are replaced: the fleet keeps its size";
/// The action that gives a group another size.
const RESIZES: &str = "UpdateAutoScalingGroup";
/// Actions that bring hosts.
const BRINGS: [&str; 2] = [LAUNCH, RESIZES];
/// Actions that end what a survey shows.
const END: [&str; 2] = ["TerminateInstances", "DeleteLaunchTemplate"];

/// The action that ends a host of a group together with its place.
const LEAVES: [&str; 1] = ["TerminateInstanceInAutoScalingGroup"];

/// Intents that things of ours may carry: tokens, runs for calls that have no token, and what was taken over. The token of a
/// launch that AWS refused made nothing of ours: what carries it is of another machine, which made the same one.
pub fn known_intents(history: &History) -> BTreeSet<String> {
    let refused = |intent: &IntentState| match &intent.outcome {
        Some(Outcome::Failed(fault)) => intent.call.action == LAUNCH && (!intent.repeated || mismatch(fault)),
        Some(Outcome::Done { .. } | Outcome::Unknown(_)) | None => false,
    };
    let tokens = history.intents().filter(|(_, intent)| !refused(intent)).filter_map(|(_, i)| i.call.token.clone());
    let mut known: BTreeSet<String> = tokens.collect();
    known.extend(history.runs().map(|past| run_intent(&past.dir.run().to_string())));
    known.extend(history.runs().filter_map(adopted).flat_map(|adopted| adopted.intents));
    known
}

/// Which hosts the intents made of which that is certain: a launch that was sent once and answered, and what makes no hosts.
/// What else carries one of these was not made by us; what a launch saw come up, by itself or by a group, or was taken over is
/// ours all the same.
pub fn made(history: &History) -> Made {
    let mut made: BTreeMap<String, Option<BTreeSet<String>>> = BTreeMap::new();
    for (_, intent) in history.intents() {
        let Some(token) = &intent.call.token else { continue };
        let hosts = match &intent.outcome {
            _ if intent.call.action != LAUNCH => Some(BTreeSet::new()),
            // Another machine had sent the same launch before: its hosts are known by their tags alone.
            Some(Outcome::Done { data, .. }) if data["ended"] == true => None,
            Some(Outcome::Done { ids, request_id: Some(_), .. }) if !intent.repeated => {
                Some(ids.iter().cloned().collect())
            }
            Some(Outcome::Done { .. } | Outcome::Failed(_) | Outcome::Unknown(_)) | None => None,
        };
        let known = made.entry(token.clone()).or_insert_with(|| Some(BTreeSet::new()));
        *known = known.take().zip(hosts).map(|(known, hosts)| &known | &hosts);
    }
    Made {
        by_intent: made.into_iter().filter_map(|(token, hosts)| Some((token, hosts?))).collect(),
        seen: came_up(history).iter().map(InstanceId::to_string).collect(),
    }
}

/// Tells hosts that carry the tags of a call that did not make them: by [`made`], as the gate has it.
pub fn disguised<'f>(history: &History, fleet: &'f FleetName) -> impl Fn(&Instance) -> bool + use<'f> {
    let made = made(history);
    move |host| gate::copied(&made, fleet, host.id.as_str(), &host.tags)
}

/// Which hosts a run saw come up, where it waited for any.
fn settled(past: &PastRun) -> Option<Settled> {
    serde_json::from_value(past.fold.steps.get("settle")?.clone()).ok()
}

/// Whether a host was so young when it was looked at that AWS need not have shown all its tags.
pub fn young(host: &Instance, at: Timestamp) -> bool {
    at.duration_since(host.launched) < CONSISTENT
}

/// What a run took over, where it did.
fn adopted(past: &PastRun) -> Option<Adopted> {
    serde_json::from_value(past.fold.steps.get("adopt")?.clone()).ok()
}

/// What calls of these actions made or ended, and when that was known.
fn done<'a>(history: &'a History, actions: &'a [&'a str]) -> impl Iterator<Item = (&'a str, Timestamp)> {
    history
        .intents()
        .filter(|(_, intent)| actions.contains(&intent.call.action.as_str()))
        .filter_map(|(_, intent)| match &intent.outcome {
            Some(Outcome::Done { ids, .. }) => Some((ids, intent.last)),
            Some(Outcome::Failed(_) | Outcome::Unknown(_)) | None => None,
        })
        .flat_map(|(ids, last)| ids.iter().map(move |id| (id.as_str(), last)))
}

/// The other regions that may have copies of the fleet's images: those that the spec names, and those of earlier bakes.
pub fn copied_to(history: &History, fleet: &Fleet) -> BTreeSet<Region> {
    let plans = history.runs().filter_map(|past| past.fold.begun.as_ref()).filter(|begun| begun.verb == "bake");
    let steps =
        plans.filter_map(|begun| serde_json::from_value::<Plan>(begun.plan.clone()).ok()).flat_map(|plan| plan.steps);
    let earlier = steps.filter_map(|step| match step.action {
        Action::CopyImage(request) => Some(request.region),
        _ => None,
    });
    earlier.chain(fleet.image.copy_to.iter().cloned()).filter(|region| *region != fleet.region).collect()
}

/// When the last call of unknown outcome among these was sent.
fn open(history: &History, which: impl Fn(&Draft) -> bool) -> Option<Timestamp> {
    let open = |intent: &IntentState| intent.open() && which(&intent.call);
    history.intents().filter(|(_, intent)| open(intent)).map(|(_, intent)| intent.last).max()
}

/// Every host that a launch of ours brought or that was taken over, and when it was there at the latest.
pub fn launched(history: &History) -> BTreeMap<InstanceId, Timestamp> {
    let taken = history.runs().filter_map(adopted).flat_map(|one| one.slots.into_keys().map(move |id| (id, one.at)));
    taken.chain(done(history, &[LAUNCH]).map(|(id, at)| (InstanceId::new(id), at))).collect()
}

/// Hosts that launches of ours brought within the last five minutes, that nobody has ended and that the look does not show.
pub fn unseen(history: &History, survey: &Survey) -> BTreeMap<InstanceId, Timestamp> {
    let ended = ended(history, survey.at);
    let mut recent = launched(history);
    recent.retain(|id, at| {
        survey.at.duration_since(*at) < CONSISTENT
            && !ended.contains(id.as_str())
            && !survey.instances.iter().any(|instance| instance.id == *id)
    });
    recent
}

/// Every host of this campaign, with what decides its cost: those that live, and those that its launches brought. A template
/// that was built is among them while it is there.
pub fn used(history: &History, survey: &Survey) -> Vec<Used> {
    let ended: BTreeMap<&str, Timestamp> = done(history, &END).chain(done(history, &LEAVES)).collect();
    let end = |id: &InstanceId, at: Timestamp| match ended.get(id.as_str()) {
        Some(at) => End::At(*at),
        None if survey.at.duration_since(at) < CONSISTENT => End::Lives,
        None => End::Unknown,
    };
    // A teardown lets a group have no host, and Auto Scaling ends them.
    let teardowns =
        history.campaign().filter(|past| past.fold.begun.as_ref().is_some_and(|begun| begun.verb == "down"));
    let emptied = teardowns.flat_map(|past| &past.fold.intents).filter(|intent| intent.call.action == RESIZES);
    let emptied = emptied.filter(|intent| matches!(intent.outcome, Some(Outcome::Done { .. }))).map(|i| i.last).max();
    let mut used: BTreeMap<InstanceId, Used> = BTreeMap::new();
    for past in history.campaign() {
        for rung in rungs(past) {
            for host in rung.hosts {
                let end = end(&host.id, rung.at);
                let (instance_type, market) = (host.instance_type, host.market);
                used.insert(host.id, Used { instance_type, zone: host.zone, market, from: rung.at, end });
            }
        }
        for host in settled(past).into_iter().flat_map(|settled| settled.machines) {
            let (instance_type, zone, from) = (host.instance_type, Some(host.zone), host.launched);
            let end = match (end(&host.id, from), emptied.filter(|at| *at > from)) {
                (End::Unknown, Some(at)) => End::At(at),
                (end, _) => end,
            };
            used.entry(host.id).or_insert(Used { instance_type, zone, market: host.market, from, end });
        }
    }
    for instance in survey.instances.iter().chain(&survey.built) {
        let known = used.get(&instance.id).map(|host| host.end);
        let end = match known {
            Some(End::At(at)) => End::At(at),
            _ if instance.state.live() => End::Lives,
            Some(End::Lives | End::Unknown) => End::Unknown,
            // Of a campaign before this one.
            None => continue,
        };
        let host = Used {
            instance_type: instance.instance_type.clone(),
            zone: Some(instance.zone.clone()),
            market: instance.market,
            from: instance.launched,
            end,
        };
        used.insert(instance.id.clone(), host);
    }
    used.into_values().collect()
}

/// Most hosts that launches of ours can have brought, those of unknown outcome and those taken over among them.
pub fn asked(history: &History) -> usize {
    let wanted = |past: &PastRun| {
        let plan: Plan = serde_json::from_value(past.fold.begun.as_ref()?.plan.clone()).ok()?;
        let started = past.fold.intents.iter().any(|intent| BRINGS.contains(&intent.call.action.as_str()));
        usize::try_from(plan.brings()?.0).ok().filter(|_| started)
    };
    let taken = history.runs().filter_map(adopted).map(|adopted| adopted.slots.len());
    history.runs().filter_map(wanted).chain(taken).sum()
}

/// Everything that a call of ours ended so recently that a reader that lags may still show it as it was. What is shown as
/// living later than that does live.
pub fn ended(history: &History, now: Timestamp) -> BTreeSet<String> {
    done(history, &END).filter(|(_, at)| now.duration_since(*at) < CONSISTENT).map(|(id, _)| id.to_owned()).collect()
}

/// Every host that a call of ours has ended, however long ago.
pub fn gone(history: &History) -> BTreeSet<InstanceId> {
    done(history, &END).map(|(id, _)| InstanceId::new(id)).collect()
}

/// A look at the account without what a call of ours has ended since.
#[must_use]
pub fn without_ended(mut survey: Survey, history: &History) -> Survey {
    let ended = ended(history, survey.at);
    survey.instances.retain(|instance| !ended.contains(instance.id.as_str()));
    survey.launch_template = survey.launch_template.filter(|template| !ended.contains(template.id.as_str()));
    survey
}

/// Launch requests that were made under each epoch: their tokens are used. Those of a lost journal are among them as they
/// were taken over.
pub fn attempts(history: &History) -> BTreeMap<String, u32> {
    let mut attempts: BTreeMap<String, u32> = BTreeMap::new();
    for (epoch, lost) in history.runs().filter_map(adopted).flat_map(|adopted| adopted.attempts) {
        let known = attempts.entry(epoch).or_insert(0);
        *known = lost.max(*known);
    }
    for past in history.runs() {
        let Some(epoch) =
            past.fold.steps.get("epoch").and_then(|v| serde_json::from_value::<super::Epoch>(v.clone()).ok())
        else {
            continue;
        };
        let used = past.fold.steps.keys().filter(|step| step.starts_with("capacity.")).count();
        let started = past.fold.intents.iter().filter(|intent| intent.call.action == LAUNCH).count();
        let known = attempts.entry(epoch.name()).or_insert(0);
        *known = known.saturating_add(u32::try_from(used.max(started)).unwrap_or(u32::MAX));
    }
    attempts
}

/// Pools that launches of ours found without room so recently that they are not asked again yet.
pub fn dry(history: &History, now: Timestamp) -> Vec<Dry> {
    history
        .runs()
        .flat_map(rungs)
        .filter(|outcome| outcome.at <= now && now.duration_since(outcome.at) < REMEMBERED)
        .flat_map(|outcome| outcome.dry())
        .collect()
}

/// What the campaign wants of its fleet, by its newest launch or `scale`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wish {
    /// Hosts in all.
    pub size: u32,
    /// How far new ones are waited for.
    pub until: Until,
}

/// Whether a run only put hosts in the place of others.
pub fn gives_way(begun: &Begun) -> bool {
    begun.plan["notes"].as_array().is_some_and(|notes| notes.iter().any(|note| note == GIVES_WAY))
}

/// How many hosts this campaign wants: what its last launch or `scale` planned for, replacements apart, or what was taken
/// over.
pub fn wish(history: &History) -> Option<Wish> {
    let plans = history.campaign().filter_map(|past| {
        let begun = past.fold.begun.as_ref().filter(|begun| !gives_way(begun))?;
        serde_json::from_value::<Plan>(begun.plan.clone()).ok()
    });
    let mut size = None;
    for plan in plans {
        for step in &plan.steps {
            match &step.action {
                Action::End { left: wanted, .. } | Action::Want { size: wanted } => size = size.or(Some(*wanted)),
                Action::Settle { until, existing, awaited, .. } => {
                    let there = u32::try_from(existing.len() + awaited.len()).unwrap_or(u32::MAX);
                    let asked = plan.brings().map_or(there, |(_, size)| size);
                    return Some(Wish { size: size.unwrap_or(asked), until: *until });
                }
                _ => {}
            }
        }
    }
    let taken = history.campaign().find_map(adopted)?;
    let taken = u32::try_from(taken.slots.len()).unwrap_or(u32::MAX);
    Some(Wish { size: size.unwrap_or(taken), until: Until::Ssh })
}

/// Hosts of this campaign that no launch saw come up: it ended before, or gave them up, or a group launched them by itself.
pub fn unsettled(history: &History, seen: &[Instance]) -> BTreeSet<InstanceId> {
    let up = came_up(history);
    let brought = history.campaign().flat_map(rungs).flat_map(|rung| rung.hosts).map(|host| host.id);
    let members = seen.iter().filter(|host| host.state.live() && host.group.is_some()).map(|host| host.id.clone());
    brought.chain(members).filter(|id| !up.contains(id)).collect()
}

/// What a run's fleet requests came to.
fn rungs(past: &PastRun) -> impl Iterator<Item = RungOutcome> {
    let rungs = past.fold.steps.iter().filter(|(step, _)| step.starts_with("capacity."));
    rungs.filter_map(|(_, output)| serde_json::from_value(output.clone()).ok())
}

/// When the last call of unknown outcome that makes something was sent. A step that is finished has found out how its calls
/// came out.
pub fn open_creation(history: &History) -> Option<Timestamp> {
    let unknown = |past: &PastRun| {
        let open = past.fold.intents.iter().filter(|intent| intent.open() && intent.call.makes());
        open.filter(|intent| !past.fold.steps.contains_key(&intent.step)).map(|intent| intent.last).max()
    };
    history.runs().filter_map(unknown).max()
}

/// Until when a look may show hosts as living that a call of unknown outcome has ended.
pub fn doubtful_until(history: &History, now: Timestamp) -> Option<Timestamp> {
    open(history, |call| END.contains(&call.action.as_str())).map(|at| at + CONSISTENT).filter(|until| *until > now)
}

/// Every host that a launch of ours saw up, as far as it was asked to look, and every one that was taken over.
pub fn came_up(history: &History) -> BTreeSet<InstanceId> {
    let settled = history.runs().filter_map(settled);
    let adopted = history.runs().filter_map(adopted).flat_map(|taken| taken.slots.into_keys());
    settled.flat_map(|settled| settled.ready).chain(adopted).collect()
}

/// The slots that the newest launch or adoption gave.
pub fn slots(history: &History) -> BTreeMap<InstanceId, u32> {
    history
        .runs()
        .find_map(|past| ["settle", "adopt"].iter().find_map(|step| past.fold.steps.get(*step)?.get("slots").cloned()))
        .and_then(|slots| serde_json::from_value(slots).ok())
        .unwrap_or_default()
}

impl Steps {
    /// Every host that journals of this fleet say was launched, and when. A journal that can't be read was refused before
    /// the run began.
    pub(super) fn launched(&self) -> BTreeMap<InstanceId, Timestamp> {
        History::read(&self.state).map(|history| launched(&history)).unwrap_or_default()
    }

    /// Whether a call of this action made something that nobody has ended and that a look may not show yet.
    pub(super) fn made_unseen(&self, action: &str) -> Result<bool, Failure> {
        let history = History::read(&self.state).map_err(state)?;
        let now = self.clock.now();
        let ended = ended(&history, now);
        let action = [action];
        let mut made = done(&history, &action);
        Ok(made.any(|(id, at)| now.duration_since(at) < CONSISTENT && !ended.contains(id)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::{FleetDir, Holder};
    use crate::model::{FleetKey, RunId};
    use serde_json::json;

    /// Only what a launch that was sent once and answered made is certain; that another carries its tags then tells.
    #[test]
    fn the_hosts_of_a_launch_are_certain_when_it_was_sent_once_and_answered() {
        let at = Timestamp::UNIX_EPOCH;
        let base = tempfile::tempdir().unwrap();
        let fleet = FleetKey { account: "123456789012".into(), region: "us-east-1".into(), name: "crawl".into() };
        let dir = FleetDir::locate(Some(base.path()), &fleet).unwrap();
        let holder = Holder { pid: 1, verb: "launch".to_owned(), run: None, started: at, host: None };
        let claim = dir.claim(&holder).unwrap();
        let run = RunId::new(uuid::Uuid::from_u128(1));
        let begun = Begun {
            run: run.to_string(),
            verb: "launch".to_owned(),
            fleet,
            request: String::new(),
            plan: json!(null),
            at,
        };
        let (_, journal) = dir.begin(&claim, run, begun).unwrap();
        let sent = |action: &str, token: &str| {
            let call = Draft { action: action.to_owned(), token: Some(token.to_owned()), body: String::new() };
            journal.intend("capacity.0", call, at).unwrap().intent()
        };
        let told = |id, ended: bool, request: Option<&str>| {
            let request_id = request.map(str::to_owned);
            let data = json!({ "ended": ended });
            journal.settle(id, Outcome::Done { ids: vec!["i-1".to_owned()], data, request_id }, at).unwrap();
        };
        told(sent(LAUNCH, "answered"), false, Some("r"));
        told(sent(LAUNCH, "looked-for"), false, None);
        told(sent(LAUNCH, "another-machine-sent-it"), true, Some("r"));
        let again = sent(LAUNCH, "repeated");
        journal.reopen(again, at).unwrap().unwrap();
        told(again, false, Some("r"));
        sent(LAUNCH, "open");
        sent("CreateAutoScalingGroup", "group");
        let known = made(&History::read(&dir).unwrap());
        let wanted = [("answered", &["i-1"][..]), ("group", &[])];
        let wanted = wanted.map(|(token, ids)| (token.to_owned(), ids.iter().map(ToString::to_string).collect()));
        assert_eq!((known.by_intent, known.seen), (BTreeMap::from(wanted), BTreeSet::new()));
    }
}
