//! Tests of the verdict: each rule, and a queue whose counts lag, against the truth.

use super::*;
use crate::spec::fleet::{Counts, Ledger};
use proptest::prelude::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

/// The spec's defaults, with a ledger or without.
fn settings(ledger: bool) -> Done {
    Done {
        quiet: Duration::from_mins(3),
        samples: 5,
        poll: Duration::from_secs(15),
        stalled_after: Duration::from_mins(15),
        deadline: None,
        completed: ledger.then(|| Ledger { command: "wc -l < records".to_owned(), counts: Counts::New }),
    }
}

fn counts(second: i64, waiting: u64, in_flight: u64, delayed: u64) -> Sample {
    Sample { at: at(second), waiting: Some(waiting), in_flight: Some(in_flight), delayed: Some(delayed), dead: Some(0) }
}

fn look(second: i64, waiting: u64, in_flight: u64, delayed: u64) -> Look {
    Look { at: at(second), sample: Some(counts(second, waiting, in_flight, delayed)), fed: 100, completed: None }
}

/// Looks every 15 s, all zero.
fn zeros(from: i64, to: i64) -> Vec<Look> {
    (from..=to).step_by(15).map(|second| look(second, 0, 0, 0)).collect()
}

/// The last item was sent at second 0, and the feeder is closed.
fn judge(looks: &[Look], done: &Done) -> Verdict {
    let feeder = Feeder { feeding: Feeding::Closed, items: 100, total: Some(100), last_send: Some(at(0)) };
    judge_fed(looks, done, feeder)
}

fn judge_fed(looks: &[Look], done: &Done, feeder: Feeder) -> Verdict {
    let now = looks.last().map_or(at(0), |look| look.at);
    verdict(
        &Seen { feeder, looks, dead_before: Some(0), completed_before: Some(0), fed_by: None, started: at(-600), now },
        done,
    )
}

fn working(verdict: &Verdict) -> &str {
    match verdict {
        Verdict::Working { outlook, .. } => outlook,
        other => panic!("{other:?}"),
    }
}

#[test]
fn done_needs_the_whole_quiet_time_after_the_last_send_has_settled() {
    let done = settings(false);
    assert_eq!(working(&judge(&zeros(0, 45), &done)), "settling: empty, but counts are not reliable yet");
    assert_eq!(working(&judge(&zeros(0, 90), &done)), "settling: empty for 3 of 5 looks, 30 of 180 s");
    assert_eq!(working(&judge(&zeros(0, 225), &done)), "settling: empty for 5 of 5 looks, 165 of 180 s");
    assert_eq!(judge(&zeros(0, 240), &done), Verdict::Done { ok: 100 });
}

#[test]
fn few_looks_prove_nothing_however_long_they_took() {
    let done = settings(false);
    let sparse: Vec<Look> = [60, 120, 180, 300].map(|second| look(second, 0, 0, 0)).into();
    working(&judge(&sparse, &done));
    let once_asked = Done { samples: 0, quiet: Duration::ZERO, ..settings(false) };
    working(&judge(&zeros(60, 75), &once_asked));
    assert_eq!(judge(&zeros(60, 90), &once_asked), Verdict::Done { ok: 100 }, "never less than two polls");
}

#[test]
fn anything_but_a_fresh_zero_starts_the_quiet_time_again() {
    let done = settings(false);
    let unknown = Look { sample: Some(Sample { delayed: None, ..counts(150, 0, 0, 0) }), ..look(150, 0, 0, 0) };
    let failed = Look { sample: None, ..look(150, 0, 0, 0) };
    let stale = Look { sample: Some(counts(100, 0, 0, 0)), ..look(150, 0, 0, 0) };
    let repeated = Look { sample: Some(counts(135, 0, 0, 0)), ..look(150, 0, 0, 0) };
    for spoilt in [look(150, 1, 0, 0), look(150, 0, 1, 0), look(150, 0, 0, 1), unknown, failed, stale, repeated] {
        let mut looks = zeros(60, 330);
        looks[6] = spoilt.clone();
        working(&judge(&looks[..looks.len() - 1], &done));
        working(&judge(&looks, &done));
        looks.extend(zeros(345, 345));
        assert_eq!(judge(&looks, &done), Verdict::Done { ok: 100 }, "{spoilt:?}");
    }
}

