//! `recycle` on a group that fleetwright did not make: its own actions and no others, killed or not, and the host foretold.

use crate::env::{Cloud, call_to, expect};
use crate::house::assert_allowed;
use serde_json::{Value, json};
use std::collections::BTreeSet;

const SPEC: &str = "tests/specs/it/recycle.yaml";
const IMAGE: &str = crate::env::IMAGE;

fn groups(cloud: &Cloud, form: &str) -> String {
    let (status, body) = call_to("autoscaling", cloud.authority(), &format!("Version=2011-01-01&{form}"));
    assert_eq!(status, 200, "{form}: {body}");
    body
}

/// A world with the group `web` of three hosts, oldest first to go, and an action of its owner's.
fn cloud() -> Cloud {
    let cloud = Cloud::start(SPEC, 60, &json!({}));
    cloud.ec2(&format!(
        "Version=2016-11-15&Action=CreateLaunchTemplate&LaunchTemplateName=web&LaunchTemplateData.ImageId={IMAGE}\
         &LaunchTemplateData.InstanceType=m7i.large"
    ));
    groups(
        &cloud,
        "Action=CreateAutoScalingGroup&AutoScalingGroupName=web&LaunchTemplate.LaunchTemplateName=web&MinSize=3&MaxSize=3\
         &VPCZoneIdentifier=subnet-0aaa0000000000000&TerminationPolicies.member.1=OldestInstance",
    );
    groups(
        &cloud,
        "Action=PutScheduledUpdateGroupAction&AutoScalingGroupName=web&ScheduledActionName=fleetwright-by-hand\
         &Recurrence=17%204%20*%20*%20*&MinSize=3",
    );
    // Between two nights.
    cloud.come_to(16, 0);
    cloud
}

fn advance(cloud: &Cloud, span: &str) {
    cloud.control("POST", "clock", &json!({ "advance": span }));
}

fn web(cloud: &Cloud) -> Value {
    cloud.world()["groups"].as_array().unwrap().iter().find(|group| group["name"] == "web").unwrap().clone()
}

fn names(cloud: &Cloud) -> BTreeSet<String> {
    let web = web(cloud);
    web["actions"].as_array().unwrap().iter().map(|action| action["name"].as_str().unwrap().to_owned()).collect()
}

fn hosts(cloud: &Cloud) -> BTreeSet<String> {
    let web = web(cloud);
    let members = web["instances"].as_array().unwrap().iter().filter(|member| member["state"] == "InService");
    members.map(|member| member["id"].as_str().unwrap().to_owned()).collect()
}

fn answer(cloud: &Cloud, arguments: &[&str], code: i32) -> Value {
    serde_json::from_slice(&expect(&mut cloud.cli("laptop", arguments), code).stdout).unwrap()
}

const NIGHTLY: &str = r#"recycle.windows=[{at: "0 0 * * *", zone: Australia/Brisbane, surge: 2, for: 1h}]"#;

#[test]
fn only_its_own_actions_are_put_changed_and_removed() {
    let mut cloud = cloud();
    let told = answer(&cloud, &["recycle", "apply"], 0);
    assert_eq!(told["actions"].as_array().unwrap().len(), 5, "{told:#}");
    let before = names(&cloud);
    assert!(before.contains("fleetwright-by-hand"), "{before:?}");
    assert_eq!(before.iter().filter(|name| name.starts_with("fleetwright-web.")).count(), 4, "{before:?}");
    let web = web(&cloud);
    let open = web["actions"].as_array().unwrap().iter().find(|one| one["recurrence"] == "0 0 * * *").unwrap();
    assert_eq!((&open["desired"], &open["max"], &open["min"]), (&json!(4), &json!(4), &Value::Null), "{open:#}");

    // The same again changes nothing.
    let calls = cloud.calls("BatchPutScheduledUpdateGroupAction").len();
    assert_eq!(answer(&cloud, &["recycle", "apply"], 0)["run"], Value::Null);
    assert_eq!(cloud.calls("BatchPutScheduledUpdateGroupAction").len(), calls);

    // A changed spec: what is gone goes, what is different is put, under the same name where its time stays.
    cloud.set(NIGHTLY);
    answer(&cloud, &["recycle", "apply"], 0);
    let after = names(&cloud);
    assert_eq!((after.len(), after.is_subset(&before)), (3, true), "{after:?}");
    assert_eq!(answer(&cloud, &["recycle", "list"], 0)["actions"].as_array().unwrap().len(), 3);

    answer(&cloud, &["recycle", "remove"], 0);
    assert_eq!(names(&cloud), BTreeSet::from(["fleetwright-by-hand".to_owned()]));
    answer(&cloud, &["recycle", "remove"], 0);
    answer(&cloud, &["recycle", "preview"], 0);
    assert_allowed(&cloud, &["-recycle"]);
}

