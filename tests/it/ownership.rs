//! Whose it is: a second machine, things of others with our names, images and what they leave, members of a group.

use crate::env::{Cloud, IMAGE, expect, talk, until};
use serde_json::{Value, json};

const SPEC: &str = "tests/specs/it/five.yaml";
const MOULD: &str = "tests/specs/it/mould.yaml";
const TEMPLATE: &str = "i-0123456789abcdef0";
const N: usize = 5;

fn json_of(output: &std::process::Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap()
}

fn ids(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|thing| thing["id"].as_str().unwrap()).collect()
}

#[test]
fn a_second_machine_sees_the_fleet_and_takes_it_over_only_when_told() {
    let cloud = Cloud::start(SPEC, 400, &json!({}));
    expect(&mut cloud.launch("laptop"), 0);
    let mut fleet = cloud.live("five");
    fleet.sort();
    let status = json_of(&expect(&mut cloud.cli("desktop", &["status"]), 0));
    let mut seen = ids(&status["hosts"]);
    seen.sort_unstable();
    assert_eq!(seen, fleet);
    let output = expect(&mut cloud.cli("desktop", &["down"]), 8);
    assert!(talk(&output).contains("--adopt"), "{}", talk(&output));
    // Its own launch under the same token is refused, and makes nothing of it its own.
    let more = ["scale", "6", "--unattested", "--image", IMAGE, "--until", "running"];
    let output = expect(&mut cloud.cli("desktop", &more), 8);
    assert!(talk(&output).contains("IdempotentParameterMismatch"), "{}", talk(&output));
    for verb in [&["down", "--only", "0"][..], &["scale", "2"], &["down"]] {
        expect(&mut cloud.cli("desktop", verb), 8);
    }
    assert_eq!(cloud.live("five").len(), N, "nothing of another machine's is ended unasked");
    expect(&mut cloud.cli("desktop", &["down", "--adopt"]), 0);
    assert_eq!(cloud.live("five").len(), 0);
    assert_eq!(cloud.world()["launch_templates"], json!([]));
    cloud.assert_decoys_untouched();
    // The first machine's journal knows nothing of it: the same command is right all the same.
    expect(&mut cloud.launch("laptop"), 0);
    assert_eq!((cloud.live("five").len(), cloud.ever_made()), (N, 2 * N));
}

#[test]
fn a_host_that_somebody_launched_by_our_template_is_not_taken_over() {
    let cloud = Cloud::start(SPEC, 1, &json!({})).leaping();
    expect(&mut cloud.launch("laptop"), 0);
    let template = cloud.world()["launch_templates"][0]["id"].as_str().unwrap().to_owned();
    cloud.ec2(&format!(
        "Action=RunInstances&Version=2016-11-15&MinCount=1&MaxCount=1&LaunchTemplate.LaunchTemplateId={template}\
         &TagSpecification.1.ResourceType=instance&TagSpecification.1.Tag.1.Key=fleetwright:fleet\
         &TagSpecification.1.Tag.1.Value=five"
    ));
    let refused = expect(&mut cloud.launch("laptop"), 8);
    assert!(talk(&refused).contains("take the tag fleetwright:fleet off"), "{}", talk(&refused));
    assert!(!talk(&refused).contains("fleetwright adopt"), "{}", talk(&refused));
    let taken = expect(&mut cloud.cli("laptop", &["adopt"]), 0);
    assert!(talk(&taken).contains("is not taken over") && talk(&taken).contains("5 live hosts"), "{}", talk(&taken));
}

#[test]
fn a_host_that_somebody_stopped_keeps_its_place_and_is_told_of() {
    let cloud = Cloud::start(SPEC, 1, &json!({})).leaping();
    expect(&mut cloud.launch("laptop"), 0);
    let world = cloud.world();
    let stoppable = |host: &&Value| host["market"] == "on-demand" && host["tags"]["fleetwright:fleet"] == "five";
    let host = world["instances"].as_array().unwrap().iter().find(stoppable).unwrap()["id"].as_str().unwrap();
    cloud.ec2(&format!("Action=StopInstances&Version=2016-11-15&InstanceId.1={host}"));
    cloud.control("POST", "clock", &json!({ "advance": "10m" }));
    let told = expect(&mut cloud.launch("laptop"), 0);
    assert!(talk(&told).contains(&format!("{host} is stopped: it has its place")), "{}", talk(&told));
    assert_eq!(cloud.ever_made(), N);
}

