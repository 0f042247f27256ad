//! The worker that runs on a host: takes items from the queue, runs a command for each, acknowledges what went well.
//!
//! An item is acknowledged only after its command ended with 0; whatever happens before that, the queue gives the item out
//! again when its visibility time-out is over, so a host that dies loses nothing. While the command runs the items are kept
//! hidden. The command has a process group of its own: Ctrl-C reaches the worker alone, which then decides. A worker that
//! is killed with SIGKILL can't end its command; run it under a service manager, which ends them all.

mod child;
mod log;
mod policy;
mod queue;
mod stop;
#[cfg(test)]
mod tests;

pub use stop::{Asked, Stop};

use crate::aws::{Clients, Received};
use crate::model::Fault;
use crate::time::SharedClock;
use child::Child;
use jiff::{SignedDuration, Timestamp};
use log::Log;
use policy::Ending;
use queue::{Hold, Queue};
use std::collections::BTreeSet;
use std::io::{self, Write};
use std::process::ExitStatus;
use std::time::Duration;

/// What the worker is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// URL of the SQS queue.
    pub queue_url: String,
    /// Items per run of the command, 1..=1000; absent: one, handed over by itself.
    pub batch: Option<u32>,
    /// How long an item stays hidden from others between two extensions, 1 s..=12 h (SQS's own bounds).
    pub visibility: Duration,
    /// How long a failed item stays hidden; absent: the rest of its visibility time-out.
    pub retry_after: Option<Duration>,
    /// Stop when the queue gives nothing.
    pub exit_when_empty: bool,
    /// Stop after so many items, at least 1.
    pub max_items: Option<u64>,
    /// Program and arguments, never empty.
    pub command: Vec<String>,
}

/// Why the worker stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The queue gave nothing any more, and that was asked for.
    Empty,
    /// As many items as asked for.
    Enough,
    /// A first signal came; the items in hand were finished.
    Asked,
    /// A second signal came; the items in hand were given back.
    Abandoned,
}

/// What the worker did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Worked {
    /// Items acknowledged.
    pub ok: u64,
    /// Items whose command said no, or that could not be acknowledged: the queue gives them out again.
    pub failed: u64,
    /// Items that failed and were not seen to succeed later; counted only where the worker was to stop by itself.
    pub left: usize,
    /// Why it stopped.
    pub ended: Ended,
}

/// Why the worker could not go on.
#[derive(Debug, thiserror::Error)]
pub enum WorkError {
    /// The queue refuses for good.
    #[error("failed to work on {url}")]
    Queue {
        /// The queue.
        url: String,
        /// What it said.
        source: Box<Fault>,
    },
    /// The command can't be started; the items in hand were given back.
    #[error("failed to start {program}")]
    Start {
        /// The program.
        program: String,
        /// Why.
        source: io::Error,
    },
}

/// Shortest time between the starts of two polls that bring nothing, world time.
const BETWEEN_POLLS: SignedDuration = SignedDuration::from_secs(1);

/// How the command came out.
enum Outcome {
    /// It ended by itself.
    Ended(ExitStatus),
    /// It was ended because a second signal came.
    Abandoned,
}

/// Works until there is a reason to stop. `seed` spreads the retries of many workers; `log` gets a line for each item.
///
/// # Errors
///
/// When the queue refuses for good (permission, no such queue) or the command can't be started. Throttling and a network
/// that is down never end the worker.
pub async fn work(
    clients: Clients,
    clock: SharedClock,
    options: &Options,
    stop: Stop,
    seed: u64,
    log: &mut (dyn Write + Send),
) -> Result<Worked, WorkError> {
    let queue = Queue::new(clients, clock.clone(), options, seed);
    let mut worker = Worker {
        queue,
        clock,
        options,
        stop,
        log: Log::new(log),
        ok: 0,
        failed: 0,
        failed_in_a_row: 0,
        left: BTreeSet::new(),
    };
    let ended = worker.run().await?;
    Ok(Worked { ok: worker.ok, failed: worker.failed, left: worker.left.len(), ended })
}

/// One run of the worker.
struct Worker<'a> {
    queue: Queue,
    clock: SharedClock,
    options: &'a Options,
    stop: Stop,
    log: Log<'a>,
    ok: u64,
    failed: u64,
    /// Runs of the command that failed since the last that went well.
    failed_in_a_row: u32,
    /// By id, or by what they say; a worker without an end does not keep them.
    left: BTreeSet<String>,
}

