//! `protect` and `quarantine`: a mark on one host.

use super::Told;
use super::campaign::Order;
use super::context::Context;
use super::why::missing;
use crate::cli::request::MarkHost;
use crate::engine::failure::Failure;
use crate::exit::Exit;
use crate::model::{Instance, Mark};
use crate::plan::{Action, Plan, mark, slots};
use crate::report::answer::Marked;
use crate::steps::{Options, past};

impl Context {
    pub(super) async fn mark(&self, wanted: MarkHost) -> Result<Exit, Failure> {
        let verb = match wanted.mark {
            Mark::Protect => "protect",
            Mark::Quarantine => "quarantine",
        };
        let held = self.hold(verb).await?;
        let order = Order { verb, arguments: format!("{wanted:?}"), options: Options::default() };
        let ran = self
            .run(&held, order, async |look| {
                let history = Self::whole_history(look.state)?;
                let live: Vec<Instance> = look.survey.instances.iter().filter(|i| i.state.live()).cloned().collect();
                let known = past::slots(&history);
                let slots = slots::assign(&known, &live);
                let (host, _) = self
                    .meant(&wanted.host, look.survey, &slots, &known)
                    .filter(|(host, _)| host.state.live())
                    .ok_or_else(|| missing(&wanted.host, &past::unseen(&history, look.survey)))?;
                Ok(mark::plan(&self.fleet, host, wanted.mark, wanted.off, self.clock.now(), look.request))
            })
            .await?;
        // The plan names the host, also when it was gone on with and its slot is another's by now.
        let plan = ran.journal.and_then(|journal| {
            journal.with_fold(|fold| serde_json::from_value::<Plan>(fold.begun.as_ref()?.plan.clone()).ok())
        });
        let marked = plan.iter().flat_map(|plan| &plan.steps).find_map(|step| match &step.action {
            Action::Mark { host, mark, since } => Some((host.to_string(), *mark, *since)),
            _ => None,
        });
        let Some((host, mark, since)) = marked else {
            return Err(Failure::to(Exit::Bug, "find the host that was marked"));
        };
        self.tell(Told::good(Marked { fleet: self.fleet.name.to_string(), host, mark, since, api_calls: self.calls() }))
    }
}
