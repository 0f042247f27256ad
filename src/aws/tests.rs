//! The room as a whole against prepared answers: cut answers, exact bytes, one attempt, no credentials.

use super::queues::{QueueRequest, Redrive};
use super::responder::{Canned, Responder, clients};
use super::{AwsSettings, Clients};
use crate::gate::{Candidate, GateFacts, OwnedIds, decide};
use crate::journal::memory::MemoryStore;
use crate::journal::{Begun, Draft, Journal, Permit};
use crate::model::{
    FaultKind, FleetKey, FleetRequest, ImageRequest, InstanceId, InstanceState, Market, Region, Tags, TemplateId,
    TemplateRequest, tags,
};
use aws_sdk_ec2::config::Credentials;
use jiff::Timestamp;
use std::collections::BTreeSet;
use std::time::Duration;

const FLEET: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<CreateFleetResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>r</requestId><fleetId>fleet-1</fleetId><fleetInstanceSet><item><lifecycle>spot</lifecycle><instanceIds><item>i-1</item><item>i-2</item></instanceIds><instanceType>m7i.large</instanceType><launchTemplateAndOverrides><overrides><subnetId>subnet-a</subnetId></overrides></launchTemplateAndOverrides></item><item><lifecycle>on-demand</lifecycle><instanceIds><item>i-3</item></instanceIds><instanceType>m7a.large</instanceType></item></fleetInstanceSet><errorSet><item><errorCode>InsufficientInstanceCapacity</errorCode><errorMessage>none</errorMessage><lifecycle>spot</lifecycle></item></errorSet></CreateFleetResponse>"#;

const INSTANCES: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<DescribeInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>r</requestId><reservationSet><item><instancesSet><item><instanceId>i-1</instanceId><instanceState><code>16</code><name>running</name></instanceState><launchTime>2026-03-01T10:00:00.000Z</launchTime><instanceLifecycle>spot</instanceLifecycle><tagSet><item><key>fleetwright:fleet</key><value>f</value></item></tagSet></item></instancesSet></item><item><instancesSet><item><instanceId>i-2</instanceId><instanceState><code>0</code><name>pending</name></instanceState><launchTime>2026-03-01T10:00:00.000Z</launchTime></item></instancesSet></item></reservationSet></DescribeInstancesResponse>"#;

fn fleet_request() -> FleetRequest {
    FleetRequest {
        token: "fwtoken1".to_owned(),
        template: TemplateId::from("lt-1"),
        version: 3,
        spot: 3,
        on_demand: 1,
        types: vec!["m7i.large".to_owned(), "m7a.large".to_owned()],
        subnets: vec!["subnet-a".into(), "subnet-b".into()],
        max_price: Some("0.12".to_owned()),
        host_tags: Tags::default().with(tags::INTENT, "fwtoken1"),
    }
}

