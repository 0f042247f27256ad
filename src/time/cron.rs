//! Auto Scaling's recurrences: five cron fields in a time zone, read as crontab(5) has them, and when they come next.
//!
//! AWS's guide says "five fields separated by white spaces" and points to crontab; what only other crons know (seconds,
//! years, `@daily`, `?`, `L`, `W`, `#`) is refused here with the reason, before AWS refuses it without one.
//!
//! What happens in the hour that a zone skips or repeats AWS does not say beyond "automatically adjusts for DST". This reads
//! it as cron daemons do: a fixed time that does not exist comes at the end of the gap, one that exists twice comes the
//! first time only; a field that begins with `*` in minutes or hours keeps to the clock on the wall. Each such firing is
//! marked, so that whoever shows it can say that it is not certain.

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{SignedDuration, Timestamp};
use std::fmt;

/// Longest that a search goes: 29 February on a Sunday comes every 28 years, or 40 over a century without a leap day.
const HORIZON_DAYS: u32 = 41 * 366;

/// The longest gap in the zone database: Samoa skipped a whole day.
const GAP: SignedDuration = SignedDuration::from_hours(25);

/// Why a recurrence is refused: the field, and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CronError {
    /// What it is about: `minute`, `hour`, `day of the month`, `month`, `day of the week`, or `it`, the whole.
    pub field: &'static str,
    /// What is wrong, as the end of a sentence that begins with the field.
    pub problem: String,
}

impl fmt::Display for CronError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.field, self.problem)
    }
}

impl std::error::Error for CronError {}

/// One field's values as a set of bits, and whether it begins with `*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Set {
    bits: u64,
    star: bool,
}

impl Set {
    fn has(self, value: i8) -> bool {
        u32::try_from(value).is_ok_and(|value| value < 64 && self.bits >> value & 1 == 1)
    }

    fn values(self) -> impl Iterator<Item = i8> {
        (0..60_i8).filter(move |value| self.has(*value))
    }
}

/// What one field may hold.
struct Field {
    name: &'static str,
    least: u8,
    most: u8,
    /// Names for values, from `least` on.
    names: &'static [&'static str],
}

