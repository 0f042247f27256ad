//! The canary: real items through a private queue, completed by the template alone.

use super::Steps;
use super::call::{Repeat, state};
use super::reach::{self, unreached};
use crate::aws::QueueRequest;
use crate::engine::failure::Failure;
use crate::engine::run::Done;
use crate::engine::wait::{self, Patience, Seen, WaitError};
use crate::exit::Exit;
use crate::gate::{Candidate, OwnedIds};
use crate::journal::{Fold, IntentState, Outcome};
use crate::model::{Fault, FaultKind, Tags, count, shell_word, tags};
use crate::plan::token::run_intent;
use crate::plan::{Action, Plan};
use crate::ssh::Limits;
use crate::time::sleep;
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::time::Duration;

/// How long a canary item stays hidden from a second try.
const VISIBILITY: Duration = Duration::from_mins(2);
/// How much longer than the canary the worker's command may take, wall time.
const SLACK: Duration = Duration::from_mins(1);
/// World time between looks for items that came back.
const AGAIN: Duration = Duration::from_secs(10);

/// What the journal says of a canary whose items the template has completed.
const PASSED: &str = "passed";

#[derive(Clone, Debug, Serialize, Deserialize)]
struct MadeQueue {
    url: String,
}

impl Steps {
    /// Feeds the first items to a queue of our own, has the template work on them, and demands that none is left.
    pub(super) async fn canary(&self, step: &str, items: u32, within: Duration, queue: &str) -> Result<Done, Failure> {
        let command = self.fleet.worker.as_ref().and_then(|worker| worker.command.clone()).ok_or_else(|| {
            Failure::to(Exit::Usage, "run the canary: the spec has no `worker.command`")
                .hint("worker: {command: \"... {{ queue_url }} ...\"}")
        })?;
        let first: Vec<(String, String)> = self
            .options
            .items
            .iter()
            .flat_map(|items| items.iter())
            .take(usize::try_from(items).unwrap_or(usize::MAX))
            .enumerate()
            .map(|(index, body)| (index.to_string(), body.clone()))
            .collect();
        if first.is_empty() {
            return Err(Failure::to(Exit::Usage, "run the canary: the feed has no items"));
        }
        let made = self.private_queue(step, queue).await?;
        let ended = end_of(step);
        let (passed, ending) = self
            .journal
            .with_fold(|fold| (fold.cursors.get(step) == Some(&json!(PASSED)), fold.of_step(&ended).next().is_some()));
        if ending && !passed {
            self.delete_canary_queue(&ended, &made.url).await?;
            return Err(Failure::to(
                Exit::Partial,
                "go on with the canary: it had failed, and this run was stopped when its queue was over",
            )
            .hint("fleetwright verify     # begins anew"));
        }
        let worked = if passed { Ok(()) } else { self.work_on(step, &made.url, &first, &command, within).await };
        if worked.is_ok() && !passed {
            // Before the queue goes: without it nobody could tell any more.
            self.journal.cursor(step, json!(PASSED), self.clock.now()).map_err(state)?;
        }
        // A run that is gone on with later goes on with its queue; whatever else came of it, the queue has served.
        let over = match &worked {
            Ok(()) => true,
            Err(failure) => matches!(failure.exit, Exit::Partial | Exit::Refused | Exit::Usage),
        };
        let deleted = if over { self.delete_canary_queue(&ended, &made.url).await } else { Ok(()) };
        worked?;
        deleted?;
        let n = first.len();
        Ok(Done::new(json!({ "items": n }), format!("{n} of {} completed by the template alone", count(n, "item"))))
    }

    /// The private queue, which is made once.
    async fn private_queue(&self, step: &str, queue: &str) -> Result<MadeQueue, Failure> {
        let request =
            QueueRequest { name: queue.to_owned(), visibility: VISIBILITY, redrive: None, tags: self.queue_tags() };
        self.mutate(
            step,
            &format!("create queue {queue}"),
            Repeat::Safe,
            async || self.clients.draft_create_queue(&request).await,
            async |permit| {
                let url = self.clients.create_queue(permit).await?;
                Ok((vec![url.clone()], MadeQueue { url }))
            },
        )
        .await
    }

