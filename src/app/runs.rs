//! `runs`: what the journals of this machine say of each run. No network, no credentials, no claim.

use super::Told;
use super::context::{Context, state};
use crate::cli::request::Runs;
use crate::engine::failure::Failure;
use crate::exit::Exit;
use crate::journal::{Fold, History, IntentState, Outcome, PastRun};
use crate::model::RunId;
use crate::plan::{Next, Plan};
use crate::report::answer::{CallLine, CallOutcome, PastRuns, RunPage, RunState, RunSummary, StepLine, StepState};
use crate::steps::Pushed;

impl Context {
    pub(super) fn runs(&self, wanted: &Runs) -> Result<Exit, Failure> {
        let dir = self.state_dir()?;
        // Before the journals: a run that ends meanwhile is told as ended.
        let running = dir.holder().map_err(state)?.and_then(|holder| holder.run);
        let history = History::read(&dir).map_err(state)?;
        match wanted {
            Runs::List => {
                let answer = PastRuns {
                    fleet: self.fleet.name.to_string(),
                    runs: history.runs().filter_map(|past| summary(&history, past, running)).collect(),
                    unreadable: history.unreadable().map(ToString::to_string).collect(),
                };
                let failure = history
                    .unreadable()
                    .next()
                    .map(|error| Failure::to(error.exit(), format!("list every run: {error}")).hint(error.hint()));
                self.tell(Told { answer, failure })
            }
            Runs::Report(name) => {
                let past = self.reported(&history, name.as_deref())?;
                self.tell(Told::good(Self::run_report(&history, past, running)?))
            }
            Runs::Show(name) => {
                let run = named(dir.runs().map_err(state)?.iter().map(crate::journal::RunDir::run), name)?.ok_or_else(
                    || {
                        Failure::to(Exit::Usage, format!("find a run {name} of {} on this machine", self.fleet.name))
                            .hint("fleetwright runs list     # lists all runs")
                    },
                )?;
                let past = PastRun { dir: dir.run(run), fold: dir.run(run).peek().map_err(state)? };
                let summary = summary(&history, &past, running).ok_or_else(|| {
                    Failure::to(Exit::State, format!("read the journal of run {run}: it does not say what it began"))
                })?;
                self.tell(Told::good(RunPage {
                    summary,
                    steps: steps(&past.fold),
                    calls: past.fold.intents.iter().map(call).collect(),
                    folder: past.dir.path().display().to_string(),
                }))
            }
        }
    }
}

/// The one run that somebody means by the beginning or end of its id; none when no run is called so.
pub(super) fn named(runs: impl Iterator<Item = RunId>, name: &str) -> Result<Option<RunId>, Failure> {
    let meant: Vec<RunId> = runs.filter(|run| run.named_by(name)).collect();
    match meant.as_slice() {
        [] => Ok(None),
        [run] => Ok(Some(*run)),
        several => {
            let all: Vec<String> = several.iter().map(ToString::to_string).collect();
            Err(Failure::to(Exit::Usage, format!("tell which run is {name}: it could be {}", all.join(" or ")))
                .hint("name it by more digits; runs of the same hour begin alike, so take its end"))
        }
    }
}

/// The plan as it was stored; none when this version does not understand it any more.
fn plan(fold: &Fold) -> Option<Plan> {
    fold.begun.as_ref().and_then(|begun| serde_json::from_value(begun.plan.clone()).ok())
}

pub(super) fn summary(history: &History, past: &PastRun, running: Option<RunId>) -> Option<RunSummary> {
    let begun = past.fold.begun.as_ref()?;
    let steps = steps(&past.fold);
    let run_state = match past.fold.ended {
        Some(_) => RunState::Ended,
        None if running == Some(past.dir.run()) => RunState::Running,
        None if history.unfinished().any(|other| other.dir.run() == past.dir.run()) => RunState::Unfinished,
        None => RunState::Superseded,
    };
    Some(RunSummary {
        run: begun.run.clone(),
        verb: begun.verb.clone(),
        state: run_state,
        started: begun.at,
        ended: past.fold.ended.and(past.fold.last),
        exit: exit(&past.fold).map(Exit::code),
        steps_done: steps.iter().filter(|step| step.state == StepState::Done).count(),
        steps_planned: steps.len(),
        unresolved_calls: past.fold.unresolved().count(),
    })
}

/// The exit code of the command: a push is carried out to its end however its hosts come out, and judged then.
pub(super) fn exit(fold: &Fold) -> Option<Exit> {
    let pushed = fold.steps.get("push").and_then(|output| serde_json::from_value::<Pushed>(output.clone()).ok());
    let failed = pushed.is_some_and(|pushed| pushed.failed());
    fold.ended.map(|exit| if exit == Exit::Done && failed { Exit::Partial } else { exit })
}

/// The plan's steps, and how far the run came.
fn steps(fold: &Fold) -> Vec<StepLine> {
    let Some(plan) = plan(fold) else {
        let done = |id: &String| StepLine { step: id.clone(), title: id.clone(), state: StepState::Done };
        return fold.steps.keys().map(done).collect();
    };
    let next = match plan.next(fold) {
        Next::Run(step) => Some(step.id),
        Next::Finished => None,
    };
    // A rung of the ladder is named after its step: `capacity.2`.
    let is_next = |id: &str| next.as_deref().is_some_and(|next| next.split('.').next() == Some(id));
    let at = plan.steps.iter().position(|step| is_next(&step.id)).unwrap_or(plan.steps.len());
    let state = |n: usize| match n.cmp(&at) {
        std::cmp::Ordering::Less => StepState::Done,
        std::cmp::Ordering::Equal => StepState::Current,
        std::cmp::Ordering::Greater => StepState::Waiting,
    };
    let lines = plan.steps.into_iter().enumerate();
    lines.map(|(n, step)| StepLine { step: step.id, title: step.title, state: state(n) }).collect()
}

fn call(intent: &IntentState) -> CallLine {
    let (outcome, ids, request_id, reason) = match &intent.outcome {
        Some(Outcome::Done { ids, request_id, .. }) => (CallOutcome::Done, ids.clone(), request_id.clone(), None),
        Some(Outcome::Failed(fault)) => {
            (CallOutcome::Failed, Vec::new(), fault.request_id.clone(), Some(fault.to_string()))
        }
        Some(Outcome::Unknown(fault)) => {
            (CallOutcome::Unknown, Vec::new(), fault.request_id.clone(), Some(fault.to_string()))
        }
        None => (CallOutcome::Unknown, Vec::new(), None, None),
    };
    CallLine {
        step: intent.step.clone(),
        action: intent.call.action.clone(),
        at: intent.at,
        outcome,
        ids,
        request_id,
        reason,
        unresolved: intent.open() && intent.call.makes(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_two_runs_have_is_refused() {
        let runs = ["01a1fd99-939a-7961-8739-6368574e608e", "01a1fd9b-53c9-75f0-ab99-0337a05662af"];
        let runs = runs.map(|run| RunId::parse(run).unwrap());
        let pick = |name: &str| named(runs.into_iter(), name);
        assert_eq!(pick("62af").unwrap(), Some(runs[1]));
        assert_eq!(pick("01a1fd99").unwrap(), Some(runs[0]));
        assert_eq!(pick("ffff").unwrap(), None);
        let refused = pick("01a1").unwrap_err();
        assert_eq!(refused.exit, Exit::Usage);
        assert!(refused.message.contains("608e or 01a1fd9b"), "{}", refused.message);
    }
}
