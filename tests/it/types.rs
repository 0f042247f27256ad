//! Instance types: found by what they must have, checked where they are named, refused before anything is changed.

use crate::env::{Cloud, IMAGE, expect};
use serde_json::{Value, json};

const SPEC: &str = "tests/specs/it/required.yaml";

fn launch<'a>(sets: &[&'a str]) -> Vec<&'a str> {
    let sets = sets.iter().flat_map(|set| ["--set", set]);
    sets.chain(["launch", "--unattested", "--image", IMAGE, "--until", "running"]).collect()
}

fn unchanged(cloud: &Cloud) {
    for action in ["CreateLaunchTemplate", "CreateFleet"] {
        assert_eq!(cloud.calls(action), Vec::<Value>::new(), "{action}");
    }
}

#[test]
fn types_are_found_by_what_they_have() {
    let cloud = Cloud::start(SPEC, 300, &json!({}));
    let dry = [&["--dry-run"][..], &launch(&[])].concat();
    let plan: Value = serde_json::from_slice(&expect(&mut cloud.cli("laptop", &dry), 0).stdout).unwrap();
    // The cheapest first: two vCPUs of m, then of r, then four of each; no t3, no m3, no Graviton, no c for its memory.
    let found = ["m6i.large", "m7i.large", "r7i.large", "c7i.xlarge", "m6i.xlarge", "m7i.xlarge", "r7i.xlarge"];
    let steps = plan["plans"][0]["steps"].as_array().unwrap();
    let ladder = &steps.iter().find(|step| step["id"] == "capacity").unwrap()["action"]["capacity"];
    assert_eq!(ladder["types"], json!(found), "{plan:#}");
    unchanged(&cloud);
    expect(&mut cloud.cli("laptop", &launch(&[])), 0);
    assert_eq!(cloud.live("required").len(), 5);
    let asked = &cloud.calls("CreateFleet")[0]["parameters"];
    let overrides = asked.as_object().unwrap().keys().filter(|key| key.ends_with(".InstanceType")).count();
    assert_eq!(overrides, 14, "seven types in two subnets: {asked:#}");
    expect(&mut cloud.cli("laptop", &["down"]), 0);
}

#[test]
fn what_nothing_meets_is_told_with_the_nearest_miss() {
    let cloud = Cloud::start(SPEC, 300, &json!({}));
    for (set, why, hint) in [
        ("fleet.requirements.vcpus=3..3", "just 3 vCPUs", "nearest is c7i.xlarge: 4 vCPUs"),
        ("fleet.requirements.memory=900GiB", "at least 900 GiB", "nearest is r7i.xlarge: 32 GiB"),
        ("fleet.requirements.architecture=arm64", "is arm64, but the image is x86_64", "leave it out"),
    ] {
        let output = expect(&mut cloud.cli("laptop", &launch(&[set])), 2);
        let talk = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(talk.contains(why) && talk.contains(hint), "{set}: {talk}");
    }
    unchanged(&cloud);
}

#[test]
fn named_types_are_checked_before_anything_is_changed() {
    let cloud = Cloud::start("tests/specs/it/five.yaml", 300, &json!({}));
    for (set, why) in [
        ("fleet.types=[m7i.large, m7i.gigantic]", "us-east-1 has no instance type m7i.gigantic"),
        ("fleet.types=[m7i.lagre]", "did you mean m7i.large?"),
        ("fleet.types=[m8i.large]", "did you mean m"),
    ] {
        let output = expect(&mut cloud.cli("laptop", &launch(&[set])), 2);
        let talk = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(talk.contains(why), "{set}: {talk}");
    }
    unchanged(&cloud);
}

#[test]
fn without_permission_to_look_named_types_are_taken_as_they_are() {
    let cloud = Cloud::start("tests/specs/it/five.yaml", 300, &json!({ "deny": ["DescribeInstanceTypeOfferings"] }));
    let output = expect(&mut cloud.cli("laptop", &launch(&[])), 0);
    let talk = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(talk.contains("the types of the spec are not checked"), "{talk}");
    let cloud = Cloud::start(SPEC, 300, &json!({ "deny": ["DescribeInstanceTypes"] }));
    let output = expect(&mut cloud.cli("laptop", &launch(&[])), 5);
    let talk = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(talk.contains("DescribeInstanceTypes"), "{talk}");
    unchanged(&cloud);
}
