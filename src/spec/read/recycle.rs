//! `recycle:` the windows in which a group's hosts are replaced.

use super::{DAY, number, span};
use crate::spec::check::Check;
use crate::spec::fleet::{Raise, Recycle, Window};
use crate::spec::nights::{self, Meeting};
use crate::spec::problem::quote;
use crate::spec::section::Field;
use crate::spec::tree::Kind;
use crate::spec::value::{self, Wrong};
use crate::time::cron::{self, Cron};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::collections::BTreeSet;
use std::time::Duration;

/// Two scheduled actions a window, 125 on a group.
const MOST: usize = 62;
/// The zone of windows that name none.
const UTC: &str = "Etc/UTC";
/// Where times are counted from that have to do with no year: the beginning of 2026.
const YEAR: Timestamp = Timestamp::constant(1_767_225_600, 0);
/// The shortest window: AWS may open it two minutes late, and a host must start.
const SHORTEST: Duration = Duration::from_mins(5);

/// `own` is the group that the fleet itself has.
pub(super) fn recycle(check: &mut Check<'_>, field: &Field<'_>, own: Option<String>) -> Option<Recycle> {
    let mut s = check.section(field, "`recycle: {group: api-prod, windows: [{at: \"0 0 * * *\", for: 1h}]}`")?;
    let group = match (s.get("group"), own) {
        (Some(f), _) => check.parsed(&f, group_name),
        (None, Some(own)) => Some(own),
        (None, None) => s.need("group", "api-prod").and(None),
    };
    let raise = s
        .get("raise")
        .and_then(|f| check.parsed(&f, value::choice(&[("desired", Raise::Desired), ("min", Raise::Min)])));
    let windows = s.need("windows", "[{at: \"0 0 * * *\", zone: Australia/Brisbane, surge: 1, for: 1h}]");
    let windows = windows.map(|f| windows_of(check, &f)).unwrap_or_default();
    s.close(check, &[]);
    Some(Recycle { group: group?, raise, windows })
}

pub(crate) fn group_name(text: &str) -> Result<String, Wrong> {
    let good = !text.trim().is_empty() && text.chars().count() <= 255 && !text.contains([':', '\n', '\r']);
    let wanted = "the name of an Auto Scaling group: 1 to 255 characters without `:`";
    if !good && text.starts_with("arn:") {
        let name = text.rsplit('/').next().unwrap_or_default();
        return Err(Wrong::bad(wanted).help(format!("the name in this ARN is {}", quote(name))));
    }
    good.then(|| text.to_owned()).ok_or_else(|| Wrong::bad(wanted))
}

fn windows_of(check: &mut Check<'_>, field: &Field<'_>) -> Vec<Window> {
    let Some(entries) = check.list(field) else { return Vec::new() };
    if entries.is_empty() || entries.len() > MOST {
        let message = format!("`{}` has {} entries; it must have 1 to {MOST}", field.path, entries.len());
        check.error(field.key, if entries.is_empty() { "empty" } else { "out-of-range" }, message);
        return Vec::new();
    }
    let mut windows: Vec<Window> = Vec::new();
    let mut places = Vec::new();
    for entry in &entries {
        let Some(window) = window(check, entry) else { continue };
        let twin = |other: &&Window| (&other.at, &other.zone) == (&window.at, &window.zone);
        if let Some(other) = windows.iter().find(twin) {
            let message =
                format!("`{}` opens when the one in line {} does; AWS takes one action a time", entry.path, other.line);
            check.error(entry.node.span, "duplicate-value", message);
            continue;
        }
        windows.push(window);
        places.push(entry);
    }
    apart(check, &windows, &places);
    windows
}

