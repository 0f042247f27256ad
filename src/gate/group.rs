//! The part of the gate that is about groups: those which fleetwright did not make, whose owner asked by naming them in the
//! spec, and the fleet's own.

use super::{FRESH, Reason, Refusal};
use crate::model::{AccountId, FleetName, Group, Region, group::OURS, tags};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeSet;

/// A look at a group, and who looked: what every decision about a group rests on.
#[derive(Clone, Debug)]
pub struct GroupLook<'a> {
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
    /// World time now.
    pub now: Timestamp,
    /// When the group was re-read.
    pub read_at: Timestamp,
    /// Whether this process holds the fleet's claim.
    pub claim_held: bool,
}

impl GroupLook<'_> {
    /// The rules for every group.
    fn rules(&self) -> [(bool, Reason); 6] {
        let age = self.now.duration_since(self.read_at);
        [
            (self.account != self.caller, Reason::OtherAccount),
            (self.region != self.read_region, Reason::OtherRegion),
            (self.group.name.is_empty(), Reason::Empty),
            (age > FRESH || age < SignedDuration::ZERO, Reason::Stale),
            (!self.claim_held, Reason::NoClaim),
            (self.group.tags.get(tags::PROTECT).is_some(), Reason::Protected),
        ]
    }

    /// Refuses when one of these rules, or of those for every group, is broken.
    fn check(&self, own: &[(bool, Reason)], count: usize) -> Result<(), Refusal> {
        match self.rules().iter().chain(own).find(|(broken, _)| *broken) {
            Some((_, reason)) => Err(Refusal { reason: reason.clone(), count }),
            None => Ok(()),
        }
    }
}

/// All that the decision about a group which the spec names rests on.
#[derive(Clone, Debug)]
pub struct ConsentFacts<'a> {
    /// The look.
    pub look: GroupLook<'a>,
    /// The group that the spec names.
    pub named: &'a str,
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
    let (look, of) = (&facts.look, facts.look.group.tags.get(tags::FLEET));
    let own = [
        (facts.named != look.group.name, Reason::OtherGroup),
        (of.is_some_and(|of| of != look.fleet.as_str()), Reason::NotOurs),
    ];
    look.check(&own, 1)?;
    Ok(ConsentedGroup { name: facts.named.to_owned(), prefix: prefix(look.fleet) })
}

