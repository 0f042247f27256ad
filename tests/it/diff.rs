//! `diff`: where the live fleet is not as the spec says, host by host; nothing is changed by asking.

use crate::env::{Cloud, expect};
use serde_json::{Value, json};

const SPEC: &str = "tests/specs/it/mould.yaml";

fn diff(cloud: &Cloud, code: i32) -> Value {
    let output = expect(&mut cloud.cli("laptop", &["diff", "--detailed-exitcode"]), code);
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Facts that deviate, with what was wanted and found.
fn facts(of: &Value) -> Vec<(String, String, String)> {
    let word = |one: &Value, key: &str| one[key].as_str().unwrap().to_owned();
    let all = of["deviations"].as_array().unwrap().iter();
    all.map(|one| (word(one, "fact"), word(one, "wanted"), word(one, "found"))).collect()
}

fn named(of: &Value) -> Vec<String> {
    facts(of).into_iter().map(|(fact, _, _)| fact).collect()
}

#[test]
fn what_deviates_is_told_host_by_host() {
    let mut cloud = Cloud::start(SPEC, 400, &json!({}));
    let empty = diff(&cloud, 14);
    assert_eq!(facts(&empty), [("size".to_owned(), "2".to_owned(), "0".to_owned())], "{empty:#}");
    assert!(empty["unknown"].to_string().contains("image:"), "{empty:#}");
    expect(&mut cloud.cli("laptop", &["bake", "--no-login"]), 0);
    expect(&mut cloud.cli("laptop", &["launch", "--unattested", "--until", "running"]), 0);
    let before = cloud.audit().len();
    let equal = diff(&cloud, 0);
    assert_eq!((&equal["equal"], equal["hosts"].as_array().unwrap().len()), (&json!(true), 2), "{equal:#}");
    let asked = cloud.audit();
    let changing = asked[before..].iter().filter(|call| call["commit"].is_number() && call["made"] != json!([]));
    assert_eq!(changing.count(), 0, "it only looks");

    // One host is changed by hand, the spec by its owner, and there is a newer image.
    let odd = cloud.live("mould").pop().unwrap();
    cloud.ec2(&format!(
        "Action=CreateTags&Version=2016-11-15&ResourceId.1={odd}&Tag.1.Key=fleetwright%3Aexpires&Tag.1.Value=never"
    ));
    expect(&mut cloud.cli("laptop", &["bake", "--no-login"]), 0);
    cloud.set("tags={team: data}");
    cloud.set("fleet.types=[m6i.large]");
    cloud.set("fleet.metadata.hop_limit=2");
    let told = diff(&cloud, 14);
    assert_eq!(named(&told), ["image of the launch template", "launch template"], "{told:#}");
    for host in told["hosts"].as_array().unwrap() {
        let mut wanted = vec!["type", "image", "metadata hop limit", "tag team"];
        if host["id"] == odd.as_str() {
            wanted.push("expires");
        }
        assert_eq!(named(host), wanted, "{host:#}");
        let kind = ("type".to_owned(), "m6i.large".to_owned(), "m7i.large".to_owned());
        assert_eq!((&facts(host)[0], &host["equal"]), (&kind, &json!(false)));
    }
    // A host in quarantine does not count.
    expect(&mut cloud.cli("laptop", &["quarantine", &odd]), 0);
    let told = diff(&cloud, 14);
    assert!(facts(&told).contains(&("size".to_owned(), "2".to_owned(), "1".to_owned())), "{told:#}");
    // Without the flag it is no failure.
    let page = expect(&mut cloud.cli_as("laptop", "table", &["diff"]), 0);
    let page = String::from_utf8_lossy(&page.stdout).into_owned();
    assert!(page.contains("0 of 2 hosts as the spec says"), "{page}");
}
