//! Tests of the queues on a clock of their own; the digests are those that boto3 and the SDKs compute.

use super::*;

const START: i64 = 1_800_000_000;

struct Cloud {
    sqs: Sqs,
    second: i64,
}

impl Cloud {
    fn new() -> Self {
        let seed: Seed = serde_json::from_value(json!({
            "account": "123456789012", "region": "us-east-1", "subnets": [], "security_groups": [], "types": [],
            "queues": [
                {"name": "work", "visibility_timeout": 30, "dead_letter": "dead", "max_receive": 2},
                {"name": "dead"},
            ],
        }))
        .expect("a seed");
        let now = Timestamp::from_second(START).expect("a time");
        Self { sqs: Sqs::new(&seed, 7, "http://127.0.0.1:1", now), second: 0 }
    }

    fn call(&self, action: &str, parameters: &Value) -> Call {
        Call {
            service: "sqs".to_owned(),
            region: "us-east-1".to_owned(),
            action: action.to_owned(),
            payload: Payload::Json(parameters.clone()),
            principal: "AKIA".to_owned(),
            now: Timestamp::from_second(START + self.second).expect("a time"),
            request_id: "r".to_owned(),
        }
    }

    /// Calls on the queue `work` unless another URL or name is given.
    fn ask(&mut self, action: &str, mut parameters: Value) -> Result<Value, ApiError> {
        if parameters.get("QueueUrl").is_none() && parameters.get("QueueName").is_none() {
            parameters["QueueUrl"] = url("work").into();
        }
        let call = self.call(action, &parameters);
        self.sqs.handle(&call).map(|reply| serde_json::from_str(&reply.body).expect("JSON"))
    }

    fn ok(&mut self, action: &str, parameters: Value) -> Value {
        self.ask(action, parameters).unwrap_or_else(|error| panic!("{action}: {error:?}"))
    }

    fn code(&mut self, action: &str, parameters: Value) -> String {
        self.ask(action, parameters).expect_err(action).code
    }

    fn receive(&mut self) -> Vec<Value> {
        let answer = self.ok("ReceiveMessage", json!({"MaxNumberOfMessages": 10, "AttributeNames": ["All"]}));
        answer.get("Messages").and_then(Value::as_array).cloned().unwrap_or_default()
    }

    fn counts(&mut self) -> (String, String, String) {
        let answer = self.ok("GetQueueAttributes", json!({"AttributeNames": ["All"]}));
        let count = |end: &str| {
            answer["Attributes"][format!("ApproximateNumberOfMessages{end}")].as_str().expect("count").to_owned()
        };
        (count(""), count("NotVisible"), count("Delayed"))
    }
}

fn url(name: &str) -> String {
    format!("http://127.0.0.1:1/123456789012/{name}")
}

fn counts(waiting: &str, in_flight: &str, delayed: &str) -> (String, String, String) {
    (waiting.to_owned(), in_flight.to_owned(), delayed.to_owned())
}

#[test]
fn a_message_comes_back_after_its_visibility_time_out_with_a_new_receipt() {
    let mut cloud = Cloud::new();
    let sent = cloud.ok("SendMessage", json!({"MessageBody": "This is a test message"}));
    assert_eq!(sent["MD5OfMessageBody"], "fafb00f5732ab283681e124bf8747ed1");
    let first = cloud.receive();
    assert_eq!(
        (first[0]["Body"].as_str(), first[0]["MD5OfBody"].as_str()),
        (Some("This is a test message"), Some("fafb00f5732ab283681e124bf8747ed1"))
    );
    assert_eq!(cloud.counts(), counts("0", "1", "0"));
    cloud.second = 29;
    assert!(cloud.receive().is_empty());
    cloud.second = 30;
    let second = cloud.receive();
    assert_eq!(second[0]["Attributes"]["ApproximateReceiveCount"], "2");
    assert_ne!(first[0]["ReceiptHandle"], second[0]["ReceiptHandle"]);
    cloud.ok("DeleteMessage", json!({"ReceiptHandle": first[0]["ReceiptHandle"]}));
    assert_eq!(cloud.counts(), counts("0", "0", "0"), "a stale receipt deletes on a standard queue");
    cloud.ok("DeleteMessage", json!({"ReceiptHandle": second[0]["ReceiptHandle"]}));
    assert_eq!(cloud.code("DeleteMessage", json!({"ReceiptHandle": "made up"})), "ReceiptHandleIsInvalid");
}

