//! What all feeds of this campaign into one queue add up to, by the journals.

use super::context::{Context, state};
use crate::engine::failure::Failure;
use crate::exit::Exit;
use crate::feed::before::{self, Digest};
use crate::feed::cursor::Cursor;
use crate::feed::reins::Reins;
use crate::journal::{FleetDir, PastRun};
use crate::model::RunId;
use crate::plan::verdict::{Feeder, Feeding};
use crate::steps::FeedMark;
use crate::steps::ledger::Baseline;
use std::collections::HashSet;

/// Verbs that feed while they hold the fleet.
const FEEDING: [&str; 2] = ["feed", "up"];

/// What was fed.
pub(super) struct Fed {
    /// What the verdict has to know.
    pub(super) feeder: Feeder,
    /// Items that the queue confirmed; those fed twice on purpose count twice.
    pub(super) sent: u64,
    /// Dead letters that were there before the first item.
    pub(super) dead_before: Option<u64>,
    /// How the ledger stood before the first item.
    pub(super) ledger: Option<Baseline>,
    /// Every feed that sent something, and how many items it sent.
    feeds: Vec<(RunId, usize)>,
    /// The newest feed, when it can be gone on with.
    pub(super) open: Option<Open>,
    /// The command that finishes what is unfinished, and why.
    pub(super) next: Option<String>,
}

/// A feed that can be gone on with.
pub(super) struct Open {
    /// Its run.
    pub(super) run: RunId,
    /// Where it stands; absent before its first item.
    pub(super) cursor: Option<Cursor>,
}

/// One run of `feed`.
struct Feed {
    run: RunId,
    ended: Option<Exit>,
    mark: Option<FeedMark>,
}

impl Feed {
    fn sent(&self) -> usize {
        self.mark.as_ref().map_or(0, |mark| mark.cursor.next())
    }

    /// Items that no feed before had sent: they go first.
    fn fresh(&self) -> usize {
        self.mark.as_ref().map_or(0, |mark| mark.cursor.next().min(mark.cursor.total().saturating_sub(mark.again)))
    }
}

impl Fed {
    /// Reads the journals. A queue that the spec does not feed (`planned`) and nobody fed from here is somebody else's to
    /// feed: only its counts can tell.
    ///
    /// # Errors
    ///
    /// When a journal can't be read: it might be that of a feed.
    pub(super) fn read(dir: &FleetDir, queue: &str, planned: bool) -> Result<Self, Failure> {
        // Asked first: a feed that ends between the two questions has ended well by its journal.
        let at_it = dir.holder().map_err(state)?.is_some_and(|holder| FEEDING.contains(&holder.verb.as_str()));
        let history = Context::whole_history(dir)?;
        let mut feeds = Vec::new();
        for past in history.campaign() {
            let Some(begun) = &past.fold.begun else { continue };
            if begun.verb == "feed"
                && let Some(feed) = feed(past, queue)?
            {
                feeds.push(feed);
            }
        }
        Ok(Self::of(&feeds, at_it, planned))
    }

    /// Adds up feeds, the newest first.
    fn of(feeds: &[Feed], at_it: bool, planned: bool) -> Self {
        let newest = feeds.first();
        let finished = match newest {
            Some(newest) => newest.ended == Some(Exit::Done),
            None => !planned,
        };
        let feeding = match (finished, at_it) {
            (true, _) => Feeding::Closed,
            (false, true) => Feeding::Open,
            (false, false) => Feeding::Stopped,
        };
        let marks = || feeds.iter().filter_map(|feed| feed.mark.as_ref());
        // What one that was given up had sent is in the queue all the same.
        let sent = count(feeds.iter().map(Feed::sent).sum());
        let left = newest.and_then(|feed| feed.mark.as_ref()).map(|mark| count(mark.cursor.left()));
        let first = marks().next_back();
        Self {
            feeder: Feeder {
                feeding,
                items: count(feeds.iter().map(Feed::fresh).sum()),
                total: left.map(|left| sent + left),
                last_send: marks().filter_map(|mark| mark.sent_at).max(),
            },
            sent,
            dead_before: first.and_then(|mark| mark.dead_before),
            ledger: first.and_then(|mark| mark.ledger),
            feeds: feeds.iter().map(|feed| (feed.run, feed.sent())).collect(),
            open: newest
                .filter(|feed| feed.ended.is_none())
                .map(|feed| Open { run: feed.run, cursor: feed.mark.as_ref().map(|mark| mark.cursor.clone()) }),
            next: (!finished).then(|| match newest {
                Some(Feed { run, ended: None, .. }) => format!("fleetwright feed       # goes on with feed {run}"),
                Some(Feed { run, .. }) => format!("fleetwright feed       # feed {run} failed before its end"),
                None => "fleetwright feed       # nothing was fed from here yet".to_owned(),
            }),
        }
    }
}

impl Fed {
    /// Whether any item of the campaign may be in the queue.
    pub(super) fn begun(&self) -> bool {
        self.feeder.total.is_some() || self.sent > 0
    }

    /// What the operator told the feed that is not finished, if there is one.
    ///
    /// # Errors
    ///
    /// When it can't be read.
    pub(super) fn reins(&self, dir: &FleetDir) -> Result<Option<Reins>, Failure> {
        let Some(open) = &self.open else { return Ok(None) };
        let Some(orders) = dir.run(open.run).orders().map_err(state)? else { return Ok(Some(Reins::default())) };
        let read = serde_json::from_slice(&orders);
        read.map(Some).map_err(|e| Failure::to(Exit::State, format!("read what feed {} was told: {e}", open.run)))
    }

