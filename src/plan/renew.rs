//! `recycle now`: every host gives way to a new one, a few at a time. Pure; each round starts from what is there.

use super::{Action, Plan, Step, Unplannable, scale};
use crate::exit::Exit;
use crate::model::{Group, ImageId, Instance, InstanceId, Mark, count, count_is, tags};
use crate::spec::Fleet;
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// The one step of the plan.
pub const STEP: &str = "renew";

/// What was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Hosts that the fleet has before and after, and never fewer in between.
    pub size: u32,
    /// So many more than that at a time, at most.
    pub surge: u32,
    /// Only hosts that live longer than this; a second call within that time finds nothing to do.
    pub older_than: SignedDuration,
}

/// Refuses to replace the hosts of a fleet that is gone: nobody would know that it is.
///
/// # Errors
///
/// When no live host has a place, none is about to be seen, and some are wanted.
pub fn check_there(fleet: &Fleet, (live, unseen): (&[Instance], usize), size: u32) -> Result<(), Unplannable> {
    if size == 0 || unseen > 0 || live.iter().any(Instance::has_place) {
        return Ok(());
    }
    let why =
        format!("failed to replace the hosts of {}: none is there, and {} wanted", fleet.name, count_is(size, "host"));
    Err(Unplannable::new(Exit::Usage, why, "fleetwright launch     # brings them"))
}

/// Plans a replacement of every live host that is old enough, oldest first. Protected hosts, by us, by their group or by EC2 (as
/// far as that was asked: `guarded`), and those in quarantine or standby stay.
pub fn plan(
    fleet: &Fleet,
    (live, group, guarded): (&[Instance], Option<&Group>, &BTreeSet<InstanceId>),
    wanted: Wanted,
    request: String,
    now: Timestamp,
) -> Plan {
    let mut plan = Plan::new("recycle now", fleet.key(), request);
    let mut old: Vec<&Instance> =
        live.iter().filter(|host| now.duration_since(host.launched) >= wanted.older_than).collect();
    old.sort_by_key(|host| (host.launched, host.id.clone()));
    let held = |host: &&Instance| {
        let aside = host.standby || host.marked(Mark::Quarantine).is_some();
        aside || scale::protected(host, group) || guarded.contains(&host.id)
    };
    let (held, old): (Vec<_>, Vec<_>) = old.into_iter().partition(held);
    if !held.is_empty() {
        let ids = held.iter().map(|host| host.id.as_str()).collect::<Vec<_>>().join(" ");
        plan.notes.push(format!("protected, in quarantine or standby, and left alone: {ids}"));
    }
    if old.is_empty() {
        plan.notes.push(format!("of {} none has to go", count(live.len(), "host")));
        return plan;
    }
    let first = if group.is_some() { "the oldest of the fuller zone" } else { "oldest" };
    let zones = group.map_or(0, |group| group.zones.len());
    if usize::try_from(wanted.surge).is_ok_and(|surge| surge < zones) {
        plan.notes.push(format!(
            "AWS chooses the zones of new hosts: with --surge {zones}, one for each zone, the group has none to even out meanwhile"
        ));
    }
    let hosts: Vec<InstanceId> = old.iter().map(|host| host.id.clone()).collect();
    let names = hosts.iter().map(InstanceId::as_str).collect::<Vec<_>>().join(" ");
    plan.steps.push(Step::new(
        STEP,
        format!("replace {}, {} at a time, {first} first: {names}", count(hosts.len(), "host"), wanted.surge),
        Action::Renew { hosts, size: wanted.size, surge: wanted.surge },
    ));
    plan
}

/// Refuses to replace hosts by an image that lacks what was pushed to them.
///
/// # Errors
///
/// When a host bears another release than the image, and the image's is not the spec's of today either.
pub fn check_release(
    live: &[Instance],
    (image, born): (&ImageId, Option<&str>),
    today: Option<&str>,
) -> Result<(), Unplannable> {
    let pushed = |host: &&Instance| host.tags.get(tags::RELEASE).is_some_and(|release| Some(release) != born);
    match live.iter().find(pushed) {
        Some(host) if today.is_none() || born != today => Err(Unplannable {
            exit: Exit::Refused,
            message: format!("image {image} is older than the release that was pushed to {}", host.id),
            hints: vec![
                "fleetwright verify && fleetwright bake     # an image that has it".to_owned(),
                "or replace them all the same with --stale-image".to_owned(),
            ],
        }),
        Some(_) | None => Ok(()),
    }
}

/// What a round has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Launch until there are so many hosts in all.
    Launch(u32),
    /// Drain and end these: as many new ones are there.
    End(Vec<InstanceId>),
    /// All have given way.
    Done,
}

