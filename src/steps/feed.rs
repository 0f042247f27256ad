//! Handing items to the queue: paced, with a cursor in the journal, at least once.

use super::Steps;
use super::call::state;
use super::ledger::{self, Baseline};
use super::valve::{HEARD, Valve};
use crate::engine::failure::Failure;
use crate::engine::run::Done;
use crate::event::Event;
use crate::exit::Exit;
use crate::feed::before::Chosen;
use crate::feed::cursor::Cursor;
use crate::feed::pace::Pace;
use crate::feed::reins::Reins;
use crate::journal::Fold;
use crate::model::count;
use crate::plan::token::digest;
use crate::spec::fleet::Counts;
use crate::time::tempo::Tempo;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::sync::Arc;

/// What a feed sends.
#[derive(Clone, Debug)]
pub struct FeedOrder {
    /// The items, in feeding order.
    pub chosen: Arc<Chosen>,
    /// Whether nothing was fed in this campaign before: then the ledger is asked how it stands before the first item.
    pub first: bool,
}

/// What the feed keeps beside its place: what `wait` needs to judge.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FeedMark {
    /// URL of the queue.
    pub queue: String,
    /// Where it stands.
    pub cursor: Cursor,
    /// When the queue confirmed the last batch.
    pub sent_at: Option<jiff::Timestamp>,
    /// Dead letters that were there before the first item.
    pub dead_before: Option<u64>,
    /// How many of its items, the last ones, were fed in this campaign before.
    pub again: usize,
    /// How the ledger stood before the first item; `None` without one, when it could not be asked, and in later feeds.
    pub ledger: Option<Baseline>,
}

impl FeedMark {
    /// What a run's feed wrote down; none where it did not come that far.
    ///
    /// # Errors
    ///
    /// When it can't be understood: a feed that is overlooked would be fed again, or counted as nothing.
    pub fn of(fold: &Fold) -> Result<Option<Self>, Failure> {
        let Some(value) = fold.cursors.get(STEP) else { return Ok(None) };
        serde_json::from_value(value.clone())
            .map(Some)
            .map_err(|e| Failure::to(Exit::State, format!("read the feed's cursor: {e}")))
    }
}

/// Whether a rate needs no words at the beginning: it never changes.
fn is_steady(tempo: &Tempo) -> bool {
    matches!(tempo, Tempo::Steady(_))
}

/// The step's id in plans.
const STEP: &str = "feed";

impl Steps {
    /// Sends every item from the cursor on. A batch that was under way when the process died is sent again: its items carry
    /// the same ids.
    pub(super) async fn feed(&self, step: &str) -> Result<Done, Failure> {
        let queue =
            self.fleet.queue.as_ref().ok_or_else(|| Failure::new(Exit::Usage, "feed: the spec names no queue"))?;
        let order =
            self.options.feed.clone().ok_or_else(|| Failure::new(Exit::Usage, "feed: the spec names no source"))?;
        let Chosen { items, digests, again } = &*order.chosen;
        let (items, fingerprint) = (&items.items, &items.fingerprint);
        let mut mark = if let Some(mark) = self.journal.with_fold(FeedMark::of)? {
            mark.cursor
                .check(fingerprint, items.len())
                .map_err(|changed| Failure::to(Exit::Refused, format!("go on feeding: {changed}")))?;
            mark
        } else {
            self.state.run(self.run).keep_items(digests).map_err(state)?;
            let mark = FeedMark {
                queue: queue.url.clone(),
                cursor: Cursor::new(fingerprint.clone(), items.len()),
                sent_at: None,
                dead_before: self.dead_letters().await?,
                again: *again,
                ledger: if order.first { self.baseline().await? } else { None },
            };
            // Durable before the first item: neither a dead letter nor a result that it becomes may count as one of before.
            self.journal.cursor(step, super::output(&mark)?, self.clock.now()).map_err(state)?;
            mark
        };
        let mut pace = Pace::new(None, self.clock.now());
        let mut valve = Valve::default();
        let mut told = self.fleet.feed.as_ref().and_then(|feed| feed.rate.clone()).filter(is_steady);
        let mut rate = None;
        let total = u64::try_from(items.len()).unwrap_or(u64::MAX);
        while mark.cursor.next() < items.len() {
            let now = self.clock.now();
            let reins = self.reins()?;
            let tempo = reins.rate.map(Tempo::Steady).or_else(|| self.fleet.feed.as_ref()?.rate.clone());
            let wanted = tempo.as_ref().map(|tempo| tempo.at(now));
            if told != tempo || rate.is_some_and(|rate| Some(rate) != wanted) {
                self.tell_rate(tempo.as_ref(), u64::try_from(mark.cursor.left()).unwrap_or(u64::MAX));
                told.clone_from(&tempo);
            }
            rate = wanted;
            pace.change(rate, now);
            let room = valve.room(self, reins).await?;
            let allowed = pace.allowed(now).min(room);
            if allowed == 0 {
                let change = tempo.as_ref().and_then(|tempo| tempo.next_change(now)).map(|(at, _)| at);
                let heard = now.saturating_add(HEARD).unwrap_or(now);
                let next = if room == 0 { heard } else { pace.next_at().min(heard) };
                self.pause_until(change.map_or(next, |change| change.min(next))).await?;
                continue;
            }
            let from = mark.cursor.next();
            let batch: Vec<(String, String)> = crate::feed::cursor::batch(items, from, allowed)
                .enumerate()
                .map(|(offset, body)| (self.item_id(from + offset), body.clone()))
                .collect();
            self.send(&queue.url, &batch).await?;
            pace.took(batch.len());
            valve.took(batch.len());
            mark.cursor.advance(batch.len());
            mark.sent_at = Some(self.clock.now());
            let value = super::output(&mark)?;
            self.journal.cursor(step, value, self.clock.now()).map_err(state)?;
            let sent = u64::try_from(mark.cursor.next()).unwrap_or(u64::MAX);
            self.events.emit(Event::Fed { sent, total });
            self.check_cancel()?;
        }
        Ok(Done::new(json!({ "fed": total }), format!("{} went into the queue", count(total, "item"))))
    }

