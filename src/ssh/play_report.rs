//! What became of a play on one host.

use super::SshFault;
use super::output::{Bounds, sanitise};
use crate::model::{Host, HostReport, HostResult, StepOutcome, StepResult};
use std::time::Duration;

/// How a play ended on a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlayEnd {
    /// The host had it already; no step was run.
    Same,
    /// All steps are done.
    Done,
    /// A step said no or took too long: the last one in the results that was tried.
    Failed,
    /// Another push is at work on the host.
    Busy,
    /// The host can't carry out plays, and why; no step was run, or the marker could not be written.
    Broken(String),
    /// The host could not be followed.
    Fault(SshFault),
}

/// What became of a play on one host.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a play may have failed"]
pub struct PlayReport {
    /// How it ended.
    pub end: PlayEnd,
    /// One result for each step of the play, in order.
    pub steps: Vec<StepResult>,
}

impl PlayReport {
    /// The host's report, safe to print.
    pub fn host_report(&self, host: Host, took: Duration) -> HostReport {
        let report = |result, stage: Option<&str>, cause: Option<String>| HostReport {
            host: host.clone(),
            result,
            stage: stage.map(str::to_owned),
            cause,
            exit_status: None,
            output: String::new(),
            took,
        };
        match &self.end {
            PlayEnd::Same => report(HostResult::Ok, None, None),
            PlayEnd::Done => {
                let changed = self.steps.iter().any(|step| step.outcome == StepOutcome::Changed);
                report(if changed { HostResult::Changed } else { HostResult::Ok }, None, None)
            }
            PlayEnd::Busy => {
                let why = "another push is at work on the host; wait for its end, then push again";
                report(HostResult::Failed, Some("lock"), Some(why.to_owned()))
            }
            PlayEnd::Broken(why) => report(HostResult::Failed, Some("setup"), Some(why.clone())),
            PlayEnd::Fault(fault) => fault.host_report(host, took),
            PlayEnd::Failed => {
                let bad =
                    |step: &&StepResult| matches!(step.outcome, StepOutcome::Failed { .. } | StepOutcome::TimedOut);
                let Some(step) = self.steps.iter().find(bad) else {
                    return report(HostResult::Failed, None, Some("the host stopped without naming a step".to_owned()));
                };
                let output = sanitise(&step.output, Bounds::default());
                let last = output.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("no output");
                let (exit_status, what) = match step.outcome {
                    StepOutcome::Failed { exit } => (Some(exit), format!("exit {exit}")),
                    StepOutcome::TimedOut => (None, "timed out".to_owned()),
                    StepOutcome::Ok | StepOutcome::Changed | StepOutcome::Skipped => (None, String::new()),
                };
                let cause = Some(format!("{what}: {last}"));
                HostReport { exit_status, output, ..report(HostResult::Failed, Some(&step.name), cause) }
            }
        }
    }
}
