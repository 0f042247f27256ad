//! Carries out a plan: asks it for the next step, drives the step, writes down what came of it. Knows nothing of AWS.

use super::failure::Failure;
use super::tools::Tools;
use crate::event::{Event, Events, StepEnd};
use crate::exit::Exit;
use crate::journal::Journal;
use crate::plan::{Next, Plan, Step};
use serde_json::Value;
use std::pin::Pin;

/// What a step came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Done {
    /// What later steps need; kept in the journal.
    pub output: Value,
    /// One line for people.
    pub detail: String,
    /// Done, unchanged or done in part.
    pub end: StepEnd,
}

impl Done {
    /// Carried out.
    pub fn new(output: Value, detail: impl Into<String>) -> Self {
        Self { output, detail: detail.into(), end: StepEnd::Done }
    }

    /// It was so already.
    pub fn unchanged(output: Value, detail: impl Into<String>) -> Self {
        Self { output, detail: detail.into(), end: StepEnd::Unchanged }
    }

    /// Carried out in part.
    pub fn warning(output: Value, detail: impl Into<String>) -> Self {
        Self { output, detail: detail.into(), end: StepEnd::Warning }
    }
}

/// A future that stays on the task that runs the plan: steps are not spawned.
pub type LocalFuture<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// What knows how to carry out steps.
pub trait Driver: Send + Sync {
    /// Whether the step's goal is reached already, without changing anything.
    fn probe<'a>(&'a self, step: &'a Step) -> LocalFuture<'a, Result<Option<Done>, Failure>>;
    /// Carries the step out, from wherever an earlier try left it.
    fn run<'a>(&'a self, step: &'a Step) -> LocalFuture<'a, Result<Done, Failure>>;
    /// Undoes or abandons a step that was stopped half-way; what it can't undo, its failure's residue names.
    fn undo<'a>(&'a self, step: &'a Step) -> LocalFuture<'a, Result<(), Failure>>;
}

/// Emits the step's only end, also when the engine is dropped in the middle.
struct Ending<'a> {
    events: &'a Events,
    step: &'a str,
    said: bool,
}

impl Ending<'_> {
    fn say(&mut self, end: StepEnd, detail: &str) {
        self.said = true;
        self.events.emit(Event::StepFinished { step: self.step.to_owned(), end, detail: detail.to_owned() });
    }
}

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        if !self.said {
            self.say(StepEnd::Interrupted, "stopped");
        }
    }
}

/// Carries out the plan to its end.
///
/// # Errors
///
/// The first failure that a step could not deal with, or the interruption.
pub async fn run(plan: &Plan, driver: &dyn Driver, journal: &Journal, tools: &Tools) -> Result<(), Failure> {
    loop {
        tools.check_cancel()?;
        let events = &tools.events;
        let step = match journal.with_fold(|fold| plan.next(fold)) {
            Next::Run(step) => step,
            Next::Finished => return Ok(()),
        };
        events.emit(Event::StepStarted { step: step.id.clone(), title: step.title.clone() });
        let mut ending = Ending { events, step: &step.id, said: false };
        match drive(&step, driver, tools).await {
            Ok(done) => {
                journal.step(&step.id, done.output, tools.clock.now()).map_err(Failure::state)?;
                ending.say(done.end, &done.detail);
            }
            Err(failure) => {
                let end = match failure.exit {
                    Exit::Interrupted | Exit::Terminated => StepEnd::Interrupted,
                    _ => StepEnd::Failed,
                };
                ending.say(end, &failure.message);
                return Err(failure);
            }
        }
    }
}

/// One step: probe, run, and undo when the operator does not want to wait for its end.
async fn drive(step: &Step, driver: &dyn Driver, tools: &Tools) -> Result<Done, Failure> {
    let work = async {
        match driver.probe(step).await? {
            Some(done) => Ok(done),
            None => driver.run(step).await,
        }
    };
    tokio::select! {
        biased;
        done = work => done,
        exit = tools.abandoned() => {
            driver.undo(step).await?;
            Err(Failure::interrupted(exit))
        }
    }
}