#[test]
fn an_old_answer_is_no_evidence_now() {
    let done = settings(false);
    let looks = zeros(60, 240);
    let feeder = Feeder { feeding: Feeding::Closed, items: 100, total: None, last_send: Some(at(0)) };
    let seen = |now| Seen {
        feeder,
        looks: &looks,
        dead_before: Some(0),
        completed_before: Some(0),
        fed_by: None,
        started: at(0),
        now: at(now),
    };
    assert_eq!(verdict(&seen(270), &done), Verdict::Done { ok: 100 });
    working(&verdict(&seen(271), &done));
}

#[test]
fn an_open_feeder_is_never_done() {
    let feeder = Feeder { feeding: Feeding::Open, items: 100, total: Some(200), last_send: Some(at(0)) };
    let verdict = judge_fed(&zeros(0, 840), &settings(false), feeder);
    assert_eq!(working(&verdict), "filling: 100 fed, 0 waiting, 0 in flight, 0 delayed");
}

#[test]
fn a_delayed_item_that_appears_after_two_zero_reads_is_not_missed() {
    let done = settings(false);
    let mut looks = zeros(60, 75);
    assert_eq!(working(&judge(&looks, &done)), "settling: empty for 2 of 5 looks, 15 of 180 s");
    looks.push(look(90, 1, 0, 0));
    assert_eq!(working(&judge(&looks, &done)), "working: 1 waiting, 0 in flight, 0 delayed");
    looks.push(look(105, 0, 1, 0));
    assert_eq!(working(&judge(&looks, &done)), "draining: 0 waiting, 1 in flight, 0 delayed");
    looks.extend(zeros(120, 285));
    working(&judge(&looks, &done));
    looks.extend(zeros(300, 300));
    assert_eq!(judge(&looks, &done), Verdict::Done { ok: 100 });
}

fn ended(dead: Option<u64>, completed: Option<u64>, ledger: bool) -> Verdict {
    let mut looks = zeros(60, 240);
    for look in &mut looks {
        look.completed = completed;
        if let Some(sample) = &mut look.sample {
            sample.dead = dead;
        }
    }
    judge(&looks, &settings(ledger))
}

#[test]
fn the_ledger_and_the_dead_letter_queue_account_for_every_item() {
    assert_eq!(ended(Some(0), Some(100), true), Verdict::Done { ok: 100 });
    assert_eq!(ended(Some(3), None, false), Verdict::DoneWithFailures { ok: 97, failed: 3 });
    assert_eq!(ended(Some(3), Some(97), true), Verdict::DoneWithFailures { ok: 97, failed: 3 });
    assert_eq!(ended(Some(3), Some(96), true), Verdict::Unaccounted { missing: 1, ok: 96, failed: 3 });
    assert_eq!(ended(Some(0), Some(99), true), Verdict::Unaccounted { missing: 1, ok: 99, failed: 0 });
    assert_eq!(ended(Some(0), Some(0), true), Verdict::Unaccounted { missing: 100, ok: 0, failed: 0 });
    let unknown = "the queue is empty, but what became of its items is not known yet";
    assert_eq!(working(&ended(None, Some(100), true)), unknown, "dead letters are unknown, not none");
    assert_eq!(working(&ended(Some(0), None, true)), unknown, "the ledger is unknown, not complete");
}

