//! The capacity ladder: which fleet request comes next, as a pure function of what the earlier ones brought.
//!
//! One request asks for both markets over all types and subnets. What spot can't give is asked for on demand when the
//! spec allows it. A pool that had no room is left alone for three minutes; what nobody can give is asked for again after
//! that, until the spec's time is up. Large launches go in chunks, as fast as AWS's published buckets fill.

use crate::journal::Fold;
use crate::model::buckets::LAUNCHED;
use crate::model::{FaultKind, GivenHost, InstanceId, Market, RefusedPool, SubnetId, Zone, count};
use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// How long a pool that had no room is left alone, as Karpenter does it.
pub const REMEMBERED: SignedDuration = SignedDuration::from_mins(3);
/// Requests that came out short within that time, after which even pools that said nothing yet are left alone.
const HURRIED: usize = 4;
/// Most hosts of one request. AWS advises to split large launches; each then needs only this much of the bucket at once.
const CHUNK: u32 = 500;
/// What is wanted, fixed when the plan is made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Ladder {
    /// New spot hosts wanted.
    pub spot: u32,
    /// New on-demand hosts wanted.
    pub on_demand: u32,
    /// Whether missing spot is asked for on demand.
    pub fallback: bool,
    /// Types in order of preference.
    pub types: Vec<String>,
    /// Subnets, one per zone.
    pub subnets: Vec<SubnetId>,
    /// Most to pay for a spot hour, dollars as text.
    pub max_price: Option<String>,
    /// How long missing capacity is asked for, from the first answer on, seconds.
    pub within_seconds: i64,
    /// Number of the first attempt: earlier runs of the same epoch have used those below it.
    pub first_attempt: u32,
    /// Zone of each subnet, for people.
    #[serde(default)]
    pub zones: BTreeMap<SubnetId, Zone>,
    /// Pools that earlier runs found without room a moment ago.
    #[serde(default)]
    pub dry: Vec<Dry>,
}

/// Pools that are left alone for a while.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Dry {
    /// Spot or on-demand.
    pub market: Market,
    /// Every type if absent.
    pub instance_type: Option<String>,
    /// Every subnet if absent.
    pub subnet: Option<SubnetId>,
    /// Until when.
    pub until: Timestamp,
}

impl Dry {
    fn is(&self, market: Market, kind: &str, subnet: &SubnetId) -> bool {
        self.market == market
            && self.instance_type.as_deref().is_none_or(|own| own == kind)
            && self.subnet.as_ref().is_none_or(|own| own == subnet)
    }
}

/// A type in a subnet.
pub type Place = (String, SubnetId);

/// One fleet request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Rung {
    /// Its number within the epoch; part of the ClientToken.
    pub attempt: u32,
    /// Spot hosts asked for.
    pub spot: u32,
    /// On-demand hosts asked for.
    pub on_demand: u32,
    /// Not before this instant.
    pub not_before: Option<Timestamp>,
    /// Types in order of preference.
    pub types: Vec<String>,
    /// Subnets, one per zone.
    pub subnets: Vec<SubnetId>,
    /// Most to pay for a spot hour, dollars as text.
    pub max_price: Option<String>,
    /// Types in subnets that are left out: they had no room a moment ago.
    #[serde(default)]
    pub without: Vec<Place>,
}

impl Rung {
    /// A few words for people.
    pub fn title(&self) -> String {
        let part = |n: u32, market: Market| (n > 0).then(|| format!("{n} {market}"));
        let parts: Vec<_> =
            [part(self.spot, Market::Spot), part(self.on_demand, Market::OnDemand)].into_iter().flatten().collect();
        let without = match self.without.len() {
            0 => String::new(),
            n => format!(" without {}", count(n, "dry pool")),
        };
        let (types, subnets) = (count(self.types.len(), "type"), count(self.subnets.len(), "subnet"));
        format!("ask for {} over {types} in {subnets}{without}", parts.join(" and "))
    }
}

/// What one rung brought: the output of its step in the journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RungOutcome {
    /// Spot hosts asked for.
    pub spot: u32,
    /// On-demand hosts asked for.
    pub on_demand: u32,
    /// What came.
    pub hosts: Vec<GivenHost>,
    /// What did not, and why.
    pub refused: Vec<RefusedPool>,
    /// The request was carried out before and its hosts have ended since: they count as given and lost.
    pub ended: bool,
    /// When the answer was understood.
    pub at: Timestamp,
}

/// Codes about what others made, long before a launch.
const THEIRS: [&str; 4] = ["InvalidGroup", "InvalidSecurityGroup", "InvalidKeyPair", "InvalidSubnet"];

impl RungOutcome {
    fn given(&self, market: Market) -> u32 {
        u32::try_from(self.hosts.iter().filter(|host| host.market == market).count()).unwrap_or(u32::MAX)
    }

