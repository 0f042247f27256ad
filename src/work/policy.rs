//! The worker's decisions, without any I/O: how many items to take, when to stop, what to do about a failed call.

use super::Options;
use crate::model::FaultKind;
use jiff::{SignedDuration, Timestamp};
use std::time::Duration;

/// Empty long polls in a row before the queue is taken for empty: one alone may have missed a message.
const EMPTY_POLLS: u32 = 2;

/// How long a queue may be missing, world time: SQS says a new queue can be unknown for up to 60 s, and as long after a
/// deletion of the same name.
const GRACE: SignedDuration = SignedDuration::from_mins(2);

/// Longest wait between two tries, world time.
const LONGEST: Duration = Duration::from_mins(1);

/// Failures in a row that say nothing about the host yet: items may be bad.
const BAD_LUCK: u32 = 3;

/// How long to leave the queue to other hosts after so many commands in a row have failed: on a host that is sick every take
/// brings an item nearer to being given up on.
pub(super) fn rest(failed_in_a_row: u32) -> Option<Duration> {
    let beyond = failed_in_a_row.checked_sub(BAD_LUCK)?;
    Some(Duration::from_secs(1 << beyond.min(6)).min(LONGEST))
}

/// A good reason to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// The queue gave nothing any more.
    Empty,
    /// As many items as asked for.
    Enough,
    /// A signal came.
    Asked,
}

/// Whether to stop before the next take.
pub(super) fn ending(options: &Options, done: u64, empty: u32, level: u8) -> Option<Ending> {
    if level > 0 {
        Some(Ending::Asked)
    } else if options.max_items.is_some_and(|most| done >= most) {
        Some(Ending::Enough)
    } else if options.exit_when_empty && empty >= EMPTY_POLLS {
        Some(Ending::Empty)
    } else {
        None
    }
}

/// How many items the next take is for, at least 1.
pub(super) fn want(options: &Options, done: u64) -> u32 {
    let batch = options.batch.unwrap_or(1).max(1);
    let left = options.max_items.map_or(u64::MAX, |most| most.saturating_sub(done));
    u32::try_from(left).unwrap_or(u32::MAX).clamp(1, batch)
}

/// Longest time that a message may stay hidden, from its receive; a call that would exceed it is refused
/// (ChangeMessageVisibility).
const LONGEST_HIDDEN: Duration = Duration::from_hours(12);

/// How often hidden items are hidden again. SQS's guide asks for a heartbeat and leaves its pace open: after a third there is
/// time for seven more tries, or for an answer that takes the SDK's whole time-out of 30 s where the items are hidden for a
/// minute or more.
pub(super) fn extend_every(visibility: Duration) -> Duration {
    visibility / 3
}

/// How soon a failed try is made again.
pub(super) fn retry_in(visibility: Duration) -> Duration {
    visibility / 12
}

/// How long to hide items that were taken so long ago; nothing once SQS hides them no longer. A whole number of seconds, as
/// SQS takes it.
pub(super) fn hide_for(visibility: Duration, taken: SignedDuration) -> Option<Duration> {
    let left = LONGEST_HIDDEN.saturating_sub(Duration::try_from(taken).unwrap_or_default());
    Some(Duration::from_secs(visibility.min(left).as_secs())).filter(|span| !span.is_zero())
}

/// Whether a message that can't be hidden because of this can never be hidden by this receive again.
pub(super) fn lost(kind: FaultKind) -> bool {
    match kind {
        FaultKind::Gone | FaultKind::Invalid | FaultKind::Exists => true,
        FaultKind::Throttled
        | FaultKind::Capacity
        | FaultKind::Quota
        | FaultKind::NotYetVisible
        | FaultKind::Denied
        | FaultKind::Busy
        | FaultKind::Transport
        | FaultKind::Server
        | FaultKind::Interrupted => false,
    }
}

/// What to do about a failed call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    /// The same call again after this long.
    Again(Duration),
    /// It will never go through.
    GiveUp,
}

/// What failed in a row so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Patience {
    failures: u32,
    missing_since: Option<Timestamp>,
}

