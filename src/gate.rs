//! The gate: the one place that decides what may be ended. Pure; it re-reads nothing itself, its facts are read for it.

mod group;

pub use group::{ConsentFacts, ConsentedGroup, GroupFacts, GroupLook, OwnedGroup, consent, own, prefix};

use crate::model::{AccountId, FleetName, InstanceId, Region, Tags, group::OURS, tags};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Tags may be at most this old when the gate decides.
pub const FRESH: SignedDuration = SignedDuration::from_secs(60);

/// A thing somebody wants to end, as it was re-read just now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// Its id (instance, volume, image, snapshot or launch template).
    pub id: String,
    /// Its tags as re-read.
    pub tags: Tags,
    /// Whether EC2 says it may not be terminated.
    pub termination_protected: bool,
}

/// Hosts that are ours for certain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Made {
    /// Of intents that are known to have made certain hosts, or none: which. Another host that carries one has copied tags.
    pub by_intent: BTreeMap<String, BTreeSet<String>>,
    /// What was seen to come up, or was taken over, whichever intent it carries.
    pub seen: BTreeSet<String>,
}

/// All that the decision rests on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GateFacts {
    /// Account that the spec names.
    pub account: AccountId,
    /// Account that the credentials belong to, as STS said.
    pub caller: AccountId,
    /// Region that the spec names.
    pub region: Region,
    /// Region that was read.
    pub read_region: Region,
    /// The fleet's name.
    pub fleet: FleetName,
    /// World time now.
    pub now: Timestamp,
    /// When the candidates' tags were re-read.
    pub read_at: Timestamp,
    /// What is to be ended.
    pub candidates: Vec<Candidate>,
    /// Intents (ClientTokens) in the journals of this fleet; the candidate's intent tag must be among them.
    pub known_intents: BTreeSet<String>,
    /// Which hosts are known to be ours, and by which intent.
    pub made: Made,
    /// Whether only what is past its end may be ended: orphans are.
    pub expired_only: bool,
    /// The template instance, never ended.
    pub template: Option<InstanceId>,
    /// Most things that may be ended in one go.
    pub blast_radius: usize,
    /// Whether this process holds the fleet's claim.
    pub claim_held: bool,
}

/// Why one thing, or all of them, may not be ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// Nothing was named: an empty list means everything to some APIs.
    Empty,
    /// The credentials belong to another account.
    OtherAccount,
    /// Another region was read.
    OtherRegion,
    /// The tags were read too long ago.
    Stale,
    /// Another process holds the claim.
    NoClaim,
    /// More things than may be ended in one go.
    BlastRadius,
    /// Does not carry our fleet's tag.
    NotOurs,
    /// Carries our tag, but no journal here knows the intent that made it.
    UnknownIntent,
    /// Carries our tags, but the call that they name made other hosts.
    Copied,
    /// Only what is past its end was to be ended.
    NotExpired,
    /// Another group was read than the spec names.
    OtherGroup,
    /// Is the template instance.
    Template,
    /// Carries `fleetwright:protect`.
    Protected,
    /// EC2's own termination protection is on.
    TerminationProtected,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "nothing was named",
            Self::OtherAccount => "the credentials belong to another account than the spec names",
            Self::OtherRegion => "another region was read than the spec names",
            Self::Stale => "its tags were read more than a minute ago",
            Self::NoClaim => "another run holds the fleet",
            Self::BlastRadius => "more things than may be ended in one go",
            Self::NotOurs => "it does not carry this fleet's tag",
            Self::UnknownIntent => {
                "it carries this fleet's tag, but no journal here knows who made it (`adopt` takes it over)"
            }
            Self::Copied => "it carries this fleet's tags, but the launch that they name did not make it",
            Self::NotExpired => "it is not past its end",
            Self::OtherGroup => "another group was read than the spec names",
            Self::Template => "it is the template instance",
            Self::Protected => "it carries fleetwright:protect",
            Self::TerminationProtected => "its termination protection is on",
        })
    }
}

/// The gate said no to everything: nothing may be ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("refused to end {}: {reason}", crate::model::count(*count, "thing"))]
pub struct Refusal {
    /// Why.
    pub reason: Reason,
    /// How many things were asked for.
    pub count: usize,
}

/// Ids that this fleet owns and that may be ended now. Built nowhere but here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnedIds {
    ids: Vec<String>,
}

