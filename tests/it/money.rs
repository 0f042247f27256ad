//! Money: what a plan says it will cost, what has been spent, and the budget that stops.

use crate::env::{Cloud, IMAGE, expect};
use serde_json::{Value, json};

const SPEC: &str = "tests/specs/it/five.yaml";

const LAUNCH: [&str; 6] = ["launch", "--unattested", "--image", IMAGE, "--until", "running"];

/// Only what costs the list price, which does not change with the day.
const LISTED: [&str; 4] = ["--set", "fleet.spot=0%", "--set", "fleet.root={size: 8GiB}"];

fn json_of(output: &std::process::Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap()
}

fn talk(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_plan_says_what_it_costs() {
    let cloud = Cloud::start(SPEC, 300, &json!({}));
    let dry = |more: &[&str]| json_of(&expect(&mut cloud.cli("laptop", &[&["--dry-run"], more, &LAUNCH].concat()), 0));
    let estimate = dry(&[])["plans"][0]["estimate"].clone();
    // Types that cost the same here; 8 GiB each at 0.08 dollars a GiB and month.
    let hour = 5 * 100_000 + 5 * 877;
    let spot = estimate["per_hour"].clone();
    assert_eq!((&spot["low"]["complete"], &estimate["doubts"]), (&json!(true), &json!([])), "{estimate:#}");
    // Spot was dearer or cheaper by a tenth yesterday.
    let expected = 3.0 * 35_000.0 + 2.0 * 100_000.0;
    assert!((0.9..1.1).contains(&(spot["low"]["micro_usd"].as_f64().unwrap() / expected)), "{spot:#}");
    let estimate = dry(&LISTED)["plans"][0]["estimate"].clone();
    assert_eq!(estimate["per_hour"]["low"], json!({"micro_usd": hour, "complete": true}), "{estimate:#}");
    assert_eq!(estimate["per_hour"]["high"]["micro_usd"], json!(hour));
    assert_eq!(estimate["until_expiry"]["high"]["micro_usd"], json!(hour * 12));
    assert_eq!(estimate["job"], Value::Null);
    let late = dry(&[&LISTED[..], &["--set", "done.deadline=2h"]].concat())["plans"][0]["estimate"].clone();
    assert_eq!(late["job"]["seconds"], 7200);
    assert_eq!(late["job"]["cost"]["high"]["micro_usd"], json!(hour * 2));
}

#[test]
fn a_price_that_nobody_tells_is_unknown_and_stops_no_launch() {
    let cloud = Cloud::start(SPEC, 300, &json!({ "deny": ["GetProducts", "DescribeSpotPriceHistory"] }));
    let dry = [&["--dry-run"], &LAUNCH[..]].concat();
    let plan = json_of(&expect(&mut cloud.cli("laptop", &dry), 0));
    let estimate = &plan["plans"][0]["estimate"];
    assert_eq!(estimate["per_hour"]["low"], json!({"micro_usd": null, "complete": false}));
    assert!(estimate["doubts"].to_string().contains("list prices could not be read"), "{estimate:#}");
    expect(&mut cloud.cli("laptop", &LAUNCH), 0);
    let status = json_of(&expect(&mut cloud.cli("laptop", &["status"]), 0));
    assert_eq!(status["cost"]["per_hour"], json!({"micro_usd": null, "complete": false}), "{status:#}");
}

#[test]
fn status_says_what_was_spent() {
    let cloud = Cloud::start(SPEC, 300, &json!({}));
    let cost = |cloud: &Cloud| {
        json_of(&expect(&mut cloud.cli("laptop", &[&LISTED[..], &["status"]].concat()), 0))["cost"].clone()
    };
    assert_eq!(
        cost(&cloud),
        json!({"hosts": 0, "so_far": {"micro_usd": 0, "complete": true},
        "per_hour": {"micro_usd": 0, "complete": true}, "doubts": []})
    );
    expect(&mut cloud.cli("laptop", &[&LISTED[..], &LAUNCH].concat()), 0);
    cloud.control("POST", "clock", &json!({"hold": true}));
    let before = cost(&cloud);
    assert_eq!((&before["hosts"], &before["per_hour"]["micro_usd"]), (&json!(5), &json!(5 * 100_000 + 5 * 877)));
    cloud.control("POST", "clock", &json!({"advance": "1h"}));
    let after = cost(&cloud);
    let rise = after["so_far"]["micro_usd"].as_i64().unwrap() - before["so_far"]["micro_usd"].as_i64().unwrap();
    let hour = before["per_hour"]["micro_usd"].as_i64().unwrap();
    assert!((rise - hour).abs() <= 10, "{rise} of {hour}: rounded by host");
    cloud.control("POST", "clock", &json!({"speed": 300}));
    expect(&mut cloud.cli("laptop", &["down"]), 0);
    let ended = cost(&cloud);
    assert_eq!((&ended["hosts"], &ended["so_far"]["micro_usd"]), (&json!(0), &json!(0)), "a new campaign: {ended:#}");
}

#[test]
fn a_launch_that_would_pass_the_budget_is_refused_with_the_arithmetic() {
    let cloud = Cloud::start("tests/specs/it/paid.yaml", 300, &json!({}));
    let launch = |sets: &[&'static str]| [sets, &LAUNCH].concat();
    for (sets, why) in [
        (&["--set", "budget.stop_at=$0.5"][..], "for 3600 s: an hour, since nobody knows how long the job takes"),
        (&["--set", "done.deadline=2h"], "for 7200 s: the deadline"),
        (&["--set", "feed.rate=5/h"], "for 18000 s: 25 items at "),
    ] {
        let output = expect(&mut cloud.cli("laptop", &launch(sets)), 8);
        let talk = talk(&output);
        assert!(talk.contains("$0.00 spent so far + $0.00 for 0 hosts that are there + $"), "{talk}");
        assert!(talk.contains(why) && talk.contains("budget.stop_at"), "{talk}");
    }
    assert_eq!(cloud.calls("CreateFleet"), Vec::<Value>::new());
    expect(&mut cloud.cli("laptop", &launch(&["--set", "fleet.size=2", "--set", "fleet.accept.min=2"])), 0);
    // Two are there, and three more would cost too much for two hours.
    let output = expect(&mut cloud.cli("laptop", &launch(&["--set", "done.deadline=2h"])), 8);
    assert!(talk(&output).contains("for 2 hosts that are there"), "{}", talk(&output));
    assert_eq!(cloud.live("paid").len(), 2);
}

#[test]
fn a_campaign_stops_at_its_budget_and_goes_on_with_a_larger_one() {
    let cloud = Cloud::start("tests/specs/it/paid.yaml", 300, &json!({}));
    expect(&mut cloud.cli("laptop", &LAUNCH), 0);
    expect(&mut cloud.cli("laptop", &["feed"]), 0);
    cloud.control("POST", "clock", &json!({"speed": 3600}));
    let output = expect(&mut cloud.cli("laptop", &["wait"]), 13);
    let (summary, words) = (json_of(&output), talk(&output));
    assert_eq!(summary["verdict"], "budget", "{summary:#}");
    assert!((1.0..1.1).contains(&summary["cost_usd"].as_f64().unwrap()), "{summary:#}");
    assert!(words.contains("of the budget's $1.00 are spent; still working: 25 waiting"), "{words}");
    assert!(words.contains("what is still running: 5 hosts, $0.50"), "{words}");
    assert!(words.contains("raise `budget.stop_at` and: fleetwright wait"), "{words}");
    assert_eq!(cloud.live("paid").len(), 5, "nothing is ended");
    assert!(talk(&expect(&mut cloud.cli("laptop", &["feed"]), 8)).contains("nothing was started"));
    let output = expect(&mut cloud.cli("laptop", &["--set", "budget.stop_at=$2", "wait"]), 13);
    assert!((2.0..2.1).contains(&json_of(&output)["cost_usd"].as_f64().unwrap()), "{}", talk(&output));
    cloud.control("POST", "clock", &json!({"speed": 300}));
    expect(&mut cloud.cli("laptop", &["down"]), 0);
}
