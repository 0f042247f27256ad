//! What somebody stumbles over who meets this program for the first time: a wrong profile, region or shell.

use crate::env::{Cloud, binary, expect, repo};
use serde_json::json;
use std::fs;
use std::process::Command;

const SPEC: &str = "tests/specs/it/five.yaml";

#[track_caller]
fn says(command: &mut Command, code: i32, words: &[&str]) {
    let talk = String::from_utf8(expect(command, code).stderr).unwrap();
    for word in words {
        assert!(talk.contains(word), "{word:?} is missing: {talk}");
    }
}

#[test]
fn a_profile_that_was_asked_for_is_the_one() {
    let cloud = Cloud::start(SPEC, 120, &json!({}));
    let config = cloud.state("config");
    fs::write(&config, "[profile ops]\naws_access_key_id = OPS\naws_secret_access_key = secret\n").unwrap();
    let status = |profile: &str| {
        let mut command = cloud.cli("laptop", &["--profile", profile, "status"]);
        command.env("AWS_CONFIG_FILE", &config).env("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent");
        command
    };
    // The environment has keys of its own, which are not used.
    expect(&mut status("ops"), 0);
    let audit = cloud.audit();
    assert!(!audit.is_empty() && audit.iter().all(|call| call["principal"] == "OPS"), "{audit:#?}");
    says(&mut status("nope"), 5, &["nope"]);
    assert_eq!(cloud.audit().len(), audit.len(), "no call was made as anybody else");
}

#[test]
fn a_region_is_a_world_of_its_own() {
    let cloud = Cloud::start(SPEC, 120, &json!({}));
    let mut launch = cloud.launch("laptop");
    says(launch.args(["--region", "eu-west-1"]), 5, &["eu-west-1", "us-east-1"]);
    assert_eq!(cloud.ever_made(), 0);
}

#[test]
fn a_cloud_that_has_ended_is_told_by_name() {
    let cloud = Cloud::start(SPEC, 120, &json!({}));
    let mut status = cloud.cli("laptop", &["status"]);
    drop(cloud);
    says(
        &mut status,
        6,
        &["/_sim/clock", "unset FLEETWRIGHT_CLOCK FLEETWRIGHT_SET FLEETWRIGHT_STATE_DIR AWS_ENDPOINT_URL"],
    );
}

#[test]
fn files_that_are_made_later_are_told_where_they_are_needed() {
    let dir = tempfile::tempdir().unwrap();
    let spec = fs::read_to_string(repo(SPEC)).unwrap();
    let more = "release: {from: build/worker.tar.gz, playbook: deploy.yaml}\nqueue: {url: 'https://sqs.us-east-1.amazonaws.com/123456789012/q'}\nfeed: {from: {lines: items.txt}}\n";
    fs::write(dir.path().join("deploy.yaml"), "steps: [{name: none, run: 'true'}]\n").unwrap();
    let file = dir.path().join("fleet.yaml");
    fs::write(&file, spec + more).unwrap();
    let run = |arguments: &[&str]| {
        let mut command = binary();
        command.arg("--state-dir").arg(dir.path().join("state")).arg("-f").arg(&file).args(arguments);
        command
    };
    says(&mut run(&["validate"]), 0, &["worker.tar.gz", "items.txt", "2 warnings"]);
    let runs = expect(&mut run(&["runs", "list"]), 0);
    assert_eq!(String::from_utf8_lossy(&runs.stderr), "");
    // A spec that says nothing of a rehearsal is helped to one.
    says(&mut run(&["rehearse"]), 2, &["build/worker.tar.gz: ", "rehearsal: {release: ", "explain rehearsal"]);
}

#[test]
fn what_a_killed_cloud_left_is_cleared_away() {
    let dir = tempfile::tempdir().unwrap();
    let gone = {
        let mut child = Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        child.id()
    };
    let (stale, live) = (format!("fleetwright-sim-{gone}"), format!("fleetwright-sim-{}", std::process::id()));
    for folder in [&stale, &live, &"fleetwright-sim-x".to_owned()] {
        fs::create_dir_all(dir.path().join(folder).join("hosts")).unwrap();
    }
    let mut serve = binary();
    serve.arg("--state-dir").arg(dir.path()).args(["sim", "serve", "--hosts", "none", "--faults", "/nonexistent"]);
    expect(&mut serve, 2);
    let mut left: Vec<String> =
        fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    left.sort();
    let mut wanted = [live, "fleetwright-sim-x".to_owned()];
    wanted.sort();
    assert_eq!(left, wanted);
}