/// Decides one round from the live hosts that count, those that no look shows yet, and those that have to go.
///
/// Never fewer than `size` live on after it, never more than `size + surge` are there. The oldest go first; of a group
/// (`grouped`) the oldest of the fuller zone, new ones counted: else it would even out its zones by ending hosts of its own
/// choice.
pub fn turn(live: &[Instance], unseen: usize, going: &[InstanceId], (size, surge): (u32, u32), grouped: bool) -> Turn {
    let old = |host: &Instance| going.contains(&host.id) && host.counts() && host.marked(Mark::Protect).is_none();
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let placed: Vec<Instance> = live.iter().filter(|host| host.has_place()).cloned().collect();
    let have = number(placed.len() + unseen);
    let mut olds: Vec<&Instance> = placed.iter().filter(|host| old(host)).collect();
    let surplus = usize::try_from(have.saturating_sub(size)).unwrap_or(usize::MAX);
    if olds.is_empty() && have >= size {
        Turn::Done
    } else if surplus > 0 {
        Turn::End(if grouped {
            scale::choose(&placed, surplus, scale::Order::Oldest, &BTreeMap::new(), |host| !old(host))
        } else {
            olds.sort_by_key(|host| (host.launched, host.id.clone()));
            olds.iter().take(surplus).map(|host| host.id.clone()).collect()
        })
    } else {
        Turn::Launch(size.saturating_add(surge.min(number(olds.len()))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{GroupMember, Tags};
    use proptest::prelude::*;

    fn host(n: usize) -> Instance {
        let launched = Timestamp::from_second(1_000_000 + i64::try_from(n).unwrap()).unwrap();
        Instance { launched, ..Instance::sample(&format!("i-{n:04}")) }
    }

    fn marked(host: Instance, mark: Mark) -> Instance {
        Instance { tags: Tags::default().with(mark.key(), "since"), ..host }
    }

    #[test]
    fn what_is_protected_stays() {
        let live = [marked(host(0), Mark::Protect), host(1), marked(host(2), Mark::Quarantine)];
        let all: Vec<InstanceId> = live.iter().map(|host| host.id.clone()).collect();
        assert_eq!(turn(&live, 0, &all, (2, 1), false), Turn::Launch(3));
        assert_eq!(turn(&live, 1, &all, (2, 1), false), Turn::End(vec![all[1].clone()]));
        assert_eq!(turn(&live[..1], 1, &all, (2, 1), false), Turn::Done);
    }

    #[test]
    fn the_oldest_go_first_whatever_their_zones_but_for_a_group() {
        let zone = |n, zone: &str| Instance { zone: zone.into(), ..host(n) };
        let live = [zone(0, "a"), zone(1, "b"), zone(2, "b"), zone(3, "a"), zone(4, "b")];
        let all: Vec<InstanceId> = live.iter().map(|host| host.id.clone()).collect();
        assert_eq!(turn(&live, 0, &all, (3, 2), false), Turn::End(vec![all[0].clone(), all[1].clone()]));
        assert_eq!(turn(&live, 0, &all, (3, 2), true), Turn::End(vec![all[1].clone(), all[0].clone()]));
    }

    /// As a group does it: a new one goes to the emptiest zone, and whoever wants fewer than there are ends one of the fullest.
    #[test]
    fn zones_stay_even_while_hosts_give_way() {
        for size in 2..9_usize {
            let zone = |host: Instance, n: usize| Instance { zone: ["a", "b"][n % 2].into(), ..host };
            let mut live: Vec<Instance> = (0..size).map(|n| zone(host(n), n)).collect();
            let going: Vec<InstanceId> = live.iter().map(|host| host.id.clone()).collect();
            let of = |live: &[Instance], name: &str| live.iter().filter(|host| host.zone.as_str() == name).count();
            let (mut next, wanted) = (100, u32::try_from(size).unwrap());
            loop {
                match turn(&live, 0, &going, (wanted, 2), true) {
                    Turn::Launch(n) => {
                        while live.len() < n as usize {
                            let emptier = usize::from(of(&live, "b") < of(&live, "a"));
                            live.push(zone(host(next), emptier));
                            next += 1;
                        }
                    }
                    Turn::End(ids) => {
                        for id in ids {
                            live.retain(|host| host.id != id);
                            assert!(of(&live, "a").abs_diff(of(&live, "b")) <= 1, "{size}: {live:?}");
                        }
                    }
                    Turn::Done => break,
                }
            }
            assert_eq!(next, 100 + size, "none was launched in vain");
        }
    }

    #[test]
    fn a_fleet_that_is_gone_is_not_replaced() {
        let fleet = crate::spec::testing::of_file("tests/specs/it/group.yaml");
        let there = |live: &[Instance], unseen, size| check_there(&fleet, (live, unseen), size);
        let aside = [marked(host(0), Mark::Quarantine), Instance { standby: true, ..host(1) }];
        for live in [&[][..], &aside] {
            let refused = there(live, 0, 4).unwrap_err();
            assert_eq!(refused.exit, Exit::Usage);
            assert_eq!(refused.message, "failed to replace the hosts of crew: none is there, and 4 hosts are wanted");
        }
        assert!(there(&[], 0, 0).is_ok(), "`scale 0` is no loss");
        assert!(there(&[], 1, 4).is_ok(), "launched moments ago");
        assert!(there(&[host(0)], 0, 4).is_ok());
    }

    #[test]
    fn what_its_group_protects_is_not_replaced() {
        let fleet = crate::spec::testing::of_file("tests/specs/it/group.yaml");
        let live = [host(0), host(1)];
        let protected = GroupMember { protected: true, ..GroupMember::sample("i-0000") };
        let group = Group { members: vec![protected, GroupMember::sample("i-0001")], ..Group::sample("web") };
        let wanted = Wanted { size: 2, surge: 1, older_than: SignedDuration::ZERO };
        let planned = |group, guarded: &[&str]| {
            let guarded = guarded.iter().copied().map(InstanceId::from).collect();
            let now = Timestamp::from_second(2_000_000).unwrap();
            let plan = plan(&fleet, (&live, group, &guarded), wanted, String::new(), now);
            plan.steps.into_iter().find_map(|step| match step.action {
                Action::Renew { hosts, .. } => Some(hosts),
                _ => None,
            })
        };
        assert_eq!(planned(Some(&group), &[]), Some(vec![InstanceId::from("i-0001")]));
        assert_eq!(planned(None, &[]).map(|hosts| hosts.len()), Some(2));
        assert_eq!(planned(None, &["i-0001"]), Some(vec![InstanceId::from("i-0000")]), "EC2 keeps the other");
        assert_eq!(planned(Some(&group), &["i-0001"]), None);

        let wide = Group { zones: ["a", "b"].map(str::to_owned).to_vec(), ..Group::sample("web") };
        let told = |surge| {
            let facts = (&live[..], Some(&wide), &BTreeSet::new());
            plan(&fleet, facts, Wanted { surge, ..wanted }, String::new(), Timestamp::MAX).notes
        };
        assert!(told(1).iter().any(|note| note.contains("with --surge 2, one for each zone")), "{:?}", told(1));
        assert_eq!(told(2), Vec::<String>::new());
    }

    #[test]
    fn an_image_without_what_was_pushed_is_refused() {
        let id = ImageId::new("ami-1");
        let bears = |release: &str| Instance { tags: Tags::default().with(tags::RELEASE, release), ..host(0) };
        assert!(check_release(&[bears("a")], (&id, Some("a")), Some("b")).is_ok(), "nothing was pushed");
        assert!(check_release(&[bears("b")], (&id, Some("a")), Some("a")).is_ok(), "the image has what the spec names");
        assert!(check_release(&[bears("b")], (&id, Some("a")), Some("b")).is_err());
        assert!(check_release(&[bears("b")], (&id, Some("a")), None).is_err());
    }

    proptest! {
        /// Whatever comes and goes in between, hosts never get fewer by us and never more than the surge allows, and in the
        /// end all that could go are gone.
        #[test]
        fn it_ends_and_keeps_its_bounds(size in 1_u32..12, surge in 1_u32..5, gone in prop::collection::vec(0_usize..12, 0..6), given in 1_u32..4) {
            let mut live: Vec<Instance> = (0..size as usize).map(host).collect();
            let going: Vec<InstanceId> = live.iter().map(|host| host.id.clone()).collect();
            let mut next = 100;
            let mut gone = gone.into_iter();
            for _ in 0..200 {
                let before = live.len();
                match turn(&live, 0, &going, (size, surge), false) {
                    Turn::Launch(n) => {
                        prop_assert!(n <= size + surge && n as usize > before);
                        // Not every pool gives all that was asked for.
                        for _ in 0..(n as usize - before).min(given as usize) {
                            live.push(host(next));
                            next += 1;
                        }
                    }
                    Turn::End(ids) => {
                        prop_assert!(!ids.is_empty() && before - ids.len() >= size as usize);
                        live.retain(|host| !ids.contains(&host.id));
                    }
                    Turn::Done => {
                        prop_assert!(live.len() >= size as usize && !live.iter().any(|host| going.contains(&host.id)));
                        return Ok(());
                    }
                }
                // Spot takes one now and then.
                if let Some(at) = gone.next().filter(|at| *at < live.len()) {
                    live.remove(at);
                }
            }
            prop_assert!(false, "it never ended");
        }
    }
}
