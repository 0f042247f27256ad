//! A fleet in its own Auto Scaling group: one group of N whatever is killed, nothing left after `down`, nothing foreign
//! touched.

use crate::env::{Cloud, IMAGE, LAUNCH, call_to, expect, talk};
use crate::house::assert_allowed;
use serde_json::{Value, json};
use std::process::Output;

const SPEC: &str = "tests/specs/it/group.yaml";
pub(crate) const NAME: &str = "fleetwright-crew";

pub(crate) fn cloud(faults: &Value) -> Cloud {
    Cloud::start(SPEC, 600, faults)
}

pub(crate) fn asked(cloud: &Cloud, form: &str) -> String {
    let (status, body) = call_to("autoscaling", cloud.authority(), &format!("Version=2011-01-01&{form}"));
    assert_eq!(status, 200, "{form}: {body}");
    body
}

/// The group by ground truth.
fn group(cloud: &Cloud) -> Option<Value> {
    let world = cloud.world();
    let mut ours = world["groups"].as_array().unwrap().iter().filter(|group| group["name"] == NAME);
    let found = ours.next().cloned();
    assert!(ours.next().is_none());
    found
}

pub(crate) fn sizes(cloud: &Cloud) -> (i64, i64, i64) {
    let group = group(cloud).expect("the group");
    let size = |key: &str| group[key].as_i64().unwrap();
    (size("min"), size("max"), size("desired"))
}

/// Kills the verb at a call, lets the call go, and runs the same command again to its end.
pub(crate) fn killed(cloud: &Cloud, arguments: &[&str], action: &str, point: &str) -> Output {
    cloud.arm(action, point);
    let mut child = cloud.cli("laptop", arguments).spawn().unwrap();
    assert!(cloud.held(&mut child), "{action} {point}: {arguments:?} ended before it");
    child.kill().unwrap();
    child.wait().unwrap();
    cloud.release();
    expect(&mut cloud.cli("laptop", arguments), 0)
}

/// Nothing of the fleet is left.
pub(crate) fn assert_gone(cloud: &Cloud) {
    assert_eq!(cloud.live("crew"), Vec::<String>::new());
    assert_eq!(group(cloud), None);
    let world = cloud.world();
    let templates = world["launch_templates"].as_array().or_else(|| world["templates"].as_array()).unwrap();
    assert!(templates.iter().all(|template| template["name"] != NAME), "{templates:#?}");
    cloud.assert_decoys_untouched();
}

#[test]
fn a_group_of_n_is_made_and_ended() {
    let cloud = cloud(&json!({}));
    expect(&mut cloud.cli("laptop", &LAUNCH), 0);
    let hosts = cloud.live("crew");
    assert_eq!((hosts.len(), sizes(&cloud)), (4, (0, 4, 4)));
    let world = cloud.world();
    let ours: Vec<&Value> = world["instances"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|host| hosts.iter().any(|id| host["id"] == id.as_str()))
        .collect();
    for host in &ours {
        assert_eq!(host["tags"]["team"], "data", "{host:#}");
        assert_eq!(host["tags"]["aws:autoscaling:groupName"], NAME);
        assert!(host["tags"]["fleetwright:intent"].as_str().unwrap().starts_with("fw"));
        assert_eq!(host["tags"]["fleetwright:expires"], Value::Null, "a group would replace what powers itself off");
    }
    let made = group(&cloud).unwrap();
    let actions = made["actions"].as_array().unwrap();
    assert_eq!(actions.len(), 1, "{actions:#?}");
    assert_eq!((&actions[0]["name"], &actions[0]["desired"]), (&json!("fleetwright-expires"), &json!(0)));

    // The same again changes nothing.
    let calls = cloud.calls("UpdateAutoScalingGroup").len();
    expect(&mut cloud.cli("laptop", &LAUNCH), 0);
    assert_eq!(cloud.calls("UpdateAutoScalingGroup").len(), calls);
    assert_eq!(cloud.live("crew"), hosts);

    expect(&mut cloud.cli("laptop", &["down"]), 0);
    assert_gone(&cloud);
    expect(&mut cloud.cli("laptop", &["down"]), 0);
    assert_allowed(&cloud, &["", "-group"]);
}

