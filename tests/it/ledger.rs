//! The ledger proves what it can and nothing else: older results, results that were taken away, a ledger that was not there.

use crate::env::{Cloud, expect};
use crate::exits::sqs;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

/// Two items fed into a queue that somebody empties: only the ledger can tell what became of them.
fn fed(completed: &str, results: &[&str]) -> (Cloud, String) {
    let mut cloud = Cloud::with_hosts("fleet.yaml", 600, &json!({}), "real");
    let items = cloud.state("items.txt");
    std::fs::write(&items, "one\ntwo\n").unwrap();
    cloud.set(&format!("feed.from={{lines: '{}'}}", items.display()));
    cloud.set(&format!("done.completed={{on: template, {completed}}}"));
    for result in results {
        write(&cloud, result);
        let old = Command::new("touch").args(["-d", "@1700000000"]).arg(folder(&cloud).join(result)).status();
        assert!(old.unwrap().success());
    }
    let output = expect(&mut cloud.cli("laptop", &["feed"]), 0);
    let purge = json!({ "QueueUrl": "https://sqs.us-east-1.amazonaws.com/123456789012/digest" });
    sqs(&cloud, "PurgeQueue", &purge);
    (cloud, String::from_utf8_lossy(&output.stderr).into_owned())
}

fn folder(cloud: &Cloud) -> &Path {
    cloud.mount("/srv/results")
}

fn write(cloud: &Cloud, result: &str) {
    std::fs::write(folder(cloud).join(result), "done").unwrap();
}

/// What `wait` says, even when it shall say only what failed, and counts.
#[track_caller]
fn waits(cloud: &Cloud, more: &[&str], code: i32, words: &str) -> Value {
    let output = expect(&mut cloud.cli("laptop", &[&["-q"], more, &["wait"]].concat()), code);
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    let said = format!("{} {}", String::from_utf8_lossy(&output.stderr), summary["outlook"]);
    assert!(said.contains(words), "{words:?} was not said: {said}");
    let items = &summary["items"];
    assert!(items["ok"].as_u64() <= items["fed"].as_u64(), "{summary:#}");
    summary
}

#[test]
fn results_of_before_the_first_item_are_left_out() {
    let (cloud, talk) = fed("run: 'ls /srv/results | wc -l'", &["1", "2", "3"]);
    assert!(talk.contains("the ledger counts 3 before the first item"), "{talk}");
    let none = "2 items neither completed nor failed (0 completed, 0 failed)";
    assert_eq!(waits(&cloud, &[], 15, none)["items"]["unaccounted"], 2);
    waits(&cloud, &[], 15, "explain done.completed");
    write(&cloud, "one");
    waits(&cloud, &[], 15, "1 item neither completed nor failed (1 completed, 0 failed)");
    write(&cloud, "two");
    assert_eq!(waits(&cloud, &[], 0, "all 2 items are completed")["items"]["unaccounted"], 0);
    // More than was fed: something else may stand in for one that is missing.
    write(&cloud, "three");
    let summary = waits(&cloud, &[], 15, "the ledger counts 3 items completed of 2 that were fed");
    assert_eq!((&summary["verdict"], &summary["items"]["ok"]), (&json!("unaccounted"), &Value::Null));
    for result in ["1", "2", "3", "three"] {
        std::fs::remove_file(folder(&cloud).join(result)).unwrap();
    }
    waits(&cloud, &[], 15, "the ledger counts 2, and counted 3 before the first item: results were taken away");
    // The operator knows better: what is there now is of this job alone.
    waits(&cloud, &["--set", "done.completed.counts=all"], 0, "all 2 items are completed");
}

#[test]
fn results_that_take_the_place_of_older_ones_are_told_by_their_time() {
    let newer = "run: \"find /srv/results -type f -name '[!.]*' -newermt @$FLEETWRIGHT_SINCE | wc -l\"";
    let (cloud, talk) = fed(newer, &["one", "two", "old"]);
    assert!(!talk.contains("the ledger"), "{talk}");
    write(&cloud, "one");
    waits(&cloud, &[], 15, "1 item neither completed nor failed (1 completed, 0 failed)");
    write(&cloud, "two");
    waits(&cloud, &[], 0, "all 2 items are completed");
}

#[test]
fn a_ledger_that_could_not_be_asked_before_proves_nothing_after() {
    let (cloud, talk) = fed("run: 'wc -l < /srv/results/list'", &[]);
    assert!(talk.contains("the ledger could not be asked before the first item"), "{talk}");
    std::fs::write(folder(&cloud).join("list"), "one\ntwo\n").unwrap();
    waits(&cloud, &[], 15, "nobody knows how many of them are older than the job");
}
