//! `images`: who needs which, how two of them differ, and the end of those that nobody needs, however often it is killed.

use crate::env::{Cloud, IMAGE, expect};
use crate::house::assert_allowed;
use serde_json::{Value, json};

const SPEC: &str = "tests/specs/it/mould.yaml";

fn answer(cloud: &Cloud, arguments: &[&str]) -> Value {
    serde_json::from_slice(&expect(&mut cloud.cli("laptop", arguments), 0).stdout).unwrap()
}

/// Image and what would become of it, newest first.
fn listed(cloud: &Cloud) -> Vec<(String, String)> {
    let page = answer(cloud, &["images", "list"]);
    let word = |row: &Value, key: &str| row[key].as_str().unwrap().to_owned();
    page["images"].as_array().unwrap().iter().map(|row| (word(row, "id"), word(row, "usage"))).collect()
}

/// Ids of this fleet's images, by ground truth.
fn there(cloud: &Cloud) -> Vec<String> {
    let world = cloud.world();
    let all = world["images"].as_array().unwrap().iter();
    let ours = all.filter(|image| image["tags"]["fleetwright:fleet"] == "mould");
    ours.map(|image| image["id"].as_str().unwrap().to_owned()).collect()
}

fn bake(cloud: &Cloud) -> String {
    answer(cloud, &["bake", "--no-login"])["image"].as_str().unwrap().to_owned()
}

#[test]
fn images_that_nobody_needs_are_ended_once() {
    let cloud = Cloud::start(SPEC, 400, &json!({}));
    assert_eq!(answer(&cloud, &["images", "list"])["images"], json!([]));
    assert_eq!(answer(&cloud, &["images", "prune"])["ended"], json!([]), "nothing to do is no failure");
    let images: Vec<String> = (0..5).map(|_| bake(&cloud)).collect();
    let launch = ["launch", "--unattested", "--until", "running", "--image", &images[1]];
    expect(&mut cloud.cli("laptop", &launch), 0);
    cloud.ec2(&format!(
        "Action=CreateTags&Version=2016-11-15&ResourceId.1={}&Tag.1.Key=fleetwright%3Aprotect&Tag.1.Value=mine",
        images[2]
    ));
    let uses = ["kept", "surplus", "protected", "used", "surplus"];
    let newest_first: Vec<(String, String)> =
        images.iter().rev().cloned().zip(uses.iter().map(|word| (*word).to_owned())).collect();
    assert_eq!(listed(&cloud), newest_first);
    let page = answer(&cloud, &["images", "list"]);
    let used = &page["images"][3];
    assert_eq!((used["hosts"].as_array().unwrap().len(), &used["template_versions"]), (2, &json!([1])), "{used:#}");
    assert_eq!(page["images"][0]["template_versions"], json!([]));
    let dry = answer(&cloud, &["--dry-run", "images", "prune"]);
    assert_eq!(dry["plans"][0]["notes"].as_array().unwrap().len(), 2, "{dry:#}");
    assert_eq!(there(&cloud).len(), 5);

    // Killed with the first ended and the answer not read: the same command ends the rest.
    cloud.arm("DeregisterImage", "after-commit");
    let mut child = cloud.cli("laptop", &["images", "prune"]).spawn().unwrap();
    assert!(cloud.held(&mut child));
    child.kill().unwrap();
    child.wait().unwrap();
    cloud.release();
    assert_eq!(there(&cloud).len(), 4);
    let pruned = answer(&cloud, &["images", "prune"]);
    let stay = [&images[1], &images[2], &images[4]];
    assert_eq!(there(&cloud).iter().collect::<Vec<_>>(), stay, "{pruned:#}");
    assert_eq!(pruned["images_kept"].as_array().unwrap().len(), 3, "{pruned:#}");
    assert_eq!(cloud.world()["snapshots"].as_array().unwrap().len(), 3, "snapshots go with their images");
    assert_eq!(answer(&cloud, &["images", "prune"])["ended"], json!([]));
    assert!(cloud.world()["images"].as_array().unwrap().iter().any(|image| image["id"] == IMAGE), "not ours");
    assert_eq!(cloud.live("mould").len(), 2);
    // The fleet is gone, and so is what needed the image. What somebody disabled is paid for as long as it is there.
    cloud.ec2(&format!("Action=DisableImage&Version=2016-11-15&ImageId={}", images[4]));
    expect(&mut cloud.cli("laptop", &["down", "--images"]), 0);
    assert_eq!(there(&cloud).iter().collect::<Vec<_>>(), [&images[2]]);
    assert_eq!(cloud.world()["snapshots"].as_array().unwrap().len(), 1);
    cloud.assert_decoys_untouched();
}

