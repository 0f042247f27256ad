//! When a recurring action runs: the crate croner's reading of cron, where the CLI has a reader of its own.

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// A recurrence as given, and as read.
#[derive(Clone, Debug)]
pub(super) struct Recurrence {
    /// Five fields.
    pub(super) text: String,
    cron: Cron,
    zone: TimeZone,
}

/// What Auto Scaling's five fields may hold: digits, names, lists, ranges and steps. croner knows more (`L`, `W`, `#`, `?`,
/// `@daily`), which crontab(5) does not.
fn plain(text: &str) -> bool {
    let fields: Vec<&str> = text.split_whitespace().collect();
    let numbers = |field: &str| field.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'*' | b',' | b'-' | b'/'));
    let names = |field: &str| {
        field.split([',', '-', '/']).all(|part| {
            part.bytes().all(|b| b.is_ascii_digit() || b == b'*')
                || part.len() == 3 && part.bytes().all(|b| b.is_ascii_alphabetic())
        })
    };
    fields.len() == 5 && fields[..3].iter().all(|field| numbers(field)) && fields[3..].iter().all(|field| names(field))
}

impl Recurrence {
    /// Reads five fields.
    pub(super) fn read(text: &str, zone: TimeZone) -> Option<Self> {
        let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        let cron = plain(text).then(|| parser.parse(text).ok()).flatten()?;
        Some(Self { text: text.to_owned(), cron, zone })
    }

    /// The first time after `at`; none where there is no such day, as 30 February.
    pub(super) fn after(&self, at: Timestamp) -> Option<Timestamp> {
        let next = self.cron.find_next_occurrence(&at.to_zoned(self.zone.clone()), false).ok()?;
        Some(next.timestamp())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_plain_fields_and_nothing_else() {
        let reads = |text: &str| Recurrence::read(text, TimeZone::UTC).is_some();
        for good in ["0 0 * * *", "*/5 1-3 1,15 JAN-mar mon", "30 0 1 1,6,12 *", "0 0 * * 7"] {
            assert!(reads(good), "{good}");
        }
        for bad in
            ["* * * *", "0 0 0 * * *", "@daily", "0 0 L * *", "0 0 15W * *", "0 0 * * 1#2", "0 0 ? * *", "60 * * * *"]
        {
            assert!(!reads(bad), "{bad}");
        }
    }

    #[test]
    fn a_zone_moves_with_its_summer_time() {
        let zone = TimeZone::get("America/New_York").unwrap();
        let daily = Recurrence::read("0 8 * * *", zone).unwrap();
        let after = |text: &str| daily.after(text.parse().unwrap()).unwrap().to_string();
        assert_eq!(after("2026-03-07T14:00:00Z"), "2026-03-08T12:00:00Z");
        assert_eq!(after("2026-03-06T14:00:00Z"), "2026-03-07T13:00:00Z");
    }
}
