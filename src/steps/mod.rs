//! What each step of a plan does, one file per kind; the engine drives them through [`Steps`].

mod accept;
mod call;
mod epoch;
mod image;
mod leftovers;
pub mod past;
mod rung;
mod settle;
mod terminate;

use crate::aws::Clients;
use crate::engine::cancel::Cancel;
use crate::engine::failure::Failure;
use crate::engine::retry::Policy;
use crate::engine::run::{Done, Driver};
use crate::engine::wait::{self, Seen, Until};
use crate::event::Events;
use crate::exit::Exit;
use crate::journal::{FleetDir, Journal};
use crate::model::{AccountId, Fault, InstanceId, RunId};
use crate::plan::ladder::RungOutcome;
use crate::plan::{Action, Plan, Step};
use crate::spec::{Fleet, Playbook};
use crate::time::{BoxFuture, SharedClock};
use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::sync::Arc;

pub use epoch::Epoch;
pub use image::Made;

/// What the operator said beyond the spec.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Things with our tags and no journal are ours all the same.
    pub adopt: bool,
}

/// All that steps work with.
pub struct Steps {
    /// The run.
    pub run: RunId,
    /// The checked spec.
    pub fleet: Arc<Fleet>,
    /// The plan that is carried out.
    pub plan: Plan,
    /// The verify playbook, where the spec names one.
    pub verify: Option<Arc<Playbook>>,
    /// The deploy playbook, where the spec names one.
    pub deploy: Option<Arc<Playbook>>,
    /// AWS.
    pub clients: Arc<Clients>,
    /// The account that the credentials belong to.
    pub caller: AccountId,
    /// This run's journal.
    pub journal: Arc<Journal>,
    /// The fleet's state directory with the journals of other runs.
    pub state: Arc<FleetDir>,
    /// Whether this process holds the fleet's claim.
    pub claim_held: bool,
    /// World time.
    pub clock: SharedClock,
    /// Where everything is told.
    pub events: Events,
    /// Ctrl-C.
    pub cancel: Cancel,
    /// How calls are repeated.
    pub policy: Policy,
    /// What the operator said.
    pub options: Options,
}

impl Steps {
    /// The output of an earlier step.
    pub(crate) fn output_of<T: DeserializeOwned>(&self, step: &str) -> Result<T, Failure> {
        let value = self.journal.with_fold(|fold| fold.steps.get(step).cloned()).unwrap_or(Value::Null);
        serde_json::from_value(value)
            .map_err(|e| Failure::new(Exit::State, format!("read what step {step} left in the journal: {e}")))
    }

    /// What the ladder's rungs brought so far.
    pub(crate) fn rungs(&self) -> Vec<RungOutcome> {
        match self.plan.ladder() {
            Some((step, ladder)) => self.journal.with_fold(|fold| ladder.outcomes(step, fold)),
            None => Vec::new(),
        }
    }

    /// A read, repeated while that may help.
    async fn read<T>(&self, what: &str, read: impl AsyncFn() -> Result<T, Fault>) -> Result<T, Failure> {
        crate::engine::retry::retry(&*self.clock, &self.events, &self.cancel, self.policy, read)
            .await
            .map_err(|fault| Failure::call(what, fault))
    }

    /// Waits for something in the world.
    async fn until<T>(&self, until: Until, look: impl AsyncFn() -> Result<Seen<T>, Fault>) -> Result<T, Failure> {
        wait::until(&*self.clock, &self.events, &self.cancel, until, look).await
    }

    /// Waits for an instant of world time, or until the operator wants to stop.
    async fn pause_until(&self, instant: Timestamp) -> Result<(), Failure> {
        tokio::select! {
            () = self.clock.sleep_until(instant) => Ok(()),
            exit = self.cancel.stopping() => Err(Failure::interrupted(exit)),
        }
    }

    fn check_cancel(&self) -> Result<(), Failure> {
        match self.cancel.stopped() {
            Some(exit) => Err(Failure::interrupted(exit)),
            None => Ok(()),
        }
    }
}

/// A step's output as the journal keeps it.
fn output(value: &impl Serialize) -> Result<Value, Failure> {
    serde_json::to_value(value).map_err(|e| Failure::new(Exit::Bug, format!("write down a step's output: {e}")))
}