    /// What was fed before, `but` for one run.
    ///
    /// # Errors
    ///
    /// When nobody knows any more what a feed had sent: feeding it again would work on it twice.
    pub(super) fn before(&self, dir: &FleetDir, but: Option<RunId>) -> Result<HashSet<Digest>, Failure> {
        let mut before = HashSet::new();
        for (run, sent) in self.feeds.iter().filter(|(run, sent)| *sent > 0 && Some(*run) != but) {
            let anew = "fleetwright feed --replan     # feeds every item, those that were fed before too";
            let digests = dir.run(*run).items().map_err(|error| state(error).hint(anew))?;
            let short =
                || Failure::to(Exit::State, format!("read what feed {run} sent: its file is too short")).hint(anew);
            before.extend(before::kept(&digests, *sent).ok_or_else(short)?);
        }
        Ok(before)
    }
}

/// This run as a feed into this queue; one that wrote nothing down may be meant for it.
fn feed(past: &PastRun, queue: &str) -> Result<Option<Feed>, Failure> {
    let mark = FeedMark::of(&past.fold)?;
    if mark.as_ref().is_some_and(|mark| mark.queue != queue) {
        return Ok(None);
    }
    Ok(Some(Feed { run: past.dir.run(), ended: past.fold.ended, mark }))
}

fn count(items: usize) -> u64 {
    u64::try_from(items).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A run's id; those of later runs are greater.
    fn run(n: u128) -> RunId {
        RunId::new(uuid::Uuid::from_u128(n))
    }

    /// A feed that stands at `sent` of `total`, of which the last `again` were fed before.
    fn feed(n: u128, (sent, total, again): (usize, usize, usize), ended: Option<Exit>) -> Feed {
        let mut cursor = Cursor::new(n.to_string(), total);
        cursor.advance(sent);
        let sent_at = jiff::Timestamp::from_second(i64::try_from(sent).unwrap()).ok();
        let ledger = Some(Baseline { count: Some(u64::try_from(n).unwrap()), since: 7 });
        let mark = FeedMark { queue: "q".into(), cursor, sent_at, dead_before: Some(sent as u64 / 10), again, ledger };
        Feed { run: run(n), ended, mark: Some(mark) }
    }

    #[test]
    fn only_a_feed_that_was_finished_is_closed() {
        let done = Some(Exit::Done);
        let half = |ended| [feed(2, (40, 100, 0), ended), feed(1, (50, 50, 0), done)];
        for (ended, at_it, feeding) in [
            (None, false, Feeding::Stopped),
            (None, true, Feeding::Open),
            (Some(Exit::Usage), false, Feeding::Stopped),
            (done, false, Feeding::Closed),
        ] {
            assert_eq!(Fed::of(&half(ended), at_it, true).feeder.feeding, feeding, "{ended:?} {at_it}");
        }
        let fed = Fed::of(&half(None), false, true);
        assert_eq!((fed.feeder.items, fed.sent, fed.feeder.total), (90, 90, Some(150)));
        assert_eq!(fed.open.as_ref().map(|open| open.run), Some(run(2)));
        let next = format!("fleetwright feed       # goes on with feed {}", run(2));
        assert_eq!(fed.next, Some(next));
        // One that wrote nothing down sent nothing, and is not finished all the same.
        let begun = [Feed { run: run(3), ended: None, mark: None }, feed(1, (50, 50, 0), done)];
        let fed = Fed::of(&begun, false, true);
        assert_eq!((fed.feeder.feeding, fed.feeder.items, fed.feeder.total), (Feeding::Stopped, 50, None));
        assert!(fed.begun());
    }

    #[test]
    fn nothing_fed_from_here_is_somebody_elses_only_where_the_spec_feeds_nothing() {
        assert_eq!(Fed::of(&[], false, false).feeder.feeding, Feeding::Closed);
        assert_eq!(Fed::of(&[], false, true).feeder.feeding, Feeding::Stopped);
        assert!(Fed::of(&[], false, true).next.is_some() && Fed::of(&[], false, false).next.is_none());
        assert!(!Fed::of(&[], false, true).begun());
    }

    #[test]
    fn several_feeds_add_up_and_the_same_items_count_once() {
        let done = Some(Exit::Done);
        let two = [feed(2, (100, 100, 0), done), feed(1, (50, 50, 0), done)];
        let fed = Fed::of(&two, false, true);
        assert_eq!((fed.feeder.items, fed.sent, fed.feeder.total), (150, 150, Some(150)));
        assert_eq!((fed.dead_before, fed.ledger.unwrap().count), (Some(5), Some(1)), "before the first of them");
        assert_eq!(fed.feeder.last_send, jiff::Timestamp::from_second(100).ok());
        // All of it again, and ten more: the ten go first.
        for (sent, items) in [(4, 104), (10, 110), (30, 110)] {
            let again = [feed(2, (sent, 110, 100), None), feed(1, (100, 100, 0), done)];
            let fed = Fed::of(&again, true, true);
            assert_eq!((fed.feeder.items, fed.sent), (items, 100 + sent as u64));
            assert_eq!(fed.feeder.total, Some(210));
        }
        // Given up half-way for another source: what it had sent is in the queue, and nobody waits for the rest.
        let given_up = [feed(2, (100, 100, 0), done), feed(1, (20, 50, 0), Some(Exit::Interrupted))];
        let fed = Fed::of(&given_up, false, true);
        assert_eq!((fed.feeder.items, fed.sent, fed.dead_before), (120, 120, Some(2)));
    }
}
