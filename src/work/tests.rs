//! The worker against a queue that gives prepared answers: what it sends, when, and why it stops.

use super::*;
use crate::aws::responder::{Canned, Responder};
use crate::exit::Exit;
use crate::model::FaultKind;
use crate::time::{BoxFuture, Clock};
use serde_json::{Value, json};
use std::time::Instant;
use tokio::sync::watch;

/// World time that runs a thousand times as fast as wall time.
struct FastClock(Instant);

const SPEED: u32 = 1000;

impl Clock for FastClock {
    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::try_from(self.0.elapsed() * SPEED).unwrap()
    }

    fn sleep_until(&self, instant: Timestamp) -> BoxFuture<'_, ()> {
        let left = Duration::try_from(instant.duration_since(self.now())).unwrap_or_default();
        Box::pin(tokio::time::sleep(left / SPEED))
    }
}

/// An answer that fits every call: a receive finds one message in it, a delete its confirmation.
fn one_message() -> Canned {
    let message = json!({
        "MessageId": "m-1",
        "ReceiptHandle": "receipt-1",
        "Body": "src/main.rs",
        "MD5OfBody": "b8d6be7ab3d4dfdb79a9fad3f4cc5e4b",
        "Attributes": {"ApproximateReceiveCount": "2"},
    });
    let answer = json!({"Messages": [message], "Successful": [{"Id": "0"}], "Failed": []});
    Canned::new(200, answer.to_string())
}

/// A refusal of the JSON protocol.
fn refusal(code: &str) -> Canned {
    let body = json!({"__type": format!("com.amazonaws.sqs#{code}"), "message": "said no"});
    Canned::new(400, body.to_string())
}

fn options(script: &str) -> Options {
    Options {
        queue_url: "http://queue.local/123456789012/crawl".into(),
        batch: None,
        visibility: Duration::from_mins(2),
        retry_after: None,
        exit_when_empty: false,
        max_items: Some(1),
        command: vec!["sh".into(), "-c".into(), script.into()],
    }
}

/// What a call was, by what only it says.
fn call(body: &str) -> (&'static str, Value) {
    let body: Value = serde_json::from_str(body).unwrap();
    let name = if body.get("MaxNumberOfMessages").is_some() {
        "receive"
    } else if body.get("Entries").is_some() {
        "delete"
    } else if body.get("ReceiptHandle").is_some() {
        "hide"
    } else {
        "other"
    };
    (name, body)
}