#[test]
fn another_machines_images_are_ended_only_when_told() {
    let cloud = Cloud::start(SPEC, 400, &json!({}));
    let (old, new) = (bake(&cloud), bake(&cloud));
    let output = expect(&mut cloud.cli("desktop", &["images", "prune"]), 0);
    assert!(String::from_utf8_lossy(&output.stderr).contains("no journal here knows who made it"));
    assert_eq!(there(&cloud), [old, new.clone()]);
    expect(&mut cloud.cli("desktop", &["images", "prune", "--adopt"]), 0);
    assert_eq!(there(&cloud), [new]);
}

#[test]
fn two_images_are_compared_by_what_is_known_of_them() {
    let mut cloud = Cloud::start(SPEC, 400, &json!({}));
    let old = bake(&cloud);
    cloud.set("tags={team: data}");
    let new = bake(&cloud);
    let diff = answer(&cloud, &["images", "diff", &old]);
    assert_eq!((&diff["from"], &diff["to"]), (&json!(old), &json!(new)), "the newest is the other: {diff:#}");
    let all = diff["differences"].as_array().unwrap();
    let of = |fact: &str| all.iter().find(|one| one["fact"] == fact);
    assert_eq!(of("tag team").unwrap()["from"], json!(null), "{diff:#}");
    assert_eq!(of("tag team").unwrap()["to"], "data", "{diff:#}");
    assert!(of("run").is_some() && of("template").is_none() && of("base image").is_none(), "{diff:#}");
    // By name, and with one of somebody else's.
    let name = answer(&cloud, &["images", "list"])["images"][1]["name"].as_str().unwrap().to_owned();
    let other = answer(&cloud, &["images", "diff", &name, IMAGE]);
    let template = other["differences"].as_array().unwrap().iter().find(|one| one["fact"] == "template").unwrap();
    assert_eq!((&template["from"], &template["to"]), (&json!("i-0123456789abcdef0"), &json!(null)), "{other:#}");
    assert_eq!(answer(&cloud, &["images", "diff", &old, &old])["differences"], json!([]));
    let output = expect(&mut cloud.cli("laptop", &["images", "diff", "ami-0123"]), 2);
    assert!(String::from_utf8_lossy(&output.stderr).contains("find image ami-0123"));
}

/// A key of the alias that the spec names, in these regions.
fn key(cloud: &Cloud, regions: &[&str]) {
    let key = json!({"id": "1234abcd-12ab-34cd-56ef-1234567890ab", "aliases": ["alias/fleet"], "regions": regions});
    cloud.control("POST", "faults", &json!({"account": {"keys": [key]}}));
}

