//! The gate: the one place that decides what may be ended. Pure; it re-reads nothing itself, its facts are read for it.

mod group;

pub use group::{ConsentFacts, ConsentedGroup, consent, prefix};

use crate::model::{AccountId, FleetName, InstanceId, Region, Tags, tags};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
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
    /// Whether a person said `--adopt`: tags alone are enough.
    pub adopt: bool,
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
                "it carries this fleet's tag, but no journal here knows who made it (--adopt takes it over)"
            }
            Self::OtherGroup => "another group was read than the spec names",
            Self::Template => "it is the template instance",
            Self::Protected => "it carries fleetwright:protect",
            Self::TerminationProtected => "its termination protection is on",
        })
    }
}

/// The gate said no to everything: nothing may be ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("refused to end {count} thing(s): {reason}")]
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
    /// The ids, never empty.
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

/// Decides what may be ended.
///
/// # Errors
///
/// When a rule about the whole request is broken; then nothing may be ended.
pub fn decide(facts: &GateFacts) -> Result<Passed, Refusal> {
    let refuse = |reason| Err(Refusal { reason, count: facts.candidates.len() });
    if facts.candidates.is_empty() {
        return refuse(Reason::Empty);
    }
    if facts.account != facts.caller {
        return refuse(Reason::OtherAccount);
    }
    if facts.region != facts.read_region {
        return refuse(Reason::OtherRegion);
    }
    let age = facts.now.duration_since(facts.read_at);
    if age > FRESH || age < SignedDuration::ZERO {
        return refuse(Reason::Stale);
    }
    if !facts.claim_held {
        return refuse(Reason::NoClaim);
    }
    let mut ids = Vec::new();
    let mut kept = Vec::new();
    for candidate in &facts.candidates {
        match why_kept(facts, candidate) {
            Some(reason) => kept.push((candidate.id.clone(), reason)),
            None => ids.push(candidate.id.clone()),
        }
    }
    if ids.len() > facts.blast_radius {
        return refuse(Reason::BlastRadius);
    }
    ids.sort();
    ids.dedup();
    let owned = if ids.is_empty() { None } else { Some(OwnedIds { ids }) };
    Ok(Passed { owned, kept })
}

/// The first rule that keeps this one thing from being ended.
fn why_kept(facts: &GateFacts, candidate: &Candidate) -> Option<Reason> {
    if candidate.tags.get(tags::FLEET) != Some(facts.fleet.as_str()) {
        return Some(Reason::NotOurs);
    }
    if facts.template.as_ref().is_some_and(|template| template.as_str() == candidate.id) {
        return Some(Reason::Template);
    }
    if candidate.tags.get(tags::PROTECT).is_some() {
        return Some(Reason::Protected);
    }
    if candidate.termination_protected {
        return Some(Reason::TerminationProtected);
    }
    let known = candidate.tags.get(tags::INTENT).is_some_and(|intent| facts.known_intents.contains(intent));
    if !known && !facts.adopt {
        return Some(Reason::UnknownIntent);
    }
    None
}

#[cfg(test)]
mod tests;