#[test]
fn a_launch_killed_at_any_call_is_one_group_of_n() {
    let calls = [
        "CreateLaunchTemplate",
        "CreateAutoScalingGroup",
        "BatchPutScheduledUpdateGroupAction",
        "UpdateAutoScalingGroup",
    ];
    for action in calls {
        for point in ["before-commit", "after-commit"] {
            let cloud = cloud(&json!({}));
            killed(&cloud, &LAUNCH, action, point);
            assert_eq!((cloud.live("crew").len(), sizes(&cloud)), (4, (0, 4, 4)), "{action} {point}");
            let world = cloud.world();
            let ever = world["instances"].as_array().unwrap().iter().filter(|host| host["tags"]["team"] == "data");
            assert_eq!(ever.count(), 4, "{action} {point}");
            // Nothing is left open that would keep hosts from being ended later.
            expect(&mut cloud.cli("laptop", &["scale", "3"]), 0);
            assert_eq!(cloud.live("crew").len(), 3, "{action} {point}");
        }
    }
}

#[test]
fn hosts_that_work_are_not_ended_for_those_that_do_not_come() {
    let cloud = cloud(&json!({}));
    expect(&mut cloud.cli("laptop", &LAUNCH), 0);
    let before = cloud.live("crew");
    let dry = json!({ "empty_pools": [{ "instance_type": "*", "zone": "*", "market": "*" }] });
    cloud.control("POST", "faults", &dry);
    let larger = ["--set", "fleet.size=8", "--set", "fleet.accept.min=8"].into_iter().chain(LAUNCH).collect::<Vec<_>>();
    let output = expect(&mut cloud.cli("laptop", &larger), 4);
    assert!(String::from_utf8_lossy(&output.stderr).contains("they are kept"), "{output:?}");
    let unharmed = |asked: i64| {
        assert_eq!((cloud.live("crew"), sizes(&cloud)), (before.clone(), (0, asked, asked)));
        assert_eq!(cloud.calls("TerminateInstanceInAutoScalingGroup").len(), 0);
    };
    unharmed(8);
    // The group goes on asking, until somebody says that what is there is enough; so it does after a surge that did not come.
    expect(&mut cloud.cli("laptop", &["scale", "4"]), 0);
    unharmed(4);
    let now =
        ["--set", "fleet.accept.within=1m", "recycle", "now", "--unattested", "--image", IMAGE, "--until", "running"];
    let output = expect(&mut cloud.cli("laptop", &now), 4);
    assert!(String::from_utf8_lossy(&output.stderr).contains("no host was ended"), "{output:?}");
    unharmed(4);
}

