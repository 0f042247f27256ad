//! Single values as people write them: durations, sizes, prices, rates, names and AWS identifiers.

use super::fleet::Between;
use super::tame;
use crate::model::Money;
use crate::time::hours::{Hours, HoursError};
use std::fmt::Write;
use std::time::Duration;

/// Why a text is not the value that is wanted; completes "must be ..., not ...".
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wrong {
    /// `bad-value` or `out-of-range`.
    pub(crate) code: &'static str,
    /// What is wanted.
    pub(crate) wanted: String,
    /// What to type instead.
    pub(crate) help: Option<String>,
}

impl Wrong {
    /// The text can't be read.
    pub(crate) fn bad(wanted: impl Into<String>) -> Self {
        Self { code: "bad-value", wanted: wanted.into(), help: None }
    }

    /// The value can be read but is too small or too large.
    pub(crate) fn range(wanted: impl Into<String>) -> Self {
        Self { code: "out-of-range", wanted: wanted.into(), help: None }
    }

    /// The same, with what to type instead.
    #[must_use]
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The same; where it could be guessed what was meant, that is what to type instead.
    #[must_use]
    pub(crate) fn likely(self, guess: Option<impl std::fmt::Display>) -> Self {
        match guess {
            Some(guess) => self.help(format!("write {guess}")),
            None => self,
        }
    }
}

type Read<T> = Result<T, Wrong>;

/// A whole number within bounds, of what `noun` says; no sign, no `1e3`, no `0x10`, no `8.0`.
pub(crate) fn count(min: u64, max: u64, noun: Option<&'static str>) -> impl Fn(&str) -> Read<u64> {
    move |text| {
        let wanted = format!("a whole number from {min} to {max}");
        if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(Wrong::bad(wanted).likely(tame::count(text, noun).filter(|n| (min..=max).contains(n))));
        }
        if text.len() > 1 && text.starts_with('0') {
            let decimal = text.trim_start_matches('0');
            let help = "a leading zero means octal to some readers of YAML";
            return Err(
                Wrong::bad(wanted).help(format!("write {}; {help}", if decimal.is_empty() { "0" } else { decimal }))
            );
        }
        text.parse().ok().filter(|n| (min..=max).contains(n)).ok_or_else(|| Wrong::range(wanted))
    }
}

/// `2` or `2..8`, each number with this unit behind it: at least so much, or between the two.
pub(crate) fn between(unit: &'static str, most: u32) -> impl Fn(&str) -> Read<Between> {
    move |text| {
        let bad = || {
            Wrong::bad(format!(
                "a number such as `8{unit}` for at least so many, or a range such as `8{unit}..16{unit}`"
            ))
        };
        let one = |part: &str| {
            let digits = part.strip_suffix(unit)?;
            let plain = (1..=5).contains(&digits.len()) && !digits.starts_with('0');
            plain.then(|| digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse::<u32>().ok()))??
        };
        let (low, high) = text.split_once("..").map_or((text, None), |(low, high)| (low, Some(high)));
        let least = one(low).ok_or_else(bad)?;
        let upper = high.map(|high| one(high).ok_or_else(bad)).transpose()?;
        if least > most || upper.is_some_and(|upper| upper > most) {
            return Err(Wrong::range(format!("at most {most}{unit}")));
        }
        match upper {
            Some(upper) if upper < least => Err(Wrong::range("a range from the smaller to the larger")
                .help(format!("write {upper}{unit}..{least}{unit}"))),
            most => Ok(Between { least, most }),
        }
    }
}

/// `true` or `false`, and none of YAML 1.1's other words.
pub(crate) fn boolean(text: &str) -> Read<bool> {
    let wrong = Wrong::bad("`true` or `false`");
    match text {
        "true" => Ok(true),
        "false" => Ok(false),
        "yes" | "on" | "Yes" | "On" | "YES" | "ON" | "True" | "TRUE" | "y" | "Y" => Err(wrong.help("write `true`")),
        "no" | "off" | "No" | "Off" | "NO" | "OFF" | "False" | "FALSE" | "n" | "N" => Err(wrong.help("write `false`")),
        _ => Err(wrong),
    }
}

