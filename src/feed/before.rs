//! Which items of a source went into the queue before, by digest.

use super::source::{Items, SourceError, items_of};
use sha2::{Digest as _, Sha256};
use std::collections::{HashMap, HashSet};
use std::hash::BuildHasher;

/// Bytes kept of each item: the first half of a SHA-256, so that ten million items take 160 MB and two of them never meet.
const KEPT: usize = 16;

/// What an item is known by later: its text, and how many of the same text came before it in its source. A text that is
/// there three times is three items.
pub type Digest = [u8; KEPT];

/// What goes into the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chosen {
    /// New items, in the order of the source; then, where that was asked for, those that were fed before.
    pub items: Items,
    /// A digest for each of them, one after the other.
    pub digests: Vec<u8>,
    /// How many of them were fed before.
    pub again: usize,
}

/// The items that are not among those `before`; with `again` those too, after the new ones.
///
/// # Errors
///
/// When an item can't be sent.
pub fn choose<S: BuildHasher>(
    items: &[String],
    before: &HashSet<Digest, S>,
    again: bool,
) -> Result<Chosen, SourceError> {
    let mut earlier: HashMap<&str, u64> = HashMap::new();
    let marked = items.iter().map(|item| {
        let same = earlier.entry(item).or_default();
        let digest = digest(item, *same);
        *same += 1;
        (item, digest)
    });
    let (known, mut chosen): (Vec<_>, Vec<_>) = marked.partition(|(_, digest)| before.contains(digest));
    let again = if again { known.len() } else { 0 };
    chosen.extend(known.into_iter().take(again));
    Ok(Chosen {
        digests: chosen.iter().flat_map(|(_, digest)| *digest).collect(),
        items: items_of(chosen.into_iter().map(|(item, _)| item.clone()).collect())?,
        again,
    })
}

/// The first `n` of the digests that were kept; `None` when there are fewer.
pub fn kept(digests: &[u8], n: usize) -> Option<impl Iterator<Item = Digest> + '_> {
    let (whole, _) = digests.as_chunks::<KEPT>();
    whole.get(..n).map(|first| first.iter().copied())
}

fn digest(item: &str, earlier: u64) -> Digest {
    let hash = Sha256::new().chain_update(earlier.to_be_bytes()).chain_update(item).finalize();
    let mut kept = [0; KEPT];
    kept.iter_mut().zip(hash).for_each(|(kept, byte)| *kept = byte);
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn texts(items: &[&str]) -> Vec<String> {
        items.iter().map(|item| (*item).to_owned()).collect()
    }

    fn set(chosen: &Chosen, n: usize) -> HashSet<Digest> {
        kept(&chosen.digests, n).unwrap().collect()
    }

    #[test]
    fn only_what_is_new_is_chosen_unless_all_is_asked_for() {
        let first = choose(&texts(&["a", "b", "a"]), &HashSet::new(), false).unwrap();
        assert_eq!((first.items.items.len(), first.again), (3, 0));
        let before = set(&first, 3);
        assert_eq!(before.len(), 3, "the same text twice is two items");
        let grown = texts(&["x", "a", "a", "a", "b"]);
        let more = choose(&grown, &before, false).unwrap();
        assert_eq!((more.items.items, more.again), (texts(&["x", "a"]), 0));
        let all = choose(&grown, &before, true).unwrap();
        assert_eq!((all.items.items, all.again), (texts(&["x", "a", "a", "a", "b"]), 3));
        // Half of it was sent: the other half is new.
        let rest = choose(&texts(&["a", "b", "a"]), &set(&first, 1), false).unwrap();
        assert_eq!(rest.items.items, texts(&["b", "a"]));
        assert!(kept(&first.digests, 4).is_none());
    }

    proptest! {
        /// However a source grows and however far each feed came: every item goes in, and none twice.
        #[test]
        fn every_item_goes_in_once(rounds in prop::collection::vec((prop::collection::vec(0_u8..9, 0..30), 0_usize..40), 1..6)) {
            let mut before = HashSet::new();
            let (mut source, mut sent) = (Vec::new(), Vec::new());
            for (more, reached) in rounds {
                source.extend(more.iter().map(|n| format!("item {n}")));
                source.reverse();
                let chosen = choose(&source, &before, false).unwrap();
                let reached = reached.min(chosen.items.items.len());
                sent.extend(chosen.items.items[..reached].iter().cloned());
                before.extend(kept(&chosen.digests, reached).unwrap());
            }
            sent.extend(choose(&source, &before, false).unwrap().items.items);
            sent.sort();
            source.sort();
            prop_assert_eq!(sent, source);
        }
    }
}
