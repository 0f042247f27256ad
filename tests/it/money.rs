//! Money: what a plan says it will cost, what has been spent, and the budget that stops.

use crate::env::{Cloud, LAUNCH, expect, talk};
use serde_json::{Value, json};

const SPEC: &str = "tests/specs/it/five.yaml";

/// Only what costs the list price, which does not change with the day.
const LISTED: [&str; 4] = ["--set", "fleet.spot=0%", "--set", "fleet.root={size: 8GiB}"];

fn json_of(output: &std::process::Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap()
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
    assert!(estimate["assumptions"].to_string().contains("at AWS's list price, asked for just now"), "{estimate:#}");
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
fn without_the_price_list_the_built_in_table_tells_and_says_its_day() {
    let cloud = Cloud::start(SPEC, 300, &json!({ "deny": ["GetProducts"] }));
    let launch = [&LISTED[..], &LAUNCH].concat();
    let plan = json_of(&expect(&mut cloud.cli("laptop", &[&["--dry-run"], &launch[..]].concat()), 0));
    let estimate = &plan["plans"][0]["estimate"];
    // m7i.large and m6i.large in us-east-1 on the day that the table names; what the volume costs nobody tells.
    assert_eq!(estimate["per_hour"]["low"], json!({"micro_usd": 5 * 96_000, "complete": false}), "{estimate:#}");
    assert_eq!(estimate["per_hour"]["high"]["micro_usd"], json!(5 * 100_800));
    let doubts = estimate["doubts"].to_string();
    assert!(doubts.contains("list prices could not be read"), "{doubts}");
    assert!(
        doubts.contains("the built-in table of 2026-01-19 has the on-demand price of m6i.large, m7i.large"),
        "{doubts}"
    );
    assert!(!estimate["assumptions"].to_string().contains("list price, asked"), "{estimate:#}");
    expect(&mut cloud.cli("laptop", &launch), 0);
    let status = json_of(&expect(&mut cloud.cli("laptop", &[&LISTED[..], &["status"]].concat()), 0));
    assert!(status["cost"]["doubts"].to_string().contains("table of 2026-01-19"), "{status:#}");
}

#[test]
fn a_price_that_nobody_tells_is_unknown_and_stops_no_launch() {
    let cloud = Cloud::start(SPEC, 300, &json!({ "deny": ["GetProducts", "DescribeSpotPriceHistory"] }));
    let spot = [&["--set", "fleet.spot=100%", "--set", "fleet.fallback=none"], &LAUNCH[..]].concat();
    let plan = json_of(&expect(&mut cloud.cli("laptop", &[&["--dry-run"], &spot[..]].concat()), 0));
    let estimate = &plan["plans"][0]["estimate"];
    assert_eq!(estimate["per_hour"]["low"], json!({"micro_usd": null, "complete": false}));
    assert!(estimate["doubts"].to_string().contains("spot prices could not be read"), "{estimate:#}");
    expect(&mut cloud.cli("laptop", &spot), 0);
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
    // Past the minute that is billed at least.
    cloud.control("POST", "clock", &json!({"advance": "2m"}));
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
        assert!(talk.contains("$0.00 spent so far + $0.00 for the 0 hosts there + $"), "{talk}");
        assert!(talk.contains(why) && talk.contains("budget.stop_at"), "{talk}");
    }
    assert_eq!(cloud.calls("CreateFleet"), Vec::<Value>::new());
    expect(&mut cloud.cli("laptop", &launch(&["--set", "fleet.size=2", "--set", "fleet.accept.min=2"])), 0);
    // Two are there, and three more would cost too much for two hours.
    let output = expect(&mut cloud.cli("laptop", &launch(&["--set", "done.deadline=2h"])), 8);
    assert!(talk(&output).contains("for the 2 hosts there"), "{}", talk(&output));
    assert_eq!(cloud.live("paid").len(), 2);
}

#[test]
fn yuan_are_no_dollars() {
    let cloud = Cloud::start("tests/specs/it/yuan.yaml", 1, &json!({})).leaping();
    let plan = json_of(&expect(&mut cloud.cli("laptop", &[&["plan"], &LAUNCH[..]].concat()), 0));
    let estimate = &plan["plans"][0]["estimate"];
    assert_eq!(estimate["per_hour"]["micro_usd"], Value::Null, "{estimate:#}");
    assert!(plan.to_string().contains("prices in cn-north-1 are in CNY, not in dollars, and not counted"), "{plan:#}");
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
    // What each run says of the money, and what the waits saw.
    let runs = json_of(&expect(&mut cloud.cli("laptop", &["runs", "list"]), 0))["runs"].clone();
    let told: Vec<(&str, &str, &Value)> = runs
        .as_array()
        .unwrap()
        .iter()
        .map(|run| (run["verb"].as_str().unwrap(), run["state"].as_str().unwrap(), &run["exit"]))
        .collect();
    let (done, limit) = (json!(0), json!(13));
    assert_eq!(
        told,
        [
            ("down", "ended", &done),
            ("wait", "ended", &limit),
            ("wait", "ended", &limit),
            ("feed", "ended", &done),
            ("launch", "ended", &done)
        ],
        "{runs:#}"
    );
    let cost = |n: usize| runs[n]["cost"].as_f64().map(|micros| micros / 1e6);
    assert!((1.0..1.1).contains(&cost(2).unwrap()) && (2.0..2.1).contains(&cost(1).unwrap()), "{runs:#}");
    assert!(cost(0).unwrap() >= cost(1).unwrap() && cost(4).is_none(), "{runs:#}");
    assert!(runs[4]["per_hour"]["low"]["micro_usd"].as_u64().unwrap() > 400_000, "{runs:#}");
    let run = runs[2]["run"].as_str().unwrap();
    let report = json_of(&expect(&mut cloud.cli("laptop", &["runs", "report", run]), 0));
    assert!(report["verdict"].as_str().unwrap().ends_with("(exit 13)"), "{report:#}");
    assert!(report["last_words"].as_str().unwrap().starts_with("budget: "), "{report:#}");
    assert_eq!((&report["queue"]["sample"]["waiting"], &report["sittings"]), (&json!(25), &json!(1)), "{report:#}");
    assert!(report["queue"]["looks"].as_u64().unwrap() > 1 && report["calls"] == json!([]), "{report:#}");
    let page = expect(&mut cloud.cli_as("laptop", "table", &["runs", "show", run]), 0);
    let page = String::from_utf8(page.stdout).unwrap();
    assert!(page.starts_with(&format!("wait {run}")) && page.contains("\ncost     $1.0"), "{page}");
    // Nobody goes on with a wait.
    expect(&mut cloud.cli("laptop", &["resume"]), 0);
    let after = json_of(&expect(&mut cloud.cli("laptop", &["runs", "list"]), 0))["runs"].clone();
    assert_eq!(after, runs);
}
