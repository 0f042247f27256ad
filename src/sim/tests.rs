//! The rehearsal cloud over its wire: real SDK clients, raw sockets, and the control port.

use super::seed::Seed;
use super::*;
use aws_sdk_sqs::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_sqs::types::{MessageAttributeValue, SendMessageBatchRequestEntry};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A cloud at speed 0 unless said otherwise, with the queues `work` and `dead`.
async fn cloud(speed: f64, faults: Value) -> Running {
    let seed: Seed = serde_json::from_value(json!({
        "account": "123456789012", "region": "us-east-1", "subnets": [], "security_groups": [], "types": [],
        "queues": [{"name": "work", "dead_letter": "dead", "max_receive": 2}, {"name": "dead"}],
        "start": "2027-01-01T00:00:00Z",
    }))
    .expect("a seed");
    let faults = serde_json::from_value(faults).expect("a fault script");
    let listen = ([127, 0, 0, 1], 0).into();
    serve(ServeOptions { listen, seed, rng_seed: 1, speed, faults, hosts: Bodies::none() }).await.expect("it starts")
}

fn sqs(cloud: &Running) -> aws_sdk_sqs::Client {
    let config = aws_sdk_sqs::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("AKIAREHEARSAL", "secret", None, None, "test"))
        .retry_config(aws_sdk_sqs::config::retry::RetryConfig::disabled())
        .endpoint_url(&cloud.endpoint);
    aws_sdk_sqs::Client::from_conf(config.build())
}

fn work(cloud: &Running) -> String {
    format!("{}/123456789012/work", cloud.endpoint)
}

/// One request on a connection of its own; the whole answer as text, or how the connection ended.
async fn raw(cloud: &Running, request: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(cloud.endpoint.trim_start_matches("http://")).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

fn http(method: &str, path: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "{method} {path} HTTP/1.1\r\nhost: sim\r\nconnection: close\r\n{headers}content-length: {length}\r\n\r\n{body}"
    )
}

/// A signed query call, as far as this cloud looks at signatures.
fn query(service: &str, body: &str) -> String {
    let scope = format!(
        "authorization: AWS4-HMAC-SHA256 Credential=AKIAX/20270101/us-east-1/{service}/aws4_request, SignedHeaders=host, Signature=00\r\n"
    );
    http("POST", "/", &scope, body)
}

async fn control(cloud: &Running, method: &str, path: &str, body: Value) -> String {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let answer =
        raw(cloud, &http(method, &format!("/_sim/{path}"), "", &body)).await.expect("the control port answers");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a body");
    assert!(head.starts_with("HTTP/1.1 200"), "{answer}");
    body.to_owned()
}

async fn audit(cloud: &Running) -> Vec<Value> {
    let lines = control(cloud, "GET", "audit", Value::Null).await;
    lines.lines().map(|line| serde_json::from_str(line).expect("a line")).collect()
}

