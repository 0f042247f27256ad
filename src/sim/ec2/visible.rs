//! Keeps every resource's recent past, so that a reader may see a change late.

use crate::sim::draw::number;
use jiff::{SignedDuration, Timestamp};
use std::collections::HashMap;

/// Changes older than this are visible to everybody: AWS speaks of minutes, never of an hour.
const REMEMBERED: SignedDuration = SignedDuration::from_hours(1);

/// Who looks, and when.
#[derive(Clone, Debug)]
pub(super) struct Eye {
    /// The world's seed.
    pub(super) seed: u64,
    /// Access key id: each reader meets another replica.
    pub(super) principal: String,
    /// World time.
    pub(super) now: Timestamp,
    /// Longest lag, seconds.
    pub(super) lag: u32,
}

impl Eye {
    /// Whether this reader sees change number `change` of `id`, made at `at`. The lag is a hash of what changed and
    /// who looks: one reader's two looks never disagree the wrong way round.
    fn sees(&self, id: &str, change: usize, at: Timestamp) -> bool {
        if self.lag == 0 {
            return true;
        }
        let word = number(self.seed, &["lag", id, &change.to_string(), &self.principal]);
        let lag = i64::try_from(word % (u64::from(self.lag) + 1)).unwrap_or_default();
        self.now >= at.saturating_add(SignedDuration::from_secs(lag)).unwrap_or(Timestamp::MAX)
    }
}

/// One resource: its versions, oldest first; `None` is a deletion.
#[derive(Clone, Debug)]
struct Tracked<T> {
    id: String,
    forgotten: usize,
    versions: Vec<(Timestamp, Option<T>)>,
}

impl<T> Tracked<T> {
    fn truth(&self) -> Option<&T> {
        self.versions.last()?.1.as_ref()
    }

    fn seen(&self, eye: &Eye) -> Option<&T> {
        if eye.lag == 0 {
            return self.truth();
        }
        let newest =
            self.versions.iter().enumerate().rev().find(|(n, (at, _))| eye.sees(&self.id, self.forgotten + n, *at));
        newest?.1.1.as_ref()
    }

    fn push(&mut self, at: Timestamp, value: Option<T>) {
        let old = at.saturating_sub(REMEMBERED).unwrap_or(Timestamp::MIN);
        // The newest version older than that is what a reader with the longest lag falls back to.
        let stale = self.versions.iter().filter(|(made, _)| *made < old).count().saturating_sub(1);
        self.versions.drain(..stale);
        self.forgotten += stale;
        self.versions.push((at, value));
    }
}

/// All resources of a kind in the order of their creation, deleted ones included.
#[derive(Clone, Debug)]
pub(super) struct Store<T> {
    items: Vec<Tracked<T>>,
    places: HashMap<String, usize>,
}

impl<T> Default for Store<T> {
    fn default() -> Self {
        Self { items: Vec::new(), places: HashMap::new() }
    }
}

impl<T: Clone> Store<T> {
    /// Adds a new resource.
    pub(super) fn insert(&mut self, id: &str, at: Timestamp, value: T) {
        self.places.insert(id.to_owned(), self.items.len());
        self.items.push(Tracked { id: id.to_owned(), forgotten: 0, versions: vec![(at, Some(value))] });
    }

    /// The truth about one resource.
    pub(super) fn get(&self, id: &str) -> Option<&T> {
        self.items.get(*self.places.get(id)?)?.truth()
    }

    /// The last thing known about a resource, deleted or not.
    pub(super) fn ever(&self) -> impl Iterator<Item = &T> {
        self.items.iter().filter_map(|item| item.versions.iter().rev().find_map(|(_, value)| value.as_ref()))
    }

    /// Changes a resource that exists; nothing happens to one that does not.
    pub(super) fn change(&mut self, id: &str, at: Timestamp, change: impl FnOnce(&mut T)) {
        let Some(item) = self.places.get(id).and_then(|place| self.items.get_mut(*place)) else { return };
        let Some(mut value) = item.truth().cloned() else { return };
        change(&mut value);
        item.push(at, Some(value));
    }

    /// Deletes a resource.
    pub(super) fn remove(&mut self, id: &str, at: Timestamp) {
        if let Some(item) = self.places.get(id).and_then(|place| self.items.get_mut(*place)) {
            item.push(at, None);
        }
    }

    /// What this reader sees of one resource.
    pub(super) fn seen(&self, id: &str, eye: &Eye) -> Option<&T> {
        self.items.get(*self.places.get(id)?)?.seen(eye)
    }

    /// All that exist, in truth.
    pub(super) fn all(&self) -> impl Iterator<Item = &T> {
        self.items.iter().filter_map(Tracked::truth)
    }

    /// All that this reader sees, each with its place, which never changes.
    pub(super) fn all_seen<'a>(&'a self, eye: &'a Eye) -> impl Iterator<Item = (usize, &'a T)> {
        self.items.iter().enumerate().filter_map(|(place, item)| Some((place, item.seen(eye)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    fn eye(principal: &str, seconds: i64, lag: u32) -> Eye {
        Eye { seed: 1, principal: principal.to_owned(), now: at(seconds), lag }
    }

    #[test]
    fn without_lag_the_truth_is_seen() {
        let mut store = Store::default();
        store.insert("a", at(0), 1);
        store.change("a", at(0), |n| *n = 2);
        assert_eq!(store.seen("a", &eye("me", 0, 0)), Some(&2));
        store.remove("a", at(0));
        assert_eq!((store.seen("a", &eye("me", 0, 0)), store.ever().next()), (None, Some(&2)));
    }

    #[test]
    fn readers_differ_and_all_see_it_in_the_end() {
        let mut store = Store::default();
        store.insert("a", at(0), 1);
        let first = |name: &str| (0..=300).find(|t| store.seen("a", &eye(name, *t, 300)).is_some()).unwrap();
        let times: Vec<i64> = ["a", "b", "c", "d"].map(first).to_vec();
        assert!(times.iter().any(|t| *t != times[0]), "{times:?}");
        assert!(times.iter().any(|t| *t > 0), "{times:?}");
    }

    proptest! {
        /// What one reader has seen it never unsees, and after the longest lag it sees the truth.
        #[test]
        fn a_reader_never_goes_back(gaps in proptest::collection::vec(0_i64..400, 1..12), lag in 1_u32..300) {
            let mut store = Store::default();
            let mut time = 0;
            store.insert("a", at(0), 0_usize);
            let mut last = 0;
            for (n, gap) in gaps.iter().enumerate() {
                time += gap;
                store.change("a", at(time), |value| *value = n + 1);
                let seen = store.seen("a", &eye("me", time, lag)).copied().unwrap_or(0);
                prop_assert!(seen >= last);
                last = seen;
            }
            prop_assert_eq!(store.seen("a", &eye("me", time + i64::from(lag), lag)), Some(&gaps.len()));
        }
    }
}