impl Worker<'_> {
    /// Takes and works until there is a reason to stop.
    async fn run(&mut self) -> Result<Ended, WorkError> {
        child::check(&self.options.command)
            .map_err(|source| WorkError::Start { program: self.options.command.join(" "), source })?;
        let mut empty = 0;
        loop {
            let done = self.ok + self.failed;
            match policy::ending(self.options, done, empty, self.stop.level()) {
                Some(Ending::Empty) => return Ok(Ended::Empty),
                Some(Ending::Enough) => return Ok(Ended::Enough),
                Some(Ending::Asked) => return Ok(Ended::Asked),
                None => {}
            }
            if let Some(rest) = policy::rest(self.failed_in_a_row) {
                let what = format!("the command failed {} times in a row", self.failed_in_a_row);
                self.log.event(
                    self.clock.now(),
                    &what,
                    &format!("leaves the queue to others for {} s", rest.as_secs()),
                );
                let stop = self.stop.clone();
                tokio::select! {
                    () = crate::time::sleep(&*self.clock, rest) => {}
                    () = stop.reached(1) => return Ok(Ended::Asked),
                }
            }
            let since = self.clock.now();
            let want = policy::want(self.options, done);
            let stop = self.stop.clone();
            let taken = tokio::select! {
                taken = self.queue.take(want, since, &stop, &mut self.log) => taken?,
                () = stop.reached(2) => return Ok(Ended::Abandoned),
            };
            if taken.is_empty() {
                empty += 1;
                // A long poll takes its time; where something between us and the queue cuts it short, it must not spin.
                self.clock.sleep_until(since.saturating_add(BETWEEN_POLLS).unwrap_or(Timestamp::MAX)).await;
            } else if self.stop.level() > 0 {
                // They came with the receive that was under way when the signal came.
                self.queue.give_back(&taken).await;
                return Ok(Ended::Asked);
            } else {
                empty = 0;
                if let Some(ended) = self.handle(&taken, since).await? {
                    return Ok(ended);
                }
            }
        }
    }

    /// Runs the command for these items and settles them; tells when that was the end.
    async fn handle(&mut self, taken: &[Received], since: Timestamp) -> Result<Option<Ended>, WorkError> {
        let child = match Child::start(&self.options.command, self.options.batch.is_some(), taken) {
            Ok(child) => child,
            Err(source) => {
                self.queue.give_back(taken).await;
                return Err(WorkError::Start { program: self.options.command.join(" "), source });
            }
        };
        let mut hold = self.queue.hold(since);
        let outcome = self.watch(child, taken, &mut hold).await;
        let took = self.clock.now().duration_since(since);
        let nothing = vec![false; taken.len()];
        match &outcome {
            Outcome::Ended(status) if !status.success() => {
                self.failed_in_a_row = self.failed_in_a_row.saturating_add(1);
            }
            Outcome::Ended(_) | Outcome::Abandoned => self.failed_in_a_row = 0,
        }
        let (result, acknowledged) = match &outcome {
            Outcome::Ended(status) if status.success() => {
                ("ok".to_owned(), self.queue.acknowledge(taken, &mut hold, &mut self.log).await)
            }
            Outcome::Ended(status) => {
                if let Some(after) = self.options.retry_after {
                    self.queue.put_off(taken, after).await;
                }
                (log::ending(*status), nothing)
            }
            Outcome::Abandoned => {
                self.queue.give_back(taken).await;
                ("given-back".to_owned(), nothing)
            }
        };
        for (item, acknowledged) in taken.iter().zip(acknowledged) {
            let result = if result == "ok" && !acknowledged { "not-acknowledged" } else { &result };
            self.log.item(self.clock.now(), item, result, took);
            let name = item.item.as_ref().unwrap_or(&item.body);
            if acknowledged {
                self.ok += 1;
                self.left.remove(name);
            } else {
                self.failed += 1;
                if self.options.exit_when_empty || self.options.max_items.is_some() {
                    self.left.insert(name.clone());
                }
            }
        }
        Ok(matches!(outcome, Outcome::Abandoned).then_some(Ended::Abandoned))
    }

    /// Waits for the command and keeps its items hidden meanwhile; ends it at the second signal.
    async fn watch(&mut self, mut child: Child, taken: &[Received], hold: &mut Hold) -> Outcome {
        tokio::select! {
            // What has ended by itself before the signal came is not given back.
            biased;
            status = child.wait() => Outcome::Ended(status),
            never = self.queue.keep_hidden(taken, hold, &mut self.log) => match never {},
            () = self.stop.reached(2) => {
                child.kill().await;
                Outcome::Abandoned
            }
        }
    }
}