const MONTHS: &[&str] = &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const DAYS: &[&str] = &["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
const FIELDS: [Field; 5] = [
    Field { name: "minute", least: 0, most: 59, names: &[] },
    Field { name: "hour", least: 0, most: 23, names: &[] },
    Field { name: "day of the month", least: 1, most: 31, names: &[] },
    Field { name: "month", least: 1, most: 12, names: MONTHS },
    // 7 is Sunday, too.
    Field { name: "day of the week", least: 0, most: 7, names: DAYS },
];

impl Field {
    fn wrong(&self, problem: impl Into<String>) -> CronError {
        CronError { field: self.name, problem: problem.into() }
    }

    fn value(&self, text: &str) -> Result<u8, CronError> {
        let small = text.to_ascii_lowercase();
        if let Some(place) = self.names.iter().position(|name| *name == small) {
            return Ok(self.least + u8::try_from(place).unwrap_or_default());
        }
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        match text.parse::<u32>() {
            Ok(number) if digits => u8::try_from(number)
                .ok()
                .filter(|number| (self.least..=self.most).contains(number))
                .ok_or_else(|| self.wrong(format!("is {number}; it goes from {} to {}", self.least, self.most))),
            Ok(_) | Err(_) => Err(self.wrong(match text {
                "" => "has an empty part".to_owned(),
                "?" => "is `?`, which Auto Scaling's crontab does not know: write `*`".to_owned(),
                _ if text.ends_with(['L', 'l', 'W', 'w']) || text.contains('#') => {
                    format!("is `{text}`; `L`, `W` and `#` are not in crontab")
                }
                _ => match self.names.iter().find(|name| small.starts_with(**name)) {
                    Some(name) => format!("has `{text}`; names have three letters: write `{name}`"),
                    None if self.names.is_empty() => format!("has `{text}`, which is no number"),
                    None => format!("has `{text}`, which is neither a number nor one of {}", self.names.join(", ")),
                },
            })),
        }
    }

    /// A range as it is written, by names where the field has them.
    fn range(&self, from: u8, to: u8) -> String {
        let word = |value: u8| match self.names.get(usize::from(value - self.least)) {
            Some(name) => (*name).to_owned(),
            None => value.to_string(),
        };
        if from == to { word(from) } else { format!("{}-{}", word(from), word(to)) }
    }

    fn read(&self, text: &str) -> Result<Set, CronError> {
        let mut bits = 0_u64;
        for part in text.split(',') {
            let (range, step) = match part.split_once('/') {
                Some((range, step)) => (range, Some(step)),
                None => (part, None),
            };
            let step = match step.map(str::parse::<u8>) {
                None => 1,
                Some(Ok(step @ 1..)) => step,
                Some(_) => return Err(self.wrong(format!("has the step of `{part}`, which is no number of 1 or more"))),
            };
            let (from, to) = match range.split_once('-') {
                _ if range == "*" => (self.least, self.most),
                Some((from, to)) => (self.value(from)?, self.value(to)?),
                None if part.contains('/') => {
                    return Err(
                        self.wrong(format!("has `{part}`: a step needs a range, as `{range}-{}/{step}`", self.most))
                    );
                }
                None => {
                    let value = self.value(range)?;
                    (value, value)
                }
            };
            if from > to {
                // 7 is Sunday again: no range needs it.
                let parts = match (self.most, from) {
                    (7, 7) => self.range(0, to),
                    (7, _) => format!("{},{}", self.range(from, 6), self.range(0, to)),
                    (most, _) => format!("{},{}", self.range(from, most), self.range(self.least, to)),
                };
                // With a step, two ranges are another schedule.
                let write = if part.contains('/') { String::new() } else { format!(": write `{parts}`") };
                return Err(self.wrong(format!("has the range `{range}`, which ends before it begins{write}")));
            }
            for value in (from..=to).step_by(step.into()) {
                bits |= 1 << value;
            }
        }
        if self.most == 7 && bits >> 7 & 1 == 1 {
            bits = bits & !(1 << 7) | 1;
        }
        Ok(Set { bits, star: text.starts_with('*') })
    }
}

/// Five fields, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cron {
    minute: Set,
    hour: Set,
    day: Set,
    month: Set,
    weekday: Set,
}

/// What a change of the zone's clock does to a firing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shift {
    /// Nothing: the time exists once.
    Plain,
    /// The time does not exist that night: this is the end of the gap.
    Gap,
    /// The time exists twice that night: this is the first of the two.
    First,
    /// The time exists twice that night: this is the second of the two.
    Second,
}

/// One firing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Firing {
    /// When.
    pub at: Timestamp,
    /// What the fields say, on the wall clock of the zone.
    pub wall: DateTime,
    /// What the zone's clock does to it.
    pub shift: Shift,
}

/// Reads five fields.
///
/// # Errors
///
/// With the field and what is wrong with it.
pub fn parse(text: &str) -> Result<Cron, CronError> {
    let whole = |problem: &str| CronError { field: "it", problem: problem.to_owned() };
    let fields: Vec<&str> = text.split_whitespace().collect();
    if text.starts_with('@') {
        return Err(whole("is a nickname; write out its five fields, as `0 0 * * *` for @daily"));
    }
    if fields.len() != 5 {
        let problem =
            format!("has {} fields; Auto Scaling takes five: minute, hour, day, month, day of the week", fields.len());
        return Err(whole(&problem));
    }
    let mut sets = FIELDS.iter().zip(&fields).map(|(field, text)| field.read(text));
    let mut next = || sets.next().unwrap_or_else(|| Err(whole("has too few fields")));
    let cron = Cron { minute: next()?, hour: next()?, day: next()?, month: next()?, weekday: next()? };
    // crontab(5) takes a field that begins with `*` for unrestricted, others do not: AWS does not say which it is.
    let stepped = |field: &str| field.starts_with('*') && field != "*";
    if (stepped(fields[2]) && fields[4] != "*") || (stepped(fields[4]) && fields[2] != "*") {
        let problem = format!(
            "has `{}` for days and `{}` for weekdays: crons disagree whether one or both must match; write the days out",
            fields[2], fields[4]
        );
        return Err(whole(&problem));
    }
    let days = |month: i8| match month {
        2 => 29,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    let comes =
        cron.weekday_decides() || cron.month.values().any(|month| cron.day.values().any(|day| day <= days(month)));
    if comes { Ok(cron) } else { Err(whole("never comes: there is no such day")) }
}

/// Why a recurrence can't be said so much later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unshiftable {
    /// It is no recurrence.
    Cron(CronError),
    /// Some minutes are carried into the next hour and some are not.
    Minutes,
    /// Some hours are carried into the next day and some are not.
    Hours,
    /// All are carried into another day, and days of the month or months are restricted.
    Days,
}

