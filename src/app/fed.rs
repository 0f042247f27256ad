//! What all feeds of this campaign into one queue add up to, by the journals.

use super::context::{Context, state};
use crate::engine::failure::Failure;
use crate::exit::Exit;
use crate::feed::cursor::Cursor;
use crate::journal::{FleetDir, PastRun};
use crate::plan::verdict::{Feeder, Feeding};
use crate::steps::FeedMark;
use std::collections::BTreeMap;

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
    /// Fingerprints of the sources that were fed to the end.
    pub(super) sources: Vec<String>,
    /// The newest feed, when it can be gone on with.
    pub(super) open: Option<Open>,
    /// The command that finishes what is unfinished, and why.
    pub(super) next: Option<String>,
}

/// A feed that can be gone on with.
pub(super) struct Open {
    /// Its run.
    pub(super) run: String,
    /// Where it stands; absent before its first item.
    pub(super) cursor: Option<Cursor>,
}

/// One run of `feed`.
struct Feed {
    run: String,
    ended: Option<Exit>,
    mark: Option<FeedMark>,
}

impl Feed {
    fn sent(&self) -> u64 {
        self.mark.as_ref().map_or(0, |mark| count(mark.cursor.next()))
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
        // One that was given up for a newer one is not missed: the newer one was made in its place.
        let counted = feeds.iter().enumerate().filter(|(age, feed)| *age == 0 || feed.ended == Some(Exit::Done));
        let mut sources: BTreeMap<&str, u64> = BTreeMap::new();
        let mut dead_before = None;
        for (mark, sent) in counted.filter_map(|(_, feed)| Some((feed.mark.as_ref()?, feed.sent()))) {
            let most = sources.entry(mark.cursor.fingerprint()).or_default();
            *most = sent.max(*most);
            dead_before = mark.dead_before;
        }
        let sent = feeds.iter().map(Feed::sent).sum::<u64>();
        let left = newest.and_then(|feed| feed.mark.as_ref()).map(|mark| count(mark.cursor.left()));
        let done = feeds.iter().filter(|feed| feed.ended == Some(Exit::Done)).filter_map(|feed| feed.mark.as_ref());
        Self {
            feeder: Feeder {
                feeding,
                items: sources.values().sum(),
                total: left.map(|left| sent + left),
                last_send: feeds.iter().filter_map(|feed| feed.mark.as_ref()?.sent_at).max(),
            },
            sent,
            dead_before,
            sources: done.map(|mark| mark.cursor.fingerprint().to_owned()).collect(),
            open: newest
                .filter(|feed| feed.ended.is_none())
                .map(|feed| Open { run: feed.run.clone(), cursor: feed.mark.as_ref().map(|mark| mark.cursor.clone()) }),
            next: (!finished).then(|| match newest {
                Some(Feed { run, ended: None, .. }) => format!("fleetwright feed       # goes on with feed {run}"),
                Some(Feed { run, .. }) => format!("fleetwright feed       # feed {run} failed before its end"),
                None => "fleetwright feed       # nothing was fed from here yet".to_owned(),
            }),
        }
    }
}

/// This run as a feed into this queue; one that wrote nothing down may be meant for it.
fn feed(past: &PastRun, queue: &str) -> Result<Option<Feed>, Failure> {
    let mark = FeedMark::of(&past.fold)?;
    if mark.as_ref().is_some_and(|mark| mark.queue != queue) {
        return Ok(None);
    }
    Ok(Some(Feed { run: past.dir.run().to_string(), ended: past.fold.ended, mark }))
}

fn count(items: usize) -> u64 {
    u64::try_from(items).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A feed of `source` that stands at `sent` of `total`.
    fn feed(run: &str, source: &str, (sent, total): (usize, usize), ended: Option<Exit>) -> Feed {
        let mut cursor = Cursor::new(source.to_owned(), total);
        cursor.advance(sent);
        let sent_at = jiff::Timestamp::from_second(i64::try_from(sent).unwrap()).ok();
        let mark = FeedMark { queue: "q".into(), cursor, sent_at, dead_before: Some(sent as u64 / 10) };
        Feed { run: run.into(), ended, mark: Some(mark) }
    }

    #[test]
    fn only_a_feed_that_was_finished_is_closed() {
        let done = Some(Exit::Done);
        let half = |ended| [feed("2", "a", (40, 100), ended), feed("1", "b", (50, 50), done)];
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
        assert_eq!(fed.open.as_ref().map(|open| open.run.as_str()), Some("2"));
        assert_eq!(fed.next.as_deref(), Some("fleetwright feed       # goes on with feed 2"));
        assert_eq!(fed.sources, ["b"]);
        // One that wrote nothing down sent nothing, and is not finished all the same.
        let begun = [Feed { run: "3".into(), ended: None, mark: None }, feed("1", "b", (50, 50), done)];
        let fed = Fed::of(&begun, false, true);
        assert_eq!((fed.feeder.feeding, fed.feeder.items, fed.feeder.total), (Feeding::Stopped, 50, None));
    }

    #[test]
    fn nothing_fed_from_here_is_somebody_elses_only_where_the_spec_feeds_nothing() {
        assert_eq!(Fed::of(&[], false, false).feeder.feeding, Feeding::Closed);
        assert_eq!(Fed::of(&[], false, true).feeder.feeding, Feeding::Stopped);
        assert!(Fed::of(&[], false, true).next.is_some() && Fed::of(&[], false, false).next.is_none());
    }

    #[test]
    fn several_feeds_add_up_and_the_same_items_count_once() {
        let done = Some(Exit::Done);
        let two = [feed("2", "a", (100, 100), done), feed("1", "b", (50, 50), done)];
        let fed = Fed::of(&two, false, true);
        assert_eq!((fed.feeder.items, fed.sent, fed.feeder.total), (150, 150, Some(150)));
        assert_eq!(fed.dead_before, Some(5), "before the first of them");
        assert_eq!(fed.feeder.last_send, jiff::Timestamp::from_second(100).ok());
        let again = [feed("2", "a", (30, 100), None), feed("1", "a", (100, 100), done)];
        let fed = Fed::of(&again, true, true);
        assert_eq!((fed.feeder.items, fed.sent, fed.feeder.total), (100, 130, Some(200)));
        // Given up half-way for another source: its items are in the queue, but nobody waits for the rest.
        let given_up = [feed("2", "a", (100, 100), done), feed("1", "b", (20, 50), Some(Exit::Interrupted))];
        let fed = Fed::of(&given_up, false, true);
        assert_eq!((fed.feeder.items, fed.sent, fed.dead_before), (100, 120, Some(10)));
    }
}
