//! The capacity ladder: which fleet request comes next, as a pure function of what the earlier ones brought.
//!
//! One request asks for both markets over all types and subnets. What spot can't give is asked for on demand when the
//! spec allows it; what nobody can give is asked for again after a growing pause until the spec's time is up.

use crate::journal::Fold;
use crate::model::{FaultKind, GivenHost, InstanceId, Market, RefusedPool, SubnetId, count};
use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// First pause before the same capacity is asked for again; doubles up to [`LONGEST_PAUSE`]. Karpenter remembers a dry pool
/// for three minutes; two doublings reach that.
const FIRST_PAUSE: SignedDuration = SignedDuration::from_secs(45);
/// Longest pause between two requests.
const LONGEST_PAUSE: SignedDuration = SignedDuration::from_secs(180);

/// What is wanted, fixed when the plan is made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
}

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
}

impl Rung {
    /// A few words for people.
    pub fn title(&self) -> String {
        let part = |n: u32, market: Market| (n > 0).then(|| format!("{n} {market}"));
        let parts: Vec<_> =
            [part(self.spot, Market::Spot), part(self.on_demand, Market::OnDemand)].into_iter().flatten().collect();
        let (types, subnets) = (count(self.types.len(), "type"), count(self.subnets.len(), "subnet"));
        format!("ask for {} over {types} in {subnets}", parts.join(" and "))
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
        let attempt = self.first_attempt + u32::try_from(outcomes.len()).unwrap_or(u32::MAX);
        let (Some(first), Some(last)) = (outcomes.first(), outcomes.last()) else {
            return Climb::Ask(self.rung(attempt, self.spot, self.on_demand, None));
        };
        // Spot that is still missing moves to on-demand once spot has said no.
        let spot_given: u32 = outcomes.iter().map(|o| o.given(Market::Spot)).sum();
        let spot_missing = self.spot.saturating_sub(spot_given).min(missing);
        let asked_spot = outcomes.iter().any(|o| o.spot > 0);
        let (spot, on_demand) =
            if self.fallback && asked_spot { (0, missing) } else { (spot_missing, missing - spot_missing) };
        let hopeless = |n: u32, market: Market| {
            n > 0 && outcomes.iter().rev().find(|o| asked(o, market) > 0).is_some_and(|o| o.at_quota(market))
        };
        let spot = if hopeless(spot, Market::Spot) { 0 } else { spot };
        let on_demand = if hopeless(on_demand, Market::OnDemand) { 0 } else { on_demand };
        if spot + on_demand == 0 {
            return Climb::Short { missing };
        }
        // The first move to another market is made at once; asking the same pools again waits.
        let moved = on_demand > 0 && last.on_demand == 0 || spot > 0 && last.spot == 0 || last.ended;
        let first_fallback = self.fallback && outcomes.iter().all(|o| o.spot > 0) && spot == 0;
        let not_before = if moved || first_fallback { last.at } else { last.at + pause(outcomes.len()) };
        if not_before > first.at + SignedDuration::from_secs(self.within_seconds) {
            return Climb::Short { missing };
        }
        Climb::Ask(self.rung(attempt, spot, on_demand, Some(not_before)))
    }

    fn rung(&self, attempt: u32, spot: u32, on_demand: u32, not_before: Option<Timestamp>) -> Rung {
        Rung {
            attempt,
            spot,
            on_demand,
            not_before,
            types: self.types.clone(),
            subnets: self.subnets.clone(),
            max_price: if spot > 0 { self.max_price.clone() } else { None },
        }
    }
}

fn asked(outcome: &RungOutcome, market: Market) -> u32 {
    match market {
        Market::Spot => outcome.spot,
        Market::OnDemand => outcome.on_demand,
    }
}

fn pause(outcomes: usize) -> SignedDuration {
    let doublings = u32::try_from(outcomes.saturating_sub(1)).unwrap_or(u32::MAX).min(8);
    (FIRST_PAUSE * 2_i32.pow(doublings)).min(LONGEST_PAUSE)
}

/// Instances that the outcomes brought, sorted.
pub fn launched(outcomes: &[RungOutcome]) -> Vec<InstanceId> {
    let mut ids: Vec<_> = outcomes.iter().flat_map(|o| o.hosts.iter().map(|host| host.id.clone())).collect();
    ids.sort();
    ids.dedup();
    ids
}

