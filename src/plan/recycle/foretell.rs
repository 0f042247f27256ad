//! Which host a window ends, from AWS's text on termination policies: zone balance first, then the policies in their order.
//!
//! Written apart from the rehearsal cloud, which does what this foretells: a test holds the two against each other. What
//! nobody but AWS can know comes out as several hosts, or as the reason why none can be named.

use super::LATE;
use crate::model::{Group, GroupMember, InstanceId, Market, Mixed, count_is};
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// Ways that are followed at most; beyond that it is not said.
const WAYS: usize = 512;

/// How long a launch takes at most to be accepted, once the window is open.
const LAUNCH: SignedDuration = SignedDuration::from_mins(1);

/// A host that may die.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Who {
    /// One that is there now.
    Host(InstanceId),
    /// One that a window brings; the number says which night's, from 0.
    New(usize),
}

/// Age of a configuration: launch configuration, another launch template, this one; and its version.
pub type Age = (u8, u64);

/// What is known of a host when a window closes.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Which.
    pub who: Who,
    /// Its zone.
    pub zone: String,
    /// Launched between these two.
    pub launched: (Timestamp, Timestamp),
    /// How old its configuration is, between these two: the oldest is ended first.
    pub configuration: (Age, Age),
    /// Spot or on-demand.
    pub market: Market,
    /// Its type; absent where it can't be known.
    pub instance_type: Option<String>,
    /// Protected from scale in.
    pub protected: bool,
}

/// What a window does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// These die, as many as the window brought; a set of more says that it is one of them.
    Dies(BTreeSet<Who>),
    /// Nobody can be ended, and the group keeps its new hosts.
    Nobody,
    /// It can't be said, for this reason.
    Unknown(String),
}

/// The hosts of a group as they are now.
///
/// # Errors
///
/// With the reason why nothing can be foretold.
pub fn hosts(group: &Group) -> Result<Vec<Candidate>, String> {
    let counting: Vec<&GroupMember> = group.members.iter().filter(|member| member.counts()).collect();
    // "Amazon EC2 Auto Scaling applies termination policies only to instances that it doesn't consider unhealthy".
    if let Some(sick) = counting.iter().find(|member| !member.healthy) {
        return Err(format!("{} is unhealthy: it is replaced first, whatever the policy says", sick.id));
    }
    if u32::try_from(counting.len()).ok() != Some(group.desired) {
        return Err(format!(
            "{} of {} there: the group is still scaling",
            counting.len(),
            count_is(group.desired, "host")
        ));
    }
    counting.into_iter().map(|member| candidate(group, member)).collect()
}

fn candidate(group: &Group, member: &GroupMember) -> Result<Candidate, String> {
    let launched = member.launched.ok_or_else(|| format!("EC2 does not tell when {} was launched", member.id))?;
    Ok(Candidate {
        who: Who::Host(member.id.clone()),
        zone: member.zone.clone(),
        launched: (launched, launched),
        configuration: (configuration(group, member), configuration(group, member)),
        market: member.market,
        instance_type: Some(member.instance_type.clone()),
        protected: member.protected,
    })
}

/// "First, check for instances launched with a launch configuration. Then, check for instances launched using a different
/// launch template instead of the current launch template. Finally, check for instances using the oldest version of the
/// current launch template."
fn configuration(group: &Group, member: &GroupMember) -> Age {
    match &member.template {
        None => (0, 0),
        Some((id, _)) if Some(id) != group.template.as_ref() => (1, 0),
        Some((_, version)) => (2, *version),
    }
}

/// What one window does to these hosts, and what is there after it; absent where that can't be said.
pub fn window(
    group: &Group,
    now: &[Candidate],
    night: usize,
    surge: u32,
    (opens, closes): (Timestamp, Timestamp),
) -> (Fate, Option<Vec<Candidate>>) {
    match ways(group, now, night, surge, (opens, closes)) {
        Err(why) => (Fate::Unknown(why), None),
        Ok(ways) => {
            let dead: BTreeSet<Who> = ways.iter().flat_map(|way| way.dead.iter().cloned()).collect();
            if dead.is_empty() {
                return (Fate::Nobody, None);
            }
            let mut ways = ways.into_iter();
            let (first, rest) = (ways.next(), ways.count());
            (Fate::Dies(dead), first.filter(|_| rest == 0).map(|way| way.hosts))
        }
    }
}

