//! The part of the gate that is about groups: those which fleetwright did not make, whose owner asked by naming them in the
//! spec, and the fleet's own.

use super::{FRESH, Reason, Refusal};
use crate::model::{AccountId, FleetName, Group, Region, group::OURS, tags};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeSet;

/// All that the decision rests on.
#[derive(Clone, Debug)]
pub struct ConsentFacts<'a> {
    /// Account that the spec names.
    pub account: &'a AccountId,
    /// Account that the credentials belong to, as STS said.
    pub caller: &'a AccountId,
    /// Region that the spec names.
    pub region: &'a Region,
    /// Region that was read.
    pub read_region: &'a Region,
    /// The fleet's name.
    pub fleet: &'a FleetName,
    /// The group that the spec names.
    pub named: &'a str,
    /// The group as it was re-read just now.
    pub group: &'a Group,
    /// World time now.
    pub now: Timestamp,
    /// When the group was re-read.
    pub read_at: Timestamp,
    /// Whether this process holds the fleet's claim.
    pub claim_held: bool,
}

/// A group whose scheduled actions of ours may be changed. Built nowhere but here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsentedGroup {
    name: String,
    prefix: String,
}

impl ConsentedGroup {
    /// The group's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How the names of this fleet's scheduled actions begin: nothing else on the group is ever touched.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }
}

/// How the names of a fleet's scheduled actions begin. No fleet's name holds a dot, so that no prefix begins another.
pub fn prefix(fleet: &FleetName) -> String {
    format!("{OURS}{fleet}.")
}

/// Decides whether this fleet's scheduled actions on a group may be changed.
///
/// # Errors
///
/// When a rule is broken; then nothing may be changed.
pub fn consent(facts: &ConsentFacts<'_>) -> Result<ConsentedGroup, Refusal> {
    let age = facts.now.duration_since(facts.read_at);
    let of = facts.group.tags.get(tags::FLEET);
    let broken = [
        (facts.account != facts.caller, Reason::OtherAccount),
        (facts.region != facts.read_region, Reason::OtherRegion),
        (facts.named.is_empty(), Reason::Empty),
        (facts.named != facts.group.name, Reason::OtherGroup),
        (age > FRESH || age < SignedDuration::ZERO, Reason::Stale),
        (!facts.claim_held, Reason::NoClaim),
        (of.is_some_and(|of| of != facts.fleet.as_str()), Reason::NotOurs),
        (facts.group.tags.get(tags::PROTECT).is_some(), Reason::Protected),
    ];
    match broken.into_iter().find(|(broken, _)| *broken) {
        Some((_, reason)) => Err(Refusal { reason, count: 1 }),
        None => Ok(ConsentedGroup { name: facts.named.to_owned(), prefix: prefix(facts.fleet) }),
    }
}

/// All that the decision about the fleet's own group rests on.
#[derive(Clone, Debug)]
pub struct GroupFacts<'a> {
    /// Account that the spec names.
    pub account: &'a AccountId,
    /// Account that the credentials belong to, as STS said.
    pub caller: &'a AccountId,
    /// Region that the spec names.
    pub region: &'a Region,
    /// Region that was read.
    pub read_region: &'a Region,
    /// The fleet's name.
    pub fleet: &'a FleetName,
    /// The group as it was re-read just now.
    pub group: &'a Group,
    /// Intents in the journals of this fleet; the group's intent tag must be among them.
    pub known_intents: &'a BTreeSet<String>,
    /// How many of the hosts that may end by it a person protected.
    pub protected: usize,
    /// How many hosts may end by it.
    pub ending: usize,
    /// Most hosts that may be ended in one go.
    pub blast_radius: usize,
    /// World time now.
    pub now: Timestamp,
    /// When the group was re-read.
    pub read_at: Timestamp,
    /// Whether this process holds the fleet's claim.
    pub claim_held: bool,
}

/// The fleet's own group, which may be made smaller or ended now. Built nowhere but here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnedGroup {
    name: String,
}