/// `90s`, `45m`, `1h30m`, `2d`: units are required and fall from left to right.
pub(crate) fn duration(min: Duration, max: Duration) -> impl Fn(&str) -> Read<Duration> {
    move |text| {
        let range = || Wrong::range(format!("a duration from {} to {}", spell(min), spell(max)));
        let value = units(text).ok_or_else(|| {
            let bad = Wrong::bad("a duration such as `90s`, `45m` or `1h30m`");
            let fits = |span: &Duration| (min..=max).contains(span);
            if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
                return bad.help(format!("it needs a unit: {text}s, {text}m or {text}h"));
            }
            match tame::clock_face(text) {
                Some((hours, minutes)) => bad.help(format!("write {} or {}", spell(hours), spell(minutes))),
                None => match tame::duration(text) {
                    Some(span) if fits(&span) => bad.likely(Some(spell(span))),
                    Some(_) => range(),
                    None => bad,
                },
            }
        })?;
        (min..=max).contains(&value).then_some(value).ok_or_else(range)
    }
}

/// Numbers with units that fall from left to right, `1d12h`; `None` for everything else.
pub fn units(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut last = u64::MAX;
    let mut sum: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, tail) = rest.split_at(digits);
        let unit = match tail.chars().next()? {
            'd' => 86_400,
            'h' => 3_600,
            'm' => 60,
            's' => 1,
            _ => return None,
        };
        if unit >= last {
            return None;
        }
        last = unit;
        sum = number.parse::<u64>().ok()?.checked_mul(unit).and_then(|n| sum.checked_add(n))?;
        rest = &tail[1..];
    }
    (!text.is_empty()).then_some(Duration::from_secs(sum))
}

/// A duration the way it is read: `1h30m`.
pub(crate) fn spell(span: Duration) -> String {
    let mut left = span.as_secs();
    let mut out = String::new();
    for (unit, word) in [(86_400, 'd'), (3_600, 'h'), (60, 'm'), (1, 's')] {
        if left >= unit {
            write!(out, "{}{word}", left / unit).unwrap_or_default();
            left %= unit;
        }
    }
    if out.is_empty() { "0s".to_owned() } else { out }
}

/// `30GiB` or `1TiB`, in whole GiB as EBS counts.
pub(crate) fn gib(min: u32, max: u32) -> impl Fn(&str) -> Read<u32> {
    move |text| {
        let wanted = format!("a size from {min}GiB to {max}GiB, in whole GiB");
        let likely = || tame::gib(text).filter(|n| (u64::from(min)..=max.into()).contains(n));
        let bad = || Wrong::bad(wanted.clone()).likely(likely().map(|n| format!("{n}GiB")));
        let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, unit) = text.split_at(digits);
        let number: u64 = number.parse().map_err(|_| bad())?;
        let mib = match unit {
            "MiB" => number,
            "GiB" => number.saturating_mul(1 << 10),
            "TiB" => number.saturating_mul(1 << 20),
            _ => return Err(bad()),
        };
        if mib % (1 << 10) != 0 {
            return Err(bad());
        }
        let whole = u32::try_from(mib >> 10).ok().filter(|n| (min..=max).contains(n));
        whole.ok_or_else(|| Wrong::range(wanted.clone()))
    }
}

/// `90%`, whole.
pub(crate) fn percent(text: &str) -> Read<u8> {
    let wanted = "a whole percentage from `0%` to `100%`";
    let bad = || Wrong::bad(wanted).likely(tame::percent(text).map(|n| format!("{n}%")));
    let number = text.strip_suffix('%').ok_or_else(bad)?;
    if number.is_empty() || !number.bytes().all(|b| b.is_ascii_digit()) {
        return Err(bad());
    }
    number.parse().ok().filter(|n| *n <= 100).ok_or_else(|| Wrong::range(wanted))
}