#[test]
fn visibility_is_stretched_and_given_back() {
    let mut cloud = Cloud::new();
    cloud.ok("SendMessage", json!({"MessageBody": "a"}));
    let receipt = cloud.receive()[0]["ReceiptHandle"].clone();
    cloud.second = 20;
    cloud.ok("ChangeMessageVisibility", json!({"ReceiptHandle": receipt, "VisibilityTimeout": 60}));
    cloud.second = 79;
    assert!(cloud.receive().is_empty());
    cloud.ok("ChangeMessageVisibility", json!({"ReceiptHandle": receipt, "VisibilityTimeout": 0}));
    let change = json!({"ReceiptHandle": receipt, "VisibilityTimeout": 5});
    assert_eq!(cloud.code("ChangeMessageVisibility", change), "MessageNotInflight");
    assert_eq!(cloud.receive().len(), 1);
    let change = json!({"ReceiptHandle": receipt, "VisibilityTimeout": 43_201});
    assert_eq!(cloud.code("ChangeMessageVisibility", change), "InvalidParameterValue");
}

#[test]
fn a_poison_message_is_buried_at_the_receive_after_the_last() {
    let mut cloud = Cloud::new();
    let id = cloud.ok("SendMessage", json!({"MessageBody": "poison"}))["MessageId"].clone();
    for second in [0, 30] {
        cloud.second = second;
        assert_eq!(cloud.receive().len(), 1);
    }
    cloud.second = 100;
    assert_eq!(cloud.counts(), counts("1", "0", "0"), "nobody has asked yet");
    assert!(cloud.receive().is_empty());
    assert_eq!(cloud.counts(), counts("0", "0", "0"));
    let dead = cloud.ok("ReceiveMessage", json!({"QueueUrl": url("dead"), "MessageSystemAttributeNames": ["All"]}));
    assert_eq!(dead["Messages"][0]["MessageId"], id);
    let attributes = &dead["Messages"][0]["Attributes"];
    assert_eq!(attributes["DeadLetterQueueSourceArn"], "arn:aws:sqs:us-east-1:123456789012:work");
    assert_eq!(
        (&attributes["ApproximateReceiveCount"], &attributes["SentTimestamp"]),
        (&"3".into(), &"1800000000000".into())
    );
}

#[test]
fn delayed_messages_are_counted_apart_and_old_ones_are_lost() {
    let mut cloud = Cloud::new();
    cloud.ok("SendMessage", json!({"MessageBody": "later", "DelaySeconds": 900}));
    assert_eq!(cloud.counts(), counts("0", "0", "1"));
    cloud.second = 900;
    assert_eq!(cloud.receive().len(), 1);
    cloud.second = 345_599;
    assert_eq!(cloud.receive().len(), 1);
    cloud.second = 345_600;
    assert_eq!(cloud.counts(), counts("0", "0", "0"));
    let now = cloud.call("", &json!({})).now;
    assert_eq!(cloud.sqs.world(now)[1]["expired"], 1);
}

#[test]
fn counters_lag_but_never_longer_than_asked() {
    let mut cloud = Cloud::new();
    cloud.sqs.set_lag(60);
    cloud.second = 100;
    cloud.ok("SendMessage", json!({"MessageBody": "a"}));
    let mut seen = Vec::new();
    for second in 101..=160 {
        cloud.second = second;
        seen.push(cloud.counts().0);
    }
    assert!(seen[..30].contains(&"0".to_owned()), "some reader sees it late: {seen:?}");
    assert_eq!(seen[59], "1");
    cloud.second = 161;
    assert_eq!(cloud.receive().len(), 1);
    cloud.second = 400;
    assert_eq!(cloud.counts(), counts("1", "0", "0"), "it came back long ago");
}

