//! One round of watching over a fleet: what is to be done about hosts that are missing. Pure; each round starts from what is,
//! not from what an earlier round remembers.

use super::ladder::REMEMBERED;
use crate::model::{Group, Instance, InstanceId, tags};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;

/// So many equal failures in a row are no accident: the next would be like them.
pub const CIRCUIT: usize = 3;
/// Looks in a row that must miss the same hosts before anything is done: one look proves nothing.
const LOOKS: u32 = 2;
/// A host that lived shorter than this never did its work: the longest boots reported are around ten minutes.
const STILLBORN: SignedDuration = SignedDuration::from_mins(10);

/// What the rounds before left behind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// What kind each failure in a row was, newest last; emptied by a launch that brought all.
    pub launches: Vec<String>,
    /// When the last launch was short of capacity.
    pub short_at: Option<Timestamp>,
    /// Looks in a row that missed hosts.
    pub looks: u32,
    /// When a look first showed an instance as ended.
    pub gone_at: BTreeMap<InstanceId, Timestamp>,
}

impl Memory {
    /// Takes a look into account.
    pub fn missed(&mut self, world: &World<'_>) {
        self.looks = if world.missing() == 0 { 0 } else { self.looks + 1 };
    }
}

/// What is known of the fleet now.
#[derive(Clone, Copy, Debug)]
pub struct World<'a> {
    /// Every instance that a look shows, in any state.
    pub instances: &'a [Instance],
    /// Hosts that were launched moments ago and that no look shows yet.
    pub unseen: usize,
    /// Whether the fleet's launch template is there, or was made moments ago.
    pub template: bool,
    /// Why the fleet's own group is to have no host any more, if so.
    pub over: Option<&'a str>,
    /// Hosts that the fleet should have.
    pub size: u32,
    /// When watching began: what ended before is not ours to replace.
    pub since: Timestamp,
    /// World time.
    pub now: Timestamp,
}

impl World<'_> {
    /// Hosts that there should be and that are not.
    fn missing(&self) -> u32 {
        let have = self.instances.iter().filter(|host| host.has_place()).count() + self.unseen;
        self.size.saturating_sub(u32::try_from(have).unwrap_or(u32::MAX))
    }
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Nothing: all are there.
    Steady,
    /// Look again: so many seem to be missing.
    Look,
    /// Leave the pools alone until then.
    Rest {
        /// World time.
        until: Timestamp,
    },
    /// Launch so many.
    Replace {
        /// Hosts.
        missing: u32,
    },
    /// Replace nothing any more.
    Stop {
        /// Why.
        why: String,
    },
}

/// Decides one round.
pub fn decide(world: &World<'_>, memory: &Memory) -> Decision {
    let missing = world.missing();
    if missing == 0 {
        return Decision::Steady;
    }
    let stop = |why: String| Decision::Stop { why };
    if let Some(why) = equal(memory) {
        return stop(format!("{CIRCUIT} launches failed in the same way: {why}"));
    }
    if let Some(why) = world.over {
        return stop(why.to_owned());
    }
    let gone: Vec<&Instance> = world.instances.iter().filter(|host| !host.state.live()).collect();
    if let Some(at) = gone.iter().filter_map(|host| expired(host, world.now)).min() {
        return stop(format!("the fleet expired at {at}; `fleetwright extend` lets it live longer before that"));
    }
    if let Some((reason, n)) = stillborn(&gone, world.since, memory) {
        return stop(format!("{n} new hosts ended within {} minutes: {reason}", STILLBORN.as_mins()));
    }
    if !world.template {
        return stop("its launch template is gone: somebody tore the fleet down".to_owned());
    }
    let by_hand = |host: &&Instance| host.state_reason.as_deref().is_some_and(|why| why.contains("UserInitiated"));
    if gone.len() > 1 && gone.len() == world.instances.len() && world.unseen == 0 && gone.iter().all(by_hand) {
        return stop("every host was ended by hand: somebody tears the fleet down".to_owned());
    }
    if memory.looks < LOOKS {
        return Decision::Look;
    }
    match memory.short_at.map(|at| at + REMEMBERED).filter(|until| *until > world.now) {
        Some(until) => Decision::Rest { until },
        None => Decision::Replace { missing },
    }
}

/// Why a group is to have no host any more, if so: its hosts bear no end, and leave it one by one while they drain.
pub fn over(group: &Group, now: Timestamp) -> Option<String> {
    if let Some(at) = group.tags.ends().filter(|at| *at <= now) {
        return Some(format!("the fleet expired at {at}; `fleetwright extend` lets it live longer before that"));
    }
    (group.desired == 0).then(|| format!("{} wants no host: somebody tears the fleet down", group.name))
}

/// What the last launches failed of, when that was the same each time.
fn equal(memory: &Memory) -> Option<&str> {
    let last = memory.launches.last()?;
    let same = memory.launches.iter().rev().take_while(|failure| *failure == last).count();
    (same >= CIRCUIT).then_some(last.as_str())
}

/// When a host that ended had to end.
fn expired(host: &Instance, now: Timestamp) -> Option<Timestamp> {
    host.tags.get(tags::EXPIRES)?.parse::<Timestamp>().ok().filter(|at| *at <= now)
}

