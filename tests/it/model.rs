//! A small reference model against the real thing: random days of a fleet (verbs, kills, lost hosts, lost tags, leaps of the
//! clock, expired credentials, a second operator), shrunk to the shortest that goes wrong. `FLEETWRIGHT_MODEL=500` runs so
//! many days, `FLEETWRIGHT_MODEL_SEED` other ones (tests/crash/model.sh).

use crate::crash::kill;
use crate::env::{Cloud, IMAGE};
use crate::matrix::truth::{Things, assert_foreign_untouched, ours, peak, things};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::{Value, json};
use std::process::{Command, Output};

const SPEC: &str = "tests/specs/it/five.yaml";
const SPEED: u32 = 600;
/// Days of continuous integration.
const FEW: u32 = 6;
/// Most hosts that anybody asks for.
const MOST: usize = 6;

#[derive(Clone, Debug)]
enum Verb {
    Launch(usize),
    Scale(usize),
    Down,
}

#[derive(Clone, Debug)]
enum Event {
    /// A verb in peace.
    Do(Verb),
    /// A verb that is killed at its nth call, then the same again.
    Killed(Verb, u32, bool),
    /// A verb whose credentials expire after so many calls, then the same again.
    Expired(Verb, u32),
    /// Spot takes a host, or somebody ends it at the console.
    Lost(usize, bool),
    /// Somebody takes the fleet's tag off a host.
    Untagged(usize),
    /// Minutes in which nobody looks.
    Leap(u32),
    /// Another machine, with a state directory of its own, does it.
    Other(Verb),
}

fn verb() -> impl Strategy<Value = Verb> {
    prop_oneof![
        3 => (1..=MOST).prop_map(Verb::Launch),
        3 => (0..=MOST).prop_map(Verb::Scale),
        1 => Just(Verb::Down),
    ]
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        3 => verb().prop_map(Event::Do),
        5 => (verb(), 1..30_u32, any::<bool>()).prop_map(|(verb, call, after)| Event::Killed(verb, call, after)),
        2 => (verb(), 0..30_u32).prop_map(|(verb, calls)| Event::Expired(verb, calls)),
        2 => (0..MOST, any::<bool>()).prop_map(|(host, spot)| Event::Lost(host, spot)),
        1 => (0..MOST).prop_map(Event::Untagged),
        1 => (1..2000_u32).prop_map(Event::Leap),
        1 => verb().prop_map(Event::Other),
    ]
}

/// Whether a teardown says what it leaves: a host that lost our tag, or, where no journal knows it, that host's volume.
fn named(said: &str) -> bool {
    said.contains("it does not carry this fleet's tag") || said.contains("still there: volume")
}

/// A fleet and what is expected of it.
struct Day {
    cloud: Cloud,
    foreign: Things,
    /// Hosts that somebody took our tag off: nobody's business any more.
    untagged: Vec<String>,
    /// Whether another machine had its hands in it: from then on both take over what they find.
    shared: bool,
}

impl Day {
    fn command(&self, machine: &str, verb: &Verb) -> Command {
        let adopt: &[&str] = if self.shared { &["--adopt"] } else { &[] };
        let rest = ["--unattested", "--image", IMAGE, "--until", "running"];
        match verb {
            Verb::Launch(n) => self.cloud.cli(machine, &[&["launch", "-n", &n.to_string()], adopt, &rest].concat()),
            Verb::Scale(n) => self.cloud.cli(machine, &[&["scale", &n.to_string()], adopt, &rest].concat()),
            Verb::Down => self.cloud.cli(machine, &[&["down"], adopt].concat()),
        }
    }

    fn alive(&self) -> usize {
        self.cloud.live("five").len()
    }