/// Why capacity was refused: each reason once, with how many pools said it, most frequent first.
pub fn reasons(outcomes: &[RungOutcome]) -> Vec<String> {
    let mut counts = std::collections::BTreeMap::<(String, String), usize>::new();
    for pool in outcomes.iter().flat_map(|o| &o.refused) {
        *counts.entry((pool.market.to_string(), pool.code.clone())).or_default() += 1;
    }
    let mut lines: Vec<_> = counts.into_iter().collect();
    lines.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    lines.into_iter().map(|((market, code), n)| format!("{market}: {code} ({})", count(n, "pool"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ladder(spot: u32, on_demand: u32, fallback: bool) -> Ladder {
        Ladder {
            spot,
            on_demand,
            fallback,
            types: vec!["m7i.large".into()],
            subnets: vec![SubnetId::new("subnet-a")],
            max_price: None,
            within_seconds: 600,
            first_attempt: 0,
        }
    }

    fn outcome(rung: &Rung, spot: u32, on_demand: u32, kind: FaultKind, at: Timestamp) -> RungOutcome {
        let host = |market, n| GivenHost {
            id: InstanceId::new(format!("i-{}-{market}-{n}", rung.attempt)),
            market,
            instance_type: "m7i.large".into(),
            subnet: None,
            zone: None,
        };
        let refused = |market| RefusedPool {
            market,
            instance_type: None,
            subnet: None,
            kind,
            code: "InsufficientInstanceCapacity".into(),
            message: String::new(),
        };
        let mut hosts: Vec<_> = (0..spot).map(|n| host(Market::Spot, n)).collect();
        hosts.extend((0..on_demand).map(|n| host(Market::OnDemand, n)));
        let mut refusals = Vec::new();
        if spot < rung.spot {
            refusals.push(refused(Market::Spot));
        }
        if on_demand < rung.on_demand {
            refusals.push(refused(Market::OnDemand));
        }
        RungOutcome { spot: rung.spot, on_demand: rung.on_demand, hosts, refused: refusals, ended: false, at }
    }

    fn ask(climb: Climb) -> Rung {
        match climb {
            Climb::Ask(rung) => rung,
            other => panic!("expected a request, got {other:?}"),
        }
    }

    #[test]
    fn one_request_for_both_markets_then_fallback_at_once_then_pauses() {
        let ladder = ladder(6, 2, true);
        let t0 = Timestamp::from_second(1_000_000).unwrap();
        let first = ask(ladder.climb(&[]));
        assert_eq!((first.attempt, first.spot, first.on_demand, first.not_before), (0, 6, 2, None));
        let one = outcome(&first, 4, 2, FaultKind::Capacity, t0);
        let second = ask(ladder.climb(std::slice::from_ref(&one)));
        assert_eq!((second.attempt, second.spot, second.on_demand, second.not_before), (1, 0, 2, Some(t0)));
        let two = outcome(&second, 0, 1, FaultKind::Capacity, t0);
        let third = ask(ladder.climb(&[one.clone(), two.clone()]));
        assert_eq!((third.spot, third.on_demand), (0, 1));
        assert!(third.not_before > Some(t0));
        let late = t0 + SignedDuration::from_secs(601);
        assert_eq!(ladder.climb(&[one, RungOutcome { at: late, ..two }]), Climb::Short { missing: 1 });
    }

    #[test]
    fn quota_is_not_asked_again() {
        let ladder = ladder(0, 5, true);
        let t0 = Timestamp::from_second(1_000_000).unwrap();
        let first = ask(ladder.climb(&[]));
        let one = outcome(&first, 0, 3, FaultKind::Quota, t0);
        assert_eq!(ladder.climb(&[one]), Climb::Short { missing: 2 });
    }

    proptest! {
        /// Whatever the pools give, no prefix of requests ever asks for more than is missing, attempts never repeat, and
        /// the ladder ends.
        #[test]
        fn never_asks_for_more_than_is_missing(
            spot in 0_u32..20, on_demand in 0_u32..20, fallback: bool,
            gives in prop::collection::vec((0_u32..20, 0_u32..20, 0_i64..100), 0..60),
        ) {
            let ladder = ladder(spot, on_demand, fallback);
            let mut at = Timestamp::from_second(1_000_000).unwrap();
            let mut outcomes: Vec<RungOutcome> = Vec::new();
            let mut gives = gives.into_iter();
            loop {
                let have = u32::try_from(outcomes.iter().map(|o| o.hosts.len()).sum::<usize>()).unwrap();
                match ladder.climb(&outcomes) {
                    Climb::Ask(rung) => {
                        prop_assert!(rung.spot + rung.on_demand > 0);
                        prop_assert!(have + rung.spot + rung.on_demand <= ladder.wanted());
                        prop_assert_eq!(rung.attempt as usize, outcomes.len());
                        prop_assert!(fallback || rung.spot <= spot && rung.on_demand <= on_demand);
                        let (s, d, seconds) = gives.next().unwrap_or((0, 0, 50));
                        at = rung.not_before.unwrap_or(at).max(at) + SignedDuration::from_secs(seconds);
                        outcomes.push(outcome(&rung, s.min(rung.spot), d.min(rung.on_demand), FaultKind::Capacity, at));
                    }
                    Climb::Enough => { prop_assert_eq!(have, ladder.wanted()); break; }
                    Climb::Short { missing } => { prop_assert_eq!(have + missing, ladder.wanted()); break; }
                }
                prop_assert!(outcomes.len() < 120);
            }
        }
    }
}