fn template_request(onto: Option<TemplateId>) -> TemplateRequest {
    TemplateRequest {
        name: "fleetwright-f".to_owned(),
        onto,
        token: "fwtoken2".to_owned(),
        description: "digest".to_owned(),
        template_tags: Tags::default().with(tags::FLEET, "f"),
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

fn permit(draft: Draft) -> Permit {
    let fleet = FleetKey { account: "1".into(), region: "us-east-1".into(), name: "f".into() };
    let at = Timestamp::UNIX_EPOCH;
    let words = || "test".to_owned();
    let begun = Begun { run: words(), verb: words(), fleet, request: words(), plan: serde_json::Value::Null, at };
    let journal = Journal::create(Box::new(MemoryStore::default()), begun).unwrap();
    journal.intend("step", draft, at).unwrap()
}

fn owned(ids: &[&str]) -> OwnedIds {
    let now = Timestamp::UNIX_EPOCH;
    let candidate = |id: &&str| Candidate {
        id: (*id).to_owned(),
        tags: Tags::default().with(tags::FLEET, "f"),
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
        known_intents: BTreeSet::new(),
        adopt: true,
        template: None,
        blast_radius: 1000,
        claim_held: true,
    };
    decide(&facts).unwrap().owned.unwrap()
}

#[tokio::test]
async fn a_fleet_answer_cut_anywhere_is_never_success() {
    let whole = Canned::new(200, FLEET);
    let server = Responder::start([whole.clone()]).await;
    let clients = server.clients().await;
    let permit = permit(clients.draft_fleet(&fleet_request()).await.unwrap());
    for at in 0..FLEET.len() {
        server.answer(whole.cut(at));
        let fault = clients.create_fleet(&permit).await.unwrap_err();
        assert_eq!((fault.kind, fault.code.as_str()), (FaultKind::Transport, "truncated"), "cut at {at}: {fault}");
    }
    for at in (0..FLEET.len()).step_by(97) {
        server.answer(whole.torn(at));
        let fault = clients.create_fleet(&permit).await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::Transport, "torn at {at}: {fault}");
    }
    server.answer(Canned::new(200, FLEET.replace("<instanceIds>", "<instanceIds")));
    let fault = clients.create_fleet(&permit).await.unwrap_err();
    assert_eq!((fault.kind, fault.code.as_str()), (FaultKind::Transport, "garbled"), "{fault}");
    let nothing = "<CreateFleetResponse><fleetId>fleet-1</fleetId></CreateFleetResponse>";
    server.answer(Canned::new(200, nothing));
    assert!(clients.create_fleet(&permit).await.unwrap_err().kind.outcome_unknown(), "neither hosts nor reasons");
    server.answer(whole);
    let given = clients.create_fleet(&permit).await.unwrap();
    let hosts: Vec<_> = given.hosts.iter().map(|host| (host.id.as_str(), host.market)).collect();
    assert_eq!(hosts, [("i-1", Market::Spot), ("i-2", Market::Spot), ("i-3", Market::OnDemand)]);
    assert_eq!((given.refused.len(), given.refused[0].kind), (1, FaultKind::Capacity));
}

#[tokio::test]
async fn a_list_cut_anywhere_is_never_taken_for_a_shorter_one() {
    let whole = Canned::new(200, INSTANCES);
    let server = Responder::start([whole.clone()]).await;
    let clients = server.clients().await;
    for at in 0..INSTANCES.len() {
        server.answer(whole.cut(at));
        let fault = clients.instances_of_fleet(&"f".into()).await.unwrap_err();
        assert_eq!((fault.kind, fault.code.as_str()), (FaultKind::Transport, "truncated"), "cut at {at}: {fault}");
    }
    server.answer(whole);
    let found = clients.instances_of_fleet(&"f".into()).await.unwrap();
    assert_eq!(found.len(), 2);
    assert_eq!((found[0].state, found[0].market), (InstanceState::Running, Market::Spot));
    assert_eq!(found[0].tags.get(tags::FLEET), Some("f"));
}

#[tokio::test]
async fn a_queue_answer_cut_anywhere_is_never_success() {
    let text = r#"{"QueueUrl":"http://127.0.0.1/1/jobs"}"#;
    let whole = Canned::new(200, text);
    let server = Responder::start([whole.clone()]).await;
    let clients = server.clients().await;
    for at in 0..text.len() {
        server.answer(whole.cut(at));
        let fault = clients.queue_by_name("jobs").await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::Transport, "cut at {at}: {fault}");
    }
    server.answer(whole);
    assert_eq!(clients.queue_by_name("jobs").await.unwrap().as_deref(), Some("http://127.0.0.1/1/jobs"));
}

#[tokio::test]
async fn nothing_is_sent_before_the_permit_and_then_exactly_the_draft_each_time() {
    let server = Responder::start([Canned::new(200, FLEET)]).await;
    let clients = server.clients().await;
    let draft = clients.draft_fleet(&fleet_request()).await.unwrap();
    assert_eq!(server.bodies().len(), 0);
    assert!(clients.calls().is_empty());
    assert_eq!(draft, server.clients().await.draft_fleet(&fleet_request()).await.unwrap(), "same request, same bytes");
    assert_eq!(draft.token.as_deref(), Some("fwtoken1"));
    assert!(draft.body.contains("&ClientToken=fwtoken1&"), "{}", draft.body);
    let permit = permit(draft.clone());
    for _ in 0..3 {
        clients.create_fleet(&permit).await.unwrap();
    }
    assert_eq!(server.bodies(), vec![draft.body; 3]);
    assert_eq!(clients.calls().get("CreateFleet"), Some(&3));
    // A permit for one action is none for another.
    let fault = clients.terminate(&permit).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Invalid);
    assert_eq!(server.bodies().len(), 3);
}

