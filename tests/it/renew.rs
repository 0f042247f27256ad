//! `recycle now`: all hosts give way, never fewer than the size and never more than the surge allows, however often it is
//! killed.

use crate::crash::kill;
use crate::env::{Cloud, IMAGE, expect};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::process::Command;

const SPEC: &str = "tests/specs/it/five.yaml";
const SIZE: usize = 5;

fn renewed_by(cloud: &Cloud, machine: &str, more: &[&str]) -> Command {
    let verb = ["recycle", "now", "--unattested", "--image", IMAGE, "--until", "running"];
    cloud.cli(machine, &[&verb[..], more].concat())
}

fn renew(cloud: &Cloud, more: &[&str]) -> Command {
    renewed_by(cloud, "laptop", more)
}

/// The fewest and the most hosts that lived at once since the first launch was whole, in the order of what was carried out.
fn least_and_most(cloud: &Cloud) -> (usize, usize) {
    let mut calls: Vec<Value> = cloud.audit().into_iter().filter(|call| call["commit"].is_u64()).collect();
    calls.sort_by_key(|call| call["commit"].as_u64());
    let (mut live, mut least, mut most) = (BTreeSet::new(), usize::MAX, 0);
    for call in &calls {
        let ids = |what: &str| -> Vec<String> {
            let ids = call[what].as_array().into_iter().flatten().filter_map(Value::as_str);
            ids.filter(|id| id.starts_with("i-")).map(str::to_owned).collect()
        };
        live.extend(ids("made"));
        for id in ids("ended") {
            live.remove(&id);
        }
        if most >= SIZE || live.len() == SIZE {
            (least, most) = (least.min(live.len()), most.max(live.len()));
        }
    }
    (least, most)
}

fn fleet(cloud: &Cloud) -> BTreeSet<String> {
    cloud.live("five").into_iter().collect()
}

#[test]
fn every_host_gives_way_within_the_bounds_and_once() {
    let cloud = Cloud::start(SPEC, 120, &json!({}));
    expect(&mut cloud.launch("laptop"), 0);
    let old = fleet(&cloud);
    let dry = expect(renew(&cloud, &["--surge", "2"]).arg("--dry-run"), 0);
    let dry: Value = serde_json::from_slice(&dry.stdout).unwrap();
    let named = dry["plans"][0]["steps"][0]["action"]["renew"]["hosts"].clone();
    assert_eq!((serde_json::from_value::<BTreeSet<String>>(named).unwrap(), fleet(&cloud)), (old.clone(), old.clone()));

    let told = expect(&mut renew(&cloud, &["--surge", "2"]), 0);
    let told: Value = serde_json::from_slice(&told.stdout).unwrap();
    assert_eq!(told["ended"].as_array().unwrap().len(), SIZE, "{told:#}");
    assert!(fleet(&cloud).is_disjoint(&old) && fleet(&cloud).len() == SIZE, "{told:#}");
    assert_eq!((cloud.ever_made(), least_and_most(&cloud)), (2 * SIZE, (SIZE, SIZE + 2)));

    // From cron a second time in the same night: nothing is old enough.
    expect(&mut renew(&cloud, &["--older-than", "1h"]), 0);
    // Nor does the launch that would bring the fleet to its size find anything to do.
    expect(&mut cloud.launch("laptop"), 0);
    assert_eq!(cloud.ever_made(), 2 * SIZE);

    // What is protected stays, and the fleet has its size.
    let kept = cloud.live("five")[0].clone();
    cloud.ec2(&format!(
        "Action=CreateTags&Version=2016-11-15&ResourceId.1={kept}&Tag.1.Key=fleetwright%3Aprotect&Tag.1.Value=yes"
    ));
    let before = fleet(&cloud);
    expect(&mut renew(&cloud, &["--surge", "9"]), 0);
    assert_eq!(&before & &fleet(&cloud), BTreeSet::from([kept.clone()]));
    assert_eq!(fleet(&cloud).len(), SIZE);

    // And what EC2 protects: another goes in its place, and where it was planned before that, it is asked again.
    let guarded = fleet(&cloud).into_iter().find(|id| *id != kept).unwrap();
    let guard = format!("InstanceId={guarded}&DisableApiTermination.Value=true");
    cloud.arm("CreateFleet", "before-commit");
    let mut cut = renew(&cloud, &["--surge", "3"]).spawn().unwrap();
    assert!(cloud.held(&mut cut));
    kill(&mut cut);
    cloud.release();
    cloud.ec2(&format!("Action=ModifyInstanceAttribute&Version=2016-11-15&{guard}"));
    let both = BTreeSet::from([kept, guarded.clone()]);
    for since in [true, false] {
        let before = fleet(&cloud);
        let told = expect(&mut renew(&cloud, &["--surge", "3"]), 0);
        let told = String::from_utf8_lossy(&told.stderr).into_owned();
        assert_eq!(told.contains(&format!("host {guarded} stays: it was protected since")), since, "{told}");
        assert_eq!((&before & &fleet(&cloud), fleet(&cloud).len()), (both.clone(), SIZE), "{told}");
    }
    expect(&mut cloud.cli("laptop", &["scale", "2"]), 0);
    assert_eq!(fleet(&cloud), both);
    let refused = expect(&mut cloud.cli("laptop", &["scale", "1"]), 8);
    assert!(String::from_utf8_lossy(&refused.stderr).contains(&format!("({guarded} by EC2)")), "{refused:?}");
    cloud.assert_decoys_untouched();
}