    /// Ends the private queue of a run that nobody goes on with, where it may be there.
    pub(super) async fn canary_over(&self, step: &str, queue: &str) -> Result<(), Failure> {
        // Too old to be sent again, and old enough to be listed.
        if let Some(old) = self.forgotten(step, SignedDuration::MAX) {
            let urls = self.read("look for the private queue", async || self.clients.queues_with_prefix(queue).await);
            let outcome = match urls.await?.into_iter().find(|url| url.rsplit('/').next() == Some(queue)) {
                Some(url) => {
                    Outcome::Done { request_id: None, ids: vec![url.clone()], data: super::output(&MadeQueue { url })? }
                }
                None => Outcome::Failed(never_made(&old)),
            };
            self.journal.settle(old.id, outcome, self.clock.now()).map_err(state)?;
        }
        if !self.perhaps_made(step) {
            return Ok(());
        }
        let made = self.private_queue(step, queue).await?;
        self.delete_canary_queue(&end_of(step), &made.url).await
    }

    /// Has a worker of our own on the private queue until that is empty. The worker ends with its connection, so that the
    /// template is left as it was, however this comes out.
    async fn work_on(
        &self,
        step: &str,
        url: &str,
        items: &[(String, String)],
        command: &str,
        within: Duration,
    ) -> Result<(), Failure> {
        let sample =
            self.read("look at the private queue", async || self.clients.sample(url, None, &*self.clock).await).await?;
        if sample.empty() {
            for batch in items.chunks(10) {
                let results =
                    self.read("feed the private queue", async || self.clients.send_batch(url, batch).await).await?;
                if let Some(fault) = results.into_iter().find_map(Result::err) {
                    return Err(Failure::call("feed the private queue", fault));
                }
            }
        }
        let command = render(command, url)?;
        let (host, session) = self.enter_template().await?;
        let n = items.len();
        // The queue's emptiness is waited for in world time; the command's own limit only has to be the longer one.
        let limits = Limits { timeout: within.saturating_add(SLACK), max_output: 64 * 1024 };
        let deadline = self.clock.now() + SignedDuration::try_from(within).unwrap_or_default();
        let patience = Patience::until(deadline);
        // What a worker that was killed with its connection had taken comes back when the next one may have left already.
        let work = async |again: bool| {
            if again {
                self.waiting_again(url).await;
            }
            session.exec_tied(&command, limits).await
        };
        let worked = {
            let mut worker = Box::pin(work(false));
            let mut emptied = Box::pin(wait::until(self.context(), step, &patience, || self.emptied(url)));
            let mut ended = None;
            loop {
                tokio::select! {
                    biased;
                    result = &mut emptied => break result.map_err(|error| {
                        let state = match &ended {
                            Some(words) => format!("the worker had left them behind with {words}"),
                            None => "the worker still ran".to_owned(),
                        };
                        self.not_emptied(error, &format!("{n} real items on {}", host.id), within, &state)
                    }),
                    result = &mut worker => match result {
                        Ok(execution) if execution.success() => {
                            ended = Some(reach::ended(&execution));
                            worker.set(work(true));
                        }
                        Ok(execution) => break Err(Failure::new(
                            Exit::Partial,
                            format!("work on {n} real items on {}: the worker broke down: {}", host.id, reach::ended(&execution)),
                        )
                        .hint("run `worker.command` by hand on the template, mend it, then verify again")),
                        Err(fault) => break Err(unreached(&host.id, &fault).hint("while the worker was at the canary's items")),
                    },
                }
            }
        };
        session.close().await;
        worked
    }

    /// Returns when items wait in the queue again; whoever looks at the queue too gives up on it in time.
    async fn waiting_again(&self, url: &str) {
        loop {
            sleep(&*self.clock, AGAIN).await;
            let sample = self.clients.sample(url, None, &*self.clock).await;
            if sample.is_ok_and(|sample| sample.waiting.is_some_and(|waiting| waiting > 0)) {
                return;
            }
        }
    }

    async fn emptied(&self, url: &str) -> Result<Seen<()>, Fault> {
        let sample = self.clients.sample(url, None, &*self.clock).await?;
        Ok(match sample.remaining() {
            Some(0) => Seen::Good(()),
            Some(left) => Seen::NotYet(format!("{left} left").into()),
            None => Seen::NotYet("counts unknown".into()),
        })
    }