/// Refuses windows that meet by the clock of their zone, whatever that does in summer; `places` are theirs. Whether those of
/// several zones meet is told when they are planned, by the date.
fn apart(check: &mut Check<'_>, windows: &[Window], places: &[&Field<'_>]) {
    let zones: BTreeSet<&str> = windows.iter().map(|window| window.zone.as_str()).collect();
    for zone in zones {
        let (places, windows): (Vec<&Field<'_>>, Vec<Window>) = places
            .iter()
            .zip(windows)
            .filter(|(_, window)| window.zone == zone)
            .map(|(place, window)| (*place, Window { zone: UTC.to_owned(), ..window.clone() }))
            .unzip();
        let Some(Meeting { first, until, second, opens }) = nights::meeting(&windows, YEAR) else { continue };
        let Some((first, second)) = windows.get(first).zip(places.get(second)) else { continue };
        let message = format!(
            "`{}` opens at {}, and the one in line {} is open until {}",
            second.path,
            opens.strftime("%H:%M"),
            first.line,
            until.strftime("%H:%M")
        );
        check.error_with(second.node.span, "conflict", message, Some(nights::APART));
    }
}

fn window(check: &mut Check<'_>, field: &Field<'_>) -> Option<Window> {
    let mut s = check.section(field, "`- {at: \"0 0 * * *\", zone: Australia/Brisbane, surge: 1, for: 1h}`")?;
    let at = s.need("at", "\"0 0 * * *\"").and_then(|f| recurrence(check, &f).map(|found| (f, found)));
    let zone = s.get("zone").map_or(Some(UTC.to_owned()), |f| zone_of(check, &f));
    let surge = number(&mut s, check, "surge", (1, 1000), 1);
    let length = s.get("for");
    let open = span(&mut s, check, "for", (SHORTEST, 7 * DAY), Duration::from_hours(1));
    let place = length.as_ref().map_or(field.node.span, |f| f.node.span);
    s.close(check, &[]);
    if !open.as_secs().is_multiple_of(60) {
        check.error(place, "bad-value", format!("`{}.for` must be whole minutes: cron has no seconds", field.path));
        return None;
    }
    let (at_field, (at, cron)) = at?;
    if let Some(gap) = shortest_gap(&cron).filter(|gap| *gap <= open) {
        let message = format!(
            "the window of {} opens again after {}, before it has closed",
            value::spell(open),
            value::spell(gap)
        );
        check.error_with(place, "conflict", message, Some("make `for` shorter, or `at` rarer"));
        return None;
    }
    let until = match cron::shifted(&at, open) {
        Ok(until) => until,
        Err(why) => {
            let message = format!("the end of this window can't be written as cron: {why}");
            check.error_with(at_field.node.span, "conflict", message, Some(why.help()));
            return None;
        }
    };
    let line = u32::try_from(check.line(at_field.node.span)).unwrap_or_default();
    Some(Window { at, until, zone: zone?, surge, open, line })
}

/// The five fields with single blanks, and as read.
fn recurrence(check: &mut Check<'_>, field: &Field<'_>) -> Option<(String, Cron)> {
    if let Kind::List(_) = field.node.kind {
        check.error_with(
            field.node.span,
            "wrong-type",
            format!("`{}` is a list", field.path),
            Some("write `\"0 0 * * *\"`"),
        );
        return None;
    }
    let text = check.text_of(field)?;
    match cron::parse(text) {
        Ok(cron) => Some((text.split_whitespace().collect::<Vec<_>>().join(" "), cron)),
        Err(why) => {
            let message = format!("`{}` is no recurrence that AWS takes: {why}", field.path);
            check.error(field.node.span, "bad-value", message);
            None
        }
    }
}

/// A zone; one that is only another name of a zone is used, but warned about.
fn zone_of(check: &mut Check<'_>, field: &Field<'_>) -> Option<String> {
    let name = check.parsed(field, zone)?;
    if !is_canonical(&name) {
        let message = format!(
            "`{}`: {} is not the canonical name of a zone, and AWS documents that it takes no other",
            field.path,
            quote(&name)
        );
        let help = match crate::time::zone::near(&name).filter(|near| is_canonical(near) && !near.starts_with("Etc/")) {
            Some(near) => format!("write {near}, or the place whose clocks you mean"),
            None => "write the place whose clocks you mean, as America/New_York, or Etc/UTC".to_owned(),
        };
        check.warn(field.node.span, "odd-zone", message, &help);
    }
    Some(name)
}

/// The areas of the IANA database; what is in none of them (`US/Eastern`, `EST`, `GMT0`) is there for the sake of old names.
const AREAS: [&str; 11] = [
    "Africa",
    "America",
    "Antarctica",
    "Arctic",
    "Asia",
    "Atlantic",
    "Australia",
    "Etc",
    "Europe",
    "Indian",
    "Pacific",
];

fn is_canonical(name: &str) -> bool {
    name.split_once('/').is_some_and(|(area, _)| AREAS.contains(&area))
}

/// A zone of the IANA database, spelt as it is there.
fn zone(text: &str) -> Result<String, Wrong> {
    let wanted = "the canonical name of an IANA time zone";
    // The names of fixed offsets count westwards.
    let offset = |text: &str| {
        let hours: i32 =
            text.trim_start_matches("UTC").trim_start_matches("GMT").trim_end_matches(":00").parse().ok()?;
        let westwards = hours.checked_neg().filter(|hours| (-14..=12).contains(hours))?;
        Some(format!("Etc/GMT{westwards:+}, or the place whose clocks you mean"))
    };
    match jiff::tz::db().get(text) {
        Ok(zone) if zone.iana_name() == Some(text) => Ok(text.to_owned()),
        Ok(zone) => Err(Wrong::bad(wanted).likely(zone.iana_name())),
        Err(_) => Err(Wrong::bad(wanted).likely(crate::time::zone::near(text).or_else(|| offset(text)))),
    }
}

/// The shortest time between two firings, found over four years without any summer time.
fn shortest_gap(cron: &Cron) -> Option<Duration> {
    let mut shortest = None;
    let mut last: Option<Timestamp> = None;
    for firing in cron.after(YEAR, &TimeZone::UTC).take(1500) {
        if let Some(gap) = last.and_then(|last| Duration::try_from(firing.at.duration_since(last)).ok()) {
            shortest = Some(shortest.map_or(gap, |shortest: Duration| shortest.min(gap)));
        }
        last = Some(firing.at);
    }
    shortest
}
