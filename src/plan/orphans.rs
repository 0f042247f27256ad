//! Which things of ours are orphans: past their end, of a fleet of which nothing is to stay and that nobody is at work on.

use super::{Action, CONSISTENT, Plan, Step, Unplannable};
use crate::exit::Exit;
use crate::model::group::KIND;
use crate::model::{FleetKey, FleetName, Ours, count, tags};
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// Between the two looks: hosts whose switch went off have ended themselves by the second, and what a reader showed too early
/// or too late it shows right. Twice as long as a change may be invisible.
pub const PAUSE: SignedDuration = SignedDuration::from_secs(2 * CONSISTENT.as_secs());
/// More of all that is ours than this is not ended unasked, percent ...
const SHARE: usize = 20;
/// ... nor are more things than this (both are Cloud Custodian's way of braking a policy).
const MOST: usize = 50;

/// Kinds that are ended by a call of their own, in this order: what holds others comes first. An interface goes with its host.
pub const KINDS: [&str; 6] = ["instance", "volume", "launch-template", "image", "snapshot", KIND];

/// What a thing of ours is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    /// Past its end, and nobody's.
    Orphan,
    /// It would be an orphan, but a person keeps it, or the host that it belongs to.
    Protected,
    /// A process on this machine is at work on its fleet.
    Claimed,
    /// Something of its fleet is not past its end, so that the fleet is in use.
    Running,
    /// It has no end: images and snapshots are kept until somebody ends them.
    Lasting,
}

/// The fate of each thing, in their order. `claimed` are the fleets that somebody is at work on.
pub fn fates(things: &[Ours], claimed: &BTreeSet<FleetName>, now: Timestamp) -> Vec<Fate> {
    // A live host without an end was given to somebody, or its end is not visible yet.
    let stays = |thing: &&Ours| thing.ends().map_or(thing.kind == "instance", |end| end > now);
    let running: BTreeSet<&str> = things.iter().filter(stays).map(Ours::fleet).collect();
    let kept = |thing: &&Ours| thing.tags.get(tags::PROTECT).is_some();
    let kept: BTreeSet<&str> = things.iter().filter(kept).map(|thing| thing.id.as_str()).collect();
    let fate = |thing: &Ours| {
        if claimed.contains(&FleetName::new(thing.fleet())) {
            Fate::Claimed
        } else if running.contains(thing.fleet()) {
            Fate::Running
        } else if thing.ends().is_none() {
            Fate::Lasting
        } else if kept.contains(thing.host.as_deref().unwrap_or(&thing.id)) || kept.contains(thing.id.as_str()) {
            Fate::Protected
        } else {
            Fate::Orphan
        }
    };
    things.iter().map(fate).collect()
}

/// The orphans among these things.
pub fn orphans(things: &[Ours], claimed: &BTreeSet<FleetName>, now: Timestamp) -> Vec<Ours> {
    let fates = fates(things, claimed, now);
    things.iter().zip(fates).filter(|(_, fate)| *fate == Fate::Orphan).map(|(thing, _)| thing.clone()).collect()
}

/// The orphans that a reap may end. A group brings its hosts again, so where a fleet has one with hosts nothing of it is among
/// them: `down` ends the group first.
pub fn endable(orphans: &[Ours]) -> Vec<Ours> {
    let member = |thing: &&Ours| thing.tags.get(tags::GROUP).is_some();
    let grouped: BTreeSet<&str> = orphans.iter().filter(member).map(Ours::fleet).collect();
    let may = |thing: &&Ours| KINDS.contains(&thing.kind.as_str()) && !grouped.contains(thing.fleet());
    orphans.iter().filter(may).cloned().collect()
}

/// Stops a reap that would end more than `max` things, or without a `max` more than a fifth of the `seen` or more than
/// fifty: so much at once is rather a mistake of whoever counted than so many orphans.
///
/// # Errors
///
/// When it would.
pub fn brake(orphans: usize, seen: usize, max: Option<usize>) -> Result<(), Unplannable> {
    let within = match max {
        Some(max) => orphans <= max,
        None => orphans <= MOST && orphans * 100 <= seen * SHARE,
    };
    if within {
        return Ok(());
    }
    let bound = max.map_or(format!("{SHARE} % or {MOST} of them"), |max| format!("--max {max}"));
    Err(Unplannable::new(
        Exit::Refused,
        format!("orphans: {orphans} of the {seen} things that carry tags of ours would be ended, more than {bound}"),
        format!("fleetwright orphans --reap --max {orphans}     # when you have looked at them"),
    ))
}

