//! Our own pace per API action: a token bucket that slows down when AWS throttles and recovers slowly.

use crate::time::SharedClock;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

/// A bucket's size and how fast it fills.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    /// Calls that may be made at once when the bucket is full; at least 1.
    pub burst: f64,
    /// Calls per second of world time afterwards; above 0.
    pub per_second: f64,
}

/// One throttle halves the pace.
const DECREASE: f64 = 0.5;
/// Each call that goes through gives back this share of the full pace.
const INCREASE: f64 = 0.05;
/// The pace never falls below this share: another one in the account may be using up the bucket, but not for ever.
const FLOOR: f64 = 0.05;

#[derive(Clone, Copy, Debug)]
struct Bucket {
    full: Rate,
    /// The pace now, calls per second.
    pace: f64,
    /// Calls that may be made now; below zero when callers are waiting already.
    tokens: f64,
    at: Timestamp,
}

impl Bucket {
    fn new(full: Rate, at: Timestamp) -> Self {
        let full = Rate { burst: full.burst.max(1.0), per_second: full.per_second.max(1e-3) };
        Self { full, pace: full.per_second, tokens: full.burst, at }
    }

    fn refill(&mut self, now: Timestamp) {
        let passed = now.duration_since(self.at).as_secs_f64().max(0.0);
        self.tokens = (self.tokens + passed * self.pace).min(self.full.burst);
        self.at = self.at.max(now);
    }

    /// Takes a token, and says how long until it is really there.
    fn take(&mut self, now: Timestamp) -> SignedDuration {
        self.refill(now);
        self.tokens -= 1.0;
        SignedDuration::try_from_secs_f64((-self.tokens / self.pace).max(0.0)).unwrap_or(SignedDuration::MAX)
    }

    fn throttled(&mut self, now: Timestamp) {
        self.refill(now);
        self.pace = (self.pace * DECREASE).max(self.full.per_second * FLOOR);
        // AWS's bucket is empty, so ours is.
        self.tokens = self.tokens.min(0.0);
    }

    fn succeeded(&mut self, now: Timestamp) {
        self.refill(now);
        self.pace = (self.pace + self.full.per_second * INCREASE).min(self.full.per_second);
    }
}

/// The paces of all actions, shared by everything that calls AWS.
pub struct Limits {
    clock: SharedClock,
    otherwise: Rate,
    buckets: Mutex<BTreeMap<String, Bucket>>,
    answered: AtomicBool,
}

impl Limits {
    /// Starts with full buckets of these rates; actions that are not named get a bucket of their own of rate `otherwise`.
    pub fn new(clock: SharedClock, named: impl IntoIterator<Item = (String, Rate)>, otherwise: Rate) -> Self {
        let now = clock.now();
        let buckets = named.into_iter().map(|(action, rate)| (action, Bucket::new(rate, now))).collect();
        Self { clock, otherwise, buckets: Mutex::new(buckets), answered: AtomicBool::new(false) }
    }

    fn with<T>(&self, action: &str, act: impl FnOnce(&mut Bucket, Timestamp) -> T) -> T {
        let now = self.clock.now();
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let bucket = buckets.entry(action.to_owned()).or_insert_with(|| Bucket::new(self.otherwise, now));
        act(bucket, now)
    }

    /// Waits until one call of this action may be made; callers are served in the order they came. A caller that gives up
    /// has used its turn.
    pub async fn acquire(&self, action: &str) {
        let (wait, now) = self.with(action, |bucket, now| (bucket.take(now), now));
        if wait > SignedDuration::ZERO {
            self.clock.sleep_until(now.saturating_add(wait).unwrap_or(Timestamp::MAX)).await;
        }
    }

    /// Whether any call through these limits was ever answered, be it by a refusal.
    pub fn answered(&self) -> bool {
        self.answered.load(Ordering::Relaxed)
    }

    /// Somebody is there.
    pub(super) fn heard(&self) {
        self.answered.store(true, Ordering::Relaxed);
    }

    /// A call was throttled: the pace is halved.
    pub fn throttled(&self, action: &str) {
        self.with(action, Bucket::throttled);
    }

    /// A call went through: the pace recovers a little, up to the full rate.
    pub fn succeeded(&self, action: &str) {
        self.with(action, Bucket::succeeded);
    }

    /// The pace now, calls per second.
    pub fn pace(&self, action: &str) -> f64 {
        self.with(action, |bucket, _| bucket.pace)
    }
}

impl std::fmt::Debug for Limits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Limits").field("otherwise", &self.otherwise).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Clock;
    use crate::time::manual::ManualClock;
    use std::sync::Arc;

    const RUN_INSTANCES: Rate = Rate { burst: 5.0, per_second: 2.0 };

    fn limits() -> (Arc<ManualClock>, Limits) {
        let clock = Arc::new(ManualClock::default());
        let named = [("RunInstances".to_owned(), RUN_INSTANCES)];
        (clock.clone(), Limits::new(clock, named, Rate { burst: 100.0, per_second: 20.0 }))
    }

    #[tokio::test]
    async fn a_burst_goes_at_once_and_the_rest_at_the_pace() {
        let (clock, limits) = limits();
        let start = clock.now();
        for _ in 0..5 {
            limits.acquire("RunInstances").await;
        }
        assert_eq!(clock.now(), start);
        for _ in 0..10 {
            limits.acquire("RunInstances").await;
        }
        assert_eq!(clock.now().duration_since(start), SignedDuration::from_secs(5));
        limits.acquire("DescribeInstances").await;
        assert_eq!(clock.now().duration_since(start), SignedDuration::from_secs(5), "a bucket of its own");
        clock.advance(SignedDuration::from_hours(1));
        for _ in 0..5 {
            limits.acquire("RunInstances").await;
        }
        assert_eq!(
            clock.now().duration_since(start),
            SignedDuration::from_secs(3605),
            "it never holds more than its burst"
        );
        limits.acquire("RunInstances").await;
        assert!(clock.now().duration_since(start) > SignedDuration::from_secs(3605));
    }

    #[tokio::test]
    async fn a_throttle_halves_the_pace_down_to_a_floor_and_successes_bring_it_back() {
        let (clock, limits) = limits();
        limits.throttled("RunInstances");
        assert!((limits.pace("RunInstances") - 1.0).abs() < 1e-9);
        let start = clock.now();
        limits.acquire("RunInstances").await;
        assert_eq!(clock.now().duration_since(start), SignedDuration::from_secs(1), "the bucket is empty");
        for _ in 0..20 {
            limits.throttled("RunInstances");
        }
        assert!((limits.pace("RunInstances") - 0.1).abs() < 1e-9);
        limits.succeeded("RunInstances");
        assert!((limits.pace("RunInstances") - 0.2).abs() < 1e-9);
        for _ in 0..50 {
            limits.succeeded("RunInstances");
        }
        assert!((limits.pace("RunInstances") - 2.0).abs() < 1e-9, "never above AWS's own rate");
    }
}
