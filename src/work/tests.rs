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

/// An answer that fits every call: a receive finds messages in it, a batch the confirmation of each entry.
fn messages(count: usize) -> Canned {
    let message = |n: usize| {
        json!({
            "MessageId": format!("m-{n}"),
            "ReceiptHandle": format!("receipt-{n}"),
            "Body": "src/main.rs",
            "MD5OfBody": "b8d6be7ab3d4dfdb79a9fad3f4cc5e4b",
            "Attributes": {"ApproximateReceiveCount": "2"},
        })
    };
    let messages: Vec<Value> = (1..=count).map(message).collect();
    let good: Vec<Value> = (0..10).map(|n| json!({"Id": n.to_string()})).collect();
    Canned::new(200, json!({"Messages": messages, "Successful": good, "Failed": []}).to_string())
}

fn one_message() -> Canned {
    messages(1)
}

/// A batch whose first entry fails so; the others are confirmed.
fn first_fails(code: &str, sender_fault: bool) -> Canned {
    let good: Vec<Value> = (1..10).map(|n| json!({"Id": n.to_string()})).collect();
    let failed = json!([{"Id": "0", "Code": code, "Message": "said no", "SenderFault": sender_fault}]);
    Canned::new(200, json!({"Successful": good, "Failed": failed}).to_string())
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
    } else if body["Entries"][0].get("VisibilityTimeout").is_some() {
        "hide"
    } else if body.get("Entries").is_some() {
        "delete"
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

/// How long the first entry of a call is hidden, and how many entries it has.
fn hidden(body: &Value) -> (u64, usize) {
    (body["Entries"][0]["VisibilityTimeout"].as_u64().unwrap(), body["Entries"].as_array().unwrap().len())
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
    assert_eq!(worked.unwrap(), Worked { ok: 1, failed: 0, left: 0, ended: Ended::Enough });
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
    assert_eq!(worked.unwrap(), Worked { ok: 0, failed: 1, left: 1, ended: Ended::Enough });
    assert_eq!(names(&calls), ["receive"], "nothing is deleted, nothing is hidden or shown");
    assert!(said.contains("result=exit-3"), "{said}");

    let soon = Options { retry_after: Some(Duration::from_secs(5)), ..options("exit 3") };
    let (_, calls, _) = run([one_message()], &soon, stop).await;
    assert_eq!(names(&calls), ["receive", "hide"]);
    assert_eq!(hidden(&calls[1].1), (5, 1));
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
    assert!(calls.iter().filter(|(name, _)| *name == "hide").all(|(_, body)| hidden(body) == (120, 1)));
}

/// Calls of one kind, in order.
fn of_kind<'a>(calls: &'a [(&'static str, Value)], kind: &str) -> Vec<&'a Value> {
    calls.iter().filter(|(name, _)| *name == kind).map(|(_, body)| body).collect()
}

#[tokio::test]
async fn a_batch_is_kept_hidden_ten_at_a_call() {
    let (_sender, stop) = Stop::by_hand();
    // Half an hour is 1.8 s of wall time here: the extension after ten minutes comes at 0.6 s.
    let visibility = Duration::from_mins(30);
    let batch =
        Options { batch: Some(24), max_items: Some(24), visibility, ..options("sleep 0.8; test $(wc -l) -eq 24") };
    let answers = [messages(10), messages(10), messages(4), messages(1)];
    let (worked, calls, _) = run(answers, &batch, stop).await;
    assert_eq!(worked.unwrap(), Worked { ok: 24, failed: 0, left: 0, ended: Ended::Enough });
    let mut sizes: Vec<(u64, usize)> = of_kind(&calls, "hide").into_iter().map(hidden).collect();
    assert_eq!(sizes.len() % 3, 0, "{sizes:?}");
    sizes[..3].sort_unstable();
    assert_eq!(sizes[..3], [(1800, 4), (1800, 10), (1800, 10)], "all of them in three calls");
    let acknowledged: Vec<usize> =
        of_kind(&calls, "delete").iter().map(|body| body["Entries"].as_array().unwrap().len()).collect();
    assert_eq!(acknowledged, [10, 10, 4]);
}

#[tokio::test]
async fn an_extension_that_fails_is_tried_again_soon_and_a_lost_message_no_more() {
    let (_sender, stop) = Stop::by_hand();
    // Half an hour is 1.8 s: extensions come 0.6 s apart, a second try 0.15 s after the first.
    let visibility = Duration::from_mins(30);
    let two = |script: &str| Options { batch: Some(2), max_items: Some(2), visibility, ..options(script) };
    let answers = [messages(2), first_fails("RequestThrottled", true), messages(2)];
    let (worked, calls, said) = run(answers, &two("sleep 1"), stop.clone()).await;
    assert_eq!(worked.unwrap().ok, 2);
    let sizes: Vec<_> = of_kind(&calls, "hide").into_iter().map(hidden).collect();
    assert_eq!(sizes[..2], [(1800, 2), (1800, 2)], "the second try comes before the next third");
    assert!(said.contains("tries again soon"), "{said}");

    let answers = [messages(2), first_fails("MessageNotInflight", true), messages(2)];
    let (_, calls, said) = run(answers, &two("sleep 1.4"), stop).await;
    let sizes: Vec<_> = of_kind(&calls, "hide").into_iter().map(hidden).collect();
    assert_eq!(sizes[..2], [(1800, 2), (1800, 1)], "the other one is still ours");
    assert!(said.contains("another worker may take the item too"), "{said}");
}

#[tokio::test]
async fn twelve_hours_are_the_end_of_hiding() {
    let (_sender, stop) = Stop::by_hand();
    // Twelve hours are 43.2 s of wall time: too long for a test, so the clock starts late.
    let mut said = Vec::new();
    let responder = Responder::start([messages(1)]).await;
    let clock = std::sync::Arc::new(FastClock(Instant::now()));
    let options = options("true");
    let queue = Queue::new(responder.clients().await, clock.clone(), &options, 7);
    let taken = queue.take(1, clock.now(), &stop, &mut Log::new(&mut said)).await.unwrap();
    let mut hold = queue.hold(clock.now() - SignedDuration::from_secs(43_100));
    let mut log = Log::new(&mut said);
    let ended = tokio::time::timeout(Duration::from_millis(300), queue.keep_hidden(&taken, &mut hold, &mut log)).await;
    assert!(ended.is_err());
    let calls: Vec<_> = responder.bodies().iter().map(|body| call(body)).collect();
    let spans: Vec<u64> = of_kind(&calls, "hide").into_iter().map(|body| hidden(body).0).collect();
    assert!(spans.len() >= 2 && spans.iter().all(|span| *span <= 100), "{spans:?}");
    assert!(spans.windows(2).all(|pair| pair[0] > pair[1]), "each up to the same end: {spans:?}");
    let said = String::from_utf8(said).unwrap();
    assert_eq!(said.matches("12 hours").count(), 1, "{said}");
}

#[tokio::test]
async fn what_waits_for_its_acknowledgement_is_kept_hidden() {
    // Throttled for more than seven seconds of world time, with items that are hidden for twelve.
    let throttled = vec![refusal("RequestThrottled"); 4];
    let responder = Responder::start(throttled.into_iter().chain([messages(1)])).await;
    let clock = std::sync::Arc::new(FastClock(Instant::now()));
    let options = Options { visibility: Duration::from_secs(12), ..options("true") };
    let queue = Queue::new(responder.clients().await, clock.clone(), &options, 7);
    let item = |n| Received { item: None, body: "b".into(), receipt: format!("r-{n}"), receives: 1 };
    let taken: Vec<Received> = (0..20).map(item).collect();
    let mut hold = queue.hold(clock.now());
    let confirmed = queue.acknowledge(&taken, &mut hold, &mut Log::new(&mut Vec::new())).await;
    assert_eq!(confirmed, [true; 20]);
    let calls: Vec<_> = responder.bodies().iter().map(|body| call(body)).collect();
    // Which of the two arrives first is a matter of milliseconds.
    assert!(names(&calls).contains(&"delete"), "{:?}", names(&calls));
    let meanwhile = of_kind(&calls, "hide");
    assert!(!meanwhile.is_empty(), "{:?}", names(&calls));
    for body in meanwhile {
        assert_eq!(hidden(body), (12, 10));
        assert_eq!(body["Entries"][0]["ReceiptHandle"], "r-10", "those whose turn has not come");
    }
}

#[tokio::test]
async fn the_first_signal_finishes_the_item_in_hand() {
    let dir = tempfile::tempdir().unwrap();
    let mark = dir.path().join("mark");
    let (sender, stop) = Stop::by_hand();
    raise_when(mark.clone(), 1, sender);
    let forever = Options { max_items: None, ..options(&format!("touch {}; sleep 0.1", mark.display())) };
    let (worked, calls, _) = run([one_message()], &forever, stop).await;
    assert_eq!(worked.unwrap(), Worked { ok: 1, failed: 0, left: 0, ended: Ended::Asked });
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
    assert_eq!(worked.unwrap(), Worked { ok: 0, failed: 1, left: 1, ended: Ended::Abandoned });
    assert_eq!(stop.exit(), Exit::Terminated);
    let (name, body) = calls.last().unwrap();
    assert_eq!((*name, hidden(body)), ("hide", (0, 1)));
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
    assert_eq!(worked.unwrap(), Worked { ok: 1, failed: 0, left: 0, ended: Ended::Empty });
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
    assert_eq!(worked.unwrap(), Worked { ok: 3, failed: 0, left: 0, ended: Ended::Enough });
    assert_eq!(names(&calls), ["receive", "receive", "receive", "delete"]);
    let asked: Vec<&Value> = calls[..3].iter().map(|(_, body)| &body["MaxNumberOfMessages"]).collect();
    assert_eq!(asked, [3, 2, 1]);
}

#[tokio::test]
async fn a_command_that_is_not_there_takes_no_item() {
    let (_sender, stop) = Stop::by_hand();
    let missing = Options { command: vec!["/no/such/program".into()], ..options("") };
    let (worked, calls, _) = run([one_message()], &missing, stop).await;
    assert!(matches!(&worked, Err(WorkError::Start { program, .. }) if program == "/no/such/program"), "{worked:?}");
    assert!(calls.is_empty(), "each take counts against the item: {calls:?}");
}

#[tokio::test]
async fn a_command_that_cannot_start_gives_the_item_back() {
    use std::os::unix::fs::PermissionsExt;
    let (_sender, stop) = Stop::by_hand();
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("for-another-machine");
    std::fs::write(&program, "\x7fELF?").unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let foreign = Options { command: vec![program.display().to_string()], ..options("") };
    let (worked, calls, _) = run([one_message()], &foreign, stop).await;
    assert!(matches!(&worked, Err(WorkError::Start { .. })), "{worked:?}");
    assert_eq!(hidden(&calls.last().unwrap().1), (0, 1));
}

#[tokio::test]
async fn a_host_on_which_every_command_fails_leaves_the_queue_to_others() {
    let (_sender, stop) = Stop::by_hand();
    let sick = Options { max_items: Some(5), ..options("exit 1") };
    let (worked, _, said) = run((0..5).map(|_| one_message()), &sick, stop).await;
    assert_eq!(worked.unwrap().failed, 5);
    for rests in ["failed 3 times in a row\" next=\"leaves the queue to others for 1 s", "for 2 s"] {
        assert_eq!(said.matches(rests).count(), 1, "{rests}: {said}");
    }
}

#[tokio::test]
async fn an_acknowledgement_that_fails_is_tried_again_and_told() {
    let (_sender, stop) = Stop::by_hand();
    let answers = [one_message(), refusal("RequestThrottled"), one_message()];
    let (worked, calls, _) = run(answers, &options("true"), stop.clone()).await;
    assert_eq!(worked.unwrap().ok, 1);
    assert_eq!(names(&calls), ["receive", "delete", "delete"]);

    let (worked, _, said) = run([one_message(), refusal("AccessDenied")], &options("true"), stop).await;
    assert_eq!(worked.unwrap(), Worked { ok: 0, failed: 1, left: 1, ended: Ended::Enough });
    assert!(said.contains("result=not-acknowledged"), "{said}");
}
