//! Each finding from the facts that lead to it, one row a case.

use super::testing::{fault, fleet, fleet_in, healthy, key, now};
use super::*;
use crate::model::FaultKind;
use crate::model::checkup::{KeyFacts, NotChosen, Permission, ProfileFacts, Refused, Trial, Way};
use crate::spec::build::{BaseImage, Build};
use crate::spec::fleet::Template;

fn launch_refused(action: &str, explicit: Option<bool>) -> impl Fn(&mut Checkup) {
    let refused = Refused {
        action: action.to_owned(),
        resource: Some("arn:aws:x".to_owned()),
        explicit,
        undecoded: None,
        fault: fault(FaultKind::Denied, "UnauthorizedOperation"),
    };
    move |c: &mut Checkup| {
        for (trial, permission) in &mut c.trials {
            if let Trial::Launch(launch) = trial {
                launch.own_image = true;
                *permission = Permission::Refused(refused.clone());
            }
        }
    }
}

#[test]
fn a_healthy_account_is_left_in_peace() {
    let findings = judge(&fleet(), &healthy());
    assert_eq!(exit(&findings), Exit::Done);
    let said: Vec<String> =
        findings.iter().map(|f| format!("{:?} {} {:?}: {}", f.group, f.check, f.state, f.found)).collect();
    insta::assert_snapshot!(said.join("\n"));
    assert!(findings.iter().all(|f| f.fix.is_none()), "{findings:#?}");
}

type Change = Box<dyn Fn(&mut Checkup)>;

fn with(change: impl Fn(&mut Checkup) + 'static) -> Change {
    Box::new(change)
}