#[test]
fn adopting_waits_for_what_the_first_machine_launched_a_moment_ago() {
    let cloud = Cloud::start(SPEC, 400, &json!({ "lag_seconds": 300 }));
    cloud.killed_after_the_launch(N);
    expect(&mut cloud.cli("desktop", &["down", "--adopt"]), 0);
    assert_eq!(cloud.live("five").len(), 0);
    assert_eq!(cloud.world()["launch_templates"], json!([]));
}

#[test]
fn a_killed_launch_whose_template_another_machine_deleted_finds_its_way() {
    let cloud = Cloud::start(SPEC, 400, &json!({}));
    cloud.arm("CreateFleet", "after-commit");
    let mut first = cloud.launch("laptop").spawn().unwrap();
    assert!(cloud.held(&mut first));
    first.kill().unwrap();
    first.wait().unwrap();
    cloud.release();
    expect(&mut cloud.cli("desktop", &["down", "--adopt"]), 0);
    let output = expect(&mut cloud.launch("laptop"), 2);
    assert!(talk(&output).contains("InvalidLaunchTemplate"), "{}", talk(&output));
    expect(&mut cloud.launch("laptop"), 0);
    assert_eq!(cloud.live("five").len(), N);
}

#[test]
fn a_strangers_template_of_our_name_is_left_alone_and_keeps_nobody_waiting() {
    let cloud = Cloud::start(SPEC, 120, &json!({}));
    cloud.ec2(&format!(
        "Action=CreateLaunchTemplate&Version=2016-11-15&LaunchTemplateName=fleetwright-five&LaunchTemplateData.ImageId={IMAGE}"
    ));
    let output = expect(&mut cloud.cli("laptop", &["down"]), 0);
    assert!(talk(&output).contains("is left alone: it does not carry this fleet's tag"), "{}", talk(&output));
    assert_eq!(cloud.world()["launch_templates"].as_array().unwrap().len(), 1);
    expect(&mut cloud.launch("laptop"), 8);
    assert_eq!(cloud.ever_made(), 0);
}

#[test]
fn a_host_protected_while_its_end_was_being_asked_for_is_not_ended() {
    let refuse = json!({ "action": "TerminateInstances", "times": null, "do": { "error": { "code": "Unavailable", "status": 503 } } });
    let cloud = Cloud::start(SPEC, 120, &json!({}));
    expect(&mut cloud.launch("laptop"), 0);
    cloud.control("POST", "faults", &json!({ "rules": [refuse] }));
    let mut down = cloud.cli("laptop", &["down"]).spawn().unwrap();
    until(&mut down, "a call that ends hosts", || !cloud.calls("TerminateInstances").is_empty());
    let kept = cloud.live("five").pop().unwrap();
    cloud.ec2(&format!(
        "Action=CreateTags&Version=2016-11-15&ResourceId.1={kept}&Tag.1.Key=fleetwright%3Aprotect&Tag.1.Value=yes"
    ));
    let looks = cloud.calls("DescribeInstances").len();
    until(&mut down, "another look", || cloud.calls("DescribeInstances").len() > looks);
    cloud.control("DELETE", "faults", &Value::Null);
    let output = down.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(10), "{}", talk(&output));
    assert!(talk(&output).contains(&format!("fleetwright protect {kept} --off")), "{}", talk(&output));
    assert_eq!(cloud.live("five"), [kept]);
}

/// Makes an image of the template as a bake of this machine would have.
fn bake(cloud: &Cloud) -> Value {
    json_of(&expect(&mut cloud.cli("laptop", &["bake", "--no-login"]), 0))["image"].clone()
}

fn images(cloud: &Cloud) -> Vec<Value> {
    let world = cloud.world();
    let all = world["images"].as_array().unwrap();
    all.iter().filter(|image| image["tags"]["fleetwright:fleet"] == "mould").map(|image| image["id"].clone()).collect()
}