/// Waits, in wall time but not long, for something that another task is about to do.
async fn until<F: Future<Output = bool>>(mut what: impl FnMut() -> F) {
    let began = Instant::now();
    while !what().await {
        assert!(began.elapsed() < Duration::from_secs(5), "it never happened");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn the_sdk_sends_receives_and_deletes() {
    let cloud = cloud(0.0, json!({})).await;
    let (client, url) = (sqs(&cloud), work(&cloud));
    let attribute = MessageAttributeValue::builder().data_type("String").string_value("v").build().expect("attribute");
    let entry = |id: &str, body: &str| {
        let entry = SendMessageBatchRequestEntry::builder().id(id).message_body(body);
        entry.message_attributes("k", attribute.clone()).build().expect("entry")
    };
    let sent = client.send_message_batch().queue_url(&url).entries(entry("a", "one")).entries(entry("b", "two <&>"));
    let sent = sent.send().await.expect("sent");
    assert_eq!((sent.successful().len(), sent.failed().len()), (2, 0));
    let got = client.receive_message().queue_url(&url).max_number_of_messages(10).message_attribute_names("All");
    let got = got.send().await.expect("received");
    let bodies: Vec<_> = got.messages().iter().filter_map(|m| m.body()).collect();
    assert_eq!(bodies, ["one", "two <&>"]);
    assert_eq!(got.messages()[0].md5_of_message_attributes(), sent.successful()[0].md5_of_message_attributes());
    for message in got.messages() {
        let receipt = message.receipt_handle().expect("receipt");
        client.delete_message().queue_url(&url).receipt_handle(receipt).send().await.expect("deleted");
    }
    let missing = client.get_queue_url().queue_name("none").send().await.expect_err("no such queue");
    let missing = missing.into_service_error();
    assert!(missing.is_queue_does_not_exist(), "{missing:?}");
    let truth: Value = serde_json::from_str(&control(&cloud, "GET", "world", Value::Null).await).expect("JSON");
    assert_eq!((&truth["queues"][1]["deleted"], &truth["calls"]["sqs:DeleteMessage"]), (&json!(2), &json!(2)));
    cloud.shutdown().await;
}

#[tokio::test]
async fn a_long_poll_waits_on_world_time_and_wakes_on_a_send() {
    let cloud = cloud(0.0, json!({})).await;
    let (client, url) = (sqs(&cloud), work(&cloud));
    let poll = || tokio::spawn(client.receive_message().queue_url(&url).wait_time_seconds(20).send());
    let waiting = poll();
    until(|| async { audit(&cloud).await.len() == 1 }).await;
    assert!(!waiting.is_finished(), "the clock is held");
    client.send_message().queue_url(&url).message_body("a").send().await.expect("sent");
    assert_eq!(waiting.await.expect("joined").expect("received").messages().len(), 1);
    let waiting = poll();
    until(|| async { audit(&cloud).await.len() == 3 }).await;
    control(&cloud, "POST", "clock", json!({"advance": "20s"})).await;
    assert_eq!(waiting.await.expect("joined").expect("received").messages().len(), 0);
    let waiting = poll();
    until(|| async { audit(&cloud).await.len() == 4 }).await;
    control(&cloud, "POST", "clock", json!({"advance": "10s"})).await;
    assert_eq!(waiting.await.expect("joined").expect("received").messages().len(), 1, "its visibility ended");
    cloud.shutdown().await;
}

#[tokio::test]
async fn sts_says_who_calls_and_errors_wear_each_services_dress() {
    let cloud = cloud(0.0, json!({"deny": ["TerminateInstances"]})).await;
    let config = aws_sdk_sts::Config::builder()
        .behavior_version(aws_sdk_sts::config::BehaviorVersion::latest())
        .region(aws_sdk_sts::config::Region::new("us-east-1"))
        .credentials_provider(aws_sdk_sts::config::Credentials::new("AKIAX", "secret", None, None, "test"))
        .endpoint_url(&cloud.endpoint);
    let identity = aws_sdk_sts::Client::from_conf(config.build()).get_caller_identity().send().await.expect("identity");
    assert_eq!(identity.account(), Some("123456789012"));
    assert_eq!(identity.arn(), Some("arn:aws:iam::123456789012:user/rehearsal"));
    for (service, body, status, code) in [
        ("ec2", "Action=NoSuchThing&Version=2016-11-15", 400, "<Response><Errors><Error><Code>InvalidAction<"),
        ("ec2", "Action=CreateFleet&Version=2016-11-15&DryRun=true", 412, "<Code>DryRunOperation<"),
        ("ec2", "Action=RunInstances&Version=2016-11-15&DryRun=true", 400, "<Code>MissingParameter<"),
        ("ec2", "Action=NoSuchThing&Version=2016-11-15&DryRun=true", 400, "<Code>InvalidAction<"),
        ("ec2", "Action=TerminateInstances&Version=2016-11-15&DryRun=true", 403, "<Code>UnauthorizedOperation<"),
        ("ec2", "Action=RunInstances&Version=2010-01-01", 400, "<Code>NoSuchVersion<"),
        (
            "sts",
            "Action=AssumeRole&Version=2011-06-15",
            400,
            "<ErrorResponse><Error><Type>Sender</Type><Code>InvalidAction<",
        ),
        ("autoscaling", "Action=X&Version=2011-01-01", 400, "<Code>InvalidAction<"),
        ("autoscaling", "Action=X&Version=2011-06-15", 400, "<Code>NoSuchVersion<"),
        ("s3", "", 501, "<Error><Code>NotImplemented<"),
        ("dynamodb", "", 400, "<Code>InvalidAction<"),
    ] {
        let answer = raw(&cloud, &query(service, body)).await.expect("answered");
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{body}: {answer}");
        assert!(
            answer.contains(code)
                && (answer.contains("x-amzn-requestid: ") || answer.contains("x-amz-request-id: "))
                && answer.contains("date: "),
            "{answer}"
        );
    }
    let unsigned =
        raw(&cloud, &http("POST", "/", "", "Action=RunInstances&Version=2016-11-15")).await.expect("answered");
    assert!(unsigned.starts_with("HTTP/1.1 403") && unsigned.contains("MissingAuthenticationToken"), "{unsigned}");
    let target = "x-amz-target: AmazonSQS.GetQueueUrl\r\n";
    let unsigned = raw(&cloud, &http("POST", "/", target, "{}")).await.expect("answered");
    assert!(unsigned.contains("com.amazonaws.sqs#MissingAuthenticationToken"), "{unsigned}");
    cloud.shutdown().await;
}

#[tokio::test]
async fn token_buckets_refuse_and_can_be_switched_off() {
    let cloud = cloud(0.0, json!({})).await;
    let launch = query("ec2", "Action=RunInstances&Version=2016-11-15");
    for _ in 0..5 {
        assert!(raw(&cloud, &launch).await.expect("answered").contains("MissingParameter"));
    }
    let refused = raw(&cloud, &launch).await.expect("answered");
    assert!(refused.starts_with("HTTP/1.1 503") && refused.contains("RequestLimitExceeded"), "{refused}");
    control(&cloud, "POST", "faults", json!({"throttle": false})).await;
    assert!(raw(&cloud, &launch).await.expect("answered").contains("MissingParameter"));
    cloud.shutdown().await;
}

#[tokio::test]
async fn faults_hit_before_or_after_the_commit() {
    let cloud = cloud(0.0, json!({})).await;
    let (client, url) = (sqs(&cloud), work(&cloud));
    let mut sent = 0;
    for (rule, arrives) in [
        (json!({"do": {"error": {"code": "InternalError"}}}), false),
        (json!({"do": {"error": {"code": "InternalError"}}, "point": "after-commit"}), true),
        (json!({"do": "reset"}), false),
        (json!({"do": "reset", "point": "after-commit"}), true),
        (json!({"do": "cut"}), true),
        (json!({"do": "cut-clean"}), true),
        (json!({"do": "garble"}), true),
    ] {
        let mut script = json!({"rules": [rule]});
        script["rules"][0]["action"] = "SendMessage".into();
        control(&cloud, "POST", "faults", script).await;
        let answer = client.send_message().queue_url(&url).message_body("a").send().await;
        assert!(answer.is_err(), "{rule}: {answer:?}");
        sent += i32::from(arrives);
        let truth: Value = serde_json::from_str(&control(&cloud, "GET", "world", Value::Null).await).expect("JSON");
        assert_eq!(truth["queues"][1]["waiting"], sent, "{rule}");
        let last = audit(&cloud).await.pop().expect("noted");
        assert_eq!((last["commit"].is_u64(), last["fault"].is_string()), (arrives, true), "{last}");
        client.send_message().queue_url(&url).message_body("a").send().await.expect("the rule is used up");
        sent += 1;
    }
    cloud.shutdown().await;
}

#[tokio::test]
async fn broken_answers_are_broken_as_promised() {
    let cloud = cloud(0.0, json!({})).await;
    let call = query("sts", "Action=GetCallerIdentity&Version=2011-06-15");
    let whole = raw(&cloud, &call).await.expect("whole");
    let body = |answer: &str| answer.split_once("\r\n\r\n").expect("a body").1.len();
    let promised = |answer: &str| -> usize {
        let line = answer.lines().find_map(|line| line.strip_prefix("content-length: ")).expect("content-length");
        line.parse().expect("a number")
    };
    assert_eq!(body(&whole), promised(&whole));
    let rule = |effect: &str| json!({"rules": [{"action": "GetCallerIdentity", "do": effect}]});
    control(&cloud, "POST", "faults", rule("cut")).await;
    let cut = raw(&cloud, &call).await.expect("cut");
    assert_eq!((promised(&cut), body(&cut)), (promised(&whole), promised(&whole) / 2));
    control(&cloud, "POST", "faults", rule("cut-clean")).await;
    let cut = raw(&cloud, &call).await.expect("cut");
    assert_eq!((promised(&cut), body(&cut)), (promised(&whole) / 2, promised(&whole) / 2));
    control(&cloud, "POST", "faults", rule("reset")).await;
    let reset = raw(&cloud, &call).await.expect_err("reset");
    assert_eq!(reset.kind(), std::io::ErrorKind::ConnectionReset);
    cloud.shutdown().await;
}

#[tokio::test]
async fn a_late_commit_comes_when_the_client_has_given_up() {
    let rules = json!({"rules": [{"action": "SendMessage", "do": {"late_commit": {"seconds": 60}}}]});
    let cloud = cloud(0.0, rules).await;
    let (client, url) = (sqs(&cloud), work(&cloud));
    client.send_message().queue_url(&url).message_body("a").send().await.expect_err("reset");
    control(&cloud, "POST", "clock", json!({"advance": "59s"})).await;
    assert!(audit(&cloud).await[0]["commit"].is_null());
    control(&cloud, "POST", "clock", json!({"advance": "1s"})).await;
    until(|| async { audit(&cloud).await[0]["commit"] == 1 }).await;
    let entry = audit(&cloud).await.remove(0);
    assert_eq!((&entry["commit_time"], &entry["answered"]), (&json!("2027-01-01T00:01:00Z"), &json!(false)));
    cloud.shutdown().await;
}

#[tokio::test]
async fn a_gate_holds_a_call_and_a_client_that_is_gone_is_dropped() {
    let cloud = cloud(0.0, json!({})).await;
    let (client, url) = (sqs(&cloud), work(&cloud));
    let send = || tokio::spawn(client.send_message().queue_url(&url).message_body("a").send());
    let held = |state: &'static str| {
        let cloud = &cloud;
        until(move || async move {
            let gates: Value = serde_json::from_str(&control(cloud, "GET", "gate", Value::Null).await).expect("JSON");
            gates["gates"][0]["state"] == state
        })
    };
    for (point, commits) in [("before-commit", 0), ("after-commit", 1)] {
        control(&cloud, "POST", "gate", json!({"action": "SendMessage", "point": point})).await;
        let sending = send();
        held("held").await;
        sending.abort();
        held("gone").await;
        control(&cloud, "POST", "gate/release", json!({"all": true})).await;
        let committed = audit(&cloud).await.iter().filter(|entry| entry["commit"].is_u64()).count();
        assert_eq!(committed, commits, "{point}");
    }
    control(&cloud, "POST", "gate", json!({"action": "SendMessage", "call": 2, "point": "before-commit"})).await;
    send().await.expect("joined").expect("the first passes");
    let second = send();
    held("held").await;
    control(&cloud, "POST", "gate/release", json!({"action": "SendMessage", "call": 2, "point": "before-commit"}))
        .await;
    second.await.expect("joined").expect("goes on normally");
    cloud.shutdown().await;
}

#[tokio::test]
async fn the_control_port_drives_the_clock_and_begins_again() {
    let cloud = cloud(0.0, json!({})).await;
    let clock = control(&cloud, "POST", "clock", json!({"advance": "10m"})).await;
    assert_eq!(clock.trim(), r#"{"now":"2027-01-01T00:10:00Z","speed":0.0,"leaps":false}"#);
    sqs(&cloud).send_message().queue_url(work(&cloud)).message_body("a").send().await.expect("sent");
    assert_eq!(audit(&cloud).await.len(), 1);
    control(&cloud, "POST", "reset", Value::Null).await;
    assert_eq!(audit(&cloud).await.len(), 0);
    let truth: Value = serde_json::from_str(&control(&cloud, "GET", "world", Value::Null).await).expect("JSON");
    assert_eq!((&truth["now"], &truth["queues"][1]["waiting"]), (&json!("2027-01-01T00:00:00Z"), &json!(0)));
    for (method, path, body) in [
        ("POST", "clock", r#"{"advance": "back"}"#),
        ("POST", "faults", r#"{"rules": [{"action": "*", "do": "explode"}]}"#),
        ("POST", "gate", r#"{"action": "X", "point": "between"}"#),
        ("POST", "hosts/i-1", r#"{"do": "kill"}"#),
        ("GET", "audit?since=x", ""),
        ("GET", "nothing", ""),
    ] {
        let answer = raw(&cloud, &http(method, &format!("/_sim/{path}"), "", body)).await.expect("answered");
        assert!(answer.starts_with("HTTP/1.1 4") && answer.contains(r#"{"error":"#), "{path}: {answer}");
    }
    cloud.shutdown().await;
}

#[tokio::test]
async fn it_listens_on_loopback_only() {
    let seed = serde_json::from_value(json!({
        "account": "1", "region": "r", "subnets": [], "security_groups": [], "types": [],
    }));
    let options = ServeOptions {
        listen: ([0, 0, 0, 0], 0).into(),
        seed: seed.expect("a seed"),
        rng_seed: 1,
        speed: 1.0,
        faults: FaultScript::default(),
        hosts: Bodies::none(),
    };
    let error = serve(options).await.expect_err("refused");
    assert!(matches!(error, ServeError::NotLoopback(_)));
}

#[tokio::test]
async fn a_host_event_finds_its_host_by_launch_order() {
    let seed: Seed = serde_json::from_value(json!({
        "account": "123456789012", "region": "us-east-1", "security_groups": ["sg-0123456789abcdef0"], "decoys": true,
        "subnets": [{"id": "subnet-0123456789abcdef0", "zone": "us-east-1a"}],
        "types": [{"name": "m7i.large", "vcpus": 2, "memory_mib": 8192, "architecture": "x86_64", "on_demand": "0.1", "spot": "0.05"}],
        "images": [{"id": "ami-0123456789abcdef0", "name": "base", "owner": "123456789012", "architecture": "x86_64"}],
        "template": {"id": "i-0123456789abcdef0", "instance_type": "m7i.large", "subnet": "subnet-0123456789abcdef0",
            "image": "ami-0123456789abcdef0", "security_groups": ["sg-0123456789abcdef0"]},
        "start": "2027-01-01T00:00:00Z",
    }))
    .expect("a seed");
    let faults = serde_json::from_value(json!({"hosts": [{"at": "10m", "which": "1", "do": "interrupt"}]}));
    let listen = ([127, 0, 0, 1], 0).into();
    let options = ServeOptions {
        listen,
        seed,
        rng_seed: 1,
        speed: 0.0,
        faults: faults.expect("a script"),
        hosts: Bodies::none(),
    };
    let cloud = serve(options).await.expect("it starts");
    let run = "Action=RunInstances&Version=2016-11-15&ImageId=ami-0123456789abcdef0&InstanceType=m7i.large&MinCount=3&MaxCount=3\
        &SubnetId=subnet-0123456789abcdef0&InstanceMarketOptions.MarketType=spot";
    let answer = raw(&cloud, &query("ec2", run)).await.expect("answered");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    control(&cloud, "POST", "clock", json!({"advance": "9m"})).await;
    let notices = || async {
        let truth: Value = serde_json::from_str(&control(&cloud, "GET", "world", Value::Null).await).expect("JSON");
        let instances = truth["instances"].as_array().expect("instances").clone();
        let ours = instances.into_iter().filter(|one| one["owner"] == "AKIAX");
        ours.map(|one| one["interrupted_at"].is_string()).collect::<Vec<_>>()
    };
    assert_eq!(notices().await, [false, false, false]);
    control(&cloud, "POST", "clock", json!({"advance": "1m"})).await;
    assert_eq!(notices().await, [false, true, false]);
    cloud.shutdown().await;
}
