//! `plan` against the rehearsal cloud: the same as the verb would do, what is skipped and why, its exit codes.

use crate::env::{Cloud, IMAGE, expect, repo};
use serde_json::{Value, json};
use std::process::{Command, Output};

const JOB: &str = "tests/specs/it/job.yaml";
const MOULD: &str = "tests/specs/it/mould.yaml";

/// What of a plan differs from run to run: ids, digests, times.
fn filters() -> Vec<(String, &'static str)> {
    vec![
        (repo("").to_str().unwrap().to_owned(), "/here/"),
        (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}".to_owned(), "RUN"),
        (r"(nightly-digest|mould|bare)(-canary)?-[0-9a-f]{8}\b".to_owned(), "$1$2-SHORT"),
        (r"release [0-9a-f]{12}".to_owned(), "release DIGEST"),
        (r"\d{4}-\d\d-\d\dT\S+Z".to_owned(), "THEN"),
        (r"process \d+".to_owned(), "process PID"),
        (r"ami-[0-9a-f]{17}\b".to_owned(), "ami-IMAGE"),
        (r"/tmp/[^/ ]+".to_owned(), "/tmp/STATE"),
        // Spot prices change by the day, and a mean of 24 h by the hour: sums are held by tests of the estimate.
        (r"\$\d+\.\d+( to \$\d+\.\d+)?".to_owned(), "$$SUM"),
        // Columns are as wide as the paths of this machine.
        (r"(\S) {2,}".to_owned(), "$1  "),
    ]
}

/// Compares with what was accepted before.
#[track_caller]
fn hold(name: &str, text: &str) {
    let filters = filters();
    let filters = filters.iter().map(|(from, to)| (from.as_str(), *to)).collect::<Vec<_>>();
    insta::with_settings!({ filters => filters, snapshot_path => "../snapshots", prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!(name, text);
    });
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn json_of(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A plan for people.
fn page(cloud: &Cloud, arguments: &[&str]) -> String {
    text(&expect(&mut cloud.cli_as("laptop", "table", arguments), 0).stdout)
}

/// An empty release for `push`.
fn with_release(mut cloud: Cloud) -> Cloud {
    let release = cloud.state("release.tar.gz");
    let made = Command::new("tar").args(["-czf"]).arg(&release).args(["-T", "/dev/null"]).status().unwrap();
    assert!(made.success());
    cloud.set(&format!("release.from='{}'", release.display()));
    cloud
}

fn launch<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&["launch", "--unattested", "--image", IMAGE, "--until", "running"], more].concat()
}

fn plan<'a>(verb: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
    [&["plan"], verb, more].concat()
}

/// Ids and instants of a plan are new every time.
fn still(output: &Output) -> Value {
    let mut answer = json_of(output);
    let (mut steps, mut rest) = (Vec::new(), Vec::new());
    for plan in answer["plans"].as_array_mut().unwrap() {
        plan.as_object_mut().unwrap().remove("arguments");
        plan.as_object_mut().unwrap().remove("request");
        steps.extend(plan["steps"].as_array().unwrap().iter().map(|step| step["id"].clone()));
        rest.push(json!([plan["verb"], plan["notes"], plan["fleet"]]));
    }
    json!([steps, rest])
}

#[test]
fn a_plan_is_the_verb_that_stops_before_it_changes_anything() {
    let cloud = with_release(Cloud::start(JOB, 600, &json!({})));
    let launch = launch(&[]);
    for there in [false, true] {
        for verb in [&launch[..], &["push"], &["feed"], &["extend", "2h"], &["down"], &["down", "--images"]] {
            let planned = expect(&mut cloud.cli("laptop", &plan(verb, &[])), 0);
            let dry = expect(&mut cloud.cli("laptop", &[verb, &["--dry-run"]].concat()), 0);
            assert_eq!(still(&planned), still(&dry), "{verb:?}, hosts there: {there}");
            assert!(there || !cloud.state("laptop").exists(), "{verb:?} left something behind");
        }
        let mutating = cloud.audit().into_iter().filter(|call| call["made"].as_array().is_some_and(|m| !m.is_empty()));
        assert_eq!(mutating.count() > 0, there);
        if !there {
            expect(&mut cloud.cli("laptop", &launch), 0);
        }
    }
    assert_eq!((cloud.live("job").len(), cloud.ever_made()), (2, 2));
}