/// What is changed, which check tells, as what, in which words, with which fix, and how the process ends.
#[test]
fn every_ailment_is_named_with_its_fix() {
    use State::{NotChecked, Ok as Good, Problem, Warning};
    let denied = || fault(FaultKind::Denied, "AccessDenied");
    let reset = || fault(FaultKind::Transport, "reset");
    let six = |c: &mut Checkup| {
        for subnet in c.subnets.iter_mut().flat_map(|s| s.as_mut().unwrap()) {
            subnet.ipv6_only = true;
            subnet.free_addresses = Some(0);
        }
    };
    let end =
        |minutes: i64| with(move |c| c.session_end = Some(Ok(Some(now() + jiff::SignedDuration::from_mins(minutes)))));
    let way = |name: &'static str, value: &'static str| with(move |c| drop(c.way.insert(name, value.to_owned())));
    let cases: Vec<(Change, &str, State, &str, &str, Exit)> = vec![
        (
            with(|c| c.caller.as_mut().unwrap().account = "210987654321".into()),
            "credentials",
            Problem,
            "account 210987654321",
            "--profile",
            Exit::Refused,
        ),
        (
            with(|c| c.caller.as_mut().unwrap().arn = "arn:aws-cn:iam::123456789012:user/x".to_owned()),
            "credentials",
            Problem,
            "partition aws-cn",
            "--profile",
            Exit::Denied,
        ),
        (with(move |c| c.caller = Err(denied())), "credentials", Problem, "AccessDenied", "help", Exit::Denied),
        (with(move |c| c.caller = Err(reset())), "credentials", NotChecked, "reset", "help", Exit::Unavailable),
        (
            end(90),
            "session",
            Warning,
            "in 1 h 30 min; the job may take 12 h 00 min (fleet.expires)",
            "log in",
            Exit::Done,
        ),
        (end(-1), "session", Problem, "ended at 2026-03-01T11:59:00Z", "sso login", Exit::Denied),
        (end(60 * 24), "session", Good, "in 24 h 00 min", "", Exit::Done),
        (
            with(launch_refused("ec2:RunInstances", Some(false))),
            "ec2:RunInstances",
            Problem,
            "is missing on arn:aws:x: no statement allows it",
            "add ec2:RunInstances",
            Exit::Denied,
        ),
        (
            with(launch_refused("iam:PassRole", Some(true))),
            "iam:PassRole",
            Problem,
            "a statement denies it",
            "find the statement",
            Exit::Denied,
        ),
        (
            with(|c| {
                launch_refused("ec2:RunInstances", None)(c);
                for (trial, _) in &mut c.trials {
                    if let Trial::Launch(launch) = trial {
                        launch.own_image = false;
                    }
                }
            }),
            "ec2:RunInstances",
            NotChecked,
            "ask again after bake",
            "",
            Exit::Done,
        ),
        (
            with(|c| {
                for (_, permission) in &mut c.trials {
                    *permission = Permission::Unclear(fault(FaultKind::Invalid, "InvalidParameterValue"));
                }
            }),
            "iam:PassRole",
            NotChecked,
            "no answer",
            "",
            Exit::Done,
        ),
        (with(|c| c.trials.clear()), "ec2:CreateImage", NotChecked, "not found", "", Exit::Done),
        (
            with(move |c| c.hosts = Some(Err(denied()))),
            "ec2:DescribeInstances",
            Problem,
            "AccessDenied",
            "help",
            Exit::Denied,
        ),
        (
            with(|c| c.template = Some(Ok(None))),
            "template",
            Problem,
            "is not in us-east-1",
            "template.instance",
            Exit::Usage,
        ),
        (
            with(|c| {
                c.template.as_mut().unwrap().as_mut().unwrap().as_mut().unwrap().state =
                    crate::model::InstanceState::Stopped;
            }),
            "template",
            Problem,
            "is stopped",
            "aws ec2 start-instances --region us-east-1",
            Exit::Usage,
        ),
        (
            with(|c| c.ssh = Some(Err(("no answer".to_owned(), "security group".to_owned())))),
            "ssh",
            Problem,
            "no answer",
            "security group",
            Exit::Partial,
        ),
        (with(|c| c.ssh = None), "ssh", NotChecked, "can't be entered", "", Exit::Done),
        (
            with(|c| c.image_sharing = Some(Ok("unblocked".to_owned()))),
            "public-images",
            Warning,
            "made public",
            "enable-image-block-public-access",
            Exit::Done,
        ),
        (
            with(|c| drop(c.types.as_mut().unwrap().as_mut().unwrap().remove("m7a.large"))),
            "types",
            Problem,
            "does not offer m7a.large",
            "describe-instance-type-offerings",
            Exit::Usage,
        ),
        (
            with(|c| {
                c.template.as_mut().unwrap().as_mut().unwrap().as_mut().unwrap().architecture =
                    Some("arm64".to_owned());
            }),
            "architecture",
            Problem,
            "is arm64, which m7i.large (x86_64), m7a.large (x86_64) can't run",
            "arm64",
            Exit::Usage,
        ),
        (
            with(|c| drop(c.subnets.as_mut().unwrap().as_mut().unwrap().remove(1))),
            "subnets",
            Problem,
            "subnet-0bbbbbbbbbbbbbbbb not in us-east-1",
            "describe-subnets",
            Exit::Usage,
        ),
        (
            with(|c| c.subnets.as_mut().unwrap().as_mut().unwrap()[1].zone = "us-east-1a".into()),
            "zones",
            Problem,
            "are all in us-east-1a",
            "leave one of them",
            Exit::Usage,
        ),
        (
            with(|c| c.subnets.as_mut().unwrap().as_mut().unwrap().iter_mut().for_each(|s| s.free_addresses = Some(3))),
            "addresses",
            Problem,
            "6 are free in all, 8 hosts are to come",
            "larger subnets",
            Exit::Capacity,
        ),
        (
            with(|c| c.subnets.as_mut().unwrap().as_mut().unwrap()[0].free_addresses = Some(0)),
            "addresses",
            Warning,
            "subnet-0aaaaaaaaaaaaaaaa has none left",
            "larger subnet",
            Exit::Done,
        ),
        (with(six), "ipv6", Warning, "no IPv4 address; SSH uses their IPv6 one", "IPv6 route", Exit::Done),
        (with(six), "addresses", Good, "IPv6 has room", "", Exit::Done),
        (
            with(|c| c.quotas[0].limit = Ok(6)),
            "spot",
            Warning,
            "room for 2 of the 4 hosts to come; `accept.min`",
            "--quota-code L-34B43A08 --desired-value 10",
            Exit::Done,
        ),
        (
            with(|c| c.quotas[1].limit = Ok(12)),
            "on-demand",
            Problem,
            "room for 1 of the 4 hosts to come",
            "--quota-code L-1216C47A --desired-value 18",
            Exit::Capacity,
        ),
        (with(move |c| c.quotas[0].limit = Err(denied())), "spot", NotChecked, "AccessDenied", "help", Exit::Done),
        (with(move |c| c.vcpus_in_use = Some(Err(reset()))), "spot", NotChecked, "reset", "help", Exit::Unavailable),
        (with(|c| c.quotas.clear()), "spot", NotChecked, "no quota is known", "", Exit::Done),
        (
            with(|c| c.roles[0].1 = Ok(false)),
            "AWSServiceRoleForEC2Spot",
            Problem,
            "is not there",
            "create-service-linked-role --aws-service-name spot.amazonaws.com",
            Exit::Denied,
        ),
        (
            with(|c| c.profile = Some(("worker".to_owned(), Ok(None)))),
            "instance-profile",
            Problem,
            "worker is not in the account",
            "list-instance-profiles",
            Exit::Usage,
        ),
        (
            with(|c| {
                c.profile =
                    Some(("worker".to_owned(), Ok(Some(ProfileFacts { name: "worker".to_owned(), role: None }))));
            }),
            "instance-profile",
            Problem,
            "has no role",
            "add-role-to-instance-profile",
            Exit::Usage,
        ),
        (
            with(|c| c.keys[0].1 = Ok(key(false, "Disabled", &[]))),
            "volume-key",
            Problem,
            "is Disabled",
            "enable-key",
            Exit::Denied,
        ),
        (
            with(|c| {
                let arn = "arn:aws:kms:us-west-2:123456789012:key/k".to_owned();
                c.keys[0].1 = Ok(KeyFacts { arn, ..key(false, "Enabled", &[]) });
            }),
            "volume-key",
            Good,
            "this fleet launches nothing there",
            "",
            Exit::Done,
        ),
        (
            with(|c| {
                let arn = "arn:aws:kms:us-west-2:123456789012:key/k".to_owned();
                c.keys[0].1 = Ok(KeyFacts { arn, ..key(false, "Disabled", &[]) });
            }),
            "volume-key",
            Problem,
            "is Disabled",
            "enable-key --region us-west-2",
            Exit::Denied,
        ),
        (
            with(|c| c.keys[0].1 = Ok(key(false, "Enabled", &["arn:aws:iam::123456789012:role/other"]))),
            "volume-key",
            Warning,
            "no grant for AWSServiceRoleForEC2Spot",
            "--grantee-principal arn:aws:iam::123456789012:role/aws-service-role/spot.amazonaws.com/AWSServiceRoleForEC2Spot",
            Exit::Done,
        ),
        (
            with(|c| {
                let role =
                    "arn:aws:iam::123456789012:role/aws-service-role/spot.amazonaws.com/AWSServiceRoleForEC2Spot";
                c.keys[0].1 = Ok(key(false, "Enabled", &[role]));
            }),
            "volume-key",
            Good,
            "with a grant",
            "",
            Exit::Done,
        ),
        (with(move |c| c.keys_unread = Some(denied())), "volume-key", NotChecked, "AccessDenied", "help", Exit::Done),
        (
            with(|c| c.queue.as_mut().unwrap().counters = Err(fault(FaultKind::Gone, "QueueDoesNotExist"))),
            "queue",
            Problem,
            "is not there",
            "list-queues",
            Exit::Usage,
        ),
        (
            with(|c| c.queue.as_mut().unwrap().dead_letter = Some(("crawl-dead".to_owned(), Ok(false)))),
            "dead-letters",
            Problem,
            "there is no queue crawl-dead",
            "create-queue",
            Exit::Usage,
        ),
        (
            way("HTTPS_PROXY", "http://me:secret@proxy:3128"),
            "proxy",
            Good,
            "through http://***@proxy:3128 (HTTPS_PROXY)",
            "",
            Exit::Done,
        ),
        (way("HTTPS_PROXY", "http://"), "proxy", Problem, "names no host", "export HTTPS_PROXY", Exit::Usage),
        (
            way("NO_PROXY", "*.amazonaws.com"),
            "no-proxy",
            Warning,
            "`*.amazonaws.com`, which matches nothing",
            "write amazonaws.com",
            Exit::Done,
        ),
        (
            with(move |c| {
                c.way.insert("https_proxy", "http://proxy:1".to_owned());
                c.caller = Err(reset());
            }),
            "proxy",
            Problem,
            "not reached through http://proxy:1",
            "CONNECT ec2.us-east-1.amazonaws.com:443",
            Exit::Unavailable,
        ),
        (
            with(|c| {
                c.way.insert("HTTPS_PROXY", "http://proxy:1".to_owned());
                c.way.insert("no_proxy", "localhost, .amazonaws.com".to_owned());
            }),
            "proxy",
            Good,
            "excepts ec2.us-east-1.amazonaws.com",
            "",
            Exit::Done,
        ),
        (way("AWS_CA_BUNDLE", "/etc/ca.pem"), "certificates", Good, "/etc/ca.pem", "", Exit::Done),
    ];
    let fleet = fleet();
    for (change, check, state, found, fix, code) in cases {
        let mut checkup = healthy();
        change(&mut checkup);
        let findings = judge(&fleet, &checkup);
        let all: Vec<&Finding> = findings.iter().filter(|finding| finding.check == check).collect();
        let hit = all.iter().find(|finding| finding.state == state && finding.found.contains(found));
        let hit = hit.unwrap_or_else(|| panic!("{check} {state:?} {found}: {all:#?}"));
        assert!(hit.fix.as_deref().unwrap_or_default().contains(fix), "{hit:#?}");
        assert_eq!(hit.fix.is_none(), fix.is_empty(), "{hit:#?}");
        assert_eq!(exit(&findings), code, "{check} {found}");
    }
}