#[test]
fn results_of_before_the_first_item_prove_nothing() {
    let judge = |count: u64, before: Option<u64>, dead: u64| {
        let mut looks = zeros(60, 240);
        for look in &mut looks {
            look.completed = Some(count);
            if let Some(sample) = &mut look.sample {
                sample.dead = Some(dead);
            }
        }
        let feeder = Feeder { feeding: Feeding::Closed, items: 100, total: None, last_send: Some(at(0)) };
        let seen = Seen {
            feeder,
            looks: &looks,
            dead_before: Some(0),
            completed_before: before,
            fed_by: None,
            started: at(0),
            now: at(240),
        };
        verdict(&seen, &settings(true))
    };
    assert_eq!(judge(350, Some(350), 0), Verdict::Unaccounted { missing: 100, ok: 0, failed: 0 });
    assert_eq!(judge(449, Some(350), 0), Verdict::Unaccounted { missing: 1, ok: 99, failed: 0 });
    assert_eq!(judge(450, Some(350), 0), Verdict::Done { ok: 100 });
    assert_eq!(judge(447, Some(350), 3), Verdict::DoneWithFailures { ok: 97, failed: 3 });
    assert_eq!(judge(450, Some(350), 3), Verdict::DoneWithFailures { ok: 100, failed: 3 }, "both done and given up on");
    for (count, before, why) in [
        (451, Some(350), "101 items completed of 100 that were fed"),
        (349, Some(350), "results were taken away"),
        (450, None, "nobody knows how many of them are older"),
        (100, None, "nobody knows how many of them are older"),
    ] {
        let verdict = judge(count, before, 0);
        assert!(matches!(&verdict, Verdict::Unproven { failed: 0, why: said } if said.contains(why)), "{verdict:?}");
    }
}

#[test]
fn dead_letters_of_earlier_jobs_are_not_ours() {
    let looks = zeros(60, 240);
    let feeder = Feeder { feeding: Feeding::Closed, items: 100, total: None, last_send: Some(at(0)) };
    let seen = Seen {
        feeder,
        looks: &looks,
        dead_before: Some(7),
        completed_before: Some(0),
        fed_by: None,
        started: at(0),
        now: at(240),
    };
    assert_eq!(verdict(&seen, &settings(false)), Verdict::Done { ok: 100 });
    let without = Seen { dead_before: None, ..seen };
    assert_eq!(verdict(&without, &settings(false)), Verdict::Done { ok: 100 });
}

#[test]
fn what_stands_still_is_stalled_and_said_why() {
    let done = settings(false);
    let standing = |waiting, in_flight, to: i64| -> Vec<Look> {
        (0..=to).step_by(15).map(|second| look(second, waiting, in_flight, 0)).collect()
    };
    working(&judge(&standing(5, 0, 885), &done));
    let Verdict::Stalled { why } = judge(&standing(5, 0, 900), &done) else { panic!("not stalled") };
    assert_eq!(why, "5 items are waiting and no worker takes them");
    let Verdict::Stalled { why } = judge(&standing(3, 2, 900), &done) else { panic!("not stalled") };
    assert!(why.starts_with("2 items are in flight and none is finished"), "{why}");
    // Items that go round and round are no progress.
    let churn: Vec<Look> =
        (0..=900).step_by(15).map(|s| look(s, u64::from(s % 30 == 0), u64::from(s % 30 != 0), 0)).collect();
    assert!(matches!(judge(&churn, &done), Verdict::Stalled { .. }));
}

