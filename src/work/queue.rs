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
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::task::JoinSet;

/// SQS's longest long poll, world time.
const POLL: Duration = Duration::from_secs(20);

/// Messages in one call: SQS's bound.
const AT_ONCE: u32 = 10;

/// Tries of a call that settles an item; after them its visibility time-out settles it.
const TRIES: u32 = 5;

/// Items in hand, and when they have to be hidden again.
pub(super) struct Hold {
    since: Timestamp,
    due: Timestamp,
}

/// The queue as one worker sees it.
pub(super) struct Queue {
    clients: Clients,
    clock: SharedClock,
    url: Arc<str>,
    visibility: Duration,
    random: Mutex<fastrand::Rng>,
}

impl Queue {
    /// The queue of these options.
    pub(super) fn new(clients: Clients, clock: SharedClock, options: &Options, seed: u64) -> Self {
        let (url, visibility) = (options.queue_url.as_str().into(), options.visibility);
        Self { clients, clock, url, visibility, random: Mutex::new(fastrand::Rng::with_seed(seed)) }
    }

    /// A hold on items that were taken at `since` or later.
    pub(super) fn hold(&self, since: Timestamp) -> Hold {
        Hold { since, due: after(since, policy::extend_every(self.visibility)) }
    }

    /// Spreads the retries of many workers: 0..1.
    fn spread(&self) -> f64 {
        self.random.lock().unwrap_or_else(PoisonError::into_inner).f64()
    }

    /// Takes up to `want` items that are hidden from `since` on; none when a long poll brought none, or on a stop.
    ///
    /// # Errors
    ///
    /// When the queue refuses for good.
    pub(super) async fn take(
        &self,
        want: u32,
        since: Timestamp,
        stop: &Stop,
        log: &mut Log<'_>,
    ) -> Result<Vec<Received>, WorkError> {
        let mut taken = self.poll(want.min(AT_ONCE), stop, log).await?;
        let until = after(since, policy::extend_every(self.visibility));
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
    async fn poll(&self, most: u32, stop: &Stop, log: &mut Log<'_>) -> Result<Vec<Received>, WorkError> {
        let mut patience = Patience::default();
        loop {
            let fault = match self.clients.receive(&self.url, most, self.visibility, POLL).await {
                Ok(taken) => return Ok(taken),
                Err(fault) => fault,
            };
            let wait = match patience.after(fault.kind, self.clock.now(), self.spread()) {
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

    /// Hides the items again and again until it is dropped, as [`policy`] says: in time, up to SQS's bound, and not those
    /// that are nobody's any more.
    pub(super) async fn keep_hidden(&self, items: &[Received], hold: &mut Hold, log: &mut Log<'_>) -> Infallible {
        let mut ours: Vec<&Received> = items.iter().collect();
        loop {
            self.clock.sleep_until(hold.due).await;
            let now = self.clock.now();
            let Some(span) = policy::hide_for(self.visibility, now.duration_since(hold.since)) else {
                log.event(now, "12 hours, SQS's bound, are over", "another worker may take the item too");
                return std::future::pending().await;
            };
            // Dropped half-way, this time is missed and the next comes early enough.
            hold.due = after(now, policy::extend_every(self.visibility));
            let results = self.hide(&ours, span).await;
            let mut kept = Vec::with_capacity(ours.len());
            for (item, result) in ours.into_iter().zip(results) {
                match result {
                    Ok(()) => kept.push(item),
                    Err(fault) if policy::lost(fault.kind) => {
                        log.fault(self.clock.now(), &fault, "another worker may take the item too");
                    }
                    Err(fault) => {
                        log.fault(self.clock.now(), &fault, "tries again soon");
                        hold.due = after(now, policy::retry_in(self.visibility));
                        kept.push(item);
                    }
                }
            }
            ours = kept;
            if ours.is_empty() {
                return std::future::pending().await;
            }
        }
    }

    /// Hides the items for so long from now, ten a call, some calls at a time; one result for each item, in order.
    async fn hide(&self, items: &[&Received], visibility: Duration) -> Vec<Result<(), Fault>> {
        let mut results = Vec::with_capacity(items.len());
        for wave in items.chunks((AT_ONCE * AT_ONCE) as usize) {
            let mut calls = JoinSet::new();
            for (position, chunk) in wave.chunks(AT_ONCE as usize).enumerate() {
                let (clients, url) = (self.clients.clone(), Arc::clone(&self.url));
                let receipts: Vec<String> = chunk.iter().map(|item| item.receipt.clone()).collect();
                calls.spawn(async move {
                    let answer = clients.extend(&url, &receipts, visibility).await;
                    (position, answer.unwrap_or_else(|fault| vec![Err(fault); receipts.len()]))
                });
            }
            let mut answers = calls.join_all().await;
            answers.sort_unstable_by_key(|(position, _)| *position);
            results.extend(answers.into_iter().flat_map(|(_, answer)| answer));
        }
        results
    }

    /// Hides failed items for so long from now. Where that fails, their visibility time-out shows them.
    pub(super) async fn put_off(&self, items: &[Received], visibility: Duration) {
        self.hide(&items.iter().collect::<Vec<_>>(), visibility).await;
    }

    /// Makes the items visible at once. Where that fails, their visibility time-out does it later.
    pub(super) async fn give_back(&self, items: &[Received]) {
        self.put_off(items, Duration::ZERO).await;
    }

    /// Acknowledges the items, ten a call; tells for each whether the queue confirmed it. Those whose turn has not come are
    /// kept hidden: a queue that throttles can make this take long.
    pub(super) async fn acknowledge(&self, items: &[Received], hold: &mut Hold, log: &mut Log<'_>) -> Vec<bool> {
        let mut confirmed = Vec::with_capacity(items.len());
        while let Some((chunk, rest)) =
            items.get(confirmed.len()..).and_then(|left| left.split_at_checked(left.len().min(AT_ONCE as usize)))
            && !chunk.is_empty()
        {
            tokio::select! {
                biased;
                some = self.acknowledge_chunk(chunk) => confirmed.extend(some),
                never = self.keep_hidden(rest, hold, log) => match never {},
            }
        }
        confirmed
    }

    /// Acknowledges up to ten items, again while that may help.
    async fn acknowledge_chunk(&self, items: &[Received]) -> Vec<bool> {
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
            let then = patience.after(kind, self.clock.now(), self.spread());
            match then {
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

/// This much later.
fn after(time: Timestamp, span: Duration) -> Timestamp {
    time.saturating_add(SignedDuration::try_from(span).unwrap_or(SignedDuration::MAX)).unwrap_or(Timestamp::MAX)
}
