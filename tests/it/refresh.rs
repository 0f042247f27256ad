//! A group of the fleet's own and its image: what `bake` makes is what it launches from then on, and Auto Scaling's own
//! instance refresh is begun once, attached to and believed only when it is done.

use crate::env::{Cloud, IMAGE, LAUNCH, call_to, expect, talk, until};
use crate::groups::killed;
use fleetwright::exit::Exit;
use fleetwright::journal::{Begun, FleetDir, Holder};
use fleetwright::model::{FleetKey, RunId};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::BTreeSet;

pub(crate) const SPEC: &str = "tests/specs/it/kiln.yaml";
const NAME: &str = "fleetwright-kiln";
pub(crate) const REFRESH: [&str; 11] = [
    "recycle",
    "now",
    "--instance-refresh",
    "--surge",
    "4",
    "--unattested",
    "--image",
    IMAGE,
    "--until",
    "running",
    "--stale-image",
];

fn cloud() -> Cloud {
    let cloud = Cloud::start(SPEC, 600, &json!({}));
    expect(&mut cloud.cli("laptop", &LAUNCH), 0);
    cloud
}

fn asked(cloud: &Cloud, form: &str) -> String {
    let form = format!("Version=2011-01-01&AutoScalingGroupName={NAME}&{form}");
    let (status, body) = call_to("autoscaling", cloud.authority(), &form);
    assert_eq!(status, 200, "{form}: {body}");
    body
}

fn group(cloud: &Cloud) -> Value {
    let world = cloud.world();
    world["groups"].as_array().unwrap().iter().find(|group| group["name"] == NAME).unwrap().clone()
}

/// How many versions the fleet's launch template has, and which the group launches from.
fn versions(cloud: &Cloud) -> (usize, String) {
    let world = cloud.world();
    let template =
        world["launch_templates"].as_array().unwrap().iter().find(|one| one["name"] == NAME).unwrap().clone();
    let versions = template["versions"].as_array().unwrap().len();
    let told = asked(cloud, "Action=DescribeAutoScalingGroups");
    let spec = told.split("<LaunchTemplateSpecification>").nth(1).unwrap();
    let version = spec.split("<Version>").nth(1).unwrap().split('<').next().unwrap();
    (versions, version.to_owned())
}

fn hosts(cloud: &Cloud) -> BTreeSet<String> {
    cloud.live("kiln").into_iter().collect()
}

/// Writes down that the template was verified, as a machine does that could log in to it.
pub(crate) fn verified(cloud: &Cloud) {
    let clock: Value = serde_json::from_str(&cloud.control("GET", "clock", &Value::Null)).unwrap();
    let at: Timestamp = clock["now"].as_str().unwrap().parse().unwrap();
    let fleet = FleetKey { account: "123456789012".into(), region: "us-east-1".into(), name: "kiln".into() };
    let dir = FleetDir::locate(Some(&cloud.state("laptop")), &fleet).unwrap();
    let holder = Holder { pid: std::process::id(), verb: "verify".into(), run: None, started: at, host: None };
    let claim = dir.claim(&holder).unwrap();
    let newest = dir.runs().unwrap().first().map(fleetwright::journal::RunDir::run);
    let run = RunId::parse("01900000-0000-7000-8000-000000000000").unwrap().after(newest);
    let begun =
        Begun { run: run.to_string(), verb: "verify".into(), fleet, request: String::new(), plan: json!({}), at };
    let (_, journal) = dir.begin(&claim, run, begun).unwrap();
    let found = json!({ "digest": "d", "instance": "i-0123456789abcdef0", "boot_id": "b", "playbook": null });
    journal.step("scan", json!({ "attestation": found }), at).unwrap();
    journal.end(Exit::Done, at).unwrap();
}