#[test]
fn progress_delay_and_idleness_are_no_stall() {
    let done = settings(false);
    let slow: Vec<Look> = (0..=3600).step_by(15).map(|s| look(s, u64::try_from(50 - s / 600).unwrap(), 1, 0)).collect();
    working(&judge(&slow, &done));
    let delayed: Vec<Look> = (0..=3600).step_by(15).map(|s| look(s, 0, 0, 4)).collect();
    assert_eq!(working(&judge(&delayed, &done)), "draining: 0 waiting, 0 in flight, 4 delayed");
    let mut appeared = delayed;
    appeared.push(look(3615, 4, 0, 0));
    working(&judge(&appeared, &done));
    let open = Feeder { feeding: Feeding::Open, items: 100, total: None, last_send: Some(at(0)) };
    working(&judge_fed(&zeros(0, 3600), &done, open));
    let giving_up: Vec<Look> = (0..=3600)
        .step_by(15)
        .map(|s| {
            let sample = Sample { dead: Some(u64::try_from(s / 600).unwrap()), ..counts(s, 9, 1, 0) };
            Look { sample: Some(sample), completed: Some(90), ..look(s, 0, 0, 0) }
        })
        .collect();
    working(&judge(&giving_up, &settings(true)));
}

#[test]
fn a_dead_fleet_under_an_open_feeder_is_a_stall() {
    let filling: Vec<Look> = (0..=900)
        .step_by(15)
        .map(|s| Look { fed: u64::try_from(s).unwrap(), ..look(s, u64::try_from(s).unwrap(), 0, 0) })
        .map(|look| Look {
            fed: look.fed + 5,
            sample: look.sample.map(|s| Sample { waiting: s.waiting.map(|w| w + 5), ..s }),
            ..look
        })
        .collect();
    let feeder = Feeder { feeding: Feeding::Open, items: 100, total: None, last_send: Some(at(900)) };
    assert!(matches!(judge_fed(&filling, &settings(false), feeder), Verdict::Stalled { .. }));
}

#[test]
fn blindness_is_said_and_never_taken_for_an_end() {
    let done = settings(false);
    let mut looks = zeros(60, 225);
    looks.extend((240..=1110).step_by(15).map(|s| Look { sample: None, ..look(s, 0, 0, 0) }));
    assert_eq!(working(&judge(&looks, &done)), "the queue could not be read");
    looks.push(Look { sample: None, ..look(1125, 0, 0, 0) });
    assert_eq!(judge(&looks, &done), Verdict::Blind { since: Some(at(225)) });
    let never: Vec<Look> = (-585..=300).step_by(15).map(|s| Look { sample: None, ..look(s, 0, 0, 0) }).collect();
    assert_eq!(judge(&never, &done), Verdict::Blind { since: None });
    working(&judge(&never[..never.len() - 1], &done));
    assert_eq!(working(&judge(&[], &done)), "not looked yet");
}

#[test]
fn a_feed_that_nobody_goes_on_with_is_never_done() {
    let done = settings(false);
    let stopped = |total| Feeder { feeding: Feeding::Stopped, items: 40, total, last_send: Some(at(0)) };
    let busy = [look(60, 3, 1, 0)];
    assert_eq!(
        working(&judge_fed(&busy, &done, stopped(Some(100)))),
        "nobody feeds the rest: 100 fed, 3 waiting, 1 in flight, 0 delayed"
    );
    let empty: Vec<Look> = zeros(60, 240).into_iter().map(|look| Look { fed: 40, ..look }).collect();
    working(&judge_fed(&empty[..empty.len() - 1], &done, stopped(Some(100))));
    let why = "the queue is empty, but only 40 of 100 items were fed and nobody feeds the rest".to_owned();
    assert_eq!(judge_fed(&empty, &done, stopped(Some(100))), Verdict::Stalled { why });
    let why = "the queue is empty, but nothing was fed and nobody feeds it".to_owned();
    assert_eq!(judge_fed(&empty, &done, stopped(None)), Verdict::Stalled { why });
}

