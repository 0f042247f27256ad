//! `runs`: what the journals say of each run. No network, no credentials and no claim where state is on this machine only.

use super::Told;
use super::context::{Context, state};
use super::recall::{Recalled, recall};
use super::report::run_report;
use crate::cli::request::Runs;
use crate::engine::failure::Failure;
use crate::exit::Exit;
use crate::journal::{FleetDir, Fold, History, IntentState, Outcome, RunDir};
use crate::model::RunId;
use crate::plan::{Next, Plan};
use crate::report::answer::{CallLine, CallOutcome, PastRuns, RunPage, StepLine, StepState};
use crate::steps::Pushed;

impl Context {
    pub(super) fn runs(&self, wanted: &Runs) -> Result<Exit, Failure> {
        let dirs = self.dirs()?;
        let (mut all, mut unreadable) = (Vec::new(), Vec::new());
        for dir in &dirs {
            // Before the journals: a run that ends meanwhile is told as ended.
            let running = dir.holder().map_err(state)?.and_then(|holder| holder.run);
            let mut history = History::read(dir).map_err(state)?;
            unreadable.extend(history.take_unreadable());
            all.extend(recall(dir, history, running)?);
        }
        all.sort_by_key(|run| std::cmp::Reverse(run.dir.run()));
        match wanted {
            Runs::List => {
                let answer = PastRuns {
                    fleet: self.fleet.name.to_string(),
                    runs: all.into_iter().map(|run| run.summary).collect(),
                    unreadable: unreadable.iter().map(ToString::to_string).collect(),
                };
                let failure = unreadable
                    .first()
                    .map(|error| Failure::to(error.exit(), format!("list every run: {error}")).hint(error.hint()));
                self.tell(Told { answer, failure })
            }
            Runs::Report(name) => {
                let run = match name {
                    Some(name) => Some(self.one_of(&dirs, all, name)?),
                    None => all.into_iter().next(),
                };
                let run = run.ok_or_else(|| {
                    Failure::to(Exit::Usage, format!("find a run of {}: this machine knows none", self.fleet.name))
                        .hint("fleetwright launch --help     # one verb that leaves a run")
                })?;
                self.tell(Told::good(run_report(&run)))
            }
            Runs::Show(name) => {
                let run = self.one_of(&dirs, all, name)?;
                self.tell(Told::good(RunPage {
                    steps: steps(&run.fold),
                    calls: run.fold.intents.iter().map(call).collect(),
                    folder: run.dir.path().display().to_string(),
                    summary: run.summary,
                }))
            }
        }
    }

    /// The run that somebody means; one whose journal can't be read is said to be so.
    fn one_of(&self, dirs: &[FleetDir], all: Vec<Recalled>, name: &str) -> Result<Recalled, Failure> {
        let mut runs = Vec::new();
        for dir in dirs {
            runs.extend(dir.runs().map_err(state)?);
        }
        let run = named(runs.iter().map(RunDir::run), name)?.ok_or_else(|| self.no_run(name))?;
        match all.into_iter().find(|known| known.dir.run() == run) {
            Some(known) => Ok(known),
            None => match runs.iter().find(|known| known.run() == run).map(RunDir::peek) {
                Some(Err(error)) => Err(state(error)),
                Some(Ok(_)) | None => Err(Failure::to(
                    Exit::State,
                    format!("read the journal of run {run}: it does not say what it began"),
                )),
            },
        }
    }

    fn no_run(&self, name: &str) -> Failure {
        Failure::to(Exit::Usage, format!("find a run {name} of {} on this machine", self.fleet.name))
            .hint("fleetwright runs list     # lists all runs")
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

/// The exit code of the command: a push is carried out to its end however its hosts come out, and judged then.
pub(super) fn exit(fold: &Fold) -> Option<Exit> {
    let pushed = fold.steps.get("push").and_then(|output| serde_json::from_value::<Pushed>(output.clone()).ok());
    let failed = pushed.is_some_and(|pushed| pushed.failed());
    fold.ended.map(|exit| if exit == Exit::Done && failed { Exit::Partial } else { exit })
}

/// The plan's steps, and how far the run came.
pub(super) fn steps(fold: &Fold) -> Vec<StepLine> {
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
