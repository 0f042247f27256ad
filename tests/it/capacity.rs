//! Capacity, quota and refusals: what is missing is named, what must not be called is not called.

use crate::env::{Cloud, IMAGE, expect, talk};
use serde_json::{Value, json};

const SPEC: &str = "tests/specs/it/five.yaml";
const MUTATING: [&str; 3] = ["CreateLaunchTemplate", "CreateFleet", "TerminateInstances"];

fn assert_nothing_changed(cloud: &Cloud) {
    for action in MUTATING {
        assert_eq!(cloud.calls(action), Vec::<Value>::new(), "{action}");
    }
}

fn dry(market: &str) -> Value {
    json!({ "empty_pools": [{ "instance_type": "*", "zone": "*", "market": market }] })
}

#[test]
fn spot_that_is_dry_falls_back_to_on_demand() {
    let cloud = Cloud::start(SPEC, 120, &dry("spot"));
    let output = expect(&mut cloud.launch("laptop"), 0);
    assert_eq!(cloud.live("five").len(), 5);
    let world = cloud.world();
    let ours = world["instances"].as_array().unwrap().iter().filter(|i| i["tags"]["fleetwright:fleet"] == "five");
    assert!(ours.filter(|i| i["owner"] != "decoy").all(|i| i["market"] == "on-demand"));
    assert!(talk(&output).contains("InsufficientInstanceCapacity"), "{}", talk(&output));
}

#[test]
fn a_shortfall_below_the_minimum_leaves_nothing() {
    let cloud = Cloud::start(
        SPEC,
        600,
        &json!({ "empty_pools": [
            { "instance_type": "*", "zone": "*", "market": "on-demand" },
            { "instance_type": "*", "zone": "us-east-1b", "market": "spot" },
        ]}),
    );
    let arguments = [
        "--set",
        "fleet.fallback=none",
        "--set",
        "fleet.accept.within=5m",
        "launch",
        "--unattested",
        "--image",
        IMAGE,
        "--until",
        "running",
    ];
    let output = expect(&mut cloud.cli("laptop", &arguments), 4);
    assert!(talk(&output).contains("only 3 could be had"), "{}", talk(&output));
    assert_eq!(cloud.live("five").len(), 0, "abort leaves nothing");
    let keep = [
        "--set",
        "fleet.fallback=none",
        "--set",
        "fleet.accept={within: 5m, otherwise: keep}",
        "launch",
        "--unattested",
        "--image",
        IMAGE,
        "--until",
        "running",
    ];
    let output = expect(&mut cloud.cli("laptop", &keep), 4);
    assert_eq!(cloud.live("five").len(), 3, "{}", talk(&output));
    expect(&mut cloud.cli("laptop", &["down"]), 0);
    assert_eq!(cloud.live("five").len(), 0);
}

#[test]
fn a_wrong_account_is_refused_before_any_change() {
    let cloud = Cloud::start(SPEC, 120, &json!({}));
    let arguments = ["--set", "account=210987654321", "launch", "--unattested", "--image", IMAGE];
    let output = expect(&mut cloud.cli("laptop", &arguments), 8);
    assert!(talk(&output).contains("210987654321"), "{}", talk(&output));
    assert_nothing_changed(&cloud);
}

#[test]
fn two_subnets_of_one_zone_are_refused_before_any_change() {
    let cloud = Cloud::start("tests/specs/it/twins.yaml", 300, &json!({}));
    let output = expect(&mut cloud.launch("laptop"), 2);
    assert!(talk(&output).contains("one subnet per zone"), "{}", talk(&output));
    assert_nothing_changed(&cloud);
}

#[test]
fn an_unattested_image_is_refused() {
    let cloud = Cloud::start(SPEC, 120, &json!({}));
    let output = expect(&mut cloud.cli("laptop", &["launch", "--image", IMAGE]), 8);
    assert!(talk(&output).contains("attestation"), "{}", talk(&output));
    assert_nothing_changed(&cloud);
}