#[test]
fn a_group_without_hosts_is_found_whatever_the_spec_says_and_whoever_forgot_it() {
    let cloud = cloud(&json!({}));
    expect(&mut cloud.cli("laptop", &LAUNCH), 0);
    expect(&mut cloud.cli("laptop", &["scale", "0"]), 0);
    let other = ["--set", "fleet.mode=instances", "--set", "recycle.group=web"];
    let plain = |arguments: &[&str]| cloud.cli("laptop", &[&other, arguments].concat());
    expect(&mut plain(&LAUNCH), 8);
    expect(&mut plain(&["down"]), 0);
    assert_gone(&cloud);

    // From tags alone: `adopt` knows it again, and once its end is over it is an orphan.
    let forget = || std::fs::remove_dir_all(cloud.state("laptop")).unwrap();
    expect(&mut cloud.cli("laptop", &LAUNCH), 0);
    expect(&mut cloud.cli("laptop", &["scale", "0"]), 0);
    forget();
    expect(&mut cloud.cli("laptop", &["orphans"]), 0);
    expect(&mut cloud.cli("laptop", &["down", "--adopt"]), 0);
    assert_gone(&cloud);
    expect(&mut cloud.cli("laptop", &LAUNCH), 0);
    cloud.control("POST", "clock", &json!({ "advance": "13h" }));
    forget();
    let found = expect(&mut cloud.cli("laptop", &["orphans"]), 10);
    let found: Value = serde_json::from_slice(&found.stdout).unwrap();
    let kinds: Vec<&str> =
        found["orphans"].as_array().unwrap().iter().map(|thing| thing["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["launch-template", "auto-scaling-group"], "{found:#}");
    expect(&mut cloud.cli("laptop", &["orphans", "--reap", "--max", "2"]), 0);
    assert_gone(&cloud);
}

/// The end of what will be a group is on it from birth, since its journal may be lost before anything else names one.
#[test]
fn a_launch_that_stopped_before_its_group_had_an_end_is_an_orphan_after_that() {
    for (action, kinds) in [
        ("CreateLaunchTemplate", &["launch-template"][..]),
        ("CreateAutoScalingGroup", &["launch-template", "auto-scaling-group"]),
    ] {
        let cloud = cloud(&json!({}));
        cloud.arm(action, "after-commit");
        let mut child = cloud.cli("laptop", &LAUNCH).spawn().unwrap();
        assert!(cloud.held(&mut child), "{action}");
        child.kill().unwrap();
        child.wait().unwrap();
        cloud.release();
        std::fs::remove_dir_all(cloud.state("laptop")).unwrap();
        // Another machine may be about to go on.
        expect(&mut cloud.cli("laptop", &["orphans"]), 0);
        cloud.control("POST", "clock", &json!({ "advance": "13h" }));
        let found = expect(&mut cloud.cli("laptop", &["orphans"]), 10);
        let found: Value = serde_json::from_slice(&found.stdout).unwrap();
        let named: Vec<&str> =
            found["orphans"].as_array().unwrap().iter().map(|thing| thing["kind"].as_str().unwrap()).collect();
        assert_eq!(named, kinds, "{action}: {found:#}");
        expect(&mut cloud.cli("laptop", &["orphans", "--reap", "--max", "2"]), 0);
        assert_gone(&cloud);
    }
}

/// AWS's own scale-in knows our mark by its own protection.
#[test]
fn a_protected_host_is_kept_by_its_group_too() {
    let cloud = cloud(&json!({}));
    expect(&mut cloud.cli("laptop", &LAUNCH), 0);
    let kept = cloud.live("crew")[0].clone();
    let protected = || {
        let members = group(&cloud).unwrap()["instances"].as_array().unwrap().clone();
        let ids =
            members.iter().filter(|one| one["protected"] == true).map(|one| one["id"].as_str().unwrap().to_owned());
        ids.collect::<Vec<_>>()
    };
    killed(&cloud, &["protect", &kept], "SetInstanceProtection", "before-commit");
    assert_eq!(protected(), std::slice::from_ref(&kept));
    // By the group's protection alone it is spared as well.
    cloud.ec2(&format!("Action=DeleteTags&Version=2016-11-15&ResourceId.1={kept}&Tag.1.Key=fleetwright%3Aprotect"));
    let now = ["recycle", "now", "--unattested", "--image", IMAGE, "--until", "running"];
    expect(&mut cloud.cli("laptop", &now), 0);
    assert!(cloud.live("crew").contains(&kept));
    killed(&cloud, &["protect", &kept, "--off"], "SetInstanceProtection", "after-commit");
    assert_eq!(protected(), Vec::<String>::new());
    // AWS takes no protection for what it has only begun to launch.
    cloud.ec2(&format!("Action=TerminateInstances&Version=2016-11-15&InstanceId.1={kept}"));
    cloud.control("POST", "clock", &json!({ "speed": 1 }));
    let begun = || {
        let members = group(&cloud).unwrap()["instances"].as_array().unwrap().clone();
        members.iter().find(|one| one["state"] == "Pending").map(|one| one["id"].as_str().unwrap().to_owned())
    };
    let looks = std::iter::repeat_with(|| {
        cloud.control("POST", "clock", &json!({ "advance": "1s" }));
        asked(&cloud, "Action=DescribeAutoScalingGroups");
        begun()
    });
    let young = looks.take(1000).flatten().next().expect("the group replaces it");
    cloud.control("POST", "clock", &json!({ "speed": 600 }));
    expect(&mut cloud.cli("laptop", &["protect", &young]), 0);
    assert_eq!(protected(), [young]);
}

#[test]
fn a_teardown_killed_at_any_call_leaves_nothing() {
    for action in ["UpdateAutoScalingGroup", "DeleteAutoScalingGroup", "DeleteLaunchTemplate"] {
        for point in ["before-commit", "after-commit"] {
            let cloud = cloud(&json!({}));
            expect(&mut cloud.cli("laptop", &LAUNCH), 0);
            killed(&cloud, &["down"], action, point);
            assert_gone(&cloud);
        }
    }
}

#[test]
fn it_grows_and_shrinks_and_spares_what_is_protected() {
    let cloud = cloud(&json!({}));
    expect(&mut cloud.cli("laptop", &LAUNCH), 0);
    let before = cloud.live("crew");
    asked(
        &cloud,
        &format!(
            "Action=SetInstanceProtection&AutoScalingGroupName={NAME}&ProtectedFromScaleIn=true&InstanceIds.member.1={}",
            before[0]
        ),
    );
    for (action, point) in [
        ("TerminateInstanceInAutoScalingGroup", "before-commit"),
        ("TerminateInstanceInAutoScalingGroup", "after-commit"),
        ("UpdateAutoScalingGroup", "after-commit"),
    ] {
        killed(&cloud, &["scale", "2"], action, point);
        let after = cloud.live("crew");
        assert_eq!((after.len(), sizes(&cloud)), (2, (0, 2, 2)), "{action} {point}");
        assert!(after.contains(&before[0]), "{action} {point}: a protected host went");
        let larger = ["scale", "4", "--unattested", "--image", IMAGE, "--until", "running"];
        killed(&cloud, &larger, "UpdateAutoScalingGroup", "after-commit");
        assert_eq!((cloud.live("crew").len(), sizes(&cloud)), (4, (0, 4, 4)), "{action} {point}");
    }
    let output = expect(&mut cloud.cli("laptop", &["scale", "0"]), 8);
    let talk = String::from_utf8_lossy(&output.stderr);
    assert!(talk.contains("only 3 may: 1 are protected"), "{talk}");
    assert_eq!(sizes(&cloud), (0, 4, 4));
}

/// Its zones stay even at every end, so that Auto Scaling has nothing to even out: those that were named go, and no others.
#[test]
fn a_smaller_group_ends_the_hosts_of_its_plan_and_no_others() {
    let cloud = cloud(&json!({}));
    expect(&mut cloud.cli("laptop", &LAUNCH), 0);
    let before = cloud.live("crew");
    let told = expect(&mut cloud.cli("laptop", &["scale", "1", "--no-drain"]), 0);
    let told: Value = serde_json::from_slice(&told.stdout).unwrap();
    let ended: Vec<String> = serde_json::from_value(told["ended"].clone()).unwrap();
    cloud.control("POST", "clock", &json!({ "advance": "10m" }));
    let stays: Vec<String> = before.into_iter().filter(|id| !ended.contains(id)).collect();
    assert_eq!((cloud.live("crew"), sizes(&cloud)), (stays, (0, 1, 1)), "{told:#}");
    let world = cloud.world();
    let ever = world["instances"].as_array().unwrap().iter().filter(|host| host["tags"]["team"] == "data");
    assert_eq!(ever.count(), 4);
}

#[test]
fn why_a_group_gets_no_hosts_is_told_and_nothing_is_left() {
    let dry = json!({ "empty_pools": [
        { "instance_type": "*", "zone": "*", "market": "spot" },
        { "instance_type": "*", "zone": "*", "market": "on-demand" },
    ] });
    let cloud = cloud(&dry);
    let output = expect(&mut cloud.cli("laptop", &LAUNCH), 4);
    let told = talk(&output);
    assert!(told.contains("InsufficientInstanceCapacity") && told.contains("ended again"), "{told}");
    assert_eq!((cloud.live("crew").len(), sizes(&cloud)), (0, (0, 0, 0)));
    expect(&mut cloud.cli("laptop", &["down"]), 0);
    assert_gone(&cloud);
    // What no waiting mends is not waited for.
    let patient = [&["--set", "fleet.accept.within=10h"], &LAUNCH[..]].concat();
    let dies = json!({ "share_percent": 100, "after_seconds": 15, "reason": "Client.InternalError" });
    for (fault, said, fix) in [
        (json!({ "quotas": { "on_demand_vcpus": 2, "spot_vcpus": 2 } }), "Exceeded", "quota: ask AWS for a higher one"),
        (json!({ "die_after_launch": dies }), "hosts ended again: Client.InternalError", "KMS key"),
    ] {
        let cloud = self::cloud(&fault);
        let told = talk(&expect(&mut cloud.cli("laptop", &patient), 4));
        assert!(told.contains(said) && told.contains(fix), "{told}");
        assert_eq!((cloud.live("crew").len(), sizes(&cloud)), (0, (0, 0, 0)), "{told}");
    }
}

#[test]
fn a_foreign_group_of_our_name_is_refused_and_untouched() {
    let cloud = cloud(&json!({}));
    cloud.ec2(&format!(
        "Version=2016-11-15&Action=CreateLaunchTemplate&LaunchTemplateName=theirs&LaunchTemplateData.ImageId={IMAGE}\
         &LaunchTemplateData.InstanceType=m7i.large"
    ));
    asked(
        &cloud,
        &format!(
            "Action=CreateAutoScalingGroup&AutoScalingGroupName={NAME}&LaunchTemplate.LaunchTemplateName=theirs&MinSize=1\
             &MaxSize=3&VPCZoneIdentifier=subnet-0aaa0000000000000"
        ),
    );
    cloud.control("POST", "clock", &json!({ "advance": "60s" }));
    let before = sizes(&cloud);
    expect(&mut cloud.cli("laptop", &LAUNCH), 8);
    expect(&mut cloud.cli("laptop", &["down"]), 0);
    assert_eq!(sizes(&cloud), before);
}

#[test]
fn a_suspended_process_is_named_before_anything_waits_for_it() {
    let cloud = cloud(&json!({}));
    expect(&mut cloud.cli("laptop", &LAUNCH), 0);
    asked(&cloud, &format!("Action=SuspendProcesses&AutoScalingGroupName={NAME}&ScalingProcesses.member.1=Launch"));
    let larger = ["launch", "-n", "6", "--unattested", "--image", IMAGE, "--until", "running"];
    let output = expect(&mut cloud.cli("laptop", &larger), 8);
    let talk = String::from_utf8_lossy(&output.stderr);
    assert!(talk.contains("Launch is suspended") && talk.contains("resume-processes"), "{talk}");
    assert_eq!(sizes(&cloud), (0, 4, 4));

    // Nothing is changed by a look that is too old by the time that it is whole, and nobody looks for ever.
    // 72 s of the world.
    let slow = json!({ "action": "DescribeScheduledActions", "times": null, "do": { "delay": { "seconds": 0.12 } } });
    cloud.control("POST", "faults", &json!({ "rules": [slow] }));
    let output = expect(&mut cloud.cli("laptop", &["extend", "20h"]), 6);
    let talk = String::from_utf8_lossy(&output.stderr);
    assert!(talk.contains(&format!("let {NAME} end at ")) && talk.contains("within 15 minutes"), "{talk}");
    cloud.control("POST", "faults", &json!({}));
    expect(&mut cloud.cli("laptop", &["extend", "20h"]), 0);
}

#[test]
fn hosts_that_the_group_ends_by_itself_have_time_to_drain() {
    let mut cloud = cloud(&json!({}));
    cloud.set("worker={service: crawl, process: crawl.sh}");
    cloud.set("fleet.group.drain_within=2h");
    expect(&mut cloud.cli("laptop", &LAUNCH), 0);
    let about = format!("AutoScalingGroupName={NAME}&LifecycleHookName=fleetwright-drain");
    let hooked = |seconds: u32| {
        let told = asked(&cloud, &format!("Action=DescribeLifecycleHooks&AutoScalingGroupName={NAME}"));
        told.contains(&format!("<HeartbeatTimeout>{seconds}</HeartbeatTimeout>"))
            && told.contains("<LifecycleHookName>fleetwright-drain</LifecycleHookName>")
            && told.contains("<DefaultResult>CONTINUE</DefaultResult>")
    };
    assert!(hooked(7200));
    assert!(cloud.calls("PutLifecycleHook").is_empty(), "the group was made with it");
    // Whoever changes it or takes it away: the next launch has it again, and the one after that has nothing to do.
    asked(&cloud, &format!("Action=PutLifecycleHook&{about}&HeartbeatTimeout=60&DefaultResult=CONTINUE"));
    expect(&mut cloud.cli("laptop", &LAUNCH), 0);
    assert!(hooked(7200));
    asked(&cloud, &format!("Action=DeleteLifecycleHook&{about}"));
    let output = expect(&mut cloud.cli_as("laptop", "table", &["plan", "launch", "--unattested", "--image", IMAGE]), 0);
    let plan = String::from_utf8_lossy(&output.stdout);
    assert!(plan.contains("the group changes: drain before the end"), "{plan}");
    killed(&cloud, &LAUNCH, "PutLifecycleHook", "after-commit");
    assert!(hooked(7200));
    let puts = cloud.calls("PutLifecycleHook").len();
    expect(&mut cloud.cli("laptop", &LAUNCH), 0);
    assert_eq!(cloud.calls("PutLifecycleHook").len(), puts);

    // Somebody's scale-in: the host is there until it has drained, and counts no more.
    let now = || -> jiff::Timestamp {
        let clock: Value = serde_json::from_str(&cloud.control("GET", "clock", &Value::Null)).unwrap();
        clock["now"].as_str().unwrap().parse().unwrap()
    };
    let begun = now();
    asked(&cloud, &format!("Action=SetDesiredCapacity&AutoScalingGroupName={NAME}&DesiredCapacity=3"));
    let waits = || {
        let group = group(&cloud).unwrap();
        group["instances"].as_array().unwrap().iter().filter(|host| host["state"] == "Terminating:Wait").count()
    };
    assert_eq!((waits(), cloud.live("crew").len()), (1, 4));
    // Those that fleetwright ends itself, it does not wait for: it drains them before, or is not to.
    expect(&mut cloud.cli("laptop", &["scale", "2", "--no-drain"]), 0);
    assert_eq!((waits(), cloud.live("crew").len()), (1, 3));
    killed(&cloud, &["down"], "DeleteLifecycleHook", "after-commit");
    assert_gone(&cloud);
    assert!(now().duration_since(begun) < jiff::SignedDuration::from_mins(60), "{begun} {}", now());
}

#[test]
fn nobody_comes_back_and_the_group_goes_to_zero() {
    let cloud = cloud(&json!({}));
    expect(&mut cloud.cli("laptop", &LAUNCH), 0);
    cloud.control("POST", "clock", &json!({ "advance": "11h" }));
    assert_eq!(cloud.live("crew").len(), 4);
    cloud.control("POST", "clock", &json!({ "advance": "70m" }));
    assert_eq!((cloud.live("crew").len(), sizes(&cloud)), (0, (0, 0, 0)));
}

#[test]
fn hosts_of_a_group_give_way_a_few_at_a_time() {
    let cloud = cloud(&json!({}));
    expect(&mut cloud.cli("laptop", &LAUNCH), 0);
    let before = cloud.live("crew");
    // One in quarantine keeps its place in the group, and is no reason to have one more.
    expect(&mut cloud.cli("laptop", &["quarantine", &before[0]]), 0);
    let now = ["recycle", "now", "--unattested", "--image", IMAGE, "--until", "running"];
    expect(&mut cloud.cli("laptop", &now), 0);
    // While a group evens out its zones there is one more.
    cloud.control("POST", "clock", &json!({ "advance": "10m" }));
    let after = cloud.live("crew");
    assert_eq!((after.len(), sizes(&cloud)), (4, (0, 4, 4)));
    let stayed: Vec<&String> = after.iter().filter(|host| before.contains(host)).collect();
    assert_eq!(stayed, [&before[0]], "{before:?} {after:?}");
    expect(&mut cloud.cli("laptop", &["down"]), 0);
    assert_gone(&cloud);
}

#[test]
fn its_end_moves_once_and_status_tells_of_it() {
    let cloud = cloud(&json!({}));
    expect(&mut cloud.cli("laptop", &LAUNCH), 0);
    let end = || -> jiff::Timestamp {
        let group = group(&cloud).unwrap();
        group["actions"][0]["next"].as_str().unwrap().parse().unwrap()
    };
    let (before, two) = (end(), jiff::SignedDuration::from_hours(2));
    for point in ["before-commit", "after-commit"] {
        let was = end();
        killed(&cloud, &["extend", "2h"], "BatchPutScheduledUpdateGroupAction", point);
        assert_eq!(end(), was + two, "{point}");
    }
    let output = expect(&mut cloud.cli("laptop", &["status"]), 0);
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    let ends: jiff::Timestamp = told["group"]["ends"].as_str().unwrap().parse().unwrap();
    assert_eq!((ends, &told["group"]["in_service"]), (before + two * 2, &json!(4)), "{told:#}");
    // Its hosts have no end of their own, and that is as the spec says.
    let output = expect(&mut cloud.cli("laptop", &["diff"]), 0);
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    let hosts = told["hosts"].as_array().unwrap();
    assert!(hosts.len() == 4 && !told["hosts"].to_string().contains("\"expires\""), "{told:#}");
    cloud.control("POST", "clock", &json!({ "advance": "14h" }));
    assert_eq!(cloud.live("crew").len(), 4);
}

#[test]
fn windows_are_on_the_fleets_own_group_and_go_with_its_size() {
    let cloud = cloud(&json!({}));
    cloud.come_to(16, 0);
    expect(&mut cloud.cli("laptop", &LAUNCH), 0);
    let desired = || -> Vec<i64> {
        let actions = group(&cloud).unwrap()["actions"].as_array().unwrap().clone();
        let mut desired: Vec<i64> = actions.iter().map(|action| action["desired"].as_i64().unwrap()).collect();
        desired.sort_unstable();
        desired
    };
    // The looks of the plan and of the step come 72 s late: the second is made again before anything is changed by it.
    let slow = json!({ "action": "DescribeAutoScalingGroups", "times": 2, "do": { "delay": { "seconds": 0.12 } } });
    cloud.control("POST", "faults", &json!({ "rules": [slow] }));
    let looks = cloud.calls("DescribeAutoScalingGroups").len();
    let output = expect(&mut cloud.cli("laptop", &["recycle", "apply"]), 0);
    assert!(cloud.calls("DescribeAutoScalingGroups").len() >= looks + 4);
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(told["actions"].as_array().unwrap().iter().all(|action| action["ours"] == true), "{told:#}");
    assert_eq!(desired(), [0, 4, 5]);
    killed(&cloud, &["scale", "3"], "BatchPutScheduledUpdateGroupAction", "before-commit");
    assert_eq!((desired(), sizes(&cloud)), (vec![0, 3, 4], (0, 3, 3)));
    expect(&mut cloud.cli("laptop", &["recycle", "remove"]), 0);
    assert_eq!(desired(), [0], "the end of the group is no window");
}