#[test]
fn killed_at_every_call_it_converges() {
    let cloud = cloud();
    for (action, arguments, count) in [
        ("BatchPutScheduledUpdateGroupAction", ["recycle", "apply"], 5),
        ("BatchDeleteScheduledAction", ["recycle", "remove"], 1),
    ] {
        for point in ["before-commit", "after-commit"] {
            cloud.arm(action, point);
            let mut child = cloud.cli("laptop", &arguments).spawn().unwrap();
            assert!(cloud.held(&mut child), "{action} {point}");
            child.kill().unwrap();
            child.wait().unwrap();
            cloud.release();
            expect(&mut cloud.cli("laptop", &arguments), 0);
            assert_eq!(names(&cloud).len(), count, "{action} {point}: {:?}", names(&cloud));
            // For the next point there must be something to do again.
            let undo = if count == 5 { ["recycle", "remove"] } else { ["recycle", "apply"] };
            expect(&mut cloud.cli("laptop", &undo), 0);
        }
        expect(&mut cloud.cli("laptop", &["recycle", "apply"]), 0);
    }
}

/// Sizes and names are those of before: the group's, and the next night's.
#[test]
fn an_open_window_is_closed_before_its_actions_go() {
    let mut cloud = cloud();
    cloud.set(NIGHTLY);
    expect(&mut cloud.cli("laptop", &["recycle", "apply"]), 0);
    cloud.come_to(14, 5);
    let (opened, there) = (web(&cloud)["desired"].clone(), names(&cloud));
    assert_eq!(opened, 5);
    cloud.set(&NIGHTLY.replace("1h", "2h"));
    for (verb, hint) in [("remove", "fleetwright recycle remove "), ("apply", "fleetwright recycle apply ")] {
        let output = expect(&mut cloud.cli("laptop", &["recycle", verb]), 8);
        let talk = String::from_utf8_lossy(&output.stderr);
        assert!(talk.contains("T15:02:00Z: ") && talk.contains(hint), "{talk}");
    }
    assert_eq!((names(&cloud), &web(&cloud)["desired"]), (there, &opened));
    cloud.come_to(15, 5);
    assert_eq!(web(&cloud)["desired"], 3);
    // Killed between the two calls: the old window is gone, the new one is not there yet.
    cloud.arm("BatchPutScheduledUpdateGroupAction", "before-commit");
    let mut child = cloud.cli("laptop", &["recycle", "apply"]).spawn().unwrap();
    assert!(cloud.held(&mut child));
    child.kill().unwrap();
    child.wait().unwrap();
    cloud.release();
    expect(&mut cloud.cli("laptop", &["recycle", "apply"]), 0);
    let web = web(&cloud);
    let sizes = |hour: &str| {
        let actions = web["actions"].as_array().unwrap();
        actions.iter().find(|one| one["recurrence"] == format!("0 {hour} * * *")).unwrap()["desired"].clone()
    };
    assert_eq!((sizes("0"), sizes("2")), (json!(5), json!(3)), "{web:#}");
}