impl Patience {
    /// Decides on one more failure; `spread` in 0..1 keeps many workers from trying at the same moment.
    pub(super) fn after(&mut self, kind: FaultKind, now: Timestamp, spread: f64) -> After {
        match kind {
            FaultKind::Denied | FaultKind::Invalid | FaultKind::Exists => return After::GiveUp,
            FaultKind::Gone | FaultKind::NotYetVisible => {
                let since = *self.missing_since.get_or_insert(now);
                if now.duration_since(since) > GRACE {
                    return After::GiveUp;
                }
            }
            FaultKind::Throttled
            | FaultKind::Capacity
            | FaultKind::Quota
            | FaultKind::Busy
            | FaultKind::Transport
            | FaultKind::Server
            | FaultKind::Interrupted => self.missing_since = None,
        }
        let longest = Duration::from_secs(1 << self.failures.min(6)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        After::Again(longest.mul_f64(0.5 + spread.clamp(0.0, 1.0) / 2.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn options() -> Options {
        Options {
            queue_url: "http://queue".into(),
            batch: None,
            visibility: Duration::from_mins(2),
            retry_after: None,
            exit_when_empty: false,
            max_items: None,
            command: vec!["true".into()],
        }
    }

    #[test]
    fn reasons_to_stop() {
        let forever = options();
        assert_eq!(ending(&forever, 1_000_000, 1_000_000, 0), None);
        assert_eq!(ending(&forever, 0, 0, 1), Some(Ending::Asked));
        let until_empty = Options { exit_when_empty: true, ..options() };
        assert_eq!(ending(&until_empty, 5, 1, 0), None, "one empty poll is no proof");
        assert_eq!(ending(&until_empty, 5, 2, 0), Some(Ending::Empty));
        let seven = Options { max_items: Some(7), ..options() };
        assert_eq!((ending(&seven, 6, 0, 0), ending(&seven, 7, 0, 0)), (None, Some(Ending::Enough)));
    }

    #[test]
    fn extensions_leave_room_for_failures() {
        assert_eq!(extend_every(Duration::from_mins(2)), Duration::from_secs(40));
        assert!(extend_every(Duration::from_secs(1)) < Duration::from_secs(1));
        let minute = Duration::from_mins(1);
        assert!(extend_every(minute) + retry_in(minute) * 7 < minute);
        assert!(extend_every(minute) + Duration::from_secs(30) + retry_in(minute) <= minute);
    }

    #[test]
    fn nothing_is_hidden_beyond_twelve_hours() {
        let hours = |n| SignedDuration::from_hours(n);
        let (two, most) = (Duration::from_hours(2), Duration::from_hours(12));
        assert_eq!(hide_for(two, hours(1)), Some(two));
        assert_eq!(hide_for(two, hours(11)), Some(Duration::from_hours(1)));
        assert_eq!(hide_for(most, hours(4)), Some(Duration::from_hours(8)));
        assert_eq!(hide_for(two, hours(12) - SignedDuration::from_millis(900)), None, "SQS counts whole seconds");
        assert_eq!(hide_for(two, hours(20)), None);
        assert_eq!(hide_for(two, -hours(1)), Some(two), "a clock that was set back");
    }

    #[test]
    fn a_host_that_only_fails_rests_longer_and_longer() {
        let rests: Vec<u64> = (0..12).filter_map(rest).map(|rest| rest.as_secs()).collect();
        assert_eq!(rests, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert_eq!(rest(u32::MAX), Some(LONGEST));
    }

    #[test]
    fn a_missing_queue_has_a_grace() {
        let mut patience = Patience::default();
        let start = Timestamp::UNIX_EPOCH;
        assert_eq!(patience.after(FaultKind::Gone, start, 1.0), After::Again(Duration::from_secs(1)));
        let later = start + GRACE;
        assert!(matches!(patience.after(FaultKind::Gone, later, 1.0), After::Again(_)));
        assert_eq!(patience.after(FaultKind::Gone, later + SignedDuration::from_secs(1), 1.0), After::GiveUp);
        let mut answered = Patience::default();
        answered.after(FaultKind::Gone, start, 1.0);
        answered.after(FaultKind::Throttled, start, 1.0);
        let much_later = start + GRACE * 5;
        assert!(matches!(answered.after(FaultKind::Gone, much_later, 1.0), After::Again(_)), "it was there in between");
    }

    proptest! {
        #[test]
        fn takes_never_exceed_what_is_asked_for(batch in proptest::option::of(1u32..=1000), most in 1u64..5000, done in 0u64..5000) {
            prop_assume!(done < most);
            let options = Options { batch, max_items: Some(most), ..options() };
            let want = want(&options, done);
            prop_assert!(want >= 1 && want <= batch.unwrap_or(1));
            prop_assert!(done + u64::from(want) <= most);
        }

        #[test]
        fn the_network_never_ends_a_worker(failures in 1u32..100, spread in 0.0f64..1.0) {
            let mut patience = Patience::default();
            for _ in 0..failures {
                let After::Again(wait) = patience.after(FaultKind::Transport, Timestamp::UNIX_EPOCH, spread) else {
                    panic!("gave up")
                };
                prop_assert!(wait >= Duration::from_millis(500) && wait <= LONGEST);
            }
            let mut denied = Patience::default();
            prop_assert_eq!(denied.after(FaultKind::Denied, Timestamp::UNIX_EPOCH, spread), After::GiveUp);
        }
    }
}