impl Unshiftable {
    /// What to write instead.
    pub fn help(&self) -> &'static str {
        match self {
            Self::Cron(_) => "write five fields, as `0 0 * * *`",
            Self::Minutes => "let it be open for whole hours, or write a window for each of its minutes",
            Self::Hours => "write a window for each of its hours",
            Self::Days => "let it open and close on the same day, or name days of the week instead",
        }
    }
}

impl fmt::Display for Unshiftable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cron(error) => error.fmt(f),
            Self::Minutes => f.write_str("some of its minutes fall into the next hour and some do not"),
            Self::Hours => f.write_str("some of its hours fall into the next day and some do not"),
            Self::Days => f.write_str("it closes on another day, and days of the month or months can't be moved"),
        }
    }
}

/// The same recurrence so much later, as five fields.
///
/// # Errors
///
/// With the reason why no five fields say it.
pub fn shifted(text: &str, by: std::time::Duration) -> Result<String, Unshiftable> {
    let cron = parse(text).map_err(Unshiftable::Cron)?;
    let fields: Vec<&str> = text.split_whitespace().collect();
    let minutes: Vec<u64> = cron.minute.values().map(|minute| minute.unsigned_abs().into()).collect();
    let hours: Vec<u64> = cron.hour.values().map(|hour| hour.unsigned_abs().into()).collect();
    let by = by.as_secs() / 60;
    let later: Vec<u64> = minutes.iter().map(|minute| minute + by).collect();
    // Whole hours move minutes nowhere; a part of an hour may carry some of them into the next one.
    let mut carried: Vec<u64> = later.iter().map(|minute| minute / 60).collect();
    carried.dedup();
    let [carried] = carried[..] else {
        if fields[1] == "*" && fields[2..] == ["*", "*", "*"] {
            return Ok(format!("{} * * * *", list(later.iter().map(|minute| minute % 60))));
        }
        return Err(Unshiftable::Minutes);
    };
    let moved: Vec<u64> = hours.iter().map(|hour| hour + carried).collect();
    let mut days: Vec<u64> = moved.iter().map(|hour| hour / 24).collect();
    days.dedup();
    let weekday = match days[..] {
        [0] => fields[4].to_owned(),
        _ if fields[2..] == ["*", "*", "*"] => "*".to_owned(),
        [days] if fields[2..4] == ["*", "*"] => {
            list(cron.weekday.values().map(|day| (u64::from(day.unsigned_abs()) + days) % 7))
        }
        [_] => return Err(Unshiftable::Days),
        _ => return Err(Unshiftable::Hours),
    };
    let hour = if fields[1] == "*" { "*".to_owned() } else { list(moved.iter().map(|hour| hour % 24)) };
    let minute = if fields[0] == "*" { "*".to_owned() } else { list(later.iter().map(|minute| minute % 60)) };
    Ok(format!("{minute} {hour} {} {} {weekday}", fields[2], fields[3]))
}

/// Numbers as a field has them, sorted.
fn list(numbers: impl Iterator<Item = u64>) -> String {
    let sorted: std::collections::BTreeSet<u64> = numbers.collect();
    sorted.iter().map(u64::to_string).collect::<Vec<_>>().join(",")
}

impl Cron {
    /// Whether a day that its number leaves out may still come by its weekday.
    fn weekday_decides(&self) -> bool {
        !self.weekday.star && !self.day.star
    }

    /// "If both fields are restricted (i.e., do not contain the "*" character), the command will be run when either field
    /// matches the current time" (crontab(5)).
    fn on(&self, date: Date) -> bool {
        let day = self.day.has(date.day());
        let weekday = self.weekday.has(date.weekday().to_sunday_zero_offset());
        let either = if self.weekday_decides() { day || weekday } else { day && weekday };
        self.month.has(date.month()) && either
    }

