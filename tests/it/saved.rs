//! Saved plans: carried out as shown, once, and only while what they rest on still holds.

use crate::env::{Cloud, IMAGE, expect};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output};

const JOB: &str = "tests/specs/it/job.yaml";

struct Desk {
    cloud: Cloud,
    file: String,
}

impl Desk {
    /// A cloud, and a plan of `launch` with these flags in a file.
    fn new(more: &[&str]) -> Self {
        let cloud = Cloud::start(JOB, 600, &json!({}));
        let file = cloud.state("launch.plan").display().to_string();
        let desk = Self { cloud, file };
        desk.planned(more);
        desk
    }

    fn planned(&self, more: &[&str]) -> Output {
        let launch = ["plan", "launch", "--unattested", "--image", IMAGE, "--until", "running", "--out", &self.file];
        expect(&mut self.cloud.cli("laptop", &[&launch, more].concat()), 0)
    }

    fn apply(&self) -> Command {
        self.cloud.cli("laptop", &["launch", "--plan", &self.file])
    }

    /// Applies it, and demands that it is refused with these words.
    #[track_caller]
    fn refused(&self, command: &mut Command, code: i32, words: &str) {
        let before = self.cloud.ever_made();
        let talk = String::from_utf8_lossy(&expect(command, code).stderr).into_owned();
        assert!(talk.contains(words), "{words:?} was not said: {talk}");
        assert_eq!(self.cloud.ever_made(), before, "{talk}");
    }

    fn content(&self) -> String {
        std::fs::read_to_string(&self.file).unwrap()
    }
}

#[test]
fn what_was_shown_is_what_is_done_and_only_once() {
    let desk = Desk::new(&["-n", "3", "--set", "fleet.spot=50%"]);
    assert!(!desk.cloud.state("laptop").exists(), "a plan changes nothing");
    assert_eq!(std::fs::metadata(&desk.file).unwrap().permissions().mode() & 0o777, 0o600);
    // It can be looked at again before.
    let seen = expect(desk.apply().arg("--dry-run"), 0);
    let seen: Value = serde_json::from_slice(&seen.stdout).unwrap();
    let saved: Value = serde_json::from_str(&desk.content()).unwrap();
    assert_eq!(seen["plans"][0]["steps"], saved["plan"]["steps"]);
    // The flags and the `--set` that it was made with are in it.
    expect(&mut desk.apply(), 0);
    assert_eq!((desk.cloud.live("job").len(), desk.cloud.ever_made()), (3, 3));
    let shown = expect(&mut desk.cloud.cli("laptop", &["runs", "show", saved["run"].as_str().unwrap()]), 0);
    let shown: Value = serde_json::from_slice(&shown.stdout).unwrap();
    assert_eq!(shown["exit"], 0);
    // Nothing is missing: the same command again has nothing to do.
    expect(&mut desk.apply(), 0);
    assert_eq!(desk.cloud.ever_made(), 3);
    // What it launched is gone: the plan is used up.
    expect(&mut desk.cloud.cli("laptop", &["down"]), 0);
    desk.refused(&mut desk.apply(), 8, "has carried it out already");
}

#[test]
fn a_plan_that_no_longer_holds_is_refused_with_what_differs() {
    let desk = Desk::new(&[]);
    let mut spec = desk.apply();
    spec.env("FLEETWRIGHT_SET", "fleet.size=4\nfleet.expires=3h");
    desk.refused(&mut spec, 8, "fleet.expires was 12h, is 3h; fleet.size was 2, is 4");
    let mut account = desk.apply();
    account.env("FLEETWRIGHT_SET", "name=other");
    desk.refused(
        &mut account,
        8,
        "it is about 123456789012-us-east-1-job, the spec about 123456789012-us-east-1-other",
    );
    // One host has come since.
    let one = ["launch", "--unattested", "--image", IMAGE, "--until", "running", "-n", "1"];
    expect(&mut desk.cloud.cli("laptop", &[&one[..], &["--set", "fleet.accept.min=1"]].concat()), 0);
    desk.refused(&mut desk.apply(), 8, "0 hosts were there, 1 are now");
    // The hint is the command that plans it again.
    let talk = String::from_utf8_lossy(&expect(&mut desk.apply(), 8).stderr).into_owned();
    assert!(talk.contains(&format!("plan launch --unattested --image {IMAGE} --until running --out")), "{talk}");
}

