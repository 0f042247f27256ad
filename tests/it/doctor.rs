//! `doctor` against the rehearsal cloud: a healthy account, and each thing that can ail it.

use crate::env::{Cloud, IMAGE, expect};
use serde_json::{Value, json};

const FIVE: &str = "tests/specs/it/five.yaml";
const JOB: &str = "tests/specs/it/job.yaml";
const KEY: &str = "1234abcd-12ab-34cd-56ef-1234567890ab";

/// What `doctor` answers, and that nothing was changed by asking.
fn examined(cloud: &Cloud, more: &[&str], code: i32) -> Value {
    let output = expect(&mut cloud.cli("laptop", &[&["doctor"], more].concat()), code);
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["exit_code"], code);
    assert_eq!(cloud.ever_made(), 0);
    for call in cloud.audit() {
        let dry = call["parameters"]["DryRun"] == "true";
        let reads =
            ["Get", "Describe", "List", "Decode"].iter().any(|verb| call["action"].as_str().unwrap().starts_with(verb));
        assert!(dry || reads, "{call}");
        assert!(!dry || call["commit"].is_null(), "{call}");
    }
    answer
}

fn states<'a>(answer: &'a Value, check: &str) -> Vec<&'a str> {
    let all = answer["findings"].as_array().unwrap().iter();
    all.filter(|finding| finding["check"] == check).map(|finding| finding["state"].as_str().unwrap()).collect()
}

#[track_caller]
fn says(answer: &Value, check: &str, state: &str, found: &str, fix: &str) {
    let all: Vec<&Value> =
        answer["findings"].as_array().unwrap().iter().filter(|finding| finding["check"] == check).collect();
    let text = |finding: &Value, field: &str| finding[field].as_str().unwrap_or_default().to_owned();
    let hit = all.iter().any(|finding| {
        finding["state"] == state && text(finding, "found").contains(found) && text(finding, "fix").contains(fix)
    });
    assert!(hit, "{check} {state} {found:?} {fix:?}: {all:#?}");
}

#[test]
fn a_healthy_account_needs_nothing() {
    let cloud = Cloud::start(FIVE, 60, &json!({}));
    let answer = examined(&cloud, &[], 0);
    let wrong = |f: &&Value| matches!(f["state"].as_str(), Some("problem" | "warning"));
    let wrong: Vec<&Value> = answer["findings"].as_array().unwrap().iter().filter(wrong).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    for check in ["credentials", "session", "subnets", "zones", "addresses", "spot", "on-demand", "volume-key"] {
        assert_eq!(states(&answer, check), ["ok"], "{check}");
    }
    assert_eq!(states(&answer, "AWSServiceRoleForEC2Spot"), ["ok"]);
    // Nothing to ask with: this spec has no template, and there is no image yet.
    assert_eq!(states(&answer, "ec2:RunInstances"), ["not-checked"]);
    let page = expect(&mut cloud.cli_as("laptop", "table", &["doctor"]), 0);
    let page = String::from_utf8(page.stdout).unwrap();
    assert!(page.contains("\nquotas\n  ok") && page.ends_with(" ok\n"), "{page}");
}

#[test]
fn requirements_are_looked_up_as_a_launch_does() {
    let cloud = Cloud::start("tests/specs/it/required.yaml", 60, &json!({}));
    let answer = examined(&cloud, &[], 0);
    assert_eq!(states(&answer, "types"), Vec::<&str>::new(), "{answer:#}");
    assert_eq!(states(&answer, "spot"), ["ok"], "the quota of what was found: {answer:#}");
    let answer = examined(&cloud, &["--set", "fleet.requirements.memory=900GiB"], 2);
    says(&answer, "types", "problem", "at least 900 GiB", "nearest is r7i.xlarge: 32 GiB");
}

#[test]
fn a_group_needs_its_service_linked_role() {
    let cloud = Cloud::start(FIVE, 60, &json!({"account": {"missing_roles": ["AWSServiceRoleForAutoScaling"]}}));
    examined(&cloud, &[], 0);
    let group = "recycle={group: api-prod, windows: [{at: '0 0 * * *', for: 1h}]}";
    let answer = examined(&cloud, &["--set", group], 5);
    let fix = "create-service-linked-role --aws-service-name autoscaling.amazonaws.com";
    says(&answer, "AWSServiceRoleForAutoScaling", "problem", "is not there", fix);
}

