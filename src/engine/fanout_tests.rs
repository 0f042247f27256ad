//! Tests of the fan-out: every host once, stops that hold, isolation.

use super::*;
use crate::event::{Sink, Stamped};
use crate::model::{Address, InstanceId};
use crate::plan::waves::MaxFail;
use crate::time::SystemClock;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<Event>>>);

impl Sink for Seen {
    fn emit(&self, event: &Stamped) {
        self.0.lock().unwrap().push(event.event.clone());
    }
}

impl Seen {
    fn events(&self) -> Events {
        Events::new(Arc::new(SystemClock), vec![Box::new(self.clone())])
    }

    /// Starts and ends by slot.
    fn pairs(&self) -> BTreeMap<u32, (u32, u32)> {
        let mut pairs: BTreeMap<u32, (u32, u32)> = BTreeMap::new();
        for event in self.0.lock().unwrap().iter() {
            match event {
                Event::HostStarted { host } => pairs.entry(host.slot).or_default().0 += 1,
                Event::HostFinished { report } => pairs.entry(report.host.slot).or_default().1 += 1,
                other => panic!("{other:?}"),
            }
        }
        pairs
    }
}

fn hosts(count: u32) -> Vec<Host> {
    let host = |slot| {
        let address = Address { host: "h".into(), port: 22 };
        Host { slot, id: InstanceId::new(format!("i-{slot}")), address, user: "ada".into() }
    };
    (0..count).map(host).collect()
}

fn report(host: Host, result: HostResult) -> HostReport {
    HostReport {
        host,
        result,
        stage: None,
        cause: None,
        exit_status: None,
        output: String::new(),
        took: Duration::ZERO,
    }
}

fn block<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn run(count: u32, plan: &Waves, seen: &Seen, result: fn(u32) -> HostResult) -> FanReport {
    let work = move |host: Host, mut lane: Lane| async move {
        lane.connected().await;
        tokio::task::yield_now().await;
        let result = result(host.slot);
        report(host, result)
    };
    block(fan_out(hosts(count), plan, &Lanes::new(4), CancellationToken::new(), &seen.events(), work))
}

#[test]
fn a_bad_canary_saves_the_rest() {
    let seen = Seen::default();
    let plan = Waves::plan(40, 1, MaxFail::Percent(50));
    let fan = run(40, &plan, &seen, |_| HostResult::Unreachable);
    assert_eq!((fan.count(HostResult::Unreachable), fan.count(HostResult::Skipped)), (1, 39));
    assert_eq!(fan.stopped, Some(Stop::Canary));
    assert!(seen.pairs().values().all(|pair| *pair == (1, 1)));
}

#[test]
fn too_many_bad_hosts_stop_the_run() {
    let plan = Waves::plan(400, 0, MaxFail::Count(3));
    let fan =
        run(400, &plan, &Seen::default(), |slot| if slot % 2 == 0 { HostResult::Refused } else { HostResult::Ok });
    assert_eq!(fan.stopped, Some(Stop::TooMany { allowed: 3 }));
    assert!(fan.bad() >= 4 && fan.bad() <= 4 + 16, "{} bad: those under way may end", fan.bad());
    assert!(fan.count(HostResult::Skipped) > 300);
}

#[test]
fn a_panic_is_one_failed_host() {
    let seen = Seen::default();
    let plan = Waves::plan(5, 0, MaxFail::Percent(100));
    let fan = run(5, &plan, &seen, |slot| if slot == 2 { panic!("a bug") } else { HostResult::Changed });
    assert_eq!((fan.count(HostResult::Changed), fan.count(HostResult::Failed)), (4, 1));
    assert_eq!(fan.reports[2].result, HostResult::Failed);
    assert!(seen.pairs().values().all(|pair| *pair == (1, 1)));
}

#[test]
fn cancelling_lets_those_under_way_end() {
    let (seen, cancel) = (Seen::default(), CancellationToken::new());
    let stop = cancel.clone();
    let work = move |host: Host, mut lane: Lane| {
        let stop = stop.clone();
        async move {
            lane.connected().await;
            stop.cancel();
            tokio::task::yield_now().await;
            report(host, HostResult::Ok)
        }
    };
    let plan = Waves::plan(100, 0, MaxFail::Count(0));
    let fan = block(fan_out(hosts(100), &plan, &Lanes::new(1), cancel, &seen.events(), work));
    assert_eq!(fan.stopped, Some(Stop::Cancelled));
    assert_eq!(fan.count(HostResult::Ok) + fan.count(HostResult::Skipped), 100);
    assert!(fan.count(HostResult::Ok) >= 1 && fan.count(HostResult::Skipped) >= 90);
}

#[test]
fn a_dropped_run_emits_the_missing_ends() {
    let seen = Seen::default();
    block(async {
        let work = |_: Host, _: Lane| std::future::pending();
        let plan = Waves::plan(3, 0, MaxFail::Count(0));
        let (lanes, events) = (Lanes::new(9), seen.events());
        let fan = fan_out(hosts(3), &plan, &lanes, CancellationToken::new(), &events, work);
        assert!(tokio::time::timeout(Duration::from_millis(20), fan).await.is_err());
        tokio::task::yield_now().await;
    });
    assert_eq!(seen.pairs(), BTreeMap::from([(0, (1, 1)), (1, (1, 1)), (2, (1, 1))]));
}

#[test]
fn no_more_than_parallel_work_at_once_while_more_connect() {
    let (working, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (now, top) = (Arc::clone(&working), Arc::clone(&most));
    let work = move |host: Host, mut lane: Lane| {
        let (now, top) = (Arc::clone(&now), Arc::clone(&top));
        async move {
            lane.connected().await;
            top.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            for _ in 0..5 {
                tokio::task::yield_now().await;
            }
            now.fetch_sub(1, Ordering::SeqCst);
            report(host, HostResult::Ok)
        }
    };
    let plan = Waves::plan(50, 0, MaxFail::Count(0));
    let fan =
        block(fan_out(hosts(50), &plan, &Lanes::new(3), CancellationToken::new(), &Seen::default().events(), work));
    assert_eq!(fan.count(HostResult::Ok), 50);
    assert_eq!(most.load(Ordering::SeqCst), 3);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn every_host_has_one_report_and_one_pair_of_events(
        count in 0u32..60, canary in 0usize..4, percent in 0u8..=100, seed in any::<u32>(),
    ) {
        let seen = Seen::default();
        let plan = Waves::plan(count as usize, canary, MaxFail::Percent(percent));
        let work = move |host: Host, mut lane: Lane| async move {
            lane.connected().await;
            let result = if (host.slot ^ seed).is_multiple_of(7) { HostResult::Failed } else { HostResult::Ok };
            report(host, result)
        };
        let fan = block(fan_out(hosts(count), &plan, &Lanes::new(3), CancellationToken::new(), &seen.events(), work));
        prop_assert_eq!(fan.reports.len(), count as usize);
        prop_assert!(fan.reports.iter().enumerate().all(|(i, report)| report.host.slot as usize == i));
        prop_assert_eq!(seen.pairs().len(), count as usize);
        prop_assert!(seen.pairs().values().all(|pair| *pair == (1, 1)));
        if fan.stopped.is_none() {
            prop_assert_eq!(fan.count(HostResult::Skipped), 0);
            prop_assert!(fan.bad() <= plan.allowed);
        }
    }
}
