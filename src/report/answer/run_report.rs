//! What `runs report` answers: one run for a reader who was not there.

use super::Answer;
use super::runs::{RunState, RunSummary};
use crate::model::{Market, Sample};
use crate::report::table::{self, Column};
use crate::report::{count, escape, span};
use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::Serialize;
use std::fmt::Write as _;

/// What happened in a run, by its journal and by what it showed. Of what it showed some may be lost; the journal never is.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct RunReport {
    /// The run in short.
    #[serde(flatten)]
    pub summary: RunSummary,
    /// How it came out, in a few words.
    pub verdict: String,
    /// What it said last.
    pub last_words: Option<String>,
    /// Processes that were at it: more than one when it was stopped and gone on with.
    pub sittings: usize,
    /// Its steps as they were begun, in order; a step that was gone on with is there once for each time.
    pub timeline: Vec<TimedStep>,
    /// Calls that could change something, by action.
    pub calls: Vec<CallCount>,
    /// Calls that were sent again, by action and reason, those that only read among them.
    pub retries: Vec<Retries>,
    /// Launch requests: what they asked for and what they got.
    pub capacity: Vec<Given>,
    /// Hosts that it worked on, each with how it came out in the end.
    pub hosts: Vec<HostEnd>,
    /// Hosts that did not come out well, by cause, the most frequent first.
    pub failures: Vec<String>,
    /// Items handed to the queue; none when it fed nothing.
    pub items: Option<ItemsFed>,
    /// What it saw of the queue; none when it did not look.
    pub queue: Option<QueueSeen>,
    /// Warnings, each once.
    pub warnings: Vec<String>,
    /// Why what it showed can't be read, or can't be read whole; timeline, retries, hosts and warnings then lack something.
    pub incomplete: Option<String>,
    /// The folder of its journal, of its events and of what its hosts said.
    pub folder: String,
}

/// One step, from its beginning to its end.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct TimedStep {
    /// Its id.
    pub step: String,
    /// What it does.
    pub title: String,
    /// When it began, world time.
    pub started: Timestamp,
    /// How long it took, seconds of world time; none when it came to no end.
    pub seconds: Option<f64>,
    /// `done`, `unchanged`, `warning`, `failed`, `interrupted`; none when it came to no end.
    pub end: Option<String>,
    /// What it made, or why it failed.
    pub detail: String,
}

/// Calls of one action.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct CallCount {
    /// The API action.
    pub action: String,
    /// Carried out.
    pub done: usize,
    /// Certainly not carried out.
    pub failed: usize,
    /// Nobody knows.
    pub unknown: usize,
}

/// Repetitions of one action for one reason.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Retries {
    /// The API action.
    pub action: String,
    /// AWS's error code, or a word of ours where no answer came.
    pub code: String,
    /// Whether AWS asked us to slow down.
    pub throttled: bool,
    /// How often.
    pub times: u64,
    /// What was waited for them in all, seconds of world time.
    pub waited_seconds: f64,
}

/// One launch request of one market.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Given {
    /// The market.
    pub market: Market,
    /// Hosts asked for.
    pub wanted: u32,
    /// Hosts given.
    pub got: u32,
    /// Why pools gave nothing.
    pub refused: Vec<String>,
}

/// How a host came out.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct HostEnd {
    /// The instance id.
    pub host: String,
    /// Its slot.
    pub slot: u32,
    /// `ok`, `changed`, `failed`, `unreachable`, `refused`, `skipped`.
    pub result: String,
    /// Why, where it did not come out well.
    pub reason: Option<String>,
    /// How long it took, seconds.
    pub seconds: f64,
}

/// Items of a feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ItemsFed {
    /// Confirmed by the queue.
    pub sent: u64,
    /// Items in all.
    pub total: u64,
}

/// The queue, as a wait saw it.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct QueueSeen {
    /// How often it looked.
    pub looks: u64,
    /// What the last look saw.
    pub sample: Sample,
    /// What was made of it.
    pub outlook: String,
}

