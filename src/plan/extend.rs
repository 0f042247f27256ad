//! The plan of `extend`: hosts power themselves off later.

use super::{Action, Deadline, Plan, Step};
use crate::model::{Instance, count};
use crate::spec::Fleet;
use jiff::{SignedDuration, Timestamp};

/// Plans a later end for every live host: the latest that any of them has, or `now` where that is past, and `by` more. The
/// instant is taken once, so that whoever goes on with the plan adds nothing.
///
/// Hosts of a group (`grouped`: its name, and when it goes to zero) have no end of their own: the group's moves.
pub fn plan(
    fleet: &Fleet,
    live: &[Instance],
    grouped: Option<(&str, Option<Timestamp>)>,
    by: SignedDuration,
    now: Timestamp,
    request: String,
) -> Plan {
    let of_group = grouped.and_then(|(_, end)| end);
    let until = until(live.iter().filter_map(expires).chain(of_group), by, now);
    let mut notes = Vec::new();
    let steps = if live.is_empty() {
        notes.push("no host is live: nothing to extend".to_owned());
        Vec::new()
    } else {
        notes.push(format!("what these hosts cost goes on until {until}, unless they are ended before"));
        let title = format!("let {} live until {until}", count(live.len(), "host"));
        let ends = |group: &str| Action::GroupEnds { group: group.to_owned(), at: Deadline::At { until } };
        let group = grouped.map(|(group, _)| Step::new("deadman", format!("{group} goes to zero then"), ends(group)));
        let mut steps = vec![Step::new("extend", title, Action::Extend { until, grouped: grouped.is_some() })];
        steps.splice(0..0, group);
        steps
    };
    Plan { steps, notes, ..Plan::new("extend", fleet.key(), request) }
}

/// The new end, in whole seconds as tags have them.
fn until(ends: impl Iterator<Item = Timestamp>, by: SignedDuration, now: Timestamp) -> Timestamp {
    let latest = ends.max().unwrap_or(now).max(now);
    let until = latest.checked_add(by).unwrap_or(Timestamp::MAX);
    Timestamp::from_second(until.as_second()).unwrap_or(until)
}

/// When a host powers itself off, where its tag can be read.
pub fn expires(host: &Instance) -> Option<Timestamp> {
    host.tags.ends()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_end_counts_and_never_one_that_is_past() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let now = at("2026-03-01T12:00:00.5Z");
        let (early, late) = (at("2026-03-01T11:00:00Z"), at("2026-03-01T14:00:00Z"));
        let hours = SignedDuration::from_hours;
        assert_eq!(until([early, late].into_iter(), hours(4), now), at("2026-03-01T18:00:00Z"));
        assert_eq!(until([early].into_iter(), hours(4), now), at("2026-03-01T16:00:00Z"));
        assert_eq!(until(std::iter::empty(), hours(4), now), at("2026-03-01T16:00:00Z"));
        assert!(until([late].into_iter(), SignedDuration::MAX, now) > late);
    }
}
