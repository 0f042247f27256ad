//! How fast items are finished, told from counts that jump and stand still.

use jiff::{SignedDuration, Timestamp};

/// Only the last ten minutes count: long enough for bursts and staircases, short enough to notice a fleet that changed.
pub const WINDOW: SignedDuration = SignedDuration::from_mins(10);
/// With fewer points than this a pace would be a guess.
pub const LEAST: usize = 12;

/// Items finished per second: the median of the slopes between all pairs of points (Theil and Sen), which a few wild counts
/// can't move. `None` with too few points, or when nothing gets on.
pub fn pace(points: &[(Timestamp, i64)]) -> Option<f64> {
    let newest = points.last()?.0;
    let recent: Vec<_> = points.iter().filter(|(at, _)| newest.duration_since(*at) <= WINDOW).collect();
    if recent.len() < LEAST {
        return None;
    }
    let mut slopes: Vec<f64> = Vec::new();
    for (position, (from, before)) in recent.iter().enumerate() {
        for (to, after) in recent.iter().skip(position + 1) {
            let seconds = to.duration_since(*from).as_secs_f64();
            if seconds > 0.0 {
                slopes.push(count(after - before) / seconds);
            }
        }
    }
    slopes.sort_by(f64::total_cmp);
    let median = *slopes.get(slopes.len() / 2)?;
    (median > 0.0).then_some(median)
}

/// World time to finish this many items at a pace; `None` when it can't be told.
pub fn eta(items: u64, pace: f64) -> Option<SignedDuration> {
    let items = i64::try_from(items).ok()?;
    SignedDuration::try_from_secs_f64((count(items) / pace).ceil()).ok()
}

#[expect(clippy::cast_precision_loss, reason = "an estimate; counts of items stay far below 2^52")]
fn count(items: i64) -> f64 {
    items as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(counts: impl IntoIterator<Item = i64>) -> Vec<(Timestamp, i64)> {
        let start = Timestamp::constant(1_800_000_000, 0);
        (0..).zip(counts).map(|(n, count)| (start + SignedDuration::from_secs(15 * n), count)).collect()
    }

    #[test]
    fn a_steady_pace_is_found_even_among_wild_counts() {
        let mut steady: Vec<i64> = (0..40).map(|n| n * 30).collect();
        assert_eq!(pace(&points(steady.clone())), Some(2.0));
        for wild in [3, 17, 30] {
            steady[wild] = 0;
        }
        let found = pace(&points(steady)).unwrap();
        assert!((found - 2.0).abs() < 0.1, "{found}");
    }

    #[test]
    fn what_was_long_ago_does_not_count() {
        let fast_then_slow = (0..60).map(|n| if n < 19 { n * 300 } else { 19 * 300 + (n - 19) * 15 });
        assert_eq!(pace(&points(fast_then_slow)), Some(1.0));
    }

    #[test]
    fn no_pace_is_told_of_too_little_or_of_standstill() {
        assert_eq!(pace(&[]), None);
        assert_eq!(pace(&points((0..11).map(|n| n * 30))), None);
        assert!(pace(&points((0..12).map(|n| n * 30))).is_some());
        assert_eq!(pace(&points([5; 40])), None);
        assert_eq!(pace(&points((0..40).map(|n| -n))), None);
    }

    #[test]
    fn time_left_is_items_over_pace() {
        assert_eq!(eta(90, 2.0), Some(SignedDuration::from_secs(45)));
        assert_eq!(eta(1, 3.0), Some(SignedDuration::from_secs(1)));
        assert_eq!(eta(u64::MAX, 1.0), None);
        assert_eq!(eta(1_000_000_000_000, 1e-300), None);
    }
}
