//! Groups, their schedules and what they do by themselves, against a whole world.

use super::testing::Cloud;
use serde_json::{Value, json};
use std::collections::BTreeMap;

const WEB: (&str, &str) = ("AutoScalingGroupName", "web");

fn cloud() -> Cloud {
    Cloud::new(7, json!({}))
}

fn zones(cloud: &Cloud) -> BTreeMap<String, usize> {
    let mut zones = BTreeMap::new();
    for member in cloud.serving() {
        *zones.entry(member["zone"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    zones
}

fn ids(members: &[Value]) -> Vec<String> {
    members.iter().map(|member| member["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_group_launches_balanced_and_replaces_what_dies() {
    let cloud = cloud();
    cloud.group("1", "9", "5", &[]);
    assert_eq!(cloud.serving().len(), 0, "nothing is in service at once");
    cloud.pass(30);
    assert_eq!(
        zones(&cloud),
        BTreeMap::from([("us-east-1a".into(), 2), ("us-east-1b".into(), 2), ("us-east-1c".into(), 1)])
    );
    let before = ids(&cloud.serving());
    cloud.kill(&before[2]);
    cloud.pass(60);
    let after = ids(&cloud.serving());
    assert_eq!(after.len(), 5);
    assert!(!after.contains(&before[2]));
    let body = cloud.ok("DescribeAutoScalingGroups", &[("AutoScalingGroupNames.member.1", "web")]);
    assert!(
        body.contains("<HealthStatus>Healthy</HealthStatus>") && body.contains("<DesiredCapacity>5</DesiredCapacity>")
    );
    let log = cloud.ok("DescribeScalingActivities", &[WEB]);
    assert!(log.contains("EC2 health check") && log.contains("<StatusCode>Successful</StatusCode>"), "{log}");
    let tagged = cloud
        .ec2("DescribeInstances", &[("Filter.1.Name", "tag:aws:autoscaling:groupName"), ("Filter.1.Value.1", "web")]);
    assert_eq!(tagged.matches("<instanceId>").count(), 6);
}

#[test]
fn sizes_that_make_no_sense_are_refused_and_bounds_move_the_desired_capacity() {
    let cloud = cloud();
    let base =
        [WEB, ("LaunchTemplate.LaunchTemplateName", "pack"), ("VPCZoneIdentifier", "subnet-a"), ("MinSize", "2")];
    for (max, desired) in [("1", "2"), ("3", "4"), ("3", "1")] {
        let mut pairs = base.to_vec();
        pairs.extend([("MaxSize", max), ("DesiredCapacity", desired)]);
        assert_eq!(cloud.fails("CreateAutoScalingGroup", &pairs).code, "ValidationError");
    }
    cloud.group("2", "4", "2", &[]);
    assert_eq!(
        cloud.fails("CreateAutoScalingGroup", &[base[0], base[1], base[2], ("MinSize", "0"), ("MaxSize", "0")]).code,
        "AlreadyExists"
    );
    cloud.ok("UpdateAutoScalingGroup", &[WEB, ("MinSize", "3")]);
    assert_eq!(cloud.web()["desired"], 3);
    cloud.ok("UpdateAutoScalingGroup", &[WEB, ("MinSize", "1"), ("MaxSize", "2")]);
    assert_eq!(cloud.web()["desired"], 2);
    assert!(cloud.fails("SetDesiredCapacity", &[WEB, ("DesiredCapacity", "3")]).message.contains("above max value 2"));
    assert!(cloud.fails("SetDesiredCapacity", &[WEB, ("DesiredCapacity", "0")]).message.contains("below min value 1"));
    assert_eq!(
        cloud.fails("SetDesiredCapacity", &[("AutoScalingGroupName", "no"), ("DesiredCapacity", "0")]).code,
        "ValidationError"
    );
}

#[test]
fn the_fullest_zone_loses_an_instance_whatever_the_policy() {
    let cloud = cloud();
    cloud.group("0", "9", "3", &[("TerminationPolicies.member.1", "OldestInstance")]);
    cloud.pass(60);
    let three = ids(&cloud.serving());
    cloud.ok("SetDesiredCapacity", &[WEB, ("DesiredCapacity", "4")]);
    cloud.pass(60);
    let fourth = ids(&cloud.serving()).into_iter().find(|id| !three.contains(id)).unwrap();
    cloud.ok("SetDesiredCapacity", &[WEB, ("DesiredCapacity", "3")]);
    cloud.pass(60);
    // Zone a had two: the first and the fourth; the older of these two goes, the two others are not asked.
    let left = ids(&cloud.serving());
    assert!(left.contains(&fourth) && left.contains(&three[1]) && left.contains(&three[2]), "{left:?}");
    // Now every zone has one: the policy reaches across all of them, and protection keeps one out.
    cloud.ok("SetInstanceProtection", &[WEB, ("InstanceIds.member.1", &three[1]), ("ProtectedFromScaleIn", "true")]);
    cloud.ok("SetDesiredCapacity", &[WEB, ("DesiredCapacity", "2")]);
    cloud.pass(60);
    assert_eq!(ids(&cloud.serving()), [three[1].clone(), fourth]);
}

#[test]
fn a_zone_that_fell_behind_is_evened_out_by_launching_first() {
    let cloud = cloud();
    cloud.group("0", "9", "4", &[("VPCZoneIdentifier", "subnet-a")]);
    cloud.pass(60);
    cloud.ok("UpdateAutoScalingGroup", &[WEB, ("VPCZoneIdentifier", "subnet-a,subnet-b")]);
    let mut most = 0;
    for _ in 0..30 {
        cloud.pass(10);
        let members = cloud.web()["instances"].as_array().unwrap().clone();
        most = most.max(members.iter().filter(|member| !member["state"].as_str().unwrap().starts_with("Term")).count());
        assert!(cloud.serving().len() >= 4, "never below the desired capacity");
    }
    assert_eq!(zones(&cloud), BTreeMap::from([("us-east-1a".into(), 2), ("us-east-1b".into(), 2)]));
    assert_eq!(most, 5);
    cloud.ok("SuspendProcesses", &[WEB, ("ScalingProcesses.member.1", "AZRebalance")]);
    cloud.ok("UpdateAutoScalingGroup", &[WEB, ("VPCZoneIdentifier", "subnet-a,subnet-b,subnet-c,subnet-d")]);
    cloud.pass(300);
    assert_eq!(zones(&cloud).len(), 2);
}

fn put(more: &[(&'static str, &'static str)]) -> Vec<(&'static str, &'static str)> {
    let base = [WEB, ("ScheduledActionName", "night"), ("Recurrence", "0 0 * * *"), ("DesiredCapacity", "3")];
    let kept = base.into_iter().filter(|(name, _)| !more.iter().any(|(other, _)| other == name));
    kept.chain(more.iter().copied()).filter(|(_, value)| !value.is_empty()).collect()
}

const PUT: &str = "PutScheduledUpdateGroupAction";

#[test]
fn actions_that_aws_refuses_are_refused() {
    let cloud = cloud();
    cloud.group("0", "4", "2", &[]);
    for (bad, what) in [
        (vec![("Recurrence", "0 0 * *")], "recurrence"),
        (vec![("Recurrence", "@daily")], "recurrence"),
        (vec![("Recurrence", "0 0 30 2 *")], "never comes"),
        (vec![("TimeZone", "Mars/Olympus")], "TimeZone"),
        (vec![("TimeZone", "america/new_york")], "TimeZone"),
        (vec![("StartTime", "2026-03-01T11:59:59Z")], "in the past"),
        (vec![("EndTime", "2026-03-01T11:59:59Z")], "in the past"),
        (vec![("StartTime", "2026-03-03T00:00:00Z"), ("EndTime", "2026-03-02T00:00:00Z")], "before the start"),
        (vec![("Recurrence", "")], "start time or a recurrence"),
        (vec![("DesiredCapacity", "")], "At least one"),
        (vec![("DesiredCapacity", "-1")], "greater than or equal to 0"),
        (vec![("MinSize", "4")], "between"),
        (vec![("MinSize", "4"), ("MaxSize", "3")], "Min size"),
        (vec![("AutoScalingGroupName", "none")], "not found"),
    ] {
        let error = cloud.fails(PUT, &put(&bad));
        assert_eq!(error.code, if what == "-" { "x" } else { "ValidationError" });
        assert!(error.message.contains(what), "{bad:?}: {}", error.message);
    }
    cloud.ok(PUT, &put(&[]));
    assert_eq!(cloud.fails(PUT, &put(&[("ScheduledActionName", "twin")])).code, "AlreadyExists", "a unique time value");
    cloud.ok(PUT, &put(&[("ScheduledActionName", "twin"), ("Recurrence", "1 0 * * *")]));
    assert_eq!(cloud.web()["actions"].as_array().unwrap().len(), 2);
    assert_eq!(cloud.fails("DeleteScheduledAction", &[WEB, ("ScheduledActionName", "x")]).code, "ValidationError");
}

#[test]
fn batches_fail_one_by_one_and_there_are_125_at_most() {
    let cloud = cloud();
    cloud.group("0", "4", "2", &[]);
    for batch in 0..3 {
        let mut pairs = vec![("AutoScalingGroupName".to_owned(), "web".to_owned())];
        for n in 0..50 {
            let at = format!("ScheduledUpdateGroupActions.member.{}", n + 1);
            pairs.push((format!("{at}.ScheduledActionName"), format!("a{}", batch * 50 + n)));
            pairs.push((format!("{at}.Recurrence"), format!("{n} {batch} * * *")));
            pairs.push((format!("{at}.DesiredCapacity"), "1".to_owned()));
        }
        let pairs: Vec<(&str, &str)> = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let body = cloud.ok("BatchPutScheduledUpdateGroupAction", &pairs);
        let refused = body.matches("<ErrorCode>LimitExceeded</ErrorCode>").count();
        assert_eq!(refused, if batch == 2 { 25 } else { 0 }, "{body}");
    }
    let page = cloud.ok("DescribeScheduledActions", &[WEB, ("MaxRecords", "100")]);
    assert_eq!(page.matches("<ScheduledActionName>").count(), 100);
    let token = page.split("<NextToken>").nth(1).and_then(|rest| rest.split('<').next()).unwrap();
    let rest = cloud.ok("DescribeScheduledActions", &[WEB, ("MaxRecords", "100"), ("NextToken", token)]);
    assert_eq!(rest.matches("<ScheduledActionName>").count(), 25);
    let body = cloud.ok(
        "BatchDeleteScheduledAction",
        &[WEB, ("ScheduledActionNames.member.1", "a0"), ("ScheduledActionNames.member.2", "none")],
    );
    assert_eq!(body.matches("<ScheduledActionName>none</ScheduledActionName>").count(), 1, "{body}");
    assert_eq!(cloud.web()["actions"].as_array().unwrap().len(), 124);
}

#[test]
fn an_action_runs_in_its_zone_up_to_two_minutes_late_and_again() {
    let cloud = cloud();
    cloud.group("0", "4", "2", &[]);
    cloud.pass(60);
    // Midnight in Brisbane is 14:00 UTC.
    cloud.ok(PUT, &put(&[("TimeZone", "Australia/Brisbane"), ("MaxSize", "5"), ("DesiredCapacity", "5")]));
    cloud.pass(7_130);
    assert_eq!(cloud.web()["desired"], 2);
    cloud.pass(130);
    let web = cloud.web();
    assert_eq!((&web["desired"], &web["max"], &web["min"]), (&json!(5), &json!(5), &json!(0)), "what is not set stays");
    assert_eq!(web["actions"][0]["next"], "2026-03-02T14:00:00Z");
    cloud.ok("SuspendProcesses", &[WEB, ("ScalingProcesses.member.1", "ScheduledActions")]);
    cloud.ok("SetDesiredCapacity", &[WEB, ("DesiredCapacity", "1")]);
    cloud.pass(86_400);
    assert_eq!(cloud.web()["desired"], 1);
    cloud.ok("ResumeProcesses", &[WEB]);
    cloud.pass(600);
    assert_eq!(cloud.web()["desired"], 1, "what was missed is not made up for");
    cloud.pass(86_400);
    assert_eq!(cloud.web()["desired"], 5);
}

#[test]
fn an_action_without_recurrence_runs_once_and_one_beyond_the_bounds_fails_by_name() {
    let cloud = cloud();
    cloud.group("1", "4", "2", &[]);
    cloud.ok(PUT, &put(&[("Recurrence", ""), ("StartTime", "2026-03-01T13:00:00Z"), ("DesiredCapacity", "9")]));
    cloud.pass(3_800);
    let web = cloud.web();
    assert_eq!((&web["desired"], web["actions"].as_array().unwrap().len()), (&json!(2), 0));
    let log = cloud.ok("DescribeScalingActivities", &[WEB]);
    assert!(log.contains("Desired capacity:9 must be between the specified min size:1 and max size:4"), "{log}");
    cloud.ok(PUT, &put(&[("EndTime", "2026-03-03T00:00:00Z")]));
    cloud.pass(2 * 86_400);
    assert_eq!(cloud.web()["actions"].as_array().unwrap().len(), 0, "gone once its end is reached");
}

#[test]
fn a_changed_recurrence_keeps_the_next_start_until_it_has_run() {
    let cloud = cloud();
    cloud.group("0", "4", "2", &[]);
    cloud.ok(PUT, &put(&[]));
    cloud.ok(PUT, &put(&[("Recurrence", "0 3 * * 6")]));
    assert_eq!(cloud.web()["actions"][0]["next"], "2026-03-02T00:00:00Z");
    cloud.pass(13 * 3600);
    assert_eq!(cloud.web()["actions"][0]["next"], "2026-03-07T03:00:00Z");
}

#[test]
fn a_hook_holds_what_leaves_until_it_is_let_go() {
    let cloud = cloud();
    cloud.group("0", "4", "2", &[]);
    cloud.pass(60);
    let hook = ("LifecycleHookName", "drain");
    cloud.ok(
        "PutLifecycleHook",
        &[WEB, hook, ("LifecycleTransition", "autoscaling:EC2_INSTANCE_TERMINATING"), ("HeartbeatTimeout", "600")],
    );
    cloud.ok("SetDesiredCapacity", &[WEB, ("DesiredCapacity", "1")]);
    cloud.pass(60);
    let members = cloud.web()["instances"].as_array().unwrap().clone();
    let held =
        members.iter().find(|member| member["state"] == "Terminating:Wait").unwrap()["id"].as_str().unwrap().to_owned();
    for id in members.iter().map(|member| member["id"].as_str().unwrap()) {
        let target = if id == held { "Terminated" } else { "InService" };
        assert_eq!(cloud.target_state(id).as_deref(), Some(target), "{id}");
    }
    let done = [WEB, hook, ("InstanceId", held.as_str()), ("LifecycleActionResult", "CONTINUE")];
    cloud.ok("CompleteLifecycleAction", &done);
    cloud.pass(60);
    assert_eq!(cloud.web()["instances"].as_array().unwrap().len(), 1);
    assert_eq!(cloud.fails("CompleteLifecycleAction", &done).code, "ValidationError");
    assert!(cloud.ok("DescribeLifecycleHooks", &[WEB]).contains("<HeartbeatTimeout>600<"));
    // What waits is let go when its hook is deleted.
    cloud.ok("SetDesiredCapacity", &[WEB, ("DesiredCapacity", "0")]);
    cloud.pass(120);
    assert_eq!(cloud.web()["instances"][0]["state"], "Terminating:Wait");
    cloud.ok("DeleteLifecycleHook", &[WEB, hook]);
    cloud.pass(60);
    assert_eq!(cloud.web()["instances"].as_array().unwrap().len(), 0);
    assert_eq!(cloud.fails("DeleteLifecycleHook", &[WEB, hook]).code, "ValidationError");
}

#[test]
fn a_group_can_be_born_with_a_hook_that_lets_go_by_itself() {
    let cloud = cloud();
    let at = "LifecycleHookSpecificationList.member.1";
    let parameter = |name: &str| format!("{at}.{name}");
    let (name, way) = (parameter("LifecycleHookName"), parameter("LifecycleTransition"));
    let (beat, result) = (parameter("HeartbeatTimeout"), parameter("DefaultResult"));
    let hook = [
        (name.as_str(), "drain"),
        (way.as_str(), "autoscaling:EC2_INSTANCE_TERMINATING"),
        (beat.as_str(), "90"),
        (result.as_str(), "CONTINUE"),
    ];
    cloud.group("0", "4", "1", &hook);
    cloud.pass(60);
    let told = cloud.ok("DescribeLifecycleHooks", &[WEB]);
    assert!(told.contains("<HeartbeatTimeout>90<") && told.contains("<DefaultResult>CONTINUE<"), "{told}");
    cloud.ok("SetDesiredCapacity", &[WEB, ("DesiredCapacity", "0")]);
    cloud.pass(80);
    assert_eq!(cloud.web()["instances"][0]["state"], "Terminating:Wait");
    cloud.pass(60);
    assert_eq!(cloud.web()["instances"].as_array().unwrap().len(), 0);
}

#[test]
fn mixed_instances_keep_their_shares() {
    let cloud = cloud();
    let policy = "MixedInstancesPolicy.LaunchTemplate.LaunchTemplateSpecification.LaunchTemplateName";
    cloud.group(
        "0",
        "9",
        "4",
        &[
            (policy, "pack"),
            ("MixedInstancesPolicy.LaunchTemplate.Overrides.member.1.InstanceType", "m7i.large"),
            ("MixedInstancesPolicy.LaunchTemplate.Overrides.member.2.InstanceType", "m7a.large"),
            ("MixedInstancesPolicy.InstancesDistribution.OnDemandBaseCapacity", "1"),
            ("MixedInstancesPolicy.InstancesDistribution.OnDemandPercentageAboveBaseCapacity", "0"),
        ],
    );
    cloud.pass(60);
    let spot = |cloud: &Cloud| cloud.serving().iter().filter(|member| member["spot"] == true).count();
    assert_eq!(spot(&cloud), 3);
    assert!(
        cloud.serving().iter().all(|member| (member["spot"] == true) == (member["type"] == "m7a.large")),
        "the cheapest"
    );
    cloud.ok("SetDesiredCapacity", &[WEB, ("DesiredCapacity", "2")]);
    cloud.pass(60);
    assert_eq!(spot(&cloud), 1);
    let body = cloud.ok("DescribeAutoScalingGroups", &[]);
    assert!(body.contains("<Overrides><member><InstanceType>m7i.large</InstanceType></member>"), "{body}");
}

#[test]
fn suspended_processes_leave_a_group_as_it_is() {
    let cloud = cloud();
    cloud.group("0", "9", "2", &[]);
    cloud.pass(60);
    let two = ids(&cloud.serving());
    cloud.ok(
        "SuspendProcesses",
        &[WEB, ("ScalingProcesses.member.1", "Launch"), ("ScalingProcesses.member.2", "Terminate")],
    );
    cloud.ok("SetDesiredCapacity", &[WEB, ("DesiredCapacity", "4")]);
    cloud.pass(60);
    assert_eq!(ids(&cloud.serving()), two);
    cloud.ok("SetDesiredCapacity", &[WEB, ("DesiredCapacity", "1")]);
    cloud.pass(60);
    assert_eq!(ids(&cloud.serving()), two);
    assert_eq!(
        cloud.fails("SuspendProcesses", &[WEB, ("ScalingProcesses.member.1", "Breathe")]).code,
        "ValidationError"
    );
    cloud.ok("ResumeProcesses", &[WEB]);
    cloud.pass(60);
    assert_eq!(cloud.serving().len(), 1);
}

#[test]
fn a_launch_that_fails_is_told_and_tried_again() {
    let cloud =
        Cloud::new(7, json!({"pools": [{"instance_type": "*", "zone": "*", "market": "on-demand", "size": 1}]}));
    cloud.group("0", "9", "4", &[]);
    cloud.pass(40);
    assert_eq!(cloud.serving().len(), 3, "one in each of the three zones");
    let log = cloud.ok("DescribeScalingActivities", &[WEB]);
    assert!(log.contains("<StatusCode>Failed</StatusCode>") && log.contains("sufficient m7i.large capacity"), "{log}");
    let tries = |log: &str| log.matches("<StatusCode>Failed<").count();
    cloud.pass(600);
    assert!((8..=12).contains(&tries(&cloud.ok("DescribeScalingActivities", &[WEB]))));
}

#[test]
fn an_instance_is_ended_with_or_without_a_successor() {
    let cloud = cloud();
    cloud.group("1", "9", "2", &[]);
    cloud.pass(60);
    let two = ids(&cloud.serving());
    let end = |id: &str, less: &str| {
        cloud
            .ok("TerminateInstanceInAutoScalingGroup", &[("InstanceId", id), ("ShouldDecrementDesiredCapacity", less)]);
        cloud.pass(60);
    };
    end(&two[0], "false");
    assert_eq!((cloud.serving().len(), &cloud.web()["desired"]), (2, &json!(2)));
    end(&two[1], "true");
    assert_eq!((cloud.serving().len(), &cloud.web()["desired"]), (1, &json!(1)));
    let last = ids(&cloud.serving());
    let error = cloud.fails(
        "TerminateInstanceInAutoScalingGroup",
        &[("InstanceId", &last[0]), ("ShouldDecrementDesiredCapacity", "true")],
    );
    assert!(error.message.contains("desiredSize equals minSize (1)"), "{}", error.message);
    let error = cloud.fails("DeleteAutoScalingGroup", &[WEB]);
    assert_eq!(error.code, "ResourceInUse");
    cloud.ok("DeleteAutoScalingGroup", &[WEB, ("ForceDelete", "true")]);
    cloud.pass(60);
    assert_eq!(cloud.web(), Value::Null);
}

#[test]
fn tags_and_policies_are_kept_and_found() {
    let cloud = cloud();
    cloud.group(
        "0",
        "9",
        "1",
        &[("Tags.member.1.Key", "team"), ("Tags.member.1.Value", "data"), ("Tags.member.1.PropagateAtLaunch", "true")],
    );
    cloud.pass(60);
    let id = ids(&cloud.serving()).remove(0);
    assert!(cloud.ec2("DescribeInstances", &[("InstanceId.1", &id)]).contains("<key>team</key><value>data</value>"));
    cloud.ok(
        "CreateOrUpdateTags",
        &[("Tags.member.1.ResourceId", "web"), ("Tags.member.1.Key", "x"), ("Tags.member.1.Value", "1")],
    );
    let found = |key: &str| {
        cloud
            .ok("DescribeTags", &[("Filters.member.1.Name", "key"), ("Filters.member.1.Values.member.1", key)])
            .matches("<Value>")
            .count()
    };
    assert_eq!((found("team"), found("x"), found("y")), (1, 1, 0));
    cloud.ok("DeleteTags", &[("Tags.member.1.ResourceId", "web"), ("Tags.member.1.Key", "x")]);
    assert_eq!(found("x"), 0);
    cloud.ok("PutScalingPolicy", &[WEB, ("PolicyName", "cpu"), ("PolicyType", "TargetTrackingScaling")]);
    assert!(cloud.ok("DescribePolicies", &[WEB]).contains("<PolicyType>TargetTrackingScaling<"));
    cloud.ok("DeletePolicy", &[WEB, ("PolicyName", "cpu")]);
    assert_eq!(cloud.fails("DeletePolicy", &[WEB, ("PolicyName", "cpu")]).code, "ValidationError");
}
