//! One day: the real thing, what is expected of it, and what must be true of it at every moment.

use super::{Event, Host, MOST, Mode, Verb};
use crate::crash::kill;
use crate::env::{Cloud, IMAGE};
use crate::matrix::truth::{Things, assert_foreign_untouched, ours, peak, things};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::process::{Command, Output};

/// World seconds per second, beside the leaps to what is waited for.
const SPEED: u32 = 1;
/// No verb takes longer than this, world time, whatever the clocks say: accepting what came, quiet and a few tries.
const LONGEST: SignedDuration = SignedDuration::from_hours(2);

/// A fleet and what is expected of it.
pub(super) struct Day {
    cloud: Cloud,
    mode: Mode,
    foreign: Things,
    /// Hosts that somebody took our tag off: nobody's business any more.
    untagged: Vec<String>,
    /// Whether journals do not know all: from then on everybody takes over what it finds.
    shared: bool,
    /// Hosts that were ever in quarantine: another one may have come for each.
    aside: usize,
    /// Minutes that the laptop's clock is wrong.
    wrong: i32,
}

/// A verb with the host that it is about, so that the same again is the same.
struct Order<'a> {
    machine: &'a str,
    verb: Verb,
    arguments: Vec<String>,
}

/// Whether a teardown says what it leaves: a host that lost our tag, or, where no journal knows it, that host's volume.
fn named(said: &str) -> bool {
    said.contains("it does not carry this fleet's tag") || said.contains("still there: volume")
}

fn ended(output: &Output) -> (i32, String) {
    (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&output.stderr).into_owned())
}

impl Day {
    pub(super) fn begins(mode: Mode) -> Self {
        let spec = match mode {
            Mode::Instances => "tests/specs/it/five.yaml",
            Mode::Group => "tests/specs/it/group.yaml",
        };
        let cloud = Cloud::start(spec, SPEED, &json!({})).leaping();
        let foreign = things(&cloud.world());
        Self { cloud, mode, foreign, untagged: Vec::new(), shared: false, aside: 0, wrong: 0 }
    }

    pub(super) fn ends(&mut self) -> Result<(), TestCaseError> {
        for host in self.live() {
            if !host["tags"]["fleetwright:protect"].is_null() {
                let id = host["id"].as_str().unwrap();
                self.converges(&self.about("laptop", Verb::Mark("protect", 0, false), id))?;
            }
        }
        if let Some(down) = self.order("laptop", &Verb::Down) {
            self.converges(&down)?;
        }
        self.holds()
    }

    /// Our hosts, by ground truth.
    fn live(&self) -> Vec<Value> {
        let name = match self.mode {
            Mode::Instances => "five",
            Mode::Group => "crew",
        };
        let ids = self.cloud.live(name);
        let world = self.cloud.world();
        let all = world["instances"].as_array().unwrap().iter();
        all.filter(|host| ids.iter().any(|id| host["id"] == id.as_str())).cloned().collect()
    }

    fn chosen(&self, host: Host) -> Option<Value> {
        let mut live = self.live();
        if live.is_empty() { None } else { Some(live.swap_remove(host % live.len())) }
    }

    /// Hosts that take one of the fleet's places: in its group all of them, else those that are not in quarantine.
    fn placed(&self) -> Vec<Value> {
        let mut live = self.live();
        live.retain(|host| self.mode == Mode::Group || host["tags"]["fleetwright:quarantine"].is_null());
        live
    }

    fn protected(hosts: &[Value]) -> usize {
        hosts.iter().filter(|host| !host["tags"]["fleetwright:protect"].is_null()).count()
    }

