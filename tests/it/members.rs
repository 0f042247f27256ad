//! Members of the fleet's own group that a person keeps, sets aside, takes out or puts in.

use crate::env::{IMAGE, LAUNCH, expect, talk};
use crate::groups::{NAME, asked, assert_gone, cloud, sizes};
use serde_json::{Value, json};

/// By hand a host is set aside, taken out, put in: what is ours ends with the fleet, and no place is lost for one without.
#[test]
fn hosts_in_standby_detached_and_attached() {
    let cloud = cloud(&json!({}));
    expect(&mut cloud.cli("laptop", &LAUNCH), 0);
    let by_hand = |action: &str, id: &str, more: &str| {
        asked(&cloud, &format!("Action={action}&AutoScalingGroupName={NAME}&InstanceIds.member.1={id}{more}"));
        cloud.control("POST", "clock", &json!({ "advance": "3m" }));
    };
    // It would bring others in their place.
    asked(
        &cloud,
        &format!("Action=SuspendProcesses&AutoScalingGroupName={NAME}&ScalingProcesses.member.1=AZRebalance"),
    );
    let aside = cloud.live("crew")[0].clone();
    by_hand("EnterStandby", &aside, "&ShouldDecrementDesiredCapacity=false");
    let scaled = expect(&mut cloud.cli("laptop", &["scale", "4"]), 0);
    let scaled: Value = serde_json::from_slice(&scaled.stdout).unwrap();
    assert_eq!(scaled["hosts"]["live"], 4, "{scaled:#}");
    assert_eq!((cloud.live("crew").len(), sizes(&cloud)), (5, (0, 4, 4)), "four, and one aside");
    let told = expect(&mut cloud.cli("laptop", &["status"]), 0);
    let told: Value = serde_json::from_slice(&told.stdout).unwrap();
    let hosts = told["hosts"].as_array().unwrap();
    let of = |state: &str| hosts.iter().filter(|host| host["state"] == state).count();
    assert_eq!((of("standby"), of("running")), (1, 4), "{told:#}");
    // It is no new host that came: without capacity nothing gives way, and that ends.
    let dry = |market: &str| json!({ "instance_type": "*", "zone": "*", "market": market });
    cloud.control("POST", "faults", &json!({ "empty_pools": [dry("spot"), dry("on-demand")] }));
    let before = cloud.live("crew");
    let recycle = ["recycle", "now", "--unattested", "--image", IMAGE, "--until", "running", "--stale-image"];
    let told = expect(&mut cloud.cli("laptop", &recycle), 4);
    assert!(String::from_utf8_lossy(&told.stderr).contains("more than the 4 there are"), "{told:?}");
    assert_eq!((cloud.live("crew"), sizes(&cloud)), (before, (0, 4, 4)));
    cloud.control("DELETE", "faults", &Value::Null);
    expect(&mut cloud.cli("laptop", &["scale", "3"]), 0);
    assert!(cloud.live("crew").contains(&aside));
    assert_eq!((cloud.live("crew").len(), sizes(&cloud)), (4, (0, 3, 3)));
    expect(&mut cloud.cli("laptop", &["down", "--only", &aside, "--no-drain"]), 0);
    assert_eq!((cloud.live("crew").len(), sizes(&cloud)), (3, (0, 3, 3)), "no place went with it");

    // Instances of a warm pool are in no list of members: whoever has one ends it first.
    asked(&cloud, &format!("Action=PutWarmPool&AutoScalingGroupName={NAME}&MaxGroupPreparedCapacity=0"));
    let refresh = [&recycle[..], &["--instance-refresh", "--replan"]].concat();
    for verb in [&["down"][..], &["scale", "0"], &LAUNCH, &refresh] {
        let told = talk(&expect(&mut cloud.cli("laptop", verb), 8));
        assert!(told.contains("warm pool") && told.contains("delete-warm-pool"), "{verb:?}: {told}");
    }
    asked(&cloud, &format!("Action=DeleteWarmPool&AutoScalingGroupName={NAME}"));

    let world = cloud.world();
    let decoy = world["instances"].as_array().unwrap().iter().find(|host| host["owner"] == "decoy");
    let foreign = decoy.unwrap()["id"].as_str().unwrap().to_owned();
    let hosts = cloud.live("crew");
    // It has the place of a host, and none of ours is counted with it.
    asked(&cloud, &format!("Action=UpdateAutoScalingGroup&AutoScalingGroupName={NAME}&MaxSize=9"));
    by_hand("AttachInstances", &foreign, "");
    let now = [&recycle[..], &["--replan"]].concat();
    for verb in [&LAUNCH[..], &["scale", "1", "--no-drain"], &now] {
        let told = talk(&expect(&mut cloud.cli("laptop", verb), 8));
        assert!(told.contains(&format!("{foreign} (not this fleet's)")) && told.contains("detach-instances"), "{told}");
        assert_eq!(cloud.live("crew"), hosts, "{verb:?}");
    }
    by_hand("DetachInstances", &foreign, "&ShouldDecrementDesiredCapacity=true");
    by_hand("EnterStandby", &hosts[0], "&ShouldDecrementDesiredCapacity=true");
    by_hand("DetachInstances", &hosts[1], "&ShouldDecrementDesiredCapacity=true");
    let told = talk(&expect(&mut cloud.cli("laptop", &LAUNCH), 8));
    assert!(told.contains("outside its Auto Scaling group"), "{told}");
    by_hand("AttachInstances", &foreign, "");
    let refused = expect(&mut cloud.cli("laptop", &["down"]), 8);
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(told.contains(&format!("it would end {foreign} (not this fleet's)")), "{told}");
    assert!(told.contains("detach-instances"), "{told}");
    // The group's own mark is another matter.
    let mark = format!("Tags.member.1.ResourceId={NAME}&Tags.member.1.ResourceType=auto-scaling-group");
    let mark = format!("{mark}&Tags.member.1.Key=fleetwright%3Aprotect&Tags.member.1.Value=x");
    asked(&cloud, &format!("Action=CreateOrUpdateTags&{mark}&Tags.member.1.PropagateAtLaunch=false"));
    let refused = expect(&mut cloud.cli("laptop", &["down"]), 8);
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(told.contains(&format!("change the group {NAME}: it carries fleetwright:protect")), "{told}");
    assert!(!told.contains(&foreign) && told.contains("fleetwright status"), "{told}");
    asked(&cloud, &format!("Action=DeleteTags&{mark}"));
    assert_eq!(cloud.live("crew"), hosts);
    by_hand("DetachInstances", &foreign, "&ShouldDecrementDesiredCapacity=true");
    expect(&mut cloud.cli("laptop", &["down"]), 0);
    assert_gone(&cloud);
}