#[test]
fn a_batch_fails_by_entry() {
    let mut cloud = Cloud::new();
    let answer = cloud.ok(
        "SendMessageBatch",
        json!({"Entries": [
            {"Id": "a", "MessageBody": "fine"},
            {"Id": "b", "MessageBody": "not \u{1} fine"},
            {"Id": "c", "MessageBody": "x", "DelaySeconds": 901},
        ]}),
    );
    assert_eq!(answer["Successful"][0]["Id"], "a");
    assert_eq!(answer["Failed"][0]["Code"], "InvalidMessageContents");
    assert_eq!((&answer["Failed"][1]["Id"], &answer["Failed"][1]["SenderFault"]), (&"c".into(), &true.into()));
    let entries = |ids: &[&str]| -> Value {
        json!({"Entries": ids.iter().map(|id| json!({"Id": id, "MessageBody": "x"})).collect::<Vec<_>>()})
    };
    assert_eq!(cloud.code("SendMessageBatch", entries(&[])), "EmptyBatchRequest");
    assert_eq!(cloud.code("SendMessageBatch", entries(&["a", "a"])), "BatchEntryIdsNotDistinct");
    assert_eq!(cloud.code("SendMessageBatch", entries(&["a b"])), "InvalidBatchEntryId");
    assert_eq!(
        cloud.code("SendMessageBatch", entries(&["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10"])),
        "TooManyEntriesInBatchRequest"
    );
    let big = json!({"Entries": [
        {"Id": "a", "MessageBody": "x".repeat(600_000)}, {"Id": "b", "MessageBody": "x".repeat(600_000)},
    ]});
    assert_eq!(cloud.code("SendMessageBatch", big), "BatchRequestTooLong");
    assert_eq!(cloud.counts(), counts("1", "0", "0"), "a refused batch sends nothing");
    let receipt = cloud.receive()[0]["ReceiptHandle"].clone();
    let answer = cloud.ok(
        "DeleteMessageBatch",
        json!({"Entries": [{"Id": "1", "ReceiptHandle": receipt}, {"Id": "2", "ReceiptHandle": "?"}]}),
    );
    assert_eq!(
        (&answer["Successful"][0]["Id"], &answer["Failed"][0]["Code"]),
        (&"1".into(), &"ReceiptHandleIsInvalid".into())
    );
}

#[test]
fn attributes_are_digested_as_clients_do() {
    let mut cloud = Cloud::new();
    let attributes = json!({
        "n": {"DataType": "Number", "StringValue": "42"},
        "b": {"DataType": "Binary", "BinaryValue": "aGVsbG8="},
    });
    // md5 of: 00000001 "b" 00000006 "Binary" 02 00000005 "hello" 00000001 "n" 00000006 "Number" 01 00000002 "42",
    // computed apart from this code.
    let digest = "c50ae82ebfe670afb33883042ab19ce7";
    let sent = cloud.ok("SendMessage", json!({"MessageBody": "a", "MessageAttributes": attributes}));
    assert_eq!(sent["MD5OfMessageAttributes"], digest);
    let got = cloud.ok("ReceiveMessage", json!({"MessageAttributeNames": ["All"], "VisibilityTimeout": 0}));
    assert_eq!(got["Messages"][0]["MD5OfMessageAttributes"], digest);
    assert_eq!(got["Messages"][0]["MessageAttributes"], attributes);
    let got = cloud.ok("ReceiveMessage", json!({}));
    assert_eq!(got["Messages"][0].get("MessageAttributes"), None);
    let bad = json!({"MessageBody": "a", "MessageAttributes": {"n": {"DataType": "Number", "StringValue": "x"}}});
    assert_eq!(cloud.code("SendMessage", bad), "InvalidParameterValue");
}