/// Plans the end of one fleet's orphans, as they were seen at the first look: what is one still at the second, from `second`
/// on, is ended.
pub fn plan(fleet: FleetKey, orphans: &[Ours], second: Timestamp, request: String) -> Plan {
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    for thing in orphans.iter().filter(|thing| KINDS.contains(&thing.kind.as_str())) {
        *kinds.entry(&thing.kind).or_default() += 1;
    }
    let told: Vec<String> = kinds.iter().map(|(kind, n)| count(*n, kind)).collect();
    let ids = orphans.iter().map(|thing| thing.id.clone()).collect();
    Plan {
        steps: vec![
            Step::new("adopt", "look again which are orphans", Action::Adopt { at: second, orphans: Some(ids) }),
            Step::new("reap", format!("end {}", told.join(", ")), Action::Reap),
        ],
        ..Plan::new("orphans", fleet, request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Tags;

    fn at(hour: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + hour * 3600).unwrap()
    }

    fn thing(fleet: &str, kind: &str, id: &str, ends: Option<i64>) -> Ours {
        let tags = Tags::default().with(tags::FLEET, fleet);
        let tags = ends.map_or(tags.clone(), |hour| tags.with(tags::EXPIRES, at(hour).to_string()));
        Ours { kind: kind.to_owned(), id: id.to_owned(), tags, host: None }
    }

    fn fates_of(things: &[Ours]) -> Vec<Fate> {
        fates(things, &BTreeSet::from(["held".into()]), at(0))
    }

    #[test]
    fn what_is_past_its_end_is_an_orphan_unless_its_fleet_lives() {
        use Fate::{Claimed, Lasting, Orphan, Running};
        let things = [
            thing("dead", "instance", "i-1", Some(-1)),
            thing("dead", "volume", "vol-1", Some(-5)),
            thing("dead", "launch-template", "lt-1", Some(0)),
            thing("dead", "image", "ami-1", None),
            thing("live", "instance", "i-2", Some(1)),
            thing("live", "instance", "i-3", Some(-9)),
            thing("live", "image", "ami-2", None),
            // Its hosts are gone or not visible yet; its template's newest version makes hosts that live.
            thing("new", "volume", "vol-2", Some(-1)),
            thing("new", "launch-template", "lt-2", Some(2)),
            thing("endless", "instance", "i-4", None),
            thing("endless", "volume", "vol-3", Some(-1)),
            thing("held", "instance", "i-5", Some(-1)),
        ];
        let expected =
            [Orphan, Orphan, Orphan, Lasting, Running, Running, Running, Running, Running, Running, Running, Claimed];
        assert_eq!(fates_of(&things), expected);
    }

    #[test]
    fn what_belongs_to_a_protected_host_is_kept_with_it() {
        let mut things = [
            thing("dead", "instance", "i-1", Some(-1)),
            thing("dead", "volume", "vol-1", Some(-1)),
            thing("dead", "volume", "vol-2", Some(-1)),
            thing("dead", "volume", "vol-3", Some(-1)),
        ];
        things[0].tags = things[0].tags.clone().with(tags::PROTECT, "");
        things[1].host = Some("i-1".to_owned());
        things[2].tags = things[2].tags.clone().with(tags::PROTECT, "");
        assert_eq!(fates_of(&things), [Fate::Protected, Fate::Protected, Fate::Protected, Fate::Orphan]);
    }

    #[test]
    fn what_is_ended_by_its_host_or_brought_again_by_a_group_is_not_ended_here() {
        let mut things = [
            thing("dead", "instance", "i-1", Some(-1)),
            thing("dead", "network-interface", "eni-1", Some(-1)),
            thing("grouped", "instance", "i-2", Some(-1)),
            thing("grouped", "launch-template", "lt-2", Some(-1)),
        ];
        things[2].tags = things[2].tags.clone().with(tags::GROUP, "fleetwright-grouped");
        let ids: Vec<String> = endable(&things).into_iter().map(|thing| thing.id).collect();
        assert_eq!(ids, ["i-1"]);
    }

    #[test]
    fn the_brake_holds_at_a_fifth_and_at_fifty_and_at_what_is_said() {
        for (orphans, seen, max, passes) in [
            (20, 100, None, true),
            (21, 100, None, false),
            (50, 1000, None, true),
            (51, 1000, None, false),
            (1, 1, None, false),
            (51, 51, Some(51), true),
            (51, 1000, Some(50), false),
            (0, 0, None, true),
        ] {
            let stopped = brake(orphans, seen, max);
            assert_eq!(stopped.is_ok(), passes, "{orphans} of {seen}, {max:?}");
            assert!(stopped.err().is_none_or(|stop| stop.exit == Exit::Refused && !stop.hints.is_empty()));
        }
    }
}
