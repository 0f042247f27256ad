//! No item lost, none fed twice for nothing, no false end: `feed`, `work` and `wait` against the rehearsal cloud.

use crate::env::{Cloud, expect, until};
use serde_json::{Value, json};
use std::process::{Child, Command};

const SPEC: &str = "tests/specs/it/items.yaml";
/// World seconds per second: a quiet time of 30 s, after a minute for the counts to settle, takes a second.
const SPEED: u32 = 120;
/// Items of the spec's source.
const ITEMS: u64 = 25;
/// The dead-letter queue as a queue of its own.
const OTHER: [&str; 2] = ["--set", "queue={url: 'https://sqs.us-east-1.amazonaws.com/123456789012/work-dead'}"];

fn kill(child: &mut Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Ground truth about a queue.
fn queue(cloud: &Cloud, name: &str) -> Value {
    let world = cloud.world();
    world["queues"].as_array().unwrap().iter().find(|queue| queue["name"] == name).unwrap().clone()
}

/// A worker that takes what is there and ends.
fn work(cloud: &Cloud, command: &[&str]) -> Command {
    work_as(cloud, &["--batch", "10"], command)
}

fn work_as(cloud: &Cloud, flags: &[&str], command: &[&str]) -> Command {
    let url = "https://sqs.us-east-1.amazonaws.com/123456789012/work";
    let mut work = cloud.cli("host", &["work", "--queue-url", url, "--exit-when-empty"]);
    work.args(flags).arg("--").args(command);
    work
}

/// Kills a feed right after its second batch is in the queue, before it could write that down.
fn half_fed(cloud: &Cloud) {
    cloud.arm_nth("SendMessageBatch", "after-commit", 2);
    let mut feed = cloud.cli("laptop", &["feed"]).spawn().unwrap();
    assert!(cloud.held(&mut feed));
    kill(&mut feed);
    cloud.release();
    assert_eq!(queue(cloud, "work")["sent"], 20);
}

/// What a verb said and the counts in its summary.
fn said(command: &mut Command, code: i32) -> (String, Value) {
    let output = expect(command, code);
    let talk = String::from_utf8_lossy(&output.stderr).into_owned();
    (talk, serde_json::from_slice(&output.stdout).unwrap_or(Value::Null))
}

#[test]
fn a_killed_feed_is_never_done_and_goes_on_with_its_last_batch() {
    let cloud = Cloud::start(SPEC, SPEED, &json!({}));
    half_fed(&cloud);
    expect(&mut work(&cloud, &["true"]), 0);
    let (talk, summary) = said(&mut cloud.cli("laptop", &["wait"]), 12);
    assert_eq!(summary["verdict"], "stalled");
    assert!(talk.contains("only 10 of 25 items were fed"), "{talk}");
    assert!(talk.contains("fleetwright feed -f ") && talk.contains("       # goes on with feed 0"), "{talk}");

    // Another rate is another spec, and still the same items into the same queue.
    let (talk, _) = said(&mut cloud.cli("laptop", &["--set", "feed.rate=1000/s", "feed"]), 0);
    assert!(talk.contains("going on with run"), "{talk}");
    assert_eq!(queue(&cloud, "work")["sent"], ITEMS + 10, "one batch twice, and no more");
    expect(&mut work(&cloud, &["true"]), 0);
    let (_, summary) = said(&mut cloud.cli("laptop", &["wait"]), 0);
    assert_eq!((&summary["verdict"], &summary["items"]["fed"]), (&json!("done"), &json!(ITEMS)));
    // The second time there is nothing to do.
    expect(&mut cloud.cli("laptop", &["feed"]), 0);
    assert_eq!(queue(&cloud, "work")["sent"], ITEMS + 10);
}

#[test]
fn a_feed_into_another_queue_is_another_feed() {
    let cloud = Cloud::start(SPEC, SPEED, &json!({}));
    expect(&mut cloud.cli("laptop", &["feed"]), 0);
    let elsewhere = |verb: &str| cloud.cli("laptop", &[&OTHER[..], &[verb]].concat());
    // What is in the first queue says nothing about the second.
    let (talk, _) = said(&mut elsewhere("wait"), 12);
    assert!(talk.contains("nothing was fed"), "{talk}");
    expect(&mut elsewhere("feed"), 0);
    assert_eq!(queue(&cloud, "work-dead")["sent"], ITEMS);
    assert_eq!(queue(&cloud, "work")["sent"], ITEMS);
}

#[test]
fn what_was_never_fed_is_not_done() {
    let cloud = Cloud::start(SPEC, SPEED, &json!({}));
    let (talk, _) = said(&mut cloud.cli("laptop", &["wait"]), 12);
    assert!(talk.contains("nothing was fed") && talk.contains("fleetwright feed "), "{talk}");
    // A feed that is refused in its middle is no end either.
    let dead = json!({"rules": [{"action": "SendMessageBatch", "skip": 1, "times": 1, "point": "before-commit",
        "do": {"error": {"code": "AccessDenied", "message": "no", "status": 403}}}]});
    cloud.control("POST", "faults", &dead);
    assert_ne!(cloud.cli("laptop", &["feed"]).output().unwrap().status.code(), Some(0));
    expect(&mut work(&cloud, &["true"]), 0);
    let (talk, _) = said(&mut cloud.cli("laptop", &["wait"]), 12);
    assert!(talk.contains("only 10 of 25 items were fed"), "{talk}");
}

#[test]
fn of_a_source_that_grew_only_what_is_new_goes_in() {
    let mut cloud = Cloud::start(SPEC, SPEED, &json!({}));
    let source = cloud.state("grown.txt");
    cloud.set(&format!("feed.from={{lines: '{}'}}", source.display()));
    let has = |lines: &[&str]| std::fs::write(&source, lines.join("\n")).unwrap();
    let feed = |cloud: &Cloud, more: &[&str], words: &str, sent: u64| {
        let (talk, answer) = said(&mut cloud.cli("laptop", &[more, &["feed"]].concat()), 0);
        assert!(talk.contains(words), "{talk}");
        assert_eq!(queue(cloud, "work")["sent"], sent, "{talk}");
        answer["items"]["fed"].clone()
    };
    has(&["a", "b", "a"]);
    assert_eq!(feed(&cloud, &[], "3 items went into the queue", 3), 3);
    has(&["new", "a", "a", "b", "a"]);
    assert_eq!(feed(&cloud, &[], "3 of 5 items were fed before", 5), 5);
    has(&["a", "new"]);
    assert_eq!(feed(&cloud, &[], "all 2 items were fed before", 5), 2);
    // A feed that is killed has sent one batch more than it knows: the new source leaves out what it does know.
    let many: Vec<String> = (0..25).map(|n| n.to_string()).collect();
    has(&many.iter().map(String::as_str).collect::<Vec<_>>());
    cloud.arm_nth("SendMessageBatch", "after-commit", 2);
    let mut killed = cloud.cli("laptop", &["feed"]).spawn().unwrap();
    assert!(cloud.held(&mut killed));
    kill(&mut killed);
    cloud.release();
    assert_eq!(queue(&cloud, "work")["sent"], 25);
    has(&[&many.iter().map(String::as_str).collect::<Vec<_>>()[..], &["more"]].concat());
    let (talk, _) = said(&mut cloud.cli("laptop", &["feed"]), 8);
    assert!(talk.contains("feed --replan"), "{talk}");
    feed(&cloud, &["--replan"], "16 items went into the queue", 41);
    expect(&mut work(&cloud, &["true"]), 0);
    let (_, summary) = said(&mut cloud.cli("laptop", &["wait"]), 0);
    assert_eq!((&summary["verdict"], &summary["items"]["fed"]), (&json!("done"), &json!(5 + 26)));
    // All of it again, on purpose: to the verdict they are the same items.
    feed(&cloud, &["--replan"], "26 items went into the queue", 67);
    expect(&mut work(&cloud, &["true"]), 0);
    let (_, summary) = said(&mut cloud.cli("laptop", &["wait"]), 0);
    assert_eq!((&summary["items"]["fed"], &summary["items"]["ok"]), (&json!(31), &json!(31)));
}

#[test]
fn a_feed_that_is_at_it_is_waited_for() {
    let cloud = Cloud::start(SPEC, SPEED, &json!({}));
    // Held before its first item: to the counts it is as if there were no feed.
    cloud.arm("SendMessageBatch", "before-commit");
    let mut feed = cloud.cli("laptop", &["feed"]).spawn().unwrap();
    assert!(cloud.held(&mut feed));
    let mut wait = cloud.cli("laptop", &["wait"]).spawn().unwrap();
    // Ten looks at two queues: long enough for any quiet time.
    until(&mut wait, "thirty looks", || cloud.calls("GetQueueAttributes").len() >= 3 + 2 * 30);
    cloud.release();
    assert!(feed.wait().unwrap().success());
    expect(&mut work(&cloud, &["true"]), 0);
    let output = wait.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(summary["items"]["fed"], ITEMS);
}

#[test]
fn ten_items_are_hidden_by_one_call_and_none_comes_back() {
    let cloud = Cloud::start(SPEC, SPEED, &json!({}));
    expect(&mut cloud.cli("laptop", &["feed"]), 0);
    // Four minutes are two seconds of wall time: the items would come back while the command runs.
    let slow = ["sh", "-c", "cat >/dev/null; sleep 2.4"];
    expect(&mut work_as(&cloud, &["--batch", "25", "--visibility", "4m"], &slow), 0);
    let done = queue(&cloud, "work");
    assert_eq!((&done["deleted"], &done["redelivered"]), (&json!(ITEMS), &json!(0)));
    assert!(cloud.calls("ChangeMessageVisibility").is_empty());
    let extensions = cloud.calls("ChangeMessageVisibilityBatch").len();
    assert!((3..=12).contains(&extensions), "{extensions} calls: three each time, and two or three times");
    assert_eq!(cloud.calls("DeleteMessageBatch").len(), 3);
}
