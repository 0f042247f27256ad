//! Doubt: calls whose outcome nobody knows, tokens that are forgotten, looks that lag. Nothing is launched twice, nothing is
//! called gone that is not.

use crate::env::{Cloud, IMAGE, expect, talk, until};
use serde_json::{Value, json};

const SPEC: &str = "tests/specs/it/five.yaml";
const N: usize = 5;

fn faults(cloud: &Cloud, script: &Value) {
    cloud.control("POST", "faults", script);
}

fn later(cloud: &Cloud, span: &str) {
    cloud.control("POST", "clock", &json!({ "advance": span }));
}

fn error(action: &str, times: Option<u32>, code: &str, status: u16) -> Value {
    json!({ "action": action, "times": times, "do": { "error": { "code": code, "status": status } } })
}

/// Runs the command, kills it once EC2 has carried out its call of this action, and lets the answer go.
fn killed_after(cloud: &Cloud, action: &str, mut command: std::process::Command) {
    cloud.arm(action, "after-commit");
    let mut child = command.spawn().unwrap();
    assert!(cloud.held(&mut child));
    child.kill().unwrap();
    child.wait().unwrap();
    cloud.release();
}

/// A launch whose answer is lost and whose repetition is refused for a reason that says nothing about the first send.
fn lost_then_refused() -> Cloud {
    let lost = json!({ "action": "CreateFleet", "point": "after-commit", "do": "reset" });
    let expired = json!({ "action": "CreateFleet", "skip": 1, "times": null, "do": { "error": { "code": "ExpiredToken", "status": 400 } } });
    let cloud = Cloud::start(SPEC, 400, &json!({ "rules": [lost, expired] }));
    let output = expect(&mut cloud.launch("laptop"), 5);
    assert!(talk(&output).contains("may have been carried out"), "{}", talk(&output));
    assert_eq!(cloud.live("five").len(), N);
    faults(&cloud, &json!({ "lag_seconds": 300 }));
    cloud
}

#[test]
fn a_refusal_after_a_lost_answer_proves_nothing_to_down() {
    let cloud = lost_then_refused();
    let output = expect(&mut cloud.cli("laptop", &["down"]), 0);
    assert!(talk(&output).contains("wait for what a call of unknown outcome may have made"), "{}", talk(&output));
    assert_eq!(cloud.live("five").len(), 0);
}

#[test]
fn a_refusal_after_a_lost_answer_is_not_launched_again_a_day_later() {
    let cloud = lost_then_refused();
    later(&cloud, "25h");
    let calls = cloud.calls("CreateFleet").len();
    let output = expect(&mut cloud.launch("laptop"), 0);
    assert!(talk(&output).contains("5 live hosts bear its token"), "{}", talk(&output));
    assert_eq!((cloud.live("five").len(), cloud.ever_made()), (N, N));
    assert_eq!(cloud.calls("CreateFleet").len(), calls, "what is too old is not sent again");
}

#[test]
fn a_call_too_old_that_made_nothing_is_asked_anew() {
    let cloud = Cloud::start(SPEC, 400, &json!({ "rules": [error("CreateFleet", None, "Unavailable", 503)] }));
    expect(&mut cloud.launch("laptop"), 6);
    assert_eq!(cloud.ever_made(), 0);
    faults(&cloud, &json!({}));
    later(&cloud, "25h");
    // Its launch template has expired with it: the same command makes another.
    let output = expect(&mut cloud.launch("laptop"), 8);
    assert!(talk(&output).contains("0 live hosts bear its token"), "{}", talk(&output));
    assert!(talk(&output).contains("would end themselves at once"), "{}", talk(&output));
    expect(&mut cloud.launch("laptop"), 0);
    assert_eq!((cloud.live("five").len(), cloud.ever_made()), (N, N));
}

#[test]
fn down_waits_from_the_last_send_not_from_the_first() {
    let cloud = Cloud::start(SPEC, 400, &json!({ "rules": [error("CreateFleet", None, "Unavailable", 503)] }));
    expect(&mut cloud.launch("laptop"), 6);
    later(&cloud, "20m");
    faults(&cloud, &json!({ "lag_seconds": 300 }));
    killed_after(&cloud, "CreateFleet", cloud.launch("laptop"));
    assert_eq!(cloud.live("five").len(), N);
    let output = expect(&mut cloud.cli("laptop", &["down"]), 0);
    assert!(talk(&output).contains("wait for what a call of unknown outcome may have made"), "{}", talk(&output));
    assert_eq!(cloud.live("five").len(), 0);
}

