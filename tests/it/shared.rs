//! Two machines with their own state directories and one bucket: what is begun on one is finished on the other, never on both
//! at once.

use crate::crash::kill;
use crate::env::{Cloud, expect, signed_in};
use crate::house::assert_allowed;
use serde_json::{Value, json};

const SPEC: &str = "tests/specs/it/shared.yaml";
const N: usize = 5;
/// World seconds per second: a lease of five minutes holds for some seconds of the test.
const SPEED: u32 = 60;

fn later(cloud: &Cloud) {
    cloud.control("POST", "clock", &json!({ "advance": "10m" }));
}

fn runs(cloud: &Cloud, machine: &str) -> Value {
    let listed = expect(&mut cloud.cli(machine, &["runs", "list"]), 0);
    serde_json::from_slice::<Value>(&listed.stdout).unwrap()["runs"].clone()
}

/// A launch on the laptop, killed at its `call`th call of an action, is finished from a desktop that knows nothing.
fn finished_elsewhere(action: &str, point: &str, call: u32) {
    let what = format!("{action} {call} {point}");
    let cloud = Cloud::start(SPEC, SPEED, &json!({}));
    cloud.arm_nth(action, point, call);
    let mut first = cloud.launch("laptop").spawn().unwrap();
    assert!(cloud.held(&mut first), "{what}");
    kill(&mut first);
    cloud.release();
    later(&cloud);
    expect(&mut cloud.launch("desktop"), 0);
    assert_eq!((cloud.live("five").len(), cloud.ever_made()), (N, N), "{what}");
    assert_eq!(cloud.world()["launch_templates"].as_array().unwrap().len(), 1, "{what}");
    let tokens: Vec<Value> = cloud.calls("CreateFleet").iter().map(|call| call["client_token"].clone()).collect();
    assert!(tokens.iter().all(|token| token == &tokens[0] || token == &tokens[tokens.len() - 1]), "{what}: {tokens:?}");
    // One run, whoever asks.
    let (here, there) = (runs(&cloud, "desktop"), runs(&cloud, "laptop"));
    assert_eq!(here, there, "{what}");
    expect(&mut cloud.cli("laptop", &["down"]), 0);
    assert_eq!(cloud.live("five").len(), 0, "{what}");
    cloud.assert_decoys_untouched();
}

#[test]
fn a_run_killed_on_one_machine_is_finished_by_another() {
    let cells = [
        ("CreateFleet", "after-commit", 1),
        ("PutObject", "before-commit", 2),
        ("PutObject", "after-commit", 2),
        ("PutObject", "after-commit", 5),
    ];
    std::thread::scope(|scope| {
        for (action, point, call) in cells {
            scope.spawn(move || finished_elsewhere(action, point, call));
        }
    });
}

#[test]
fn a_machine_that_slept_stops_once_another_went_on() {
    let cloud = Cloud::start(SPEC, SPEED, &json!({}));
    cloud.arm("CreateLaunchTemplate", "after-commit");
    let mut first = cloud.launch("laptop").spawn().unwrap();
    assert!(cloud.held(&mut first));
    let refused = expect(&mut cloud.launch("desktop"), 7);
    let told = String::from_utf8_lossy(&refused.stderr);
    assert!(told.contains("`launch` (process ") && told.contains("s3://ops-state/fleetwright/"), "{told}");
    // The laptop's lid is closed: it renews nothing.
    let pid = nix::unistd::Pid::from_raw(i32::try_from(first.id()).unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGSTOP).unwrap();
    later(&cloud);
    expect(&mut cloud.launch("desktop"), 0);
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGCONT).unwrap();
    cloud.release();
    let output = first.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(7), "{told}");
    assert_eq!((cloud.live("five").len(), cloud.ever_made()), (N, N));
    expect(&mut cloud.launch("laptop"), 0);
    assert_eq!(cloud.ever_made(), N);
}

#[test]
fn the_bucket_may_be_in_another_region() {
    let mut cloud = Cloud::start(SPEC, 2000, &json!({}));
    let place =
        "<CreateBucketConfiguration><LocationConstraint>eu-west-1</LocationConstraint></CreateBucketConfiguration>";
    let (status, told) = signed_in("eu-west-1", "s3", cloud.authority(), "PUT /euro-state", "", place);
    assert_eq!(status, 200, "{told}");
    cloud.set("state=s3://euro-state/fleetwright");
    expect(&mut cloud.launch("laptop"), 0);
    assert_eq!(runs(&cloud, "desktop"), runs(&cloud, "laptop"));
    let buckets = cloud.world()["buckets"].clone();
    let objects = |name: &str| {
        let bucket = buckets.as_array().unwrap().iter().find(|bucket| bucket["name"] == name).unwrap();
        bucket["objects"].as_array().unwrap().len()
    };
    assert!(objects("euro-state") > 1 && objects("ops-state") == 0, "{buckets}");
    assert_allowed(&cloud, &["", "-state"]);
}

#[test]
fn without_the_bucket_nothing_is_begun() {
    for (faults, code) in [
        (json!({ "deny": ["s3:PutObject"] }), 5),
        (json!({ "deny": ["s3:ListObjectsV2"] }), 5),
        (json!({ "rules": [{ "service": "s3", "action": "PutObject", "times": 1000, "do": "reset" }] }), 6),
    ] {
        let cloud = Cloud::start(SPEC, 2000, &faults);
        let refused = expect(&mut cloud.launch("laptop"), code);
        let told = String::from_utf8_lossy(&refused.stderr);
        assert!(told.contains("s3://ops-state/fleetwright/123456789012-us-east-1-five/"), "{told}");
        assert!(cloud.calls("CreateLaunchTemplate").is_empty() && cloud.ever_made() == 0);
    }
}
