//! Tests of retries and waits on a clock that jumps.

use super::*;
use crate::event::{Event, Events, Sink, Stamped};
use crate::model::{Bucket, Fault, FaultKind};
use crate::time::manual::ManualClock;
use crate::time::{BoxFuture, Clock};
use jiff::{SignedDuration, Timestamp};
use std::cell::Cell;
use std::sync::{Arc, Mutex};
use std::time::Duration;

#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<Stamped>>>);

impl Sink for Heard {
    fn emit(&self, event: &Stamped) {
        self.0.lock().unwrap().push(event.clone());
    }
}

struct Bench {
    clock: Arc<dyn Clock>,
    heard: Heard,
    events: Events,
    cancel: Cancel,
    limits: Limits,
    jitter: Jitter,
}

impl Bench {
    fn new(clock: Arc<dyn Clock>, seed: u64) -> Self {
        let heard = Heard::default();
        let events = Events::new(clock.clone(), vec![Box::new(heard.clone())]);
        let limits = Limits::new(clock.clone(), |_| Bucket { holds: 1000, per_second: 10 }, |_| None);
        Self { clock, heard, events, cancel: Cancel::manual(), limits, jitter: Jitter::seeded(seed) }
    }

    fn quick() -> Self {
        Self::new(Arc::new(ManualClock::default()), 7)
    }

    fn cx(&self) -> Context<'_> {
        Context {
            clock: &*self.clock,
            events: &self.events,
            cancel: &self.cancel,
            limits: &self.limits,
            jitter: &self.jitter,
        }
    }

    fn heard(&self) -> Vec<Stamped> {
        self.heard.0.lock().unwrap().clone()
    }

    fn seconds_since(&self, start: Timestamp) -> f64 {
        self.clock.now().duration_since(start).as_secs_f64()
    }
}

fn fault(kind: FaultKind) -> Fault {
    Fault {
        kind,
        action: "RunInstances".to_owned(),
        code: "Code".to_owned(),
        message: "message".to_owned(),
        reason: "reason".to_owned(),
        request_id: None,
    }
}

/// A clock that stands still: whoever sleeps, sleeps until it is stopped.
struct Held;

impl Clock for Held {
    fn now(&self) -> Timestamp {
        Timestamp::constant(1_800_000_000, 0)
    }

    fn sleep_until(&self, _: Timestamp) -> BoxFuture<'_, ()> {
        Box::pin(std::future::pending())
    }
}