/// Runs the worker; answers what came of it, the calls it made, and what it said.
async fn run(
    answers: impl IntoIterator<Item = Canned>,
    options: &Options,
    stop: Stop,
) -> (Result<Worked, WorkError>, Vec<(&'static str, Value)>, String) {
    let responder = Responder::start(answers).await;
    let mut said = Vec::new();
    let clock = std::sync::Arc::new(FastClock(Instant::now()));
    let worked = work(responder.clients().await, clock, options, stop, 7, &mut said).await;
    let calls = responder.bodies().iter().map(|body| call(body)).collect();
    (worked, calls, String::from_utf8(said).unwrap())
}

fn names(calls: &[(&'static str, Value)]) -> Vec<&'static str> {
    calls.iter().map(|(name, _)| *name).collect()
}

/// Raises a stop to this level once the file is there.
fn raise_when(file: std::path::PathBuf, level: u8, sender: watch::Sender<Asked>) {
    tokio::spawn(async move {
        while !file.exists() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        sender.send_replace(Asked { level, exit: Exit::Terminated });
        sender.closed().await;
    });
}

#[tokio::test]
async fn acknowledges_what_went_well() {
    let (_sender, stop) = Stop::by_hand();
    let (worked, calls, said) = run([one_message()], &options(r#"test "$FLEETWRIGHT_ITEM" = src/main.rs"#), stop).await;
    assert_eq!(worked.unwrap(), Worked { ok: 1, failed: 0, ended: Ended::Enough });
    assert_eq!(names(&calls), ["receive", "delete"]);
    let receive = &calls[0].1;
    assert_eq!((&receive["MaxNumberOfMessages"], &receive["VisibilityTimeout"]), (&json!(1), &json!(120)));
    assert_eq!(receive["WaitTimeSeconds"], 20);
    assert!(said.contains("item=src/main.rs result=ok took="), "{said}");
    assert!(said.contains("receives=2"), "{said}");
}

#[tokio::test]
async fn leaves_what_failed_to_the_queue() {
    let (_sender, stop) = Stop::by_hand();
    let (worked, calls, said) = run([one_message()], &options("exit 3"), stop.clone()).await;
    assert_eq!(worked.unwrap(), Worked { ok: 0, failed: 1, ended: Ended::Enough });
    assert_eq!(names(&calls), ["receive"], "nothing is deleted, nothing is hidden or shown");
    assert!(said.contains("result=exit-3"), "{said}");

    let soon = Options { retry_after: Some(Duration::from_secs(5)), ..options("exit 3") };
    let (_, calls, _) = run([one_message()], &soon, stop).await;
    assert_eq!(names(&calls), ["receive", "hide"]);
    assert_eq!(calls[1].1["VisibilityTimeout"], 5);
}

#[tokio::test]
async fn keeps_items_hidden_while_the_command_runs() {
    let (_sender, stop) = Stop::by_hand();
    // 0.3 s are five minutes of world time: without extensions the item would have come back twice.
    let (worked, calls, _) = run([one_message()], &options("sleep 0.3"), stop).await;
    assert_eq!(worked.unwrap().ok, 1);
    let names = names(&calls);
    assert!(names.iter().filter(|name| **name == "hide").count() >= 3, "{names:?}");
    assert_eq!(names.last(), Some(&"delete"));
    assert!(calls.iter().filter(|(name, _)| *name == "hide").all(|(_, body)| body["VisibilityTimeout"] == 120));
}

#[tokio::test]
async fn the_first_signal_finishes_the_item_in_hand() {
    let dir = tempfile::tempdir().unwrap();
    let mark = dir.path().join("mark");
    let (sender, stop) = Stop::by_hand();
    raise_when(mark.clone(), 1, sender);
    let forever = Options { max_items: None, ..options(&format!("touch {}; sleep 0.1", mark.display())) };
    let (worked, calls, _) = run([one_message()], &forever, stop).await;
    assert_eq!(worked.unwrap(), Worked { ok: 1, failed: 0, ended: Ended::Asked });
    assert_eq!((names(&calls).first(), names(&calls).last()), (Some(&"receive"), Some(&"delete")));
    assert_eq!(names(&calls).iter().filter(|name| **name == "receive").count(), 1);
}

#[tokio::test]
async fn the_second_signal_gives_the_item_back() {
    let dir = tempfile::tempdir().unwrap();
    let mark = dir.path().join("mark");
    let (sender, stop) = Stop::by_hand();
    raise_when(mark.clone(), 2, sender);
    let long = options(&format!("touch {}; exec sleep 600", mark.display()));
    let (worked, calls, said) = run([one_message()], &long, stop.clone()).await;
    assert_eq!(worked.unwrap(), Worked { ok: 0, failed: 1, ended: Ended::Abandoned });
    assert_eq!(stop.exit(), Exit::Terminated);
    let (name, body) = calls.last().unwrap();
    assert_eq!((*name, &body["VisibilityTimeout"]), ("hide", &json!(0)));
    assert!(said.contains("result=given-back"), "{said}");
}

#[tokio::test]
async fn waits_out_what_passes_and_gives_up_on_what_does_not() {
    let (_sender, stop) = Stop::by_hand();
    let throttled = refusal("RequestThrottled");
    let (worked, calls, said) =
        run([throttled.clone(), throttled, one_message()], &options("true"), stop.clone()).await;
    assert_eq!(worked.unwrap().ok, 1);
    assert_eq!(names(&calls), ["receive", "receive", "receive", "delete"]);
    assert!(said.contains("next=\"again in "), "{said}");

    let (worked, calls, _) = run([refusal("AccessDenied")], &options("true"), stop.clone()).await;
    let Err(WorkError::Queue { source, .. }) = worked else { panic!("{worked:?}") };
    assert_eq!((source.kind, calls.len()), (FaultKind::Denied, 1));

    let (worked, calls, _) = run([refusal("QueueDoesNotExist")], &options("true"), stop).await;
    assert!(matches!(worked, Err(WorkError::Queue { .. })), "{worked:?}");
    assert!(calls.len() > 2, "a queue that is missing may only be new");
}

#[tokio::test]
async fn an_empty_queue_ends_the_work_when_asked() {
    let (_sender, stop) = Stop::by_hand();
    let until_empty = Options { exit_when_empty: true, max_items: None, ..options("true") };
    let (worked, calls, _) = run([one_message(), one_message(), Canned::new(200, "{}")], &until_empty, stop).await;
    assert_eq!(worked.unwrap(), Worked { ok: 1, failed: 0, ended: Ended::Empty });
    assert_eq!(names(&calls), ["receive", "delete", "receive", "receive"]);
}

#[tokio::test]
async fn a_batch_is_taken_in_several_receives_and_run_once() {
    let (_sender, stop) = Stop::by_hand();
    // Gathering stops when the first item's extension is due: at this clock's speed two minutes would be too short.
    let visibility = Duration::from_hours(12);
    let three = Options { batch: Some(3), max_items: Some(3), visibility, ..options("test $(wc -l) -eq 3") };
    let confirmed = json!({"Successful": [{"Id": "0"}, {"Id": "1"}, {"Id": "2"}]}).to_string();
    let answers = [one_message(), one_message(), one_message(), Canned::new(200, confirmed)];
    let (worked, calls, _) = run(answers, &three, stop).await;
    assert_eq!(worked.unwrap(), Worked { ok: 3, failed: 0, ended: Ended::Enough });
    assert_eq!(names(&calls), ["receive", "receive", "receive", "delete"]);
    let asked: Vec<&Value> = calls[..3].iter().map(|(_, body)| &body["MaxNumberOfMessages"]).collect();
    assert_eq!(asked, [3, 2, 1]);
}

#[tokio::test]
async fn a_command_that_cannot_start_gives_the_item_back() {
    let (_sender, stop) = Stop::by_hand();
    let missing = Options { command: vec!["/no/such/program".into()], ..options("") };
    let (worked, calls, _) = run([one_message()], &missing, stop).await;
    assert!(matches!(&worked, Err(WorkError::Start { program, .. }) if program == "/no/such/program"), "{worked:?}");
    assert_eq!(calls.last().unwrap().1["VisibilityTimeout"], 0);
}

#[tokio::test]
async fn an_acknowledgement_that_fails_is_tried_again_and_told() {
    let (_sender, stop) = Stop::by_hand();
    let answers = [one_message(), refusal("RequestThrottled"), one_message()];
    let (worked, calls, _) = run(answers, &options("true"), stop.clone()).await;
    assert_eq!(worked.unwrap().ok, 1);
    assert_eq!(names(&calls), ["receive", "delete", "delete"]);

    let (worked, _, said) = run([one_message(), refusal("AccessDenied")], &options("true"), stop).await;
    assert_eq!(worked.unwrap(), Worked { ok: 0, failed: 1, ended: Ended::Enough });
    assert!(said.contains("result=not-acknowledged"), "{said}");
}
