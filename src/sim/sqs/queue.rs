//! One queue: which messages wait, which are out, which are delayed, and since when.

use super::attributes::Attributes;
use super::message;
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// A message's place: time of sending, then number; unique in the whole cloud, so that it survives a redrive.
pub(super) type Key = (Timestamp, u64);

/// Messages of a standard queue that may be in flight at once.
pub(super) const MOST_IN_FLIGHT: usize = 120_000;

/// Where a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Can be received.
    Waiting,
    /// Not before this time for the first time.
    Delayed(Timestamp),
    /// Received; comes back at this time.
    InFlight(Timestamp),
}

/// A message that was sent.
#[derive(Clone, Debug)]
pub(super) struct Message {
    /// Its id.
    pub(super) id: String,
    /// Its body.
    pub(super) body: String,
    /// Its attributes.
    pub(super) attributes: message::Attributes,
    /// The trace header, if any.
    pub(super) trace: Option<String>,
    /// Who sent it.
    pub(super) sender: String,
    /// How often it was received.
    pub(super) receives: u32,
    /// When first.
    pub(super) first_received: Option<Timestamp>,
    /// When last: visibility cannot be stretched beyond 12 hours from then.
    pub(super) last_received: Option<Timestamp>,
    /// Who has it, while it is in flight.
    pub(super) holder: Option<String>,
    /// ARN of the queue that gave it up, in a dead-letter queue.
    pub(super) dead_from: Option<String>,
    place: Place,
}

impl Message {
    /// A message that nobody has received.
    pub(super) fn new(id: String, draft: message::Draft, sender: String, visible_at: Option<Timestamp>) -> Self {
        let trace = draft.system.get("AWSTraceHeader").and_then(message::Attribute::text).map(str::to_owned);
        Self {
            id,
            body: draft.body,
            attributes: draft.attributes,
            trace,
            sender,
            receives: 0,
            first_received: None,
            last_received: None,
            dead_from: None,
            holder: None,
            place: visible_at.map_or(Place::Waiting, Place::Delayed),
        }
    }

    /// Where it is.
    pub(super) fn place(&self) -> Place {
        self.place
    }
}

/// The three counters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// ApproximateNumberOfMessages.
    pub(super) waiting: usize,
    /// ApproximateNumberOfMessagesNotVisible.
    pub(super) in_flight: usize,
    /// ApproximateNumberOfMessagesDelayed.
    pub(super) delayed: usize,
}

/// A queue.
#[derive(Debug)]
pub(super) struct Queue {
    /// Its name.
    pub(super) name: String,
    /// Unique among all queues ever made.
    pub(super) number: u64,
    /// Its attributes.
    pub(super) attributes: Attributes,
    /// Its tags.
    pub(super) tags: BTreeMap<String, String>,
    /// When it was made.
    pub(super) created: Timestamp,
    /// When its attributes last changed.
    pub(super) modified: Timestamp,
    /// When it was last purged.
    pub(super) purged: Option<Timestamp>,
    /// Messages ever sent, received (each time), deleted, and lost to retention: ground truth for tests.
    pub(super) sent: u64,
    /// See `sent`.
    pub(super) received: u64,
    /// Messages handed out again after an earlier receiver did not delete them.
    pub(super) redelivered: u64,
    /// See `sent`.
    pub(super) deleted: u64,
    /// See `sent`.
    pub(super) expired: u64,
    messages: BTreeMap<Key, Message>,
    waiting: BTreeSet<Key>,
    /// Delayed and in flight, by the time that ends it.
    later: BTreeSet<(Timestamp, Key)>,
    in_flight: usize,
    /// Counters as they were, for readers that see them late.
    past: VecDeque<(Timestamp, Counts)>,
}

impl Queue {
    /// An empty queue.
    pub(super) fn new(
        name: String,
        number: u64,
        attributes: Attributes,
        tags: BTreeMap<String, String>,
        now: Timestamp,
    ) -> Self {
        Self {
            name,
            number,
            attributes,
            tags,
            created: now,
            modified: now,
            purged: None,
            sent: 0,
            received: 0,
            redelivered: 0,
            deleted: 0,
            expired: 0,
            messages: BTreeMap::new(),
            waiting: BTreeSet::new(),
            later: BTreeSet::new(),
            in_flight: 0,
            past: VecDeque::from([(now, Counts::default())]),
        }
    }

