//! What instances cost: price times running time, by the second, a minute at least.

use super::records::Instance;
use jiff::Timestamp;

/// Dollars as text (`0.0416`) in millionths; `None` for anything else.
pub(super) fn micros(text: &str) -> Option<u64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(part) || whole.len() + part.len() == 0 || whole.len() > 9 {
        return None;
    }
    let part: String = part.chars().chain("000000".chars()).take(6).collect();
    Some(whole.parse::<u64>().unwrap_or_default() * 1_000_000 + part.parse::<u64>().ok()?)
}

/// An instance's cost until now, millionths of a dollar. EC2 bills Linux by the second from `running` on, with a
/// minimum of 60 seconds each time it starts.
pub(super) fn so_far(instance: &Instance, now: Timestamp) -> u64 {
    let seconds: u64 = instance
        .billed
        .iter()
        .map(|(from, to)| to.unwrap_or(now).duration_since(*from).as_secs().max(60).unsigned_abs())
        .sum();
    u64::try_from(u128::from(instance.price) * u128::from(seconds) / 3600).unwrap_or(u64::MAX)
}

/// Millionths as dollars, for JSON.
pub(super) fn dollars(micros: u64) -> f64 {
    // Sums of a rehearsal stay far below 2^53 millionths.
    #[expect(clippy::cast_precision_loss, reason = "nine billion dollars fit exactly")]
    let dollars = micros as f64 / 1e6;
    dollars
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_read_exactly() {
        assert_eq!(micros("0.0416"), Some(41_600));
        assert_eq!(micros("12"), Some(12_000_000));
        assert_eq!(micros(".5"), Some(500_000));
        for bad in ["", ".", "-1", "1e3", "a"] {
            assert_eq!(micros(bad), None, "{bad}");
        }
    }
}
