//! The dead-man's switch: a host whose expiry has passed powers itself off, and EC2 terminates it. Nobody else acts.

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
    cloud.ec2(&format!(
        "Action=CreateTags&Version=2016-11-15&ResourceId.1={id}&Tag.1.Key=fleetwright%3Aexpires&Tag.1.Value=2001-01-01T00%3A00%3A00Z"
    ));
    // The timer runs this every minute; the connection may be cut by what it does.
    let output = cloud.cli("laptop", &["exec", "--", "/opt/fleetwright/deadman"]).output().unwrap();
    let begun = Instant::now();
    while !cloud.live("five").is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(20), "{}", String::from_utf8_lossy(&output.stderr));
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(cloud.calls("TerminateInstances").is_empty(), "nobody but the host acted");
}
