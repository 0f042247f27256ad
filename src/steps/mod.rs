//! What each step of a plan does, one file per kind; the engine drives them through [`Steps`].

mod abandoned;
mod accept;
mod adopt;
mod call;
mod canary;
pub mod carry;
mod checks;
mod copy;
mod drain;
mod epoch;
mod extend;
mod feed;
mod group;
mod image;
mod leave;
pub mod ledger;
pub mod leftovers;
mod mark;
mod members;
pub mod past;
mod push;
mod reach;
mod reap;
mod refresh;
mod rung;
mod scan;
mod schedule;
mod service;
mod settle;
mod terminate;
mod valve;
mod worker;

use crate::aws::Clients;
use crate::engine::failure::Failure;
use crate::engine::run::{Done, Driver, LocalFuture};
use crate::engine::tools::Tools;
use crate::exit::Exit;
use crate::journal::{FleetDir, Journal};
use crate::model::{AccountId, RunId, count_is};
use crate::plan::ladder::RungOutcome;
use crate::plan::{Action, Plan, Step};
use crate::spec::{Fleet, Playbook};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::sync::Arc;

pub use adopt::Adopted;
pub use canary::leaves_queue;
pub use epoch::Epoch;
pub use extend::Extended;
pub use feed::{FeedMark, FeedOrder};
pub use image::Made;
pub use members::{all_guarded, foreign_members};
pub use push::{PushOrder, Pushed};
pub use reach::{Reach, ssh_hint};
pub use scan::Attestation;
use service::InService;
pub use settle::Settled;
pub use terminate::TAG_OFF;

/// What the operator said beyond the spec.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The feed's first items, for the canary.
    pub items: Option<Arc<Vec<String>>>,
    /// What `feed` sends.
    pub feed: Option<FeedOrder>,
    /// What `push` brings, and where to.
    pub push: Option<PushOrder>,
}

/// Steps use the run's tools as if they were their own.
impl std::ops::Deref for Steps {
    type Target = Tools;
    fn deref(&self) -> &Tools {
        &self.tools
    }
}

/// All that steps work with.
#[derive(Clone)]
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
    /// The drain playbook, where the spec names one.
    pub drain: Option<Arc<Playbook>>,
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
    /// Clock, events, Ctrl-C, paces.
    pub tools: Tools,
    /// SSH.
    pub reach: Reach,
    /// What the operator said.
    pub options: Options,
}

impl Steps {
    /// The output of an earlier step.
    pub(crate) fn output_of<T: DeserializeOwned>(&self, step: &str) -> Result<T, Failure> {
        let value = self.journal.with_fold(|fold| fold.steps.get(step).cloned()).unwrap_or(Value::Null);
        serde_json::from_value(value)
            .map_err(|e| Failure::to(Exit::State, format!("read what step {step} left in the journal: {e}")))
    }

    /// What the ladder's rungs brought so far.
    pub(crate) fn rungs(&self) -> Vec<RungOutcome> {
        match self.plan.ladder() {
            Some((step, ladder)) => self.journal.with_fold(|fold| ladder.outcomes(step, fold)),
            None => Vec::new(),
        }
    }
}

/// A step's output as the journal keeps it.
fn output(value: &impl Serialize) -> Result<Value, Failure> {
    serde_json::to_value(value).map_err(|e| Failure::to(Exit::Bug, format!("write down a step's output: {e}")))
}

impl Driver for Steps {
    fn probe<'a>(&'a self, step: &'a Step) -> LocalFuture<'a, Result<Option<Done>, Failure>> {
        Box::pin(async move {
            match &step.action {
                Action::Epoch { wanted, expires_seconds, of, .. } => {
                    let wanted = self.of_image(wanted, of.as_deref()).await?;
                    self.probe_epoch(&step.id, &wanted, *expires_seconds).await
                }
                // The others find out by themselves what is done already: their looks and their changes are one loop.
                _ => Ok(None),
            }
        })
    }

