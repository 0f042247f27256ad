//! `plan`: what a verb would do. The verb itself runs, and stops where it would change something; what it would have done is
//! the answer. So a plan can't be about anything else than the verb.

use super::context::Context;
use super::print;
use crate::cli::request::{Plan as Wanted, Verb};
use crate::engine::failure::Failure;
use crate::exit::Exit;
use crate::model::{RunId, Survey};
use crate::plan::{Action, Plan, values};
use crate::report::answer::Plans;
use crate::spec::Value;
use crate::spec::origin::Origin;
use std::path::Path;
use std::sync::PoisonError;

/// What is planned instead of done.
#[derive(Default)]
pub(super) struct Planning {
    /// The plans so far.
    plans: Vec<Plan>,
    /// The last look at the account.
    survey: Option<Survey>,
    /// The run that would carry out the last plan.
    run: Option<RunId>,
}

impl Context {
    pub(super) async fn plan(&self, wanted: Wanted) -> Result<Exit, Failure> {
        self.planning.get_or_init(Default::default);
        let size = match &*wanted.of {
            Verb::Launch(launch) => launch.n,
            _ => None,
        };
        let ended = Box::pin(super::with_context(self, *wanted.of)).await;
        let plans = self.with_plans(|plans| plans.clone());
        let changes = plans.iter().any(Plan::changes);
        let answer = Plans { values: self.values_of(&plans, size), plans, every_value: wanted.values };
        if let Some(failure) = ended.err().filter(|failure| failure.exit != Exit::Done) {
            // What was planned before it is worth seeing; what came to nothing has no answer.
            if !answer.plans.is_empty() {
                print(&self.global, &answer)?;
            }
            return Err(failure);
        }
        if let Some(file) = &wanted.out {
            self.save_one(file, &answer.plans)?;
        }
        print(&self.global, &answer)?;
        Ok(if wanted.detailed_exitcode && changes { Exit::Changes } else { Exit::Done })
    }

    /// Saves the plan of one verb.
    fn save_one(&self, file: &Path, plans: &[Plan]) -> Result<(), Failure> {
        // A teardown always looks again, and a later end is later at every moment.
        let known = |plan: &Plan| plan.is_empty() || !plan.request.is_empty();
        let savable = |plan: &&Plan| known(plan) && !["extend", "down", "resume"].contains(&plan.verb.as_str());
        let ([plan], Some(run)) = (plans, self.with_planning(|planning| planning.run)) else {
            let built = plans.iter().any(|plan| plan.fleet != self.fleet.key());
            return Err(Failure::to(Exit::Usage, "save the plan: it is that of several verbs, or of none").hint(if built {
                "fleetwright bake     # builds the template first: what follows rests on it, and is planned when it is there"
            } else {
                "fleetwright plan launch --out FILE     # a part of `up` can be saved"
            }));
        };
        if let Some(plan) = Some(plan).filter(savable) {
            let survey = self.with_planning(|planning| planning.survey.clone());
            return self.save(file, run, plan.clone(), survey.as_ref());
        }
        Err(Failure::to(Exit::Usage, format!("save the plan: that of {} is made anew each time", plan.verb)))
    }

    /// The values that these plans rest on, with what they come from.
    fn values_of(&self, plans: &[Plan], size: Option<u32>) -> Vec<Value> {
        let mut verbs: Vec<&str> = plans.iter().map(|plan| plan.verb.as_str()).collect();
        if plans.len() > 1 {
            verbs.push("up");
        }
        let mut values = values::of_verbs(&self.values, &verbs);
        if let Some((size, value)) = size.zip(values.iter_mut().find(|value| value.path == "fleet.size")) {
            *value =
                Value { value: size.to_string(), from: Origin::Set, place: Some("-n".to_owned()), ..value.clone() };
        }
        let own = plans.iter().filter(|plan| plan.fleet == self.fleet.key());
        let image = own.flat_map(|plan| &plan.steps).find_map(|step| match &step.action {
            Action::Epoch { wanted, .. } => Some(&wanted.image),
            _ => None,
        });
        self.with_planning(|planning| {
            let Some(survey) = &planning.survey else { return };
            let image = survey.images.iter().find(|known| Some(&known.id) == image);
            values::fill(&mut values, survey.template.as_ref(), image);
        });
        values
    }

    /// Whether the verb is only planned.
    pub(super) fn planning(&self) -> bool {
        self.planning.get().is_some()
    }

    /// Looks at what is planned so far, or adds to it.
    fn with_planning<T>(&self, look: impl FnOnce(&mut Planning) -> T) -> T {
        match self.planning.get() {
            Some(planning) => look(&mut planning.lock().unwrap_or_else(PoisonError::into_inner)),
            None => look(&mut Planning::default()),
        }
    }

    fn with_plans<T>(&self, look: impl FnOnce(&mut Vec<Plan>) -> T) -> T {
        self.with_planning(|planning| look(&mut planning.plans))
    }

    /// Remembers what the plan rests on.
    pub(super) fn looked(&self, survey: &Survey) {
        self.with_planning(|planning| planning.survey = Some(survey.clone()));
    }

    fn keep(&self, run: RunId, plan: Plan) {
        self.with_planning(|planning| {
            planning.plans.push(plan);
            planning.run = Some(run);
        });
    }

    /// Keeps a plan that is not carried out, and ends the verb there.
    pub(super) fn shown(&self, run: RunId, plan: Plan) -> Failure {
        self.keep(run, plan);
        Failure::new(Exit::Done, "only planned: nothing was changed")
    }

    /// Tells why a verb has nothing to do.
    pub(super) fn nothing(&self, verb: &str, why: String) {
        if self.planning() {
            let arguments = std::env::args().skip(1).collect();
            let plan = Plan { notes: vec![why], arguments, ..Plan::new(verb, self.fleet.key(), String::new()) };
            self.keep(self.new_run(), plan);
        } else {
            self.events.note(why);
        }
    }

    /// Adds to what is told of the plan before.
    pub(super) fn note_on_last(&self, note: &str) {
        self.with_plans(|plans| plans.last_mut().into_iter().for_each(|plan| plan.notes.push(note.to_owned())));
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
        let own = |plan: &&Plan| plan.verb == verb && plan.fleet == self.fleet.key() && !plan.is_empty();
        self.with_plans(|plans| plans.iter().find(own).cloned())
    }

    /// Hosts that a launch planned before this would bring.
    pub(super) fn coming(&self) -> usize {
        let launch = self.planned("launch");
        launch.and_then(|plan| usize::try_from(plan.brings()?.0).ok()).unwrap_or(0)
    }
}
