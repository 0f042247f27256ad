//! What `runs list` and `runs show` answer: runs as their journals tell them.

use super::Answer;
use crate::model::Money;
use crate::plan::estimate::Range;
use crate::report::table::{self, Column};
use crate::report::{count, escape, span};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use std::fmt::Write as _;

/// Every run of a fleet that this machine has a journal of.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct PastRuns {
    /// The fleet's name.
    pub fleet: String,
    /// Its runs, newest first.
    pub runs: Vec<RunSummary>,
    /// Why journals could not be read, one line each; with any of them the exit code is 9.
    pub unreadable: Vec<String>,
}

/// One run in short.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RunSummary {
    /// Its id.
    pub run: String,
    /// Its verb.
    pub verb: String,
    /// Whether it is over.
    pub state: RunState,
    /// When it began, world time.
    pub started: Timestamp,
    /// When it ended; none while it has not.
    pub ended: Option<Timestamp>,
    /// Its exit code; none while it has not ended.
    pub exit: Option<u8>,
    /// Steps of its plan that are carried out.
    pub steps_done: usize,
    /// Steps of its plan in all.
    pub steps_planned: usize,
    /// Calls of which nobody knows yet whether AWS carried them out.
    pub unresolved_calls: usize,
    /// What the campaign had cost when this run ended, where it asked: a wait and a `down` do, and all of it must be known.
    pub cost: Option<Money>,
    /// What the hosts that it planned to launch were estimated to cost an hour.
    pub per_hour: Option<Range>,
}

impl RunSummary {
    /// The money in a few words.
    pub(super) fn money(&self) -> Option<String> {
        match (self.cost, self.per_hour) {
            (Some(cost), _) => Some(cost.to_string()),
            (None, Some(hour)) => Some(format!("{hour} an hour")),
            (None, None) => None,
        }
    }
}

/// Whether a run is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RunState {
    /// It came to an end, good or bad.
    Ended,
    /// A process of this machine is at it.
    Running,
    /// It was stopped: the same command again goes on with it.
    Unfinished,
    /// It was stopped, and a `down` since then has ended what it made: nobody goes on with it.
    Superseded,
    /// A wait that has not told its end: it is under way, or was stopped. It changes nothing, so nobody goes on with it.
    Open,
}

impl RunState {
    fn as_str(self) -> &'static str {
        match self {
            Self::Ended => "ended",
            Self::Running => "running",
            Self::Unfinished => "unfinished",
            Self::Superseded => "superseded",
            Self::Open => "open",
        }
    }
}

/// One run.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct RunPage {
    /// The run in short.
    #[serde(flatten)]
    pub summary: RunSummary,
    /// The steps of its plan, in order.
    pub steps: Vec<StepLine>,
    /// Every call that could change something, in order.
    pub calls: Vec<CallLine>,
    /// The folder of its journal and events.
    pub folder: String,
}

/// One step of a run's plan.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct StepLine {
    /// Its id, unique within the plan.
    pub step: String,
    /// What it does.
    pub title: String,
    /// How far it came.
    pub state: StepState,
}

/// How far a step came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum StepState {
    /// Carried out.
    Done,
    /// The first that is not: where the run is, or where it stopped.
    Current,
    /// Not begun.
    Waiting,
}

impl StepState {
    fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Current => "current",
            Self::Waiting => "waiting",
        }
    }
}

/// One call that could change something, as the journal has it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct CallLine {
    /// The step that made it; the ladder's rungs are numbered, for example `capacity.0`.
    pub step: String,
    /// The API action.
    pub action: String,
    /// When it was written down, just before it was sent; world time.
    pub at: Timestamp,
    /// How it came out.
    pub outcome: CallOutcome,
    /// Ids of what it made or ended.
    pub ids: Vec<String>,
    /// AWS's id of the request, where an answer came.
    pub request_id: Option<String>,
    /// Why it was not carried out, or why nobody knows.
    pub reason: Option<String>,
    /// Whether it may have made something that is not accounted for.
    pub unresolved: bool,
}