#[tokio::test]
async fn what_passes_is_tried_again_until_it_succeeds() {
    let bench = Bench::quick();
    let calls = Cell::new(0);
    let answer = retry(bench.cx(), "RunInstances", &Policy::default(), FaultKind::retryable, async || {
        calls.set(calls.get() + 1);
        if calls.get() < 4 { Err(fault(FaultKind::Server)) } else { Ok("i-1") }
    })
    .await;
    assert_eq!((answer, calls.get()), (Ok("i-1"), 4));
    let attempts: Vec<u32> = bench
        .heard()
        .into_iter()
        .map(|stamped| match stamped.event {
            Event::Retrying { attempt, .. } => attempt,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(attempts, [1, 2, 3]);
}

#[tokio::test]
async fn waits_are_jittered_below_a_doubling_limit_and_the_budget_is_kept() {
    for seed in 0..20 {
        let bench = Bench::new(Arc::new(ManualClock::default()), seed);
        let start = bench.clock.now();
        let last_try = Cell::new(start);
        let result: Result<(), _> =
            retry(bench.cx(), "RunInstances", &Policy::default(), FaultKind::retryable, async || {
                last_try.set(bench.clock.now());
                Err(fault(FaultKind::Server))
            })
            .await;
        assert_eq!(result, Err(fault(FaultKind::Server)));
        let tried_for = last_try.get().duration_since(start).as_secs_f64();
        assert!((560.0..=600.0).contains(&tried_for), "seed {seed}: tried for {tried_for} s");
        let longest = [1.0, 2.0, 4.0, 8.0, 16.0].into_iter().chain(std::iter::repeat(20.0));
        let (mut over_half, mut all) = (0, 0);
        for (stamped, longest) in bench.heard().iter().zip(longest) {
            let Event::Retrying { wait, .. } = &stamped.event else { panic!("{stamped:?}") };
            assert!(wait.as_secs_f64() <= longest, "{wait:?} > {longest}");
            over_half += u32::from(wait.as_secs_f64() > longest / 2.0);
            all += 1;
        }
        assert!((all / 4..=all * 3 / 4).contains(&over_half), "full jitter: {over_half} of {all} in the upper half");
    }
}

#[tokio::test]
async fn nobody_at_the_endpoint_is_no_outage_until_somebody_was_there() {
    let unreachable = || Fault { code: "unreachable".to_owned(), ..fault(FaultKind::Transport) };
    let bench = Bench::quick();
    let tried_for = async || {
        let start = bench.clock.now();
        let result: Result<(), _> =
            retry(bench.cx(), "DescribeInstances", &Policy::default(), FaultKind::retryable, async || {
                Err(unreachable())
            })
            .await;
        assert_eq!(result, Err(unreachable()));
        bench.seconds_since(start)
    };
    let never = tried_for().await;
    assert!((5.0..=30.0).contains(&never), "gave up after {never} s");
    let tries = bench.heard().len();
    assert!((3..20).contains(&tries), "{tries} tries");
    // A refusal is an answer too.
    let denied: Result<(), _> =
        retry(bench.cx(), "RunInstances", &Policy::default(), FaultKind::retryable, async || {
            Err(fault(FaultKind::Denied))
        })
        .await;
    assert_eq!(denied, Err(fault(FaultKind::Denied)));
    let outage = tried_for().await;
    assert!(outage > 500.0, "gave up an outage after {outage} s");
}

/// A machine that falls asleep whenever somebody waits, and wakes up a day later.
struct Lid(ManualClock);

impl Clock for Lid {
    fn now(&self) -> Timestamp {
        self.0.now()
    }

    fn sleep_until(&self, instant: Timestamp) -> BoxFuture<'_, ()> {
        self.0.sleep_until(instant + SignedDuration::from_hours(24))
    }
}

#[tokio::test]
async fn a_machine_that_slept_past_the_budget_does_not_try_again() {
    let bench = Bench::new(Arc::new(Lid(ManualClock::default())), 7);
    let calls = Cell::new(0);
    let result: Result<(), _> =
        retry(bench.cx(), "RunInstances", &Policy::default(), FaultKind::retryable, async || {
            calls.set(calls.get() + 1);
            Err(fault(FaultKind::Server))
        })
        .await;
    assert_eq!((result, calls.get()), (Err(fault(FaultKind::Server)), 1));
}

#[tokio::test]
async fn what_will_not_pass_is_tried_once() {
    for kind in [
        FaultKind::Capacity,
        FaultKind::Quota,
        FaultKind::Gone,
        FaultKind::Exists,
        FaultKind::Denied,
        FaultKind::Invalid,
        FaultKind::Interrupted,
    ] {
        let bench = Bench::quick();
        let calls = Cell::new(0);
        let result: Result<(), _> =
            retry(bench.cx(), "RunInstances", &Policy::default(), FaultKind::retryable, async || {
                calls.set(calls.get() + 1);
                Err(fault(kind))
            })
            .await;
        assert_eq!((result, calls.get(), bench.heard().len()), (Err(fault(kind)), 1, 0));
    }
}

#[tokio::test]
async fn the_caller_may_narrow_what_is_tried_again() {
    let bench = Bench::quick();
    let calls = Cell::new(0);
    let known_not_carried_out = |kind: FaultKind| kind.retryable() && !kind.outcome_unknown();
    let result: Result<(), _> =
        retry(bench.cx(), "RunInstances", &Policy::default(), known_not_carried_out, async || {
            calls.set(calls.get() + 1);
            Err(fault(if calls.get() == 1 { FaultKind::Throttled } else { FaultKind::Transport }))
        })
        .await;
    assert_eq!((result, calls.get()), (Err(fault(FaultKind::Transport)), 2));
}

#[tokio::test]
async fn a_throttle_slows_every_caller_of_the_action_and_no_other() {
    let bench = Bench::quick();
    let calls = Cell::new(0);
    retry(bench.cx(), "RunInstances", &Policy::default(), FaultKind::retryable, async || {
        calls.set(calls.get() + 1);
        if calls.get() == 1 { Err(fault(FaultKind::Throttled)) } else { Ok(()) }
    })
    .await
    .unwrap();
    assert!((bench.limits.pace("RunInstances") - 5.5).abs() < 1e-9, "halved, and one success given back");
    assert!((bench.limits.pace("DescribeInstances") - 10.0).abs() < 1e-9);
}

#[tokio::test]
async fn a_stop_between_two_tries_ends_the_retry_and_keeps_the_fault() {
    let bench = Bench::quick();
    let calls = Cell::new(0);
    let result: Result<(), _> =
        retry(bench.cx(), "RunInstances", &Policy::default(), FaultKind::retryable, async || {
            calls.set(calls.get() + 1);
            bench.cancel.raise(Level::StopStarting);
            Err(fault(FaultKind::Server))
        })
        .await;
    assert_eq!((result, calls.get()), (Err(fault(FaultKind::Server)), 1));
}

#[tokio::test]
async fn a_stop_ends_the_sleep_too() {
    let bench = Bench::new(Arc::new(Held), 7);
    let policy = Policy::default();
    let result: Result<(), _> = tokio::select! {
        result = retry(bench.cx(), "RunInstances", &policy, FaultKind::retryable, async || {
            Err(fault(FaultKind::Server))
        }) => result,
        () = async {
            while bench.heard().is_empty() {
                tokio::task::yield_now().await;
            }
            bench.cancel.signal(Signal::Interrupt);
            std::future::pending::<()>().await;
        } => unreachable!(),
    };
    assert_eq!(result, Err(fault(FaultKind::Server)));
    assert_eq!(bench.heard().len(), 1);
}

/// Plays the given answers; the last one repeats.
async fn play(
    bench: &Bench,
    patience: &Patience,
    answers: &[Result<Seen<u32>, Fault>],
) -> (Result<u32, WaitError>, usize) {
    let looks = Cell::new(0);
    let result = until(bench.cx(), "launch", patience, async || {
        let answer = answers[looks.get().min(answers.len() - 1)].clone();
        looks.set(looks.get() + 1);
        answer
    })
    .await;
    (result, looks.get())
}

fn patience(bench: &Bench) -> Patience {
    Patience::until(bench.clock.now() + SignedDuration::from_mins(10))
}

fn pending() -> Seen<u32> {
    Seen::NotYet(Progress { done: 3, total: Some(8), note: "5 pending".to_owned() })
}

#[tokio::test]
async fn three_good_answers_in_a_row_are_believed_and_a_bad_one_starts_again() {
    let good = |n| Ok(Seen::Good(n));
    let bench = Bench::quick();
    let (result, looks) =
        play(&bench, &patience(&bench), &[good(1), good(2), Ok(pending()), good(3), good(4), good(5)]).await;
    assert_eq!((result, looks), (Ok(5), 6));
    let bench = Bench::quick();
    let once = Patience { good_in_a_row: 1, ..patience(&bench) };
    assert_eq!(play(&bench, &once, &[good(1)]).await, (Ok(1), 1));
    assert_eq!(bench.clock.now(), Bench::quick().clock.now(), "no sleep after the last good answer");
}

#[tokio::test]
async fn a_look_that_fails_counts_neither_as_good_nor_as_bad() {
    let good = |n| Ok(Seen::Good(n));
    let lost = || Err(fault(FaultKind::Transport));
    let bench = Bench::quick();
    let (result, looks) = play(&bench, &patience(&bench), &[good(1), lost(), good(2), lost(), lost(), good(3)]).await;
    assert_eq!((result, looks), (Ok(3), 6));
    let bench = Bench::quick();
    let (result, _) = play(&bench, &patience(&bench), &[good(1), good(2), lost()]).await;
    assert!(matches!(result, Err(WaitError::Deadline { .. })), "{result:?}");
}

#[tokio::test]
async fn looks_come_further_and_further_apart_and_the_last_one_at_the_deadline() {
    let bench = Bench::quick();
    let start = bench.clock.now();
    let (result, looks) = play(&bench, &patience(&bench), &[Ok(pending())]).await;
    let error = result.unwrap_err();
    assert_eq!(error.to_string(), "wait any longer: the deadline has passed (3 of 8: 5 pending)");
    assert!((bench.seconds_since(start) - 600.0).abs() < 1e-6);
    let times: Vec<f64> = bench.heard().iter().map(|heard| heard.at.duration_since(start).as_secs_f64()).collect();
    assert_eq!(times.len(), looks, "each look is told");
    let gaps: Vec<f64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(gaps[..7], [2.0, 3.0, 4.5, 6.75, 10.125, 15.0, 15.0]);
    assert!(
        matches!(&bench.heard()[0].event, Event::StepProgress { step, done: 3, total: Some(8), note } if step == "launch" && note == "5 pending")
    );
}

#[tokio::test]
async fn what_can_not_happen_any_more_ends_the_wait_at_once() {
    let bench = Bench::quick();
    let (result, looks) =
        play(&bench, &patience(&bench), &[Ok(pending()), Ok(Seen::Never("state failed".to_owned()))]).await;
    assert_eq!((result, looks), (Err(WaitError::Never("state failed".to_owned())), 2));
    let bench = Bench::quick();
    let (result, looks) = play(&bench, &patience(&bench), &[Err(fault(FaultKind::Denied))]).await;
    assert_eq!((result, looks), (Err(WaitError::Blind(fault(FaultKind::Denied))), 1));
}

#[tokio::test]
async fn a_stop_ends_a_look_and_a_sleep() {
    let bench = Bench::quick();
    let patient = patience(&bench);
    let hanging = until(bench.cx(), "launch", &patient, std::future::pending::<Result<Seen<u32>, Fault>>);
    let stop = async {
        tokio::task::yield_now().await;
        bench.cancel.signal(Signal::Terminate);
        std::future::pending::<()>().await;
    };
    let result = tokio::select! { result = hanging => result, () = stop => unreachable!() };
    assert!(matches!(result, Err(WaitError::Cancelled { .. })));
    let (result, looks) = play(&bench, &patience(&bench), &[Ok(pending())]).await;
    assert!(matches!(result, Err(WaitError::Cancelled { .. })));
    assert_eq!(looks, 0, "nothing new is started");
    let held = Bench::new(Arc::new(Held), 7);
    let answers = [Ok(pending())];
    let sleeping = Patience::until(held.clock.now() + SignedDuration::from_mins(1));
    let result = tokio::select! {
        (result, _) = play(&held, &sleeping, &answers) => result,
        () = async {
            while held.heard().is_empty() {
                tokio::task::yield_now().await;
            }
            held.cancel.raise(Level::StopStarting);
            std::future::pending::<()>().await;
        } => unreachable!(),
    };
    assert!(matches!(result, Err(WaitError::Cancelled { last: Progress { done: 3, .. } })));
}

#[test]
fn the_same_seed_waits_the_same() {
    let waits = |seed| {
        let jitter = Jitter::seeded(seed);
        (0..5).map(|_| jitter.upto(Duration::from_secs(20))).collect::<Vec<_>>()
    };
    assert_eq!(waits(1), waits(1));
    assert_ne!(waits(1), waits(2));
}
