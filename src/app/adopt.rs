//! `adopt`: a journal from tags alone. `--adopt` of other verbs is this, before the verb.

use super::Told;
use super::campaign::Order;
use super::context::Context;
use super::hold::Held;
use crate::engine::failure::Failure;
use crate::exit::Exit;
use crate::plan::adopt;
use crate::report::answer::TakenOver;
use crate::steps::{Adopted, Options};

impl Context {
    pub(super) async fn adopt(&self) -> Result<Exit, Failure> {
        let held = self.hold("adopt").await?;
        let adopted = self.adopt_held(&held).await?;
        self.tell(Told::good(TakenOver {
            fleet: self.fleet.name.to_string(),
            hosts: adopted.slots.into_iter().map(|(host, slot)| (host.to_string(), slot)).collect(),
            things: adopted.things,
            api_calls: self.calls(),
        }))
    }

    /// Takes everything over before a verb that was told to, as part of it.
    pub(super) async fn adopt_first(&self, held: &Held, adopt: bool) -> Result<(), Failure> {
        if adopt {
            self.part(self.adopt_held(held)).await?;
        }
        Ok(())
    }

    /// Takes everything over under a claim that is held already.
    async fn adopt_held(&self, held: &Held) -> Result<Adopted, Failure> {
        let order = Order { verb: "adopt", arguments: String::new(), options: Options::default() };
        let planner = async |look: super::campaign::Look<'_>| {
            self.events.note("waiting until whatever another machine asked for must be visible".to_owned());
            Ok(adopt::plan(&self.fleet, self.clock.now(), look.request))
        };
        let ran = Box::pin(self.run(held, order, planner)).await?;
        let output = ran.journal.and_then(|journal| journal.with_fold(|fold| fold.steps.get("adopt").cloned()));
        serde_json::from_value(output.unwrap_or_default())
            .map_err(|e| Failure::to(Exit::Bug, format!("read what was taken over: {e}")))
    }
}