    /// Does what was due by now: delays and visibility time-outs end, old messages are dropped.
    pub(super) fn settle(&mut self, now: Timestamp, lag_seconds: u32) {
        while let Some(&(due, key)) = self.later.first().filter(|(due, _)| *due <= now) {
            self.put_at(key, Place::Waiting);
            self.note(due, lag_seconds);
        }
        let retention = SignedDuration::from_secs(self.attributes.number("MessageRetentionPeriod").into());
        while let Some((&key, _)) =
            self.messages.first_key_value().filter(|(key, _)| now.duration_since(key.0) >= retention)
        {
            self.take(key);
            self.expired += 1;
            self.note(now, lag_seconds);
        }
    }

    /// Puts a message in.
    pub(super) fn insert(&mut self, key: Key, message: Message) {
        let place = message.place;
        self.messages.insert(key, message);
        self.index(key, place);
    }

    /// Takes a message out, wherever it is.
    pub(super) fn take(&mut self, key: Key) -> Option<Message> {
        let message = self.messages.remove(&key)?;
        self.unindex(key, message.place);
        Some(message)
    }

    /// A message.
    pub(super) fn get(&self, key: Key) -> Option<&Message> {
        self.messages.get(&key)
    }

    /// The oldest that waits.
    pub(super) fn oldest_waiting(&self) -> Option<Key> {
        self.waiting.first().copied()
    }

    /// Hands a waiting message out.
    pub(super) fn hand_out(&mut self, key: Key, now: Timestamp, visibility: u32, to: &str) -> Option<&Message> {
        self.put_at(key, in_flight(now, visibility));
        self.received += 1;
        let message = self.messages.get_mut(&key)?;
        message.receives += 1;
        self.redelivered += u64::from(message.receives > 1);
        message.holder = Some(to.to_owned());
        message.first_received.get_or_insert(now);
        message.last_received = Some(now);
        Some(message)
    }

    /// Who has messages in flight, each once.
    pub(super) fn holders(&self) -> std::collections::BTreeSet<&str> {
        let out = self.messages.values().filter(|message| matches!(message.place, Place::InFlight(_)));
        out.filter_map(|message| message.holder.as_deref()).collect()
    }

    /// Changes how long a message in flight stays out.
    pub(super) fn extend(&mut self, key: Key, now: Timestamp, visibility: u32) {
        self.put_at(key, in_flight(now, visibility));
    }

    /// Drops every message.
    pub(super) fn purge(&mut self) {
        self.messages.clear();
        self.waiting.clear();
        self.later.clear();
        self.in_flight = 0;
    }

    /// When the next delay or visibility time-out ends.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        self.later.first().map(|(due, _)| *due)
    }

    /// The counters, exactly.
    pub(super) fn counts(&self) -> Counts {
        Counts { waiting: self.waiting.len(), in_flight: self.in_flight, delayed: self.later.len() - self.in_flight }
    }

    /// The counters as they were at an earlier time, as far back as is remembered.
    pub(super) fn counts_at(&self, then: Timestamp) -> Counts {
        let after = self.past.partition_point(|(time, _)| *time <= then);
        self.past.get(after.saturating_sub(1)).map_or_else(|| self.counts(), |(_, counts)| *counts)
    }

    /// Remembers the counters of now for late readers.
    pub(super) fn note(&mut self, now: Timestamp, lag_seconds: u32) {
        let counts = self.counts();
        match self.past.back_mut() {
            Some((time, last)) if *time >= now => *last = counts,
            Some(_) | None => self.past.push_back((now, counts)),
        }
        let horizon = now.saturating_sub(SignedDuration::from_secs(lag_seconds.into())).unwrap_or(Timestamp::MIN);
        while self.past.get(1).is_some_and(|(time, _)| *time <= horizon) {
            self.past.pop_front();
        }
    }

    fn put_at(&mut self, key: Key, place: Place) {
        if let Some(message) = self.messages.get_mut(&key) {
            let before = std::mem::replace(&mut message.place, place);
            self.unindex(key, before);
            self.index(key, place);
        }
    }

    fn index(&mut self, key: Key, place: Place) {
        match place {
            Place::Waiting => {
                self.waiting.insert(key);
            }
            Place::Delayed(until) => {
                self.later.insert((until, key));
            }
            Place::InFlight(until) => {
                self.later.insert((until, key));
                self.in_flight += 1;
            }
        }
    }

    fn unindex(&mut self, key: Key, place: Place) {
        match place {
            Place::Waiting => {
                self.waiting.remove(&key);
            }
            Place::Delayed(until) => {
                self.later.remove(&(until, key));
            }
            Place::InFlight(until) => {
                self.later.remove(&(until, key));
                self.in_flight -= 1;
            }
        }
    }
}

fn in_flight(now: Timestamp, visibility: u32) -> Place {
    if visibility == 0 {
        return Place::Waiting;
    }
    Place::InFlight(now.saturating_add(SignedDuration::from_secs(visibility.into())).unwrap_or(Timestamp::MAX))
}
