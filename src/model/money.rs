//! Money without floating-point drift.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::{Add, AddAssign};

/// An amount in millionths of a US dollar: EC2's finest published price step is 10^-6 dollars an hour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Money(i64);

impl Money {
    /// No money.
    pub const ZERO: Self = Self(0);

    /// From millionths of a dollar.
    pub fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// In millionths of a dollar.
    pub fn micros(self) -> i64 {
        self.0
    }

    /// In dollars, for output only.
    #[expect(clippy::cast_precision_loss, reason = "amounts stay far below 2^52 millionths")]
    pub fn dollars(self) -> f64 {
        self.0 as f64 / 1e6
    }

    /// Reads `0.0416` or `12`; at most six decimals, no sign.
    pub fn parse(text: &str) -> Option<Self> {
        let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole) || !digits(part) || part.len() > 6 {
            return None;
        }
        let whole: i64 = whole.parse().ok()?;
        let part: i64 = format!("{part:0<6}").parse().ok()?;
        Some(Self(whole.checked_mul(1_000_000)?.checked_add(part)?))
    }

    /// Reads `0.1008000000`: what is finer than a millionth of a dollar is rounded up.
    pub fn rounded_up(text: &str) -> Option<Self> {
        let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
        let (part, rest) = part.split_at_checked(6).unwrap_or((part, ""));
        if !rest.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let more = rest.bytes().any(|b| b != b'0');
        Self::parse(&format!("{whole}.{part}")).map(|read| read + Self(i64::from(more)))
    }

    /// So many times as much.
    #[must_use]
    pub fn times(self, count: u64) -> Self {
        Self(i64::try_from(i128::from(self.0) * i128::from(count)).unwrap_or(i64::MAX))
    }

    /// This price per hour for `seconds` of use.
    #[must_use]
    pub fn per_hour_for(self, seconds: i64) -> Self {
        Self(i64::try_from(i128::from(self.0) * i128::from(seconds) / 3600).unwrap_or(i64::MAX))
    }
}

impl Add for Money {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl AddAssign for Money {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl std::iter::Sum for Money {
    fn sum<I: Iterator<Item = Self>>(iter: I) -> Self {
        iter.fold(Self::ZERO, Add::add)
    }
}

impl fmt::Display for Money {
    /// Two decimals from a dollar up, four below: `$12.40`, `$0.0416`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.abs() >= 1_000_000 || self.0 == 0 {
            write!(f, "${:.2}", self.dollars())
        } else {
            write!(f, "${:.4}", self.dollars())
        }
    }
}

/// A sum of prices, some of which may be unknown: unknown is never taken for nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Cost {
    /// What is known of it, in millionths of a US dollar; null when nothing is.
    pub micro_usd: Option<Money>,
    /// Whether nothing is missing; else it costs at least that.
    pub complete: bool,
}

impl Cost {
    /// Nothing to pay.
    pub const NOTHING: Self = Self { micro_usd: Some(Money::ZERO), complete: true };
    /// Nobody knows.
    pub const UNKNOWN: Self = Self { micro_usd: None, complete: false };

    /// So many of these, by what is known of one; none of them cost nothing, whatever one may cost.
    pub fn of(one: Option<Money>, count: u64) -> Self {
        match (one, count) {
            (_, 0) => Self::NOTHING,
            (Some(one), _) => Self { micro_usd: Some(one.times(count)), complete: true },
            (None, _) => Self::UNKNOWN,
        }
    }

    /// This cost per hour for `seconds`.
    #[must_use]
    pub fn per_hour_for(self, seconds: i64) -> Self {
        Self { micro_usd: self.micro_usd.map(|money| money.per_hour_for(seconds)), ..self }
    }

    /// In dollars, where all of it is known.
    pub fn dollars(self) -> Option<f64> {
        self.micro_usd.filter(|_| self.complete).map(Money::dollars)
    }
}

impl Add for Cost {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        let nothing = |cost: Self| cost.micro_usd.filter(|known| *known > Money::ZERO || cost.complete);
        let known = match (nothing(self), nothing(other)) {
            (None, None) => None,
            (one, other) => Some(one.unwrap_or_default() + other.unwrap_or_default()),
        };
        let complete = self.complete && other.complete;
        // A part that costs nothing tells nothing of a sum whose other part is unknown.
        Self { micro_usd: known.filter(|known| complete || *known > Money::ZERO), complete }
    }
}

impl std::iter::Sum for Cost {
    fn sum<I: Iterator<Item = Self>>(iter: I) -> Self {
        iter.fold(Self::NOTHING, Add::add)
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.micro_usd, self.complete) {
            (None, _) => f.write_str("unknown"),
            (Some(money), true) => write!(f, "{money}"),
            (Some(money), false) => write!(f, "at least {money}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_is_never_nothing() {
        let one = Some(Money(100_000));
        assert_eq!((Cost::of(one, 3) + Cost::of(None, 2)).to_string(), "at least $0.3000");
        assert_eq!((Cost::of(one, 3) + Cost::of(None, 0)).to_string(), "$0.3000");
        assert_eq!((Cost::NOTHING + Cost::UNKNOWN).to_string(), "unknown");
        assert_eq!([Cost::UNKNOWN, Cost::NOTHING].into_iter().sum::<Cost>(), Cost::UNKNOWN);
        assert_eq!(Cost::NOTHING.to_string(), "$0.00");
        assert_eq!((Cost::of(one, 1) + Cost::UNKNOWN).dollars(), None);
    }

    #[test]
    fn reads_and_shows() {
        assert_eq!(Money::parse("0.0416").map(|m| m.to_string()).as_deref(), Some("$0.0416"));
        assert_eq!(Money::parse("12.4").map(|m| m.to_string()).as_deref(), Some("$12.40"));
        for bad in ["", ".", "1.", "-1", "1e3", "0.1234567", "99999999999999999999"] {
            assert_eq!(Money::parse(bad), None, "{bad}");
        }
        for (text, micros) in [("0.1008000000", 100_800), ("0.0000001", 1), ("5", 5_000_000), ("0.5", 500_000)] {
            assert_eq!(Money::rounded_up(text), Some(Money(micros)), "{text}");
        }
        assert_eq!(Money::rounded_up("0.1234567x"), None);
        assert_eq!(Money(i64::MAX / 2).times(3), Money(i64::MAX), "never wraps");
        assert_eq!(Money::from_micros(3_600_000).per_hour_for(10), Money::from_micros(10_000));
    }
}