#[test]
fn a_queue_is_made_once_and_not_again_for_a_minute_after_its_end() {
    let mut cloud = Cloud::new();
    let make = |visibility: &str| json!({"QueueName": "new", "Attributes": {"VisibilityTimeout": visibility}, "tags": {"k": "v"}});
    assert_eq!(cloud.ok("CreateQueue", make("60"))["QueueUrl"], url("new"));
    assert_eq!(cloud.ok("CreateQueue", make("60"))["QueueUrl"], url("new"));
    assert_eq!(cloud.code("CreateQueue", make("61")), "QueueNameExists");
    assert_eq!(cloud.ok("ListQueueTags", json!({"QueueUrl": url("new")}))["Tags"]["k"], "v");
    cloud.ok("DeleteQueue", json!({"QueueUrl": url("new")}));
    assert_eq!(cloud.code("GetQueueUrl", json!({"QueueName": "new"})), "QueueDoesNotExist");
    assert_eq!(cloud.code("CreateQueue", make("60")), "QueueDeletedRecently");
    cloud.second = 60;
    cloud.ok("CreateQueue", make("60"));
    assert_eq!(cloud.code("CreateQueue", json!({"QueueName": "x.fifo"})), "InvalidParameterValue");
    assert_eq!(
        cloud.code("CreateQueue", json!({"QueueName": "x", "Attributes": {"Speed": "1"}})),
        "InvalidAttributeName"
    );
    let orphan =
        json!({"deadLetterTargetArn": "arn:aws:sqs:us-east-1:123456789012:none", "maxReceiveCount": 1}).to_string();
    assert_eq!(
        cloud.code("CreateQueue", json!({"QueueName": "x", "Attributes": {"RedrivePolicy": orphan}})),
        "InvalidParameterValue"
    );
}

#[test]
fn queues_are_listed_in_pages() {
    let mut cloud = Cloud::new();
    let first = cloud.ok("ListQueues", json!({"MaxResults": 1}));
    assert_eq!(first["QueueUrls"], json!([url("dead")]));
    let second = cloud.ok("ListQueues", json!({"MaxResults": 1, "NextToken": first["NextToken"]}));
    assert_eq!((&second["QueueUrls"], second.get("NextToken")), (&json!([url("work")]), None));
    assert_eq!(cloud.ok("ListQueues", json!({"QueueNamePrefix": "none"})), json!({}));
    assert_eq!(
        cloud.ok("ListDeadLetterSourceQueues", json!({"QueueUrl": url("dead")}))["queueUrls"],
        json!([url("work")])
    );
}

#[test]
fn an_empty_receive_knows_when_to_look_again() {
    let mut cloud = Cloud::new();
    cloud.ok("SendMessage", json!({"MessageBody": "a", "DelaySeconds": 5}));
    let parameters = json!({"QueueUrl": url("work"), "WaitTimeSeconds": 20});
    let began = cloud.call("ReceiveMessage", &parameters);
    let handled = cloud.sqs.handle(&began);
    let again = |cloud: &Cloud, second: i64| {
        let call = Call { now: Timestamp::from_second(START + second).expect("a time"), ..began.clone() };
        cloud.sqs.look_again(&call, began.now, &handled).map(|at| at.as_second() - START)
    };
    assert_eq!(again(&cloud, 0), Some(5), "the delayed message");
    assert_eq!(again(&cloud, 20), None);
    cloud.second = 5;
    cloud.receive();
    let short = cloud.call("ReceiveMessage", &json!({"QueueUrl": url("work")}));
    assert_eq!(cloud.sqs.look_again(&short, short.now, &handled), None, "no wait was asked for");
}

#[test]
fn a_purge_empties_once_a_minute() {
    let mut cloud = Cloud::new();
    cloud.ok("SendMessage", json!({"MessageBody": "a"}));
    cloud.ok("SendMessage", json!({"MessageBody": "b"}));
    cloud.ok("ReceiveMessage", json!({}));
    cloud.ok("PurgeQueue", json!({}));
    assert_eq!(cloud.counts(), counts("0", "0", "0"));
    assert_eq!(cloud.code("PurgeQueue", json!({})), "PurgeQueueInProgress");
}
