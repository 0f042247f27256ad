//! The plan of a smaller fleet: which hosts are drained and ended, and nothing else.

use super::group::{group_name, warm_pool};
use super::{Action, Plan, Step, Unplannable};
use crate::exit::Exit;
use crate::model::{Group, Instance, InstanceId, InstanceState, Mark, count, count_is};
use crate::spec::Fleet;
use std::collections::{BTreeMap, BTreeSet};

/// Which hosts go first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// Launched longest ago.
    #[default]
    Oldest,
    /// Launched last.
    Newest,
    /// Least to do.
    Idlest,
}

/// How much a host's worker has to do: its child processes, then the host's load in hundredths. Less goes first; a host that
/// could not be asked is busier than any other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Load {
    /// Processes that the worker started and that still run.
    pub children: u32,
    /// The load average of one minute, hundredths.
    pub load: u32,
}

/// All that a smaller fleet is planned from.
#[derive(Clone, Debug)]
pub struct Input<'a> {
    /// The checked spec.
    pub fleet: &'a Fleet,
    /// Live hosts.
    pub live: &'a [Instance],
    /// Hosts that were launched moments ago and that no look shows yet.
    pub unseen: usize,
    /// The fleet's own group, where it has one.
    pub group: Option<&'a Group>,
    /// Hosts wanted in all.
    pub size: u32,
    /// Hosts that the campaign wanted before, as far as it is known.
    pub wished: Option<u32>,
    /// Which go first.
    pub order: Order,
    /// Hosts that EC2's termination protection keeps, as far as it was asked.
    pub guarded: &'a BTreeSet<InstanceId>,
    /// How busy hosts are, for [`Order::Idlest`].
    pub loads: &'a BTreeMap<InstanceId, Load>,
    /// Whether their workers are stopped first.
    pub drain: bool,
    /// Digest of spec, verb and arguments.
    pub request: String,
}

/// Plans a smaller fleet. An empty plan means that there are not more hosts than wanted, and that no
/// more were wanted before.
///
/// # Errors
///
/// When so many hosts are protected that the size can't be reached: then nothing is changed.
pub fn plan(input: &Input<'_>) -> Result<Plan, Unplannable> {
    input.group.map_or(Ok(()), warm_pool)?;
    // What is in quarantine takes no place, and is looked at by somebody.
    let live: Vec<Instance> = input.live.iter().filter(|host| host.has_place()).cloned().collect();
    let have = live.len() + input.unseen;
    let surplus = have.saturating_sub(usize::try_from(input.size).unwrap_or(usize::MAX));
    let held = |host: &Instance| input.guarded.contains(&host.id) || protected(host, input.group);
    let by_ec2 = input.guarded.iter().map(InstanceId::as_str).collect::<Vec<_>>().join(" ");
    let chosen = choose(&live, surplus, input.order, input.loads, held);
    if chosen.len() < surplus {
        let held = live.iter().filter(|host| held(host)).count();
        return Err(Unplannable::new(
            Exit::Refused,
            format!(
                "{} hosts have to go to leave {} of {have}, but only {} may: {held} are protected{} and {} are not visible yet",
                surplus,
                input.size,
                chosen.len(),
                if by_ec2.is_empty() { String::new() } else { format!(" ({by_ec2} by EC2)") },
                input.unseen,
            ),
            "fleetwright status     # which hosts there are",
        ));
    }
    if chosen.is_empty() {
        let have = u32::try_from(have).unwrap_or(u32::MAX);
        let mut plan = no_more(input.fleet, input.group, have.max(input.size), input.request.clone());
        if let Some(wished) = input.wished.filter(|wished| plan.steps.is_empty() && *wished != input.size) {
            let title = format!("want {} instead of {wished} from now on; none ends", count(input.size, "host"));
            plan.steps.push(Step::new("want", title, Action::Want { size: input.size }));
        }
        return Ok(plan);
    }
    let mut plan = of(input.fleet, (input.live, input.unseen), &chosen, input.drain, input.request.clone());
    if !by_ec2.is_empty() {
        plan.notes.push(format!("EC2's termination protection keeps what would have been chosen: {by_ec2}"));
    }
    Ok(plan)
}

/// The hosts that a plan ends.
pub fn ends(plan: &Plan) -> &[InstanceId] {
    let ends = plan.steps.iter().find_map(|step| match &step.action {
        Action::End { hosts, .. } => Some(hosts.as_slice()),
        _ => None,
    });
    ends.unwrap_or_default()
}

/// Whether somebody protected a host, by our mark or by its group's.
pub fn protected(host: &Instance, group: Option<&Group>) -> bool {
    host.marked(Mark::Protect).is_some() || group.is_some_and(|group| group.protects(&host.id))
}