/// `$0.06/h`; EC2's finest price step is a millionth of a dollar.
pub(crate) fn price(text: &str) -> Read<Money> {
    let amount = text.strip_prefix('$').and_then(|t| t.strip_suffix("/h"));
    amount.and_then(Money::parse).filter(|money| *money > Money::ZERO).ok_or_else(|| {
        Wrong::bad("a price per hour such as `$0.06/h`").likely(tame::price(text).map(|n| format!("${n}/h")))
    })
}

/// `$50` or `$0.5`.
pub(crate) fn dollars(text: &str) -> Read<Money> {
    let amount = text.strip_prefix('$').filter(|amount| amount.split('.').next().is_some_and(|whole| whole.len() <= 9));
    amount.and_then(Money::parse).filter(|money| *money > Money::ZERO).ok_or_else(|| {
        let guess = text.trim_end_matches([' ', 'U', 'S', 'D', 'u', 's', 'd']).trim_start_matches('$');
        let guess = Money::parse(guess).filter(|money| *money > Money::ZERO).map(|_| format!("${guess}"));
        Wrong::bad("an amount above zero such as `$50` or `$0.5`").likely(guess)
    })
}

/// `3/s`, `200/m` or `1000/h` as items per second.
pub(crate) fn rate(text: &str) -> Read<f64> {
    let bad = || {
        Wrong::bad("a rate such as `3/s`, `7.5/s` or `200/m`").likely(tame::rate(text).filter(|guess| guess != text))
    };
    let (number, unit) = text.split_once('/').ok_or_else(bad)?;
    let seconds = match unit {
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err(bad()),
    };
    let digits = |s: &str| !s.is_empty() && s.len() <= 9 && s.bytes().all(|b| b.is_ascii_digit());
    let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
    if !digits(whole) || !digits(part) {
        return Err(bad());
    }
    let number: f64 = number.parse().map_err(|_| bad())?;
    let rate = number / seconds;
    // SQS standard queues take a nearly unlimited number of calls; this ceiling catches typing errors only.
    let range = Wrong::range("a rate from one an hour to 1000000/s");
    ((1.0 / 3600.0)..=1e6).contains(&rate).then_some(rate).ok_or(range)
}

/// A rate as `feed.rate` takes it, in items a second.
///
/// # Errors
///
/// What is wanted, in words.
pub fn per_second(text: &str) -> Result<f64, String> {
    rate(text).map_err(|wrong| wrong.wanted)
}

/// `Mon-Fri 05:00-18:00 America/Los_Angeles`
pub(crate) fn hours(text: &str) -> Read<Hours> {
    text.parse().map_err(|error: HoursError| match error {
        HoursError::Zone { near: Some(near), .. } => {
            Wrong::bad("hours in a known time zone").help(format!("did you mean `{near}`?"))
        }
        HoursError::Zone { near: None, .. } => Wrong::bad("hours in a known time zone")
            .help("zones have names such as `America/Los_Angeles`, `Europe/Berlin` or `UTC`"),
        other => Wrong::bad("days, hours and a time zone").help(format!("it takes {other}")),
    })
}

/// Letters, digits and some marks, bounded in length.
pub(crate) fn word(wanted: &'static str, longest: usize, marks: &'static str) -> impl Fn(&str) -> Read<String> {
    move |text| {
        let good = |c: char| c.is_ascii_alphanumeric() || marks.contains(c);
        let ok = !text.is_empty() && text.len() <= longest && !text.starts_with('-') && text.chars().all(good);
        ok.then(|| text.to_owned()).ok_or_else(|| Wrong::bad(wanted))
    }
}

/// One of a few words.
pub(crate) fn choice<T: Copy>(words: &'static [(&'static str, T)]) -> impl Fn(&str) -> Read<T> {
    move |text| {
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == text) {
            return Ok(*value);
        }
        let all: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let wrong = Wrong::bad(all.iter().map(|w| format!("`{w}`")).collect::<Vec<_>>().join(" or "));
        Err(match super::words::value(text, &all).or_else(|| super::words::nearest(text, &all)) {
            Some(near) => wrong.help(format!("did you mean `{near}`?")),
            None => wrong,
        })
    }
}