#[test]
fn no_permission_is_told_with_its_exit_code() {
    let cloud = Cloud::start(SPEC, 120, &json!({ "deny": ["CreateFleet"] }));
    let output = expect(&mut cloud.launch("laptop"), 5);
    assert!(talk(&output).contains("UnauthorizedOperation"), "{}", talk(&output));
    assert_eq!(cloud.live("five").len(), 0);
    expect(&mut cloud.cli("laptop", &["down"]), 0);
}

/// A launch of these settings that fails for want of hosts, and what it said.
#[track_caller]
fn short(cloud: &Cloud, sets: &[&str]) -> String {
    let sets: Vec<&str> = sets.iter().flat_map(|set| ["--set", set]).collect();
    let rest = ["launch", "--unattested", "--image", IMAGE, "--until", "running"];
    talk(&expect(&mut cloud.cli("laptop", &[&sets[..], &rest].concat()), 4))
}

#[test]
fn what_is_missing_is_told_apart_each_with_its_fix() {
    let within = "fleet.accept.within=1m";
    let no_room = Cloud::start(SPEC, 600, &dry("*"));
    let said = short(&no_room, &[within]);
    assert!(said.contains("no room: name more types"), "{said}");
    let quota = Cloud::start(SPEC, 600, &json!({ "quotas": { "on_demand_vcpus": 2, "spot_vcpus": 2 } }));
    let said = short(&quota, &[within]);
    assert!(said.contains("quota: ask AWS") && said.contains("waiting does not help"), "{said}");
    assert!(!said.contains("no room:"), "{said}");
    let price = Cloud::start(SPEC, 600, &json!({}));
    let said = short(&price, &[within, "fleet.max_price=$0.001/h", "fleet.fallback=none"]);
    assert!(said.contains("price: raise `fleet.max_price`"), "{said}");
    for cloud in [no_room, quota, price] {
        assert_eq!(cloud.live("five").len(), 0);
    }
}

#[test]
fn a_dry_pool_is_said_and_left_alone_for_three_minutes_also_by_the_next_run() {
    let mut cloud = Cloud::start(SPEC, 600, &dry("*"));
    cloud.set("fleet.spot=0%");
    let said = short(&cloud, &["fleet.accept={within: 4m, otherwise: keep}"]);
    assert!(said.contains("0/5: ") && said.contains("m7i.large in us-east-1a") && said.contains("dry"), "{said}");
    assert!(said.contains("retry in 3 min"), "{said}");
    let before = cloud.calls("CreateFleet").len();
    cloud.control("POST", "faults", &json!({}));
    expect(&mut cloud.launch("laptop"), 0);
    let calls = cloud.calls("CreateFleet");
    let time = |call: &Value| call["time"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    assert_eq!(before, 2, "at once and three minutes later; then the four minutes would be over");
    for pair in calls.windows(2) {
        let waited = time(&pair[1]).duration_since(time(&pair[0]));
        assert!(waited >= jiff::SignedDuration::from_secs(180), "{waited:?}");
    }
    assert_eq!(cloud.live("five").len(), 5);
}

#[test]
fn so_many_on_demand_hosts_are_kept_whatever_the_spot_share() {
    let cloud = Cloud::start(SPEC, 120, &json!({}));
    let sets = ["--set", "fleet.spot=100%", "--set", "fleet.on_demand=2", "launch", "--unattested", "--image", IMAGE];
    expect(&mut cloud.cli("laptop", &[&sets[..], &["--until", "running"]].concat()), 0);
    let world = cloud.world();
    let ours = world["instances"].as_array().unwrap().iter().filter(|i| i["tags"]["fleetwright:fleet"] == "five");
    let markets: Vec<&Value> = ours.filter(|i| i["owner"] != "decoy").map(|i| &i["market"]).collect();
    assert_eq!(markets.iter().filter(|market| **market == "on-demand").count(), 2, "{markets:?}");
    assert_eq!(markets.len(), 5);
}
