//! How many items may be sent now: a token bucket on world time, as a pure function of the clock.

use jiff::{SignedDuration, Timestamp};

/// The longest burst, in seconds' worth of items: what a pause or a slow call leaves unsent is not made up for.
const BURST_SECONDS: f64 = 1.0;

/// A token bucket that starts empty but for the first item.
#[derive(Clone, Debug, PartialEq)]
pub struct Pace {
    rate: Option<f64>,
    tokens: f64,
    at: Timestamp,
}

impl Pace {
    /// `rate` items a second of world time; without a rate there is no bound.
    pub fn new(rate: Option<f64>, now: Timestamp) -> Self {
        Self { rate: rate.filter(|rate| *rate > 0.0), tokens: 1.0, at: now }
    }

    /// The most items that can be saved up: a second's worth, and one at least, else slow rates would never send.
    fn most(rate: f64) -> f64 {
        (rate * BURST_SECONDS).max(1.0)
    }

    fn fill(&mut self, rate: f64, now: Timestamp) {
        // A clock that steps back gives nothing and takes nothing.
        let passed = now.duration_since(self.at).as_secs_f64().max(0.0);
        self.tokens = (self.tokens + passed * rate).min(Self::most(rate));
        self.at = now;
    }

    /// How many of `wanted` items may be sent at `now`.
    pub fn allowed(&mut self, now: Timestamp, wanted: usize) -> usize {
        let Some(rate) = self.rate else { return wanted };
        self.fill(rate, now);
        // Half a millionth of an item is what nanoseconds and floats may lose on the way to a whole one.
        let whole = (self.tokens + 5e-7).floor();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and the burst, 1e6")]
        let whole = whole.max(0.0) as usize;
        whole.min(wanted)
    }

    /// Counts items that were sent.
    pub fn sent(&mut self, count: usize) {
        if self.rate.is_some() {
            #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
            let count = count as f64;
            self.tokens -= count;
        }
    }

    /// When `count` items may be sent, or as many as can be saved up if that is fewer; `now` when they may already.
    pub fn next(&self, now: Timestamp, count: usize) -> Timestamp {
        let Some(rate) = self.rate else { return now };
        let mut then = self.clone();
        then.fill(rate, now);
        #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
        let needed = (count as f64).min(Self::most(rate).floor()) - then.tokens;
        if needed <= 0.0 {
            return now;
        }
        let wait = SignedDuration::try_from_secs_f64(needed / rate).unwrap_or(SignedDuration::MAX);
        now.saturating_add(wait).unwrap_or(Timestamp::MAX)
    }

    /// Another rate from now on; nothing is saved up from before.
    pub fn change(&mut self, rate: Option<f64>, now: Timestamp) {
        *self = Self { tokens: self.tokens.min(1.0), ..Self::new(rate, now) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millisecond(1_700_000_000_000 + millis).expect("in range")
    }

    /// Sends as soon as it may until `end`; the number of items sent.
    fn run(pace: &mut Pace, mut now: Timestamp, end: Timestamp, batch: usize) -> usize {
        let mut sent = 0;
        while now <= end {
            let n = pace.allowed(now, batch);
            pace.sent(n);
            sent += n;
            let next = pace.next(now, 1);
            assert!(n > 0 || next > now, "it would spin at {now}");
            now = next.max(now);
        }
        sent
    }

    #[test]
    fn no_rate_is_no_bound() {
        let mut pace = Pace::new(None, at(0));
        assert_eq!(pace.allowed(at(0), 1_000_000), 1_000_000);
        pace.sent(1_000_000);
        assert_eq!(pace.next(at(0), 10), at(0));
    }

    #[test]
    fn a_pause_is_not_made_up_for() {
        let mut pace = Pace::new(Some(3.0), at(0));
        assert_eq!(pace.allowed(at(3_600_000), 1000), 3);
        pace.sent(3);
        assert_eq!(pace.allowed(at(3_600_000), 1000), 0);
        assert_eq!(pace.next(at(3_600_000), 10), at(3_601_000));
    }

    #[test]
    fn slow_rates_send_one_at_a_time() {
        let mut pace = Pace::new(Some(1.0 / 3600.0), at(0));
        assert_eq!(run(&mut pace, at(0), at(3_600_000 * 5), 10), 6);
    }

    #[test]
    fn a_new_rate_starts_without_savings() {
        let mut pace = Pace::new(Some(1000.0), at(0));
        assert_eq!(pace.allowed(at(1000), 1000), 1000);
        pace.change(Some(2.0), at(1000));
        assert_eq!(pace.allowed(at(1000), 1000), 1);
    }

    proptest! {
        #[test]
        fn no_second_sees_more_than_rate_and_burst(
            rate in 0.01f64..500.0,
            steps in proptest::collection::vec((0i64..3000, 0usize..600), 1..60),
        ) {
            let mut pace = Pace::new(Some(rate), at(0));
            let mut now = 0;
            let mut sent: Vec<(i64, usize)> = Vec::new();
            for (step, wanted) in steps {
                now += step;
                let n = pace.allowed(at(now), wanted);
                prop_assert!(n <= wanted);
                pace.sent(n);
                sent.push((now, n));
            }
            for (first, &(start, _)) in sent.iter().enumerate() {
                let mut sum = 0;
                for &(then, n) in &sent[first..] {
                    sum += n;
                    let bound = rate.max(1.0) + rate * f64::from(i32::try_from(then - start).expect("small")) / 1000.0 + 0.001;
                    prop_assert!(f64::from(u32::try_from(sum).expect("small")) <= bound, "{sum} in {} ms at {rate}/s", then - start);
                }
            }
        }

        #[test]
        fn the_rate_is_reached(rate in 0.5f64..200.0) {
            let mut pace = Pace::new(Some(rate), at(0));
            let sent = f64::from(u32::try_from(run(&mut pace, at(0), at(60_000), 10)).expect("small"));
            prop_assert!((sent - (1.0 + rate * 60.0)).abs() <= 1.5, "{sent} at {rate}/s");
        }
    }
}