impl RunReport {
    fn head(&self) -> String {
        let run = &self.summary;
        let mut text = format!("{} {}: {}\n", run.verb, run.run, self.verdict);
        let _infallible = writeln!(text, "started  {}", second(run.started));
        let _infallible = match (run.ended, run.state) {
            (Some(ended), _) => {
                writeln!(text, "ended    {}, after {}", second(ended), span(ended.duration_since(run.started)))
            }
            (None, RunState::Unfinished) => writeln!(text, "ended    not yet: fleetwright resume {}", run.run),
            (None, RunState::Running) => writeln!(text, "ended    not yet: it is under way"),
            (None, RunState::Open) => writeln!(text, "ended    not yet, or it was stopped: it changes nothing"),
            (None, RunState::Superseded | RunState::Ended) => writeln!(text, "ended    never"),
        };
        if self.sittings > 1 {
            let _infallible = writeln!(text, "taken up {}", count(self.sittings as u64, "time"));
        }
        if let Some(words) = &self.last_words {
            let _infallible = writeln!(text, "said     {}", escape::line(words));
        }
        if let Some(ItemsFed { sent, total }) = self.items {
            let _infallible = writeln!(text, "items    {sent} of {total} fed");
        }
        if let Some(seen) = &self.queue {
            let sample = crate::report::story::sample(&seen.sample);
            let _infallible = writeln!(text, "queue    {sample}, in the last of {}", count(seen.looks, "look"));
        }
        if let Some(money) = run.money() {
            let _infallible = writeln!(text, "cost     {money}");
        }
        if run.unresolved_calls > 0 {
            let calls = count(run.unresolved_calls as u64, "call");
            let _infallible = writeln!(text, "unknown  {calls} of unknown outcome: there may be more");
        }
        let _infallible = writeln!(text, "folder   {}", escape::line(&self.folder));
        text
    }

    fn tables(&self, width: Option<u16>) -> Vec<String> {
        let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        let seconds = |s: f64| span(SignedDuration::try_from_secs_f64(s).unwrap_or_default());
        let columns = [
            Column::keep("step"),
            Column::keep("end"),
            Column::keep("took"),
            Column::spare("at"),
            Column::wrap("what came of it"),
        ];
        let steps = self.timeline.iter().map(|step| {
            let what = if step.detail.is_empty() { &step.title } else { &step.detail };
            let took = or_none(step.seconds.map(seconds));
            vec![step.step.clone(), or_none(step.end.clone()), took, second(step.started), what.clone()]
        });
        let mut tables = vec![table(&columns, steps, width)];
        let columns = [Column::keep("call"), Column::keep("done"), Column::keep("failed"), Column::keep("unknown")];
        let calls = self.calls.iter().map(|call| {
            vec![call.action.clone(), call.done.to_string(), call.failed.to_string(), call.unknown.to_string()]
        });
        tables.push(table(&columns, calls, width));
        let columns =
            [Column::keep("sent again"), Column::keep("times"), Column::keep("waited"), Column::wrap("because")];
        let retries = self.retries.iter().map(|one| {
            let why = if one.throttled { format!("{} (throttled)", one.code) } else { one.code.clone() };
            vec![one.action.clone(), one.times.to_string(), seconds(one.waited_seconds), why]
        });
        tables.push(table(&columns, retries, width));
        let columns =
            [Column::keep("market"), Column::keep("wanted"), Column::keep("got"), Column::wrap("refused because")];
        let given = self.capacity.iter().map(|one| {
            vec![one.market.to_string(), one.wanted.to_string(), one.got.to_string(), one.refused.join("; ")]
        });
        tables.push(table(&columns, given, width));
        let columns = [
            Column::keep("slot"),
            Column::keep("host"),
            Column::keep("result"),
            Column::spare("took"),
            Column::wrap("reason"),
        ];
        let hosts = self.hosts.iter().map(|host| {
            let (slot, reason) = (format!("#{}", host.slot), host.reason.clone().unwrap_or_default());
            vec![slot, host.host.clone(), host.result.clone(), seconds(host.seconds), reason]
        });
        tables.push(table(&columns, hosts, width));
        tables.retain(|table| !table.is_empty());
        tables
    }
}

impl Answer for RunReport {
    fn page(&self, width: Option<u16>) -> String {
        let mut parts = vec![self.head()];
        parts.extend(self.tables(width));
        if !self.failures.is_empty() {
            parts.push(self.failures.join("\n") + "\n");
        }
        let warnings = self.warnings.iter().map(|warning| format!("warning  {}\n", escape::line(warning)));
        let warnings: String = warnings.chain(self.incomplete.iter().map(|why| format!("note     {why}\n"))).collect();
        if !warnings.is_empty() {
            parts.push(warnings);
        }
        parts.join("\n")
    }
}

/// A table; nothing at all without rows.
fn table(columns: &[Column<'_>], rows: impl Iterator<Item = Vec<String>>, width: Option<u16>) -> String {
    let rows: Vec<Vec<String>> = rows.collect();
    if rows.is_empty() { String::new() } else { table::render(columns, &rows, width) }
}

/// An instant without its fraction of a second.
fn second(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
