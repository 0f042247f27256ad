//! The promise: SIGKILL before or after each of launch's and down's calls, the same command again, and there are exactly N
//! hosts and no orphan.

use crate::env::{Cloud, expect};
use serde_json::{Value, json};

const SPEC: &str = "tests/specs/it/five.yaml";
const N: usize = 5;
/// World seconds per second: the waits of both verbs take a few minutes of world time.
const SPEED: u32 = 120;

pub(crate) fn kill(child: &mut std::process::Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

/// One cell of the matrix for `launch`: killed at its `call`th call. False when it makes fewer calls.
fn launch_cell(call: u32, point: &str) -> bool {
    let cloud = Cloud::start(SPEC, SPEED, &json!({})).leaping();
    cloud.arm_nth("*", point, call);
    let mut first = cloud.launch("laptop").spawn().unwrap();
    if !cloud.held(&mut first) {
        return false;
    }
    kill(&mut first);
    cloud.release();
    expect(&mut cloud.launch("laptop"), 0);
    assert_eq!(cloud.live("five").len(), N, "call {call} {point}");
    assert_eq!(cloud.ever_made(), N, "call {call} {point}: nothing was launched twice and ended again");
    assert_eq!(cloud.world()["launch_templates"].as_array().unwrap().len(), 1, "call {call} {point}");
    // Nothing is left to do.
    expect(&mut cloud.launch("laptop"), 0);
    assert_eq!(cloud.ever_made(), N);
    cloud.assert_decoys_untouched();
    true
}

/// One cell of the matrix for `down`.
fn down_cell(call: u32, point: &str) -> bool {
    let cloud = Cloud::start(SPEC, SPEED, &json!({})).leaping();
    expect(&mut cloud.launch("laptop"), 0);
    cloud.arm_nth("*", point, call);
    let mut first = cloud.cli("laptop", &["down"]).spawn().unwrap();
    if !cloud.held(&mut first) {
        return false;
    }
    kill(&mut first);
    cloud.release();
    expect(&mut cloud.cli("laptop", &["down"]), 0);
    assert_eq!(cloud.live("five").len(), 0, "call {call} {point}");
    assert_eq!(cloud.world()["launch_templates"], json!([]), "call {call} {point}");
    cloud.assert_decoys_untouched();
    true
}

/// Runs the cells of every call, before and after its commit at the same time, until the verb makes no more calls.
pub(crate) fn cells(cell: fn(u32, &str) -> bool, at_least: u32) {
    for call in 1..200 {
        let more = std::thread::scope(|scope| {
            let before = scope.spawn(move || cell(call, "before-commit"));
            let after = cell(call, "after-commit");
            before.join().unwrap() && after
        });
        if !more {
            assert!(call > at_least, "the verb made only {call} calls");
            return;
        }
    }
    panic!("the verb makes more calls than anybody can test");
}

#[test]
fn launch_is_killed_at_each_of_its_calls() {
    cells(launch_cell, 8);
}

#[test]
fn down_is_killed_at_each_of_its_calls() {
    cells(down_cell, 10);
}

#[test]
fn a_killed_teardown_is_not_what_the_next_one_goes_on_with() {
    for point in ["before-commit", "after-commit"] {
        let cloud = Cloud::start(SPEC, SPEED, &json!({}));
        expect(&mut cloud.launch("laptop"), 0);
        cloud.arm("TerminateInstances", point);
        let mut first = cloud.cli("laptop", &["down"]).spawn().unwrap();
        assert!(cloud.held(&mut first));
        kill(&mut first);
        cloud.release();
        expect(&mut cloud.cli("laptop", &["down"]), 0);
        assert_eq!(cloud.live("five").len(), 0, "{point}");
        let resumed = expect(&mut cloud.cli("laptop", &["resume"]), 0);
        let answer: Value = serde_json::from_slice(&resumed.stdout).unwrap();
        assert_eq!(answer["run"], Value::Null, "{point}: no run is unfinished: {answer}");
        // Its steps are all finished, but these hosts are none of its business.
        expect(&mut cloud.launch("laptop"), 0);
        assert_eq!(cloud.live("five").len(), N, "{point}");
        expect(&mut cloud.cli("laptop", &["down"]), 0);
        assert_eq!(cloud.live("five").len(), 0, "{point}");
    }
}

#[test]
fn a_dry_run_goes_on_with_nothing() {
    let cloud = Cloud::start(SPEC, SPEED, &json!({}));
    cloud.arm("CreateFleet", "before-commit");
    let mut first = cloud.launch("laptop").spawn().unwrap();
    assert!(cloud.held(&mut first));
    kill(&mut first);
    cloud.release();
    let before = cloud.calls("CreateFleet").len();
    let dry = expect(cloud.launch("laptop").arg("--dry-run"), 0);
    let plan = String::from_utf8_lossy(&dry.stdout);
    assert!(plan.contains("it would be gone on with, from "), "{plan}");
    expect(&mut cloud.cli("laptop", &["resume", "--dry-run"]), 0);
    assert_eq!((cloud.ever_made(), cloud.calls("CreateFleet").len()), (0, before));
    expect(&mut cloud.launch("laptop"), 0);
    assert_eq!(cloud.live("five").len(), N);
    // Nor does it end what a new plan would take the place of.
    cloud.arm("TerminateInstances", "before-commit");
    let mut down = cloud.cli("laptop", &["down"]).spawn().unwrap();
    assert!(cloud.held(&mut down));
    kill(&mut down);
    cloud.release();
    expect(&mut cloud.cli("laptop", &["down", "--dry-run"]), 0);
    assert_eq!(cloud.live("five").len(), N);
    let status = expect(&mut cloud.cli("laptop", &["status"]), 0);
    assert!(String::from_utf8_lossy(&status.stdout).contains("\"verb\": \"down\""));
}

#[test]
fn under_lag_the_stored_token_and_body_are_sent_again() {
    let cloud = Cloud::start(SPEC, 200, &json!({ "lag_seconds": 300 }));
    cloud.killed_after_the_launch(N);
    let before = cloud.calls("CreateFleet").len();
    expect(&mut cloud.launch("laptop"), 0);
    let calls = cloud.calls("CreateFleet");
    assert!(calls.len() > before, "the stored call was sent again");
    for call in &calls {
        assert_eq!(call["client_token"], calls[0]["client_token"]);
        assert_eq!(call["body_sha256"], calls[0]["body_sha256"]);
        assert!(!call["client_token"].as_str().unwrap().is_empty());
    }
    assert_eq!(cloud.ever_made(), N);
    // The survey still can't see every host: the journal knows them.
    expect(&mut cloud.launch("laptop"), 0);
    assert_eq!(cloud.ever_made(), N);
    expect(&mut cloud.cli("laptop", &["down"]), 0);
    assert_eq!(cloud.live("five").len(), 0);
}

#[test]
fn down_after_a_killed_launch_finds_what_nobody_wrote_down() {
    let cloud = Cloud::start(SPEC, 200, &json!({ "lag_seconds": 120 }));
    cloud.killed_after_the_launch(N);
    let launches = cloud.calls("CreateFleet").len();
    expect(&mut cloud.cli("laptop", &["down"]), 0);
    assert_eq!(cloud.live("five").len(), 0);
    assert_eq!(cloud.calls("CreateFleet").len(), launches, "a teardown never replays a launch");
    cloud.assert_decoys_untouched();
    // And the next campaign starts from nothing.
    expect(&mut cloud.launch("laptop"), 0);
    assert_eq!(cloud.live("five").len(), N);
}

#[test]
fn an_answer_that_is_cut_is_never_taken_for_success() {
    for kind in ["cut", "cut-clean", "garble", "reset"] {
        let rule = |action: &str| json!({ "action": action, "times": 1, "point": "after-commit", "do": kind });
        let rules = ["CreateLaunchTemplate", "CreateFleet", "TerminateInstances", "DescribeInstances"].map(rule);
        let cloud = Cloud::start(SPEC, SPEED, &json!({ "rules": rules }));
        expect(&mut cloud.launch("laptop"), 0);
        assert_eq!(cloud.live("five").len(), N, "{kind}");
        assert_eq!(cloud.ever_made(), N, "{kind}");
        assert_eq!(cloud.calls("CreateFleet").len(), 2, "{kind}");
        expect(&mut cloud.cli("laptop", &["down"]), 0);
        assert_eq!(cloud.live("five").len(), 0, "{kind}");
    }
}

#[test]
fn two_machines_that_launch_at_once_converge() {
    for _ in 0..4 {
        let cloud = Cloud::start(SPEC, SPEED, &json!({}));
        let mut machines = ["laptop", "desktop"].map(|machine| cloud.launch(machine).spawn().unwrap());
        let codes = machines.each_mut().map(|child| child.wait().unwrap().code());
        assert!(codes.iter().all(|code| *code == Some(0)), "{codes:?}");
        assert_eq!(cloud.live("five").len(), N);
        assert_eq!(cloud.ever_made(), N);
    }
}

#[test]
fn every_host_is_born_with_our_tags_and_safe_settings() {
    let cloud = Cloud::start(SPEC, SPEED, &json!({}));
    expect(&mut cloud.launch("laptop"), 0);
    let world = cloud.world();
    let hosts: Vec<&Value> = world["instances"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|i| i["tags"]["fleetwright:fleet"] == "five" && i["owner"] != "decoy")
        .collect();
    assert_eq!(hosts.len(), N);
    for host in &hosts {
        for tag in ["fleetwright:epoch", "fleetwright:intent", "fleetwright:expires", "Name"] {
            assert!(host["tags"][tag].as_str().is_some_and(|value| !value.is_empty()), "{tag} of {host}");
        }
    }
    assert_eq!(hosts.iter().filter(|host| host["market"] == "spot").count(), 3);
    let template = &cloud.calls("CreateLaunchTemplate")[0]["parameters"];
    let parameter = |name: &str| template[format!("LaunchTemplateData.{name}")].as_str().map(str::to_owned);
    assert_eq!(parameter("MetadataOptions.HttpTokens").as_deref(), Some("required"));
    assert_eq!(parameter("MetadataOptions.HttpPutResponseHopLimit").as_deref(), Some("1"));
    assert_eq!(parameter("BlockDeviceMapping.1.Ebs.Encrypted").as_deref(), Some("true"));
    assert_eq!(parameter("BlockDeviceMapping.1.Ebs.DeleteOnTermination").as_deref(), Some("true"));
    assert_eq!(parameter("InstanceInitiatedShutdownBehavior").as_deref(), Some("terminate"));
}

#[test]
fn interrupted_once_it_stops_resumably() {
    let cloud = Cloud::start(SPEC, SPEED, &json!({}));
    cloud.arm("CreateFleet", "after-commit");
    let mut child = cloud.launch("laptop").spawn().unwrap();
    assert!(cloud.held(&mut child));
    let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(100));
    cloud.release();
    let output = child.wait_with_output().unwrap();
    let talk = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(130), "{talk}");
    assert!(talk.contains("resume") && talk.contains("down"), "{talk}");
    expect(&mut cloud.cli("laptop", &["resume"]), 0);
    assert_eq!(cloud.live("five").len(), N);
    assert_eq!(cloud.ever_made(), N);
}

#[test]
fn a_second_verb_is_refused_while_the_first_holds_the_fleet() {
    let cloud = Cloud::start(SPEC, SPEED, &json!({}));
    cloud.arm("CreateFleet", "before-commit");
    let mut child = cloud.launch("laptop").spawn().unwrap();
    assert!(cloud.held(&mut child));
    let output = expect(&mut cloud.cli("laptop", &["down"]), 7);
    assert!(String::from_utf8_lossy(&output.stderr).contains("launch"));
    cloud.release();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(cloud.state("laptop").exists());
}

#[test]
fn interrupted_three_times_it_leaves_at_once_and_loses_nothing() {
    let cloud = Cloud::start(SPEC, SPEED, &json!({}));
    cloud.arm("CreateFleet", "after-commit");
    let mut child = cloud.launch("laptop").spawn().unwrap();
    assert!(cloud.held(&mut child));
    let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
    for _ in 0..3 {
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    // Its call is still held: nothing but the interruption ends it.
    assert_eq!(child.wait().unwrap().code(), Some(130));
    cloud.release();
    expect(&mut cloud.launch("laptop"), 0);
    assert_eq!(cloud.live("five").len(), N);
    assert_eq!(cloud.ever_made(), N);
}
