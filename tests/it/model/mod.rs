//! A small reference model against the real thing: random days of a fleet, of single instances or in its own group (verbs,
//! kills, lost hosts, lost tags, lost journals, leaps of time and wrong clocks, expired credentials, a second operator), shrunk
//! to the shortest that goes wrong. `FLEETWRIGHT_MODEL=500` runs so many days, `FLEETWRIGHT_MODEL_SEED` other ones
//! (tests/crash/model.sh).

mod day;

use day::Day;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

/// Days of continuous integration.
const FEW: u32 = 6;
/// Most hosts that anybody asks for.
const MOST: usize = 6;

/// What hosts are in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Instances,
    Group,
}

/// A host, by a number that is taken modulo those that live.
type Host = usize;

#[derive(Clone, Debug)]
enum Verb {
    Launch(usize),
    Scale(usize),
    Down,
    /// All hosts give way to new ones, one at a time.
    Renew,
    /// `protect` or `quarantine`, on or off.
    Mark(&'static str, Host, bool),
    Extend,
}

#[derive(Clone, Debug)]
enum Event {
    /// A verb in peace.
    Do(Verb),
    /// A verb that is killed at its nth call, then the same again.
    Killed(Verb, u32, bool),
    /// A verb that is killed, then another one.
    Abandoned(Verb, u32, bool),
    /// A verb whose credentials expire after so many calls, then the same again.
    Expired(Verb, u32),
    /// Spot takes a host, or somebody ends it at the console.
    Lost(Host, bool),
    /// Somebody takes the fleet's tag off a host.
    Untagged(Host),
    /// Minutes in which nobody looks.
    Leap(u32),
    /// The laptop's clock is wrong by so many minutes from now on.
    Wrong(i32),
    /// Another machine, with a state directory of its own, does it.
    Other(Verb),
    /// The laptop loses its journals.
    Forgotten,
}

fn verb() -> impl Strategy<Value = Verb> {
    prop_oneof![
        6 => (1..=MOST).prop_map(Verb::Launch),
        6 => (0..=MOST).prop_map(Verb::Scale),
        3 => Just(Verb::Down),
        2 => Just(Verb::Renew),
        3 => (prop_oneof![Just("protect"), Just("quarantine")], 0..MOST, any::<bool>())
            .prop_map(|(mark, host, on)| Verb::Mark(mark, host, on)),
        1 => Just(Verb::Extend),
    ]
}

/// Minutes that a clock may be wrong, either way. AWS refuses what is signed by one that is more than five minutes off "in
/// most cases" (IAM user guide, signing of requests), STS at fifteen: nobody gets any further with one that is hours off.
fn minutes() -> impl Strategy<Value = i32> {
    -15..=15_i32
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        3 => verb().prop_map(Event::Do),
        5 => (verb(), 1..40_u32, any::<bool>()).prop_map(|(verb, call, after)| Event::Killed(verb, call, after)),
        2 => (verb(), 1..40_u32, any::<bool>()).prop_map(|(verb, call, after)| Event::Abandoned(verb, call, after)),
        2 => (verb(), 0..40_u32).prop_map(|(verb, calls)| Event::Expired(verb, calls)),
        2 => (0..MOST, any::<bool>()).prop_map(|(host, spot)| Event::Lost(host, spot)),
        1 => (0..MOST).prop_map(Event::Untagged),
        1 => (1..2000_u32).prop_map(Event::Leap),
        2 => minutes().prop_map(Event::Wrong),
        1 => verb().prop_map(Event::Other),
        1 => Just(Event::Forgotten),
    ]
}

fn lives(mode: Mode, events: &[Event]) -> Result<(), TestCaseError> {
    let mut day = Day::begins(mode);
    for event in events {
        day.happens(event)?;
    }
    day.ends()
}

#[test]
fn random_days_end_as_the_model_says() {
    let told = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let cases = told("FLEETWRIGHT_MODEL").map_or(FEW, |cases| u32::try_from(cases).unwrap());
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&told("FLEETWRIGHT_MODEL_SEED").unwrap_or(1).to_le_bytes());
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 60, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &seed));
    let mode = prop_oneof![2 => Just(Mode::Instances), 1 => Just(Mode::Group)];
    let days = (mode, prop::collection::vec(event(), 1..8));
    if let Err(error) = runner.run(&days, |(mode, events)| lives(mode, &events)) {
        panic!("{error}");
    }
}
