//! What every part of a run holds: clock, events, Ctrl-C, paces and patience; and the small things done with them.

use super::cancel::{Cancel, Level};
use super::failure::Failure;
use super::limit::Limits;
use super::retry::{self, Jitter, Policy};
use super::wait::{self, Patience, Seen, WaitError};
use crate::event::Events;
use crate::exit::Exit;
use crate::model::buckets::READ;
use crate::model::{Fault, FaultKind};
use crate::time::SharedClock;
use jiff::Timestamp;
use std::sync::Arc;

/// Shared by a verb and its steps; clones are the same run.
#[derive(Clone)]
pub struct Tools {
    /// World time.
    pub clock: SharedClock,
    /// Where everything is told.
    pub events: Events,
    /// Ctrl-C.
    pub cancel: Cancel,
    /// Paces of calls.
    pub limits: Arc<Limits>,
    /// Where random waits come from.
    pub jitter: Arc<Jitter>,
    /// How failed calls are repeated.
    pub policy: Policy,
}

/// What is waited for.
#[derive(Clone, Debug)]
pub struct Until {
    /// The step that waits.
    pub step: String,
    /// Fits after "failed to wait for".
    pub what: String,
    /// Good answers in a row that are believed.
    pub good: u32,
    /// The last look is not later than this, world time.
    pub deadline: Timestamp,
}

impl Tools {
    /// What retries and waits need.
    pub fn context(&self) -> retry::Context<'_> {
        retry::Context {
            clock: &*self.clock,
            events: &self.events,
            cancel: &self.cancel,
            limits: &self.limits,
            jitter: &self.jitter,
        }
    }

    /// A read, repeated while that may help.
    ///
    /// # Errors
    ///
    /// The last fault, said in the words of what was read; or the interruption.
    pub async fn read<T>(&self, what: &str, read: impl AsyncFn() -> Result<T, Fault>) -> Result<T, Failure> {
        let result = retry::retry(self.context(), READ, &self.policy, FaultKind::retryable, || read()).await;
        result.map_err(|fault| match self.stopped() {
            Some(exit) => Failure::interrupted(exit),
            None => Failure::call(what, fault),
        })
    }

    /// Waits for something in the world.
    ///
    /// # Errors
    ///
    /// When it can't happen any more, did not happen in time, or the operator wants to stop.
    pub async fn until<T>(&self, until: Until, look: impl AsyncFn() -> Result<Seen<T>, Fault>) -> Result<T, Failure> {
        let patience = Patience { good_in_a_row: until.good, ..Patience::until(until.deadline) };
        let what = &until.what;
        wait::until(self.context(), &until.step, &patience, || look()).await.map_err(|error| match error {
            WaitError::Never(why) => Failure::to(Exit::Unavailable, format!("wait for {what}: {why}")),
            WaitError::Deadline { last } => {
                Failure::to(Exit::Unavailable, format!("wait for {what}: it took too long ({last})"))
                    .hint("the same command again goes on waiting")
            }
            WaitError::Cancelled { .. } => Failure::interrupted(self.stopped().unwrap_or(Exit::Interrupted)),
            WaitError::Blind(fault) => Failure::call(format!("wait for {what}"), fault),
        })
    }

    /// How to exit, once the operator wants to stop.
    pub fn stopped(&self) -> Option<Exit> {
        self.cancel.reached(Level::StopStarting).then(|| self.cancel.exit().unwrap_or(Exit::Interrupted))
    }

    /// Waits until nothing new should be started.
    pub async fn stopping(&self) -> Exit {
        self.cancel.wait(Level::StopStarting).await;
        self.cancel.exit().unwrap_or(Exit::Interrupted)
    }

    /// Waits until what is under way should be undone or abandoned.
    pub async fn abandoned(&self) -> Exit {
        self.cancel.wait(Level::Abandon).await;
        self.cancel.exit().unwrap_or(Exit::Interrupted)
    }

    /// Fails once the operator wants to stop.
    ///
    /// # Errors
    ///
    /// The interruption.
    pub fn check_cancel(&self) -> Result<(), Failure> {
        self.stopped().map_or(Ok(()), |exit| Err(Failure::interrupted(exit)))
    }

    /// Waits for an instant of world time, or until the operator wants to stop.
    ///
    /// # Errors
    ///
    /// The interruption.
    pub async fn pause_until(&self, instant: Timestamp) -> Result<(), Failure> {
        tokio::select! {
            () = self.clock.sleep_until(instant) => Ok(()),
            exit = self.stopping() => Err(Failure::interrupted(exit)),
        }
    }

    /// Waits for a span of world time, or until the operator wants to stop.
    ///
    /// # Errors
    ///
    /// The interruption.
    pub async fn pause(&self, span: std::time::Duration) -> Result<(), Failure> {
        let span = jiff::SignedDuration::try_from(span).unwrap_or(jiff::SignedDuration::MAX);
        self.pause_until(self.clock.now().saturating_add(span).unwrap_or(Timestamp::MAX)).await
    }

    /// Waits until the next look at what may take long: `least`, or a third of the time since `begun` where that is more,
    /// at most a minute. So looks are close together while much happens, and a wait for lagging readers costs few calls.
    ///
    /// # Errors
    ///
    /// The interruption.
    pub async fn pause_longer(&self, least: std::time::Duration, begun: Timestamp) -> Result<(), Failure> {
        let waited = self.clock.now().duration_since(begun).unsigned_abs();
        self.pause((waited / 3).min(std::time::Duration::from_mins(1)).max(least)).await
    }
}