/// As with plain instances: what a person keeps stays, whatever keeps it, and everything else is gone.
#[test]
fn a_teardown_ends_all_but_what_a_person_keeps() {
    let cloud = cloud(&json!({}));
    expect(&mut cloud.cli("laptop", &LAUNCH), 0);
    let (hosts, ec2) = (cloud.live("crew"), |call: &str| cloud.ec2(&format!("Version=2016-11-15&{call}")));
    let (marked, guarded, outside) = (hosts[0].clone(), hosts[1].clone(), hosts[2].clone());
    let guard = |on: bool| {
        ec2(&format!("Action=ModifyInstanceAttribute&InstanceId={guarded}&DisableApiTermination.Value={on}"))
    };
    ec2(&format!(
        "Action=CreateTags&ResourceId.1={marked}&ResourceId.2={outside}&Tag.1.Key=fleetwright%3Aprotect&Tag.1.Value=mine"
    ));
    asked(
        &cloud,
        &format!(
            "Action=DetachInstances&AutoScalingGroupName={NAME}&InstanceIds.member.1={outside}\
             &ShouldDecrementDesiredCapacity=true"
        ),
    );
    cloud.control("POST", "clock", &json!({ "advance": "3m" }));
    guard(true);
    let refused = expect(&mut cloud.cli("laptop", &["down", "--only", &guarded, "--no-drain"]), 8);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("termination protection"), "{refused:?}");
    cloud.arm("SetInstanceProtection", "after-commit");
    let mut child = cloud.cli("laptop", &["down"]).spawn().unwrap();
    assert!(cloud.held(&mut child));
    child.kill().unwrap();
    child.wait().unwrap();
    cloud.release();
    let output = expect(&mut cloud.cli("laptop", &["down"]), 10);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.contains("3 protected hosts, left running") && told.contains("stays with 2 hosts"), "{told}");
    let left = vec![marked.clone(), guarded.clone(), outside.clone()];
    assert_eq!((cloud.live("crew"), sizes(&cloud)), (left, (0, 0, 0)));
    expect(&mut cloud.cli("laptop", &["protect", &outside, "--off"]), 0);
    expect(&mut cloud.cli("laptop", &["down", "--only", &outside, "--no-drain"]), 0);
    // Whatever happens to them now, nothing takes their place.
    guard(false);
    ec2(&format!("Action=TerminateInstances&InstanceId.1={guarded}"));
    cloud.control("POST", "clock", &json!({ "advance": "10m" }));
    assert_eq!(cloud.live("crew"), std::slice::from_ref(&marked));
    expect(&mut cloud.cli("laptop", &["protect", &marked, "--off"]), 0);
    expect(&mut cloud.cli("laptop", &["down"]), 0);
    assert_gone(&cloud);
}
