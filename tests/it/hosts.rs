//! Real hosts on their own: one that has expired ends itself, one whose key was swapped is not trusted.

use crate::env::{Cloud, IMAGE, expect};
use serde_json::json;
use std::time::{Duration, Instant};

#[test]
fn an_expired_host_ends_itself() {
    let cloud = Cloud::with_hosts("tests/specs/it/five.yaml", 60, &json!({}), "real");
    let launch = [
        "--set",
        "fleet.size=1",
        "--set",
        "fleet.key_name=rehearsal",
        "launch",
        "--unattested",
        "--image",
        IMAGE,
        "--until",
        "ssh",
    ];
    expect(&mut cloud.cli("laptop", &launch), 0);
    let id = cloud.live("five").pop().unwrap();
    let armed = "systemctl is-active fleetwright-deadman.timer && /opt/fleetwright/deadman";
    expect(&mut cloud.cli("laptop", &["exec", "--", armed]), 0);
    assert_eq!(cloud.live("five").len(), 1, "a host that has not expired stays");
    // A protected host stays, expired or not.
    expect(&mut cloud.cli("laptop", &["protect", &id]), 0);
    let expire = || {
        cloud.ec2(&format!(
        "Action=CreateTags&Version=2016-11-15&ResourceId.1={id}&Tag.1.Key=fleetwright%3Aexpires&Tag.1.Value=2001-01-01T00%3A00%3A00Z"
    ))
    };
    expire();
    expect(&mut cloud.cli("laptop", &["exec", "--", "/opt/fleetwright/deadman"]), 0);
    assert_eq!(cloud.live("five").len(), 1, "a protected host stays");
    expect(&mut cloud.cli("laptop", &["protect", &id, "--off"]), 0);
    // The timer runs this every minute; the connection may be cut by what it does.
    let output = cloud.cli("laptop", &["exec", "--", "/opt/fleetwright/deadman"]).output().unwrap();
    let begun = Instant::now();
    while !cloud.live("five").is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(20), "{}", String::from_utf8_lossy(&output.stderr));
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(cloud.calls("TerminateInstances").is_empty(), "nobody but the host acted");
}

#[test]
fn a_host_whose_key_was_swapped_is_refused() {
    let cloud = Cloud::with_hosts("tests/specs/it/five.yaml", 60, &json!({}), "real");
    let sets = ["--set", "fleet.size=2", "--set", "fleet.key_name=rehearsal"];
    let launch = ["launch", "--unattested", "--image", IMAGE, "--until", "ssh"];
    expect(&mut cloud.cli("laptop", &[&sets[..], &launch[..]].concat()), 0);
    let swapped = cloud.live("five").pop().unwrap();
    cloud.control("POST", &format!("hosts/{swapped}"), &json!({ "do": "rekey" }));
    let output = expect(&mut cloud.cli("laptop", &["exec", "--", "true"]), 3);
    let summary: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    for host in summary["hosts"].as_array().unwrap() {
        let wanted = if host["host"] == swapped.as_str() { "refused" } else { "ok" };
        assert_eq!(host["result"], wanted, "{host}");
    }
    // The swap is not forgotten by trying again.
    expect(&mut cloud.cli("laptop", &["exec", "--only", &swapped, "--", "true"]), 3);
}
