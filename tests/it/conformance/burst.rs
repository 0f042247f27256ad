//! microburst, somebody else's proxy that breaks calls to AWS, in front of the rehearsal cloud: faults that no line of this
//! project made, in envelopes made from AWS's own models. moto can't stand behind it here: it launches again on a token that it
//! has seen.

use super::moto::Server;
use crate::env::{Cloud, expect, signed};
use serde_json::{Value, json};
use std::process::Command;

const N: usize = 5;

/// What it does to which call, and how it is told.
fn faults() -> Vec<(&'static str, Value)> {
    let error = |operation: &str, times: u32, code: &str, status: u32| json!({ "service": "ec2", "operation": operation, "times": times, "error": { "code": code, "status": status } });
    let answer = |operation: &str, times: u32, response: Value| json!({ "service": "ec2", "operation": operation, "times": times, "response": response });
    let lost = json!({ "abort_bytes": 0 });
    vec![
        ("no room", json!([error("CreateFleet", 1, "InsufficientInstanceCapacity", 500)])),
        ("the answer to a launch is lost", json!([answer("CreateFleet", 1, lost.clone())])),
        (
            "answers to all that changes something are lost",
            json!(
                ["CreateLaunchTemplate", "CreateFleet", "TerminateInstances", "DeleteLaunchTemplate"]
                    .map(|operation| answer(operation, 1, lost.clone()))
            ),
        ),
        ("a launch's answer is cut", json!([answer("CreateFleet", 1, json!({ "truncate_frac": 0.5 }))])),
        ("what hosts there are is cut", json!([answer("DescribeInstances", 3, json!({ "truncate_frac": 0.5 }))])),
        (
            "throttled",
            json!([
                error("DescribeInstances", 3, "RequestLimitExceeded", 503),
                error("CreateFleet", 2, "RequestLimitExceeded", 503),
                error("TerminateInstances", 2, "RequestLimitExceeded", 503),
            ]),
        ),
        (
            "broken",
            json!([error("CreateFleet", 2, "InternalError", 500), error("DescribeImages", 1, "Unavailable", 503)]),
        ),
        ("reset", json!([{ "service": "ec2", "operation": "CreateFleet", "times": 2, "reset": true }])),
    ]
}

#[expect(clippy::print_stdout, reason = "what the script is run for")]
#[test]
#[ignore = "needs microburst: tests/crash/microburst.sh installs and runs it"]
fn faults_of_another_make_end_with_exactly_n() {
    let program = std::env::var_os("FLEETWRIGHT_MICROBURST").expect("tests/crash/microburst.sh names it");
    let cloud = Cloud::start("tests/specs/it/five.yaml", 1, &json!({})).leaping();
    let proxy = Server::microburst(program.as_ref(), &format!("http://{}", cloud.authority()));
    let authority = proxy.ready();
    let told = |line: &str, body: &Value| {
        let text = if body.is_null() { String::new() } else { body.to_string() };
        let (status, answer) = signed("ec2", &authority, line, "content-type: application/json\r\n", &text);
        assert_eq!(status, 200, "{line}: {answer}");
        answer
    };
    let behind = |mut command: Command| {
        command.env("AWS_ENDPOINT_URL", format!("http://{authority}"));
        command
    };
    // The models of EC2 are read at its first call, which takes seconds.
    expect(&mut behind(cloud.cli("laptop", &["status"])), 0);
    for (round, (name, rules)) in faults().into_iter().enumerate() {
        told("POST /_microburst/rules", &rules);
        expect(&mut behind(cloud.launch("laptop")), 0);
        assert_eq!((cloud.live("five").len(), cloud.ever_made()), (N, N * (round + 1)), "{name}");
        expect(&mut behind(cloud.cli("laptop", &["down"])), 0);
        assert_eq!(cloud.live("five"), Vec::<String>::new(), "{name}");
        assert_eq!(cloud.world()["launch_templates"], json!([]), "{name}");
        let fired: Value = serde_json::from_str(&told("GET /_microburst/rules", &Value::Null)).unwrap();
        let all = fired.as_array().unwrap();
        assert!(all.iter().all(|rule| rule["fired_count"] == rule["times"]), "{name}: {fired}");
        println!("{name}: exactly {N} after {} kinds of fault, each as often as it was told to", all.len());
    }
    cloud.assert_decoys_untouched();
}