impl OwnedGroup {
    /// The group's name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// Decides whether the fleet's own group may lose hosts.
///
/// # Errors
///
/// When a rule is broken; then it may not.
pub fn own(facts: &GroupFacts<'_>) -> Result<OwnedGroup, Refusal> {
    let age = facts.now.duration_since(facts.read_at);
    let tags = &facts.group.tags;
    let known = tags.get(tags::INTENT).is_some_and(|intent| facts.known_intents.contains(intent));
    let broken = [
        (facts.account != facts.caller, Reason::OtherAccount),
        (facts.region != facts.read_region, Reason::OtherRegion),
        (facts.group.name.is_empty(), Reason::Empty),
        (age > FRESH || age < SignedDuration::ZERO, Reason::Stale),
        (!facts.claim_held, Reason::NoClaim),
        (tags.get(tags::FLEET) != Some(facts.fleet.as_str()), Reason::NotOurs),
        (tags.get(tags::PROTECT).is_some() || facts.protected > 0, Reason::Protected),
        (!known, Reason::UnknownIntent),
        (facts.ending > facts.blast_radius, Reason::BlastRadius),
    ];
    match broken.into_iter().find(|(broken, _)| *broken) {
        Some((_, reason)) => Err(Refusal { reason, count: facts.ending.max(1) }),
        None => Ok(OwnedGroup { name: facts.group.name.clone() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Tags;

    fn group(tags: &[(&str, &str)]) -> Group {
        Group {
            name: "api-prod".to_owned(),
            min: 1,
            max: 4,
            desired: 2,
            zones: Vec::new(),
            subnets: Vec::new(),
            grace: 300,
            rebalance: false,
            policies: Vec::new(),
            members: Vec::new(),
            suspended: Vec::new(),
            template: None,
            version: None,
            mixed: None,
            protects_new: false,
            maintenance: false,
            tags: tags.iter().copied().collect::<Tags>(),
            status: None,
        }
    }

    /// Each rule alone keeps the group closed, and without any broken rule it opens.
    #[test]
    fn every_rule_counts() {
        let (account, other) = (AccountId::from("123456789012"), AccountId::from("210987654321"));
        let (region, elsewhere) = (Region::from("us-east-1"), Region::from("eu-west-1"));
        let (fleet, plain) = (FleetName::from("api"), group(&[]));
        let now: Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
        let good = ConsentFacts {
            account: &account,
            caller: &account,
            region: &region,
            read_region: &region,
            fleet: &fleet,
            named: "api-prod",
            group: &plain,
            now,
            read_at: now,
            claim_held: true,
        };
        let consented = consent(&good).unwrap();
        assert_eq!((consented.name(), consented.prefix()), ("api-prod", "fleetwright-api."));
        let (theirs, kept) = (group(&[("fleetwright:fleet", "api-prod")]), group(&[("fleetwright:protect", "")]));
        let ours = group(&[("fleetwright:fleet", "api")]);
        assert!(consent(&ConsentFacts { group: &ours, ..good.clone() }).is_ok());
        let minutes = SignedDuration::from_secs(61);
        for (facts, reason) in [
            (ConsentFacts { caller: &other, ..good.clone() }, Reason::OtherAccount),
            (ConsentFacts { read_region: &elsewhere, ..good.clone() }, Reason::OtherRegion),
            (ConsentFacts { named: "", ..good.clone() }, Reason::Empty),
            (ConsentFacts { named: "api", ..good.clone() }, Reason::OtherGroup),
            (ConsentFacts { read_at: now - minutes, ..good.clone() }, Reason::Stale),
            (ConsentFacts { read_at: now + minutes, ..good.clone() }, Reason::Stale),
            (ConsentFacts { claim_held: false, ..good.clone() }, Reason::NoClaim),
            (ConsentFacts { group: &theirs, ..good.clone() }, Reason::NotOurs),
            (ConsentFacts { group: &kept, ..good.clone() }, Reason::Protected),
        ] {
            assert_eq!(consent(&facts).unwrap_err().reason, reason);
        }
    }

    /// The same of the fleet's own group.
    #[test]
    fn every_rule_of_our_own_counts() {
        let (account, other) = (AccountId::from("123456789012"), AccountId::from("210987654321"));
        let (region, elsewhere) = (Region::from("us-east-1"), Region::from("eu-west-1"));
        let fleet = FleetName::from("api");
        let now: Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
        let known = BTreeSet::from(["fwknown".to_owned()]);
        let ours = group(&[("fleetwright:fleet", "api"), ("fleetwright:intent", "fwknown")]);
        let theirs = group(&[("fleetwright:fleet", "api2"), ("fleetwright:intent", "fwknown")]);
        let untold = group(&[("fleetwright:fleet", "api"), ("fleetwright:intent", "fwother")]);
        let kept =
            group(&[("fleetwright:fleet", "api"), ("fleetwright:intent", "fwknown"), ("fleetwright:protect", "")]);
        let nameless = Group { name: String::new(), ..ours.clone() };
        let good = GroupFacts {
            account: &account,
            caller: &account,
            region: &region,
            read_region: &region,
            fleet: &fleet,
            group: &ours,
            known_intents: &known,
            protected: 0,
            ending: 4,
            blast_radius: 4,
            now,
            read_at: now,
            claim_held: true,
        };
        assert_eq!(own(&good).unwrap().name(), "api-prod");
        let minutes = SignedDuration::from_secs(61);
        for (facts, reason) in [
            (GroupFacts { caller: &other, ..good.clone() }, Reason::OtherAccount),
            (GroupFacts { read_region: &elsewhere, ..good.clone() }, Reason::OtherRegion),
            (GroupFacts { group: &nameless, ..good.clone() }, Reason::Empty),
            (GroupFacts { read_at: now - minutes, ..good.clone() }, Reason::Stale),
            (GroupFacts { read_at: now + minutes, ..good.clone() }, Reason::Stale),
            (GroupFacts { claim_held: false, ..good.clone() }, Reason::NoClaim),
            (GroupFacts { group: &theirs, ..good.clone() }, Reason::NotOurs),
            (GroupFacts { group: &kept, ..good.clone() }, Reason::Protected),
            (GroupFacts { protected: 1, ..good.clone() }, Reason::Protected),
            (GroupFacts { group: &untold, ..good.clone() }, Reason::UnknownIntent),
            (GroupFacts { ending: 5, ..good.clone() }, Reason::BlastRadius),
        ] {
            assert_eq!(own(&facts).unwrap_err().reason, reason);
        }
    }
}
