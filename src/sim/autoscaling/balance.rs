//! Which zone gets the next instance and which instance goes first, from AWS's text on termination policies.

use super::records::{Group, Life, Member, Mixed};
use crate::sim::draw::number;
use jiff::Timestamp;
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// What the choice rests on besides the group.
pub(super) struct Facts<'a> {
    /// Now.
    pub(super) now: Timestamp,
    /// The world's seed, where AWS says "at random".
    pub(super) seed: u64,
    /// Price of a type on the spot market.
    pub(super) spot_price: &'a dyn Fn(&str) -> u64,
}

/// Members that count, by zone; a zone without any is there too.
pub(super) fn by_zone(group: &Group) -> BTreeMap<&str, usize> {
    let mut zones: BTreeMap<&str, usize> = group.zones().into_iter().map(|zone| (zone, 0)).collect();
    for member in group.active() {
        *zones.entry(member.zone.as_str()).or_default() += 1;
    }
    zones
}

/// Zones for the next instance, the emptiest first; the subnets' order decides among equals.
pub(super) fn emptiest_first(group: &Group) -> Vec<String> {
    let counts = by_zone(group);
    let mut zones = group.zones();
    zones.sort_by_key(|zone| counts.get(zone).copied().unwrap_or_default());
    zones.into_iter().map(str::to_owned).collect()
}

/// How far the fullest zone that may lose an instance is ahead of the emptiest one that the group uses.
pub(super) fn imbalance(group: &Group, free: &dyn Fn(&&str) -> bool) -> usize {
    let counts = by_zone(group);
    let most = counts.iter().filter(|(zone, _)| free(zone)).map(|(_, count)| *count).max().unwrap_or_default();
    let least = group.zones().iter().filter_map(|zone| counts.get(zone)).min().copied().unwrap_or_default();
    most.saturating_sub(least)
}

/// The instance that a scale in ends first: "it first identifies which Availability Zone (or Zones) has the most instances
/// and at least one instance that is not protected from scale in. Then, it proceeds to evaluate unprotected instances
/// within the identified Availability Zone". A group of mixed instances settles before that which of the two purchase
/// options is to go.
pub(super) fn first_to_go(group: &Group, facts: &Facts) -> Option<String> {
    let free: Vec<&Member> =
        group.active().filter(|member| member.life == Life::InService && !member.protected).collect();
    let counts = by_zone(group);
    let free = match &group.mixed {
        Some(mixed) => of_surplus(group, mixed, free),
        None => free,
    };
    let most = free.iter().filter_map(|member| counts.get(member.zone.as_str())).max()?;
    let mut left: Vec<&Member> =
        free.iter().filter(|member| counts.get(member.zone.as_str()) == Some(most)).copied().collect();
    for policy in &group.policies {
        left = narrowed(policy, group, left, facts);
    }
    let place =
        number(facts.seed, &["go", &group.name, &facts.now.to_string()]) % u64::try_from(left.len().max(1)).ok()?;
    left.get(usize::try_from(place).ok()?).map(|member| member.id.clone())
}

/// The members of the purchase option that the group has too many of.
fn of_surplus<'m>(group: &Group, mixed: &Mixed, free: Vec<&'m Member>) -> Vec<&'m Member> {
    let after = group.size().saturating_sub(1);
    let on_demand = u32::try_from(group.active().filter(|member| !member.spot).count()).unwrap_or(u32::MAX);
    let spot_goes = on_demand <= mixed.on_demand_of(after);
    let of_option: Vec<&Member> = free.iter().filter(|member| member.spot == spot_goes).copied().collect();
    if of_option.is_empty() { free } else { of_option }
}

/// Those that come first by one policy.
fn narrowed<'m>(policy: &str, group: &Group, left: Vec<&'m Member>, facts: &Facts) -> Vec<&'m Member> {
    match policy {
        "OldestInstance" => least(left, |member| member.launched),
        "NewestInstance" => least(left, |member| Reverse(member.launched)),
        "OldestLaunchTemplate" => oldest_template(group, left),
        "ClosestToNextInstanceHour" => closest(left, facts),
        "AllocationStrategy" => aligned(group, left, facts),
        "Default" => closest(oldest_template(group, aligned(group, left, facts)), facts),
        // OldestLaunchConfiguration: no group here has one. A function's word cannot be had.
        _ => left,
    }
}

fn least<K: Ord + Copy>(members: Vec<&Member>, key: impl Fn(&Member) -> K) -> Vec<&Member> {
    let best = members.iter().map(|member| key(member)).min();
    members.into_iter().filter(|member| Some(key(member)) == best).collect()
}

/// "Instances that use the noncurrent launch template are terminated first, followed by instances that use the oldest
/// version of the current launch template."
fn oldest_template<'m>(group: &Group, members: Vec<&'m Member>) -> Vec<&'m Member> {
    least(members, |member| if member.template.0 == group.template.id { (1, member.template.2) } else { (0, 0) })
}

/// Seconds until the hour that a member is in is over.
fn closest<'m>(members: Vec<&'m Member>, facts: &Facts) -> Vec<&'m Member> {
    least(members, |member| 3600 - facts.now.duration_since(member.launched).as_secs().rem_euclid(3600))
}

/// Those that fit the allocation strategy least: on-demand by the order of the types, spot by their price. What the spare
/// capacity of a pool would say is not known.
fn aligned<'m>(group: &Group, members: Vec<&'m Member>, facts: &Facts) -> Vec<&'m Member> {
    let Some(mixed) = &group.mixed else { return members };
    let place = |kind: &str| mixed.kinds.iter().position(|one| one == kind).unwrap_or(usize::MAX);
    least(members, |member| {
        let rank = match (member.spot, mixed.spot.as_str(), mixed.on_demand.as_str()) {
            (true, "lowest-price", _) => (facts.spot_price)(&member.kind),
            (false, _, "prioritized") => u64::try_from(place(&member.kind)).unwrap_or(u64::MAX),
            _ => 0,
        };
        Reverse(rank)
    })
}
