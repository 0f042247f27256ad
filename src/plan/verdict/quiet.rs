//! How long a queue was seen empty, and how long anybody watched it at all.

use super::{Feeding, Look, SETTLE, Seen, span};
use crate::spec::fleet::Done;
use jiff::{SignedDuration, Timestamp};

/// How long somebody watched: a pause between two looks counts for two polls at most, whatever the clock says. So neither a
/// laptop that was suspended nor a clock that was set proves anything.
pub(super) struct Watched {
    /// Up to each look.
    at: Vec<SignedDuration>,
    /// Up to now.
    now: SignedDuration,
}

impl Watched {
    /// What these looks add up to.
    pub(super) fn of(seen: &Seen<'_>, done: &Done) -> Self {
        let most = stale(done);
        let (mut before, mut sum) = (seen.started, SignedDuration::ZERO);
        let mut until = |time: Timestamp| {
            sum += time.duration_since(before).clamp(SignedDuration::ZERO, most);
            before = time;
            sum
        };
        let at = seen.looks.iter().map(|look| until(look.at)).collect();
        Self { at, now: until(seen.now) }
    }

    /// Since this look; since the beginning without one.
    pub(super) fn since(&self, look: Option<usize>) -> SignedDuration {
        self.now - look.and_then(|look| self.at.get(look)).copied().unwrap_or(SignedDuration::ZERO)
    }
}

/// Older counts than this say nothing about now.
fn stale(done: &Done) -> SignedDuration {
    span(done.poll) * 2
}

/// The run of zeros that ends with the newest look.
pub(super) struct Quiet {
    /// How many looks.
    pub(super) zeros: usize,
    /// How long they were watched.
    pub(super) lasted: SignedDuration,
}

impl Quiet {
    /// Of these looks; none while somebody feeds.
    pub(super) fn of(seen: &Seen<'_>, watched: &Watched, done: &Done) -> Self {
        let nothing = Self { zeros: 0, lasted: SignedDuration::ZERO };
        if seen.feeder.feeding == Feeding::Open {
            return nothing;
        }
        let believed_from = seen.feeder.last_send.and_then(|last| last.saturating_add(SETTLE).ok());
        let mut zeros = 0;
        let mut newest: Option<Timestamp> = None;
        for look in seen.looks {
            let zero = look.sample.as_ref().is_some_and(|sample| {
                sample.empty()
                    && look.at.duration_since(sample.at) <= stale(done)
                    && newest.is_none_or(|newest| sample.at > newest)
                    && believed_from.is_none_or(|from| sample.at >= from)
            });
            zeros = if zero { zeros + 1 } else { 0 };
            newest = look.sample.as_ref().map(|sample| sample.at).or(newest);
        }
        if zeros == 0 || newest.is_none_or(|newest| seen.now.duration_since(newest) > stale(done)) {
            return nothing;
        }
        let newest = seen.looks.len() - 1;
        let lasted = watched.since(Some(newest + 1 - zeros)) - watched.since(Some(newest));
        Self { zeros, lasted }
    }

    /// Whether it proves that the queue is empty.
    pub(super) fn full(&self, done: &Done) -> bool {
        self.zeros >= needed_zeros(done) && self.lasted >= needed_time(done)
    }

    /// The looks that saw nothing but zeros.
    pub(super) fn looks<'a>(&self, seen: &Seen<'a>) -> &'a [Look] {
        seen.looks.split_at(seen.looks.len().saturating_sub(self.zeros)).1
    }
}

/// At least two looks, however few the spec asks for.
pub(super) fn needed_zeros(done: &Done) -> usize {
    usize::try_from(done.samples.max(2)).unwrap_or(usize::MAX)
}

/// At least two polls long, however short a quiet time the spec asks for.
pub(super) fn needed_time(done: &Done) -> SignedDuration {
    span(done.quiet).max(span(done.poll) * 2)
}