/// The reason why hosts launched since then ended again and again, and how many did.
fn stillborn(gone: &[&Instance], since: Timestamp, memory: &Memory) -> Option<(String, usize)> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for host in gone.iter().filter(|host| host.launched >= since) {
        if memory.gone_at.get(&host.id).is_some_and(|at| at.duration_since(host.launched) < STILLBORN) {
            *counts.entry(host.state_reason.as_deref().unwrap_or("no reason given")).or_default() += 1;
        }
    }
    let (reason, n) = counts.into_iter().find(|(_, n)| *n >= CIRCUIT)?;
    Some((reason.to_owned(), n))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{InstanceState, Tags};
    use proptest::prelude::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_000_000 + seconds).expect("an instant")
    }

    fn host(n: u32, state: InstanceState, why: &str) -> Instance {
        Instance {
            state,
            tags: Tags::default().with(tags::EXPIRES, at(36_000).to_string()),
            launched: at(0),
            state_reason: Some(why.to_owned()),
            ..Instance::sample(&format!("i-{n}"))
        }
    }

    const SPOT: &str = "Server.SpotInstanceTermination";

    fn world(instances: &[Instance]) -> World<'_> {
        World { instances, unseen: 0, template: true, over: None, size: 3, since: at(100), now: at(200) }
    }

    fn stopped(decision: Decision) -> String {
        match decision {
            Decision::Stop { why } => why,
            other => panic!("expected a stop, got {other:?}"),
        }
    }

    #[test]
    fn what_is_gone_in_two_looks_is_replaced() {
        use InstanceState::{Running, Terminated};
        let hosts = [host(0, Running, ""), host(1, Running, ""), host(2, Terminated, SPOT)];
        let mut memory = Memory::default();
        for expected in [Decision::Look, Decision::Replace { missing: 1 }] {
            memory.missed(&world(&hosts));
            assert_eq!(decide(&world(&hosts), &memory), expected);
        }
        assert_eq!(decide(&World { unseen: 1, ..world(&hosts) }, &memory), Decision::Steady);
        memory.short_at = Some(at(150));
        assert_eq!(decide(&world(&hosts), &memory), Decision::Rest { until: at(330) });
        assert_eq!(decide(&World { now: at(330), ..world(&hosts) }, &memory), Decision::Replace { missing: 1 });
    }

    #[test]
    fn it_stops_where_replacing_makes_no_sense() {
        use InstanceState::{Running, Terminated};
        let hosts = [host(0, Running, ""), host(1, Terminated, SPOT)];
        let mut memory = Memory { looks: 2, ..Memory::default() };
        assert!(stopped(decide(&World { template: false, ..world(&hosts) }, &memory)).contains("tore"));
        assert!(stopped(decide(&World { now: at(36_000), ..world(&hosts) }, &memory)).contains("expired"));
        let ends = |end: &str| Tags::default().with(tags::EXPIRES, end);
        let group = |desired, tags| Group { desired, tags, ..Group::sample("fleetwright-crew") };
        assert_eq!(over(&group(3, ends(&at(201).to_string())), at(200)), None);
        for (group, word) in [(group(3, ends(&at(200).to_string())), "expired"), (group(0, Tags::default()), "tears")] {
            let why = over(&group, at(200)).unwrap();
            assert!(stopped(decide(&World { over: Some(&why), ..world(&hosts) }, &memory)).contains(word));
        }
        let by_hand = [0, 1, 2].map(|n| host(n, Terminated, "Client.UserInitiatedShutdown: User initiated shutdown"));
        assert!(stopped(decide(&world(&by_hand), &memory)).contains("by hand"));
        memory.launches = ["a", "b", "b"].map(str::to_owned).to_vec();
        assert_eq!(decide(&world(&hosts), &memory), Decision::Replace { missing: 2 });
        memory.launches.push("b".to_owned());
        assert!(stopped(decide(&world(&hosts), &memory)).contains("in the same way: b"));
        // Hosts that we launched ourselves and that died young, three times for the same reason.
        let mut young = [0, 1, 2].map(|n| host(n, Terminated, "Server.InternalError"));
        for host in &mut young {
            host.launched = at(120);
        }
        let gone_at = young.iter().map(|host| (host.id.clone(), at(180))).collect();
        let memory = Memory { looks: 2, gone_at, ..Memory::default() };
        assert!(stopped(decide(&world(&young), &memory)).contains("Server.InternalError"));
        assert_eq!(decide(&world(&young[..2]), &memory), Decision::Replace { missing: 3 });
    }

    proptest! {
        /// Never more than the size, whatever there is.
        #[test]
        fn never_above_the_size(states in prop::collection::vec(0_u8..3, 0..12), unseen in 0_usize..5, size in 0_u32..10) {
            let state = |n: u8| [InstanceState::Running, InstanceState::Terminated, InstanceState::Pending][usize::from(n)];
            let hosts: Vec<_> = (0..).zip(&states).map(|(n, s)| host(n, state(*s), SPOT)).collect();
            let live = states.iter().filter(|s| **s != 1).count() + unseen;
            let world = World { unseen, size, ..world(&hosts) };
            match decide(&world, &Memory { looks: 2, ..Memory::default() }) {
                Decision::Replace { missing } => prop_assert_eq!(live + missing as usize, size as usize),
                Decision::Steady => prop_assert!(live >= size as usize),
                other => prop_assert!(false, "{:?}", other),
            }
        }
    }
}
