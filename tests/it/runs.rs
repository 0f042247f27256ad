//! `runs`: past runs from the journals alone, without credentials and without a cloud.

use crate::env::{Cloud, binary, expect, repo};
use serde_json::{Value, json};
use std::process::Command;

const SPEC: &str = "tests/specs/it/job.yaml";

/// A command line that knows the state directory and nothing of any cloud.
fn offline(cloud: &Cloud, form: &str, arguments: &[&str]) -> Command {
    let mut command = binary();
    command.arg("-f").arg(repo(SPEC)).arg("--state-dir").arg(cloud.state("laptop")).args(["-o", form]);
    command.args(arguments);
    command
}

fn answer(command: &mut Command, code: i32) -> Value {
    serde_json::from_slice(&expect(command, code).stdout).unwrap()
}

fn list(cloud: &Cloud) -> Vec<Value> {
    answer(&mut offline(cloud, "json", &["runs", "list"]), 0)["runs"].as_array().unwrap().clone()
}

fn agent(call: &Value) -> &str {
    call["user_agent"].as_str().unwrap()
}

#[test]
fn runs_are_told_from_their_journals() {
    let cloud = Cloud::start(SPEC, 120, &json!({}));
    assert!(list(&cloud).is_empty());
    let none = expect(&mut offline(&cloud, "table", &["runs", "list"]), 0);
    assert!(String::from_utf8_lossy(&none.stdout).starts_with("no run of "));

    // A launch that is killed while its request is out.
    cloud.arm("CreateFleet", "after-commit");
    let mut child = cloud.launch("laptop").spawn().unwrap();
    assert!(cloud.held(&mut child));
    let running = &list(&cloud)[0];
    assert_eq!((&running["verb"], &running["state"]), (&json!("launch"), &json!("running")), "{running:#}");
    let locked = expect(&mut cloud.cli("laptop", &["down"]), 7);
    let locked = String::from_utf8_lossy(&locked.stderr).into_owned();
    assert!(locked.contains(&format!("run {}", running["run"].as_str().unwrap())), "{locked}");
    child.kill().unwrap();
    child.wait().unwrap();
    cloud.release();
    let killed = &list(&cloud)[0];
    assert_eq!((&killed["verb"], &killed["state"]), (&json!("launch"), &json!("unfinished")), "{killed:#}");
    assert_eq!(
        (&killed["exit"], &killed["ended"], &killed["unresolved_calls"]),
        (&json!(null), &json!(null), &json!(1))
    );
    let run = killed["run"].as_str().unwrap().to_owned();
    let shown = answer(&mut offline(&cloud, "json", &["runs", "show", &run[run.len() - 6..]]), 0);
    let states: Vec<&str> = shown["steps"].as_array().unwrap().iter().map(|s| s["state"].as_str().unwrap()).collect();
    assert_eq!(states[..2], ["done", "current"], "{shown:#}");
    assert!(states[2..].iter().all(|state| *state == "waiting"), "{shown:#}");
    let call = shown["calls"].as_array().unwrap().last().unwrap();
    assert_eq!((&call["action"], &call["outcome"]), (&json!("CreateFleet"), &json!("unknown")), "{call:#}");
    let page = expect(&mut offline(&cloud, "table", &["runs", "show", &run[..13]]), 0);
    let page = String::from_utf8_lossy(&page.stdout).into_owned();
    assert!(page.contains(&format!("not yet: fleetwright resume {run}")), "{page}");
    assert!(page.contains("1 call of unknown outcome"), "{page}");

    // Gone on with, then torn down: what is over stays to be read.
    expect(&mut cloud.launch("laptop"), 0);
    expect(&mut cloud.cli("laptop", &["down"]), 0);
    let runs = list(&cloud);
    let told: Vec<(&str, u64, u64)> = runs
        .iter()
        .map(|run| {
            assert_eq!(run["steps_done"], run["steps_planned"], "{run:#}");
            (run["verb"].as_str().unwrap(), run["exit"].as_u64().unwrap(), run["unresolved_calls"].as_u64().unwrap())
        })
        .collect();
    assert_eq!(told, [("down", 0, 0), ("launch", 0, 0)], "newest first: {runs:#?}");
    let ended = runs[1]["ended"].as_str().unwrap();
    assert!(
        runs[1]["started"].as_str().unwrap() < ended && *ended < *runs[0]["started"].as_str().unwrap(),
        "{runs:#?}"
    );
    let shown = answer(&mut offline(&cloud, "json", &["runs", "show", &run]), 0);
    // What CloudTrail would keep leads from the run to its calls, and from a call of the run to AWS's record of it.
    let audit = cloud.audit();
    let of_run: Vec<&Value> =
        audit.iter().filter(|call| agent(call).contains(&format!(" app/fleetwright-{run}"))).collect();
    assert!(audit.iter().all(|call| agent(call).contains(" lib/fleetwright/0.1.0 ")), "{audit:#?}");
    assert!(of_run.iter().any(|call| call["action"] == "DescribeInstances"), "reads as well: {of_run:#?}");
    assert!(of_run.len() < audit.len(), "the other run's calls are its own");
    for call in shown["calls"].as_array().unwrap() {
        let known = of_run.iter().find(|known| known["request_id"] == call["request_id"]);
        assert_eq!(known.map(|known| &known["action"]), Some(&call["action"]), "{call:#}");
    }
    let made = shown["calls"].as_array().unwrap().iter().flat_map(|call| call["ids"].as_array().unwrap());
    assert!(made.filter_map(Value::as_str).any(|id| id.starts_with("i-")), "{shown:#}");

    let refused = expect(&mut offline(&cloud, "json", &["runs", "show", "ffffffff"]), 2);
    assert!(refused.stdout.is_empty());
    assert!(String::from_utf8_lossy(&refused.stderr).contains("failed to find a run ffffffff"));
    let both = expect(&mut offline(&cloud, "json", &["runs", "show", &run[..4]]), 2);
    let both = String::from_utf8_lossy(&both.stderr).into_owned();
    assert!(both.contains("failed to tell which run is") && both.contains(&run), "{both}");

    // One journal that can't be read hides none of the others.
    let journal = cloud.state("laptop").read_dir().unwrap().next().unwrap().unwrap().path();
    let journal = journal.join("runs").join(&run).join("journal.jsonl");
    let text = std::fs::read_to_string(&journal).unwrap();
    std::fs::write(&journal, text.replacen("launch", "lunch!", 1)).unwrap();
    let partly = answer(&mut offline(&cloud, "json", &["runs", "list"]), 9);
    assert_eq!(partly["runs"].as_array().unwrap().len(), 1, "{partly:#}");
    assert!(partly["unreadable"][0].as_str().unwrap().contains(&run), "{partly:#}");
    expect(&mut offline(&cloud, "json", &["runs", "show", &run]), 9);
}
