//! Watching over a fleet: hosts that are gone are replaced, once, and not when that makes no sense.

use crate::crash::kill;
use crate::env::{Cloud, LAUNCH, expect, until};
use serde_json::json;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

const SPEC: &str = "tests/specs/it/five.yaml";

fn watch(cloud: &Cloud) -> Command {
    cloud.cli("laptop", &[&LAUNCH[..], &["--watch"]].concat())
}

/// A fleet of five that is up and watched.
fn watched(cloud: &Cloud) -> Child {
    expect(&mut cloud.launch("laptop"), 0);
    let before = cloud.calls("DescribeInstances").len();
    let mut child = watch(cloud).spawn().unwrap();
    // Its launch finds nothing to do, and two looks of the watch see all of them.
    until(&mut child, "four looks", || cloud.calls("DescribeInstances").len() >= before + 4);
    child
}

/// Ends a host as somebody at the console would.
fn end_by_hand(cloud: &Cloud, id: &str) {
    cloud.ec2(&format!("Action=TerminateInstances&Version=2016-11-15&InstanceId.1={id}"));
}

/// Waits until so many hosts were ever made; the watch must live on.
#[track_caller]
fn made(cloud: &Cloud, child: &mut Child, n: usize) {
    until(child, &format!("{n} hosts that were made"), || cloud.ever_made() >= n);
}

#[test]
fn what_is_gone_is_replaced_once_however_often_the_watch_is_killed() {
    let cloud = Cloud::start(SPEC, 120, &json!({}));
    let mut child = watched(&cloud);
    end_by_hand(&cloud, &cloud.live("five")[0]);
    made(&cloud, &mut child, 6);
    assert_eq!(cloud.live("five").len(), 5);
    for point in ["before-commit", "after-commit"] {
        let before = cloud.ever_made();
        cloud.arm("CreateFleet", point);
        end_by_hand(&cloud, &cloud.live("five")[1]);
        assert!(cloud.held(&mut child), "{point}");
        kill(&mut child);
        cloud.release();
        child = watch(&cloud).spawn().unwrap();
        made(&cloud, &mut child, before + 1);
        assert_eq!(cloud.live("five").len(), 5, "{point}");
    }
    kill(&mut child);
    expect(&mut cloud.launch("laptop"), 0);
    assert_eq!((cloud.live("five").len(), cloud.ever_made()), (5, 8));
    cloud.assert_decoys_untouched();
}

#[test]
fn a_fleet_that_somebody_tears_down_is_not_brought_back() {
    let cloud = Cloud::start(SPEC, 120, &json!({}));
    let child = watched(&cloud);
    cloud.live("five").iter().for_each(|id| end_by_hand(&cloud, id));
    let output = child.wait_with_output().unwrap();
    let talk = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(3) && talk.contains("tears the fleet down"), "{talk}");
    assert_eq!((cloud.live("five").len(), cloud.ever_made()), (0, 5));
}

#[test]
fn three_equal_failures_are_enough() {
    let cloud = Cloud::start(SPEC, 300, &json!({}));
    let child = watched(&cloud);
    cloud.control("POST", "faults", &json!({ "deny": ["CreateFleet"] }));
    end_by_hand(&cloud, &cloud.live("five")[0]);
    let output = child.wait_with_output().unwrap();
    let talk = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(3) && talk.contains("in the same way"), "{talk}");
    assert_eq!(cloud.live("five").len(), 4);
}

#[test]
fn nothing_is_replaced_once_the_budget_is_spent() {
    let cloud = Cloud::start(SPEC, 120, &json!({}));
    expect(&mut cloud.launch("laptop"), 0);
    cloud.control("POST", "clock", &json!({ "advance": "2h" }));
    let before = cloud.calls("DescribeInstances").len();
    let paid = ["--set", "budget.stop_at=$0.05"];
    let mut child = cloud.cli("laptop", &[&paid[..], &LAUNCH, &["--watch"]].concat()).spawn().unwrap();
    until(&mut child, "four looks", || cloud.calls("DescribeInstances").len() >= before + 4);
    end_by_hand(&cloud, &cloud.live("five")[0]);
    let output = child.wait_with_output().unwrap();
    let talk = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(13) && talk.contains("of the budget's $0.05"), "{talk}");
    assert_eq!((cloud.live("five").len(), cloud.ever_made()), (4, 5));
}

#[test]
fn a_wait_that_watches_keeps_the_size_that_was_last_wanted() {
    let cloud = Cloud::start("tests/specs/it/job.yaml", 60, &json!({}));
    expect(&mut cloud.cli("laptop", &[&LAUNCH[..], &["-n", "4"]].concat()), 0);
    expect(&mut cloud.cli("laptop", &["scale", "3"]), 0);
    let mut child = cloud.cli("laptop", &["wait", "--watch"]).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(500));
    end_by_hand(&cloud, &cloud.live("job")[0]);
    made(&cloud, &mut child, 5);
    assert_eq!(cloud.live("job").len(), 3);
    // Nobody else is kept from working meanwhile.
    let begun = Instant::now();
    while cloud.cli("laptop", &["extend", "1h"]).output().unwrap().status.code() != Some(0) {
        assert!(begun.elapsed() < Duration::from_secs(30), "the claim is not given back");
    }
    kill(&mut child);
}

#[test]
fn a_host_that_does_not_come_up_is_shown_with_its_last_words() {
    let dies = json!({ "die_after_launch": { "after_seconds": 3, "reason": "Client.VolumeLimitExceeded" } });
    let cloud = Cloud::start(SPEC, 60, &dies);
    let output = cloud.launch("laptop").output().unwrap();
    let talk = String::from_utf8_lossy(&output.stderr);
    assert!(talk.contains("ended again: ") && talk.contains("console"), "{talk}");
}
