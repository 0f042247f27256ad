//! The script for a real account runs as it is against the rehearsal cloud, sees every fact, and leaves nothing.

use crate::env::{Cloud, IMAGE, repo, test_tool};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::process::{Command, Output};

const SPEC: &str = "tests/specs/it/five.yaml";
const SUBNETS: &str = "subnet-0aaa0000000000000,subnet-0bbb0000000000000";

fn smoke(cloud: &Cloud, cap: &str) -> (Output, BTreeMap<String, Value>) {
    let tools = test_tool("aws");
    let path = format!("{}:{}", tools.parent().unwrap().display(), std::env::var("PATH").unwrap());
    let facts = cloud.state("facts.jsonl");
    let output = Command::new(repo("scripts/real-aws-smoke"))
        .args([IMAGE, SUBNETS, "sg-0aaa0000000000000", "m7i.large"])
        .envs(cloud.env())
        .env("PATH", path)
        .env("FLEETWRIGHT", crate::env::lean())
        .env("SMOKE_FACTS", &facts)
        .env("SMOKE_CAP", cap)
        .output()
        .unwrap();
    let facts = std::fs::read_to_string(facts).unwrap();
    let facts = facts.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    (output, facts.map(|fact| (fact["fact"].as_str().unwrap().to_owned(), fact["saw"].clone())).collect())
}

#[test]
fn it_sees_every_fact_of_the_page_and_leaves_nothing() {
    let cloud = Cloud::start(SPEC, 300, &json!({}));
    let (output, facts) = smoke(&cloud, "1");
    let talk = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{talk}");
    let page = std::fs::read_to_string(repo("docs/unproven.md")).unwrap();
    for fact in facts.keys().filter(|fact| *fact != "hosts-of-a-launch") {
        assert!(page.contains(&format!("`{fact}`")), "docs/unproven.md does not tell of {fact}");
    }
    assert_eq!(facts["hosts-of-a-launch"], 3);
    assert_eq!(facts["replay-of-a-fleet"], json!({ "same": true, "answered": 2 }));
    assert_eq!(facts["replay-with-1-of-2-ended"]["new"], 0);
    assert_eq!(facts["replay-with-2-of-2-ended"]["answered"], "IdempotentInstanceTerminated");
    assert_eq!(facts["scale-in-order"]["gone_zone_had"], 2);
    let world = cloud.world();
    let live = world["instances"].as_array().unwrap().iter().filter(|host| host["state"] == "running");
    assert!(live.clone().all(|host| host["owner"] == "decoy"), "{:?}", live.collect::<Vec<_>>());
    assert_eq!(world["launch_templates"].as_array().unwrap().len(), 0);
    cloud.assert_decoys_untouched();
}

#[test]
fn it_launches_nothing_that_costs_more_than_its_cap() {
    let cloud = Cloud::start(SPEC, 300, &json!({}));
    let (output, facts) = smoke(&cloud, "0.10");
    let talk = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(13) && talk.contains("SMOKE_CAP"), "{talk}");
    assert_eq!((facts.len(), cloud.ever_made()), (1, 0));
}
