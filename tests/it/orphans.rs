//! `orphans` and `adopt`: what is ours is found by its tags alone, ended only past its end and by nobody's mistake, and known
//! again to a machine that lost its journal.

use crate::env::{Cloud, expect, talk, until};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::process::Output;

const SPEC: &str = "tests/specs/it/five.yaml";
const N: usize = 5;

fn answer(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {}", talk(output)))
}

/// How many of each kind are orphans.
fn kinds(answer: &Value) -> BTreeMap<&str, usize> {
    let mut kinds = BTreeMap::new();
    for orphan in answer["orphans"].as_array().unwrap() {
        assert_eq!(orphan["fleet"], "five", "{orphan}");
        *kinds.entry(orphan["kind"].as_str().unwrap()).or_default() += 1;
    }
    kinds
}

/// A world with a fleet of ours that outlived its end, and a colleague's that did not; nobody knows of either.
fn world() -> Cloud {
    let cloud = Cloud::start(SPEC, 400, &json!({}));
    let launch = ["launch", "--unattested", "--image", crate::env::IMAGE, "--until", "running"];
    expect(&mut cloud.cli("laptop", &[&["--set", "fleet.expires=1h"], &launch[..]].concat()), 0);
    expect(&mut cloud.cli("colleague", &[&["--set", "name=six"], &launch[..]].concat()), 0);
    advance(&cloud, "2h");
    std::fs::remove_dir_all(cloud.state("laptop")).unwrap();
    assert_eq!((cloud.live("five").len(), cloud.live("six").len()), (N, N));
    cloud
}

fn advance(cloud: &Cloud, by: &str) {
    cloud.control("POST", "clock", &json!({ "advance": by }));
}

/// Nothing of the dead fleet is left, and nothing else was touched.
#[track_caller]
fn only_five_is_gone(cloud: &Cloud) {
    assert_eq!((cloud.live("five").len(), cloud.live("six").len()), (0, N));
    let world = cloud.world();
    let templates: Vec<&str> =
        world["launch_templates"].as_array().unwrap().iter().filter_map(|one| one["name"].as_str()).collect();
    assert_eq!(templates, ["fleetwright-six"]);
    cloud.assert_decoys_untouched();
    let looked = answer(&expect(&mut cloud.cli("laptop", &["orphans"]), 0));
    assert_eq!(looked["orphans"], json!([]), "{looked:#}");
}

#[test]
fn a_dead_fleet_is_found_and_ended_from_tags_alone_and_a_colleagues_is_none() {
    let cloud = world();
    let before = cloud.audit().len();
    let found = answer(&expect(&mut cloud.cli("laptop", &["orphans"]), 10));
    assert_eq!(
        kinds(&found),
        BTreeMap::from([("instance", N), ("volume", N), ("network-interface", N), ("launch-template", 1)])
    );
    assert_eq!((found["seen"].as_u64(), found["spared"]["running"].as_u64()), (Some(34), Some(18)));
    assert!(cloud.audit().len() - before <= 5, "a look is a handful of calls");
    let found = answer(&expect(&mut cloud.cli("laptop", &["orphans", "--fleet", "six"]), 0));
    assert_eq!((&found["orphans"], found["seen"].as_u64()), (&json!([]), Some(34)));

    // The brake: more than a fifth of all that is ours.
    let output = expect(&mut cloud.cli("laptop", &["orphans", "--reap"]), 8);
    assert!(talk(&output).contains("fleetwright orphans --reap --max 11"), "{}", talk(&output));
    expect(&mut cloud.cli("laptop", &["orphans", "--reap", "--max", "10"]), 8);
    expect(&mut cloud.cli("laptop", &["--dry-run", "orphans", "--reap", "--max", "11"]), 10);
    // Nobody can be asked.
    let mut unasked = cloud.bare("laptop");
    let output =
        unasked.args(["orphans", "--reap", "--max", "11"]).stdin(std::process::Stdio::null()).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", talk(&output));
    assert_eq!(cloud.live("five").len(), N);
    assert!(cloud.calls("TerminateInstances").is_empty());

    let hosts: BTreeSet<String> = cloud.live("five").into_iter().collect();
    let told = answer(&expect(&mut cloud.cli("laptop", &["orphans", "--reap", "--max", "11"]), 0));
    let ended: BTreeSet<String> =
        told["ended"].as_array().unwrap().iter().map(|id| id.as_str().unwrap().to_owned()).collect();
    assert!(hosts.is_subset(&ended), "{told:#}");
    only_five_is_gone(&cloud);
    // What was done is in a journal again.
    let runs = answer(&expect(&mut cloud.cli("laptop", &["runs", "list"]), 0));
    assert_eq!(runs["runs"][0]["verb"], "orphans", "{runs:#}");
    expect(&mut cloud.cli("laptop", &["orphans", "--reap"]), 0);
}

#[test]
fn a_reap_that_is_killed_anywhere_is_finished_by_the_same_command() {
    for (action, point) in [
        ("TerminateInstances", "before-commit"),
        ("TerminateInstances", "after-commit"),
        ("DeleteLaunchTemplate", "after-commit"),
    ] {
        let cloud = world();
        cloud.arm(action, point);
        let reap = ["orphans", "--reap", "--max", "11"];
        let mut first = cloud.cli("laptop", &reap).spawn().unwrap();
        assert!(cloud.held(&mut first), "{action} {point}");
        first.kill().unwrap();
        first.wait().unwrap();
        cloud.release();
        expect(&mut cloud.cli("laptop", &reap), 0);
        only_five_is_gone(&cloud);
        let status = answer(&expect(&mut cloud.cli("laptop", &["status"]), 0));
        assert_eq!(status["unfinished"], json!([]), "{action} {point}: {status:#}");
    }
}