    /// What the operator told this feed; looked at again before each batch.
    fn reins(&self) -> Result<Reins, Failure> {
        let Some(orders) = self.state.run(self.run).orders().map_err(state)? else { return Ok(Reins::default()) };
        serde_json::from_slice(&orders)
            .map_err(|e| Failure::to(Exit::State, format!("read what the operator told the feed: {e}")))
    }

    /// Tells the rate from now on, when it changes next, and when that brings the last item.
    fn tell_rate(&self, tempo: Option<&Tempo>, left: u64) {
        let Some(tempo) = tempo else {
            return self.events.note("the feed goes as fast as the queue takes items");
        };
        let now = self.clock.now();
        let last = tempo.gone_words(left, now).map(|at| format!("; the last of {left} items goes in at about {at}"));
        self.events.note(format!("the feed goes at {}{}", tempo.words(now), last.unwrap_or_default()));
    }

    /// The same item of the same run has the same id, however often it is sent.
    fn item_id(&self, index: usize) -> String {
        digest(&[&self.run.to_string(), &index.to_string()]).chars().take(32).collect()
    }

    /// Sends a batch; entries that SQS refused for a passing reason are sent again by themselves.
    async fn send(&self, url: &str, batch: &[(String, String)]) -> Result<(), Failure> {
        let mut left = batch.to_vec();
        let mut tries = 0;
        while !left.is_empty() {
            let results = self.read("send items", async || self.clients.send_batch(url, &left).await).await?;
            let mut again = Vec::new();
            for (entry, result) in left.into_iter().zip(results) {
                match result {
                    Ok(()) => {}
                    Err(fault) if fault.kind.retryable() && tries < 10 => again.push(entry),
                    Err(fault) => return Err(Failure::call(format!("send item {:?}", entry.1), fault)),
                }
            }
            left = again;
            tries += 1;
            if !left.is_empty() {
                self.pause(std::time::Duration::from_secs(1 << tries.min(5))).await?;
            }
        }
        Ok(())
    }

    /// How the ledger stands. One that can't be asked is no reason not to feed, but then it can prove nothing later.
    async fn baseline(&self) -> Result<Option<Baseline>, Failure> {
        let Some(completed) = &self.fleet.done.completed else { return Ok(None) };
        let asked = match self.enter_template().await {
            Ok((host, session)) => {
                let asked = ledger::baseline(&session, &completed.command).await;
                session.close().await;
                asked.map_err(|fault| super::reach::unreached(&host.id, &fault))
            }
            Err(failure) => Err(failure),
        };
        self.check_cancel()?;
        let why = match &asked {
            Ok(Some(Baseline { count: Some(count), .. })) => {
                if completed.counts == Counts::New && *count > 0 {
                    self.events.note(format!("the ledger counts {count} before the first item: they are left out"));
                }
                return Ok(asked.ok().flatten());
            }
            Ok(Some(_) | None) => "its command failed, or printed no number".to_owned(),
            Err(failure) => failure.to_string(),
        };
        if completed.counts == Counts::New {
            self.events.warn(format!(
                "the ledger could not be asked before the first item ({why}): `wait` will not be able to tell results of \
                 this job from older ones, and never say done"
            ));
        }
        Ok(asked.ok().flatten())
    }

    async fn dead_letters(&self) -> Result<Option<u64>, Failure> {
        let Some(queue) = &self.fleet.queue else { return Ok(None) };
        let Some(name) = &queue.dead_letter else { return Ok(None) };
        let what = format!("find dead-letter queue {name}");
        let found = self.read(&what, async || self.clients.queue_by_name(name).await).await?;
        let Some(dead) = found else {
            return Err(Failure::to(Exit::Usage, format!("{what}: it is not there"))
                .hint("correct `queue.dead_letter` in the spec"));
        };
        let sample = self
            .read("look at the queue", async || self.clients.sample(&queue.url, Some(&dead), &*self.clock).await)
            .await?;
        Ok(sample.dead)
    }
}
