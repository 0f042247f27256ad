//! `template.build`: the template is launched, provisioned, verified, baked and ended, one at a time, and nothing of it is
//! left.

use crate::env::{Cloud, expect};
use crate::house::assert_allowed;
use serde_json::{Value, json};
use std::process::Stdio;

const SPEC: &str = "tests/specs/it/built.yaml";
const MOULD: &str = "built.build";

fn answer(cloud: &Cloud, arguments: &[&str], code: i32) -> Value {
    let output = expect(&mut cloud.cli("laptop", arguments), code);
    serde_json::from_slice(&output.stdout).unwrap_or_default()
}

fn images(cloud: &Cloud) -> Vec<Value> {
    let world = cloud.world();
    let all = world["images"].as_array().unwrap().iter();
    all.filter(|image| image["tags"]["fleetwright:fleet"] == "built").cloned().collect()
}

/// Every instance that was ever the template, by ground truth.
fn templates(cloud: &Cloud) -> Vec<Value> {
    let world = cloud.world();
    let all = world["instances"].as_array().unwrap().iter();
    all.filter(|host| host["tags"]["fleetwright:fleet"] == MOULD).cloned().collect()
}

#[track_caller]
fn nothing_is_left(cloud: &Cloud) {
    let world = cloud.world();
    assert_eq!(cloud.live(MOULD), Vec::<String>::new());
    assert_eq!(world["launch_templates"], json!([]), "launch templates");
    cloud.assert_decoys_untouched();
}

#[test]
fn a_template_is_built_verified_baked_and_ended() {
    let cloud = Cloud::with_hosts(SPEC, 60, &json!({}), "real");
    let plans = answer(&cloud, &["plan", "bake"], 0)["plans"].clone();
    let told = |plan: &Value| format!("{} {}", plan["verb"].as_str().unwrap(), plan["fleet"]["name"].as_str().unwrap());
    let told: Vec<String> = plans.as_array().unwrap().iter().map(told).collect();
    assert_eq!(told, ["launch built.build", "provision built", "verify built", "bake built", "down built.build"]);
    assert!(plans[0]["estimate"]["per_hour"].is_object(), "{:#}", plans[0]);
    assert_eq!(templates(&cloud).len(), 0, "a plan makes nothing");
    let by_name = |owner: &str| format!("template.build.base_image={{owner: {owner}, name: rehearsal-*}}");
    let newest = answer(&cloud, &["plan", "bake", "--set", &by_name("amazon")], 0);
    let note = newest["plans"][1]["notes"][0].as_str().unwrap();
    assert!(note.starts_with("base image ami-0b5e0b5e0b5e0b5e0 (rehearsal-base of 20"), "{note}");
    let none = expect(&mut cloud.cli("laptop", &["plan", "bake", "--set", &by_name("self")]), 2);
    let talk = String::from_utf8(none.stderr).unwrap();
    assert!(talk.contains("self's rehearsal-* for x86_64: there is none"), "{talk}");
    let saved = expect(&mut cloud.cli("laptop", &["plan", "--out", "plan.json", "bake"]), 2);
    let talk = String::from_utf8(saved.stderr).unwrap();
    assert!(talk.contains("fleetwright bake -f ") && talk.contains("     # builds the template first"), "{talk}");

    let verified = answer(&cloud, &["verify"], 0);
    let id = verified["template"].as_str().unwrap().to_owned();
    let template = templates(&cloud).remove(0);
    let tags = &template["tags"];
    assert_eq!(
        (&template["id"], &tags["team"], &template["market"]),
        (&json!(id), &json!("data"), &json!("on-demand"))
    );
    assert!(tags["fleetwright:expires"].is_string() && tags["fleetwright:build"].is_string(), "{tags:#}");
    let status = answer(&cloud, &["status"], 0);
    assert_eq!((&status["template"]["id"], &status["hosts"]), (&json!(id), &json!([])), "{status:#}");

    // The same one is baked: neither launched nor provisioned again. Killed with all done but the template's end, the same
    // command ends it.
    cloud.arm("DescribeImageAttribute", "after-commit");
    let mut child = cloud.cli("laptop", &["bake"]).stderr(Stdio::null()).spawn().unwrap();
    assert!(cloud.held(&mut child));
    cloud.arm("DescribeLaunchTemplates", "before-commit");
    cloud.release_held();
    assert!(cloud.held(&mut child));
    child.kill().unwrap();
    child.wait().unwrap();
    cloud.release();
    assert_eq!(cloud.live(MOULD).len(), 1);
    let baked = answer(&cloud, &["bake"], 0);
    assert_eq!(images(&cloud).len(), 1);
    let image = images(&cloud).remove(0);
    assert_eq!((&image["id"], &image["source"]), (&baked["image"], &json!(id)), "{image:#}");
    assert_eq!(image["tags"]["fleetwright:build"], tags["fleetwright:build"]);
    assert!(image["tags"]["fleetwright:attestation"].is_string());
    assert_eq!(templates(&cloud).len(), 1, "one template");
    nothing_is_left(&cloud);
    let again = answer(&cloud, &["bake", "--if-changed"], 0);
    assert_eq!((&again["image"], templates(&cloud).len()), (&baked["image"], 1), "nothing has changed");
    let runs = answer(&cloud, &["runs", "list"], 0)["runs"].as_array().unwrap().clone();
    let mut verbs: Vec<&str> = runs.iter().map(|run| run["verb"].as_str().unwrap()).collect();
    verbs.sort_unstable();
    assert_eq!(verbs, ["bake", "build down", "build launch", "provision", "verify"], "each was done once");
    assert_allowed(&cloud, &["", "-build"]);
}