#[test]
fn what_got_a_new_end_between_the_looks_stays() {
    let cloud = world();
    cloud.control("POST", "clock", &json!({ "hold": true }));
    let looks = cloud.calls("DescribeTags").len();
    let mut reap = cloud.cli("laptop", &["orphans", "--reap", "--max", "11"]).spawn().unwrap();
    let runs = cloud.state("laptop").join("123456789012-us-east-1-five/runs");
    until(&mut reap, "a run", || runs.exists());
    assert_eq!(cloud.calls("DescribeTags").len(), looks + 1, "the second look comes later");
    let kept = cloud.live("five").pop().unwrap();
    cloud.ec2(&format!(
        "Action=CreateTags&Version=2016-11-15&ResourceId.1={kept}&Tag.1.Key=fleetwright%3Aexpires&Tag.1.Value=2099-01-01T00%3A00%3A00Z"
    ));
    cloud.control("POST", "clock", &json!({ "hold": false, "advance": "10m" }));
    let output = reap.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", talk(&output));
    assert_eq!(answer(&output)["ended"], json!([]));
    assert_eq!(cloud.live("five").len(), N, "one host that is to live keeps its whole fleet");
    assert!(cloud.calls("TerminateInstances").is_empty());
}

#[test]
fn what_is_claimed_or_protected_is_no_orphan() {
    let cloud = world();
    let kept = cloud.live("five").pop().unwrap();
    cloud.ec2(&format!(
        "Action=CreateTags&Version=2016-11-15&ResourceId.1={kept}&Tag.1.Key=fleetwright%3Aprotect&Tag.1.Value=yes"
    ));
    let found = answer(&expect(&mut cloud.cli("laptop", &["orphans"]), 10));
    assert_eq!(kinds(&found)["instance"], N - 1);
    assert_eq!(found["spared"]["protected"], 3, "the host, its volume and its interface");
    // Somebody is at work on it.
    cloud.arm("DescribeInstances", "before-commit");
    let mut down = cloud.cli("laptop", &["down", "--adopt"]).spawn().unwrap();
    assert!(cloud.held(&mut down));
    let found = answer(&expect(&mut cloud.cli("laptop", &["orphans"]), 0));
    assert_eq!(found["spared"]["claimed"], 16, "{found:#}");
    down.kill().unwrap();
    down.wait().unwrap();
    cloud.release();
    let told = answer(&expect(&mut cloud.cli("laptop", &["orphans", "--reap", "--max", "9"]), 0));
    assert_eq!(cloud.live("five"), [kept], "{told:#}");
}

#[test]
fn a_machine_without_its_journal_adopts_the_fleet_and_goes_on() {
    let cloud = Cloud::start(SPEC, 400, &json!({ "lag_seconds": 120 }));
    expect(&mut cloud.launch("laptop"), 0);
    let hosts: BTreeSet<String> = cloud.live("five").into_iter().collect();
    let state = cloud.state("laptop");
    std::fs::remove_dir_all(&state).unwrap();
    expect(&mut cloud.cli("laptop", &["down"]), 8);
    std::fs::remove_dir_all(&state).unwrap();

    let plan = answer(&expect(&mut cloud.cli("laptop", &["--dry-run", "adopt"]), 0));
    assert_eq!(plan["plans"][0]["steps"][0]["id"], "adopt", "{plan:#}");
    let told = answer(&expect(&mut cloud.cli("laptop", &["adopt"]), 0));
    let adopted: BTreeSet<String> = told["hosts"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(adopted, hosts);
    let status = answer(&expect(&mut cloud.cli("laptop", &["status"]), 0));
    for host in status["hosts"].as_array().unwrap() {
        assert_eq!(host["slot"], told["hosts"][host["id"].as_str().unwrap()], "{status:#}");
    }
    expect(&mut cloud.cli("laptop", &["scale", "3", "--no-drain"]), 0);
    assert_eq!(cloud.live("five").len(), 3);
    // Tokens of the lost journal are not used for other requests: exactly what is missing is launched.
    expect(&mut cloud.launch("laptop"), 0);
    assert_eq!((cloud.live("five").len(), cloud.ever_made()), (N, N + 2));
    expect(&mut cloud.cli("laptop", &["down"]), 0);
    assert_eq!((cloud.live("five").len(), &cloud.world()["launch_templates"]), (0, &json!([])));
    cloud.assert_decoys_untouched();
}

#[test]
fn an_adoption_waits_for_what_was_launched_a_moment_ago_and_is_gone_on_with() {
    let cloud = Cloud::start(SPEC, 400, &json!({ "lag_seconds": 300 }));
    cloud.killed_after_the_launch(N);
    cloud.arm("DescribeTags", "before-commit");
    let mut first = cloud.cli("desktop", &["adopt"]).spawn().unwrap();
    assert!(cloud.held(&mut first));
    first.kill().unwrap();
    first.wait().unwrap();
    cloud.release();
    let told = answer(&expect(&mut cloud.cli("desktop", &["adopt"]), 0));
    assert_eq!(told["hosts"].as_object().unwrap().len(), N, "{told:#}");
    let runs = answer(&expect(&mut cloud.cli("desktop", &["runs", "list"]), 0));
    assert_eq!(runs["runs"].as_array().unwrap().len(), 1, "{runs:#}");
    expect(&mut cloud.cli("desktop", &["down"]), 0);
    assert_eq!(cloud.live("five").len(), 0);
}
