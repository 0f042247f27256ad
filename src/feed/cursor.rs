//! How far a feed got, and the next batch from there.

use serde::{Deserialize, Serialize};

/// Messages in one SendMessageBatch call (API reference).
const BATCH: usize = 10;
/// Bytes of all messages of one call together; see [`super::source`] on 256 KiB.
const BYTES: usize = super::source::MESSAGE;

/// A place in a source that can be come back to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    fingerprint: String,
    next: usize,
    total: usize,
}

/// The source is not the one that was begun.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the source has changed since it was begun: it had {was} items, now it has {now}{same}", same = if was == now { ", of other content" } else { "" })]
pub struct Changed {
    was: usize,
    now: usize,
}

impl Cursor {
    /// At the start of a source.
    pub fn new(fingerprint: String, total: usize) -> Self {
        Self { fingerprint, next: 0, total }
    }

    /// Refuses a source that is not the one that was begun.
    ///
    /// # Errors
    ///
    /// When its fingerprint or length differ.
    pub fn check(&self, fingerprint: &str, total: usize) -> Result<(), Changed> {
        if self.fingerprint == fingerprint && self.total == total {
            return Ok(());
        }
        Err(Changed { was: self.total, now: total })
    }

    /// Digest of the source.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Items that were not sent yet.
    pub fn left(&self) -> usize {
        self.total.saturating_sub(self.next)
    }

    /// Index of the next item.
    pub fn next(&self) -> usize {
        self.next
    }

    /// Items in all.
    pub fn total(&self) -> usize {
        self.total
    }

    /// Whether every item was sent.
    pub fn done(&self) -> bool {
        self.next >= self.total
    }

    /// So many more were confirmed.
    pub fn advance(&mut self, n: usize) {
        self.next = (self.next + n).min(self.total);
    }
}

/// The items that fit into one call from `from` on, at most `allowed`; at least one where one is allowed and left.
pub fn batch(items: &[String], from: usize, allowed: usize) -> impl Iterator<Item = &String> {
    let mut bytes = 0;
    items
        .iter()
        .skip(from)
        .take(allowed.min(BATCH))
        .enumerate()
        .take_while(move |(index, item)| {
            bytes += item.len() + super::source::ATTRIBUTES;
            *index == 0 || bytes <= BYTES
        })
        .map(|(_, item)| item)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_changed_source_is_refused() {
        let cursor = Cursor::new("a".into(), 3);
        assert!(cursor.check("a", 3).is_ok());
        assert!(cursor.check("b", 3).unwrap_err().to_string().contains("other content"));
        assert!(cursor.check("a", 4).unwrap_err().to_string().contains("had 3 items, now it has 4"));
    }

    proptest! {
        #[test]
        fn batches_keep_both_bounds_and_cover_everything(
            sizes in prop::collection::vec(1_usize..200_000, 0..40), allowed in 1_usize..20,
        ) {
            let items: Vec<String> = sizes.iter().map(|n| "x".repeat(*n)).collect();
            let mut cursor = Cursor::new(String::new(), items.len());
            while !cursor.done() {
                let sent: Vec<usize> = batch(&items, cursor.next(), allowed).map(String::len).collect();
                prop_assert!(!sent.is_empty() && sent.len() <= BATCH.min(allowed));
                prop_assert!(sent.len() == 1 || sent.iter().map(|n| n + super::super::source::ATTRIBUTES).sum::<usize>() <= BYTES);
                cursor.advance(sent.len());
            }
            prop_assert_eq!(cursor.next(), items.len());
        }
    }
}
