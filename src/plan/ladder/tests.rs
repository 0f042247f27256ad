//! The ladder against scripted pools.

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
        ..Ladder::default()
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

fn places(dry: &[(&str, &str)]) -> Vec<Place> {
    dry.iter().map(|(kind, subnet)| ((*kind).to_owned(), SubnetId::new(*subnet))).collect()
}

#[test]
fn a_dry_pool_is_left_alone_for_three_minutes_while_the_others_are_asked_at_once() {
    let ladder = Ladder { types: vec!["m7i.large".into(), "m6i.large".into()], ..ladder(0, 5, false) };
    let t0 = Timestamp::from_second(1_000_000).unwrap();
    let mut one = outcome(&ask(ladder.climb(&[])), 0, 3, FaultKind::Capacity, t0);
    let here = |kind: &str| RefusedPool {
        instance_type: Some(kind.into()),
        subnet: Some(SubnetId::new("subnet-a")),
        ..one.refused[0].clone()
    };
    let (first, second) = (here("m7i.large"), here("m6i.large"));
    one.refused = vec![first];
    let next = ask(ladder.climb(std::slice::from_ref(&one)));
    assert_eq!((next.on_demand, next.not_before), (2, Some(t0)));
    assert_eq!(next.without, places(&[("m7i.large", "subnet-a")]));
    let t1 = t0 + SignedDuration::from_secs(20);
    let mut two = outcome(&next, 0, 0, FaultKind::Capacity, t1);
    two.refused = vec![second];
    let third = ask(ladder.climb(&[one.clone(), two.clone()]));
    assert_eq!((third.not_before, third.without.len()), (Some(t0 + REMEMBERED), 1), "the first may have room again");
    // The next run remembers what this one found.
    let later = Ladder { dry: [one.dry(), two.dry()].concat(), ..ladder };
    let fourth = ask(later.climb(&[]));
    assert_eq!((fourth.on_demand, fourth.not_before), (5, Some(t0 + REMEMBERED)));
    assert_eq!(fourth.without, places(&[("m6i.large", "subnet-a")]));
}

#[test]
fn markets_with_other_dry_pools_are_asked_apart() {
    let t0 = Timestamp::from_second(1_000_000).unwrap();
    let dry = Dry { market: Market::Spot, instance_type: Some("m7i.large".into()), subnet: None, until: t0 };
    let ladder = Ladder { types: vec!["m7i.large".into(), "m6i.large".into()], dry: vec![dry], ..ladder(3, 2, false) };
    let first = ask(ladder.climb(&[]));
    assert_eq!((first.spot, first.on_demand, first.without.len()), (0, 2, 0));
    let one = outcome(&first, 0, 2, FaultKind::Capacity, t0 - SignedDuration::from_secs(60));
    let second = ask(ladder.climb(&[one]));
    assert_eq!((second.spot, second.on_demand), (3, 0));
    assert_eq!(second.without, places(&[("m7i.large", "subnet-a")]));
}

#[test]
fn a_large_launch_goes_in_chunks_as_fast_as_the_buckets_fill() {
    let ladder = ladder(2000, 500, true);
    let t0 = Timestamp::from_second(1_000_000).unwrap();
    let (mut at, mut outcomes, mut asked) = (t0, Vec::new(), Vec::new());
    while let Climb::Ask(rung) = ladder.climb(&outcomes) {
        at = rung.not_before.unwrap_or(at).max(at);
        asked.push((rung.spot, rung.on_demand, at.duration_since(t0).as_secs()));
        outcomes.push(outcome(&rung, rung.spot, rung.on_demand, FaultKind::Capacity, at));
    }
    // 1,000 at once, then two a second, whatever `within` says: nothing is missing, it only takes its time.
    assert_eq!(asked, [(0, 500, 0), (500, 0, 0), (500, 0, 250), (500, 0, 500), (500, 0, 750)]);
    assert_eq!(ladder.climb(&outcomes), Climb::Enough);
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
                    let ready = rung.not_before.unwrap_or(at).max(at);
                    for dry in outcomes.iter().flat_map(RungOutcome::dry).filter(|dry| dry.until > ready) {
                        prop_assert!(dry.market == Market::Spot && rung.spot == 0 || dry.market == Market::OnDemand && rung.on_demand == 0);
                    }
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

#[test]
fn a_pool_is_counted_once_however_often_it_said_no() {
    let ladder = ladder(0, 2, false);
    let at = Timestamp::from_second(1_000_000).unwrap();
    let Climb::Ask(rung) = ladder.climb(&[]) else { panic!("nothing is asked") };
    let named = |subnet: &str| {
        let mut outcome = outcome(&rung, 0, 0, FaultKind::Capacity, at);
        for pool in &mut outcome.refused {
            (pool.instance_type, pool.subnet) = (Some("m7i.large".into()), Some(SubnetId::new(subnet)));
        }
        outcome
    };
    let one = ["on-demand: InsufficientInstanceCapacity (1 pool)"];
    assert_eq!(reasons(&[named("subnet-a")]), one);
    assert_eq!(reasons(&[named("subnet-a"), named("subnet-a"), named("subnet-a")]), one);
    let two = reasons(&[named("subnet-a"), named("subnet-b"), named("subnet-a")]);
    assert_eq!(two, ["on-demand: InsufficientInstanceCapacity (2 pools)"]);
}