/// One way in which a window may go.
#[derive(Clone, Debug)]
struct Way {
    hosts: Vec<Candidate>,
    dead: Vec<Who>,
}

/// Every way in which a window may go.
fn ways(
    group: &Group,
    now: &[Candidate],
    night: usize,
    surge: u32,
    (opens, closes): (Timestamp, Timestamp),
) -> Result<Vec<Way>, String> {
    known(group)?;
    let mut ways = vec![Way { hosts: now.to_vec(), dead: Vec::new() }];
    for _ in 0..surge {
        ways = spread(&ways, |way| Ok(born(group, way, night, opens)))?;
    }
    for _ in 0..surge {
        ways = spread(&ways, |way| {
            let doomed = first_to_go(group, &way.hosts, (closes, late(closes)))?;
            Ok(doomed.into_iter().map(|place| without(way, place)).collect())
        })?;
    }
    Ok(ways)
}

fn late(at: Timestamp) -> Timestamp {
    at.checked_add(LATE).unwrap_or(at)
}

fn spread(ways: &[Way], next: impl Fn(&Way) -> Result<Vec<Way>, String>) -> Result<Vec<Way>, String> {
    let mut all = Vec::new();
    for way in ways {
        let mut more = next(way)?;
        // Nobody to end: the way ends as it is.
        if more.is_empty() {
            more.push(way.clone());
        }
        all.extend(more);
        if all.len() > WAYS {
            return Err("too many hosts and zones are alike: AWS chooses among them at random".to_owned());
        }
    }
    Ok(all)
}

fn without(way: &Way, place: usize) -> Way {
    let mut way = way.clone();
    way.dead.push(way.hosts.remove(place).who);
    way
}

/// What stands in the way of any foretelling.
fn known(group: &Group) -> Result<(), String> {
    if group.policies.iter().any(|policy| policy.starts_with("arn:")) {
        return Err("a Lambda function chooses; only it knows".to_owned());
    }
    if group.maintenance {
        return Err("an instance maintenance policy decides in which order hosts come and go".to_owned());
    }
    if group.mixed.as_ref().is_some_and(|mixed| mixed.weighted) {
        return Err("instance weights or requirements decide how many hosts a unit of capacity is".to_owned());
    }
    let suspended = |process: &str| group.suspended.iter().any(|one| one == process);
    for (process, what) in
        [("ScheduledActions", "no window opens"), ("Launch", "no host is launched"), ("Terminate", "no host is ended")]
    {
        if suspended(process) {
            return Err(format!("the process {process} is suspended: {what}"));
        }
    }
    let counts =
        by_zone(group, group.members.iter().filter(|member| member.counts()).map(|member| member.zone.as_str()));
    let uneven = counts.values().max().zip(counts.values().min()).is_some_and(|(most, least)| most - least > 1);
    if uneven && !suspended("AZRebalance") {
        return Err("the zones are uneven: AZRebalance moves hosts first".to_owned());
    }
    Ok(())
}

/// Hosts in each zone that the group uses.
fn by_zone<'z>(group: &'z Group, zones: impl Iterator<Item = &'z str>) -> BTreeMap<&'z str, usize> {
    let mut counts: BTreeMap<&str, usize> = group.zones.iter().map(|zone| (zone.as_str(), 0)).collect();
    for zone in zones {
        *counts.entry(zone).or_default() += 1;
    }
    counts
}