#[test]
fn a_bake_whose_image_failed_makes_another_and_good_images_are_kept() {
    let cloud = Cloud::start(MOULD, 400, &json!({}));
    let good = bake(&cloud);
    cloud.control("POST", "faults", &json!({ "image_fails": true }));
    let output = expect(&mut cloud.cli("laptop", &["bake", "--no-login"]), 3);
    assert!(talk(&output).contains("it is failed"), "{}", talk(&output));
    expect(&mut cloud.cli("laptop", &["bake", "--no-login"]), 3);
    assert_eq!(images(&cloud).len(), 3);
    // One image is kept: the newest that can be launched, not the newest that failed.
    expect(&mut cloud.cli("laptop", &["down", "--images"]), 0);
    assert_eq!(images(&cloud), std::slice::from_ref(&good));
    assert_eq!(cloud.world()["snapshots"].as_array().unwrap().len(), 1, "the others went with their images");
    cloud.control("DELETE", "faults", &Value::Null);
    let newer = bake(&cloud);
    assert_eq!(images(&cloud), [good, newer]);
}

#[test]
fn a_bake_killed_while_it_makes_its_image_is_finished_by_the_same_command() {
    let cloud = Cloud::start(MOULD, 400, &json!({}));
    cloud.arm("CreateImage", "after-commit");
    let mut first = cloud.cli("laptop", &["bake", "--no-login"]).spawn().unwrap();
    assert!(cloud.held(&mut first));
    first.kill().unwrap();
    first.wait().unwrap();
    cloud.release();
    let image = bake(&cloud);
    assert_eq!(images(&cloud), [image]);
    // And is over: the next bake is another one.
    assert_eq!(json_of(&expect(&mut cloud.cli("laptop", &["status"]), 0))["unfinished"], json!([]));
    bake(&cloud);
    assert_eq!(images(&cloud).len(), 2);
}

#[test]
fn a_snapshot_that_no_image_holds_is_told_and_ended() {
    let cloud = Cloud::start(MOULD, 400, &json!({}));
    bake(&cloud);
    let world = cloud.world();
    let mine = &world["snapshots"][0];
    let intent = mine["tags"]["fleetwright:intent"].as_str().unwrap();
    let volume = world["volumes"][0]["id"].as_str().unwrap();
    let snapshot = |intent: &str| {
        cloud.ec2(&format!(
            "Action=CreateSnapshot&Version=2016-11-15&VolumeId={volume}&TagSpecification.1.ResourceType=snapshot\
             &TagSpecification.1.Tag.1.Key=fleetwright%3Afleet&TagSpecification.1.Tag.1.Value=mould\
             &TagSpecification.1.Tag.2.Key=fleetwright%3Aintent&TagSpecification.1.Tag.2.Value={intent}"
        ));
    };
    snapshot(intent);
    snapshot("somebody-elses");
    let told = json_of(&expect(&mut cloud.cli("laptop", &["down"]), 0));
    assert_eq!(told["loose_snapshots"].as_array().unwrap().len(), 2);
    let output = expect(&mut cloud.cli("laptop", &["down", "--images"]), 0);
    assert!(talk(&output).contains("no journal here knows who made it"), "{}", talk(&output));
    assert_eq!(json_of(&output)["loose_snapshots"].as_array().unwrap().len(), 1);
    let left = cloud.world()["snapshots"].clone();
    let left: Vec<&Value> = left.as_array().unwrap().iter().map(|one| &one["tags"]["fleetwright:intent"]).collect();
    assert_eq!(left, [intent, "somebody-elses"]);
}

#[test]
fn a_template_that_is_a_member_of_a_group_is_not_rebooted_unless_allowed() {
    let cloud = Cloud::start(MOULD, 120, &json!({}));
    cloud.control("POST", &format!("tags/{TEMPLATE}"), &json!({ "aws:autoscaling:groupName": "web" }));
    let output = expect(&mut cloud.cli("laptop", &["verify"]), 8);
    assert!(talk(&output).contains("member of Auto Scaling group web"), "{}", talk(&output));
    assert!(talk(&output).contains("--allow-member"), "{}", talk(&output));
    assert!(cloud.calls("RebootInstances").is_empty());
    // Allowed, it is planned.
    let output = expect(&mut cloud.cli("laptop", &["--dry-run", "verify", "--allow-member"]), 0);
    let notes = json_of(&output)["plans"][0]["notes"].to_string();
    assert!(notes.contains("will be rebooted"), "{notes}");
}
