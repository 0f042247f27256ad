//! `runs report`: what a run's journal and events tell a reader who was not there.

use super::recall::Recalled;
use crate::event::{Event, Stamped, StepEnd};
use crate::journal::{Fold, Outcome};
use crate::model::{FaultKind, HostReport, InstanceId};
use crate::report::answer::{CallCount, Given, HostEnd, ItemsFed, QueueSeen, Retries, RunReport, RunState, TimedStep};
use crate::report::failures;
use std::collections::{BTreeMap, BTreeSet};

/// The report of a run that is there.
pub(super) fn run_report(run: &Recalled) -> RunReport {
    let verdict = match (run.exit, run.summary.state) {
        (Some(exit), _) => format!("{} (exit {})", exit.meaning(), exit.code()),
        (None, RunState::Running) => "under way".to_owned(),
        (None, RunState::Superseded) => "stopped; a down since has ended what it made".to_owned(),
        (None, RunState::Open) => "under way, or stopped; it changes nothing".to_owned(),
        (None, RunState::Unfinished | RunState::Ended) => "stopped before its end".to_owned(),
    };
    let (events, incomplete) = match std::fs::read_to_string(run.dir.events()) {
        Ok(text) => read(&text),
        Err(error) => (Vec::new(), Some(format!("what the run showed can't be read: {error}"))),
    };
    let mut told = Told::of(&run.summary.run);
    for stamped in events {
        told.hear(stamped);
    }
    let reports: Vec<HostReport> = told.hosts.into_values().collect();
    let mut hosts: Vec<HostEnd> = reports.iter().map(host).collect();
    hosts.sort_by_key(|host| host.slot);
    RunReport {
        summary: run.summary.clone(),
        verdict,
        last_words: told.last_words,
        sittings: told.sittings,
        timeline: told.timeline,
        calls: calls(&run.fold),
        retries: told.retries.into_values().collect(),
        capacity: told.capacity,
        hosts,
        failures: failures::lines(&reports),
        items: told.items,
        queue: told.queue,
        warnings: told.warnings,
        incomplete,
        folder: run.dir.path().display().to_string(),
    }
}

/// Events as far as they can be read, and why not further. The last line may be torn.
fn read(text: &str) -> (Vec<Stamped>, Option<String>) {
    let lines: Vec<Result<Stamped, _>> = text.lines().map(serde_json::from_str).collect();
    let bad = lines.iter().filter(|line| line.is_err()).count();
    let why = (bad > 0).then(|| format!("{bad} of {} lines of what the run showed can't be read", lines.len()));
    (lines.into_iter().filter_map(Result::ok).collect(), why)
}

/// What events add up to.
#[derive(Default)]
struct Told {
    run: String,
    sittings: usize,
    timeline: Vec<TimedStep>,
    retries: BTreeMap<(String, String), Retries>,
    capacity: Vec<Given>,
    hosts: BTreeMap<InstanceId, HostReport>,
    items: Option<ItemsFed>,
    warnings: Vec<String>,
    seen: BTreeSet<String>,
    last_words: Option<String>,
    queue: Option<QueueSeen>,
}

impl Told {
    fn of(run: &str) -> Self {
        Self { run: run.to_owned(), ..Self::default() }
    }

    fn hear(&mut self, Stamped { at, event }: Stamped) {
        match event {
            // What was launched in place of lost hosts while it waited is a run of its own.
            Event::RunStarted { run, .. } => self.sittings += usize::from(run == self.run),
            Event::StepStarted { step, title } => {
                let detail = String::new();
                self.timeline.push(TimedStep { step, title, started: at, seconds: None, end: None, detail });
            }
            Event::StepFinished { step, end, detail } => {
                let open = self.timeline.iter_mut().rev().find(|timed| timed.step == step && timed.end.is_none());
                if let Some(timed) = open {
                    timed.seconds = Some(at.duration_since(timed.started).as_secs_f64());
                    timed.end = Some(word(end).to_owned());
                    timed.detail = detail;
                }
            }
            Event::Retrying { fault, wait, .. } => {
                let key = (fault.action.clone(), fault.code.clone());
                let retries = self.retries.entry(key).or_insert_with(|| Retries {
                    throttled: fault.kind == FaultKind::Throttled,
                    action: fault.action,
                    code: fault.code,
                    times: 0,
                    waited_seconds: 0.0,
                });
                retries.times += 1;
                retries.waited_seconds += wait.as_secs_f64();
            }
            Event::Capacity { market, wanted, got, refused } => {
                self.capacity.push(Given { market, wanted, got, refused });
            }
            // Tried again, a host has come out as it did last.
            Event::HostFinished { report } => drop(self.hosts.insert(report.host.id.clone(), report)),
            Event::Fed { sent, total } => self.items = Some(ItemsFed { sent, total }),
            Event::Warning { message, .. } => {
                if self.seen.insert(message.clone()) {
                    self.warnings.push(message);
                }
            }
            Event::RunFinished { summary, .. } => self.last_words = Some(summary),
            Event::Sampled { sample, outlook, .. } => {
                let looks = self.queue.take().map_or(0, |seen| seen.looks) + 1;
                self.queue = Some(QueueSeen { looks, sample, outlook });
            }
            Event::StepProgress { .. } | Event::HostStarted { .. } | Event::Note { .. } => {}
        }
    }
}

fn word(end: StepEnd) -> &'static str {
    match end {
        StepEnd::Done => "done",
        StepEnd::Unchanged => "unchanged",
        StepEnd::Warning => "warning",
        StepEnd::Failed => "failed",
        StepEnd::Interrupted => "interrupted",
    }
}

fn host(report: &HostReport) -> HostEnd {
    let reason = match (&report.stage, &report.cause) {
        (Some(stage), Some(cause)) => Some(format!("{stage}: {cause}")),
        (one, other) => one.clone().or_else(|| other.clone()),
    };
    HostEnd {
        host: report.host.id.to_string(),
        slot: report.host.slot,
        result: report.result.to_string(),
        reason,
        seconds: report.took.as_secs_f64(),
    }
}

/// Calls that could change something, by action.
fn calls(fold: &Fold) -> Vec<CallCount> {
    let mut calls: BTreeMap<&str, CallCount> = BTreeMap::new();
    for intent in &fold.intents {
        let action = intent.call.action.as_str();
        let none = || CallCount { action: action.to_owned(), done: 0, failed: 0, unknown: 0 };
        let count = calls.entry(action).or_insert_with(none);
        match &intent.outcome {
            Some(Outcome::Done { .. }) => count.done += 1,
            Some(Outcome::Failed(_)) => count.failed += 1,
            Some(Outcome::Unknown(_)) | None => count.unknown += 1,
        }
    }
    calls.into_values().collect()
}