#[test]
fn nothing_is_ended_for_a_host_that_does_not_come() {
    let mut cloud = Cloud::start(SPEC, 300, &json!({}));
    expect(&mut cloud.launch("laptop"), 0);
    let old = fleet(&cloud);
    cloud.set("fleet.accept.within=1m");
    cloud.control("POST", "faults", &json!({ "empty_pools": [{ "instance_type": "*", "zone": "*", "market": "*" }] }));
    let told = expect(&mut renew(&cloud, &[]), 4);
    assert!(String::from_utf8_lossy(&told.stderr).contains("no host was ended"), "{told:?}");
    assert_eq!((fleet(&cloud), cloud.calls("TerminateInstances").len()), (old.clone(), 0));
    cloud.control("POST", "faults", &json!({}));
    expect(&mut renew(&cloud, &[]), 0);
    assert!(fleet(&cloud).is_disjoint(&old) && fleet(&cloud).len() == SIZE);
}

#[test]
fn resume_goes_on_and_another_size_in_between_is_another_plan() {
    let cloud = Cloud::start(SPEC, 120, &json!({}));
    expect(&mut cloud.launch("laptop"), 0);
    let cut = |action: &str, point: &str| {
        cloud.arm(action, point);
        let mut first = renew(&cloud, &[]).spawn().unwrap();
        assert!(cloud.held(&mut first));
        kill(&mut first);
        cloud.release();
    };
    cut("TerminateInstances", "before-commit");
    expect(&mut cloud.cli("laptop", &["resume"]), 0);
    assert_eq!((fleet(&cloud).len(), cloud.ever_made()), (SIZE, 2 * SIZE));

    cut("CreateFleet", "after-commit");
    expect(&mut cloud.cli("laptop", &["scale", "8", "--unattested", "--image", IMAGE, "--until", "running"]), 0);
    assert_eq!(fleet(&cloud).len(), 8);
    // What it had planned would end the hosts that were launched since.
    let refused = expect(&mut renew(&cloud, &[]), 8);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("--replan"), "{refused:?}");
    let eight = fleet(&cloud);
    expect(&mut renew(&cloud, &["--replan", "--surge", "3"]), 0);
    assert!(fleet(&cloud).is_disjoint(&eight) && fleet(&cloud).len() == 8);
    cloud.assert_decoys_untouched();
}

/// It is killed at every third of its calls, and what goes on is killed again.
#[test]
fn it_goes_on_where_it_was_killed() {
    for (call, point) in [(9, "before-commit"), (17, "after-commit"), (26, "after-commit"), (34, "before-commit")] {
        let cloud = Cloud::start(SPEC, 300, &json!({}));
        expect(&mut cloud.launch("laptop"), 0);
        let old = fleet(&cloud);
        for nth in [call, call / 2] {
            cloud.arm_nth("*", point, nth);
            let mut first = renew(&cloud, &["--surge", "2"]).spawn().unwrap();
            assert!(cloud.held(&mut first), "call {nth} {point}");
            kill(&mut first);
            cloud.release();
        }
        expect(&mut renew(&cloud, &["--surge", "2"]), 0);
        assert!(fleet(&cloud).is_disjoint(&old), "call {call} {point}");
        assert_eq!((fleet(&cloud).len(), cloud.ever_made()), (SIZE, 2 * SIZE), "call {call} {point}");
        assert_eq!(least_and_most(&cloud), (SIZE, SIZE + 2), "call {call} {point}");
        cloud.assert_decoys_untouched();
    }
}

