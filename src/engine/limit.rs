//! Our own pace per API action: AWS's token bucket, which slows down when AWS throttles and recovers slowly.

use crate::model::Bucket;
use crate::time::SharedClock;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

/// One throttle halves the pace.
const DECREASE: f64 = 0.5;
/// Each call that goes through gives back this share of the full pace.
const INCREASE: f64 = 0.05;
/// The pace never falls below this share: another one in the account may be using up the bucket, but not for ever.
const FLOOR: f64 = 0.05;

/// A bucket as we believe AWS's own to be now.
#[derive(Clone, Copy, Debug)]
struct Level {
    holds: f64,
    /// The pace when nobody throttles, tokens per second.
    full: f64,
    /// The pace now.
    pace: f64,
    /// What may be taken now; below zero when callers are waiting already.
    tokens: f64,
    at: Timestamp,
}

impl Level {
    fn new(bucket: Bucket, at: Timestamp) -> Self {
        let (holds, full) = (f64::from(bucket.holds.max(1)), f64::from(bucket.per_second.max(1)));
        Self { holds, full, pace: full, tokens: holds, at }
    }

    fn refill(&mut self, now: Timestamp) {
        let passed = now.duration_since(self.at).as_secs_f64().max(0.0);
        self.tokens = (self.tokens + passed * self.pace).min(self.holds);
        self.at = self.at.max(now);
    }

    /// Takes a token, and says how long until it is really there.
    fn take(&mut self, now: Timestamp) -> SignedDuration {
        self.refill(now);
        self.tokens -= 1.0;
        SignedDuration::try_from_secs_f64((-self.tokens / self.pace).max(0.0)).unwrap_or(SignedDuration::MAX)
    }

    /// Takes so many tokens, or none when there are fewer.
    fn take_all(&mut self, wanted: f64, now: Timestamp) -> bool {
        self.refill(now);
        let there = self.tokens >= wanted.min(self.holds);
        if there {
            self.tokens -= wanted;
        }
        there
    }

    fn throttled(&mut self, now: Timestamp) {
        self.refill(now);
        self.pace = (self.pace * DECREASE).max(self.full * FLOOR);
        // AWS's bucket is empty, so ours is.
        self.tokens = self.tokens.min(0.0);
    }

    fn succeeded(&mut self, now: Timestamp) {
        self.refill(now);
        self.pace = (self.pace + self.full * INCREASE).min(self.full);
    }
}

/// What an action may use: the published bucket, by the action's name.
type Published<T> = Box<dyn Fn(&str) -> T + Send + Sync>;

/// The paces of all actions, shared by everything that calls AWS.
pub struct Limits {
    clock: SharedClock,
    published: Published<Bucket>,
    published_hosts: Published<Option<Bucket>>,
    calls: Mutex<BTreeMap<String, Level>>,
    hosts: Mutex<BTreeMap<String, Level>>,
    answered: AtomicBool,
}

impl Limits {
    /// Starts with full buckets: of calls, and of hosts for the actions that have one.
    pub fn new(
        clock: SharedClock,
        calls: impl Fn(&str) -> Bucket + Send + Sync + 'static,
        hosts: impl Fn(&str) -> Option<Bucket> + Send + Sync + 'static,
    ) -> Self {
        Self {
            clock,
            published: Box::new(calls),
            published_hosts: Box::new(hosts),
            calls: Mutex::default(),
            hosts: Mutex::default(),
            answered: AtomicBool::new(false),
        }
    }

    fn with<T>(&self, action: &str, act: impl FnOnce(&mut Level, Timestamp) -> T) -> T {
        let now = self.clock.now();
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        act(calls.entry(action.to_owned()).or_insert_with(|| Level::new((self.published)(action), now)), now)
    }

    fn with_hosts<T>(&self, action: &str, act: impl FnOnce(&mut Level, Timestamp) -> T) -> Option<T> {
        let (now, bucket) = (self.clock.now(), (self.published_hosts)(action)?);
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        Some(act(hosts.entry(action.to_owned()).or_insert_with(|| Level::new(bucket, now)), now))
    }

    /// Whether a call of this action that names so many hosts may be made now; if so, it is counted. Never waits: who ends
    /// hosts looks again rather than wait with what was seen. More than a bucket holds goes through when it is full.
    pub fn spare(&self, action: &str, hosts: usize) -> bool {
        let wanted = f64::from(u32::try_from(hosts).unwrap_or(u32::MAX));
        self.with_hosts(action, |level, now| level.take_all(wanted, now)).unwrap_or(true)
    }

    /// Waits until one call of this action may be made; callers are served in the order they came. A caller that gives up
    /// has used its turn.
    pub async fn acquire(&self, action: &str) {
        let (wait, now) = self.with(action, |level, now| (level.take(now), now));
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

    /// A call was throttled, for the number of calls or of hosts: both paces are halved.
    pub fn throttled(&self, action: &str) {
        self.with(action, Level::throttled);
        self.with_hosts(action, Level::throttled);
    }

    /// A call went through: the pace recovers a little, up to the full rate.
    pub fn succeeded(&self, action: &str) {
        self.with(action, Level::succeeded);
        self.with_hosts(action, Level::succeeded);
    }

    /// The pace now, calls per second.
    pub fn pace(&self, action: &str) -> f64 {
        self.with(action, |level, _| level.pace)
    }
}

impl std::fmt::Debug for Limits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Limits").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::buckets;
    use crate::time::Clock;
    use crate::time::manual::ManualClock;
    use std::sync::Arc;

    fn limits() -> (Arc<ManualClock>, Limits) {
        let clock = Arc::new(ManualClock::default());
        (clock.clone(), Limits::new(clock, buckets::calls, buckets::hosts))
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

    #[test]
    fn hosts_are_ended_as_fast_as_the_bucket_fills_and_nobody_waits() {
        let (clock, limits) = limits();
        let end = |hosts| limits.spare("TerminateInstances", hosts);
        assert!(end(500) && end(500) && !end(500), "1,000 at once");
        clock.advance(SignedDuration::from_secs(24));
        assert!(!end(500), "then 20 a second");
        clock.advance(SignedDuration::from_secs(1));
        assert!(end(500));
        limits.throttled("TerminateInstances");
        clock.advance(SignedDuration::from_secs(25));
        assert!(!end(500) && end(250), "the pace was halved");
        assert!((0..100).all(|_| limits.spare("CreateFleet", 1000)), "nothing is published of others");
    }
}