#[test]
fn the_worst_problem_decides() {
    let mut checkup = healthy();
    checkup.quotas[1].limit = Ok(0);
    assert_eq!(exit(&judge(&fleet(), &checkup)), Exit::Capacity);
    checkup.template = Some(Ok(None));
    assert_eq!(exit(&judge(&fleet(), &checkup)), Exit::Usage);
    checkup.roles[0].1 = Ok(false);
    assert_eq!(exit(&judge(&fleet(), &checkup)), Exit::Denied);
    checkup.caller.as_mut().unwrap().account = "210987654321".into();
    assert_eq!(exit(&judge(&fleet(), &checkup)), Exit::Refused);
}

/// Nothing is said to be well of which nothing is known.
#[test]
fn nothing_is_ok_that_was_not_seen() {
    let caller = Err(fault(FaultKind::Transport, "reset"));
    let findings = judge(&fleet(), &Checkup::begun(now(), Way::new(), caller));
    let well: Vec<&str> = findings.iter().filter(|f| f.state == State::Ok).map(|f| f.check.as_str()).collect();
    // The environment and the region's name are known without asking.
    assert_eq!(well, ["proxy", "region"], "{findings:#?}");
}

#[test]
fn partitions_are_what_they_are() {
    for (region, partition, queue) in [
        ("cn-north-1", "aws-cn", "amazonaws.com.cn"),
        ("us-gov-west-1", "aws-us-gov", "amazonaws.com"),
        ("us-iso-east-1", "aws-iso", "c2s.ic.gov"),
    ] {
        let fleet = fleet_in(region);
        assert!(fleet.queue.as_ref().unwrap().url.contains(queue));
        let mut checkup = healthy();
        checkup.caller.as_mut().unwrap().arn = format!("arn:{partition}:iam::123456789012:user/ops");
        let role = "aws-service-role/spot.amazonaws.com/AWSServiceRoleForEC2Spot";
        checkup.keys[0].1 = Ok(key(false, "Enabled", &[&format!("arn:{partition}:iam::123456789012:role/{role}")]));
        let findings = judge(&fleet, &checkup);
        assert_eq!(exit(&findings), Exit::Done, "{findings:#?}");
        let region = findings.iter().find(|finding| finding.check == "region").unwrap();
        assert_eq!(region.state, State::Warning);
        assert!(
            region.found.contains(partition) && region.fix.as_ref().unwrap().contains(&format!("arn:{partition}:"))
        );
        assert!(findings.iter().any(|f| f.check == "volume-key" && f.state == State::Ok), "{findings:#?}");
    }
}