/// How a call came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CallOutcome {
    /// Carried out.
    Done,
    /// Certainly not carried out.
    Failed,
    /// Nobody knows: no good answer came, or the process ended before it could write it down.
    Unknown,
}

impl CallOutcome {
    fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
        }
    }
}

impl Answer for PastRuns {
    fn page(&self, width: Option<u16>) -> String {
        if self.runs.is_empty() {
            return format!("no run of {} on this machine\n", self.fleet);
        }
        let columns = [
            Column::keep("run"),
            Column::keep("verb"),
            Column::keep("state"),
            Column::keep("exit"),
            Column::spare("steps"),
            Column::spare("unresolved"),
            Column::spare("started"),
            Column::spare("took"),
            Column::spare("cost"),
        ];
        let rows: Vec<Vec<String>> = self
            .runs
            .iter()
            .map(|run| {
                vec![
                    run.run.clone(),
                    run.verb.clone(),
                    run.state.as_str().to_owned(),
                    run.exit.map_or("-".to_owned(), |exit| exit.to_string()),
                    format!("{}/{}", run.steps_done, run.steps_planned),
                    run.unresolved_calls.to_string(),
                    second(run.started),
                    run.ended.map_or("-".to_owned(), |ended| span(ended.duration_since(run.started))),
                    run.money().unwrap_or_else(|| "-".to_owned()),
                ]
            })
            .collect();
        table::render(&columns, &rows, width)
    }
}

impl Answer for RunPage {
    fn page(&self, width: Option<u16>) -> String {
        let run = &self.summary;
        let mut text = format!("{} {}\nstarted  {}\n", run.verb, run.run, second(run.started));
        let _infallible = match (run.ended, run.exit) {
            (Some(ended), Some(exit)) => {
                let took = span(ended.duration_since(run.started));
                writeln!(text, "ended    {}, exit {exit}, after {took}", second(ended))
            }
            _ => match run.state {
                RunState::Running => writeln!(text, "ended    not yet: it is under way"),
                RunState::Ended | RunState::Unfinished => {
                    writeln!(text, "ended    not yet: fleetwright resume {}", run.run)
                }
                RunState::Superseded => {
                    writeln!(text, "ended    never; a down since has ended what it made")
                }
                RunState::Open => writeln!(text, "ended    not yet, or it was stopped: it changes nothing"),
            },
        };
        if let Some(money) = run.money() {
            let _infallible = writeln!(text, "cost     {money}");
        }
        let _infallible = writeln!(text, "folder   {}\n", escape::line(&self.folder));
        let columns = [Column::keep("step"), Column::keep("state"), Column::wrap("what")];
        let rows: Vec<Vec<String>> = self
            .steps
            .iter()
            .map(|step| vec![step.step.clone(), step.state.as_str().to_owned(), step.title.clone()])
            .collect();
        text.push_str(&table::render(&columns, &rows, width));
        if !self.calls.is_empty() {
            let columns = [
                Column::keep("call"),
                Column::keep("outcome"),
                Column::spare("at"),
                Column::spare("step"),
                Column::spare("request"),
                Column::wrap("made or ended"),
            ];
            let rows: Vec<Vec<String>> = self
                .calls
                .iter()
                .map(|call| {
                    vec![
                        call.action.clone(),
                        call.outcome.as_str().to_owned(),
                        second(call.at),
                        call.step.clone(),
                        call.request_id.clone().unwrap_or_else(|| "-".to_owned()),
                        call.reason.clone().unwrap_or_else(|| call.ids.join(" ")),
                    ]
                })
                .collect();
            text.push('\n');
            text.push_str(&table::render(&columns, &rows, width));
        }
        if run.unresolved_calls > 0 {
            let calls = count(run.unresolved_calls as u64, "call");
            let _infallible = writeln!(text, "\n{calls} of unknown outcome: there may be more");
        }
        text
    }
}

/// An instant without its fraction of a second.
fn second(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
