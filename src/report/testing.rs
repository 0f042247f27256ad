//! What the tests of the reports share: a writer that can be read, and one push told in events.

use super::Out;
use crate::event::{Event, Sink, Stamped, StepEnd};
use crate::model::{Address, Cost, Fault, FaultKind, Host, HostReport, HostResult, Market, Money, Sample};
use jiff::{SignedDuration, Timestamp};
use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A writer whose text stays readable.
#[derive(Clone, Default)]
pub(crate) struct Shared {
    bytes: Arc<Mutex<Vec<u8>>>,
    attempts: Arc<Mutex<usize>>,
    limit: Option<usize>,
}

impl Shared {
    /// Fails from the second write on, or whichever comes after `writes`.
    pub(crate) fn failing_after(writes: usize) -> Self {
        Self { limit: Some(writes), ..Self::default() }
    }

    pub(crate) fn boxed(&self) -> Out {
        Box::new(self.clone())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.bytes.lock().unwrap().clone()).unwrap()
    }

    pub(crate) fn attempts(&self) -> usize {
        *self.attempts.lock().unwrap()
    }
}

impl Write for Shared {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let mut attempts = self.attempts.lock().unwrap();
        *attempts += 1;
        if self.limit.is_some_and(|limit| *attempts > limit) {
            return Err(io::Error::new(io::ErrorKind::StorageFull, "no space"));
        }
        self.bytes.lock().unwrap().extend_from_slice(buf);
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// World time, seconds after the beginning.
pub(crate) fn at(seconds: i64) -> Timestamp {
    "2026-03-01T00:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_secs(seconds)
}

pub(crate) fn host(slot: u32) -> Host {
    Host {
        slot,
        id: format!("i-{slot:017x}").as_str().into(),
        address: Address { host: format!("10.0.0.{slot}"), port: 22 },
        user: "ada".to_owned(),
    }
}

pub(crate) fn report(slot: u32, result: HostResult, why: Option<(&str, &str)>, output: &str) -> HostReport {
    HostReport {
        host: host(slot),
        result,
        stage: why.map(|(stage, _)| stage.to_owned()),
        cause: why.map(|(_, cause)| cause.to_owned()),
        exit_status: (result == HostResult::Failed).then_some(3),
        output: output.to_owned(),
        took: Duration::from_millis(1500),
    }
}

/// A push on five hosts with everything in it that can be told.
pub(crate) fn campaign() -> Vec<Stamped> {
    let fault = Fault {
        kind: FaultKind::Throttled,
        action: "DescribeInstances".into(),
        code: "RequestLimitExceeded".into(),
        message: "Request limit exceeded.".into(),
        reason: "too many calls".into(),
        request_id: None,
    };
    let sample = |seconds, waiting, in_flight| {
        let sample = Sample {
            at: at(seconds),
            waiting: Some(waiting),
            in_flight: Some(in_flight),
            delayed: Some(0),
            dead: None,
        };
        let eta = (waiting > 0).then(|| SignedDuration::from_secs(840));
        let to_finish = eta.map(|_| Cost::of(Some(Money::from_micros(35_000)), 4));
        Event::Sampled { sample, outlook: if waiting > 0 { "working" } else { "quiet" }.into(), eta, to_finish }
    };
    let step = |step: &str, title: &str| Event::StepStarted { step: step.into(), title: title.into() };
    let end = |step: &str, end, detail: &str| Event::StepFinished { step: step.into(), end, detail: detail.into() };
    let unreachable = Some(("connect", "timed out after 10s"));
    let mut events = vec![
        (0, Event::RunStarted { run: "0195-run".into(), verb: "push".into(), fleet: "crawl".into(), resumed: false }),
        (0, step("survey", "look at the account")),
        (1, Event::Retrying { fault, attempt: 2, wait: SignedDuration::from_secs(4) }),
        (5, end("survey", StepEnd::Done, "5 hosts")),
        (5, step("template", "make the launch template")),
        (5, end("template", StepEnd::Unchanged, "version 3 is there")),
        (
            6,
            Event::Capacity {
                market: Market::Spot,
                wanted: 5,
                got: 3,
                refused: vec!["m7i.large in us-east-1a: no room (2)".into()],
            },
        ),
        (6, step("push", "push release 1a2b")),
    ];
    events.extend((0..5).map(|slot| (7, Event::HostStarted { host: host(slot) })));
    events.extend([
        (9, Event::HostFinished { report: report(0, HostResult::Changed, None, "") }),
        (9, Event::StepProgress { step: "push".into(), done: 1, total: Some(5), note: "wave 2".into() }),
        (9, Event::HostFinished { report: report(1, HostResult::Ok, None, "") }),
        (17, Event::HostFinished { report: report(2, HostResult::Unreachable, unreachable, "") }),
        (17, Event::HostFinished { report: report(3, HostResult::Unreachable, unreachable, "") }),
        (
            18,
            Event::HostFinished {
                report: report(
                    4,
                    HostResult::Failed,
                    Some(("restart", "exit status 3")),
                    "loading\n\x1b[31mno such unit",
                ),
            },
        ),
        (18, end("push", StepEnd::Failed, "3 of 5 hosts failed, 0 may")),
        (19, Event::Fed { sent: 40, total: 400 }),
        (19, Event::Fed { sent: 41, total: 400 }),
        (20, Event::Fed { sent: 400, total: 400 }),
        (30, sample(30, 360, 8)),
        (45, sample(45, 355, 8)),
        (900, sample(900, 0, 0)),
        (901, Event::Warning { message: "the session ends in 20m".into(), hints: vec!["aws sso login".into()] }),
        (902, Event::Note { message: "the fleet costs $1.20 an hour".into() }),
        (
            930,
            Event::RunFinished {
                exit: 3,
                summary: "3 of 5 hosts failed".into(),
                cost: Some(Money::from_micros(410_000)),
            },
        ),
    ]);
    events.into_iter().map(|(seconds, event)| Stamped { at: at(seconds), event }).collect()
}

/// Tells all of it.
pub(crate) fn play(sink: &dyn Sink) {
    for event in campaign() {
        sink.emit(&event);
    }
}
