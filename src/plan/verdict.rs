//! Whether the job is over, and how: a pure judgement of what was seen of an SQS queue.
//!
//! SQS's three counts are approximate, each by itself, and "may not achieve consistency until at least 1 minute after the
//! producers stop sending"; a queue is empty "when all of them are 0 for several minutes" (SQS developer guide, confirming
//! that a queue is empty). So one zero proves nothing: an item on its way from delayed to waiting to in flight can be missing
//! from all three counts. Many fresh zeros in a row over the quiet time, all after the last send, prove it.

mod quiet;

use super::eta;
use crate::model::Sample;
use crate::spec::fleet::Done;
use jiff::{SignedDuration, Timestamp};
use quiet::{Quiet, Watched, needed_time, needed_zeros};
use std::time::Duration;

/// After the last send the counts are not believed for this long (SQS: "at least 1 minute").
pub const SETTLE: SignedDuration = SignedDuration::from_secs(60);

/// Whether more will be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feeding {
    /// Nothing more: all was sent, or somebody else sends and only the counts can tell.
    Closed,
    /// A process is at it.
    Open,
    /// Not everything was sent, and nobody is at it.
    Stopped,
}

/// What is known of the side that fills the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Feeder {
    /// Whether more will be sent.
    pub feeding: Feeding,
    /// Different items that the queue confirmed: each of them must be completed or given up on.
    pub items: u64,
    /// How many will have been sent in the end, where known before; in the terms of [`Look::fed`].
    pub total: Option<u64>,
    /// When the queue confirmed the last item; `None` when nothing was sent.
    pub last_send: Option<Timestamp>,
}

/// One look at everything that counts.
#[derive(Clone, Debug, PartialEq)]
pub struct Look {
    /// World time of the look.
    pub at: Timestamp,
    /// The queue's counts; `None` when they could not be read.
    pub sample: Option<Sample>,
    /// Items confirmed by the queue until then; those fed twice on purpose count twice.
    pub fed: u64,
    /// What the ledger counts, results of before the job among them; `None` without one, or when it could not be read.
    pub completed: Option<u64>,
}

/// All that the judgement rests on.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// The feeder.
    pub feeder: Feeder,
    /// Every look so far, oldest first.
    pub looks: &'a [Look],
    /// Items in the dead-letter queue before the job; `None` without such a queue.
    pub dead_before: Option<u64>,
    /// What the ledger counted before the first item; `None` when nobody knows.
    pub completed_before: Option<u64>,
    /// When the last item goes in at the feed's own rate, where it has one.
    pub fed_by: Option<Timestamp>,
    /// When the job began: the deadline counts from there.
    pub started: Timestamp,
    /// World time now.
    pub now: Timestamp,
}

/// How the job stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Not over.
    Working {
        /// In a few words, for people.
        outlook: String,
        /// Time to the end at today's pace, where it can be told.
        eta: Option<SignedDuration>,
    },
    /// Every item is done.
    Done {
        /// Items completed: by the ledger where there is one, else what was fed.
        ok: u64,
    },
    /// Nothing is left to do; some items were given up on.
    DoneWithFailures {
        /// Items completed.
        ok: u64,
        /// Items in the dead-letter queue since the job began.
        failed: u64,
    },
    /// Nothing is left to do, but items are neither completed nor given up on.
    Unaccounted {
        /// How many.
        missing: u64,
        /// Items completed.
        ok: u64,
        /// Items given up on.
        failed: u64,
    },
    /// Nothing is left to do, and the ledger can't tell what became of the items.
    Unproven {
        /// Items given up on.
        failed: u64,
        /// What is wrong with the ledger.
        why: String,
    },
    /// Items are there, and nothing gets on.
    Stalled {
        /// What it looks like.
        why: String,
    },
    /// The deadline passed.
    Deadline {
        /// How it stood then.
        outlook: String,
    },
    /// The budget is used up. Never judged here: money is no count of the queue.
    Budget {
        /// How it stood then, and the money.
        outlook: String,
    },
    /// The counts could not be read for as long as a stall takes: whatever was seen before is no evidence.
    Blind {
        /// World time of the last good look.
        since: Option<Timestamp>,
    },
}