#[test]
fn the_group_launches_from_what_was_baked_and_from_one_version_whatever_is_killed() {
    let cloud = cloud();
    assert_eq!(versions(&cloud), (1, "1".to_owned()));
    // What nobody verified is not launched unasked.
    let output = expect(&mut cloud.cli("laptop", &["bake", "--no-login"]), 0);
    assert_eq!(versions(&cloud), (1, "1".to_owned()), "{}", talk(&output));
    let plan = expect(&mut cloud.cli_as("laptop", "table", &["plan", "bake", "--no-login"]), 0);
    assert!(String::from_utf8_lossy(&plan.stdout).contains("keeps the image that it has"), "{plan:?}");

    verified(&cloud);
    let plan = expect(&mut cloud.cli_as("laptop", "table", &["plan", "bake", "--no-login"]), 0);
    let plan = String::from_utf8_lossy(&plan.stdout);
    assert!(plan.contains(&format!("{NAME} launches from it from now on")), "{plan}");
    let old = hosts(&cloud);
    for (n, (action, point)) in [
        ("CreateLaunchTemplateVersion", "before-commit"),
        ("CreateLaunchTemplateVersion", "after-commit"),
        ("UpdateAutoScalingGroup", "after-commit"),
        ("CreateOrUpdateTags", "after-commit"),
    ]
    .into_iter()
    .enumerate()
    {
        let output = killed(&cloud, &["bake", "--no-login"], action, point);
        assert_eq!(versions(&cloud), (n + 2, (n + 2).to_string()), "{action} {point}");
        let image: Value = serde_json::from_slice(&output.stdout).unwrap();
        let images =
            cloud.world()["images"].as_array().unwrap().iter().filter(|one| one["state"] == "available").count();
        assert!(images >= n + 2, "{image}");
    }
    assert_eq!(hosts(&cloud), old, "those that are there stay as they are");

    // With an image that need not be baked again it comes to the same.
    let images = |cloud: &Cloud| cloud.world()["images"].as_array().unwrap().len();
    let baked = images(&cloud);
    expect(&mut cloud.cli("laptop", &LAUNCH), 0);
    assert_eq!(versions(&cloud).1, "1");
    let unchanged = ["bake", "--no-login", "--if-changed"];
    let plan = expect(&mut cloud.cli_as("laptop", "table", &[&["plan"], &unchanged[..]].concat()), 0);
    let plan = String::from_utf8_lossy(&plan.stdout).into_owned();
    assert!(plan.contains("launches from it from now on") && plan.contains("same release"), "{plan}");
    killed(&cloud, &unchanged, "UpdateAutoScalingGroup", "before-commit");
    assert_eq!((versions(&cloud), images(&cloud)), ((5, "5".to_owned()), baked));
    let calls = cloud.audit().len();
    expect(&mut cloud.cli("laptop", &unchanged), 0);
    let changed = cloud.audit().split_off(calls).iter().any(|call| call["action"] == "UpdateAutoScalingGroup");
    assert!(!changed);

    // What the group launches by itself is of the newest image, and a launch finds all as it is wanted.
    let gone = old.first().unwrap().clone();
    cloud.ec2(&format!("Action=TerminateInstances&Version=2016-11-15&InstanceId.1={gone}"));
    cloud.control("POST", "clock", &json!({ "advance": "3m" }));
    let world = cloud.world();
    let host = world["instances"]
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["id"].as_str().is_some_and(|id| hosts(&cloud).contains(id) && !old.contains(id)));
    let host = host.unwrap_or_else(|| panic!("{world:#}"));
    assert!(host["image"] != IMAGE && host["tags"]["fleetwright:epoch"].as_str().unwrap().ends_with(":5"), "{host:#}");
    let calls = cloud.calls("UpdateAutoScalingGroup").len();
    expect(&mut cloud.cli("laptop", &["launch", "--until", "running"]), 0);
    assert_eq!((cloud.calls("UpdateAutoScalingGroup").len(), versions(&cloud).0), (calls, 5));

    // One that is not there is not made.
    expect(&mut cloud.cli("laptop", &["down"]), 0);
    expect(&mut cloud.cli("laptop", &["bake", "--no-login"]), 0);
    assert!(cloud.world()["groups"].as_array().unwrap().iter().all(|group| group["name"] != NAME));
}

#[test]
fn auto_scaling_replaces_all_once_whatever_is_killed() {
    let cloud = cloud();
    let mut old = hosts(&cloud);
    for (n, (action, point)) in [
        ("StartInstanceRefresh", "before-commit"),
        ("StartInstanceRefresh", "after-commit"),
        ("DescribeInstanceRefreshes", "after-commit"),
    ]
    .into_iter()
    .enumerate()
    {
        let output = killed(&cloud, &REFRESH, action, point);
        let told: Value = serde_json::from_slice(&output.stdout).unwrap();
        let now = hosts(&cloud);
        assert!(now.is_disjoint(&old) && now.len() == 4, "{action} {point}: {old:?} {now:?}");
        assert_eq!(told["hosts"], json!({ "wanted": 4, "live": 4 }), "{action} {point}");
        assert!(!talk(&output).contains("because of"), "that old hosts ended is no warning: {}", talk(&output));
        let refreshes = group(&cloud)["refreshes"].as_array().unwrap().clone();
        assert_eq!(refreshes.len(), n + 1, "{action} {point}: {refreshes:?}");
        assert!(refreshes.iter().all(|one| one["status"] == "Successful"), "{refreshes:?}");
        old = now;
    }
    // What the group would launch the same again stays, where that is asked.
    expect(&mut cloud.cli("laptop", &[&REFRESH[..], &["--skip-matching"]].concat()), 0);
    assert_eq!(hosts(&cloud), old);
    let kept = old.first().unwrap();
    expect(&mut cloud.cli("laptop", &["protect", kept]), 0);
    expect(&mut cloud.cli("laptop", &REFRESH), 0);
    assert_eq!(&hosts(&cloud) & &old, BTreeSet::from([kept.clone()]));
    // By our tag alone Auto Scaling would not spare it.
    asked(&cloud, &format!("Action=SetInstanceProtection&ProtectedFromScaleIn=false&InstanceIds.member.1={kept}"));
    let begun = cloud.calls("StartInstanceRefresh").len();
    let refused = |how: &str| {
        let told = talk(&expect(&mut cloud.cli("laptop", &REFRESH), 8));
        assert!(told.contains(&format!("change the group {NAME}: it would end {kept} ({how})")), "{told}");
        assert!(told.contains(&format!("fleetwright protect {kept}")), "{told}");
    };
    refused("fleetwright:protect");
    let ec2 = |call: &str| cloud.ec2(&format!("Version=2016-11-15&{call}"));
    ec2(&format!("Action=DeleteTags&ResourceId.1={kept}&Tag.1.Key=fleetwright%3Aprotect"));
    // Nor does it heed what EC2 itself was told.
    ec2(&format!("Action=ModifyInstanceAttribute&InstanceId={kept}&DisableApiTermination.Value=true"));
    refused("EC2's termination protection");
    ec2(&format!("Action=CreateTags&ResourceId.1={kept}&Tag.1.Key=fleetwright%3Aquarantine&Tag.1.Value=x"));
    refused("fleetwright:quarantine");
    assert_eq!(cloud.calls("StartInstanceRefresh").len(), begun);
}