#[test]
fn images_are_encrypted_and_copied_and_known_where_they_are() {
    let mut cloud = Cloud::start(SPEC, 60, &json!({})).leaping();
    let plain = bake(&cloud);
    cloud.set("image.encrypt={kms_key: alias/fleet}");
    cloud.set("image.copy_to=[us-west-2]");
    key(&cloud, &["us-east-1", "us-west-2"]);
    let output = expect(&mut cloud.cli("laptop", &["launch", "--unattested", "--until", "running"]), 2);
    assert!(String::from_utf8_lossy(&output.stderr).contains("encrypted with alias/fleet"), "not the plain one");
    let baked = answer(&cloud, &["bake", "--no-login"]);
    let (image, copy) = (baked["image"].as_str().unwrap(), baked["copies"]["us-west-2"].as_str().unwrap());
    let world = cloud.world();
    let of = |place: &Value, id: &str| {
        place["images"].as_array().unwrap().iter().find(|image| image["id"] == id).cloned().unwrap()
    };
    let (here, there) = (of(&world, image), of(&world["abroad"]["us-west-2"], copy));
    assert_eq!((&here["encrypted"], &there["encrypted"]), (&json!(true), &json!(true)));
    assert_eq!((&here["name"], &there["copied_from"]), (&there["name"], &json!(image)));
    assert_eq!(here["tags"]["fleetwright:run"], there["tags"]["fleetwright:run"]);
    assert_eq!(there["tags"]["fleetwright:copied-from"], "us-east-1");
    assert_eq!(answer(&cloud, &["bake", "--no-login", "--if-changed"])["copies"], baked["copies"], "nothing to do");
    let listed = answer(&cloud, &["images", "list"]);
    let regions: Vec<&Value> = listed["images"].as_array().unwrap().iter().map(|row| &row["region"]).collect();
    assert_eq!(regions, ["us-east-1", "us-east-1", "us-west-2"], "the first one is listed, the draft is gone");
    expect(&mut cloud.cli("laptop", &["launch", "--unattested", "--until", "running"]), 0);
    let world = cloud.world();
    let hosts = world["instances"].as_array().unwrap().iter().filter(|host| host["owner"] == "REHEARSAL");
    assert!(hosts.map(|host| &host["image"]).eq([image; 2]), "{world:#}");

    // The next one takes the place of both, here and there; the spec that no longer names the region knows it still.
    let next = answer(&cloud, &["bake", "--no-login"]);
    cloud.set("image.copy_to=[eu-west-1]");
    let pruned = answer(&cloud, &["images", "prune"]);
    let ended = pruned["ended"].as_array().unwrap();
    assert!(ended.contains(&json!(copy)) && ended.contains(&json!(plain)), "{pruned:#}");
    assert!(!ended.contains(&json!(image)), "it is in use: {pruned:#}");
    assert!(pruned["images_kept"].as_array().unwrap().contains(&next["copies"]["us-west-2"]), "{pruned:#}");
    cloud.set("image.keep=0");
    let down = answer(&cloud, &["down", "--images"]);
    assert_eq!((&down["images_kept"], &down["loose_snapshots"]), (&json!([]), &json!([])), "{down:#}");
    let world = cloud.world();
    let left =
        [&world["snapshots"], &world["abroad"]["us-west-2"]["images"], &world["abroad"]["us-west-2"]["snapshots"]];
    assert!(left.iter().all(|things| **things == json!([])), "{left:#?}");
    cloud.assert_decoys_untouched();
    assert_allowed(&cloud, &["", "-copies"]);
}

#[test]
fn a_copy_that_fails_leaves_nothing_that_is_billed() {
    let mut cloud = Cloud::start(SPEC, 60, &json!({})).leaping();
    cloud.set("image.encrypt={kms_key: alias/fleet}");
    cloud.set("image.copy_to=[us-west-2]");
    for (regions, images, said) in [
        // No key here: neither the copy nor what was copied stays.
        (&["us-west-2"][..], 0, "nothing is left of this one"),
        // None there: the image here is good.
        (&["us-east-1"], 1, "that in us-east-1 is good and stays"),
    ] {
        key(&cloud, regions);
        let output = expect(&mut cloud.cli("laptop", &["bake", "--no-login"]), 3);
        let talk = String::from_utf8_lossy(&output.stderr);
        assert!(talk.contains("failed") && talk.contains(said), "{talk}");
        let world = cloud.world();
        let count = |place: &Value, kind: &str| place[kind].as_array().map_or(0, Vec::len);
        assert_eq!((there(&cloud).len(), count(&world, "snapshots")), (images, images), "{world:#}");
        let west = &world["abroad"]["us-west-2"];
        assert_eq!((count(west, "images"), count(west, "snapshots")), (0, 0), "{west:#}");
    }
    // With its key there, the same command makes all of it.
    key(&cloud, &[]);
    assert!(answer(&cloud, &["bake", "--no-login", "--if-changed"])["copies"]["us-west-2"].is_string());
}
