//! Waits until the world is as it should be: several good answers in a row, never for ever.

use super::cancel::{Cancel, Level};
use super::retry::Context;
use crate::event::Event;
use crate::model::Fault;
use jiff::{SignedDuration, Timestamp};
use std::fmt;
use std::time::Duration;

/// How far something is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Units that are as they should be.
    pub done: u64,
    /// Units in all, where known.
    pub total: Option<u64>,
    /// A short word on what is missing.
    pub note: String,
}

impl<T: Into<String>> From<T> for Progress {
    fn from(note: T) -> Self {
        Self { done: 0, total: None, note: note.into() }
    }
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.total {
            Some(total) => write!(f, "{} of {total}: {}", self.done, self.note),
            None => f.write_str(&self.note),
        }
    }
}

/// What one look at the world saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen<T> {
    /// As it should be.
    Good(T),
    /// Not as it should be, but it may still become so.
    NotYet(Progress),
    /// It can't become so any more: why.
    Never(String),
}

/// How long and how often to look. There is no default deadline: how long something may take is the plan's to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// Good answers in a row that are believed.
    pub good_in_a_row: u32,
    /// World time before the second look; also between good answers.
    pub first: Duration,
    /// The longest time between looks; the time grows by half each time.
    pub cap: Duration,
    /// The last look is not later than this, world time.
    pub deadline: Timestamp,
}

impl Patience {
    /// Three good answers in a row, looks 2 s apart at first and 15 s at last.
    ///
    /// Three, because AWS's API hosts see a change at different times: after one good answer the next may come from a host
    /// that does not know yet, and what builds upon it would fail there.
    pub fn until(deadline: Timestamp) -> Self {
        Self { good_in_a_row: 3, first: Duration::from_secs(2), cap: Duration::from_secs(15), deadline }
    }
}

/// Why a wait ended without what it waited for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WaitError {
    /// It can't happen any more.
    #[error("wait: it can't happen any more: {0}")]
    Never(String),
    /// The deadline passed.
    #[error("wait any longer: the deadline has passed ({last})")]
    Deadline {
        /// What was seen last.
        last: Progress,
    },
    /// A stop was asked for.
    #[error("wait any longer: interrupted ({last})")]
    Cancelled {
        /// What was seen last.
        last: Progress,
    },
    /// Looking fails in a way that no further look can change (permission, for example).
    #[error(transparent)]
    Blind(Fault),
}

/// Looks again and again until `patience.good_in_a_row` looks in a row were good, and returns the last of them.
///
/// A look that failed for a passing reason ([`crate::model::FaultKind::retryable`]) says nothing: it counts neither as good nor
/// as bad. Each look tells [`Event::StepProgress`] of `step`.
///
/// # Errors
///
/// See [`WaitError`].
pub async fn until<T, Look, Answer>(
    cx: Context<'_>,
    step: &str,
    patience: &Patience,
    mut look: Look,
) -> Result<T, WaitError>
where
    Look: FnMut() -> Answer,
    Answer: Future<Output = Result<Seen<T>, Fault>>,
{
    let needed = patience.good_in_a_row.max(1);
    let mut good = 0;
    let mut last = Progress::from("not looked yet");
    let mut gap = patience.first.max(Duration::from_millis(1));
    loop {
        if cx.cancel.reached(Level::StopStarting) {
            return Err(WaitError::Cancelled { last });
        }
        let wait = match or_stop(cx.cancel, look()).await {
            None => return Err(WaitError::Cancelled { last }),
            Some(Ok(Seen::Never(why))) => return Err(WaitError::Never(why)),
            Some(Ok(Seen::Good(answer))) => {
                good += 1;
                if good >= needed {
                    return Ok(answer);
                }
                let note = "good, looking again".to_owned();
                last = Progress { done: good.into(), total: Some(needed.into()), note };
                patience.first
            }
            Some(Ok(Seen::NotYet(progress))) => {
                good = 0;
                last = progress;
                grow(&mut gap, patience.cap)
            }
            Some(Err(fault)) if fault.kind.retryable() => {
                last.note = format!("no answer ({fault})");
                grow(&mut gap, patience.cap)
            }
            Some(Err(fault)) => return Err(WaitError::Blind(fault)),
        };
        let Progress { done, total, note } = last.clone();
        cx.events.emit(Event::StepProgress { step: step.to_owned(), done, total, note });
        let left = patience.deadline.duration_since(cx.clock.now());
        if left <= SignedDuration::ZERO {
            return Err(WaitError::Deadline { last });
        }
        let wait = SignedDuration::try_from(wait).unwrap_or(SignedDuration::MAX).min(left);
        if !cx.pause(wait).await {
            return Err(WaitError::Cancelled { last });
        }
    }
}

/// The gap now; the next one is half as long again.
fn grow(gap: &mut Duration, cap: Duration) -> Duration {
    let now = (*gap).min(cap);
    *gap = now.saturating_mul(3) / 2;
    now
}

/// A look changes nothing, so a stop need not wait for its answer.
async fn or_stop<T>(cancel: &Cancel, look: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        () = cancel.wait(Level::StopStarting) => None,
        answer = look => Some(answer),
    }
}