    fn ended(output: &Output) -> (i32, String) {
        (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&output.stderr).into_owned())
    }

    /// The same command until it says that it is done, once more, and what must be true then.
    fn converges(&self, machine: &str, verb: &Verb) -> Result<(), TestCaseError> {
        let before = self.alive();
        let mut talk = Vec::new();
        let (mut good, mut resumed) = (0, 0);
        while good < 2 {
            let (code, said) = Self::ended(&self.command(machine, verb).output().unwrap());
            talk.push(format!("{verb:?}: exit {code}: {said}"));
            match code {
                0 => good += 1,
                // What somebody took the tag off is listed and stays.
                8 | 10 if matches!(verb, Verb::Down) && !self.untagged.is_empty() && named(&said) => good += 1,
                // Another run comes first, and is named.
                8 if resumed < 3 && said.contains("fleetwright resume") => {
                    resumed += 1;
                    let output = self.cloud.cli(machine, &["resume"]).output().unwrap();
                    let (code, said) = Self::ended(&output);
                    talk.push(format!("resume: exit {code}: {said}"));
                    prop_assert!(code == 0, "{}", talk.join("\n"));
                }
                _ => return Err(TestCaseError::fail(talk.join("\n"))),
            }
        }
        let after = self.alive();
        let right = match verb {
            // A resumed run may have brought it to its own size first.
            Verb::Launch(n) if resumed > 0 => after >= *n && after <= MOST,
            Verb::Launch(n) => after == before.max(*n) || after >= *n && after <= MOST && talk.len() > 2,
            Verb::Scale(n) => after == *n,
            Verb::Down => after == 0,
        };
        prop_assert!(right, "{verb:?}: {before} hosts before, {after} after\n{}", talk.join("\n"));
        if matches!(verb, Verb::Down) && self.untagged.is_empty() {
            let left = self.cloud.world()["launch_templates"].as_array().unwrap().len();
            prop_assert!(left == 0, "{left} launch templates are left\n{}", talk.join("\n"));
        }
        Ok(())
    }

    fn happens(&mut self, event: &Event) -> Result<(), TestCaseError> {
        match event {
            Event::Do(verb) => self.converges("laptop", verb)?,
            Event::Killed(verb, call, after) => {
                self.cloud.arm_nth("*", if *after { "after-commit" } else { "before-commit" }, *call);
                let mut child = self.command("laptop", verb).spawn().unwrap();
                self.cloud.held(&mut child);
                kill(&mut child);
                self.cloud.release();
                self.converges("laptop", verb)?;
            }
            Event::Expired(verb, calls) => {
                let expired = json!({ "action": "*", "skip": calls, "times": null,
                                      "do": { "error": { "code": "ExpiredToken", "status": 400 } } });
                self.cloud.control("POST", "faults", &json!({ "rules": [expired] }));
                let (code, said) = Self::ended(&self.command("laptop", verb).output().unwrap());
                prop_assert!(matches!(code, 0 | 5 | 8 | 10), "{verb:?}: exit {code}: {said}");
                self.cloud.control("POST", "faults", &json!({}));
                self.converges("laptop", verb)?;
            }
            Event::Lost(host, spot) => {
                let live = self.cloud.live("five");
                let Some(id) = live.get(host % live.len().max(1)) else { return Ok(()) };
                let world = self.cloud.world();
                let is_spot =
                    world["instances"].as_array().unwrap().iter().any(|i| i["id"] == *id && i["market"] == "spot");
                if *spot && is_spot {
                    self.cloud.control("POST", &format!("hosts/{id}"), &json!({ "do": "interrupt" }));
                    self.leap(3);
                } else {
                    self.cloud.ec2(&format!("Action=TerminateInstances&Version=2016-11-15&InstanceId.1={id}"));
                }
            }
            Event::Untagged(host) => {
                let live = self.cloud.live("five");
                let Some(id) = live.get(host % live.len().max(1)) else { return Ok(()) };
                self.cloud.ec2(&format!(
                    "Action=DeleteTags&Version=2016-11-15&ResourceId.1={id}&Tag.1.Key=fleetwright%3Afleet"
                ));
                self.untagged.push(id.clone());
            }
            Event::Leap(minutes) => self.leap(*minutes),
            Event::Other(verb) => {
                // One that finds the first one's work undone may not know what it would be.
                let status = self.cloud.cli("laptop", &["status"]).output().unwrap();
                let status: Value = serde_json::from_slice(&status.stdout).unwrap();
                if status["unfinished"] == json!([]) {
                    self.shared = true;
                    self.converges("desktop", verb)?;
                }
            }
        }
        self.holds()
    }

    fn leap(&self, minutes: u32) {
        self.cloud.control("POST", "clock", &json!({ "advance": format!("{minutes}m") }));
    }

    /// What is true at every moment.
    fn holds(&self) -> Result<(), TestCaseError> {
        let world = self.cloud.world();
        let now = things(&world);
        assert_foreign_untouched(&self.foreign, &now);
        let most = MOST + self.untagged.len();
        prop_assert!(peak(&self.cloud) <= most, "{} hosts lived at once", peak(&self.cloud));
        for id in &self.untagged {
            let state = &now[&("instances", id.clone())]["state"];
            prop_assert!(state == "running" || state == "pending", "{id} had lost its tag and is {state}");
        }
        if self.untagged.is_empty() {
            ours(&self.foreign, &now);
        }
        Ok(())
    }
}

fn lives(events: &[Event]) -> Result<(), TestCaseError> {
    let cloud = Cloud::start(SPEC, SPEED, &json!({}));
    let foreign = things(&cloud.world());
    let mut day = Day { cloud, foreign, untagged: Vec::new(), shared: false };
    for event in events {
        day.happens(event)?;
    }
    day.converges("laptop", &Verb::Down)?;
    day.holds()
}

#[test]
fn random_days_end_as_the_model_says() {
    let told = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let cases = told("FLEETWRIGHT_MODEL").map_or(FEW, |cases| u32::try_from(cases).unwrap());
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&told("FLEETWRIGHT_MODEL_SEED").unwrap_or(1).to_le_bytes());
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 60, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &seed));
    let days = prop::collection::vec(event(), 1..7);
    if let Err(error) = runner.run(&days, |events| lives(&events)) {
        panic!("{error}");
    }
}