/// The plan by which a group that asks for more than `left` hosts asks for no more than these; none of them ends.
#[must_use]
pub fn no_more(fleet: &Fleet, group: Option<&Group>, left: u32, request: String) -> Plan {
    let mut plan = Plan::new("scale", fleet.key(), request);
    match group.filter(|group| group.desired > left) {
        Some(Group { name, desired, .. }) => {
            let title = format!("let {name} ask for {left} instead of {desired} hosts; none of those it has ends");
            let group = Some(name.clone());
            plan.steps.push(Step::new("end", title, Action::End { hosts: Vec::new(), drained: false, left, group }));
        }
        None => plan.notes.push(format!("{} there: none has to go", count_is(left, "host"))),
    }
    plan
}

/// The plan that drains and ends these hosts.
#[must_use]
pub fn of(
    fleet: &Fleet,
    (live, unseen): (&[Instance], usize),
    hosts: &[InstanceId],
    drain: bool,
    request: String,
) -> Plan {
    let mut plan = Plan::new("scale", fleet.key(), request);
    if hosts.is_empty() {
        plan.notes.push(format!("{} there: none has to go", count_is(live.len(), "host")));
        return plan;
    }
    let names = hosts.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    let drained = drain && fleet.worker.is_some();
    if drained {
        let title =
            format!("drain {}: their workers finish what they have and take no more", count(hosts.len(), "host"));
        plan.steps.push(Step::new("drain", title, Action::Drain { hosts: hosts.to_vec() }));
    } else if fleet.worker.is_some() {
        plan.notes.push("their workers are not stopped first: what they have in hand comes back later".to_owned());
    } else {
        plan.notes.push("the spec names no `worker`: nothing is stopped before they end".to_owned());
    }
    let stay = live.iter().filter(|host| host.has_place() && !hosts.contains(&host.id)).count();
    let left = u32::try_from(stay + unseen).unwrap_or(u32::MAX);
    let title = format!("end {} of {}: {names}", hosts.len(), count(live.len(), "host"));
    let name = group_name(fleet.name.as_str());
    let group = live.iter().any(|host| hosts.contains(&host.id) && host.group.as_ref() == Some(&name)).then_some(name);
    plan.steps.push(Step::new("end", title, Action::End { hosts: hosts.to_vec(), drained, left, group }));
    plan
}

/// The hosts that go: one after another from the zone that has most, as Auto Scaling does it, and there the first in order.
/// Hosts that are stopped do nothing and go before all others. Those that are held never go.
pub fn choose(
    live: &[Instance],
    surplus: usize,
    order: Order,
    loads: &BTreeMap<InstanceId, Load>,
    held: impl Fn(&Instance) -> bool,
) -> Vec<InstanceId> {
    let mut left: BTreeMap<&str, usize> = BTreeMap::new();
    for host in live {
        *left.entry(host.zone.as_str()).or_default() += 1;
    }
    let mut may: Vec<&Instance> = live.iter().filter(|host| !held(host)).collect();
    let busy = |host: &Instance| match order {
        Order::Idlest => (loads.get(&host.id).is_none(), loads.get(&host.id).copied()),
        Order::Oldest | Order::Newest => (false, None),
    };
    may.sort_by(|a, b| {
        let age = a.launched.cmp(&b.launched).then_with(|| a.id.cmp(&b.id));
        let age = if order == Order::Newest { age.reverse() } else { age };
        idle(b).cmp(&idle(a)).then_with(|| busy(a).cmp(&busy(b))).then(age)
    });
    // A stopped host is no part of what a zone can do.
    let (stopped, work): (Vec<_>, Vec<_>) = may.into_iter().partition(|host| idle(host));
    for host in &stopped {
        *left.entry(host.zone.as_str()).or_default() -= 1;
    }
    let work = evenly(left, work.into_iter().map(|host| (host, host.zone.as_str())).collect());
    stopped.into_iter().chain(work).take(surplus).map(|host| host.id.clone()).collect()
}

/// These, each with its zone, one after another from the zone that has most, and there in their order: where zones could stay
/// within one of each other at every step, they do, and Auto Scaling finds nothing to even out.
#[must_use]
pub fn evenly<'z, T>(mut left: BTreeMap<&'z str, usize>, mut may: Vec<(T, &'z str)>) -> Vec<T> {
    let mut order = Vec::with_capacity(may.len());
    let full = |left: &BTreeMap<&str, usize>, zone: &str| left.get(zone).copied().unwrap_or(0);
    while let Some(most) = may.iter().map(|(_, zone)| full(&left, zone)).max() {
        let Some(at) = may.iter().position(|(_, zone)| full(&left, zone) == most) else { break };
        let (one, zone) = may.remove(at);
        left.insert(zone, most.saturating_sub(1));
        order.push(one);
    }
    order
}

