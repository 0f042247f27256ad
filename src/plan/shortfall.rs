//! Why hosts are missing, in words: what each refusal means, for which pools, and what would help.

use super::Ladder;
use super::ladder::{REMEMBERED, RungOutcome};
use crate::model::{FaultKind, Market, RefusedPool};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// Pools that are named before the rest is counted.
const NAMED: usize = 3;

/// What a refusal of AWS means for whoever wants the hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cause {
    /// The pool has no room.
    Dry,
    /// The spot price is above the most that may be paid.
    Price,
    /// The subnet has no free address.
    Addresses,
    /// The type is not offered there.
    NotOffered,
    /// A limit of the account.
    Quota,
    /// No permission.
    Permission,
    /// Too many calls.
    Throttle,
    /// AWS failed inside, or the hosts of an earlier answer have ended.
    Lost,
    /// AWS will never take this as it is.
    Wrong,
}

impl Cause {
    /// What a refusal means, by its kind and, where one kind has several, by AWS's code.
    pub fn of(pool: &RefusedPool) -> Self {
        match pool.kind {
            FaultKind::Capacity => match pool.code.as_str() {
                "SpotMaxPriceTooLow" | "MaxPriceTooLow" => Self::Price,
                "InsufficientFreeAddressesInSubnet" | "InsufficientAddressCapacity" => Self::Addresses,
                code if code.starts_with("Unsupported") || code == "InstanceTypeNotSupported" => Self::NotOffered,
                _ => Self::Dry,
            },
            FaultKind::Quota => Self::Quota,
            FaultKind::Denied => Self::Permission,
            FaultKind::Throttled => Self::Throttle,
            FaultKind::Transport
            | FaultKind::Server
            | FaultKind::Interrupted
            | FaultKind::Busy
            | FaultKind::NotYetVisible => Self::Lost,
            FaultKind::Gone | FaultKind::Exists | FaultKind::Invalid => Self::Wrong,
        }
    }

    /// Fits after the names of pools.
    pub fn words(self) -> &'static str {
        match self {
            Self::Dry => "dry",
            Self::Price => "dearer than fleet.max_price",
            Self::Addresses => "without free addresses",
            Self::NotOffered => "not offered",
            Self::Quota => "over the account's quota",
            Self::Permission => "not allowed",
            Self::Throttle => "throttled",
            Self::Lost => "lost again",
            Self::Wrong => "refused as wrong",
        }
    }

    /// What would help.
    pub fn fix(self) -> &'static str {
        match self {
            Self::Dry => {
                "no room: name more types and subnets, allow `fleet.fallback: on-demand`, lengthen `fleet.accept.within`, or \
                 lower `fleet.accept.min`"
            }
            Self::Price => "price: raise `fleet.max_price`, leave it out, or name more types",
            Self::Addresses => "addresses: name more or larger subnets in `fleet.subnets`; waiting does not help",
            Self::NotOffered => "offer: name a type that this zone has, or another zone's subnet",
            Self::Quota => {
                "quota: ask AWS for a higher one (vCPUs, spot and on-demand apart), or take fewer or smaller hosts; waiting \
                 does not help"
            }
            Self::Permission => "permission: give the operator what docs/iam-policy.json allows; waiting does not help",
            Self::Throttle => "throttled: another one uses up this account's API calls; run it again later",
            Self::Lost => "run it again: what was made is found by its tags",
            Self::Wrong => "AWS will never take this: correct `fleet` in the spec",
        }
    }
}

/// Pools by type and subnet, empty where the answer names none.
type Pools = BTreeSet<(String, String)>;

/// Refusals by market and cause, each with the pools that said it; most pools first.
fn grouped<'a>(outcomes: impl IntoIterator<Item = &'a RungOutcome>) -> Vec<((Market, Cause), Pools, &'a str)> {
    let mut groups: BTreeMap<(Market, Cause), (Pools, &str)> = BTreeMap::new();
    for pool in outcomes.into_iter().flat_map(|outcome| &outcome.refused) {
        let place = |text: Option<String>| text.unwrap_or_default();
        let name = (place(pool.instance_type.clone()), place(pool.subnet.as_ref().map(ToString::to_string)));
        let group = groups.entry((pool.market, Cause::of(pool))).or_insert_with(|| (BTreeSet::new(), &pool.code));
        group.0.insert(name);
    }
    let mut groups: Vec<_> = groups.into_iter().map(|(key, (pools, code))| (key, pools, code)).collect();
    groups.sort_by(|a, b| b.1.len().cmp(&a.1.len()).then(a.0.cmp(&b.0)));
    groups
}

