//! Hours of the week by the clock on the wall of some place: `Mon-Fri 05:00-18:00 America/Los_Angeles`.
//!
//! What counts is what that clock shows. Hours that it leaves out in spring do not happen; hours that it shows twice in
//! autumn happen twice.

use jiff::civil::{DateTime, Time, Weekday};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{SignedDuration, Timestamp, ToSpan};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Minutes of a day.
const DAY: u16 = 24 * 60;
/// Days in which hours that come at all come again: a week, and another one for a place that leaves out a whole day when it
/// moves across the date line (Samoa, 30 December 2011).
const AHEAD: i64 = 16;
const WEEK: [(&str, Weekday); 7] = [
    ("Mon", Weekday::Monday),
    ("Tue", Weekday::Tuesday),
    ("Wed", Weekday::Wednesday),
    ("Thu", Weekday::Thursday),
    ("Fri", Weekday::Friday),
    ("Sat", Weekday::Saturday),
    ("Sun", Weekday::Sunday),
];

/// Days of the week and a span of hours in a time zone. A span that ends at or before its beginning goes over midnight, and
/// belongs to the day on which it begins.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Hours {
    /// Monday first.
    days: [bool; 7],
    /// First minute of the day.
    from: u16,
    /// The minute after the last; up to 1440.
    to: u16,
    zone: TimeZone,
    text: String,
}

/// Why a text names no hours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HoursError {
    /// It has not the three parts.
    #[error("days, hours and a time zone, for example `Mon-Fri 05:00-18:00 America/Los_Angeles`")]
    Form,
    /// A day is none.
    #[error("days such as `Mon-Fri` or `Sat,Sun`, not `{0}`")]
    Days(String),
    /// A span of hours is none.
    #[error("hours such as `05:00-18:00`, on a clock of 24 hours, not `{0}`")]
    Hours(String),
    /// The span is empty.
    #[error("hours that take some time: all day is `00:00-24:00`")]
    Empty,
    /// No such zone.
    #[error("a time zone such as `America/Los_Angeles` or `UTC`, not `{zone}`")]
    Zone {
        /// As written.
        zone: String,
        /// The name that comes nearest, where one comes near.
        near: Option<String>,
    },
}

impl FromStr for Hours {
    type Err = HoursError;

    fn from_str(text: &str) -> Result<Self, HoursError> {
        let parts: Vec<&str> = text.split_whitespace().collect();
        let [week, span, name] = parts.as_slice() else { return Err(HoursError::Form) };
        let days = days(week).ok_or_else(|| HoursError::Days((*week).to_owned()))?;
        let (from, to) = span.split_once('-').ok_or_else(|| HoursError::Hours((*span).to_owned()))?;
        let minute = |text| minute(text).ok_or_else(|| HoursError::Hours((*span).to_owned()));
        let (from, to) = (minute(from)?, minute(to)?);
        if from == to || from == DAY {
            return Err(HoursError::Empty);
        }
        let zone = zone(name)?;
        Ok(Self { days, from, to, zone, text: parts.join(" ") })
    }
}

impl TryFrom<String> for Hours {
    type Error = HoursError;
    fn try_from(text: String) -> Result<Self, HoursError> {
        text.parse()
    }
}

impl From<Hours> for String {
    fn from(hours: Hours) -> Self {
        hours.text
    }
}

/// As written: the zone's whole history is no help to anybody.
impl fmt::Debug for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A zone by its name in the IANA database; what looks like an offset or an abbreviation is none, since it knows no summer.
fn zone(name: &str) -> Result<TimeZone, HoursError> {
    if let Ok(zone) = TimeZone::get(name)
        && (name.contains('/') || name == "UTC")
    {
        return Ok(zone);
    }
    Err(HoursError::Zone { zone: name.to_owned(), near: super::zone::near(name) })
}

/// `Mon-Fri`, `Sat,Sun`, `Fri-Mon`, `daily`.
fn days(text: &str) -> Option<[bool; 7]> {
    if text == "daily" {
        return Some([true; 7]);
    }
    let day = |name: &str| WEEK.iter().position(|(known, _)| *known == name);
    let mut days = [false; 7];
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (day(first)?, day(last)?);
        let many = (last + 7 - first) % 7;
        for n in 0..=many {
            *days.get_mut((first + n) % 7)? = true;
        }
    }
    Some(days)
}

/// `05:30`, up to `24:00`.
fn minute(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    let number = |text: &str| (text.len() == 2).then(|| text.parse::<u16>().ok()).flatten();
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    let all = hours * 60 + minutes;
    (minutes < 60 && all <= DAY).then_some(all)
}

