//! Earlier runs on templates that were built: a bake whose image was asked for needs its template no more and is finished
//! without it; what others left open is settled, so that nobody waits for it.

use super::campaign::Order;
use super::context::{Context, state};
use super::hold::Held;
use crate::cli::request::Bake;
use crate::engine::failure::Failure;
use crate::exit::Exit;
use crate::journal::{Outcome, PastRun};
use crate::model::{ImageRequest, InstanceId, tags};
use crate::plan::bake::to_come;
use crate::plan::{Action, Plan, build};
use crate::report::answer::Baked;
use crate::steps::{Options, leaves_queue, past};
use std::sync::{Arc, PoisonError};

/// A bake of the past and what it was to make.
struct Bakery<'a> {
    past: &'a PastRun,
    plan: Plan,
    of: ImageRequest,
}

impl<'a> Bakery<'a> {
    fn of(past: &'a PastRun) -> Option<Self> {
        let begun = past.fold.begun.as_ref().filter(|begun| begun.verb == "bake")?;
        let plan: Plan = serde_json::from_value(begun.plan.clone()).ok()?;
        let of = plan.steps.iter().find_map(|step| match &step.action {
            Action::Image(request) => Some(request.clone()),
            _ => None,
        })?;
        Some(Self { past, plan, of })
    }

    /// Whether CreateImage may have been carried out.
    fn asked(&self) -> bool {
        let intents = self.past.fold.intents.iter();
        let mut asked = intents.filter(|intent| intent.call.action == "CreateImage");
        asked.any(|intent| !matches!(intent.outcome, Some(Outcome::Failed(_))))
    }
}

impl Context {
    /// The image of an earlier try of this very bake whose template is gone or ends; it is gone on with where it must be.
    pub(super) async fn earlier_bake(
        &self,
        held: &Held,
        wanted: Bake,
        release: Option<&str>,
    ) -> Result<Option<Baked>, Failure> {
        let Some(made_of) = self.made_of() else { return Ok(None) };
        let history = Self::whole_history(&held.state)?;
        if let Some(last) = history.runs().next().filter(|past| past.fold.ended == Some(Exit::Done) && !wanted.keep)
            && let Some(bakery) = Bakery::of(last)
            && self.same_bake(&bakery, wanted, &made_of).is_some()
            && to_come(&bakery.plan).is_some_and(|(_, told)| told.get(tags::RELEASE) == release)
            && let Some(baked) = self.baked_by(&last.fold)
            && (self.template_ending()? || self.lives(&bakery.of.instance).await?)
        {
            Box::pin(self.end_template(false, true)).await?;
            self.nothing("bake", format!("image {} is there: only its template had to end", baked.image));
            return Ok(Some(baked));
        }
        for past in history.unfinished() {
            let Some(bakery) = Bakery::of(past).filter(Bakery::asked) else { continue };
            let Some(there) = self.same_bake(&bakery, wanted, &made_of) else { continue };
            if self.lives(&bakery.of.instance).await? {
                continue;
            }
            if !self.planning() && !self.settled(held, past, bakery.plan).await? {
                continue;
            }
            let order = there.bake_order(wanted);
            let ran = there.run(held, order, async |_| Err(Failure::to(Exit::Bug, "go on with the bake"))).await?;
            let baked = ran.journal.and_then(|journal| journal.with_fold(|fold| self.baked_by(fold)));
            Box::pin(self.end_template(false, true)).await?;
            return Ok(baked);
        }
        Ok(None)
    }

    /// The program on the template of an earlier bake, where that is the one that is wanted now.
    fn same_bake(&self, bakery: &Bakery<'_>, wanted: Bake, made_of: &str) -> Option<Self> {
        let begun = bakery.past.fold.begun.as_ref()?;
        let there = self.with(Arc::new(build::with_template(&self.fleet, Some(bakery.of.instance.clone()))));
        let named = there.resuming.lock().unwrap_or_else(PoisonError::into_inner).as_ref() == Some(&begun.run);
        let same = named || begun.request == there.request(&there.bake_order(wanted));
        let made = to_come(&bakery.plan).is_some_and(|(_, told)| build::made(&told) == Some(made_of));
        Some(there).filter(|_| same && made)
    }

    /// A look may show for minutes what a call of ours has ended.
    async fn lives(&self, id: &InstanceId) -> Result<bool, Failure> {
        if let Some(dir) = self.builder_dir()?
            && past::gone(&Self::whole_history(&dir)?).contains(id)
        {
            return Ok(false);
        }
        let clients = self.clients().await?;
        let found = self.read(&format!("look at template {id}"), async || clients.instance(id).await).await?;
        Ok(found.is_some_and(|instance| instance.state.live()))
    }

    /// Settles what runs of this verb left open that were on another template that was built, or meant something else.
    pub(super) async fn settle_others(&self, held: &Held, order: &Order<'_>) -> Result<(), Failure> {
        if self.fleet.build().is_none() || self.planning() {
            return Ok(());
        }
        let request = self.request(order);
        let history = Self::whole_history(&held.state)?;
        for past in history.unfinished() {
            let other = past.fold.begun.as_ref().filter(|begun| begun.verb == order.verb && begun.request != request);
            let Some(begun) = other else { continue };
            let plan: Plan = serde_json::from_value(begun.plan.clone())
                .map_err(|e| Failure::to(Exit::State, format!("read the plan of run {}: {e}", begun.run)))?;
            if past.fold.unresolved().next().is_some() || leaves_queue(&plan, &past.fold) {
                self.settled(held, past, plan).await?;
            }
        }
        Ok(())
    }

    /// Finds out what a run left that was cut short on a template that is gone; whether its image is there. Else it is over.
    async fn settled(&self, held: &Held, past: &PastRun, plan: Plan) -> Result<bool, Failure> {
        let (run, verb) = (past.dir.run(), plan.verb.clone());
        let (journal, torn) = past.dir.resume(held.claim()?).map_err(state)?;
        if let Some(torn) = torn {
            self.events.note(format!("run {run}: {torn}"));
        }
        self.events.note(format!("run {run} of {verb} was cut short on another template: looking for what it made"));
        let steps = self.steps(held, run, plan, Arc::new(journal), Options::default()).await?;
        let made = steps.settle_abandoned().await?;
        if !made {
            steps.journal.end(Exit::Interrupted, self.clock.now()).map_err(state)?;
        }
        Ok(made)
    }
}
