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

#[test]
fn a_run_is_reported_to_who_was_not_there() {
    let throttle = json!({ "action": "DescribeInstances", "times": 2,
                           "do": { "error": { "code": "RequestLimitExceeded", "status": 503 } } });
    let cloud = Cloud::start(SPEC, 120, &json!({ "rules": [throttle] }));
    let none = expect(&mut offline(&cloud, "json", &["runs", "report"]), 2);
    assert!(String::from_utf8_lossy(&none.stderr).contains("knows none"));
    // Killed with its request out, then gone on with.
    cloud.arm("CreateFleet", "after-commit");
    let mut child = cloud.launch("laptop").spawn().unwrap();
    assert!(cloud.held(&mut child));
    child.kill().unwrap();
    child.wait().unwrap();
    cloud.release();
    let stopped = answer(&mut offline(&cloud, "json", &["runs", "report"]), 0);
    assert_eq!(stopped["verdict"], "stopped before its end", "{stopped:#}");
    let last = stopped["timeline"].as_array().unwrap().last().unwrap();
    assert!(last["end"].is_null() && last["seconds"].is_null(), "{last:#}");
    expect(&mut cloud.launch("laptop"), 0);
    let told = answer(&mut offline(&cloud, "json", &["runs", "report", stopped["run"].as_str().unwrap()]), 0);
    assert_eq!((&told["verdict"], &told["sittings"]), (&json!("done (exit 0)"), &json!(2)), "{told:#}");
    assert_eq!((&told["last_words"], &told["incomplete"]), (&json!("launch done"), &json!(null)), "{told:#}");
    let call = |action: &str| {
        let all = told["calls"].as_array().unwrap().iter();
        all.filter(|call| call["action"] == action).cloned().collect::<Vec<_>>()
    };
    assert_eq!(call("CreateFleet"), [json!({ "action": "CreateFleet", "done": 1, "failed": 0, "unknown": 0 })]);
    assert_eq!(call("CreateLaunchTemplate").len(), 1, "{told:#}");
    let ends: Vec<&Value> = told["timeline"].as_array().unwrap().iter().map(|step| &step["end"]).collect();
    assert_eq!(ends.iter().filter(|end| end.is_null()).count(), 1, "the step it was killed in: {told:#}");
    assert!(ends.len() > 4 && told["capacity"].as_array().unwrap().iter().any(|one| one["got"] == 2), "{told:#}");

    // A torn line of what it showed costs that line and no more.
    let events = std::path::Path::new(told["folder"].as_str().unwrap()).join("events.jsonl");
    let text = std::fs::read_to_string(&events).unwrap();
    std::fs::write(&events, &text[..text.len() - 9]).unwrap();
    let torn = answer(&mut offline(&cloud, "json", &["runs", "report"]), 0);
    assert!(torn["incomplete"].as_str().unwrap().starts_with("1 of "), "{torn:#}");
    assert_eq!((&torn["verdict"], &torn["timeline"]), (&told["verdict"], &told["timeline"]));
    std::fs::remove_file(&events).unwrap();
    let bare = answer(&mut offline(&cloud, "json", &["runs", "report"]), 0);
    assert_eq!((&bare["calls"], &bare["timeline"]), (&told["calls"], &json!([])), "the journal alone: {bare:#}");
}

#[test]
fn a_report_groups_hosts_by_what_went_wrong() {
    let cloud = Cloud::start(SPEC, 120, &json!({}));
    expect(&mut cloud.launch("laptop"), 0);
    // Hosts of this world do not answer, and the release of the spec is made here.
    let release = cloud.state("release.tar.gz");
    std::fs::write(&release, "no archive").unwrap();
    let set = format!("release.from={}", release.display());
    expect(&mut cloud.cli("laptop", &["push", "--set", &set, "--max-fail", "0"]), 3);
    let told = answer(&mut offline(&cloud, "json", &["runs", "report"]), 0);
    let hosts = told["hosts"].as_array().unwrap();
    assert!(told["verdict"].as_str().unwrap().ends_with("(exit 3)"), "{told:#}");
    assert!(!hosts.is_empty() && hosts.iter().any(|host| host["reason"].is_string()), "{told:#}");
    assert!(!told["failures"].as_array().unwrap().is_empty(), "{told:#}");
    let page = expect(&mut offline(&cloud, "table", &["runs", "report"]), 0);
    let page = String::from_utf8_lossy(&page.stdout).into_owned();
    assert!(page.starts_with("push ") && page.contains("\nSLOT  HOST"), "{page}");
    assert_eq!(list(&cloud)[0]["exit"], 3, "as the command exited");
}