    fn asked(&self) -> u32 {
        self.spot + self.on_demand
    }

    /// Fewer came than were asked for.
    fn short(&self) -> bool {
        u32::try_from(self.hosts.len()).unwrap_or(u32::MAX) < self.asked()
    }

    /// The pools that this answer showed to be without room, and until when that is remembered. A market that fell short
    /// without a reason is dry as a whole; hosts that came and ended again say nothing about pools.
    pub fn dry(&self) -> Vec<Dry> {
        let until = self.at + REMEMBERED;
        let mut dry: Vec<Dry> = self
            .refused
            .iter()
            .filter(|pool| pool.kind != FaultKind::Interrupted)
            .map(|pool| Dry {
                market: pool.market,
                instance_type: pool.instance_type.clone(),
                subnet: pool.subnet.clone(),
                until,
            })
            .collect();
        for market in [Market::Spot, Market::OnDemand] {
            let short = self.given(market) < asked(self, market) && !self.ended;
            if short && !self.refused.iter().any(|pool| pool.market == market) {
                dry.push(Dry { market, instance_type: None, subnet: None, until });
            }
        }
        dry
    }

    /// Every refusal of this market was a limit of the account: asking again can't help.
    fn at_quota(&self, market: Market) -> bool {
        let mut refused = self.refused.iter().filter(|pool| pool.market == market).peekable();
        refused.peek().is_some()
            && refused.all(|pool| match pool.kind {
                FaultKind::Quota | FaultKind::Invalid => true,
                // What the spec names and we did not make is not there, or not visible for another reason than its age.
                FaultKind::Gone => THEIRS.iter().any(|thing| pool.code.starts_with(thing)),
                FaultKind::Throttled
                | FaultKind::Capacity
                | FaultKind::NotYetVisible
                | FaultKind::Exists
                | FaultKind::Denied
                | FaultKind::Busy
                | FaultKind::Transport
                | FaultKind::Server
                | FaultKind::Interrupted => false,
            })
    }
}

/// Where the ladder stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Climb {
    /// This request comes next.
    Ask(Rung),
    /// All that was wanted is there.
    Enough,
    /// No more requests; so many are missing.
    Short {
        /// Hosts that nobody could give.
        missing: u32,
    },
}

impl Ladder {
    /// New hosts wanted.
    pub fn wanted(&self) -> u32 {
        self.spot + self.on_demand
    }

    /// The outcomes of this ladder's rungs, in order; a step's id is `<ladder>.<number>`.
    pub fn outcomes(&self, step: &str, fold: &Fold) -> Vec<RungOutcome> {
        (0..)
            .map_while(|n| fold.steps.get(&format!("{step}.{n}")))
            .map_while(|output| serde_json::from_value(output.clone()).ok())
            .collect()
    }

    /// Which request comes next.
    pub fn climb(&self, outcomes: &[RungOutcome]) -> Climb {
        let given: u32 = outcomes.iter().map(|o| u32::try_from(o.hosts.len()).unwrap_or(u32::MAX)).sum();
        let missing = self.wanted().saturating_sub(given);
        if missing == 0 {
            return Climb::Enough;
        }
        // Spot that is still missing moves to on-demand once spot has said no.
        let spot_given: u32 = outcomes.iter().map(|o| o.given(Market::Spot)).sum();
        let spot_missing = self.spot.saturating_sub(spot_given).min(missing);
        let said_no = outcomes.iter().any(|o| o.given(Market::Spot) < o.spot);
        let (spot, on_demand) =
            if self.fallback && said_no { (0, missing) } else { (spot_missing, missing - spot_missing) };
        let hopeless = |n: u32, market: Market| {
            n > 0 && outcomes.iter().rev().find(|o| asked(o, market) > 0).is_some_and(|o| o.at_quota(market))
        };
        let spot = if hopeless(spot, Market::Spot) { 0 } else { spot };
        let on_demand = if hopeless(on_demand, Market::OnDemand) { 0 } else { on_demand };
        if spot + on_demand == 0 {
            return Climb::Short { missing };
        }
        let dry: Vec<Dry> = self.dry.iter().cloned().chain(outcomes.iter().flat_map(RungOutcome::dry)).collect();
        let last = outcomes.last().map_or(Timestamp::MIN, |last| last.at);
        let recent = outcomes.iter().filter(|o| o.short() && last.duration_since(o.at) < REMEMBERED).count();
        // What nobody refused is asked at once; else the first pool that may have room again is waited for.
        let mut at = last;
        let mut shares = if recent < HURRIED { self.open(&dry, spot, on_demand, at) } else { Vec::new() };
        if shares.is_empty() {
            let wanted = |pool: &&Dry| if pool.market == Market::Spot { spot > 0 } else { on_demand > 0 };
            let Some(next) = dry.iter().filter(wanted).map(|pool| pool.until).filter(|until| *until > last).min()
            else {
                return Climb::Short { missing };
            };
            at = next;
            shares = self.open(&dry, spot, on_demand, at);
        }
        // On-demand first: it is the part that stays.
        let Some((market, _, without)) = shares.first().cloned() else { return Climb::Short { missing } };
        let mut room = CHUNK;
        let mut take = |wanted: Market| {
            let fits =
                |(share, n, out): &(Market, u32, Vec<Place>)| (*share == wanted && *out == without).then_some(*n);
            let n = shares.iter().find_map(fits).unwrap_or(0).min(room);
            room -= n;
            n
        };
        let (on_demand, spot) = (take(Market::OnDemand), take(Market::Spot));
        debug_assert!(spot + on_demand > 0, "{market} has room");
        let tokens = Self::tokens(outcomes, spot + on_demand);
        let not_before = at.max(tokens.unwrap_or(Timestamp::MIN));
        let first_short = outcomes.iter().find(|outcome| outcome.short());
        if first_short.is_some_and(|first| not_before > first.at + SignedDuration::from_secs(self.within_seconds)) {
            return Climb::Short { missing };
        }
        let not_before = (not_before > Timestamp::MIN).then_some(not_before);
        Climb::Ask(self.rung(outcomes.len(), (spot, on_demand), not_before, without))
    }

