//! How fast items go: a token bucket on world time that never saves up for more than a second.

use jiff::{SignedDuration, Timestamp};

/// Paces a feed.
#[derive(Clone, Debug)]
pub struct Pace {
    rate: Option<f64>,
    tokens: f64,
    at: Timestamp,
}

impl Pace {
    /// So many items a second of world time; as fast as the queue takes them if absent. One may go at once.
    pub fn new(rate_per_second: Option<f64>, now: Timestamp) -> Self {
        Self { rate: rate_per_second, tokens: 1.0, at: now }
    }

    /// Goes on at another rate from now on.
    pub fn change(&mut self, rate_per_second: Option<f64>, now: Timestamp) {
        if self.rate != rate_per_second {
            self.allowed(now);
            self.at = self.at.max(now);
            self.rate = rate_per_second;
            self.tokens = self.tokens.min(1.0);
        }
    }

    /// How many items may go now.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "tokens are between 0 and the burst")]
    pub fn allowed(&mut self, now: Timestamp) -> usize {
        let Some(rate) = self.rate else { return usize::MAX };
        let passed = now.duration_since(self.at).as_secs_f64().max(0.0);
        self.at = self.at.max(now);
        // A second's worth at most: a pause is not made up for.
        self.tokens = (self.tokens + passed * rate).min(rate.max(1.0));
        self.tokens as usize
    }

    /// So many went.
    #[expect(clippy::cast_precision_loss, reason = "a batch is small")]
    pub fn took(&mut self, n: usize) {
        if self.rate.is_some() {
            self.tokens -= n as f64;
        }
    }

    /// When one more may go.
    pub fn next_at(&self) -> Timestamp {
        match self.rate {
            Some(rate) if self.tokens < 1.0 && rate > 0.0 => {
                let wait = SignedDuration::try_from_secs_f64((1.0 - self.tokens) / rate).unwrap_or(SignedDuration::MAX);
                // A hair later, so that rounding does not make it come a hair early for ever.
                let wait = wait.saturating_add(SignedDuration::from_millis(1));
                self.at.saturating_add(wait).unwrap_or(Timestamp::MAX)
            }
            Some(_) | None => self.at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// However it is asked, no more goes than rate times time and the burst, and waiting as told always helps.
        #[test]
        fn never_faster_than_the_rate(rate in 0.1_f64..500.0, steps in prop::collection::vec((0_i64..5_000, 1_usize..10), 1..200)) {
            let start = Timestamp::from_second(1_000_000).unwrap();
            let mut now = start;
            let mut pace = Pace::new(Some(rate), start);
            let mut sent = 0_u32;
            for (millis, want) in steps {
                now += SignedDuration::from_millis(millis);
                let mut n = pace.allowed(now).min(want);
                if n == 0 {
                    now = now.max(pace.next_at());
                    n = pace.allowed(now).min(want);
                    prop_assert!(n >= 1);
                }
                pace.took(n);
                sent += u32::try_from(n).unwrap();
                let most = rate * now.duration_since(start).as_secs_f64() + rate.max(1.0) + 1.0;
                prop_assert!(f64::from(sent) <= most, "{sent} > {most}");
            }
        }
    }

    proptest! {
        /// Whatever the rate is changed to and when, no more goes than all the rates bring together, and a burst.
        #[test]
        fn a_change_brings_nothing_extra(steps in prop::collection::vec((0_i64..4_000, 0.1_f64..300.0), 1..100)) {
            let mut now = Timestamp::from_second(1_000_000).unwrap();
            let mut rate = 50.0;
            let mut pace = Pace::new(Some(rate), now);
            let (mut sent, mut most, mut burst) = (0.0_f64, 1.0, 50.0_f64);
            for (millis, next) in steps {
                now += SignedDuration::from_millis(millis);
                most += rate * f64::from(u32::try_from(millis).unwrap()) / 1000.0;
                if millis % 3 == 0 {
                    pace.change(Some(next), now);
                    rate = next;
                    burst = burst.max(rate);
                }
                let n = pace.allowed(now);
                pace.took(n);
                sent += f64::from(u32::try_from(n).unwrap());
                prop_assert!(sent <= most + burst + 1.0, "{} > {}", sent, most);
            }
        }
    }

    #[test]
    fn without_a_rate_everything_may_go() {
        assert_eq!(Pace::new(None, Timestamp::UNIX_EPOCH).allowed(Timestamp::UNIX_EPOCH), usize::MAX);
    }
}