#[tokio::test]
async fn a_fleet_draft_says_what_is_wanted() {
    let server = Responder::start([]).await;
    let clients = server.clients().await;
    let body = clients.draft_fleet(&fleet_request()).await.unwrap().body;
    let mut fields: Vec<String> =
        form_urlencoded::parse(body.as_bytes()).map(|(key, value)| format!("{key}={value}")).collect();
    fields.retain(|field| !field.contains("TagSpecification.2") && !field.contains("TagSpecification.3"));
    insta::assert_snapshot!(fields.join("
"), @r"
    Action=CreateFleet
    Version=2016-11-15
    ClientToken=fwtoken1
    SpotOptions.AllocationStrategy=price-capacity-optimized
    OnDemandOptions.AllocationStrategy=prioritized
    LaunchTemplateConfigs.1.LaunchTemplateSpecification.LaunchTemplateId=lt-1
    LaunchTemplateConfigs.1.LaunchTemplateSpecification.Version=3
    LaunchTemplateConfigs.1.Overrides.1.InstanceType=m7i.large
    LaunchTemplateConfigs.1.Overrides.1.MaxPrice=0.12
    LaunchTemplateConfigs.1.Overrides.1.SubnetId=subnet-a
    LaunchTemplateConfigs.1.Overrides.1.Priority=0.0
    LaunchTemplateConfigs.1.Overrides.2.InstanceType=m7i.large
    LaunchTemplateConfigs.1.Overrides.2.MaxPrice=0.12
    LaunchTemplateConfigs.1.Overrides.2.SubnetId=subnet-b
    LaunchTemplateConfigs.1.Overrides.2.Priority=0.0
    LaunchTemplateConfigs.1.Overrides.3.InstanceType=m7a.large
    LaunchTemplateConfigs.1.Overrides.3.MaxPrice=0.12
    LaunchTemplateConfigs.1.Overrides.3.SubnetId=subnet-a
    LaunchTemplateConfigs.1.Overrides.3.Priority=1.0
    LaunchTemplateConfigs.1.Overrides.4.InstanceType=m7a.large
    LaunchTemplateConfigs.1.Overrides.4.MaxPrice=0.12
    LaunchTemplateConfigs.1.Overrides.4.SubnetId=subnet-b
    LaunchTemplateConfigs.1.Overrides.4.Priority=1.0
    TargetCapacitySpecification.TotalTargetCapacity=4
    TargetCapacitySpecification.OnDemandTargetCapacity=1
    TargetCapacitySpecification.SpotTargetCapacity=3
    TargetCapacitySpecification.DefaultTargetCapacityType=spot
    Type=instant
    TagSpecification.1.ResourceType=instance
    TagSpecification.1.Tag.1.Key=fleetwright:intent
    TagSpecification.1.Tag.1.Value=fwtoken1
    ");
    let nobody = FleetRequest { spot: 0, on_demand: 0, ..fleet_request() };
    assert_eq!(clients.draft_fleet(&nobody).await.unwrap_err().kind, FaultKind::Invalid);
    assert!(
        !clients.draft_fleet(&FleetRequest { spot: 0, ..fleet_request() }).await.unwrap().body.contains("SpotOptions")
    );
}

#[tokio::test]
async fn a_template_draft_has_what_is_no_choice() {
    let server = Responder::start([]).await;
    let clients = server.clients().await;
    let first = clients.draft_template(&template_request(None)).await.unwrap();
    assert_eq!((first.action.as_str(), first.token.as_deref()), ("CreateLaunchTemplate", Some("fwtoken2")));
    let second = clients.draft_template(&template_request(Some("lt-1".into()))).await.unwrap();
    assert_eq!(second.action, "CreateLaunchTemplateVersion");
    for draft in [first, second] {
        let fields: Vec<String> =
            form_urlencoded::parse(draft.body.as_bytes()).map(|(key, value)| format!("{key}={value}")).collect();
        for wanted in [
            "ClientToken=fwtoken2",
            "LaunchTemplateData.BlockDeviceMapping.1.Ebs.DeleteOnTermination=true",
            "LaunchTemplateData.BlockDeviceMapping.1.Ebs.Encrypted=true",
            "LaunchTemplateData.InstanceInitiatedShutdownBehavior=terminate",
            "LaunchTemplateData.MetadataOptions.HttpTokens=required",
            "LaunchTemplateData.MetadataOptions.InstanceMetadataTags=enabled",
            "LaunchTemplateData.TagSpecification.1.ResourceType=instance",
            "LaunchTemplateData.TagSpecification.1.Tag.1.Key=fleetwright:expires",
        ] {
            assert!(fields.iter().any(|field| field == wanted), "{wanted} is not in {fields:#?}");
        }
    }
}

#[tokio::test]
async fn every_draft_can_be_sent_by_an_empty_request() {
    let server = Responder::start([Canned::new(400, "")]).await;
    let clients = server.clients().await;
    let queue = QueueRequest {
        name: "jobs".to_owned(),
        visibility: Duration::from_secs(90),
        redrive: Some(Redrive { dead_letter_arn: "arn:aws:sqs:us-east-1:1:dead".to_owned(), max_receives: 3 }),
        tags: Tags::default().with(tags::FLEET, "f").with("b", "2").with("a", "1"),
    };
    let image = ImageRequest {
        name: "f-1".to_owned(),
        instance: InstanceId::from("i-1"),
        description: "x".to_owned(),
        no_reboot: false,
        tags: Tags::default().with(tags::FLEET, "f"),
    };
    let mut sent = Vec::new();
    macro_rules! round {
        ($draft:expr, $send:ident) => {
            let draft = $draft.await.unwrap();
            assert_eq!(draft, $draft.await.unwrap(), "same request, same bytes");
            sent.push(draft.body.clone());
            let fault = clients.$send(&permit(draft)).await.map(|_| ()).unwrap_err();
            assert_eq!((fault.kind, fault.code.as_str()), (FaultKind::Invalid, "HTTP 400"), "{fault}");
        };
    }
    round!(clients.draft_template(&template_request(None)), create_template);
    round!(clients.draft_template(&template_request(Some("lt-1".into()))), create_template);
    round!(clients.draft_fleet(&fleet_request()), create_fleet);
    round!(clients.draft_terminate(&owned(&["i-1", "i-2"])), terminate);
    round!(clients.draft_reboot(&"i-1".into()), reboot);
    round!(clients.draft_image(&image), create_image);
    round!(clients.draft_deregister(&owned(&["ami-1"])), deregister);
    round!(clients.draft_delete_snapshot(&owned(&["snap-1"])), delete_snapshot);
    round!(clients.draft_delete_volume(&owned(&["vol-1"])), delete_volume);
    round!(clients.draft_delete_template(&owned(&["lt-1"])), delete_template);
    round!(clients.draft_tags(&["i-1".to_owned()], &image.tags), create_tags);
    round!(clients.draft_create_queue(&queue), create_queue);
    round!(clients.draft_delete_queue(&owned(&["http://127.0.0.1/1/jobs"])), delete_queue);
    assert_eq!(server.bodies(), sent);
    assert_eq!(clients.draft_deregister(&owned(&["ami-1", "ami-2"])).await.unwrap_err().kind, FaultKind::Invalid);
}

#[tokio::test]
async fn no_ids_no_call() {
    let server = Responder::start([Canned::new(200, INSTANCES)]).await;
    let clients = server.clients().await;
    assert_eq!(clients.instances_by_ids(&[]).await.unwrap(), []);
    assert_eq!(clients.subnets(&[]).await.unwrap(), []);
    assert!(clients.instance_types(&[]).await.unwrap().is_empty());
    assert!(clients.spot_price_history(&[], Timestamp::UNIX_EPOCH).await.unwrap().is_empty());
    assert!(server.bodies().is_empty());
}

#[tokio::test]
async fn pages_are_followed_to_the_end() {
    let page = INSTANCES.replace("</reservationSet>", "</reservationSet><nextToken>more</nextToken>");
    let server = Responder::start([Canned::new(200, page), Canned::new(200, INSTANCES)]).await;
    let found = server.clients().await.instances_of_fleet(&"f".into()).await.unwrap();
    assert_eq!(found.len(), 4);
    assert!(server.bodies()[1].contains("NextToken=more"));
}

#[tokio::test]
async fn an_error_keeps_its_code_and_request_id() {
    let body = "<?xml version=\"1.0\"?><Response><Errors><Error><Code>RequestLimitExceeded</Code><Message>slow</Message>\
                </Error></Errors><RequestID>req-7</RequestID></Response>";
    let whole = Canned::new(503, body);
    let server = Responder::start([whole.clone()]).await;
    let clients = server.clients().await;
    let fault = clients.instances_of_fleet(&"f".into()).await.unwrap_err();
    assert_eq!((fault.kind, fault.code.as_str()), (FaultKind::Throttled, "RequestLimitExceeded"));
    assert_eq!((fault.message.as_str(), fault.request_id.as_deref()), ("slow", Some("req-7")));
    for at in 0..body.len() {
        server.answer(whole.cut(at));
        let fault = clients.instances_of_fleet(&"f".into()).await.unwrap_err();
        assert!(fault.kind.outcome_unknown(), "cut at {at}: {fault:?}");
    }
    let json = r#"{"__type":"com.amazonaws.sqs#QueueDoesNotExist","message":"none"}"#;
    server.answer(
        Canned::new(400, json).with_headers("x-amzn-query-error: AWS.SimpleQueueService.NonExistentQueue;Sender\r\n"),
    );
    assert_eq!(clients.queue_by_name("jobs").await.unwrap(), None);
}

#[tokio::test]
async fn a_reset_may_have_been_carried_out_and_a_refused_connection_says_where() {
    let server = Responder::start([]).await;
    let fault = server.clients().await.caller().await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Transport, "{fault:?}");
    assert_eq!(server.bodies().len(), 1);
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let gone = clients(&format!("http://127.0.0.1:{port}"), Credentials::new("a", "b", None, None, "test")).await;
    let fault = gone.caller().await.unwrap_err();
    assert_eq!((fault.kind, fault.code.as_str()), (FaultKind::Transport, "unreachable"), "{fault:?}");
}

/// Runs one of the ignored tests below in a process of its own, since an environment belongs to a whole process.
fn in_own_process(test: &str, url: &str, environment: &[(&str, &str)]) {
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("aws::tests::{test}"), "--ignored", "--nocapture"])
        .env_clear()
        .env("HOME", "/nonexistent")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_ENDPOINT_URL", url)
        .env("AWS_REGION", "eu-central-1")
        .envs(environment.iter().copied())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_attempt_whatever_the_environment_says() {
    let server = Responder::start([Canned::new(503, "")]).await;
    let environment = [
        ("AWS_ACCESS_KEY_ID", "AKIDTEST"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_MAX_ATTEMPTS", "10"),
        ("AWS_RETRY_MODE", "adaptive"),
        ("AWS_NEW_RETRIES_2026", "true"),
    ];
    in_own_process("calls_once_with_the_environments_own_settings", server.url(), &environment);
    assert_eq!(server.bodies().len(), 3, "{:#?}", server.bodies());
}

#[tokio::test]
#[ignore = "run by one_attempt_whatever_the_environment_says"]
async fn calls_once_with_the_environments_own_settings() {
    let clients = Clients::connect(&AwsSettings::default()).await.unwrap();
    assert_eq!(clients.region(), &Region::from("eu-central-1"));
    assert_eq!(clients.caller().await.unwrap_err().kind, FaultKind::Server);
    assert_eq!(clients.instances_of_fleet(&"f".into()).await.unwrap_err().kind, FaultKind::Server);
    assert_eq!(clients.queue_by_name("jobs").await.unwrap_err().kind, FaultKind::Server);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_credentials_nothing_is_sent_and_the_fault_says_so() {
    let server = Responder::start([Canned::new(200, INSTANCES)]).await;
    in_own_process("fails_for_want_of_credentials", server.url(), &[]);
    assert!(server.bodies().is_empty());
}

#[tokio::test]
#[ignore = "run by without_credentials_nothing_is_sent_and_the_fault_says_so"]
async fn fails_for_want_of_credentials() {
    let clients = Clients::connect(&AwsSettings::default()).await.unwrap();
    let fault = clients.instances_of_fleet(&"f".into()).await.unwrap_err();
    assert_eq!((fault.kind, fault.code.as_str()), (FaultKind::Denied, "no-credentials"), "{fault:?}");
    assert!(clients.calls().is_empty());
    // A draft needs no credentials: it is only made, not sent.
    clients.draft_fleet(&fleet_request()).await.unwrap();
}