    /// The order for a verb; none where there is no host that it could be about.
    fn order<'a>(&self, machine: &'a str, verb: &Verb) -> Option<Order<'a>> {
        let id = match verb {
            Verb::Mark(_, host, _) => self.chosen(*host)?["id"].as_str().unwrap().to_owned(),
            Verb::Launch(_) | Verb::Scale(_) | Verb::Down | Verb::Renew | Verb::Extend => String::new(),
        };
        Some(self.about(machine, verb.clone(), &id))
    }

    fn about<'a>(&self, machine: &'a str, verb: Verb, id: &str) -> Order<'a> {
        let new = ["--unattested", "--image", IMAGE, "--until", "running"];
        let mut words: Vec<&str> = Vec::new();
        let n = match verb {
            Verb::Launch(n) | Verb::Scale(n) => n.to_string(),
            Verb::Down | Verb::Renew | Verb::Mark(..) | Verb::Extend => String::new(),
        };
        match &verb {
            Verb::Launch(_) => words.extend([&["launch", "-n", &n][..], &new].concat()),
            Verb::Scale(_) => words.extend([&["scale", &n][..], &new].concat()),
            Verb::Down => words.push("down"),
            Verb::Renew => words.extend([&["recycle", "now", "--surge", "1"][..], &new].concat()),
            Verb::Mark(mark, _, true) => words.extend([mark, id]),
            Verb::Mark(mark, _, false) => words.extend([mark, id, "--off"]),
            Verb::Extend => words.extend(["extend", "1h"]),
        }
        if self.shared && matches!(verb, Verb::Launch(_) | Verb::Scale(_) | Verb::Down) {
            words.push("--adopt");
        }
        Order { machine, arguments: words.into_iter().map(str::to_owned).collect(), verb }
    }

    fn on(&self, machine: &str, arguments: &[&str]) -> Command {
        let mut command = self.cloud.cli(machine, arguments);
        if machine == "laptop" && self.wrong != 0 {
            let clock = &self.cloud.env()["FLEETWRIGHT_CLOCK"];
            command.env("FLEETWRIGHT_CLOCK", format!("{clock}?off={}m", self.wrong));
        }
        command
    }

    fn command(&self, order: &Order<'_>) -> Command {
        self.on(order.machine, &order.arguments.iter().map(String::as_str).collect::<Vec<_>>())
    }

    fn now(&self) -> Timestamp {
        let clock: Value = serde_json::from_str(&self.cloud.control("GET", "clock", &Value::Null)).unwrap();
        clock["now"].as_str().unwrap().parse().unwrap()
    }

    /// Runs it to its end, which comes in time.
    fn run(&self, command: &mut Command, talk: &mut Vec<String>) -> Result<(i32, String), TestCaseError> {
        let begun = self.now();
        let (code, said) = ended(&command.output().unwrap());
        let took = self.now().duration_since(begun);
        let arguments: Vec<_> = command.get_args().skip(8).collect();
        talk.push(format!("{arguments:?}: exit {code} after {took:#}: {said}"));
        prop_assert!(took < LONGEST, "it took too long\n{}", talk.join("\n"));
        Ok((code, said))
    }

    /// The same command until it says that it is done, once more, and what must be true then.
    fn converges(&self, order: &Order<'_>) -> Result<(), TestCaseError> {
        self.settle();
        let (before, verb) = (self.placed(), &order.verb);
        let mut talk = Vec::new();
        let (mut good, mut resumed, mut adopted) = (0, 0, false);
        while good < 2 {
            let (code, said) = self.run(&mut self.command(order), &mut talk)?;
            let held = Self::protected(&self.live());
            match code {
                0 => good += 1,
                // What somebody took the tag off is listed and stays.
                8 | 10 if matches!(verb, Verb::Down) && !self.untagged.is_empty() && named(&said) => good += 1,
                10 if matches!(verb, Verb::Down) && held > 0 && said.contains("left running") => good += 1,
                2 if self.nothing_for(order, &said) => good += 1,
                // A group is ended whole or not at all.
                8 if matches!(verb, Verb::Down)
                    && self.mode == Mode::Group
                    && said.contains("carries fleetwright:protect") =>
                {
                    good += 1;
                }
                8 if matches!(verb, Verb::Scale(n) if *n < held) && said.contains("are protected") => good += 1,
                // What only one host or the group's end is about takes over nothing by itself.
                8 if self.shared && !adopted && said.contains("fleetwright adopt") => {
                    adopted = true;
                    let (code, _) = self.run(&mut self.on(order.machine, &["adopt"]), &mut talk)?;
                    prop_assert!(code == 0, "{}", talk.join("\n"));
                }
                // What the other machine launched a moment ago is not seen yet, and it was asked for another number.
                8 if self.shared && said.contains("another machine may be running this campaign") && talk.len() < 3 => {
                    self.leap(6);
                }
                // Another run comes first, and is named.
                8 if resumed < 3 && said.contains("fleetwright resume") => {
                    resumed += 1;
                    let (code, _) = self.run(&mut self.on(order.machine, &["resume"]), &mut talk)?;
                    prop_assert!(code == 0 || code == 10 && held > 0, "{}", talk.join("\n"));
                }
                _ => return Err(TestCaseError::fail(talk.join("\n"))),
            }
        }
        self.settle();
        let after = self.placed();
        let (was, is, held) = (before.len(), after.len(), Self::protected(&after));
        let right = match verb {
            // A resumed run may have brought it to its own size first.
            Verb::Launch(n) if resumed > 0 => is >= *n && is <= MOST,
            Verb::Launch(n) => is == was.max(*n) || is >= *n && is <= MOST && talk.len() > 2,
            Verb::Scale(n) => is == *n.max(&held) || is >= *n && held > *n,
            Verb::Down if self.mode == Mode::Group && held > 0 => is == was || resumed > 0,
            Verb::Down => self.live().len() == Self::protected(&self.live()),
            Verb::Renew | Verb::Mark("quarantine", ..) => is <= MOST,
            Verb::Mark(..) if self.ends_unkept(order) => is < was,
            Verb::Mark(..) | Verb::Extend => is == was || resumed > 0,
        };
        prop_assert!(right, "{verb:?}: {was} hosts before, {is} after, {held} protected\n{}", talk.join("\n"));
        if let Verb::Mark(mark, _, on) = verb {
            let marked = |host: &Value| {
                host["id"] == order.arguments[1].as_str() && host["tags"][format!("fleetwright:{mark}")].is_string()
            };
            prop_assert_eq!(self.live().iter().any(marked), *on, "{}", talk.join("\n"));
        }
        if matches!(verb, Verb::Down) && self.untagged.is_empty() {
            let world = self.cloud.world();
            let left = |kind: &str| world[kind].as_array().unwrap().len();
            let groups = left("groups");
            prop_assert!(left("launch_templates") == 0 || held > 0, "launch templates are left\n{}", talk.join("\n"));
            prop_assert!(groups == 0 || held > 0, "{groups} groups are left\n{}", talk.join("\n"));
        }
        Ok(())
    }

    /// Whether a verb rightly says that what it is about is not there.
    fn nothing_for(&self, order: &Order<'_>, said: &str) -> bool {
        match order.verb {
            Verb::Renew => self.placed().is_empty() && said.contains("fleetwright launch"),
            Verb::Mark(..) => self.ends_unkept(order) && said.contains("fleetwright status"),
            Verb::Launch(_) | Verb::Scale(_) | Verb::Down | Verb::Extend => false,
        }
    }

    /// Whether a host is gone that nobody keeps any more: its group, which wants none, ended it at once.
    fn ends_unkept(&self, order: &Order<'_>) -> bool {
        let gone = || self.live().iter().all(|host| host["id"] != order.arguments[1].as_str());
        self.mode == Mode::Group && matches!(order.verb, Verb::Mark(_, _, false)) && gone()
    }

    /// Time for a group to do what it does by itself.
    fn settle(&self) {
        if self.mode == Mode::Group {
            self.leap(15);
        }
    }

    /// Starts it and kills it at its nth call; it may end before that.
    fn killed(&self, order: &Order<'_>, call: u32, after: bool) {
        self.cloud.arm_nth("*", if after { "after-commit" } else { "before-commit" }, call);
        let mut child = self.command(order).spawn().unwrap();
        self.cloud.held(&mut child);
        kill(&mut child);
        self.cloud.release();
    }

    pub(super) fn happens(&mut self, event: &Event) -> Result<(), TestCaseError> {
        match event {
            Event::Do(verb) => {
                let Some(order) = self.order("laptop", verb) else { return Ok(()) };
                self.begun(verb);
                self.converges(&order)?;
            }
            Event::Killed(verb, call, after) => {
                let Some(order) = self.order("laptop", verb) else { return Ok(()) };
                self.begun(verb);
                self.killed(&order, *call, *after);
                self.converges(&order)?;
            }
            Event::Abandoned(verb, call, after) => {
                let Some(order) = self.order("laptop", verb) else { return Ok(()) };
                self.begun(verb);
                self.killed(&order, *call, *after);
            }
            Event::Expired(verb, calls) => {
                let Some(order) = self.order("laptop", verb) else { return Ok(()) };
                self.begun(verb);
                let expired = json!({ "action": "*", "skip": calls, "times": null,
                                      "do": { "error": { "code": "ExpiredToken", "status": 400 } } });
                self.cloud.control("POST", "faults", &json!({ "rules": [expired] }));
                let (code, said) = ended(&self.command(&order).output().unwrap());
                let nothing = code == 2 && self.nothing_for(&order, &said);
                prop_assert!(nothing || matches!(code, 0 | 5 | 8 | 10), "{verb:?}: exit {code}: {said}");
                self.cloud.control("POST", "faults", &json!({}));
                self.converges(&order)?;
            }
            Event::Lost(host, spot) => {
                let Some(host) = self.chosen(*host) else { return Ok(()) };
                let id = host["id"].as_str().unwrap();
                if *spot && host["market"] == "spot" {
                    self.cloud.control("POST", &format!("hosts/{id}"), &json!({ "do": "interrupt" }));
                    self.leap(3);
                } else {
                    self.cloud.ec2(&format!("Action=TerminateInstances&Version=2016-11-15&InstanceId.1={id}"));
                }
            }
            // A group goes on by what it made, whatever its tags say.
            Event::Untagged(_) if self.mode == Mode::Group => {}
            Event::Untagged(host) => {
                let Some(host) = self.chosen(*host) else { return Ok(()) };
                let id = host["id"].as_str().unwrap().to_owned();
                self.cloud.ec2(&format!(
                    "Action=DeleteTags&Version=2016-11-15&ResourceId.1={id}&Tag.1.Key=fleetwright%3Afleet"
                ));
                self.untagged.push(id);
                // A launch of five minutes ago is counted without being seen, by a clock that may be set back.
                self.leap(36);
            }
            Event::Leap(minutes) => self.leap(*minutes),
            Event::Wrong(minutes) => self.wrong = *minutes,
            Event::Other(verb) => {
                // One that finds the first one's work undone may not know what it would be.
                let status = self.on("laptop", &["status"]).output().unwrap();
                let status: Value = serde_json::from_slice(&status.stdout).unwrap();
                if status["unfinished"] == json!([]) {
                    self.shared = true;
                    let Some(order) = self.order("desktop", verb) else { return Ok(()) };
                    self.begun(verb);
                    self.converges(&order)?;
                }
            }
            Event::Forgotten => {
                std::fs::remove_dir_all(self.cloud.state("laptop")).unwrap_or_default();
                self.shared = true;
            }
        }
        self.holds()
    }

    fn begun(&mut self, verb: &Verb) {
        self.aside += usize::from(matches!(verb, Verb::Mark("quarantine", _, true)));
    }

    fn leap(&self, minutes: u32) {
        self.cloud.control("POST", "clock", &json!({ "advance": format!("{minutes}m") }));
    }

    /// What is true at every moment.
    fn holds(&self) -> Result<(), TestCaseError> {
        let world = self.cloud.world();
        let now = things(&world);
        assert_foreign_untouched(&self.foreign, &now);
        // One more where hosts give way one at a time.
        let most = MOST + 1 + self.untagged.len() + self.aside;
        match self.mode {
            Mode::Instances => prop_assert!(peak(&self.cloud) <= most, "{} hosts lived at once", peak(&self.cloud)),
            // A group is one more while it evens out its zones, and makes hosts by itself.
            Mode::Group => prop_assert!(self.live().len() <= most + 1, "{} hosts live", self.live().len()),
        }
        for id in &self.untagged {
            let state = &now[&("instances", id.clone())]["state"];
            prop_assert!(state == "running" || state == "pending", "{id} had lost its tag and is {state}");
        }
        if self.untagged.is_empty() && self.mode == Mode::Instances {
            ours(&self.foreign, &now);
        }
        Ok(())
    }
}
