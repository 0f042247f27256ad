//! What the journals of earlier runs tell later ones: intents that are ours, hosts that were launched, attempts used, slots.

use super::Steps;
use super::call::state;
use crate::engine::failure::Failure;
use crate::journal::{History, Outcome};
use crate::model::{InstanceId, Survey};
use crate::plan::token::run_intent;
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// The action that launches hosts.
const LAUNCH: &str = "CreateFleet";

/// Intents that things of ours may carry: tokens, and runs for calls that have no token.
pub fn known_intents(history: &History) -> BTreeSet<String> {
    let mut known = history.known_intents();
    known.extend(history.runs().map(|past| run_intent(&past.dir.run().to_string())));
    known
}

/// Every host that a launch of ours brought, and when it was asked for.
pub fn launched(history: &History) -> BTreeMap<InstanceId, Timestamp> {
    history
        .intents()
        .filter(|(_, intent)| intent.call.action == LAUNCH)
        .filter_map(|(_, intent)| match &intent.outcome {
            Some(Outcome::Done { ids, .. }) => Some((ids, intent.at)),
            Some(Outcome::Failed(_) | Outcome::Unknown(_)) | None => None,
        })
        .flat_map(|(ids, at)| ids.iter().map(move |id| (InstanceId::new(id.as_str()), at)))
        .collect()
}

/// Everything that a call of ours ended: a reader that lags may still show it as it was.
pub fn ended(history: &History) -> BTreeSet<String> {
    history
        .intents()
        .filter(|(_, intent)| ["TerminateInstances", "DeleteLaunchTemplate"].contains(&intent.call.action.as_str()))
        .filter_map(|(_, intent)| match &intent.outcome {
            Some(Outcome::Done { ids, .. }) => Some(ids.iter().cloned()),
            Some(Outcome::Failed(_) | Outcome::Unknown(_)) | None => None,
        })
        .flatten()
        .collect()
}

/// A look at the account without what a call of ours has ended since.
#[must_use]
pub fn without_ended(mut survey: Survey, history: &History) -> Survey {
    let ended = ended(history);
    survey.instances.retain(|instance| !ended.contains(instance.id.as_str()));
    survey.launch_template = survey.launch_template.filter(|template| !ended.contains(template.id.as_str()));
    survey
}

/// Launch requests that were made under each epoch: their tokens are used.
pub fn attempts(history: &History) -> BTreeMap<String, u32> {
    let mut attempts = BTreeMap::new();
    for past in history.runs() {
        let Some(epoch) =
            past.fold.steps.get("epoch").and_then(|v| serde_json::from_value::<super::Epoch>(v.clone()).ok())
        else {
            continue;
        };
        let used = past.fold.steps.keys().filter(|step| step.starts_with("capacity.")).count();
        let started = past.fold.intents.iter().filter(|intent| intent.call.action == LAUNCH).count();
        *attempts.entry(epoch.name()).or_insert(0) += u32::try_from(used.max(started)).unwrap_or(u32::MAX);
    }
    attempts
}

/// When the last launch call of unknown outcome was written down.
pub fn open_launch(history: &History) -> Option<Timestamp> {
    history
        .intents()
        .filter(|(_, intent)| intent.call.action == LAUNCH && intent.open())
        .map(|(_, intent)| intent.at)
        .max()
}

/// The slots that the newest launch gave.
pub fn slots(history: &History) -> BTreeMap<InstanceId, u32> {
    history
        .runs()
        .find_map(|past| past.fold.steps.get("settle").and_then(|output| output.get("slots")).cloned())
        .and_then(|slots| serde_json::from_value(slots).ok())
        .unwrap_or_default()
}

impl Steps {
    pub(super) fn known_intents(&self) -> Result<BTreeSet<String>, Failure> {
        Ok(known_intents(&History::read(&self.state).map_err(state)?))
    }

    /// Every host that journals of this fleet say was launched, and when. A journal that can't be read was refused before
    /// the run began.
    pub(super) fn launched(&self) -> BTreeMap<InstanceId, Timestamp> {
        History::read(&self.state).map(|history| launched(&history)).unwrap_or_default()
    }
}
