//! A feed that is at it: told to pause and to go on, held by a full queue or a probe, paced by the hour.

use crate::env::{Cloud, expect};
use serde_json::{Value, json};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const SPEC: &str = "tests/specs/it/items.yaml";
const SPEED: u32 = 120;

fn sent(cloud: &Cloud) -> u64 {
    let world = cloud.world();
    let queues = world["queues"].as_array().unwrap();
    queues.iter().map(|queue| queue["sent"].as_u64().unwrap_or(0)).sum()
}

/// Waits until so many items were sent.
#[track_caller]
fn reaches(cloud: &Cloud, n: u64) {
    let begun = Instant::now();
    while sent(cloud) < n {
        assert!(begun.elapsed() < Duration::from_secs(20), "{} of {n} were sent", sent(cloud));
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Whether nothing is sent while the world's clock goes on by a minute.
fn stands(cloud: &Cloud) -> bool {
    let before = sent(cloud);
    cloud.control("POST", "clock", &json!({ "advance": "1m" }));
    std::thread::sleep(Duration::from_millis(200));
    sent(cloud) == before
}

fn answer(command: &mut Command, code: i32) -> Value {
    serde_json::from_slice(&expect(command, code).stdout).unwrap_or_default()
}

/// What a feed said until its good end.
#[track_caller]
fn ends(feed: Child) -> String {
    let output = feed.wait_with_output().unwrap();
    let talk = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{talk}");
    talk
}

#[test]
fn a_feed_is_paused_paced_and_let_go_and_remembers_it() {
    let mut cloud = Cloud::start(SPEC, SPEED, &json!({}));
    cloud.set("feed.rate=6/m");
    expect(&mut cloud.cli("laptop", &["feed", "--pause"]), 2);
    let mut feed = cloud.cli("laptop", &["feed"]).spawn().unwrap();
    reaches(&cloud, 2);
    let told = answer(&mut cloud.cli("laptop", &["feed", "--pause"]), 0);
    assert_eq!(told["feed"]["paused"], true, "{told:#}");
    // One that was allowed before it heard may still be on its way.
    cloud.control("POST", "clock", &json!({ "advance": "5s" }));
    std::thread::sleep(Duration::from_millis(300));
    assert!(stands(&cloud));
    let status = answer(&mut cloud.cli("laptop", &["status"]), 0);
    assert_eq!((&status["feed"]["paused"], &status["feed"]["running"]), (&json!(true), &json!(true)), "{status:#}");

    // Killed and gone on with: it still knows.
    feed.kill().unwrap();
    feed.wait().unwrap();
    let status = answer(&mut cloud.cli("laptop", &["status"]), 0);
    assert_eq!((&status["feed"]["paused"], &status["feed"]["running"]), (&json!(true), &json!(false)), "{status:#}");
    let feed = cloud.cli("laptop", &["feed"]).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(500));
    assert!(stands(&cloud));
    let told = answer(&mut cloud.cli("laptop", &["feed", "--resume", "--rate", "1000/s"]), 0);
    let given = (&told["feed"]["paused"], &told["feed"]["rate_per_second"]);
    assert_eq!(given, (&json!(false), &json!(1000.0)), "{told:#}");
    let talk = ends(feed);
    for words in
        ["the feed is held: `fleetwright feed --resume` goes on", "the feed goes on", "the feed goes at 1000/s"]
    {
        assert_eq!(talk.matches(words).count(), 1, "{words}: {talk}");
    }
    assert!((25..=35).contains(&sent(&cloud)), "{}", sent(&cloud));
    expect(&mut cloud.cli("laptop", &["feed", "--resume"]), 2);
}

#[test]
fn a_full_queue_holds_the_feed() {
    let mut cloud = Cloud::start(SPEC, SPEED, &json!({}));
    cloud.set("feed.hold_when={waiting: 5}");
    let feed = cloud.cli("laptop", &["feed"]).spawn().unwrap();
    reaches(&cloud, 6);
    assert!(stands(&cloud));
    assert_eq!(sent(&cloud), 6);
    let url = "https://sqs.us-east-1.amazonaws.com/123456789012/work";
    while sent(&cloud) < 25 {
        let before = sent(&cloud);
        expect(&mut cloud.cli("host", &["work", "--queue-url", url, "--exit-when-empty", "--", "true"]), 0);
        reaches(&cloud, (before + 1).min(25));
    }
    let talk = ends(feed);
    assert!(talk.contains("the feed is held: 6 items are waiting, more than 5"), "{talk}");
    assert!(talk.contains("the feed goes on"), "{talk}");
}

#[test]
fn a_probe_that_fails_or_is_slow_holds_the_feed() {
    let mut cloud = Cloud::with_hosts("fleet.yaml", 60, &json!({}), "real");
    let items = cloud.state("items.txt");
    std::fs::write(&items, "one\ntwo\n").unwrap();
    cloud.set(&format!("feed.from={{lines: '{}'}}", items.display()));
    cloud.set(
        "feed.hold_when={probe: 'cd /srv/results; if test -e slow; then sleep 1.5; fi; test -e go', slower_than: 1s}",
    );
    let folder = cloud.mount("/srv/results").to_owned();
    let feed = cloud.cli("laptop", &["feed"]).stderr(Stdio::piped()).spawn().unwrap();
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(sent(&cloud), 0);
    std::fs::write(folder.join("slow"), "").unwrap();
    std::fs::write(folder.join("go"), "").unwrap();
    std::thread::sleep(Duration::from_secs(4));
    assert_eq!(sent(&cloud), 0);
    std::fs::remove_file(folder.join("slow")).unwrap();
    let talk = ends(feed);
    let at = |words: &str| talk.find(words).unwrap_or_else(|| panic!("{words}: {talk}"));
    assert!(at("held: the probe failed: exit 1") < at("held: the probe was slow: it took 1."), "{talk}");
    assert!(at("more than 1.0 s") < at("the feed goes on"), "{talk}");
    assert_eq!(sent(&cloud), 2);
}

#[test]
fn a_rate_by_the_hour_is_told_with_its_next_change() {
    let cloud = Cloud::start(SPEC, SPEED, &json!({}));
    let rate = "feed.rate={peak: 100/s, off_peak: 200/s, peak_hours: 'daily 00:00-12:00 Asia/Kathmandu'}";
    let feed = cloud.cli("laptop", &["--set", rate, "feed"]).spawn().unwrap();
    let talk = ends(feed);
    assert!(talk.contains("00/s until ") && talk.contains(":00 +0545, then "), "{talk}");
    assert!(talk.contains("; the last of 25 items goes in at about 2"), "{talk}");
    let wrong = rate.replace("Kathmandu", "Katmandoo");
    let output = expect(&mut cloud.cli("laptop", &["--set", &wrong, "feed"]), 2);
    assert!(String::from_utf8_lossy(&output.stderr).contains("did you mean `Asia/Kat"), "the zone that was meant");
}