    /// Markets of which hosts are missing and some pool is open then, on-demand first: how many, and what is left out.
    fn open(&self, dry: &[Dry], spot: u32, on_demand: u32, at: Timestamp) -> Vec<(Market, u32, Vec<Place>)> {
        let all = self.types.len() * self.subnets.len();
        let places = || self.types.iter().flat_map(|kind| self.subnets.iter().map(move |subnet| (kind, subnet)));
        [(Market::OnDemand, on_demand), (Market::Spot, spot)]
            .into_iter()
            .filter(|(_, n)| *n > 0)
            .map(|(market, n)| {
                let is_dry = |kind: &String, subnet: &SubnetId| {
                    dry.iter().any(|pool| pool.until > at && pool.is(market, kind, subnet))
                };
                let without: Vec<Place> = places()
                    .filter(|(kind, subnet)| is_dry(kind, subnet))
                    .map(|(kind, subnet)| (kind.clone(), subnet.clone()))
                    .collect();
                (market, n, without)
            })
            .filter(|(.., without)| without.len() < all)
            .collect()
    }

    /// When there are tokens for so many more hosts, if that is not now.
    fn tokens(outcomes: &[RungOutcome], more: u32) -> Option<Timestamp> {
        let asked: i64 = outcomes.iter().map(|outcome| i64::from(outcome.asked())).sum();
        let lacking = asked + i64::from(more) - i64::from(LAUNCHED.holds);
        let first = outcomes.first().filter(|_| lacking > 0)?;
        let rate = i64::from(LAUNCHED.per_second);
        Some(first.at + SignedDuration::from_secs((lacking + rate - 1) / rate))
    }

    fn rung(
        &self,
        outcomes: usize,
        (spot, on_demand): (u32, u32),
        not_before: Option<Timestamp>,
        without: Vec<Place>,
    ) -> Rung {
        Rung {
            attempt: self.first_attempt + u32::try_from(outcomes).unwrap_or(u32::MAX),
            spot,
            on_demand,
            not_before,
            types: self.types.clone(),
            subnets: self.subnets.clone(),
            max_price: if spot > 0 { self.max_price.clone() } else { None },
            without,
        }
    }
}

fn asked(outcome: &RungOutcome, market: Market) -> u32 {
    match market {
        Market::Spot => outcome.spot,
        Market::OnDemand => outcome.on_demand,
    }
}

/// Instances that the outcomes brought, sorted.
pub fn launched(outcomes: &[RungOutcome]) -> Vec<InstanceId> {
    let mut ids: Vec<_> = outcomes.iter().flat_map(|o| o.hosts.iter().map(|host| host.id.clone())).collect();
    ids.sort();
    ids.dedup();
    ids
}

/// Why capacity was refused: each reason once, with how many pools said it, most frequent first. A pool counts once, however
/// often there was time to ask it.
pub fn reasons(outcomes: &[RungOutcome]) -> Vec<String> {
    let mut pools = BTreeMap::<(&str, &str), BTreeSet<(Option<&str>, Option<&SubnetId>)>>::new();
    for pool in outcomes.iter().flat_map(|o| &o.refused) {
        let place = (pool.instance_type.as_deref(), pool.subnet.as_ref());
        pools.entry((pool.market.as_str(), &pool.code)).or_default().insert(place);
    }
    let mut lines: Vec<_> = pools.into_iter().map(|(reason, pools)| (reason, pools.len())).collect();
    lines.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    lines.into_iter().map(|((market, code), n)| format!("{market}: {code} ({})", count(n, "pool"))).collect()
}

#[cfg(test)]
mod tests;
