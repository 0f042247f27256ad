//! Each exit code of the contract, reached by the binary as users reach it.
//!
//! 14 is what `plan --detailed-exitcode` ends with: `plan.rs` has it in all its cases.

use crate::env::{Cloud, IMAGE, binary, expect, repo};
use serde_json::{Value, json};
use std::path::Path;
use std::process::{Command, Output, Stdio};

const JOB: &str = "tests/specs/it/job.yaml";
const QUEUE: &str = "https://sqs.us-east-1.amazonaws.com/123456789012/job";

/// Runs to the end and demands the code and a part of what was said.
#[track_caller]
fn ends(command: &mut Command, code: i32, said: &str) -> Output {
    let output = expect(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()), code);
    let talk = String::from_utf8_lossy(&output.stderr);
    assert!(talk.contains(said), "{said:?} was not said: {talk}");
    output
}

fn launch(cloud: &Cloud, more: &[&str]) -> Command {
    let launch = ["launch", "--unattested", "--image", IMAGE, "--until", "running"];
    cloud.cli("laptop", &[more, &launch].concat())
}

fn world() -> Cloud {
    Cloud::start(JOB, 600, &json!({}))
}

#[test]
fn done_is_0_and_a_bug_is_1() {
    let mut validate = binary();
    ends(validate.arg("-f").arg(repo(JOB)).arg("validate"), 0, "");
    // No fault of the product's own reaches 1: it means that nobody foresaw this. A process without file descriptors can't
    // have a runtime, which nobody foresees either.
    let mut starved = Command::new("sh");
    starved
        .args(["-c", "ulimit -n 4; exec \"$0\" \"$@\""])
        .arg(env!("CARGO_BIN_EXE_fleetwright"))
        .arg("-f")
        .arg(repo(JOB));
    ends(starved.arg("status"), 1, "start the runtime");
}

#[test]
fn usage_and_problems_of_the_spec_are_2() {
    ends(binary().arg("lunch"), 2, "unrecognized subcommand");
    // What has no plan does nothing under --dry-run.
    let dir = tempfile::tempdir().unwrap();
    let into = dir.path().to_str().unwrap();
    let work = ["work", "--queue-url", QUEUE, "--", "true"];
    for verb in [&["wait"][..], &work, &["init", into], &["man", into], &["rehearse"]] {
        ends(binary().arg("--dry-run").args(verb), 2, &format!("{} --dry-run: there is no plan of it", verb[0]));
    }
    assert_eq!(std::fs::read_dir(into).unwrap().count(), 0, "nothing was written");
    ends(binary().current_dir("/").arg("validate"), 2, "fleet.yaml");
    ends(binary().arg("-f").arg(repo("tests/specs/bad/unknown-keys.yaml")).arg("validate"), 2, "unknown-key");
}

#[test]
fn failed_hosts_are_3() {
    let cloud = world();
    expect(&mut launch(&cloud, &[]), 0);
    ends(&mut cloud.cli("laptop", &["exec", "--", "true"]), 3, "unreachable");
}

#[test]
fn a_shortfall_is_4() {
    let dry = json!({ "empty_pools": [{ "instance_type": "*", "zone": "*", "market": "on-demand" }] });
    let cloud = Cloud::start(JOB, 600, &dry);
    ends(
        &mut launch(&cloud, &["--set", "fleet.accept={min: 2, within: 1m, otherwise: abort}"]),
        4,
        "none could be had",
    );
}

#[test]
fn credentials_are_5() {
    let cloud = world();
    let mut nobody = cloud.cli("laptop", &["status"]);
    nobody.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY");
    ends(&mut nobody, 5, "credentials");
    let cloud = Cloud::start(JOB, 600, &json!({ "deny": ["ec2:CreateFleet"] }));
    ends(&mut launch(&cloud, &[]), 5, "UnauthorizedOperation");
}

#[test]
fn a_cloud_that_is_down_is_6() {
    let down = json!({ "rules": [{ "action": "GetCallerIdentity", "times": null, "do": { "error": { "code": "InternalFailure", "status": 500 } } }] });
    let cloud = Cloud::start(JOB, 3600, &down);
    ends(&mut cloud.cli("laptop", &["status"]), 6, "InternalFailure");
}

#[test]
fn a_second_run_is_7_and_signals_are_130_and_143() {
    for (signal, code) in [(nix::sys::signal::Signal::SIGINT, 130), (nix::sys::signal::Signal::SIGTERM, 143)] {
        let cloud = world();
        cloud.arm("CreateFleet", "before-commit");
        let mut first = launch(&cloud, &[]).spawn().unwrap();
        assert!(cloud.held(&mut first));
        ends(&mut launch(&cloud, &[]), 7, "launch");
        let pid = nix::unistd::Pid::from_raw(i32::try_from(first.id()).unwrap());
        nix::sys::signal::kill(pid, signal).unwrap();
        // The signal is taken while the call is held: nothing new is started after it.
        std::thread::sleep(std::time::Duration::from_millis(100));
        cloud.release();
        assert_eq!(first.wait().unwrap().code(), Some(code));
        // It is resumable.
        expect(&mut launch(&cloud, &[]), 0);
        assert_eq!((cloud.live("job").len(), cloud.ever_made()), (2, 2));
    }
}

#[test]
fn a_wrong_account_is_8() {
    let cloud = Cloud::start("tests/specs/it/five.yaml", 600, &json!({}));
    ends(&mut launch(&cloud, &["--set", "account='999999999999'"]), 8, "account 123456789012");
}