#[test]
fn plan_tells_by_its_exit_code_whether_there_is_something_to_change() {
    let cloud = with_release(Cloud::start(JOB, 600, &json!({})));
    let ends = |verb: &[&str], code: i32| {
        expect(&mut cloud.cli("laptop", &plan(verb, &["--detailed-exitcode"])), code);
        let asked = if code == 14 { 0 } else { code };
        expect(&mut cloud.cli("laptop", &plan(verb, &[])), asked)
    };
    // Nothing is there: there is nothing to end, nothing to push to, and two hosts to launch.
    let down = ends(&["down"], 0);
    assert_eq!(json_of(&down)["plans"][0]["steps"].as_array().unwrap().len(), 1, "only the second look");
    ends(&["push"], 0);
    ends(&["extend", "1h"], 0);
    ends(&["feed"], 14);
    ends(&launch(&[]), 14);
    // What the verb refuses, its plan refuses too, before anything is done.
    let refused = ends(&["launch"], 2);
    assert!(text(&refused.stderr).contains("no available image"), "{}", text(&refused.stderr));
    assert!(text(&refused.stderr).contains("fleetwright bake"), "{}", text(&refused.stderr));
    ends(&["launch", "--image", IMAGE], 8);
    expect(&mut cloud.cli("laptop", &launch(&[])), 0);
    ends(&launch(&[]), 0);
    ends(&launch(&["-n", "3"]), 14);
    ends(&["down"], 14);
    expect(&mut cloud.cli("laptop", &["down"]), 0);
    ends(&["down"], 0);
    // A teardown of nothing still looks twice, and is no question to anybody.
    expect(cloud.bare("laptop").args(["-o", "json", "down"]), 0);
}

#[test]
fn up_is_planned_whole_before_the_first_image() {
    let mut cloud = with_release(Cloud::start("fleet.yaml", 600, &json!({})));
    cloud.set(&format!("feed.from={{lines: '{}'}}", repo("tests/specs/it/job/items.txt").display()));
    hold("plan-up-before-the-first-image", &page(&cloud, &["plan"]));
    let planned = json_of(&expect(&mut cloud.cli("laptop", &["plan"]), 0));
    let verbs: Vec<&str> = planned["plans"].as_array().unwrap().iter().map(|p| p["verb"].as_str().unwrap()).collect();
    assert_eq!(verbs, ["verify", "bake", "launch", "push", "feed", "down"]);
    // Only the parts' own names differ between the two.
    let dry = json_of(&expect(&mut cloud.cli("laptop", &["up", "--dry-run"]), 0));
    assert_eq!(dry["plans"].as_array().unwrap().len(), verbs.len());
    expect(&mut cloud.cli("laptop", &["plan", "--detailed-exitcode"]), 14);
    assert_eq!((cloud.ever_made(), cloud.calls("CreateImage").len()), (0, 0));
}

#[test]
fn an_unfinished_run_is_shown_as_it_would_be_gone_on_with() {
    let cloud = Cloud::start(JOB, 600, &json!({}));
    cloud.arm("CreateFleet", "before-commit");
    let mut first = cloud.cli("laptop", &launch(&[])).spawn().unwrap();
    assert!(cloud.held(&mut first));
    // While it is at work, a plan says so, and waits for nobody.
    let output = expect(&mut cloud.cli_as("laptop", "table", &["plan", "down"]), 0);
    assert!(text(&output.stderr).contains("is at work on this fleet"), "{}", text(&output.stderr));
    first.kill().unwrap();
    first.wait().unwrap();
    cloud.release();
    hold("plan-of-an-unfinished-launch", &page(&cloud, &plan(&launch(&[]), &[])));
    expect(&mut cloud.cli("laptop", &plan(&launch(&[]), &["--detailed-exitcode"])), 14);
    // Another size is another plan: the plan refuses as the launch would, and the hint is the whole command.
    let refused = expect(&mut cloud.cli("laptop", &plan(&launch(&["-n", "3"]), &[])), 8);
    let talk = text(&refused.stderr);
    assert!(talk.contains("is unfinished") && talk.contains("resume"), "{talk}");
    // With nothing of unknown outcome left, the way out repeats the flags.
    expect(&mut cloud.cli("laptop", &launch(&[])), 0);
    assert_eq!((cloud.live("job").len(), cloud.ever_made()), (2, 2));
}