#[test]
fn somebody_elses_refresh_is_refused_and_one_that_is_cancelled_is_a_failure() {
    let cloud = cloud();
    let old = hosts(&cloud);
    let told = asked(&cloud, "Action=StartInstanceRefresh&Preferences.InstanceWarmup=7200");
    let id = told.split("<InstanceRefreshId>").nth(1).unwrap().split('<').next().unwrap().to_owned();
    let output = expect(&mut cloud.cli("laptop", &REFRESH), 8);
    assert!(talk(&output).contains(&id) && talk(&output).contains("cancel-instance-refresh"), "{}", talk(&output));
    asked(&cloud, "Action=CancelInstanceRefresh&WaitForTransitioningInstances=false");

    // Ours, cancelled by somebody while nobody watches.
    cloud.control("POST", "clock", &json!({ "advance": "5m" }));
    let slow = ["--set", "fleet.group.grace=2h"];
    cloud.arm("StartInstanceRefresh", "after-commit");
    let mut child = cloud.cli("laptop", &[&slow[..], &REFRESH].concat()).spawn().unwrap();
    assert!(cloud.held(&mut child));
    asked(&cloud, "Action=CancelInstanceRefresh");
    cloud.release();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", talk(&output));
    assert!(talk(&output).contains("is Cancelled at") && talk(&output).contains("user request"), "{}", talk(&output));
    // That one is over: the same command begins another, once AWS takes one.
    let throttled = json!({ "action": "StartInstanceRefresh", "times": null,
                            "do": { "error": { "code": "Throttling", "status": 400 } } });
    cloud.control("POST", "faults", &json!({ "rules": [throttled] }));
    let told = talk(&expect(&mut cloud.cli("laptop", &REFRESH), 6));
    assert!(told.contains("AWS took none within 15 minutes"), "{told}");
    cloud.control("POST", "faults", &json!({}));
    expect(&mut cloud.cli("laptop", &REFRESH), 0);
    assert!(hosts(&cloud).is_disjoint(&old));

    // Ours as well, but onto a launch template version of before.
    cloud.arm("DescribeInstanceRefreshes", "before-commit");
    let mut child = cloud.cli("laptop", &[&slow[..], &REFRESH].concat()).spawn().unwrap();
    assert!(cloud.held(&mut child));
    cloud.release();
    until(&mut child, "a refresh in progress", || {
        group(&cloud)["refreshes"].as_array().unwrap().last().unwrap()["status"] == "InProgress"
    });
    child.kill().unwrap();
    child.wait().unwrap();
    let newer = [&slow[..], &["--set", "fleet.root.size=9GiB"], &REFRESH].concat();
    let output = expect(&mut cloud.cli("laptop", &[&newer[..], &["--replan"]].concat()), 8);
    assert!(talk(&output).contains("onto an earlier launch template version"), "{}", talk(&output));
    asked(&cloud, "Action=CancelInstanceRefresh&WaitForTransitioningInstances=false");
    let newer = [&["--set", "fleet.root.size=9GiB"], &REFRESH[..]].concat();
    expect(&mut cloud.cli("laptop", &newer), 0);
    // A fleet without a group has nothing that Auto Scaling could refresh.
    let plain = ["--set", "fleet.mode=instances"];
    expect(&mut cloud.cli("laptop", &[&plain[..], &REFRESH].concat()), 2);
}