/// A new host in each of the zones that have the fewest: which of them AWS takes it does not say.
fn born(group: &Group, way: &Way, night: usize, opens: Timestamp) -> Vec<Way> {
    let counts = by_zone(group, way.hosts.iter().map(|host| host.zone.as_str()));
    let of = |zone: &str| counts.get(zone).copied().unwrap_or_default();
    let least = group.zones.iter().map(|zone| of(zone)).min();
    let zones = group.zones.iter().filter(|zone| Some(of(zone)) == least);
    let market = match &group.mixed {
        Some(mixed) if count(&way.hosts, Market::OnDemand) >= on_demand_of(mixed, way.hosts.len() + 1) => Market::Spot,
        Some(_) | None => Market::OnDemand,
    };
    let newest = way.hosts.iter().map(|host| host.configuration.1).max().unwrap_or((2, 0));
    let configuration = match (&group.template, group.version) {
        (None, _) => ((0, 0), (0, 0)),
        (Some(_), Some(version)) => ((2, version), (2, version)),
        // As new as the newest, or newer.
        (Some(_), None) => (newest.max((2, 0)), (2, u64::MAX)),
    };
    zones
        .map(|zone| {
            let mut way = way.clone();
            way.hosts.push(Candidate {
                who: Who::New(night),
                zone: zone.clone(),
                launched: (opens, late(opens).checked_add(LAUNCH).unwrap_or(opens)),
                configuration,
                market,
                instance_type: group.mixed.as_ref().is_none_or(|mixed| mixed.types.len() == 1).then(|| {
                    let only = group.mixed.as_ref().and_then(|mixed| mixed.types.first().cloned());
                    only.or_else(|| way.hosts.first()?.instance_type.clone()).unwrap_or_default()
                }),
                protected: group.protects_new,
            });
            way
        })
        .collect()
}

fn count(hosts: &[Candidate], market: Market) -> usize {
    hosts.iter().filter(|host| host.market == market).count()
}

/// On-demand hosts among so many: the base, and the share of the rest, rounded up.
fn on_demand_of(mixed: &Mixed, total: usize) -> usize {
    let (base, percent) = (mixed.base as usize, mixed.percent as usize);
    base.min(total) + (total.saturating_sub(base) * percent).div_ceil(100)
}

/// Places of those that may be ended first; empty where all are protected.
///
/// # Errors
///
/// With the reason why it can't be said.
fn first_to_go(group: &Group, hosts: &[Candidate], closes: (Timestamp, Timestamp)) -> Result<Vec<usize>, String> {
    let mut free: Vec<usize> = (0..hosts.len()).filter(|place| !hosts[*place].protected).collect();
    // "first it identifies which of the two types (Spot or On-Demand) should be terminated".
    if let Some(mixed) = &group.mixed {
        let too_many = count(hosts, Market::OnDemand) > on_demand_of(mixed, hosts.len().saturating_sub(1));
        let market = if too_many { Market::OnDemand } else { Market::Spot };
        let of_market: Vec<usize> = free.iter().copied().filter(|place| hosts[*place].market == market).collect();
        if !of_market.is_empty() {
            free = of_market;
        }
    }
    // "it first identifies which Availability Zone (or Zones) has the most instances and at least one instance that is not
    // protected from scale in": protected ones count, and a zone of none but protected ones is left out. "If the
    // Availability Zones are balanced, it applies the termination policy across all Zones".
    let counts = by_zone(group, hosts.iter().map(|host| host.zone.as_str()));
    let in_zone = |place: &usize| counts.get(hosts[*place].zone.as_str()).copied().unwrap_or_default();
    let most = free.iter().map(in_zone).max();
    let mut left: Vec<usize> = free.into_iter().filter(|place| Some(in_zone(place)) == most).collect();
    for policy in &group.policies {
        for criterion in criteria(policy, group) {
            let (kept, sure) = narrowed(criterion, group, hosts, &left, closes)?;
            left = kept;
            // Where the order itself is not certain, what comes after it decides nothing.
            if !sure || left.len() < 2 {
                return Ok(left);
            }
        }
    }
    Ok(left)
}

/// What a policy looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Criterion {
    Oldest,
    Newest,
    Configuration,
    Hour,
    Allocation,
}

