//! `notify`: webhooks hear how a verb ended, through the rehearsal cloud's own; what goes wrong there changes nothing, and
//! the address stays a secret.

use crate::answers::valid;
use crate::env::{Cloud, expect};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::path::Path;

const SPEC: &str = "tests/specs/it/job.yaml";
const NOTIFY: &str = "notify=[{webhook: '${ALL_HOOK}'}, {events: [capacity], webhook: '${SHORT_HOOK}'}]";

fn told(cloud: &Cloud) -> Vec<Value> {
    let all: Value = serde_json::from_str(&cloud.control("GET", "hooks", &Value::Null)).unwrap();
    all.as_array().unwrap().clone()
}

/// Everything below a folder, as text.
fn everything(dir: &Path, out: &mut String) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            everything(&path, out);
        } else {
            write!(out, "{}", String::from_utf8_lossy(&std::fs::read(path).unwrap())).unwrap();
        }
    }
}

#[test]
fn webhooks_hear_of_ends_and_nobody_sees_their_addresses() {
    let mut cloud = Cloud::start(SPEC, 60, &json!({}));
    cloud.set(NOTIFY);
    let hooks = |mut command: std::process::Command, address: &str| {
        for name in ["ALL_HOOK", "SHORT_HOOK"] {
            command.env(name, format!("{address}/{name}"));
        }
        command
    };
    let good = format!("http://{}/_sim/hooks", cloud.authority());
    let launch = |more: &[&str]| {
        let mut all = vec!["launch", "--unattested", "--image", crate::env::IMAGE, "--until", "running"];
        all.extend(more);
        cloud.cli("laptop", &all)
    };

    // Planned, refused by itself and only looked at: nobody hears of it.
    expect(&mut hooks(launch(&["--dry-run"]), &good), 0);
    expect(&mut hooks(cloud.cli("laptop", &["launch", "--nonsense"]), &good), 2);
    expect(&mut hooks(cloud.cli("laptop", &["status"]), &good), 0);
    assert_eq!(told(&cloud), Vec::<Value>::new());

    // Only those who asked hear of it, in fields and in words.
    let output = expect(&mut hooks(launch(&[]), &good), 0);
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    let heard = told(&cloud);
    assert_eq!(heard.len(), 1, "{heard:#?}");
    assert_eq!(heard[0]["name"], "ALL_HOOK");
    let notice = &heard[0]["told"];
    valid("notify", notice);
    assert_eq!((&notice["event"], &notice["verb"], &notice["exit"]), (&json!("done"), &json!("launch"), &json!(0)));
    assert_eq!((&notice["hosts"], notice["fleet"].as_str()), (&answer["hosts"], Some("job")));
    assert!(notice["text"].as_str().unwrap().starts_with("job in us-east-1: launch done: "), "{notice:#}");
    let run = notice["run"].as_str().unwrap().to_owned();
    assert_eq!(run.len(), 36, "{notice:#}");

    // The same again has nothing to do, and that is told, too: whoever was killed before he could tell tells now.
    expect(&mut hooks(launch(&[]), &good), 0);
    assert_eq!(told(&cloud).len(), 2);
    assert_eq!(told(&cloud)[1]["told"]["run"], Value::Null, "no run was begun");

    // Nobody takes it: a warning, with the variable's name only; the verb's own end is what counts.
    for address in ["http://127.0.0.1:1/sesame", "https://127.0.0.1:1/sesame", "http://example.com/sesame"] {
        let output = expect(&mut hooks(launch(&[]), address), 0);
        let talk = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(talk.contains("the webhook ${ALL_HOOK} was not told of `done`: "), "{talk}");
        assert!(!talk.contains("sesame"), "{talk}");
        assert_eq!(serde_json::from_slice::<Value>(&output.stdout).unwrap()["hosts"], answer["hosts"]);
    }

    // What fails is told with its exit code and what to type next.
    cloud.control(
        "POST",
        "faults",
        &json!({"rules": [{"action": "*", "point": "before-commit",
        "do": {"error": {"code": "UnauthorizedOperation", "message": "no <!channel>", "status": 403}}}]}),
    );
    let output = hooks(cloud.cli("laptop", &["down"]), &good).output().unwrap();
    let notice = told(&cloud).pop().unwrap()["told"].clone();
    valid("notify", &notice);
    assert_eq!((&notice["event"], &notice["exit"]), (&json!("failed"), &json!(output.status.code())), "{notice:#}");
    assert!(!notice["text"].as_str().unwrap().contains('<') && !notice["next"].as_array().unwrap().is_empty());

    let mut kept = String::new();
    everything(&cloud.state("laptop"), &mut kept);
    assert!(kept.contains(&run) && !kept.contains("sesame") && !kept.contains("_sim/hooks"));
}
