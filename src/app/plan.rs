//! `plan`: what a verb would do. The verb itself runs, and stops where it would change something; what it would have done is
//! the answer. So a plan can't be about anything else than the verb.

use super::context::Context;
use super::print;
use crate::cli::request::Plan as Wanted;
use crate::engine::failure::Failure;
use crate::exit::Exit;
use crate::plan::Plan;
use crate::report::answer::Plans;
use std::sync::PoisonError;

impl Context {
    pub(super) async fn plan(&self, wanted: Wanted) -> Result<Exit, Failure> {
        self.plans.get_or_init(Default::default);
        let ended = Box::pin(super::with_context(self, *wanted.of)).await;
        let plans = self.with_plans(|plans| plans.clone());
        let failure = ended.err().filter(|failure| failure.exit != Exit::Done);
        if let Some(failure) = failure {
            // What was planned before it is worth seeing; what came to nothing has no answer.
            if !plans.is_empty() {
                print(&self.global, &Plans { plans })?;
            }
            return Err(failure);
        }
        let changes = plans.iter().any(Plan::changes);
        print(&self.global, &Plans { plans })?;
        Ok(if wanted.detailed_exitcode && changes { Exit::Changes } else { Exit::Done })
    }

    /// Whether the verb is only planned.
    pub(super) fn planning(&self) -> bool {
        self.plans.get().is_some()
    }

    /// Looks at the plans of this invocation, or adds to them.
    fn with_plans<T>(&self, look: impl FnOnce(&mut Vec<Plan>) -> T) -> T {
        let mut nothing = Vec::new();
        match self.plans.get() {
            Some(plans) => look(&mut plans.lock().unwrap_or_else(PoisonError::into_inner)),
            None => look(&mut nothing),
        }
    }

    /// Keeps a plan that is not carried out, and ends the verb there.
    pub(super) fn shown(&self, plan: Plan) -> Failure {
        self.with_plans(|plans| plans.push(plan));
        Failure::new(Exit::Done, "only planned: nothing was changed")
    }

    /// Tells why a verb has nothing to do.
    pub(super) fn nothing(&self, verb: &str, why: String) {
        if self.planning() {
            let plan = Plan { notes: vec![why], ..Plan::new(verb, self.fleet.key(), String::new()) };
            self.with_plans(|plans| plans.push(plan));
        } else {
            self.events.note(why);
        }
    }

    /// Adds to what is told of the plan before.
    pub(super) fn note_on_last(&self, note: String) {
        self.with_plans(|plans| plans.last_mut().into_iter().for_each(|plan| plan.notes.push(note.clone())));
    }

    /// What a part of a row of verbs came to; none when it was only planned, so that the row goes on.
    pub(super) async fn part<T>(&self, part: impl Future<Output = Result<T, Failure>>) -> Result<Option<T>, Failure> {
        match part.await {
            Ok(done) => Ok(Some(done)),
            Err(failure) if self.planning() && failure.exit == Exit::Done => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// The plan of a verb that would have been carried out before this one.
    pub(super) fn planned(&self, verb: &str) -> Option<Plan> {
        self.with_plans(|plans| plans.iter().find(|plan| plan.verb == verb && !plan.is_empty()).cloned())
    }

    /// Hosts that a launch planned before this would bring.
    pub(super) fn coming(&self) -> usize {
        let launch = self.planned("launch");
        launch.and_then(|plan| plan.ladder().and_then(|(_, ladder)| usize::try_from(ladder.wanted()).ok())).unwrap_or(0)
    }
}