/// Judges. Unknown is never taken for zero, and a job is only over when that was seen.
pub fn verdict(seen: &Seen<'_>, done: &Done) -> Verdict {
    let watched = Watched::of(seen, done);
    let quiet = Quiet::of(seen, &watched, done);
    if quiet.full(done) {
        match seen.feeder.feeding {
            Feeding::Open => {}
            Feeding::Stopped => return Verdict::Stalled { why: unfed(seen) },
            Feeding::Closed => {
                if let Some(over) = over(seen, done, &quiet) {
                    return over;
                }
            }
        }
    }
    if let Some(deadline) = done.deadline
        && seen.now.duration_since(seen.started) >= span(deadline)
    {
        return Verdict::Deadline { outlook: outlook(seen, &quiet, done) };
    }
    let patience = span(done.stalled_after);
    let last = seen.looks.iter().rposition(|look| usable(look, seen, done));
    if watched.since(last) >= patience {
        return Verdict::Blind { since: last.and_then(|last| seen.looks.get(last)).map(|look| look.at) };
    }
    if let Some(why) = stalled(seen, &watched, patience) {
        return Verdict::Stalled { why };
    }
    Verdict::Working { outlook: outlook(seen, &quiet, done), eta: time_left(seen) }
}

/// The queue is empty for certain: what became of the items? `None` while a count that matters is unknown.
fn over(seen: &Seen<'_>, done: &Done, quiet: &Quiet) -> Option<Verdict> {
    let look = seen.looks.last()?;
    if !usable(look, seen, done) {
        return None;
    }
    let fed = seen.feeder.items;
    let failed = given_up(seen, done, quiet);
    let ended = |ok| if failed == 0 { Verdict::Done { ok } } else { Verdict::DoneWithFailures { ok, failed } };
    // Without a ledger, what was fed and not given up on is taken for completed; what was fed elsewhere nobody can count.
    let Some(count) = look.completed.filter(|_| fed > 0) else { return Some(ended(fed.saturating_sub(failed))) };
    Some(match grown(count, seen.completed_before, fed) {
        Err(why) => Verdict::Unproven { failed, why },
        Ok(ok) => match fed.saturating_sub(ok.saturating_add(failed)) {
            0 => ended(ok),
            missing => Verdict::Unaccounted { missing, ok, failed },
        },
    })
}

/// Items completed by a ledger that counts `count` after `fed` items, or why it can't tell. Whatever it counts beyond the
/// items that were fed may stand in for one that is missing.
fn grown(count: u64, before: Option<u64>, fed: u64) -> Result<u64, String> {
    let before = before.ok_or_else(|| {
        format!("the ledger counts {count}, and nobody knows how many of them are older than the job")
    })?;
    let ok = count.checked_sub(before).ok_or_else(|| {
        format!("the ledger counts {count}, and counted {before} before the first item: results were taken away")
    })?;
    if ok > fed {
        return Err(format!("the ledger counts {ok} items completed of {fed} that were fed: some twice, or of others"));
    }
    Ok(ok)
}

/// Dead letters of this job. The count is approximate too, so the most that was seen while the queue was quiet counts. Where
/// it stayed below that of before for many looks, somebody took letters away: then those of before can't be told from
/// ours any more, and all that are there count.
fn given_up(seen: &Seen<'_>, done: &Done, quiet: &Quiet) -> u64 {
    let Some(before) = seen.dead_before else { return 0 };
    let dead = |look: &Look| look.sample.as_ref().and_then(|sample| sample.dead);
    let most = quiet.looks(seen).iter().filter_map(dead).max().unwrap_or(0);
    let fewer = |looks: &[Look]| looks.iter().all(|look| dead(look).is_some_and(|dead| dead < before));
    if seen.looks.windows(needed_zeros(done)).any(fewer) { most } else { most.saturating_sub(before) }
}

/// Why nothing will come any more although not everything was sent.
fn unfed(seen: &Seen<'_>) -> String {
    let fed = seen.looks.last().map_or(0, |look| look.fed);
    match seen.feeder.total {
        Some(total) => {
            format!("the queue is empty, but only {fed} of {total} items were fed and nobody feeds the rest")
        }
        None => "the queue is empty, but nothing was fed and nobody feeds it".to_owned(),
    }
}

/// Whether every count that the spec relies on is known.
fn usable(look: &Look, seen: &Seen<'_>, done: &Done) -> bool {
    let ledger = done.completed.is_none() || look.completed.is_some();
    let counts =
        |sample: &Sample| sample.remaining().is_some() && (seen.dead_before.is_none() || sample.dead.is_some());
    ledger && look.sample.as_ref().is_some_and(counts)
}