fn criteria(policy: &str, group: &Group) -> Vec<Criterion> {
    use Criterion::{Allocation, Configuration, Hour, Newest, Oldest};
    match policy {
        "OldestInstance" => vec![Oldest],
        "NewestInstance" => vec![Newest],
        "OldestLaunchTemplate" | "OldestLaunchConfiguration" => vec![Configuration],
        "ClosestToNextInstanceHour" => vec![Hour],
        "AllocationStrategy" => vec![Allocation],
        // The default policy; a group of mixed instances aligns them to its allocation strategy before that.
        _ if group.mixed.is_some() => vec![Allocation, Configuration, Hour],
        _ => vec![Configuration, Hour],
    }
}

/// Those that come first by one criterion, and whether these are equal in it for certain.
fn narrowed(
    criterion: Criterion,
    group: &Group,
    hosts: &[Candidate],
    left: &[usize],
    closes: (Timestamp, Timestamp),
) -> Result<(Vec<usize>, bool), String> {
    match criterion {
        Criterion::Configuration => Ok(smallest(left, |place| hosts[place].configuration)),
        Criterion::Oldest => {
            Ok(smallest(left, |place| (hosts[place].launched.0.as_second(), hosts[place].launched.1.as_second())))
        }
        Criterion::Newest => {
            Ok(smallest(left, |place| (-hosts[place].launched.1.as_second(), -hosts[place].launched.0.as_second())))
        }
        Criterion::Hour => Ok(closest(hosts, left, closes)),
        Criterion::Allocation => aligned(group, hosts, left),
    }
}

/// Those whose range may hold the smallest of all, and whether all of these are the same single value.
fn smallest<T: Ord + Copy>(left: &[usize], range: impl Fn(usize) -> (T, T)) -> (Vec<usize>, bool) {
    let Some(bound) = left.iter().map(|place| range(*place).1).min() else { return (Vec::new(), true) };
    let kept: Vec<usize> = left.iter().copied().filter(|place| range(*place).0 <= bound).collect();
    let sure = kept.iter().all(|place| range(*place) == (bound, bound));
    (kept, sure)
}

/// "Determine whether any of the instances that meet the previous criteria are closest to the next billing hour": whoever is
/// at some moment between the earliest and the latest end of the window.
fn closest(hosts: &[Candidate], left: &[usize], (from, to): (Timestamp, Timestamp)) -> (Vec<usize>, bool) {
    let (from, to) = (from.as_second(), to.as_second() + 1);
    let (mut kept, mut sure) = (BTreeSet::new(), true);
    for moment in from..=to {
        let (now, equal) = smallest(left, |place| {
            let (first, last) = (hosts[place].launched.0.as_second(), hosts[place].launched.1.as_second());
            let ends = [last, first].map(|launched| (moment - launched).rem_euclid(3600));
            // An hour that ends somewhere within the range may be about to end or has just begun.
            if ends[0] + (last - first) == ends[1] { (3600 - ends[1], 3600 - ends[0]) } else { (1, 3600) }
        });
        sure &= equal;
        kept.extend(now);
    }
    (kept.into_iter().collect(), sure)
}

/// What fits the allocation strategy least: told by AWS's own view of its pools, unless all are of one type or the order of
/// the types decides.
fn aligned(group: &Group, hosts: &[Candidate], left: &[usize]) -> Result<(Vec<usize>, bool), String> {
    let Some(mixed) = &group.mixed else { return Ok((left.to_vec(), true)) };
    let types: BTreeSet<Option<&str>> = left.iter().map(|place| hosts[*place].instance_type.as_deref()).collect();
    if types.len() <= 1 && !types.contains(&None) {
        return Ok((left.to_vec(), true));
    }
    let on_demand = left.iter().all(|place| hosts[*place].market == Market::OnDemand);
    if on_demand && mixed.on_demand == "prioritized" && !types.contains(&None) {
        let rank = |place: usize| {
            let kind = hosts[place].instance_type.as_deref();
            mixed.types.iter().position(|one| Some(one.as_str()) == kind).unwrap_or(usize::MAX)
        };
        let worst = left.iter().map(|place| rank(*place)).max();
        return Ok((left.iter().copied().filter(|place| Some(rank(*place)) == worst).collect(), true));
    }
    Err("the allocation strategy weighs prices and spare capacity that only AWS knows".to_owned())
}
