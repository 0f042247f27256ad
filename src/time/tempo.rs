//! How many items a second, by the hour.

use super::hours::Hours;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// Changes that a forecast looks ahead: five years of a window each day.
const AHEAD: usize = 2 * 366 * 5;

/// A rate that may depend on the hour.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tempo {
    /// So many items a second, always.
    Steady(f64),
    /// By the hour.
    Hourly {
        /// Items a second within these hours.
        peak: f64,
        /// Items a second otherwise.
        off_peak: f64,
        /// Which hours.
        peak_hours: Hours,
    },
}

impl Tempo {
    /// Items a second at this instant.
    pub fn at(&self, instant: Timestamp) -> f64 {
        match self {
            Self::Steady(rate) => *rate,
            Self::Hourly { peak, peak_hours, .. } if peak_hours.contains(instant) => *peak,
            Self::Hourly { off_peak, .. } => *off_peak,
        }
    }

    /// When it changes next, and to what.
    pub fn next_change(&self, after: Timestamp) -> Option<(Timestamp, f64)> {
        match self {
            Self::Steady(_) => None,
            Self::Hourly { peak_hours, .. } => peak_hours.next_change(after).map(|at| (at, self.at(at))),
        }
    }

    /// When so many items have gone, from now on; `None` when that is too far away to tell.
    #[expect(clippy::cast_precision_loss, reason = "a forecast")]
    pub fn gone(&self, items: u64, now: Timestamp) -> Option<Timestamp> {
        let mut left = items as f64;
        let mut now = now;
        for _ in 0..AHEAD {
            let rate = self.at(now);
            let change = self.next_change(now);
            let most = change.map_or(f64::INFINITY, |(at, _)| at.duration_since(now).as_secs_f64() * rate);
            if left <= most {
                let span = SignedDuration::try_from_secs_f64(left / rate).ok()?;
                return now.checked_add(span).ok();
            }
            left -= most;
            now = change?.0;
        }
        None
    }

    /// When so many items have gone, in the words of the place whose hours these are.
    pub fn gone_words(&self, items: u64, now: Timestamp) -> Option<String> {
        let gone = self.gone(items, now)?;
        Some(match self {
            Self::Steady(_) => gone.strftime("%Y-%m-%d %H:%M UTC").to_string(),
            Self::Hourly { peak_hours, .. } => peak_hours.dated(gone),
        })
    }

    /// `3/s until Fri 18:00 PST, then 7.5/s`.
    pub fn words(&self, now: Timestamp) -> String {
        let rate = self.at(now);
        match (self, self.next_change(now)) {
            (Self::Hourly { peak_hours, .. }, Some((at, next))) => {
                format!("{} until {}, then {}", per_second(rate), peak_hours.shown(at), per_second(next))
            }
            (Self::Steady(_) | Self::Hourly { .. }, _) => per_second(rate),
        }
    }
}

/// `7.5/s`; what is slower than one a second, by the minute or the hour.
pub fn per_second(rate: f64) -> String {
    let (count, unit) = match rate {
        rate if rate >= 1.0 => (rate, "s"),
        rate if rate >= 1.0 / 60.0 => (rate * 60.0, "m"),
        rate => (rate * 3600.0, "h"),
    };
    format!("{}/{unit}", (count * 100.0).round() / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tempo() -> Tempo {
        let peak_hours = "Mon-Fri 05:00-18:00 America/Los_Angeles".parse().unwrap();
        Tempo::Hourly { peak: 3.0, off_peak: 7.5, peak_hours }
    }

    #[test]
    fn it_is_told_until_when_and_what_then() {
        let friday = "2026-11-20T13:00:00Z".parse().unwrap();
        assert_eq!(tempo().words(friday), "3/s until Fri 18:00 PST, then 7.5/s");
        assert_eq!(Tempo::Steady(0.5).words(friday), "30/m");
        assert_eq!(per_second(1.0 / 3600.0), "1/h");
        // Thirteen hours at 3, then the rest at 7.5.
        let gone = tempo().gone(13 * 3600 * 3 + 7500, friday).unwrap();
        assert_eq!(gone.to_string(), "2026-11-21T02:16:40Z");
    }

    proptest! {
        /// The forecast is what adding up every second comes to.
        #[test]
        fn the_forecast_adds_up(items in 1_u32..400_000, start in 1_793_000_000_i64..1_800_000_000) {
            let (tempo, mut now) = (tempo(), Timestamp::from_second(start).unwrap());
            let gone = tempo.gone(items.into(), now).unwrap();
            let mut sum = 0.0;
            while sum < f64::from(items) {
                sum += tempo.at(now) * 10.0;
                now += SignedDuration::from_secs(10);
            }
            let off = gone.duration_since(now).as_secs();
            prop_assert!((-30..=30).contains(&off), "{} {}", gone, now);
        }
    }
}