    fn not_emptied(&self, error: WaitError, what: &str, within: Duration, state: &str) -> Failure {
        match error {
            WaitError::Deadline { last } => {
                Failure::to(Exit::Partial, format!("see {what} completed within {within:?}: {last}, {state}"))
                    .hint("does the worker acknowledge what it has done? `template.canary.within` gives it longer")
            }
            WaitError::Never(why) => Failure::to(Exit::Partial, format!("see {what} completed: {why}")),
            WaitError::Cancelled { .. } => Failure::interrupted(self.stopped().unwrap_or(Exit::Interrupted)),
            WaitError::Blind(fault) => Failure::call("look at the private queue", fault),
        }
    }

    fn queue_tags(&self) -> Tags {
        let tags = self.fleet.tags.clone();
        tags.with(tags::FLEET, self.fleet.name.as_str()).with(tags::INTENT, run_intent(&self.run.to_string()))
    }

    /// Deletes the private queue through the gate, or goes on with that; what is left of a killed run, `down` deletes.
    async fn delete_canary_queue(&self, step: &str, url: &str) -> Result<(), Failure> {
        let begun = self.journal.with_fold(|fold| fold.of_step(step).last().map(IntentState::open));
        let owned = match begun {
            Some(false) => return Ok(()),
            Some(true) => None,
            None => match self.owned_queue(url).await? {
                None => return Ok(()),
                owned => owned,
            },
        };
        self.mutate(
            step,
            "delete the private queue",
            Repeat::Safe,
            async || match &owned {
                Some(owned) => self.clients.draft_delete_queue(owned).await,
                None => Err(lost_draft()),
            },
            async |permit| match self.clients.delete_queue(permit).await {
                // Sent by a run that was killed before its answer, too.
                Err(fault) if fault.kind != FaultKind::Gone => Err(fault),
                Ok(()) | Err(_) => Ok((vec![url.to_owned()], Value::Null)),
            },
        )
        .await
        .map(drop)
    }

    async fn owned_queue(&self, url: &str) -> Result<Option<OwnedIds>, Failure> {
        loop {
            let read_at = self.clock.now();
            let Some(tags) = self.tags_of_queue(url).await? else { return Ok(None) };
            let candidate = Candidate { id: url.to_owned(), tags, termination_protected: false };
            if let Some(passed) = self.gate(vec![candidate], read_at)? {
                return Ok(passed.owned);
            }
        }
    }
}

/// What the end of the queue goes by in the journal.
fn end_of(step: &str) -> String {
    format!("{step}:end")
}

/// Whether the run of this plan has perhaps made a private queue and not ended it.
pub fn leaves_queue(plan: &Plan, fold: &Fold) -> bool {
    let canaries = plan.steps.iter().filter(|step| matches!(step.action, Action::Canary { .. }));
    let mut ids = canaries.map(|step| step.id.as_str());
    let failed = |intent: &IntentState| matches!(intent.outcome, Some(Outcome::Failed(_)));
    let done = |intent: &IntentState| matches!(intent.outcome, Some(Outcome::Done { .. }));
    ids.any(|id| !fold.of_step(id).all(failed) && !fold.of_step(&end_of(id)).any(done))
}

/// Why a call of unknown outcome counts as not carried out.
fn never_made(intent: &IntentState) -> Fault {
    Fault {
        kind: FaultKind::Gone,
        action: intent.call.action.clone(),
        code: "absent".to_owned(),
        message: format!("asked at {}, never answered, and no such queue is listed", intent.last),
        reason: "it was not carried out".to_owned(),
        request_id: None,
    }
}

/// A call that is in the journal already is never drafted again.
fn lost_draft() -> Fault {
    Fault {
        kind: FaultKind::Invalid,
        action: "DeleteQueue".to_owned(),
        code: "LostDraft".to_owned(),
        message: "the journal no longer has the call that it had".to_owned(),
        reason: "a bug".to_owned(),
        request_id: None,
    }
}

/// The worker's command with the private queue's URL in it, quoted for the shell.
fn render(command: &str, url: &str) -> Result<String, Failure> {
    let mut engine = minijinja::Environment::new();
    engine.set_undefined_behavior(minijinja::UndefinedBehavior::Strict);
    engine
        .render_str(command, minijinja::context! { queue_url => shell_word(url) })
        .map_err(|e| Failure::to(Exit::Usage, format!("render `worker.command`: {e}")))
}
