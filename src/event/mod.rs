//! The only way out to the user: what work tells, and who listens.
//!
//! Contract: a run emits one [`Event::RunStarted`] first and one [`Event::RunFinished`] last. Every
//! [`Event::StepStarted`] is followed by exactly one [`Event::StepFinished`] of the same step, and every
//! [`Event::HostStarted`] by exactly one [`Event::HostFinished`]; an engine that is dropped emits the missing ends.
//! Text in events may come from hosts or from AWS: displays escape it before it reaches a terminal.

use crate::model::{Cost, Fault, Host, HostReport, Market, Money, Sample};
use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum StepEnd {
    /// Carried out.
    Done,
    /// Nothing to do: it was so already.
    Unchanged,
    /// Carried out in part; the run goes on.
    Warning,
    /// Failed; the run stops or undoes.
    Failed,
    /// Stopped on request; can be gone on with.
    Interrupted,
}

/// Something that happened, in the order it happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// First of all events.
    RunStarted {
        /// The run's id.
        run: String,
        /// The verb, for example `launch`, with the flags that name its machines where some do.
        verb: String,
        /// The fleet's name.
        fleet: String,
        /// Whether an unfinished run is gone on with.
        resumed: bool,
    },
    /// A step begins.
    StepStarted {
        /// Unique within the run.
        step: String,
        /// What it does, in a few words.
        title: String,
    },
    /// A step got on; may be dropped by displays that can't keep up.
    StepProgress {
        /// The step.
        step: String,
        /// Units finished.
        done: u64,
        /// Units in all, where known.
        total: Option<u64>,
        /// A short word on what is going on.
        note: String,
    },
    /// The step's only end.
    StepFinished {
        /// The step.
        step: String,
        /// How it ended.
        end: StepEnd,
        /// One line: what it made, or why it failed.
        detail: String,
    },
    /// A call failed and is sent again later.
    Retrying {
        /// Why.
        fault: Fault,
        /// Which repetition comes next, from 1.
        attempt: u32,
        /// How long from now.
        wait: SignedDuration,
    },
    /// Capacity was given or refused by one launch request.
    Capacity {
        /// Market asked.
        market: Market,
        /// Hosts asked for.
        wanted: u32,
        /// Hosts given.
        got: u32,
        /// Reasons of pools that gave nothing, each once, with its count.
        refused: Vec<String>,
    },
    /// Work on a host begins.
    HostStarted {
        /// The host.
        host: Host,
    },
    /// The host's only end.
    HostFinished {
        /// All about it.
        report: HostReport,
    },
    /// A look at the queue.
    Sampled {
        /// What was seen.
        sample: Sample,
        /// What the verdict function says now, for people.
        outlook: String,
        /// World time to the end at today's pace, where it can be told.
        eta: Option<SignedDuration>,
        /// What the living hosts cost until then, where that can be told.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to_finish: Option<Cost>,
    },
    /// Items handed to the queue so far.
    Fed {
        /// Items confirmed by the queue.
        sent: u64,
        /// Items in all.
        total: u64,
    },
    /// Something the operator should know; the run goes on.
    Warning {
        /// What.
        message: String,
        /// What to type or to do, if anything.
        hints: Vec<String>,
    },
    /// Something worth a line and no more.
    Note {
        /// What.
        message: String,
    },
    /// Last of all events.
    RunFinished {
        /// The process's exit code.
        exit: u8,
        /// One line for people.
        summary: String,
        /// What it has cost so far, where known.
        cost: Option<Money>,
    },
}

/// An event and when it happened, world time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Stamped {
    /// World time.
    pub at: Timestamp,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

/// Takes events; never fails and never blocks for long.
pub trait Sink: Send + Sync {
    /// Takes one event.
    fn emit(&self, event: &Stamped);
}

/// The handle that work holds: stamps events and passes them to every sink.
#[derive(Clone)]
pub struct Events {
    clock: crate::time::SharedClock,
    sinks: Arc<[Box<dyn Sink>]>,
}

impl Events {
    /// Sends to these sinks, in order.
    pub fn new(clock: crate::time::SharedClock, sinks: Vec<Box<dyn Sink>>) -> Self {
        Self { clock, sinks: sinks.into() }
    }

    /// Tells every sink.
    pub fn emit(&self, event: Event) {
        let stamped = Stamped { at: self.clock.now(), event };
        for sink in self.sinks.iter() {
            sink.emit(&stamped);
        }
    }

    /// A warning without hints.
    pub fn warn(&self, message: impl Into<String>) {
        self.emit(Event::Warning { message: message.into(), hints: Vec::new() });
    }

    /// A note.
    pub fn note(&self, message: impl Into<String>) {
        self.emit(Event::Note { message: message.into() });
    }
}

impl std::fmt::Debug for Events {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Events").field("sinks", &self.sinks.len()).finish_non_exhaustive()
    }
}
