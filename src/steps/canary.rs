//! The canary: real items through a private queue, completed by the template alone.

use super::Steps;
use super::call::Repeat;
use crate::aws::QueueRequest;
use crate::engine::failure::Failure;
use crate::engine::run::Done;
use crate::engine::tools::Until;
use crate::engine::wait::Seen;
use crate::exit::Exit;
use crate::gate::Candidate;
use crate::model::{Tags, shell_word, tags};
use crate::plan::token::run_intent;
use crate::ssh::{Input, Limits};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::time::Duration;

/// How long a canary item stays hidden from a second try.
const VISIBILITY: Duration = Duration::from_mins(2);

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
        let request =
            QueueRequest { name: queue.to_owned(), visibility: VISIBILITY, redrive: None, tags: self.queue_tags() };
        let made: MadeQueue = self
            .mutate(
                step,
                &format!("create queue {queue}"),
                Repeat::Safe,
                async || self.clients.draft_create_queue(&request).await,
                async |permit| {
                    let url = self.clients.create_queue(permit).await?;
                    Ok((vec![url.clone()], MadeQueue { url }))
                },
            )
            .await?;
        let worked = self.work_on(step, &made.url, &first, &command, within).await;
        let deleted = self.delete_canary_queue(step, &made.url).await;
        worked?;
        deleted?;
        let n = first.len();
        Ok(Done::new(json!({ "items": n }), format!("{n} of {n} items completed by the template alone")))
    }

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
        let limits = Limits { timeout: within, max_output: 64 * 1024 };
        let what = "work on the canary's items";
        self.on_template(&session, &host.id, what, &command, Input::Empty, limits).await?;
        session.close().await;
        let deadline = self.clock.now() + jiff::SignedDuration::try_from(within).unwrap_or_default();
        let wanted = Until {
            step: step.to_owned(),
            what: "the canary's items to be acknowledged".to_owned(),
            good: 3,
            deadline,
        };
        self.until(wanted, async || {
            let sample = self.clients.sample(url, None, &*self.clock).await?;
            Ok(match sample.remaining() {
                Some(0) => Seen::Good(()),
                Some(left) => Seen::NotYet(format!("{left} left").into()),
                None => Seen::NotYet("counts unknown".into()),
            })
        })
        .await
        .map_err(|failure| {
            failure.hint(format!("step {step}: the worker ended well but did not acknowledge every item"))
        })
    }

    fn queue_tags(&self) -> Tags {
        let tags = self.fleet.tags.clone();
        tags.with(tags::FLEET, self.fleet.name.as_str()).with(tags::INTENT, run_intent(&self.run.to_string()))
    }

    /// Deletes the private queue through the gate; what is left of a killed run, `down` deletes.
    async fn delete_canary_queue(&self, step: &str, url: &str) -> Result<(), Failure> {
        let passed = loop {
            let read_at = self.clock.now();
            let tags = self.read("read the private queue's tags", async || self.clients.queue_tags(url).await).await?;
            let candidate = Candidate { id: url.to_owned(), tags, termination_protected: false };
            if let Some(passed) = self.gate(vec![candidate], read_at)? {
                break passed;
            }
        };
        let Some(owned) = passed.owned else { return Ok(()) };
        self.change(
            step,
            "delete the private queue",
            async || self.clients.draft_delete_queue(&owned).await,
            async |permit| {
                self.clients.delete_queue(permit).await?;
                Ok((vec![url.to_owned()], Value::Null))
            },
        )
        .await
        .map(drop)
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