#[test]
fn hosts_of_a_late_replay_count_as_young() {
    let cloud = Cloud::start(SPEC, 200, &json!({ "rules": [error("CreateFleet", None, "Unavailable", 503)] }));
    expect(&mut cloud.launch("laptop"), 6);
    later(&cloud, "20m");
    faults(&cloud, &json!({ "lag_seconds": 300 }));
    // The answer is written down; killed while it waits for hosts that no look shows yet.
    let mut launch = cloud.launch("laptop").spawn().unwrap();
    until(&mut launch, "hosts", || !cloud.live("five").is_empty());
    std::thread::sleep(std::time::Duration::from_millis(30));
    launch.kill().unwrap();
    launch.wait().unwrap();
    expect(&mut cloud.cli("laptop", &["down"]), 0);
    assert_eq!(cloud.live("five").len(), 0);
}

#[test]
fn hosts_that_live_on_are_counted_when_some_of_their_request_have_ended() {
    let cloud = Cloud::start(SPEC, 400, &json!({}));
    killed_after(&cloud, "CreateFleet", cloud.launch("laptop"));
    let live = cloud.live("five");
    cloud.ec2(&format!(
        "Action=TerminateInstances&Version=2016-11-15&InstanceId.1={}&InstanceId.2={}",
        live[0], live[1]
    ));
    // The rehearsal cloud says so only when all have ended; AWS does not say which it means.
    faults(&cloud, &json!({ "rules": [error("CreateFleet", Some(1), "IdempotentInstanceTerminated", 400)] }));
    expect(&mut cloud.launch("laptop"), 0);
    assert_eq!((cloud.live("five").len(), cloud.ever_made()), (N, N + 2));
}

#[test]
fn a_launch_after_a_killed_down_does_not_count_the_dying() {
    let cloud = Cloud::start(SPEC, 200, &json!({ "lag_seconds": 300 }));
    expect(&mut cloud.launch("laptop"), 0);
    later(&cloud, "10m");
    killed_after(&cloud, "TerminateInstances", cloud.cli("laptop", &["down"]));
    assert_eq!(cloud.live("five").len(), 0);
    let output = expect(&mut cloud.launch("laptop"), 0);
    assert!(talk(&output).contains("a teardown was cut short"), "{}", talk(&output));
    assert_eq!(cloud.live("five").len(), N);
}

#[test]
fn down_ends_what_a_killed_launch_asked_for_however_many() {
    let cloud = Cloud::start(SPEC, 400, &json!({}));
    let mut launch = cloud.launch("laptop");
    launch.args(["-n", "12"]);
    killed_after(&cloud, "CreateFleet", launch);
    assert_eq!(cloud.live("five").len(), 12);
    expect(&mut cloud.cli("laptop", &["down"]), 0);
    assert_eq!(cloud.live("five").len(), 0);
}

#[test]
fn a_launch_killed_while_it_ends_too_few_again_asks_anew_the_next_time() {
    let dry = json!({ "empty_pools": [
        { "instance_type": "*", "zone": "*", "market": "on-demand" },
        { "instance_type": "*", "zone": "us-east-1b", "market": "spot" },
    ]});
    let cloud = Cloud::start(SPEC, 600, &dry);
    let launch = || {
        let sets = ["--set", "fleet.fallback=none", "--set", "fleet.accept.within=5m"];
        let verb = ["launch", "--unattested", "--image", IMAGE, "--until", "running"];
        cloud.cli("laptop", &[&sets[..], &verb[..]].concat())
    };
    killed_after(&cloud, "TerminateInstances", launch());
    expect(&mut launch(), 4);
    assert_eq!(cloud.live("five").len(), 0);
    faults(&cloud, &json!({}));
    expect(&mut launch(), 0);
    assert_eq!(cloud.live("five").len(), N);
}

#[test]
fn a_launch_that_was_not_permitted_asks_under_a_new_token_once_it_is() {
    let cloud = Cloud::start(SPEC, 400, &json!({ "deny": ["RunInstances"] }));
    let output = expect(&mut cloud.launch("laptop"), 5);
    assert!(talk(&output).contains("UnauthorizedOperation"), "{}", talk(&output));
    faults(&cloud, &json!({}));
    expect(&mut cloud.launch("laptop"), 0);
    assert_eq!((cloud.live("five").len(), cloud.ever_made()), (N, N));
}