impl Hours {
    /// Whether it is one of these hours.
    pub fn contains(&self, at: Timestamp) -> bool {
        let there = self.zone.to_datetime(at);
        let on = |day: Weekday| {
            let index = WEEK.iter().position(|(_, known)| *known == day);
            index.and_then(|index| self.days.get(index)).copied().unwrap_or(false)
        };
        let minute = u16::try_from(i32::from(there.hour()) * 60 + i32::from(there.minute())).unwrap_or(0);
        let today = on(there.weekday());
        if self.from < self.to {
            return today && (self.from..self.to).contains(&minute);
        }
        today && minute >= self.from || on(there.weekday().previous()) && minute < self.to
    }

    /// The next instant at which these hours begin or end; `None` when they never do.
    pub fn next_change(&self, after: Timestamp) -> Option<Timestamp> {
        let here = self.zone.to_datetime(after);
        let horizon = after.checked_add(SignedDuration::from_hours(24 * AHEAD)).ok()?;
        let mut instants: Vec<Timestamp> = self
            .zone
            .following(after)
            .map(|transition| transition.timestamp())
            .take_while(|transition| *transition <= horizon)
            .collect();
        for day in -1..=AHEAD {
            for minute in [self.from, self.to] {
                let midnight =
                    here.date().checked_add(day.days()).map(|date| DateTime::from_parts(date, Time::midnight()));
                let Ok(wall) = midnight.and_then(|midnight| midnight.checked_add(i64::from(minute).minutes())) else {
                    continue;
                };
                // A clock that shows the same time twice shows it under each of two offsets.
                let offsets = match self.zone.to_ambiguous_timestamp(wall).offset() {
                    AmbiguousOffset::Unambiguous { offset } => [offset, offset],
                    AmbiguousOffset::Gap { before, after } | AmbiguousOffset::Fold { before, after } => [before, after],
                };
                instants.extend(offsets.iter().filter_map(|offset| offset.to_timestamp(wall).ok()));
            }
        }
        let just_before = |at: &Timestamp| at.checked_sub(SignedDuration::from_nanos(1)).ok();
        instants
            .into_iter()
            .filter(|at| *at > after)
            .filter(|at| just_before(at).is_some_and(|before| self.contains(before) != self.contains(*at)))
            .min()
    }

    /// An instant as calendar and clock there show it.
    pub fn dated(&self, at: Timestamp) -> String {
        at.to_zoned(self.zone.clone()).strftime("%Y-%m-%d %H:%M %Z").to_string()
    }

