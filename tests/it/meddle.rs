//! A second operator who meddles by hand while a verb is at work: the fleet ends with exactly the hosts wanted or a clear
//! refusal, and what is somebody else's is never touched, whatever tags it is given.

use crate::env::{Cloud, IMAGE, expect};
use crate::house::assert_allowed;
use serde_json::{Value, json};
use std::process::Command;

const SPEC: &str = "tests/specs/it/five.yaml";

fn scale(cloud: &Cloud, n: &str) -> Command {
    cloud.cli("laptop", &["scale", n, "--unattested", "--image", IMAGE, "--until", "running"])
}

fn ec2(cloud: &Cloud, form: &str) {
    cloud.ec2(&format!("Version=2016-11-15&{form}"));
}

/// Ends so many hosts while the verb's call of this action is on its way; its answer.
fn ends_some_during(cloud: &Cloud, mut verb: Command, action: &str, n: usize) -> Value {
    cloud.arm(action, "before-commit");
    let mut child = verb.spawn().unwrap();
    assert!(cloud.held(&mut child));
    for id in &cloud.live("five")[..n] {
        ec2(cloud, &format!("Action=TerminateInstances&InstanceId.1={id}"));
    }
    cloud.release();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn hosts_that_somebody_ends_while_the_size_is_changed_are_replaced() {
    let cloud = Cloud::start(SPEC, 1, &json!({})).leaping();
    expect(&mut scale(&cloud, "3"), 0);
    let answer = ends_some_during(&cloud, scale(&cloud, "6"), "CreateFleet", 1);
    assert_eq!((answer["hosts"]["live"].as_u64(), cloud.live("five").len()), (Some(6), 6), "{answer:#}");
    assert_eq!(cloud.ever_made(), 7);
    // Two go, three are ended: one at least that was to stay.
    let answer = ends_some_during(&cloud, scale(&cloud, "4"), "TerminateInstances", 3);
    assert_eq!((answer["hosts"]["live"].as_u64(), cloud.live("five").len()), (Some(4), 4), "{answer:#}");
    // What went before a later round fails is told all the same.
    cloud.control("POST", "faults", &json!({ "deny": ["CreateFleet"] }));
    let before = cloud.live("five");
    cloud.arm("TerminateInstances", "before-commit");
    let mut child = scale(&cloud, "3").spawn().unwrap();
    assert!(cloud.held(&mut child));
    ec2(&cloud, &format!("Action=TerminateInstances&InstanceId.1={}&InstanceId.2={}", before[2], before[3]));
    cloud.release();
    let output = child.wait_with_output().unwrap();
    let talk = String::from_utf8_lossy(&output.stderr);
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(output.status.code() == Some(5) && answer["ended"].as_array().unwrap().len() == 1, "{answer:#} {talk}");
    assert_eq!(talk.matches("fleet.size is 5").count(), 0, "{talk}");
    cloud.assert_decoys_untouched();
    assert_allowed(&cloud, &[""]);
}

/// Gives a host of somebody else every tag that one of ours has; its id.
fn disguised(cloud: &Cloud) -> String {
    let world = cloud.world();
    let hosts = world["instances"].as_array().unwrap();
    let other = hosts.iter().find(|host| host["owner"] == "decoy").unwrap()["id"].as_str().unwrap();
    let ours = hosts.iter().find(|host| host["tags"]["fleetwright:intent"].is_string()).unwrap();
    let tags = ours["tags"].as_object().unwrap().iter().filter(|(key, _)| key.starts_with("fleetwright:"));
    let pairs = tags.enumerate().map(|(n, (key, value))| {
        let (n, key) = (n + 1, key.replace(':', "%3A"));
        format!("&Tag.{n}.Key={key}&Tag.{n}.Value={}", value.as_str().unwrap().replace(':', "%3A"))
    });
    ec2(cloud, &format!("Action=CreateTags&ResourceId.1={other}{}", pairs.collect::<String>()));
    other.to_owned()
}

#[test]
fn a_host_of_somebody_else_with_all_our_tags_is_told_and_never_ended() {
    for (spec, fleet) in [(SPEC, "five"), ("tests/specs/it/group.yaml", "crew")] {
        let cloud = Cloud::start(spec, 1, &json!({})).leaping();
        let renew = ["recycle", "now", "--unattested", "--image", IMAGE, "--until", "running"];
        expect(&mut cloud.launch("laptop"), 0);
        cloud.control("POST", "clock", &json!({ "advance": "10m" }));
        let other = disguised(&cloud);
        assert!(!cloud.live(fleet).is_empty(), "{spec}");
        for verb in [&renew[..], &["scale", "2"], &["down"]] {
            let output = cloud.cli("laptop", verb).output().unwrap();
            let talk = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.code() == Some(8) && talk.contains(&other), "{verb:?}: {talk}");
            cloud.assert_decoys_untouched();
        }
        // All the rest is gone.
        let world = cloud.world();
        assert_eq!(cloud.live(fleet), Vec::<String>::new(), "{spec}");
        assert_eq!((&world["groups"], &world["launch_templates"]), (&json!([]), &json!([])), "{spec}");
        ec2(&cloud, &format!("Action=DeleteTags&ResourceId.1={other}&Tag.1.Key=fleetwright%3Afleet"));
        expect(&mut cloud.cli("laptop", &["down"]), 0);
        assert_eq!(cloud.world()["launch_templates"], json!([]));
        cloud.assert_decoys_untouched();
    }
}

#[test]
fn orphans_in_disguise_are_left_alone() {
    let cloud = Cloud::start(SPEC, 1, &json!({})).leaping();
    expect(&mut cloud.launch("laptop"), 0);
    cloud.control("POST", "clock", &json!({ "advance": "10m" }));
    let other = disguised(&cloud);
    // The host unit would have ended ours; here they stay as long as the other one.
    cloud.control("POST", "clock", &json!({ "advance": "72h" }));
    for round in 1..=2 {
        let output = cloud.cli("laptop", &["orphans", "--reap", "--max", "50"]).output().unwrap();
        let talk = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(10) && talk.contains(&other), "round {round}: {talk}");
        assert_eq!(cloud.live("five").len(), 0, "round {round}: {talk}");
        cloud.assert_decoys_untouched();
    }
}
