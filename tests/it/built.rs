//! `template.build`: the template is launched, provisioned, verified, baked and ended, one at a time, and nothing of it is
//! left.

use crate::env::{Cloud, expect};
use serde_json::{Value, json};

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

    // The same one is baked: neither launched nor provisioned again.
    let baked = answer(&cloud, &["bake"], 0);
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