#[test]
fn a_launch_takes_back_a_teardown_that_was_stopped() {
    let cloud = Cloud::start(SPEC, 1, &json!({})).leaping();
    expect(&mut cloud.launch("laptop"), 0);
    killed_after(&cloud, "DeleteLaunchTemplate", cloud.cli("laptop", &["down"]));
    later(&cloud, "20m");
    // Killed itself, it is gone on with, and the teardown that was stopped meanwhile with it.
    killed_after(&cloud, "CreateFleet", cloud.launch("laptop"));
    killed_after(&cloud, "TerminateInstances", cloud.cli("laptop", &["down"]));
    expect(&mut cloud.launch("laptop"), 0);
    let told = expect(&mut cloud.cli("laptop", &["resume"]), 0);
    let told: Value = serde_json::from_slice(&told.stdout).unwrap();
    assert_eq!(told["run"], Value::Null, "no run is unfinished: {told}");
    assert_eq!(cloud.live("five").len(), 5);
}

#[test]
fn resume_does_not_bring_back_what_down_has_ended() {
    let cloud = Cloud::start(SPEC, 400, &json!({}));
    killed_after(&cloud, "CreateFleet", cloud.launch("laptop"));
    let status = |cloud: &Cloud| -> Value {
        serde_json::from_slice(&expect(&mut cloud.cli("laptop", &["status"]), 0).stdout).unwrap()
    };
    let run = status(&cloud)["unfinished"][0]["run"].as_str().unwrap().to_owned();
    expect(&mut cloud.cli("laptop", &["down"]), 0);
    let made = cloud.ever_made();
    assert_eq!(status(&cloud)["unfinished"], json!([]));
    let output = expect(&mut cloud.cli("laptop", &["resume"]), 0);
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["run"], Value::Null, "no run is unfinished: {answer}");
    expect(&mut cloud.cli("laptop", &["resume", &run]), 2);
    assert_eq!((cloud.live("five").len(), cloud.ever_made()), (0, made));
}

#[test]
fn hosts_that_no_look_shows_yet_are_in_the_status() {
    let cloud = Cloud::start(SPEC, 1, &json!({ "lag_seconds": 300 }));
    let mut launch = cloud.launch("laptop").spawn().unwrap();
    let shown = || -> Vec<Value> {
        let output = expect(&mut cloud.cli("laptop", &["status"]), 0);
        let status: Value = serde_json::from_slice(&output.stdout).unwrap();
        status["hosts"].as_array().unwrap().clone()
    };
    cloud.control("POST", "clock", &json!({ "speed": 100 }));
    until(&mut launch, "hosts", || !cloud.live("five").is_empty());
    cloud.control("POST", "clock", &json!({ "speed": 0.01 }));
    let begun = std::time::Instant::now();
    while shown().len() < N {
        assert!(begun.elapsed().as_secs() < 20, "{:?}", shown());
    }
    assert!(shown().iter().any(|host| host["state"] == "not visible yet"), "{:?}", shown());
    launch.kill().unwrap();
    launch.wait().unwrap();
}

#[test]
fn hosts_that_never_came_up_are_waited_for_again_and_not_called_present() {
    let stuck = json!({ "stuck": [{ "state": "pending", "share_percent": 100 }] });
    let cloud = Cloud::start(SPEC, 600, &stuck);
    for _ in 0..2 {
        let output = expect(&mut cloud.launch("laptop"), 3);
        assert!(talk(&output).contains("see 5 hosts run"), "{}", talk(&output));
        assert_eq!((cloud.live("five").len(), cloud.ever_made()), (N, N));
    }
    // Those that somebody ends are replaced, and waited for no longer.
    faults(&cloud, &json!({}));
    let (ended, hosts) = (cloud.live("five").join(","), |output: &std::process::Output| {
        serde_json::from_slice::<Value>(&output.stdout).unwrap()["hosts"].clone()
    });
    expect(&mut cloud.cli("laptop", &["down", "--only", &ended]), 0);
    assert_eq!(hosts(&expect(&mut cloud.launch("laptop"), 0)), json!({ "wanted": N, "live": N }));
    expect(&mut cloud.launch("laptop"), 0);
    assert_eq!((cloud.live("five").len(), cloud.ever_made()), (N, 2 * N));
}