#[test]
fn what_aws_refuses_of_a_batch_is_named_and_the_rest_is_done() {
    let cloud = cloud();
    cloud.arm("BatchPutScheduledUpdateGroupAction", "before-commit");
    let mut child = cloud.cli("laptop", &["recycle", "apply"]).spawn().unwrap();
    assert!(cloud.held(&mut child));
    // Somebody takes the time of the nightly opening meanwhile.
    groups(
        &cloud,
        "Action=PutScheduledUpdateGroupAction&AutoScalingGroupName=web&ScheduledActionName=theirs\
         &Recurrence=0%200%20*%20*%20*&TimeZone=Australia/Brisbane&MinSize=3",
    );
    cloud.release();
    let output = child.wait_with_output().unwrap();
    let talk = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{talk}");
    assert!(talk.contains("put 1 of 4 scheduled actions") && talk.contains("AlreadyExists"), "{talk}");
    assert_eq!(names(&cloud).len(), 5, "three of ours, two of others");
    // Now it is known before the call, and named with its line.
    let output = expect(&mut cloud.cli("laptop", &["recycle", "apply"]), 8);
    let talk = String::from_utf8_lossy(&output.stderr);
    assert!(talk.contains("recycle.yaml:8") && talk.contains("theirs"), "{talk}");
}

#[test]
fn the_host_that_was_foretold_goes() {
    let mut cloud = cloud();
    cloud.set(&NIGHTLY.replace("surge: 2", "surge: 1"));
    // Hosts of one moment are alike to the policy: make them differ.
    for first in hosts(&cloud) {
        advance(&cloud, "10m");
        cloud.ec2(&format!("Version=2016-11-15&Action=TerminateInstances&InstanceId.1={first}"));
        advance(&cloud, "2m");
    }
    expect(&mut cloud.cli("laptop", &["recycle", "apply"]), 0);
    let told = answer(&cloud, &["recycle", "preview", "--nights", "2"], 0);
    assert_eq!(told["warnings"], json!([]), "{told:#}");
    let night = &told["nights"][0];
    assert_eq!((&night["certain"], night["ends"].as_array().unwrap().len()), (&json!(true), 1), "{told:#}");
    let doomed = night["ends"][0].as_str().unwrap().to_owned();
    let before = hosts(&cloud);
    assert!(before.contains(&doomed), "{told:#}");
    // To the closing of that night, whatever the time of day is now, and no further than to the next opening.
    let closes: jiff::Timestamp = night["closes"].as_str().unwrap().parse().unwrap();
    let now = || {
        let audit = cloud.audit();
        audit.last().unwrap()["time"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap()
    };
    while now() < closes + jiff::SignedDuration::from_mins(30) {
        advance(&cloud, "30m");
        answer(&cloud, &["recycle", "list"], 0);
    }
    let after = hosts(&cloud);
    assert!(after.len() == 3 && !after.contains(&doomed), "{before:?} {doomed} {after:?}");
    assert_eq!((&web(&cloud)["desired"], &web(&cloud)["max"]), (&json!(3), &json!(3)));
}

#[test]
fn a_group_that_is_not_there_or_of_another_fleet_is_refused() {
    let mut cloud = cloud();
    groups(
        &cloud,
        "Action=CreateOrUpdateTags&Tags.member.1.ResourceId=web&Tags.member.1.Key=fleetwright:fleet&Tags.member.1.Value=other",
    );
    expect(&mut cloud.cli("laptop", &["recycle", "apply"]), 8);
    assert_eq!(names(&cloud).len(), 1);
    cloud.set("recycle.group=wed");
    expect(&mut cloud.cli("laptop", &["recycle", "apply"]), 2);
}

#[test]
fn a_teardown_tells_of_the_windows_that_go_on() {
    let mut cloud = cloud();
    cloud.set("name=web");
    cloud.set("fleet={size: 1, types: [m7i.large], subnets: [subnet-0aaa0000000000000], security_groups: [sg-0aaa0000000000000]}");
    let told = |cloud: &Cloud| {
        let output = expect(&mut cloud.cli("laptop", &["down"]), 0);
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    assert!(!told(&cloud).contains("go on"), "the owner's action is no window of ours");
    expect(&mut cloud.cli("laptop", &["recycle", "apply"]), 0);
    let talk = told(&cloud);
    assert!(talk.contains("4 scheduled actions of this fleet on web go on: `fleetwright recycle remove`"), "{talk}");
}
