//! Follows a play on its host, frame by frame.

use super::PlayEnd;
use super::capture::Capture;
use super::frames::{Ended, Frame};
use super::output::line;
use super::reboot::RebootFault;
use crate::model::{PlayStep, StepOutcome, StepResult};
use std::time::Duration;

/// What is known of the play so far.
pub(super) struct Progress<'a> {
    steps: &'a [PlayStep],
    pub(super) results: Vec<StepResult>,
    current: Option<usize>,
    capture: Capture,
    max_output: usize,
    log: &'a mut (dyn FnMut(&[u8]) + Send),
}

impl<'a> Progress<'a> {
    pub(super) fn new(steps: &'a [PlayStep], max_output: usize, log: &'a mut (dyn FnMut(&[u8]) + Send)) -> Self {
        let skipped =
            |step: &PlayStep| StepResult { name: step.name.clone(), outcome: StepOutcome::Skipped, output: Vec::new() };
        let results = steps.iter().map(skipped).collect();
        Self { steps, results, current: None, capture: Capture::new(max_output), max_output, log }
    }

    pub(super) fn begun(&self) -> bool {
        self.current.is_some() || self.results.iter().any(|step| step.outcome != StepOutcome::Skipped)
    }

    pub(super) fn timeout_of(&self, index: usize) -> Duration {
        self.steps.get(index).map_or(Duration::ZERO, |step| step.timeout)
    }

    pub(super) fn output(&mut self, bytes: &[u8]) {
        (self.log)(bytes);
        self.capture.add(bytes);
    }

    /// Takes a frame in; the play's end, if it is one.
    pub(super) fn frame(&mut self, frame: Frame) -> Option<PlayEnd> {
        match frame {
            Frame::Go => None,
            Frame::Start(index, _) => {
                self.capture = Capture::new(self.max_output);
                self.current = Some(index);
                None
            }
            Frame::End(index, ended, exit) => {
                self.current = None;
                let capture = std::mem::replace(&mut self.capture, Capture::new(self.max_output));
                if let Some(result) = self.results.get_mut(index) {
                    result.output = capture.finish();
                    result.outcome = match ended {
                        Ended::Ok => StepOutcome::Ok,
                        Ended::Changed => StepOutcome::Changed,
                        Ended::Failed => StepOutcome::Failed { exit },
                        Ended::Timeout => StepOutcome::TimedOut,
                    };
                }
                None
            }
            Frame::Same => Some(PlayEnd::Same),
            Frame::Stop => Some(PlayEnd::Failed),
            Frame::Done => Some(PlayEnd::Done),
            Frame::Busy => Some(PlayEnd::Busy),
            Frame::Broken(why) => Some(PlayEnd::Broken(line(&why))),
        }
    }

    pub(super) fn not_rebooted(&mut self, index: usize, fault: RebootFault) -> PlayEnd {
        let result = &mut self.results[index];
        match fault {
            RebootFault::Refused { exit, output } => {
                result.outcome = StepOutcome::Failed { exit };
                result.output = output;
            }
            RebootFault::Late(why) => {
                result.outcome = StepOutcome::TimedOut;
                result.output = why.into_bytes();
            }
            RebootFault::Ssh(fault) => return PlayEnd::Fault(fault),
        }
        PlayEnd::Failed
    }
}