#[test]
fn the_way_out_repeats_the_flags() {
    let cloud = Cloud::start(JOB, 600, &json!({}));
    cloud.arm("CreateLaunchTemplate", "before-commit");
    let mut first = cloud.cli("laptop", &launch(&[])).spawn().unwrap();
    assert!(cloud.held(&mut first));
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(i32::try_from(first.id()).unwrap()),
        nix::sys::signal::Signal::SIGINT,
    )
    .unwrap();
    std::thread::sleep(std::time::Duration::from_millis(100));
    cloud.release();
    assert_eq!(first.wait().unwrap().code(), Some(130));
    let refused = expect(&mut cloud.cli("laptop", &launch(&["-n", "3"])), 8);
    let talk = text(&refused.stderr);
    let hint = talk.lines().find(|line| line.contains("--replan")).unwrap_or_else(|| panic!("{talk}"));
    assert!(hint.contains(&format!("launch --unattested --image {IMAGE} --until running -n 3 --replan")), "{hint}");
    expect(&mut cloud.cli("laptop", &launch(&["-n", "3", "--replan"])), 0);
    assert_eq!(cloud.live("job").len(), 3);
}

#[test]
fn a_bake_that_is_not_needed_is_said_to_be_left_out() {
    let cloud = Cloud::start(MOULD, 600, &json!({}));
    expect(&mut cloud.cli("laptop", &["bake", "--unverified", "--no-login"]), 0);
    let planned = page(&cloud, &["plan", "bake", "--if-changed", "--unverified", "--no-login"]);
    hold("plan-bake-with-nothing-changed", &planned);
    assert_eq!(cloud.calls("CreateImage").len(), 1);
}

#[test]
fn every_value_is_told_with_what_it_comes_from_and_no_secret() {
    let mut cloud = with_release(Cloud::start("tests/specs/it/bare.yaml", 600, &json!({})));
    expect(&mut cloud.cli("laptop", &["bake", "--unverified", "--no-login"]), 0);
    cloud.set("fleet.spot=50%");
    let run = |form: &str, verb: &[&str]| {
        let mut command = cloud.cli_as("laptop", form, verb);
        command.env("FLEETWRIGHT_SET", "ssh.identity=['${KEY_FOLDER}/id']\nfleet.expires=5h");
        command.env("KEY_FOLDER", "/a/place/for-nobodys-eyes");
        expect(&mut command, 0)
    };
    let launch = ["plan", "launch", "--unattested", "-n", "3"];
    let brief = text(&run("table", &launch).stdout);
    let whole = text(&run("table", &[&launch[..], &["--values"]].concat()).stdout);
    hold("plan-values", &format!("{brief}\n# --values\n{whole}"));
    let pushed = run("json", &["plan", "push", "--values"]);
    for shown in [brief, whole, text(&pushed.stdout), text(&pushed.stderr)] {
        assert!(!shown.contains("nobodys-eyes"), "{shown}");
    }
    let values = json_of(&run("json", &launch))["values"].as_array().unwrap().clone();
    let of =
        |path: &str| values.iter().find(|value| value["path"] == path).unwrap_or_else(|| panic!("no {path}")).clone();
    for (path, from) in [
        ("name", "file"),
        ("fleet.size", "set"),
        ("fleet.spot", "set"),
        ("fleet.expires", "fleetwright-set"),
        ("ssh.identity", "environment"),
        ("fleet.types", "template"),
        ("fleet.subnets", "template"),
        ("fleet.security_groups", "template"),
        ("fleet.root.size", "image"),
        ("fleet.root.type", "default"),
    ] {
        assert_eq!(of(path)["from"], from, "{path}");
    }
    assert_eq!((of("fleet.size")["value"].as_str(), of("fleet.size")["place"].as_str()), (Some("3"), Some("-n")));
    assert_eq!(of("ssh.identity")["variables"], json!(["KEY_FOLDER"]));
    assert!(values.iter().all(|value| value["path"] != "release.from"), "push's own");
}