/// All that the decision about the fleet's own group rests on.
#[derive(Clone, Debug)]
pub struct GroupFacts<'a> {
    /// The look.
    pub look: GroupLook<'a>,
    /// Intents in the journals of this fleet; the group's intent tag must be among them.
    pub known_intents: &'a BTreeSet<String>,
    /// How many of the hosts that may end by it a person protected.
    pub protected: usize,
    /// How many of the hosts that may end by it are not this fleet's.
    pub foreign: usize,
    /// How many hosts may end by it.
    pub ending: usize,
    /// Most hosts that may be ended in one go.
    pub blast_radius: usize,
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
    let (look, tags) = (&facts.look, &facts.look.group.tags);
    let known = tags.get(tags::INTENT).is_some_and(|intent| facts.known_intents.contains(intent));
    let own = [
        (tags.get(tags::FLEET) != Some(look.fleet.as_str()), Reason::NotOurs),
        (facts.foreign > 0, Reason::NotOurs),
        (facts.protected > 0, Reason::Protected),
        (!known, Reason::UnknownIntent),
        (facts.ending > facts.blast_radius, Reason::BlastRadius),
    ];
    look.check(&own, facts.ending.max(1))?;
    Ok(OwnedGroup { name: look.group.name.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Tags;

    fn group(tags: &[(&str, &str)]) -> Group {
        Group { tags: tags.iter().copied().collect::<Tags>(), ..Group::sample("api-prod") }
    }

    /// Each rule alone keeps the group closed, and without any broken rule it opens.
    #[test]
    fn every_rule_counts() {
        let (account, other) = (AccountId::from("123456789012"), AccountId::from("210987654321"));
        let (region, elsewhere) = (Region::from("us-east-1"), Region::from("eu-west-1"));
        let (fleet, plain) = (FleetName::from("api"), group(&[]));
        let now: Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
        let look = GroupLook {
            account: &account,
            caller: &account,
            region: &region,
            read_region: &region,
            fleet: &fleet,
            group: &plain,
            now,
            read_at: now,
            claim_held: true,
        };
        let good = ConsentFacts { look: look.clone(), named: "api-prod" };
        let of = |look| ConsentFacts { look, ..good.clone() };
        let consented = consent(&good).unwrap();
        assert_eq!((consented.name(), consented.prefix()), ("api-prod", "fleetwright-api."));
        let (theirs, kept) = (group(&[("fleetwright:fleet", "api-prod")]), group(&[("fleetwright:protect", "")]));
        let (ours, nameless) = (group(&[("fleetwright:fleet", "api")]), Group { name: String::new(), ..group(&[]) });
        assert!(consent(&of(GroupLook { group: &ours, ..look.clone() })).is_ok());
        let minutes = SignedDuration::from_secs(61);
        for (facts, reason) in [
            (of(GroupLook { caller: &other, ..look.clone() }), Reason::OtherAccount),
            (of(GroupLook { read_region: &elsewhere, ..look.clone() }), Reason::OtherRegion),
            (of(GroupLook { group: &nameless, ..look.clone() }), Reason::Empty),
            (ConsentFacts { named: "api", ..good.clone() }, Reason::OtherGroup),
            (of(GroupLook { read_at: now - minutes, ..look.clone() }), Reason::Stale),
            (of(GroupLook { read_at: now + minutes, ..look.clone() }), Reason::Stale),
            (of(GroupLook { claim_held: false, ..look.clone() }), Reason::NoClaim),
            (of(GroupLook { group: &theirs, ..look.clone() }), Reason::NotOurs),
            (of(GroupLook { group: &kept, ..look.clone() }), Reason::Protected),
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
        let look = GroupLook {
            account: &account,
            caller: &account,
            region: &region,
            read_region: &region,
            fleet: &fleet,
            group: &ours,
            now,
            read_at: now,
            claim_held: true,
        };
        let good = GroupFacts {
            look: look.clone(),
            known_intents: &known,
            protected: 0,
            foreign: 0,
            ending: 4,
            blast_radius: 4,
        };
        let of = |look| GroupFacts { look, ..good.clone() };
        assert_eq!(own(&good).unwrap().name(), "api-prod");
        let minutes = SignedDuration::from_secs(61);
        for (facts, reason) in [
            (of(GroupLook { caller: &other, ..look.clone() }), Reason::OtherAccount),
            (of(GroupLook { read_region: &elsewhere, ..look.clone() }), Reason::OtherRegion),
            (of(GroupLook { group: &nameless, ..look.clone() }), Reason::Empty),
            (of(GroupLook { read_at: now - minutes, ..look.clone() }), Reason::Stale),
            (of(GroupLook { read_at: now + minutes, ..look.clone() }), Reason::Stale),
            (of(GroupLook { claim_held: false, ..look.clone() }), Reason::NoClaim),
            (of(GroupLook { group: &theirs, ..look.clone() }), Reason::NotOurs),
            (of(GroupLook { group: &kept, ..look.clone() }), Reason::Protected),
            (GroupFacts { protected: 1, ..good.clone() }, Reason::Protected),
            (GroupFacts { foreign: 1, ..good.clone() }, Reason::NotOurs),
            (of(GroupLook { group: &untold, ..look.clone() }), Reason::UnknownIntent),
            (GroupFacts { ending: 5, ..good.clone() }, Reason::BlastRadius),
        ] {
            assert_eq!(own(&facts).unwrap_err().reason, reason);
        }
    }
}