/// Any text without line breaks, bounded in characters.
pub(crate) fn line(longest: usize) -> impl Fn(&str) -> Read<String> {
    move |text| {
        let ok = !text.trim().is_empty() && text.chars().count() <= longest && !text.contains(['\n', '\r']);
        ok.then(|| text.to_owned()).ok_or_else(|| Wrong::bad(format!("one line of at most {longest} characters")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(text: &str) -> Option<u64> {
        duration(Duration::ZERO, Duration::from_hours(24 * 400))(text).ok().map(|d| d.as_secs())
    }

    #[test]
    fn durations() {
        let good = [("0s", 0), ("90s", 90), ("45m", 2_700), ("1h30m", 5_400), ("12h", 43_200), ("1d2h3m4s", 93_784)];
        for (text, seconds) in good {
            assert_eq!(span(text), Some(seconds), "{text}");
        }
        for bad in [
            "",
            "45",
            "m",
            "1m1h",
            "1m1m",
            "1.5h",
            "-1s",
            "1h ",
            " 1h",
            "1w",
            "h1",
            "99999999999999999999s",
            "1é",
            "5s5",
        ] {
            assert_eq!(span(bad), None, "{bad}");
        }
        assert_eq!(duration(Duration::ZERO, Duration::from_mins(1))("2m").map_err(|w| w.code), Err("out-of-range"));
    }

    #[test]
    fn counts_are_plain_decimals() {
        let read = |text: &str| count(1, 10_000, None)(text).map_err(|w| w.code);
        assert_eq!(read("10000"), Ok(10_000));
        for bad in ["", "-1", "+1", "1e3", "0x10", "8.0", ".nan", "1_000"] {
            assert_eq!(read(bad), Err("bad-value"), "{bad}");
        }
        for far in ["0", "10001", "1000000000", "99999999999999999999999"] {
            assert_eq!(read(far), Err("out-of-range"), "{far}");
        }
    }

    #[test]
    fn sizes_prices_percentages_and_rates() {
        assert_eq!(gib(1, 65_536)("30GiB"), Ok(30));
        assert_eq!(gib(1, 65_536)("1TiB"), Ok(1024));
        assert_eq!(gib(1, 65_536)("2048MiB"), Ok(2));
        assert!(gib(1, 65_536)("512MiB").is_err_and(|w| w.help.as_deref() == Some("write 1GiB")));
        assert!(gib(1, 65_536)("30GB").is_err_and(|w| w.help.as_deref() == Some("write 30GiB")));
        assert!(gib(1, 65_536)("99999999999999TiB").is_err());
        assert_eq!(percent("90%"), Ok(90));
        assert!(percent("90").is_err_and(|w| w.help.as_deref() == Some("write 90%")));
        assert!(percent("101%").is_err() && percent("%").is_err() && percent("0.5%").is_err());
        assert_eq!(price("$0.06/h").map(Money::micros), Ok(60_000));
        assert!(price("0.06").is_err_and(|w| w.help.as_deref() == Some("write $0.06/h")));
        assert!(price("$0/h").is_err() && price("$-1/h").is_err() && price("$nan/h").is_err());
        assert_eq!(rate("7.5/s"), Ok(7.5));
        assert_eq!(rate("120/m"), Ok(2.0));
        for bad in ["0/s", "inf/s", "nan/s", "-1/s", "3", "3/x", "1e9/s", "./s", "2000000/s", ""] {
            assert!(rate(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn only_two_booleans() {
        assert_eq!((boolean("true"), boolean("false")), (Ok(true), Ok(false)));
        assert!(boolean("on").is_err_and(|w| w.help.as_deref() == Some("write `true`")));
        assert!(boolean("no").is_err_and(|w| w.help.as_deref() == Some("write `false`")));
        assert!(boolean("1").is_err());
    }
}