/// Kills a command at a call of this action, carried out or not.
fn killed_at(cloud: &Cloud, machine: &str, arguments: &[&str], action: &str, point: &str) {
    cloud.arm(action, point);
    let mut child = cloud.cli(machine, arguments).stderr(Stdio::null()).spawn().unwrap();
    assert!(cloud.held(&mut child));
    child.kill().unwrap();
    child.wait().unwrap();
    cloud.release();
}

fn somebody_ends_the_template(cloud: &Cloud) {
    let [id] = &cloud.live(MOULD)[..] else { panic!("one template: {:?}", cloud.live(MOULD)) };
    cloud.ec2(&format!("Action=TerminateInstances&Version=2016-11-15&InstanceId.1={id}"));
}

#[test]
fn a_bake_whose_template_goes_under_it_comes_to_one_image() {
    let cloud = Cloud::with_hosts(SPEC, 60, &json!({}), "real");
    let bake = ["bake", "--no-login", "--unverified"];
    killed_at(&cloud, "laptop", &bake, "CreateImage", "before-commit");
    somebody_ends_the_template(&cloud);
    assert_eq!(images(&cloud), Vec::<Value>::new());

    // There is no image, so another template is built; and nothing waits for what was never made.
    cloud.arm("CreateFleet", "before-commit");
    cloud.control("POST", "clock", &json!({ "speed": 3000 }));
    let mut child = cloud.cli("laptop", &bake).stderr(Stdio::null()).spawn().unwrap();
    assert!(cloud.held(&mut child));
    cloud.control("POST", "clock", &json!({ "speed": 60 }));
    cloud.arm("CreateImage", "after-commit");
    cloud.release_held();
    assert!(cloud.held(&mut child));
    child.kill().unwrap();
    child.wait().unwrap();
    cloud.release();
    somebody_ends_the_template(&cloud);

    // There is one: it needs no template.
    let baked = answer(&cloud, &bake, 0);
    let made: Vec<Value> = images(&cloud).into_iter().map(|image| image["id"].clone()).collect();
    assert_eq!((made.as_slice(), templates(&cloud).len()), (&[baked["image"].clone()][..], 2));
    nothing_is_left(&cloud);
}

#[test]
fn a_template_that_no_journal_and_no_spec_knows_is_found_by_its_tags() {
    let cloud = Cloud::start(SPEC, 60, &json!({})).leaping();
    let named = ["--set", "template={instance: i-0123456789abcdef0}"];
    let other = |arguments: &[&str], code| {
        let output = expect(&mut cloud.cli("desktop", &[&named, arguments].concat()), code);
        (serde_json::from_slice::<Value>(&output.stdout).unwrap_or_default(), String::from_utf8(output.stderr).unwrap())
    };
    killed_at(&cloud, "laptop", &["bake"], "CreateFleet", "after-commit");
    let id = cloud.live(MOULD).remove(0);
    let (status, _) = other(&["status"], 0);
    assert_eq!((&status["template"]["id"], &status["hosts"]), (&json!(id), &json!([])), "{status:#}");
    assert_eq!(status["cost"]["hosts"], 1, "{status:#}");
    let (_, talk) = other(&["down"], 8);
    assert!(talk.contains("--adopt") && talk.contains(&id), "{talk}");
    assert_eq!(cloud.live(MOULD), [id]);
    other(&["down", "--adopt"], 0);
    nothing_is_left(&cloud);

    // Left by a machine that never came back, and past its end.
    killed_at(&cloud, "gone", &["bake"], "CreateFleet", "after-commit");
    cloud.control("POST", "clock", &json!({ "advance": "4h" }));
    let (found, _) = other(&["orphans", "--fleet", "built"], 10);
    let fleets: Vec<&Value> = found["orphans"].as_array().unwrap().iter().map(|one| &one["fleet"]).collect();
    assert_eq!(fleets, [MOULD; 4], "{found:#}");
    other(&["orphans", "--fleet", "built", "--reap", "--max", "4"], 0);
    nothing_is_left(&cloud);
}

#[test]
fn a_playbook_that_says_no_leaves_nothing_unless_it_is_to_be_looked_at() {
    let cloud = Cloud::with_hosts(SPEC, 60, &json!({}), "real");
    let mut broken = cloud.cli("laptop", &["bake"]);
    let playbook = tempfile::NamedTempFile::with_suffix(".yaml").unwrap();
    std::fs::write(playbook.path(), "[{name: break it, run: echo no such thing >&2; exit 3}]").unwrap();
    let set = format!("template.build.playbook={}", playbook.path().display());
    let output = expect(broken.args(["--set", &set]), 3);
    let talk = String::from_utf8(output.stderr).unwrap();
    assert!(talk.contains("step \"break it\" said no") && talk.contains("no such thing"), "{talk}");
    assert!(talk.contains("fleetwright verify --keep-template"), "{talk}");
    assert_eq!((templates(&cloud).len(), images(&cloud).len()), (1, 0));
    nothing_is_left(&cloud);

    // Kept: the same command goes on with it, another playbook makes another, and `down` ends that.
    let output = expect(
        cloud.cli("laptop", &["verify", "--keep-template", "--set", &set]).stdin(std::process::Stdio::null()),
        3,
    );
    let talk = String::from_utf8(output.stderr).unwrap();
    assert!(
        talk.contains("ssh -o ") && talk.contains("HostKeyAlias=i-") && talk.contains("fleetwright down"),
        "{talk}"
    );
    assert_eq!(cloud.live(MOULD).len(), 1);
    answer(&cloud, &["verify"], 0);
    assert_eq!(
        (templates(&cloud).len(), cloud.live(MOULD).len()),
        (3, 1),
        "the one of another playbook was ended first"
    );
    answer(&cloud, &["down"], 0);
    nothing_is_left(&cloud);
}