impl Ladder {
    /// `37/40: spot m7i.large in us-east-1a dry, retry in 3 min`: what there is of what was wanted, which pools said no, and
    /// when they are asked again, if they are.
    pub fn shortfall(&self, outcomes: &[RungOutcome], now: Timestamp, next: Option<Timestamp>) -> String {
        let got: usize = outcomes.iter().map(|outcome| outcome.hosts.len()).sum();
        let recent = outcomes.iter().filter(|o| now.duration_since(o.at) <= REMEMBERED || next.is_none());
        let parts: Vec<String> =
            grouped(recent).into_iter().map(|((market, cause), pools, _)| self.pools(market, cause, &pools)).collect();
        let retry = next
            .map(|at| at.duration_since(now).as_secs())
            .filter(|seconds| *seconds > 0)
            .map(|seconds| if seconds < 60 { format!("{seconds} s") } else { format!("{} min", (seconds + 30) / 60) });
        let mut text = format!("{got}/{}", self.wanted());
        for (at, part) in parts.into_iter().chain(retry.map(|span| format!("retry in {span}"))).enumerate() {
            text.push_str(if at == 0 { ": " } else { ", " });
            text.push_str(&part);
        }
        text
    }

    fn pools(&self, market: Market, cause: Cause, pools: &BTreeSet<(String, String)>) -> String {
        let named: Vec<String> = pools
            .iter()
            .filter(|(kind, subnet)| !kind.is_empty() || !subnet.is_empty())
            .take(NAMED)
            .map(|(kind, subnet)| match self.zones.get(&subnet.as_str().into()) {
                Some(zone) => format!("{kind} in {zone}"),
                None if subnet.is_empty() => kind.clone(),
                None => format!("{kind} in {subnet}"),
            })
            .collect();
        if named.is_empty() {
            return format!("{market} {}", cause.words());
        }
        let rest = pools.len() - named.len();
        let rest = if rest > 0 { format!(" and {rest} more pools") } else { String::new() };
        format!("{market} {}{rest} {}", named.join(", "), cause.words())
    }
}

/// What would help, each thing once, for what said no most often first.
pub fn fixes(outcomes: &[RungOutcome]) -> Vec<&'static str> {
    let mut fixes = Vec::new();
    for ((_, cause), ..) in grouped(outcomes) {
        if !fixes.contains(&cause.fix()) {
            fixes.push(cause.fix());
        }
    }
    fixes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{GivenHost, InstanceId, SubnetId, Zone};
    use jiff::SignedDuration;

    fn refused(kind: FaultKind, code: &str, place: Option<&str>) -> RefusedPool {
        RefusedPool {
            market: Market::Spot,
            instance_type: place.map(|_| "m7i.large".to_owned()),
            subnet: place.map(SubnetId::new),
            kind,
            code: code.to_owned(),
            message: String::new(),
        }
    }

    #[test]
    fn causes_are_told_apart_each_with_its_own_fix() {
        let all = [
            (FaultKind::Capacity, "InsufficientInstanceCapacity", Cause::Dry),
            (FaultKind::Capacity, "UnfulfillableCapacity", Cause::Dry),
            (FaultKind::Capacity, "SpotMaxPriceTooLow", Cause::Price),
            (FaultKind::Capacity, "InsufficientFreeAddressesInSubnet", Cause::Addresses),
            (FaultKind::Capacity, "Unsupported", Cause::NotOffered),
            (FaultKind::Quota, "MaxSpotInstanceCountExceeded", Cause::Quota),
            (FaultKind::Denied, "UnauthorizedOperation", Cause::Permission),
            (FaultKind::Throttled, "RequestLimitExceeded", Cause::Throttle),
            (FaultKind::Invalid, "InvalidParameterValue", Cause::Wrong),
        ];
        for (kind, code, cause) in all {
            assert_eq!(Cause::of(&refused(kind, code, None)), cause, "{code}");
        }
        let fixes: BTreeSet<&str> = all.iter().map(|(.., cause)| cause.fix()).collect();
        assert_eq!(fixes.len(), 8);
    }

    #[test]
    fn a_shortfall_is_said_with_numbers_pools_and_time() {
        let at = Timestamp::from_second(1_000_000).expect("an instant");
        let host = |n| GivenHost {
            id: InstanceId::new(format!("i-{n}")),
            market: Market::Spot,
            instance_type: "m7i.large".into(),
            subnet: None,
            zone: None,
        };
        let ladder = Ladder {
            spot: 40,
            zones: [(SubnetId::new("subnet-a"), Zone::new("us-east-1a"))].into(),
            ..Ladder::default()
        };
        let outcome = RungOutcome {
            spot: 40,
            on_demand: 0,
            hosts: (0..37).map(host).collect(),
            refused: vec![refused(FaultKind::Capacity, "InsufficientInstanceCapacity", Some("subnet-a"))],
            ended: false,
            at,
        };
        let said = ladder.shortfall(std::slice::from_ref(&outcome), at, Some(at + SignedDuration::from_mins(3)));
        assert_eq!(said, "37/40: spot m7i.large in us-east-1a dry, retry in 3 min");
        let whole = RungOutcome { refused: vec![refused(FaultKind::Quota, "VcpuLimitExceeded", None)], ..outcome };
        assert_eq!(ladder.shortfall(&[whole], at, None), "37/40: spot over the account's quota");
    }
}