    /// An instant within a week as the clock there shows it.
    pub fn shown(&self, at: Timestamp) -> String {
        at.to_zoned(self.zone.clone()).strftime("%a %H:%M %Z").to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn hours(text: &str) -> Hours {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    /// Every change within a span, as the place's clock shows it.
    fn changes(hours: &Hours, from: &str, n: usize) -> Vec<String> {
        let next = |at: &Timestamp| hours.next_change(*at);
        let first = next(&at(from));
        std::iter::successors(first, next).take(n).map(|at| format!("{} {at}", hours.shown(at))).collect()
    }

    #[test]
    fn what_names_no_hours_is_told() {
        for (text, why) in [
            ("", "days, hours and a time zone"),
            ("Mon-Fri 05:00-18:00", "days, hours and a time zone"),
            ("Mo-Fr 05:00-18:00 UTC", "not `Mo-Fr`"),
            ("Mon-Fri 5-18 UTC", "not `5-18`"),
            ("Mon-Fri 05:00-24:01 UTC", "not `05:00-24:01`"),
            ("Mon-Fri 05:60-07:00 UTC", "not `05:60-07:00`"),
            ("Mon-Fri 05:00-05:00 UTC", "all day is"),
            ("Mon-Fri 05:00-18:00 PST", "not `PST`"),
            ("Mon-Fri 05:00-18:00 EST5EDT", "not `EST5EDT`"),
            ("Mon-Fri 05:00-18:00 +02:00", "not `+02:00`"),
        ] {
            let error = text.parse::<Hours>().unwrap_err().to_string();
            assert!(error.contains(why), "{text}: {error}");
        }
        for (zone, meant) in [
            ("America/Los_Angles", Some("America/Los_Angeles")),
            ("Los_Angeles", Some("America/Los_Angeles")),
            ("Europe/Berln", Some("Europe/Berlin")),
            ("US/Nowhere_at_all", None),
        ] {
            let error = format!("daily 01:00-02:00 {zone}").parse::<Hours>().unwrap_err();
            assert_eq!(error, HoursError::Zone { zone: zone.to_owned(), near: meant.map(str::to_owned) });
        }
    }

    #[test]
    fn a_working_week() {
        let peak = hours("Mon-Fri  05:00-18:00 America/Los_Angeles");
        assert_eq!(peak.to_string(), "Mon-Fri 05:00-18:00 America/Los_Angeles");
        // A Friday: 05:00 PST is 13:00 UTC.
        assert!(!peak.contains(at("2026-11-20T12:59:59Z")) && peak.contains(at("2026-11-20T13:00:00Z")));
        assert!(peak.contains(at("2026-11-21T01:59:59Z")) && !peak.contains(at("2026-11-21T02:00:00Z")));
        assert_eq!(
            changes(&peak, "2026-11-20T13:00:00Z", 3),
            [
                "Fri 18:00 PST 2026-11-21T02:00:00Z",
                "Mon 05:00 PST 2026-11-23T13:00:00Z",
                "Mon 18:00 PST 2026-11-24T02:00:00Z"
            ]
        );
        assert_eq!(hours("daily 00:00-24:00 UTC").next_change(at("2026-11-20T00:00:00Z")), None);
        assert_eq!(
            changes(&hours("Sun 00:00-24:00 UTC"), "2026-11-20T00:00:00Z", 2).join(" "),
            "Sun 00:00 UTC 2026-11-22T00:00:00Z Mon 00:00 UTC 2026-11-23T00:00:00Z"
        );
    }

    #[test]
    fn over_midnight_and_over_the_end_of_the_week() {
        let night = hours("Fri-Sun 22:00-06:00 Europe/Berlin");
        for (inside, instant) in [
            (false, "2026-01-15T23:00:00Z"), // Friday 00:00: Thursday's night is none
            (true, "2026-01-16T21:00:00Z"),  // Friday 22:00
            (true, "2026-01-19T04:59:59Z"),  // Monday 05:59, of Sunday's night
            (false, "2026-01-19T05:00:00Z"),
        ] {
            assert_eq!(night.contains(at(instant)), inside, "{instant}");
        }
    }

    #[test]
    fn nights_on_which_the_clock_is_set() {
        // 2026-03-29 in Berlin has no 02:30; on 2026-10-25 there are two.
        let berlin = hours("daily 02:30-02:45 Europe/Berlin");
        assert_eq!(
            changes(&berlin, "2026-03-28T12:00:00Z", 2),
            ["Mon 02:30 CEST 2026-03-30T00:30:00Z", "Mon 02:45 CEST 2026-03-30T00:45:00Z"]
        );
        assert_eq!(
            changes(&berlin, "2026-10-24T12:00:00Z", 4),
            [
                "Sun 02:30 CEST 2026-10-25T00:30:00Z",
                "Sun 02:45 CEST 2026-10-25T00:45:00Z",
                "Sun 02:30 CET 2026-10-25T01:30:00Z",
                "Sun 02:45 CET 2026-10-25T01:45:00Z"
            ]
        );
        // Hours that end within the gap end with it.
        let gap = hours("Sun 01:00-02:30 Europe/Berlin");
        assert_eq!(changes(&gap, "2026-03-29T00:30:00Z", 1), ["Sun 03:00 CEST 2026-03-29T01:00:00Z"]);
        // Lord Howe is set by half an hour; Samoa had no 30 December 2011, a Friday.
        let howe = hours("daily 01:45-02:15 Australia/Lord_Howe");
        assert_eq!(changes(&howe, "2026-04-04T14:00:00Z", 2).len(), 2);
        let apia = hours("Fri 05:00-18:00 Pacific/Apia");
        assert!(changes(&apia, "2011-12-24T12:00:00Z", 1)[0].ends_with("2012-01-05T15:00:00Z"));
    }

    proptest! {
        /// Between two changes nothing changes, and at each it does, in zones that are set at odd times by odd spans.
        #[test]
        fn changes_are_all_there_is(
            zone in prop::sample::select(vec![
                "Australia/Lord_Howe", "Africa/Casablanca", "America/Los_Angeles", "Asia/Kathmandu", "Pacific/Apia",
                "America/Sao_Paulo", "Antarctica/Troll", "Africa/Cairo", "America/Nuuk", "UTC",
            ]),
            days in 1_usize..128, from in 0_u16..1440, to in 1_u16..=1440, start in 1_262_304_000_i64..1_893_456_000,
            looks in prop::collection::vec(0.0_f64..1.0, 8),
        ) {
            prop_assume!(from != to);
            let week: Vec<&str> = WEEK.iter().enumerate().filter(|(n, _)| days >> n & 1 == 1).map(|(_, (d, _))| *d).collect();
            let text = format!("{} {:02}:{:02}-{:02}:{:02} {zone}", week.join(","), from / 60, from % 60, to / 60, to % 60);
            let hours = hours(&text);
            let mut now = Timestamp::from_second(start).unwrap();
            for _ in 0..20 {
                let Some(next) = hours.next_change(now) else { break };
                prop_assert!(next > now);
                let inside = hours.contains(now);
                for look in &looks {
                    let span = next.duration_since(now).as_secs_f64();
                    let between = now + SignedDuration::from_secs_f64(span * look);
                    prop_assert!(between >= next || hours.contains(between) == inside, "{text} {now} {between} {next}");
                }
                prop_assert_eq!(hours.contains(next), !inside, "{} {}", text, next);
                now = next;
            }
        }

        #[test]
        fn nothing_panics(text in ".*") {
            drop(text.parse::<Hours>());
        }
    }
}
