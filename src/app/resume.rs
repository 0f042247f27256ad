//! `resume`: go on where a run stopped, with the plan that it had.

use super::Told;
use super::context::Context;
use super::runs::named;
use crate::cli::request::{Resume, Verb};
use crate::engine::failure::Failure;
use crate::exit::Exit;
use crate::journal::History;
use crate::plan::Plan;
use crate::report::answer::Resumed;

impl Context {
    pub(super) async fn resume(&self, wanted: Resume) -> Result<Exit, Failure> {
        let histories: Vec<History> = self.dirs()?.iter().map(Self::whole_history).collect::<Result<_, _>>()?;
        let unfinished = || histories.iter().flat_map(History::unfinished);
        let chosen = match &wanted.run {
            None => unfinished().max_by_key(|past| past.dir.run()),
            Some(name) => {
                let run = named(unfinished().map(|past| past.dir.run()), name)?.ok_or_else(|| {
                    Failure::to(Exit::Usage, format!("find an unfinished run {name}"))
                        .hint("a `down` that was carried out ends all runs before it")
                        .hint("fleetwright runs list     # lists all runs")
                })?;
                unfinished().find(|past| past.dir.run() == run)
            }
        };
        let Some(begun) = chosen.and_then(|past| past.fold.begun.as_ref()) else {
            if self.planning() {
                self.nothing("resume", "no run is unfinished".to_owned());
            }
            return self.tell(Told::good(Resumed { run: None }));
        };
        *self.resuming.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(begun.run.clone());
        let plan: Plan = serde_json::from_value(begun.plan.clone())
            .map_err(|e| Failure::to(Exit::State, format!("read the plan of run {}: {e}", begun.run)))?;
        let words = std::iter::once("fleetwright".to_owned()).chain(plan.arguments);
        match crate::cli::parse(words) {
            Ok(request) => {
                // What a saved plan began was typed as `plan`.
                let verb = match request.verb {
                    Verb::Plan(plan) => *plan.of,
                    verb => verb,
                };
                Box::pin(super::with_context(self, verb)).await
            }
            Err(stop) => Err(Failure::to(
                Exit::State,
                format!("go on with run {}: its command line is not understood any more: {}", begun.run, stop.text()),
            )),
        }
    }
}