/// It would launch a host, and the old one would not go.
#[test]
fn what_it_could_not_finish_it_does_not_begin() {
    let cloud = Cloud::start(SPEC, 300, &json!({}));
    cloud.arm("CreateFleet", "before-commit");
    let mut cut = cloud.launch("laptop").spawn().unwrap();
    assert!(cloud.held(&mut cut));
    kill(&mut cut);
    cloud.release();
    let refused = expect(&mut renew(&cloud, &[]), 8);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("of launch is unfinished") && said.contains("fleetwright resume"), "{said}");
    expect(&mut cloud.cli("laptop", &["resume"]), 0);
    cloud.control("POST", "clock", &json!({ "advance": "10m" }));

    // Another machine, without a journal.
    let refused = expect(&mut renewed_by(&cloud, "desktop", &[]), 8);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("fleetwright adopt"), "{refused:?}");
    assert_eq!(cloud.ever_made(), SIZE);
    expect(&mut cloud.cli("desktop", &["adopt"]), 0);
    expect(&mut renewed_by(&cloud, "desktop", &[]), 0);
    assert_eq!((fleet(&cloud).len(), cloud.ever_made()), (SIZE, 2 * SIZE));
}

#[test]
fn hosts_that_are_lost_meanwhile_come_back_and_a_fleet_that_is_gone_is_refused() {
    let cloud = Cloud::start(SPEC, 1, &json!({})).leaping();
    let lost = || {
        for id in cloud.live("five") {
            cloud.ec2(&format!("Action=TerminateInstances&Version=2016-11-15&InstanceId.1={id}"));
        }
        cloud.control("POST", "clock", &json!({ "advance": "10m" }));
    };
    expect(&mut cloud.launch("laptop"), 0);
    cloud.arm("CreateFleet", "before-commit");
    let mut cut = renew(&cloud, &[]).spawn().unwrap();
    assert!(cloud.held(&mut cut));
    kill(&mut cut);
    cloud.release();
    lost();
    expect(&mut renew(&cloud, &[]), 0);
    assert_eq!(fleet(&cloud).len(), SIZE);
    lost();
    let refused = expect(&mut renew(&cloud, &[]), 2);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("none is there, and 5 hosts are wanted") && said.contains("fleetwright launch"), "{said}");
    // Who wants none misses none.
    expect(&mut cloud.cli("laptop", &["scale", "0"]), 0);
    expect(&mut renew(&cloud, &[]), 0);
    expect(&mut cloud.launch("laptop"), 0);
    expect(&mut cloud.cli("laptop", &["scale", "0"]), 0);
    expect(&mut renew(&cloud, &[]), 0);
}

#[test]
fn who_settles_for_what_is_left_gets_no_more() {
    let cloud = Cloud::start(SPEC, 1, &json!({})).leaping();
    expect(&mut cloud.launch("laptop"), 0);
    let lost = &cloud.live("five")[0];
    cloud.ec2(&format!("Action=TerminateInstances&Version=2016-11-15&InstanceId.1={lost}"));
    cloud.control("POST", "clock", &json!({ "advance": "10m" }));
    let settled = fleet(&cloud);
    let calls = cloud.calls("TerminateInstances").len();
    let told = expect(&mut cloud.cli("laptop", &["scale", "4"]), 0);
    let said = String::from_utf8_lossy(&told.stderr).into_owned();
    assert!(said.contains("want 4 hosts instead of 5 from now on; none ends"), "{said}");
    assert_eq!((fleet(&cloud), cloud.calls("TerminateInstances").len()), (settled.clone(), calls));
    let runs =
        || serde_json::from_slice::<Value>(&expect(&mut cloud.cli("laptop", &["runs", "list"]), 0).stdout).unwrap();
    let before = runs();
    expect(&mut cloud.cli("laptop", &["scale", "4"]), 0);
    assert_eq!(runs(), before, "it is written down once");
    expect(&mut renew(&cloud, &[]), 0);
    assert!(fleet(&cloud).len() == 4 && fleet(&cloud).is_disjoint(&settled));
}