#[test]
fn of_a_template_that_is_built_its_base_image_is_looked_at() {
    let mut fleet = fleet();
    let hosts = fleet.fleet.clone().unwrap();
    let build = Build {
        base_image: BaseImage::Named("ami-0b5e".into()),
        instance_type: "m7i.large".to_owned(),
        playbook: "provision.yaml".into(),
        subnet: hosts.subnets[0].clone(),
        security_groups: hosts.security_groups,
        key_name: "ops".to_owned(),
        instance_profile: None,
        root: hosts.root,
        expires: hosts.expires,
    };
    fleet.template = Some(Template { instance: None, build: Some(build), verify: None, canary: None });
    let mut checkup = Checkup { template: None, ssh: None, base: Some(Ok(None)), ..healthy() };
    let said = |checkup: &Checkup| {
        let findings = judge(&fleet, checkup);
        let one = findings.iter().find(|finding| finding.check == "base-image").unwrap().clone();
        assert!(findings.iter().all(|finding| finding.check != "template"), "{findings:#?}");
        (one.state, one.found)
    };
    assert_eq!(
        said(&checkup),
        (State::Problem, "ami-0b5e is not in us-east-1, or its owner lets us not use it".to_owned())
    );
    assert_eq!(exit(&judge(&fleet, &checkup)), Exit::Usage);
    checkup.base = None;
    assert_eq!(said(&checkup).0, State::NotChecked);
    checkup.base = Some(Err(NotChosen::None("no such image".to_owned(), "look".to_owned())));
    assert_eq!(said(&checkup), (State::Problem, "no such image".to_owned()));
    checkup.base = Some(Err(NotChosen::Unseen(fault(FaultKind::Denied, "UnauthorizedOperation"))));
    assert_eq!(said(&checkup).0, State::Problem);
}

#[test]
fn a_spec_of_only_a_queue_is_asked_about_its_queue() {
    let mut fleet = fleet();
    (fleet.fleet, fleet.template) = (None, None);
    let mut checkup = Checkup::begun(now(), Way::new(), healthy().caller);
    checkup.queue = healthy().queue;
    let mut groups: Vec<Group> = judge(&fleet, &checkup).iter().map(|finding| finding.group).collect();
    groups.dedup();
    assert_eq!(groups, [Group::Way, Group::Account, Group::Queue]);
}