#[test]
fn what_ails_the_account_is_named() {
    for (faults, code, check, state, found, fix) in [
        (
            json!({"account": {"missing_roles": ["AWSServiceRoleForEC2Spot"]}}),
            5,
            "AWSServiceRoleForEC2Spot",
            "problem",
            "is not there",
            "aws iam create-service-linked-role",
        ),
        (
            json!({"account": {"keys": [{"id": KEY}], "ebs_default_key": KEY}}),
            0,
            "volume-key",
            "warning",
            "no grant for AWSServiceRoleForEC2Spot",
            "aws kms create-grant",
        ),
        (
            json!({"account": {"keys": [{"id": KEY, "grants": ["AWSServiceRoleForEC2Spot"]}], "ebs_default_key": KEY}}),
            0,
            "volume-key",
            "ok",
            KEY,
            "",
        ),
        (
            json!({"account": {"keys": [{"id": KEY, "state": "PendingDeletion"}], "ebs_default_key": KEY}}),
            5,
            "volume-key",
            "problem",
            "is PendingDeletion",
            "aws kms cancel-key-deletion",
        ),
        (json!({"account": {"ebs_default_key": KEY}}), 0, "volume-key", "not-checked", "NotFoundException", ""),
        (
            json!({"quotas": {"spot_vcpus": 2}}),
            4,
            "spot",
            "problem",
            "room for 1 of the 3",
            "--quota-code L-34B43A08 --desired-value 6",
        ),
        (
            json!({"quotas": {"on_demand_vcpus": 0}}),
            4,
            "on-demand",
            "problem",
            "room for 0 of the 2",
            "request-service-quota-increase",
        ),
        (json!({"deny": ["GetServiceQuota"]}), 0, "spot", "not-checked", "AccessDeniedException", ""),
        (json!({"deny": ["iam:*"]}), 0, "AWSServiceRoleForEC2Spot", "not-checked", "iam:GetRole", ""),
        (json!({"deny": ["kms:*"]}), 0, "volume-key", "not-checked", "kms:DescribeKey", ""),
        (json!({"deny": ["DescribeSubnets"]}), 5, "subnets", "problem", "ec2:DescribeSubnets", ""),
        (
            json!({"deny": ["CreateLaunchTemplate"]}),
            5,
            "ec2:CreateLaunchTemplate",
            "problem",
            "no statement allows it",
            "add ec2:CreateLaunchTemplate",
        ),
        (
            json!({"deny": ["CreateLaunchTemplate", "DecodeAuthorizationMessage"]}),
            5,
            "ec2:CreateLaunchTemplate",
            "problem",
            "sts:DecodeAuthorizationMessage is not allowed",
            "",
        ),
        (
            json!({"rules": [{"action": "GetServiceQuota", "do": "reset", "times": null}]}),
            6,
            "spot",
            "not-checked",
            "reset",
            "",
        ),
        (
            json!({"account": {"ipv6_only_subnets": ["subnet-0aaa0000000000000", "subnet-0bbb0000000000000"]}}),
            0,
            "ipv6",
            "warning",
            "no IPv4 address",
            "IPv6 route",
        ),
    ] {
        let cloud = Cloud::start(FIVE, 60, &faults);
        says(&examined(&cloud, &[], code), check, state, found, fix);
    }
}

#[test]
fn what_the_spec_says_wrong_is_named() {
    let cloud = Cloud::start(FIVE, 60, &json!({}));
    for (set, code, check, found) in [
        ("fleet.types=[m9z.large]", 2, "types", "does not offer m9z.large"),
        ("fleet.subnets=[subnet-0ccc0000000000000]", 2, "subnets", "not in us-east-1"),
        ("account='210987654321'", 8, "credentials", "account 123456789012"),
        // What an endpoint of another region says; the partition itself is judged in a unit test.
        ("region=cn-north-1", 5, "credentials", "not 'cn-north-1'"),
        ("fleet.size=9000", 4, "addresses", "9000 hosts are to come"),
    ] {
        says(&examined(&cloud, &["--set", set], code), check, "problem", found, "");
    }
}

#[test]
fn a_template_is_asked_about_with_its_role() {
    let spec = "fleet.yaml";
    let cloud = Cloud::start(spec, 60, &json!({"deny": ["iam:PassRole"]}));
    let answer = examined(&cloud, &["--set", "ssh.timeout=1s"], 5);
    says(&answer, "iam:PassRole", "problem", "role/digest-worker", "add iam:PassRole");
    assert_eq!(states(&answer, "ec2:CreateImage"), ["ok"]);
    assert_eq!(states(&answer, "instance-profile"), ["ok"]);
    // This world has no bodies: nobody answers at port 22.
    assert_eq!(states(&answer, "ssh"), ["problem"]);
    cloud.control(
        "POST",
        "faults",
        &json!({"account": {"images_may_be_public": true, "empty_profiles": ["digest-worker"]}}),
    );
    let answer = examined(&cloud, &["--set", "ssh.timeout=1s"], 2);
    says(&answer, "iam:PassRole", "ok", "digest-worker", "");
    says(&answer, "public-images", "warning", "made public", "enable-image-block-public-access");
    says(&answer, "instance-profile", "problem", "has no role", "add-role-to-instance-profile");
}

