//! What the tests of this room share: requests, answers, permits from a real journal, ids through the real gate.

mod answers;
mod drafts;
mod environment;

use crate::gate::{Candidate, GateFacts, OwnedIds, decide};
use crate::journal::memory::MemoryStore;
use crate::journal::{Begun, Draft, Journal, Permit};
use crate::model::{FleetKey, FleetRequest, Tags, TemplateId, TemplateRequest, tags};
use jiff::Timestamp;
use std::collections::BTreeSet;

pub(super) const FLEET: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<CreateFleetResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>r</requestId><fleetId>fleet-1</fleetId><fleetInstanceSet><item><lifecycle>spot</lifecycle><instanceIds><item>i-1</item><item>i-2</item></instanceIds><instanceType>m7i.large</instanceType><launchTemplateAndOverrides><overrides><subnetId>subnet-a</subnetId></overrides></launchTemplateAndOverrides></item><item><lifecycle>on-demand</lifecycle><instanceIds><item>i-3</item></instanceIds><instanceType>m7a.large</instanceType></item></fleetInstanceSet><errorSet><item><errorCode>InsufficientInstanceCapacity</errorCode><errorMessage>none</errorMessage><lifecycle>spot</lifecycle></item></errorSet></CreateFleetResponse>"#;

pub(super) const INSTANCES: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<DescribeInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>r</requestId><reservationSet><item><instancesSet><item><instanceId>i-1</instanceId><instanceState><code>16</code><name>running</name></instanceState><launchTime>2026-03-01T10:00:00.000Z</launchTime><instanceLifecycle>spot</instanceLifecycle><tagSet><item><key>fleetwright:fleet</key><value>f</value></item></tagSet></item></instancesSet></item><item><instancesSet><item><instanceId>i-2</instanceId><instanceState><code>0</code><name>pending</name></instanceState><launchTime>2026-03-01T10:00:00.000Z</launchTime><tagSet><item><key>fleetwright:fleet</key><value>f</value></item></tagSet></item></instancesSet></item></reservationSet></DescribeInstancesResponse>"#;

pub(super) fn fleet_request() -> FleetRequest {
    FleetRequest {
        token: "fwtoken1".to_owned(),
        template: TemplateId::from("lt-1"),
        version: 3,
        spot: 3,
        on_demand: 1,
        types: vec!["m7i.large".to_owned(), "m7a.large".to_owned()],
        subnets: vec!["subnet-a".into(), "subnet-b".into()],
        max_price: Some("0.12".to_owned()),
        without: Vec::new(),
        host_tags: Tags::default().with(tags::INTENT, "fwtoken1"),
    }
}

pub(super) fn template_request(onto: Option<TemplateId>) -> TemplateRequest {
    TemplateRequest {
        name: "fleetwright-f".to_owned(),
        onto,
        token: "fwtoken2".to_owned(),
        description: "digest".to_owned(),
        template_tags: Tags::default().with(tags::FLEET, "f").with(tags::INTENT, "fw"),
        image: "ami-1".into(),
        instance_type: "m7i.large".to_owned(),
        key_name: None,
        instance_profile: Some("worker".to_owned()),
        security_groups: vec!["sg-1".into()],
        user_data: None,
        root_device: "/dev/xvda".to_owned(),
        root_gib: Some(20),
        root_type: "gp3".to_owned(),
        root_encrypted: true,
        metadata_tokens_required: true,
        metadata_hop_limit: 1,
        host_tags: Tags::default().with(tags::FLEET, "f").with(tags::EXPIRES, "2026-03-01T12:00:00Z"),
    }
}

pub(super) fn permit(draft: Draft) -> Permit {
    let fleet = FleetKey { account: "1".into(), region: "us-east-1".into(), name: "f".into() };
    let at = Timestamp::UNIX_EPOCH;
    let words = || "test".to_owned();
    let begun = Begun { run: words(), verb: words(), fleet, request: words(), plan: serde_json::Value::Null, at };
    let journal = Journal::create(Box::new(MemoryStore::default()), begun).unwrap();
    journal.intend("step", draft, at).unwrap()
}

pub(super) fn owned(ids: &[&str]) -> OwnedIds {
    let now = Timestamp::UNIX_EPOCH;
    let candidate = |id: &&str| Candidate {
        id: (*id).to_owned(),
        tags: Tags::default().with(tags::FLEET, "f").with(tags::INTENT, "fw"),
        termination_protected: false,
    };
    let facts = GateFacts {
        account: "1".into(),
        caller: "1".into(),
        region: "us-east-1".into(),
        read_region: "us-east-1".into(),
        fleet: "f".into(),
        now,
        read_at: now,
        candidates: ids.iter().map(candidate).collect(),
        known_intents: BTreeSet::from(["fw".to_owned()]),
        made: crate::gate::Made::default(),
        expired_only: false,
        template: None,
        blast_radius: 1000,
        claim_held: true,
    };
    decide(&facts).unwrap().owned.unwrap()
}