/// Whether it does nothing anyway.
fn idle(host: &Instance) -> bool {
    matches!(host.state, InstanceState::Stopped | InstanceState::Stopping)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Tags, Zone, tags};
    use jiff::Timestamp;
    use proptest::prelude::*;

    fn host(n: u32, zone: &str) -> Instance {
        Instance {
            zone: Zone::new(zone),
            launched: Timestamp::from_second(1_000_000 + i64::from(n)).expect("an instant"),
            ..Instance::sample(&format!("i-{n:04}"))
        }
    }

    fn kept(host: &Instance) -> bool {
        host.tags.get(tags::PROTECT).is_some()
    }

    fn choose(live: &[Instance], surplus: usize, order: Order, loads: &BTreeMap<InstanceId, Load>) -> Vec<InstanceId> {
        super::choose(live, surplus, order, loads, kept)
    }

    fn names(chosen: &[InstanceId]) -> Vec<&str> {
        chosen.iter().map(InstanceId::as_str).collect()
    }

    #[test]
    fn the_fuller_zone_gives_first_then_age_counts() {
        let live = [host(1, "a"), host(2, "a"), host(3, "b"), host(4, "b"), host(5, "b")];
        let none = BTreeMap::new();
        assert_eq!(names(&choose(&live, 1, Order::Oldest, &none)), ["i-0003"]);
        assert_eq!(names(&choose(&live, 3, Order::Oldest, &none)), ["i-0003", "i-0001", "i-0004"]);
        assert_eq!(names(&choose(&live, 2, Order::Newest, &none)), ["i-0005", "i-0004"]);
    }

    #[test]
    fn the_idlest_goes_first_and_one_that_nobody_could_ask_last() {
        let live = [host(1, "a"), host(2, "a"), host(3, "a"), host(4, "a")];
        let load = |children, load| Load { children, load };
        let loads: BTreeMap<_, _> = [(0, load(1, 10)), (1, load(0, 90)), (3, load(0, 20))]
            .map(|(at, load): (usize, Load)| (live[at].id.clone(), load))
            .into();
        assert_eq!(names(&choose(&live, 4, Order::Idlest, &loads)), ["i-0004", "i-0002", "i-0001", "i-0003"]);
    }

    #[test]
    fn stopped_ones_go_before_all_and_protected_ones_never() {
        let mut live = [host(1, "a"), host(2, "a"), host(3, "a"), host(4, "b")];
        live[0].tags = Tags::default().with(tags::PROTECT, "yes");
        live[3].state = InstanceState::Stopped;
        let none = BTreeMap::new();
        assert_eq!(names(&choose(&live, 4, Order::Oldest, &none)), ["i-0004", "i-0002", "i-0003"]);
    }

    proptest! {
        /// Ended in that order, no zone is ever two behind one that it was not behind before.
        #[test]
        fn each_single_end_leaves_even_zones(zones in prop::collection::vec(0_u8..3, 0..30), surplus in 0_usize..30) {
            let live: Vec<Instance> =
                (0..).zip(&zones).map(|(n, zone)| host(n, ["a", "b", "c"][usize::from(*zone)])).collect();
            let mut left = BTreeMap::from([("a", 0), ("b", 0), ("c", 0)]);
            for host in &live {
                *left.entry(host.zone.as_str()).or_default() += 1;
            }
            let apart = |left: &BTreeMap<&str, usize>| left.values().max().unwrap() - left.values().min().unwrap();
            for id in choose(&live, surplus, Order::Oldest, &BTreeMap::new()) {
                let before = apart(&left);
                let zone = live.iter().find(|host| host.id == id).unwrap().zone.as_str();
                *left.get_mut(zone).unwrap() -= 1;
                prop_assert!(apart(&left) <= before.max(1), "{left:?}");
            }
        }

        /// Never more than asked, never a protected one, never one twice, and the zones end as even as they can.
        #[test]
        fn what_goes_leaves_even_zones(
            zones in prop::collection::vec(0_u8..3, 0..30), held in prop::collection::vec(any::<bool>(), 30), surplus in 0_usize..40,
        ) {
            let mut live: Vec<Instance> =
                (0..).zip(&zones).map(|(n, zone)| host(n, ["a", "b", "c"][usize::from(*zone)])).collect();
            for (host, held) in live.iter_mut().zip(&held).filter(|(_, held)| **held) {
                host.tags = Tags::default().with(tags::PROTECT, held.to_string());
            }
            let may = live.iter().filter(|host| !kept(host)).count();
            let chosen: BTreeSet<InstanceId> = choose(&live, surplus, Order::Oldest, &BTreeMap::new()).into_iter().collect();
            prop_assert_eq!(chosen.len(), surplus.min(may));
            prop_assert!(live.iter().filter(|host| chosen.contains(&host.id)).all(|host| !kept(host)));
            let mut left: BTreeMap<&str, usize> = BTreeMap::new();
            for host in &live {
                *left.entry(host.zone.as_str()).or_default() += usize::from(!chosen.contains(&host.id));
            }
            // No zone gave a host while another that could give one had two more.
            for from in &left {
                for to in &left {
                    let gave = live.iter().any(|h| h.zone.as_str() == *from.0 && chosen.contains(&h.id));
                    let could = live.iter().any(|h| h.zone.as_str() == *to.0 && !chosen.contains(&h.id) && !kept(h));
                    prop_assert!(!(gave && could) || *to.1 <= from.1 + 1, "{:?}", left);
                }
            }
        }
    }
}