#[test]
fn hosts_that_are_there_are_asked_about() {
    let cloud = Cloud::start(FIVE, 60, &json!({"deny": ["TerminateInstances"]}));
    expect(&mut cloud.launch("laptop"), 0);
    let output = expect(&mut cloud.cli("laptop", &["doctor"]), 5);
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    says(
        &answer,
        "ec2:TerminateInstances",
        "problem",
        "ec2:TerminateInstances is missing",
        "add ec2:TerminateInstances",
    );
    for check in ["ec2:CreateTags", "ec2:CreateFleet", "ec2:DeleteLaunchTemplate", "ec2:CreateLaunchTemplateVersion"] {
        assert_eq!(states(&answer, check), ["ok"], "{check}");
    }
    says(&answer, "addresses", "ok", "no more hosts", "");
    assert_eq!(cloud.live("five").len(), 5);
}

/// Only what the spec needs is asked about.
#[test]
fn a_queue_needs_only_its_queue() {
    let cloud = Cloud::start(JOB, 60, &json!({}));
    let dir = tempfile::tempdir().unwrap();
    let spec = dir.path().join("wait.yaml");
    let text = "version: 1\nname: job\naccount: \"123456789012\"\nregion: us-east-1\nqueue: {engine: sqs, url: \
                \"https://sqs.us-east-1.amazonaws.com/123456789012/job\", dead_letter: job-dead}\n";
    std::fs::write(&spec, text).unwrap();
    let before = cloud.audit().len();
    let mut command = crate::env::binary();
    command.envs(cloud.env()).arg("-f").arg(&spec).args(["-o", "json", "doctor"]);
    let answer: Value = serde_json::from_slice(&expect(&mut command, 0).stdout).unwrap();
    assert_eq!(states(&answer, "queue"), ["ok"]);
    assert_eq!(states(&answer, "dead-letters"), ["ok"]);
    let mut asked: Vec<String> =
        cloud.audit()[before..].iter().map(|call| call["action"].as_str().unwrap().to_owned()).collect();
    asked.sort();
    assert_eq!(asked, ["GetCallerIdentity", "GetQueueAttributes", "GetQueueUrl"]);
}

/// Credentials that hold for so many hours, from a command as single sign-on tools have one.
fn session(cloud: &Cloud, hours: i64, arguments: &[&str]) -> std::process::Command {
    let dir = cloud.state("aws");
    std::fs::create_dir_all(&dir).unwrap();
    let end = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(hours);
    let keys = json!({"Version": 1, "AccessKeyId": "REHEARSAL", "SecretAccessKey": "x", "SessionToken": "y", "Expiration": end});
    std::fs::write(dir.join("keys.json"), keys.to_string()).unwrap();
    let config = format!("[profile night]\ncredential_process = cat {}\n", dir.join("keys.json").display());
    std::fs::write(dir.join("config"), config).unwrap();
    let mut command = cloud.cli("laptop", &[&["--profile", "night"], arguments].concat());
    command.env("AWS_CONFIG_FILE", dir.join("config"));
    command
}

#[test]
fn a_session_that_ends_before_the_job_is_warned_of_by_doctor_and_plan() {
    let cloud = Cloud::start(FIVE, 1, &json!({}));
    let plan = ["plan", "launch", "--unattested", "--image", IMAGE, "--set", "done.deadline=10h"];
    let notes = |hours, arguments: &[&str]| {
        let output = expect(&mut session(&cloud, hours, arguments), 0);
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
        answer["plans"][0]["notes"].to_string()
    };
    let short = notes(3, &plan);
    assert!(short.contains("the session of these credentials is too short: it ends at "), "{short}");
    assert!(short.contains("the job may take 10 h 00 min (the deadline") && short.contains("log in again"), "{short}");
    assert!(!notes(11, &plan).contains("session"));
    // A teardown begins no job.
    assert!(!notes(3, &["plan", "down"]).contains("session"));
    let answer = examined_as(session(&cloud, 3, &["doctor", "--set", "done.deadline=10h"]));
    says(&answer, "session", "warning", "the job may take 10 h 00 min (the deadline", "log in again");
    says(&examined_as(session(&cloud, 13, &["doctor"])), "session", "ok", "it ends at", "");
}

fn examined_as(mut doctor: std::process::Command) -> Value {
    serde_json::from_slice(&expect(&mut doctor, 0).stdout).unwrap()
}