    fn run<'a>(&'a self, step: &'a Step) -> LocalFuture<'a, Result<Done, Failure>> {
        Box::pin(async move {
            let id = step.id.as_str();
            match &step.action {
                Action::Epoch { wanted, expires_seconds, grouped, of } => {
                    let wanted = self.of_image(wanted, of.as_deref()).await?;
                    self.make_epoch(id, &wanted, *expires_seconds, *grouped).await
                }
                Action::Group(wanted) => self.have_group(id, wanted, true).await,
                Action::GroupFollows(wanted) => self.have_group(id, wanted, false).await,
                Action::GroupEnds { group, at } => self.group_ends(id, group, *at).await,
                Action::GroupSize { group, size } => self.raise_group(id, group, *size).await,
                Action::InService { group, size, min, within_seconds, abort } => {
                    let wish = InService { size: *size, min: *min, within: *within_seconds, abort: *abort };
                    self.in_service(id, group, wish).await
                }
                Action::GroupEmpty { group } => self.empty_group(id, group).await,
                Action::GroupGone { group } => self.delete_group(id, group).await,
                Action::Capacity(_) => Err(Failure::to(Exit::Bug, "run a ladder: it is unfolded into rungs")),
                Action::Rung(rung) => self.climb(id, rung).await,
                Action::Accept { min, wanted, abort } => self.accept(*min, *wanted, *abort).await,
                Action::Settle { until, existing, aside, awaited } => {
                    self.settle(id, *until, (existing, aside), awaited).await
                }
                Action::Checks => self.checks().await,
                Action::Canary { items, within, queue } => self.canary(id, *items, *within, queue).await,
                Action::Quiesce => self.quiesce().await,
                Action::Scan => self.scan().await,
                Action::Image(request) => self.make_image(id, request).await,
                Action::ImageAvailable => self.image_available(id).await,
                Action::CopyImage(request) => self.copy_image(id, request).await,
                Action::Copied { of, region } => self.copied(id, of, region).await,
                Action::DraftGone { of } => self.draft_gone(id, of).await,
                Action::Unquiesce => self.unquiesce().await,
                Action::Push => self.push(id).await,
                Action::Feed => self.feed(id).await,
                Action::Drain { hosts } => self.drain(hosts).await,
                Action::End { hosts, drained, group, left } => {
                    let place = group.as_deref().map(|group| (group, *left));
                    self.end_some(id, hosts, *drained, place).await
                }
                Action::Want { size } => {
                    let told = format!("{} wanted from now on", count_is(*size, "host"));
                    Ok(Done::new(json!({ "size": size }), told))
                }
                Action::Refresh { group, preferences } => self.refresh(id, group, *preferences).await,
                Action::Renew { .. } => Err(Failure::to(Exit::Bug, "run a renewal: each of its rounds is a run")),
                Action::Extend { until, grouped } => self.extend(id, *until, *grouped).await,
                Action::Mark { host, mark, since } => self.put_mark(id, host, *mark, *since).await,
                Action::Shield { group, host, on } => self.shield(id, group, host, *on).await,
                Action::StopWorker { host } => self.stop_worker(host).await,
                Action::StartWorker { host } => self.start_worker(host).await,
                Action::Unschedule { group, names } => self.unschedule(id, group, names).await,
                Action::Schedule { group, actions } => self.schedule(id, group, actions).await,
                Action::Quiet { seconds } => self.quiet(*seconds).await,
                Action::Adopt { at, orphans } => self.adopt(*at, orphans.as_ref()).await,
                Action::Reap => self.reap(id).await,
                Action::Terminate => self.terminate(id).await,
                Action::Volumes => self.delete_volumes(id).await,
                Action::Template => self.delete_template(id).await,
                Action::Queues => self.delete_queues(id).await,
                Action::Images { keep, region } => {
                    self.at(region.as_ref().unwrap_or(&self.fleet.region)).end_images(id, *keep).await
                }
                Action::Sweep => self.sweep(id).await,
            }
        })
    }

    /// Everything is resumable, so abandoning is leaving it as the journal knows it; what was launched is said.
    fn undo<'a>(&'a self, step: &'a Step) -> LocalFuture<'a, Result<(), Failure>> {
        Box::pin(async move {
            let open = self.journal.with_fold(|fold| fold.of_step(&step.id).any(crate::journal::IntentState::open));
            if open {
                self.events.warn(format!("{}: its call may have been carried out; the next run finds out", step.title));
            }
            Ok(())
        })
    }
}
