//! The one retry layer: full jitter, a budget of world time, and a pace that throttles lower.

use super::cancel::{Cancel, Level};
use super::limit::Limits;
use crate::event::{Event, Events};
use crate::model::{Fault, FaultKind};
use crate::time::Clock;
use jiff::{SignedDuration, Timestamp};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// When to try again, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The longest first wait.
    pub base: Duration,
    /// The longest wait grows by this factor each time.
    pub factor: u32,
    /// It never grows above this.
    pub cap: Duration,
    /// No try begins later than this after the first, world time.
    pub budget: Duration,
    /// The same while nobody was ever there: a wrong region or endpoint is no outage.
    pub nobody: Duration,
}

impl Default for Policy {
    /// AWS's own figures (standard mode: 1 s initial, factor 2, 20 s cap); ten minutes then stop resumably, half a minute
    /// where nobody ever answered.
    fn default() -> Self {
        Self {
            base: Duration::from_secs(1),
            factor: 2,
            cap: Duration::from_secs(20),
            budget: Duration::from_mins(10),
            nobody: Duration::from_secs(30),
        }
    }
}

impl Policy {
    /// The longest wait before repetition `attempt`, from 1.
    fn longest(&self, attempt: u32) -> Duration {
        self.base.saturating_mul(self.factor.saturating_pow(attempt.saturating_sub(1))).min(self.cap)
    }
}

/// Where random waits come from; seeded, so that a rehearsal waits the same way each time.
#[derive(Debug)]
pub struct Jitter(Mutex<fastrand::Rng>);

impl Jitter {
    /// The same seed makes the same waits.
    pub fn seeded(seed: u64) -> Self {
        Self(Mutex::new(fastrand::Rng::with_seed(seed)))
    }

    /// Any time from none to `longest`: spreads callers that failed together best (full jitter).
    pub fn upto(&self, longest: Duration) -> Duration {
        longest.mul_f64(self.0.lock().unwrap_or_else(PoisonError::into_inner).f64())
    }
}

/// What retries and waits need of the run that they belong to.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// World time.
    pub clock: &'a dyn Clock,
    /// Where repetitions and progress are told.
    pub events: &'a Events,
    /// Stops them.
    pub cancel: &'a Cancel,
    /// The pace of calls.
    pub limits: &'a Limits,
    /// Random waits.
    pub jitter: &'a Jitter,
}

impl Context<'_> {
    /// Waits for `span` of world time; `false` when told to start nothing new before that.
    pub(super) async fn pause(&self, span: SignedDuration) -> bool {
        if self.cancel.reached(Level::StopStarting) {
            return false;
        }
        let until = self.clock.now().saturating_add(span).unwrap_or(Timestamp::MAX);
        tokio::select! {
            biased;
            () = self.cancel.wait(Level::StopStarting) => false,
            () = self.clock.sleep_until(until) => true,
        }
    }
}

impl std::fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context").field("cancel", &self.cancel.level()).finish_non_exhaustive()
    }
}

/// Calls `op` until it succeeds, fails in a way that `again` says no to, the budget is spent, or a stop is asked for between
/// two tries. `action` names the API action for its pace.
///
/// For what is usually right see [`FaultKind::retryable`]. Whoever repeats a call that changes something sends the same
/// bytes each time; the caller sees from [`Cancel::level`] whether a fault is final or was merely not repeated.
///
/// # Errors
///
/// The last fault.
pub async fn retry<T, Op, Answer>(
    cx: Context<'_>,
    action: &str,
    policy: &Policy,
    again: impl Fn(FaultKind) -> bool,
    mut op: Op,
) -> Result<T, Fault>
where
    Op: FnMut() -> Answer,
    Answer: Future<Output = Result<T, Fault>>,
{
    let begun = cx.clock.now();
    let until = |budget: Duration| {
        let budget = SignedDuration::try_from(budget).unwrap_or(SignedDuration::MAX);
        begun.saturating_add(budget).unwrap_or(Timestamp::MAX)
    };
    let mut attempt = 0;
    loop {
        cx.limits.acquire(action).await;
        let fault = match op().await {
            Ok(answer) => {
                cx.limits.heard();
                cx.limits.succeeded(action);
                return Ok(answer);
            }
            Err(fault) => fault,
        };
        if fault.kind == FaultKind::Throttled {
            cx.limits.throttled(action);
        }
        // Neither a refused connection nor an unknown name says that anybody was ever there.
        let nobody =
            fault.kind == FaultKind::Transport && ["unreachable", "unknown-host"].contains(&fault.code.as_str());
        if !nobody {
            cx.limits.heard();
        }
        let last_start = until(if cx.limits.answered() { policy.budget } else { policy.nobody });
        attempt += 1;
        let wait = SignedDuration::try_from(cx.jitter.upto(policy.longest(attempt))).unwrap_or(SignedDuration::MAX);
        let in_time = cx.clock.now().saturating_add(wait).is_ok_and(|next| next <= last_start);
        if !again(fault.kind) || !in_time || cx.cancel.reached(Level::StopStarting) {
            return Err(fault);
        }
        cx.events.emit(Event::Retrying { fault: fault.clone(), attempt, wait });
        // A machine that slept meanwhile may wake up long after the budget.
        if !cx.pause(wait).await || cx.clock.now() > last_start {
            return Err(fault);
        }
    }
}