/// Items finished so far, up to a constant: the ledger's count, or what was fed and is not there any more.
fn finished(look: &Look) -> Option<i64> {
    let left = || Some(i64::try_from(look.fed).ok()? - i64::try_from(look.sample.as_ref()?.remaining()?).ok()?);
    match look.completed {
        Some(completed) => i64::try_from(completed).ok(),
        None => left(),
    }
}

/// Why nothing gets on, when that has been so for as long as `patience`.
fn stalled(seen: &Seen<'_>, watched: &Watched, patience: SignedDuration) -> Option<String> {
    let mut most: Option<(i64, u64)> = None;
    let mut since = None;
    let mut last = None;
    for (position, look) in seen.looks.iter().enumerate() {
        let (Some(sample), Some(finished)) = (&look.sample, finished(look)) else { continue };
        let dead = sample.dead.unwrap_or(0);
        // Items that nobody can take yet, or none at all, are no stall; nor is an item that was given up on.
        let idle = sample.waiting == Some(0) && sample.in_flight == Some(0);
        let progress = most.is_none_or(|(items, given_up)| finished > items || dead > given_up);
        if idle || progress {
            since = Some(position);
        }
        let before = most.unwrap_or((finished, dead));
        most = Some((before.0.max(finished), before.1.max(dead)));
        last = (!idle).then_some(sample);
    }
    let sample = last?;
    if watched.since(since) < patience {
        return None;
    }
    let (waiting, in_flight) = (sample.waiting?, sample.in_flight?);
    Some(if in_flight == 0 {
        format!("{waiting} items are waiting and no worker takes them")
    } else {
        format!(
            "{in_flight} items are in flight and none is finished: workers hang, or items come back again and again"
        )
    })
}

/// How it stands, in a few words.
fn outlook(seen: &Seen<'_>, quiet: &Quiet, done: &Done) -> String {
    let Some(look) = seen.looks.last() else { return "not looked yet".to_owned() };
    let Some(sample) = &look.sample else { return "the queue could not be read".to_owned() };
    let number = |count: Option<u64>| count.map_or_else(|| "?".to_owned(), |count| count.to_string());
    let (waiting, in_flight, delayed) = (number(sample.waiting), number(sample.in_flight), number(sample.delayed));
    let counts = format!("{waiting} waiting, {in_flight} in flight, {delayed} delayed");
    if seen.feeder.feeding == Feeding::Open {
        format!("filling: {} fed, {counts}", look.fed)
    } else if seen.feeder.feeding == Feeding::Stopped {
        format!("nobody feeds the rest: {} fed, {counts}", look.fed)
    } else if quiet.full(done) {
        "the queue is empty, but what became of its items is not known yet".to_owned()
    } else if quiet.zeros > 0 {
        let (zeros, looks) = (quiet.zeros.min(needed_zeros(done)), needed_zeros(done));
        let (lasted, time) = (quiet.lasted.as_secs(), needed_time(done).as_secs());
        format!("settling: empty for {zeros} of {looks} looks, {lasted} of {time} s")
    } else if sample.empty() {
        "settling: empty, but counts are not reliable yet".to_owned()
    } else if sample.waiting == Some(0) {
        format!("draining: {counts}")
    } else {
        format!("working: {counts}")
    }
}

/// Time to the end at today's pace: what is in the queue and what is still to be fed. Nothing left is no time at all: how
/// long the quiet must last is told by the outlook.
fn time_left(seen: &Seen<'_>) -> Option<SignedDuration> {
    let look = seen.looks.last()?;
    let unfed = match (seen.feeder.feeding, seen.feeder.total) {
        (Feeding::Closed, _) => 0,
        (Feeding::Open, Some(total)) => total.saturating_sub(look.fed),
        (Feeding::Open, None) | (Feeding::Stopped, _) => return None,
    };
    let left = look.sample.as_ref()?.remaining()?.saturating_add(unfed);
    if left == 0 {
        return None;
    }
    let points: Vec<_> = seen.looks.iter().filter_map(|look| Some((look.at, finished(look)?))).collect();
    let done = eta::eta(left, eta::pace(&points)?)?;
    // What is not in yet can't be done, however fast the workers are.
    Some(seen.fed_by.map_or(done, |fed_by| done.max(fed_by.duration_since(seen.now))))
}

fn span(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}

#[cfg(test)]
mod tests;
