//! The worker's side of the queue: takes, keeps hidden, acknowledges and gives back, and waits out what will pass.

use super::log::Log;
use super::policy::{self, After, Patience};
use super::stop::Stop;
use super::{Options, WorkError};
use crate::aws::{Clients, Received};
use crate::model::{Fault, FaultKind};
use crate::time::{SharedClock, sleep};
use jiff::{SignedDuration, Timestamp};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

/// SQS's longest long poll, world time.
const POLL: Duration = Duration::from_secs(20);

/// Messages in one call: SQS's bound.
const AT_ONCE: u32 = 10;

/// Tries of a call that settles an item; after them its visibility time-out settles it.
const TRIES: u32 = 5;

/// The queue as one worker sees it.
pub(super) struct Queue {
    clients: Clients,
    clock: SharedClock,
    url: Arc<str>,
    visibility: Duration,
    random: fastrand::Rng,
}

impl Queue {
    /// The queue of these options.
    pub(super) fn new(clients: Clients, clock: SharedClock, options: &Options, seed: u64) -> Self {
        let (url, visibility) = (options.queue_url.as_str().into(), options.visibility);
        Self { clients, clock, url, visibility, random: fastrand::Rng::with_seed(seed) }
    }

    /// Takes up to `want` items that are hidden from `since` on; none when a long poll brought none, or on a stop.
    ///
    /// # Errors
    ///
    /// When the queue refuses for good.
    pub(super) async fn take(
        &mut self,
        want: u32,
        since: Timestamp,
        stop: &Stop,
        log: &mut Log<'_>,
    ) -> Result<Vec<Received>, WorkError> {
        let mut taken = self.poll(want.min(AT_ONCE), stop, log).await?;
        let until = since.saturating_add(signed(policy::extend_every(self.visibility))).unwrap_or(Timestamp::MAX);
        while let Some(left) = want.checked_sub(count(&taken)).filter(|left| *left > 0) {
            if taken.is_empty() || stop.level() > 0 || self.clock.now() >= until {
                break;
            }
            match self.clients.receive(&self.url, left.min(AT_ONCE), self.visibility, Duration::ZERO).await {
                Ok(more) if more.is_empty() => break,
                Ok(more) => taken.extend(more),
                // What is in hand is worked on; the next take meets the same fault and decides.
                Err(fault) => {
                    log.fault(self.clock.now(), &fault, "works on what it has");
                    break;
                }
            }
        }
        Ok(taken)
    }

    /// One long poll, again and again while it fails in a way that will pass.
    async fn poll(&mut self, most: u32, stop: &Stop, log: &mut Log<'_>) -> Result<Vec<Received>, WorkError> {
        let mut patience = Patience::default();
        loop {
            let fault = match self.clients.receive(&self.url, most, self.visibility, POLL).await {
                Ok(taken) => return Ok(taken),
                Err(fault) => fault,
            };
            let wait = match patience.after(fault.kind, self.clock.now(), self.random.f64()) {
                After::Again(wait) => wait,
                After::GiveUp => {
                    return Err(WorkError::Queue { url: self.url.to_string(), source: Box::new(fault) });
                }
            };
            log.fault(self.clock.now(), &fault, &format!("again in {:.1}s", wait.as_secs_f64()));
            tokio::select! {
                () = sleep(&*self.clock, wait) => {}
                () = stop.reached(1) => return Ok(Vec::new()),
            }
        }
    }

    /// Hides the items again and again, a third of the visibility time-out apart, until it is dropped.
    pub(super) async fn keep_hidden(&self, items: &[Received], since: Timestamp, log: &mut Log<'_>) -> Infallible {
        let every = signed(policy::extend_every(self.visibility));
        let mut next = since.saturating_add(every).unwrap_or(Timestamp::MAX);
        loop {
            self.clock.sleep_until(next).await;
            next = self.clock.now().saturating_add(every).unwrap_or(Timestamp::MAX);
            for fault in self.hide(items, self.visibility).await {
                log.fault(self.clock.now(), &fault, "another worker may take the item too");
            }
        }
    }

    /// Hides the items for so long from now; answers the faults of those for which it failed.
    pub(super) async fn hide(&self, items: &[Received], visibility: Duration) -> Vec<Fault> {
        let mut faults = Vec::new();
        let mut calls = JoinSet::new();
        for item in items {
            if calls.len() >= AT_ONCE as usize
                && let Some(Ok(Err(fault))) = calls.join_next().await
            {
                faults.push(fault);
            }
            let (clients, url, receipt) = (self.clients.clone(), Arc::clone(&self.url), item.receipt.clone());
            calls.spawn(async move { clients.extend(&url, &receipt, visibility).await });
        }
        faults.extend(calls.join_all().await.into_iter().filter_map(Result::err));
        faults
    }

    /// Makes the items visible at once. Where that fails, their visibility time-out does it later.
    pub(super) async fn give_back(&self, items: &[Received]) {
        self.hide(items, Duration::ZERO).await;
    }

    /// Acknowledges the items; tells for each whether the queue confirmed it.
    pub(super) async fn acknowledge(&mut self, items: &[Received]) -> Vec<bool> {
        let mut confirmed = Vec::with_capacity(items.len());
        for chunk in items.chunks(AT_ONCE as usize) {
            confirmed.extend(self.acknowledge_chunk(chunk).await);
        }
        confirmed
    }

    /// Acknowledges up to ten items, again while that may help.
    async fn acknowledge_chunk(&mut self, items: &[Received]) -> Vec<bool> {
        let mut confirmed = vec![false; items.len()];
        let mut patience = Patience::default();
        for tried in 1..=TRIES {
            let open: Vec<usize> = (0..items.len()).filter(|index| !confirmed[*index]).collect();
            let receipts: Vec<String> = open.iter().map(|index| items[*index].receipt.clone()).collect();
            let worst = match self.clients.acknowledge(&self.url, &receipts).await {
                Ok(results) => {
                    let mut worst = None;
                    for (index, result) in open.into_iter().zip(results) {
                        match result {
                            Ok(()) => confirmed[index] = true,
                            Err(fault) => worst = Some(fault.kind),
                        }
                    }
                    worst
                }
                Err(fault) => Some(fault.kind),
            };
            let Some(kind) = worst else { break };
            let after = patience.after(kind, self.clock.now(), self.random.f64());
            match after {
                After::Again(wait) if tried < TRIES && kind != FaultKind::Gone => sleep(&*self.clock, wait).await,
                After::Again(_) | After::GiveUp => break,
            }
        }
        confirmed
    }
}

/// How many these are.
fn count(items: &[Received]) -> u32 {
    u32::try_from(items.len()).unwrap_or(u32::MAX)
}

/// A span as the clock's arithmetic takes it.
fn signed(span: Duration) -> SignedDuration {
    SignedDuration::try_from(span).unwrap_or(SignedDuration::MAX)
}
