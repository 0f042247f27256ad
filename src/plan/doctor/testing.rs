//! A spec and a healthy account for the tests of judgement.

use super::*;
use crate::model::checkup::{KeyFacts, Permission, ProfileFacts, QueueFacts, QuotaFacts, Way};
use crate::model::{Caller, Fault, FaultKind, Instance, Market, Offer, Subnet};
use crate::plan::estimate::Job;
use crate::plan::session::job_length;
use jiff::Timestamp;

pub(super) const SPEC: &str = r#"
version: 1
name: crawl
account: "123456789012"
region: REGION
template: {instance: i-0123456789abcdef0}
fleet:
  size: 8
  accept: {min: 6}
  spot: 50%
  types: [m7i.large, m7a.large]
  subnets: [subnet-0aaaaaaaaaaaaaaaa, subnet-0bbbbbbbbbbbbbbbb]
  security_groups: [sg-0123456789abcdef0]
  instance_profile: worker
queue: {engine: sqs, url: "https://sqs.REGION.SUFFIX/123456789012/crawl", dead_letter: crawl-dead}
"#;

pub(super) fn fleet_in(region: &str) -> Fleet {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("fleet.yaml");
    let suffix = crate::model::Partition::of(region).domain;
    std::fs::write(&file, SPEC.replace("REGION", region).replace("SUFFIX", suffix)).unwrap();
    let loaded = crate::spec::load(&file, &[], &|_| None).unwrap_or_else(|e| panic!("{}", e.render(false)));
    assert!(loaded.warnings.is_empty(), "{}", loaded.warnings.render(false));
    loaded.fleet
}

pub(super) fn fleet() -> Fleet {
    fleet_in("us-east-1")
}

pub(super) fn now() -> Timestamp {
    "2026-03-01T12:00:00Z".parse().unwrap()
}

pub(super) fn fault(kind: FaultKind, code: &str) -> Fault {
    Fault {
        kind,
        action: "Some".to_owned(),
        code: code.to_owned(),
        message: "said".to_owned(),
        reason: "help".to_owned(),
        request_id: None,
    }
}

pub(super) fn template() -> Instance {
    Instance {
        subnet: Some("subnet-0aaaaaaaaaaaaaaaa".into()),
        market: Market::OnDemand,
        private_ip: Some("10.0.0.4".to_owned()),
        launched: now(),
        architecture: Some("x86_64".to_owned()),
        ..Instance::sample("i-0123456789abcdef0")
    }
}

pub(super) fn subnet(id: &str, zone: &str, free: u32) -> Subnet {
    Subnet { id: id.into(), zone: zone.into(), free_addresses: Some(free), public_addresses: false, ipv6_only: false }
}

pub(super) fn quota(market: Market, limit: u32) -> QuotaFacts {
    let family = family("m7i.large").unwrap();
    let code = family.code(market).unwrap();
    QuotaFacts { code, market, families: family.names, vcpus_each: 2, limit: Ok(limit) }
}

/// A healthy account as `fleet` sees it.
pub(super) fn healthy() -> Checkup {
    let arn = "arn:aws:iam::123456789012:user/ops".to_owned();
    let mut c = Checkup::begun(now(), Way::new(), Ok(Caller { account: "123456789012".into(), arn }));
    c.session_end = Some(Ok(None));
    c.job = job_length(&fleet(), &Job::default());
    c.template = Some(Ok(Some(template())));
    c.ssh = Some(Ok(()));
    c.images = Some(Ok(Vec::new()));
    c.hosts = Some(Ok(Vec::new()));
    c.launch_template = Some(Ok(None));
    c.subnets = Some(Ok(vec![
        subnet("subnet-0aaaaaaaaaaaaaaaa", "us-east-1a", 100),
        subnet("subnet-0bbbbbbbbbbbbbbbb", "us-east-1b", 100),
    ]));
    let facts = |name: &str| Offer {
        name: name.to_owned(),
        vcpus: 2,
        architectures: vec!["x86_64".to_owned()],
        ..Offer::default()
    };
    c.types = Some(Ok(["m7i.large", "m7a.large"].map(|name| (name.to_owned(), facts(name))).into()));
    c.trials = trials(&fleet(), &c).into_iter().map(|trial| (trial, Permission::Allowed)).collect();
    c.roles = vec![("AWSServiceRoleForEC2Spot", Ok(true))];
    let role = Some("arn:aws:iam::123456789012:role/worker".to_owned());
    c.profile = Some(("worker".to_owned(), Ok(Some(ProfileFacts { name: "worker".to_owned(), role }))));
    c.keys = vec![("the region's default".to_owned(), Ok(key(true, "Enabled", &[])))];
    c.quotas = vec![quota(Market::Spot, 64), quota(Market::OnDemand, 64)];
    c.vcpus_in_use = Some(Ok([("L-1216C47A", 10), ("L-34B43A08", 2)].into()));
    c.image_sharing = Some(Ok("block-new-sharing".to_owned()));
    c.queue = Some(QueueFacts { counters: Ok(()), dead_letter: Some(("crawl-dead".to_owned(), Ok(true))) });
    c
}

pub(super) fn key(by_aws: bool, state: &str, grantees: &[&str]) -> KeyFacts {
    let grantees = grantees.iter().map(|name| (*name).to_owned()).collect();
    KeyFacts {
        arn: "arn:aws:kms:us-east-1:123456789012:key/k".to_owned(),
        by_aws,
        state: state.to_owned(),
        grantees: (!by_aws).then_some(Ok(grantees)),
    }
}