    /// Whether minutes and hours name single times, not every so many.
    fn fixed(&self) -> bool {
        !self.minute.star && !self.hour.star
    }

    /// The firings after an instant, in their order; at most one for each instant.
    pub fn after<'c>(&'c self, at: Timestamp, zone: &'c TimeZone) -> Upcoming<'c> {
        // A firing on the wall before now may be carried past a gap to after now.
        let from = at.saturating_sub(GAP).unwrap_or(at).to_zoned(zone.clone()).date();
        Upcoming { cron: self, zone, day: Some(from), left: HORIZON_DAYS, ready: Vec::new(), last: at }
    }

    fn of_day(&self, date: Date, zone: &TimeZone) -> Vec<Firing> {
        if !self.on(date) {
            return Vec::new();
        }
        let mut firings = Vec::new();
        for hour in self.hour.values() {
            for minute in self.minute.values() {
                let Ok(time) = Time::new(hour, minute, 0, 0) else { continue };
                let wall = date.to_datetime(time);
                self.instants(wall, zone, &mut firings);
            }
        }
        firings
    }

    fn instants(&self, wall: DateTime, zone: &TimeZone, firings: &mut Vec<Firing>) {
        let place = zone.to_ambiguous_timestamp(wall);
        let mut push = |at: Result<Timestamp, jiff::Error>, shift| {
            if let Ok(at) = at {
                firings.push(Firing { at, wall, shift });
            }
        };
        match place.offset() {
            AmbiguousOffset::Unambiguous { .. } => push(place.unambiguous(), Shift::Plain),
            AmbiguousOffset::Fold { .. } => {
                push(place.earlier(), Shift::First);
                if !self.fixed() {
                    push(place.later(), Shift::Second);
                }
            }
            AmbiguousOffset::Gap { before, .. } if self.fixed() => {
                // The instant of the change is the first one at which the new offset holds.
                let inside = before.to_timestamp(wall);
                let change = inside.and_then(|inside| {
                    let after = zone.preceding(inside.checked_add(SignedDuration::from_secs(1))?).next();
                    Ok(after.map_or(inside, |change| change.timestamp()))
                });
                // A gap that swallows the rest of the day carries nothing into a day that was not asked for.
                let lands = change.as_ref().ok().map(|at| zone.to_datetime(*at).date());
                if lands.is_some_and(|date| self.on(date)) {
                    push(change, Shift::Gap);
                }
            }
            AmbiguousOffset::Gap { .. } => {}
        }
    }
}

/// Firings in their order.
#[derive(Debug)]
pub struct Upcoming<'c> {
    cron: &'c Cron,
    zone: &'c TimeZone,
    /// The next day to look at.
    day: Option<Date>,
    left: u32,
    /// Firings of the days looked at, latest first.
    ready: Vec<Firing>,
    last: Timestamp,
}

impl Iterator for Upcoming<'_> {
    type Item = Firing;

    fn next(&mut self) -> Option<Firing> {
        loop {
            while let Some(firing) = self.ready.pop() {
                if firing.at > self.last {
                    self.last = firing.at;
                    return Some(firing);
                }
            }
            // Three days at once: the second half of a doubled midnight lies in the day before, and a gap that ends at midnight
            // carries a firing into the day after.
            let day = self.day?;
            self.left = self.left.checked_sub(1)?;
            let next = day.tomorrow().ok();
            let days = [day.yesterday().ok(), Some(day), next].into_iter().flatten();
            let mut firings: Vec<Firing> = days.flat_map(|day| self.cron.of_day(day, self.zone)).collect();
            firings.sort_by_key(|firing| std::cmp::Reverse((firing.at, firing.shift == Shift::Gap)));
            let end =
                next.and_then(|next| self.zone.to_ambiguous_timestamp(next.to_datetime(Time::midnight())).later().ok());
            // What lies beyond the day is looked at again with the day after it.
            firings.retain(|firing| end.is_none_or(|end| firing.at < end));
            self.ready = firings;
            self.day = next;
        }
    }
}

#[cfg(test)]
mod tests;