#[test]
fn a_suspended_laptop_or_a_clock_that_was_set_proves_nothing() {
    let done = settings(false);
    let hour = 3600;
    // Four zeros, an hour's sleep, one zero: five looks over more than the quiet time, but nobody watched it.
    let mut looks = zeros(60, 105);
    looks.extend(zeros(105 + hour, 105 + hour));
    assert_eq!(working(&judge(&looks, &done)), "settling: empty for 5 of 5 looks, 75 of 180 s");
    looks.extend(zeros(120 + hour, 210 + hour));
    assert_eq!(judge(&looks, &done), Verdict::Done { ok: 100 });
    // The same item in flight before and after: a stall needs the whole patience under somebody's eyes.
    let mut flight: Vec<Look> = (0..=60).step_by(15).map(|s| look(s, 0, 1, 0)).collect();
    flight.push(look(60 + hour, 0, 1, 0));
    working(&judge(&flight, &done));
    // The network is slower to wake up than we are.
    flight.extend((1..=3).map(|n| Look { sample: None, ..look(60 + hour + 15 * n, 0, 0, 0) }));
    working(&judge(&flight[..flight.len()], &done));
    let mut asleep = zeros(60, 105);
    asleep.push(Look { sample: None, ..look(105 + hour, 0, 0, 0) });
    assert_eq!(working(&judge(&asleep, &done)), "the queue could not be read");
    // Set back by an hour in the middle: the zeros from then on count.
    let mut set_back = zeros(60 + hour, 105 + hour);
    set_back.extend(zeros(60, 225));
    working(&judge(&set_back, &done));
    set_back.extend(zeros(240, 270));
    assert_eq!(judge(&set_back, &done), Verdict::Done { ok: 100 });
}

#[test]
fn dead_letters_are_counted_against_a_moving_ground() {
    let judge = |dead: &dyn Fn(i64) -> u64| {
        let mut looks = zeros(60, 300);
        for look in &mut looks {
            let second = look.at.as_second() - at(0).as_second();
            if let Some(sample) = &mut look.sample {
                sample.dead = Some(dead(second));
            }
        }
        let feeder = Feeder { feeding: Feeding::Closed, items: 100, total: None, last_send: Some(at(0)) };
        let seen = Seen {
            feeder,
            looks: &looks,
            dead_before: Some(7),
            completed_before: Some(0),
            fed_by: None,
            started: at(0),
            now: at(300),
        };
        verdict(&seen, &settings(false))
    };
    assert_eq!(judge(&|_| 7), Verdict::Done { ok: 100 });
    assert_eq!(judge(&|_| 10), Verdict::DoneWithFailures { ok: 97, failed: 3 });
    // The last look misses some: approximate counts do that, dead letters don't come back to life.
    assert_eq!(judge(&|s| if s == 300 { 7 } else { 10 }), Verdict::DoneWithFailures { ok: 97, failed: 3 });
    // One look that misses some is no reason to count those of before.
    assert_eq!(judge(&|s| if s == 150 { 2 } else { 7 }), Verdict::Done { ok: 100 });
    // Somebody emptied the queue, and three of ours came after that.
    assert_eq!(judge(&|s| if s < 200 { 0 } else { 3 }), Verdict::DoneWithFailures { ok: 97, failed: 3 });
    assert_eq!(judge(&|_| 0), Verdict::Done { ok: 100 });
}

#[test]
fn every_source_that_was_fed_has_to_be_accounted_for() {
    let mut looks = zeros(60, 240);
    for look in &mut looks {
        (look.fed, look.completed) = (250, Some(120));
    }
    let feeder = Feeder { feeding: Feeding::Closed, items: 150, total: Some(250), last_send: Some(at(0)) };
    let verdict = judge_fed(&looks, &settings(true), feeder);
    assert_eq!(verdict, Verdict::Unaccounted { missing: 30, ok: 120, failed: 0 });
}

#[test]
fn the_deadline_ends_work_but_not_what_is_done() {
    let done = Done { deadline: Some(Duration::from_mins(14)), ..settings(false) };
    let busy: Vec<Look> = (0..=240).step_by(15).map(|s| look(s, 300 - u64::try_from(s).unwrap(), 1, 0)).collect();
    let outlook = "working: 60 waiting, 1 in flight, 0 delayed".to_owned();
    assert_eq!(judge(&busy, &done), Verdict::Deadline { outlook });
    working(&judge(&busy[..busy.len() - 1], &done));
    assert_eq!(judge(&zeros(0, 240), &done), Verdict::Done { ok: 100 });
}