impl OwnedIds {
    /// The ids, never empty, each once and in the order in which they were named.
    pub fn ids(&self) -> &[String] {
        &self.ids
    }

    /// The same ids in chunks of at most `size`.
    pub fn chunks(&self, size: usize) -> Vec<Self> {
        self.ids.chunks(size.max(1)).map(|ids| Self { ids: ids.to_vec() }).collect()
    }
}

/// What the gate let through, and what it kept back with the reason for each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passed {
    /// May be ended; absent when every single candidate was kept back.
    pub owned: Option<OwnedIds>,
    /// Kept back: listed for the operator, not touched.
    pub kept: Vec<(String, Reason)>,
}

/// A rule about the whole request: its reason, and whether it is broken, given how many things the other rules let through.
type Whole = (Reason, fn(&GateFacts, usize) -> bool);
/// A rule about one thing: its reason, and whether it keeps the thing back.
type Each = (Reason, fn(&GateFacts, &Candidate) -> bool);

/// When one of these is broken nothing is ended; the first that is broken is told.
const WHOLE: [Whole; 6] = [
    (Reason::Empty, |facts, _| facts.candidates.is_empty()),
    (Reason::OtherAccount, |facts, _| facts.account != facts.caller),
    (Reason::OtherRegion, |facts, _| facts.region != facts.read_region),
    (Reason::Stale, |facts, _| {
        let age = facts.now.duration_since(facts.read_at);
        age > FRESH || age < SignedDuration::ZERO
    }),
    (Reason::NoClaim, |facts, _| !facts.claim_held),
    (Reason::BlastRadius, |facts, passing| passing > facts.blast_radius),
];

/// A thing that breaks one of these is kept back.
const EACH: [Each; 7] = [
    (Reason::NotOurs, |facts, thing| thing.tags.get(tags::FLEET) != Some(facts.fleet.as_str())),
    (Reason::Template, |facts, thing| facts.template.as_ref().is_some_and(|id| id.as_str() == thing.id)),
    (Reason::Protected, |_, thing| thing.tags.get(tags::PROTECT).is_some()),
    (Reason::TerminationProtected, |_, thing| thing.termination_protected),
    (Reason::UnknownIntent, |facts, thing| {
        !thing.tags.get(tags::INTENT).is_some_and(|intent| facts.known_intents.contains(intent))
    }),
    (Reason::Copied, |facts, thing| copied(&facts.made, &facts.fleet, &thing.id, &thing.tags)),
    (Reason::NotExpired, |facts, thing| facts.expired_only && thing.tags.ends().is_none_or(|end| end > facts.now)),
];

/// Whether tags that name a call of ours were put on a host that this call did not make. Nobody but AWS can put a group's name
/// on a host, and what a group launches carries the tags of its launch template.
pub fn copied(made: &Made, fleet: &FleetName, id: &str, tags: &Tags) -> bool {
    let hosts = tags.get(tags::INTENT).and_then(|intent| made.by_intent.get(intent));
    let grouped = tags.get(tags::GROUP).and_then(|group| group.strip_prefix(OURS)) == Some(fleet.as_str());
    id.starts_with("i-") && !grouped && hosts.is_some_and(|hosts| !hosts.contains(id) && !made.seen.contains(id))
}

/// Decides what may be ended.
///
/// # Errors
///
/// When a rule about the whole request is broken; then nothing may be ended.
pub fn decide(facts: &GateFacts) -> Result<Passed, Refusal> {
    by(&WHOLE, &EACH, facts)
}

/// Decides by these rules.
fn by(whole: &[Whole], each: &[Each], facts: &GateFacts) -> Result<Passed, Refusal> {
    let (mut ids, mut kept, mut seen) = (Vec::new(), Vec::new(), BTreeSet::new());
    for candidate in &facts.candidates {
        match each.iter().find(|(_, keeps)| keeps(facts, candidate)) {
            Some((reason, _)) => kept.push((candidate.id.clone(), reason.clone())),
            None if seen.insert(&candidate.id) => ids.push(candidate.id.clone()),
            None => {}
        }
    }
    if let Some((reason, _)) = whole.iter().find(|(_, broken)| broken(facts, ids.len())) {
        return Err(Refusal { reason: reason.clone(), count: facts.candidates.len() });
    }
    let owned = if ids.is_empty() { None } else { Some(OwnedIds { ids }) };
    Ok(Passed { owned, kept })
}

#[cfg(test)]
mod tests;