#[test]
fn a_state_directory_that_is_none_is_9() {
    let cloud = world();
    std::fs::write(cloud.state("laptop"), "a file").unwrap();
    ends(&mut launch(&cloud, &[]), 9, "laptop");
    // A rehearsal cloud names one that ends with it, so that nothing lies beside the fleet's own journals.
    let named = Path::new(&cloud.env()["FLEETWRIGHT_STATE_DIR"]);
    assert!(named.starts_with(cloud.state("")) && named.ends_with("state"), "{}", named.display());
    let mut by_env = binary();
    by_env.envs(cloud.env()).env("FLEETWRIGHT_STATE_DIR", cloud.state("laptop")).arg("-f").arg(repo(JOB));
    ends(by_env.args(["--yes", "--local-state", "feed"]), 9, "laptop");
}

#[test]
fn hosts_that_do_not_end_are_10() {
    let cloud = Cloud::start(JOB, 1, &json!({ "stuck": [{ "state": "shutting-down" }] })).leaping();
    expect(&mut launch(&cloud, &[]), 0);
    let output = ends(&mut cloud.cli("laptop", &["down"]), 10, "Left in the account");
    let stuck = cloud.world()["instances"].as_array().unwrap().iter().find(|i| i["state"] == "shutting-down").unwrap()
        ["id"]
        .clone();
    assert!(String::from_utf8_lossy(&output.stderr).contains(&format!("instance {}", stuck.as_str().unwrap())));
}

/// One call to SQS with the rehearsal's credentials.
pub(crate) fn sqs(cloud: &Cloud, action: &str, body: &Value) {
    let mut curl = Command::new("curl");
    curl.args(["-sSf", "--noproxy", "*", "-H", &format!("X-Amz-Target: AmazonSQS.{action}")]);
    curl.args(["-H", "Content-Type: application/x-amz-json-1.0", "-H"]);
    curl.arg("Authorization: AWS4-HMAC-SHA256 Credential=TEST/20260101/us-east-1/sqs/aws4_request, SignedHeaders=host, Signature=00");
    let output = curl.args(["-d", &body.to_string(), &format!("http://{}/", cloud.authority())]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn fed() -> Cloud {
    let cloud = world();
    expect(&mut cloud.cli("laptop", &["feed"]), 0);
    cloud
}

#[test]
fn failed_items_are_11() {
    let cloud = fed();
    // As if a worker had given up on one of them.
    sqs(&cloud, "PurgeQueue", &json!({ "QueueUrl": QUEUE }));
    sqs(&cloud, "SendMessage", &json!({ "QueueUrl": format!("{QUEUE}-dead"), "MessageBody": "two" }));
    ends(&mut cloud.cli("laptop", &["wait"]), 11, "1 failed");
}

#[test]
fn a_job_that_stalls_is_12_and_one_that_is_late_13() {
    let cloud = fed();
    ends(&mut cloud.cli("laptop", &["wait"]), 12, "stalled");
    ends(&mut cloud.cli("laptop", &["--set", "done.deadline=4m", "wait"]), 13, "deadline");
    ends(&mut cloud.cli("laptop", &["--timeout", "1m", "wait"]), 13, "--timeout");
    let runs = cloud.cli("laptop", &["runs", "list"]).output().unwrap();
    let runs: serde_json::Value = serde_json::from_slice(&runs.stdout).unwrap();
    assert_eq!((&runs["runs"][0]["state"], &runs["runs"][0]["exit"]), (&"ended".into(), &13.into()), "{runs:#}");
}

#[test]
fn a_down_without_time_tells_what_remains_and_is_10() {
    let cloud = world();
    expect(&mut launch(&cloud, &[]), 0);
    let output = ends(&mut cloud.cli("laptop", &["--timeout", "1s", "down"]), 10, "finish within --timeout");
    let talk = String::from_utf8_lossy(&output.stderr).into_owned();
    for host in cloud.live("job") {
        assert!(talk.contains(&format!("instance {host}")), "{host}: {talk}");
    }
    assert!(talk.contains("launch-template lt-") && talk.contains(" an hour"), "{talk}");
    assert!(talk.contains("fleetwright down -f ") && talk.contains("     # goes on"), "{talk}");
    expect(&mut cloud.cli("laptop", &["down"]), 0);
}

#[test]
fn a_wait_that_fails_ends_its_events_as_its_process() {
    let cloud = fed();
    let gone = json!({ "rules": [{ "action": "GetQueueAttributes", "times": null, "point": "before-commit",
        "do": { "error": { "code": "AccessDenied", "message": "no", "status": 403 } } }] });
    cloud.control("POST", "faults", &gone);
    let output = ends(&mut cloud.cli_as("laptop", "jsonl", &["wait"]), 5, "look at queue");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let finished: Vec<&str> = text.lines().filter(|line| line.contains("run-finished")).collect();
    assert!(finished.len() == 1 && finished[0].contains("\"exit\":5"), "{text}");
}

#[test]
fn missing_items_are_15() {
    let mut cloud = Cloud::with_hosts("fleet.yaml", 600, &json!({}), "real");
    let items = cloud.state("items.txt");
    std::fs::write(&items, "one\ntwo\n").unwrap();
    cloud.set(&format!("feed.from={{lines: '{}'}}", items.display()));
    cloud.set("done.completed={run: 'echo 1', on: template, counts: all}");
    expect(&mut cloud.cli("laptop", &["feed"]), 0);
    let queue = "https://sqs.us-east-1.amazonaws.com/123456789012/digest";
    sqs(&cloud, "PurgeQueue", &json!({ "QueueUrl": queue }));
    ends(&mut cloud.cli("laptop", &["wait"]), 15, "1 item neither completed nor failed");
}