#[test]
fn the_time_left_counts_what_is_still_to_be_fed() {
    let done = settings(false);
    let looks: Vec<Look> =
        (0..40).map(|n| Look { fed: 100 + 30 * n, ..look(15 * i64::try_from(n).unwrap(), 90, 10, 0) }).collect();
    let feeder = |feeding, total| Feeder { feeding, items: 100, total, last_send: Some(at(0)) };
    let eta = |feeder| match judge_fed(&looks, &done, feeder) {
        Verdict::Working { eta, .. } => eta,
        other => panic!("{other:?}"),
    };
    assert_eq!(eta(feeder(Feeding::Closed, None)), Some(SignedDuration::from_secs(50)));
    assert_eq!(eta(feeder(Feeding::Open, Some(100 + 30 * 39 + 60))), Some(SignedDuration::from_secs(80)));
    assert_eq!(eta(feeder(Feeding::Open, None)), None);
}

/// Where one item is at each time; each stay lasts at least one poll.
#[derive(Clone, Debug)]
struct Life {
    delayed: i64,
    /// (waiting, in flight) times; each but the last delivery fails.
    deliveries: Vec<(i64, i64)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Delayed,
    Waiting,
    InFlight,
}

impl Life {
    /// Sent at second 0.
    fn at(&self, second: i64) -> Option<Place> {
        let mut left = second;
        if left < 0 {
            return None;
        }
        for (place, stay) in std::iter::once((Place::Delayed, self.delayed)).chain(
            self.deliveries
                .iter()
                .flat_map(|(waiting, flight)| [(Place::Waiting, *waiting), (Place::InFlight, *flight)]),
        ) {
            if left < stay {
                return Some(place);
            }
            left -= stay;
        }
        None
    }
}

fn life() -> impl Strategy<Value = Life> {
    let delayed = prop_oneof![Just(0), 15_i64..900];
    (delayed, proptest::collection::vec((15_i64..300, 15_i64..300), 1..4))
        .prop_map(|(delayed, deliveries)| Life { delayed, deliveries })
}

proptest! {
    /// Each count lags by its own time, up to the quiet time less one poll: nothing is called done while an item is not.
    #[test]
    fn never_done_while_an_item_is_unfinished(
        lives in proptest::collection::vec(life(), 1..5),
        lag in [0_i64..=165, 0_i64..=165, 0_i64..=165],
        phase in 0_i64..15,
        holes in proptest::collection::vec(any::<proptest::sample::Index>(), 0..3),
    ) {
        let done = settings(false);
        let counted = |place: Place, lag: i64, second: i64| {
            lives.iter().filter(|life| life.at(second - lag) == Some(place)).count() as u64
        };
        let mut looks: Vec<Look> = Vec::new();
        let mut is_done = false;
        for second in (phase..5400).step_by(15) {
            looks.push(look(
                second,
                counted(Place::Waiting, lag[0], second),
                counted(Place::InFlight, lag[1], second),
                counted(Place::Delayed, lag[2], second),
            ));
            if holes.iter().any(|hole| hole.index(360) == looks.len()) {
                looks.last_mut().unwrap().sample = None;
            }
            let empty = looks.last().and_then(|look| look.sample.as_ref()).is_some_and(Sample::empty);
            if empty && matches!(judge(&looks, &done), Verdict::Done { .. }) {
                let unfinished = lives.iter().filter(|life| life.at(second).is_some()).count();
                prop_assert_eq!(unfinished, 0, "called done at second {}", second);
                is_done = true;
                break;
            }
        }
        prop_assert!(is_done, "what is finished is called done in the end");
    }
}
