//! `extend`: a later end for our hosts and for nobody else's, once, however often it is killed.

use crate::env::{Cloud, expect};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

const SPEC: &str = "tests/specs/it/job.yaml";

fn answer(cloud: &Cloud, arguments: &[&str]) -> Value {
    serde_json::from_slice(&expect(&mut cloud.cli("laptop", arguments), 0).stdout).unwrap()
}

/// Tags of every instance, by ground truth.
fn tags(cloud: &Cloud) -> BTreeMap<String, Value> {
    let world = cloud.world();
    let all = world["instances"].as_array().unwrap().iter();
    all.map(|host| (host["id"].as_str().unwrap().to_owned(), host["tags"].clone())).collect()
}

/// When our hosts end; one instant for all of them.
#[track_caller]
fn end(cloud: &Cloud, hosts: &[String]) -> Timestamp {
    let tags = tags(cloud);
    let ends: BTreeSet<&str> = hosts.iter().map(|id| tags[id]["fleetwright:expires"].as_str().unwrap()).collect();
    assert_eq!(ends.len(), 1, "{ends:?}");
    ends.first().unwrap().parse().unwrap()
}

#[test]
fn hosts_live_longer_once_and_nobody_else_does() {
    let cloud = Cloud::start(SPEC, 60, &json!({}));
    assert_eq!(answer(&cloud, &["extend", "2h"])["until"], json!(null), "no host yet");
    expect(&mut cloud.launch("laptop"), 0);
    let hosts = cloud.live("job");
    assert!(!hosts.is_empty());
    let (before, others) = (end(&cloud, &hosts), tags(&cloud));
    let two = SignedDuration::from_hours(2);

    let dry = answer(&cloud, &["--dry-run", "extend", "2h"]);
    assert_eq!(dry["plans"][0]["steps"][0]["id"], "extend", "{dry:#}");
    assert_eq!(end(&cloud, &hosts), before);

    // Killed with the tags set and the answer not read: the same command goes on and adds nothing.
    cloud.arm("CreateTags", "after-commit");
    let mut child = cloud.cli("laptop", &["extend", "2h"]).spawn().unwrap();
    assert!(cloud.held(&mut child));
    child.kill().unwrap();
    child.wait().unwrap();
    cloud.release();
    assert_eq!(end(&cloud, &hosts), before + two);
    let told = answer(&cloud, &["extend", "2h"]);
    assert_eq!(end(&cloud, &hosts), before + two, "{told:#}");
    let named: BTreeSet<&str> = told["hosts"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert_eq!(named, hosts.iter().map(String::as_str).collect(), "{told:#}");
    assert_eq!(told["until"].as_str().unwrap().parse::<Timestamp>().unwrap(), before + two);

    // Said once more, it is meant once more.
    answer(&cloud, &["extend", "2h"]);
    assert_eq!(end(&cloud, &hosts), before + two * 2);
    for (id, after) in tags(&cloud) {
        if !hosts.contains(&id) {
            assert_eq!(after, others[&id], "{id} is not ours to extend");
        }
    }
    cloud.assert_decoys_untouched();
    // They have no unit that would end them.
    let status = || String::from_utf8(expect(&mut cloud.cli("laptop", &["status"]), 0).stderr).unwrap();
    assert_eq!(status(), "");
    cloud.control("POST", "clock", &json!({ "advance": "20h" }));
    let told = status();
    assert!(told.contains("past EXPIRES") && hosts.iter().all(|id| told.contains(id.as_str())), "{told}");
    let runs = answer(&cloud, &["runs", "list"]);
    let verbs: Vec<&str> = runs["runs"].as_array().unwrap().iter().map(|run| run["verb"].as_str().unwrap()).collect();
    assert_eq!(verbs, ["extend", "extend", "launch"], "{runs:#}");
}
