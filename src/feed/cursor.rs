//! How far a feed has come: kept in the journal, so that a later run goes on where this one stopped.

use super::source::Items;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// Most items of one batch: SendMessageBatch takes ten messages.
pub const MOST_IN_BATCH: usize = 10;
/// Most bytes of one batch, all of its messages together.
pub const MOST_BATCH_BYTES: usize = 256 << 10;

/// Why a feed can't be gone on with.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum CursorError {
    /// The source has other items than before.
    #[error(
        "go on with the feed at item {next} of {total}: the source has changed since, {now} items now; restore it, or \
         start a new feed for what is left"
    )]
    Changed {
        /// The item that would be next, from 1.
        next: usize,
        /// How many there were.
        total: usize,
        /// How many there are.
        now: usize,
    },
    /// The journal's value is not a cursor.
    #[error("read the feed's cursor from the journal: {0}")]
    Unreadable(String),
}

/// The feed's place in its source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cursor {
    fingerprint: String,
    next: usize,
    total: usize,
}

impl Cursor {
    /// Before the first item.
    pub fn start(items: &Items) -> Self {
        Self { fingerprint: items.fingerprint().to_owned(), next: 0, total: items.len() }
    }

    /// The journal's value, checked against the source as it is now.
    pub fn resume(value: serde_json::Value, items: &Items) -> Result<Self, CursorError> {
        let cursor: Self = serde_json::from_value(value).map_err(|e| CursorError::Unreadable(e.to_string()))?;
        if cursor.next > cursor.total {
            let why = format!("item {} of {}", cursor.next, cursor.total);
            return Err(CursorError::Unreadable(why));
        }
        if cursor.fingerprint != items.fingerprint() || cursor.total != items.len() {
            let (next, total) = (cursor.next + 1, cursor.total);
            return Err(CursorError::Changed { next, total, now: items.len() });
        }
        Ok(cursor)
    }

    /// The value that the journal keeps.
    pub fn to_value(&self) -> serde_json::Value {
        serde_json::json!({"fingerprint": self.fingerprint, "next": self.next, "total": self.total})
    }

    /// How many items are in the queue already.
    pub fn done(&self) -> usize {
        self.next
    }

    /// How many there are.
    pub fn total(&self) -> usize {
        self.total
    }

    /// Whether all are in the queue.
    pub fn is_at_end(&self) -> bool {
        self.next >= self.total
    }

    /// The next batch: at most `most` items, at most ten, at most 256 KiB together; empty at the end or when `most` is 0.
    ///
    /// `items` must be those that the cursor was started or resumed with.
    pub fn batch(&self, items: &Items, most: usize) -> Range<usize> {
        let all = items.as_slice();
        let mut bytes = 0;
        let mut end = self.next.min(all.len());
        while end < all.len() && end - self.next < most.min(MOST_IN_BATCH) {
            bytes += all[end].len();
            if bytes > MOST_BATCH_BYTES && end > self.next {
                break;
            }
            end += 1;
        }
        self.next.min(all.len())..end
    }

    /// Moves behind a batch that the queue has taken; never backwards, never beyond the end.
    pub fn advance(&mut self, batch: &Range<usize>) {
        self.next = self.next.max(batch.end.min(self.total));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feed::source;
    use crate::spec::fleet::FeedSource;
    use proptest::prelude::*;

    fn items(lines: &[String]) -> Items {
        source::items(&FeedSource::Run(String::new()), lines.join("\n").as_bytes(), None).expect("items")
    }

    #[test]
    fn a_changed_source_is_refused() {
        let before = items(&["a".into(), "b".into(), "c".into()]);
        let mut cursor = Cursor::start(&before);
        cursor.advance(&(0..2));
        let kept = cursor.to_value();
        assert_eq!(Cursor::resume(kept.clone(), &before), Ok(cursor));
        let after = items(&["a".into(), "c".into(), "b".into()]);
        let error = Cursor::resume(kept, &after).expect_err("another order");
        assert_eq!(error, CursorError::Changed { next: 3, total: 3, now: 3 });
        for bad in [serde_json::json!({"next": 1}), serde_json::json!({"fingerprint": "", "next": 4, "total": 3})] {
            assert!(matches!(Cursor::resume(bad, &before), Err(CursorError::Unreadable(_))));
        }
    }

    #[test]
    fn the_largest_items_go_one_by_one() {
        let items = items(&["x".repeat(source::MOST_ITEM_BYTES), "y".into(), "z".repeat(source::MOST_ITEM_BYTES)]);
        let mut cursor = Cursor::start(&items);
        let mut sizes = Vec::new();
        while !cursor.is_at_end() {
            let batch = cursor.batch(&items, usize::MAX);
            sizes.push(batch.len());
            cursor.advance(&batch);
        }
        assert_eq!(sizes, [1, 1, 1]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]

        #[test]
        fn batches_cover_everything_in_order(
            sizes in proptest::collection::vec(1usize..60_000, 1..60),
            most in 1usize..20,
            stop in 0usize..20,
        ) {
            let lines: Vec<String> = sizes.iter().map(|&n| "x".repeat(n)).collect();
            let items = items(&lines);
            let mut cursor = Cursor::start(&items);
            let mut seen = Vec::new();
            let mut calls = 0;
            while !cursor.is_at_end() {
                let batch = cursor.batch(&items, most);
                prop_assert!(!batch.is_empty() && batch.len() <= most.min(MOST_IN_BATCH));
                let bytes: usize = batch.clone().map(|n| items.as_slice()[n].len()).sum();
                prop_assert!(bytes <= MOST_BATCH_BYTES);
                seen.extend(batch.clone());
                cursor.advance(&batch);
                calls += 1;
                if calls == stop {
                    cursor = Cursor::resume(cursor.to_value(), &items).expect("unchanged");
                }
            }
            prop_assert_eq!(seen, (0..lines.len()).collect::<Vec<_>>());
            prop_assert!(cursor.batch(&items, most).is_empty());
        }
    }
}