#[test]
fn a_plan_of_yesterday_is_too_old() {
    let desk = Desk::new(&[]);
    desk.cloud.control("POST", "clock", &json!({ "advance": "25h" }));
    desk.refused(&mut desk.apply(), 8, "and holds for 24h");
}

#[test]
fn a_file_that_is_no_plan_of_this_verb_is_refused() {
    let desk = Desk::new(&[]);
    let good = desk.content();
    let longer = format!("{good}{}", " ".repeat(9 << 20));
    for (text, words) in [
        (good[..good.len() / 2].to_owned(), "it is no saved plan"),
        (String::new(), "it is no saved plan"),
        ("\0".repeat(100), "it is no saved plan"),
        ("[".repeat(100_000), "it is no saved plan"),
        (good.replace("\"version\": 1", "\"version\": 7"), "version 7"),
        (good.replace("m7i.large", "u-24tb1.metal"), "it was changed after it was written"),
        (longer, "it is longer than"),
    ] {
        std::fs::write(&desk.file, text).unwrap();
        desk.refused(&mut desk.apply(), 2, words);
    }
    std::fs::write(&desk.file, good).unwrap();
    let other = &mut desk.cloud.cli("laptop", &["feed", "--plan", &desk.file]);
    desk.refused(other, 2, "it is a plan of launch, not of feed");
    desk.refused(desk.apply().args(["-n", "7"]), 2, "cannot be used with");
    desk.refused(desk.apply().args(["--set", "fleet.size=7"]), 2, "can't be given again");
    let nowhere = &mut desk.cloud.cli("laptop", &["launch", "--plan", "/nowhere/plan"]);
    desk.refused(nowhere, 2, "/nowhere/plan");
    // What is made anew each time is not saved, nor is a row of verbs.
    for verb in [&["plan", "down", "--out"][..], &["plan", "extend", "1h", "--out"]] {
        let refused = &mut desk.cloud.cli("laptop", &[verb, &[desk.file.as_str()]].concat());
        desk.refused(refused, 2, "is made anew each time");
    }
    let unwritable = &mut desk.cloud.cli("laptop", &["plan", "feed", "--out", "/nowhere/plan"]);
    desk.refused(unwritable, 9, "write plan /nowhere/plan");
}

#[test]
fn a_plan_whose_process_was_killed_is_gone_on_with_by_the_same_command() {
    for point in ["before-commit", "after-commit"] {
        let desk = Desk::new(&[]);
        desk.cloud.arm("CreateFleet", point);
        let mut first = desk.apply().spawn().unwrap();
        assert!(desk.cloud.held(&mut first));
        first.kill().unwrap();
        first.wait().unwrap();
        desk.cloud.release();
        expect(&mut desk.apply(), 0);
        assert_eq!((desk.cloud.live("job").len(), desk.cloud.ever_made()), (2, 2), "{point}");
    }
    // So does `resume`, which reads the command line that the plan was made with.
    let desk = Desk::new(&[]);
    desk.cloud.arm("CreateFleet", "after-commit");
    let mut first = desk.apply().spawn().unwrap();
    assert!(desk.cloud.held(&mut first));
    first.kill().unwrap();
    first.wait().unwrap();
    desk.cloud.release();
    // Another plan is not carried out beside it.
    let other = desk.cloud.state("other.plan").display().to_string();
    expect(&mut desk.cloud.cli("laptop", &["plan", "feed", "--out", &other]), 0);
    expect(&mut desk.cloud.cli("laptop", &["feed", "--plan", &other]), 0);
    expect(&mut desk.cloud.cli("laptop", &["resume"]), 0);
    assert_eq!((desk.cloud.live("job").len(), desk.cloud.ever_made()), (2, 2));
}
