//! What a value was likely meant to be: the spellings of other tools, read leniently, for the help below an error.

use crate::model::Money;
use std::time::Duration;

/// A number at the start of a text and the word after it, in small letters: `1,000 GB` is 1000 and `gb`.
fn number_and_unit(text: &str) -> Option<(f64, String)> {
    let text = text.trim().trim_start_matches(['+', '$']).to_lowercase();
    let end = text.find(|c: char| !(c.is_ascii_digit() || "._,".contains(c))).unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    let number = plain(digits).parse().ok().filter(|n: &f64| n.is_finite())?;
    Some((number, unit.trim().to_owned()))
}

/// Digits without what people put between them; a comma divides thousands where three digits follow, else it is a point.
fn plain(digits: &str) -> String {
    let digits = digits.replace('_', "");
    match digits.rsplit_once(',') {
        Some((_, last)) if last.len() == 3 && !digits.contains('.') => digits.replace(',', ""),
        Some(_) => digits.replace(',', "."),
        None => digits,
    }
}

/// A whole number: `1_000`, `1,000`, `8.0`, `1e3`, `0x10`, `0o17`, `10k`, and `40 hosts` where `noun` is what it counts.
pub(crate) fn count(text: &str, noun: Option<&str>) -> Option<u64> {
    let text = text.trim().trim_start_matches('+').to_lowercase();
    if let Some(hex) = text.strip_prefix("0x") {
        return u64::from_str_radix(hex, 16).ok();
    }
    if let Some(octal) = text.strip_prefix("0o") {
        return u64::from_str_radix(octal, 8).ok();
    }
    let number = if let Ok(number) = text.parse::<f64>() {
        number
    } else {
        let (number, unit) = number_and_unit(&text)?;
        unit.split_whitespace().try_fold(number, |number, word| match word {
            "k" | "thousand" => Some(number * 1e3),
            "million" => Some(number * 1e6),
            word => noun.is_some_and(|noun| word == noun || noun.strip_suffix('s') == Some(word)).then_some(number),
        })?
    };
    whole(number)
}

/// The number as an integer, if it is one of at most fifteen digits.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be whole and small")]
fn whole(number: f64) -> Option<u64> {
    ((0.0..1e15).contains(&number) && number.fract() == 0.0).then_some(number as u64)
}

/// A duration: `10 minutes`, `1.5h`, `2 weeks`, `PT1H`, `500ms`; whole seconds, rounded up.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    let text = text.trim().trim_start_matches(['-', '+']).to_lowercase();
    let span = if let Ok(span) = text.parse::<jiff::SignedDuration>() {
        Duration::try_from(span).ok()?
    } else {
        let (number, unit) = number_and_unit(&text)?;
        let seconds = match unit.as_str() {
            "w" | "wk" | "week" | "weeks" => 604_800.0,
            "d" | "day" | "days" => 86_400.0,
            _ => return None,
        };
        Duration::try_from_secs_f64(number * seconds).ok()?
    };
    let up = u64::from(span.subsec_nanos() > 0);
    span.as_secs().checked_add(up).map(Duration::from_secs).filter(|span| !span.is_zero())
}

/// `22:22` as hours and minutes, and as minutes and seconds.
pub(crate) fn clock_face(text: &str) -> Option<(Duration, Duration)> {
    let (first, second) = text.split_once(':')?;
    let digits = |t: &str| (1..=3).contains(&t.len()) && t.bytes().all(|b| b.is_ascii_digit());
    if !digits(first) || second.len() != 2 || !digits(second) {
        return None;
    }
    let units = first.parse::<u64>().ok()? * 60 + second.parse::<u64>().ok()?;
    Some((Duration::from_secs(units * 60), Duration::from_secs(units)))
}

/// A size in whole GiB, rounded up: `30GB`, `30 gib`, `30000MB`, `0.5TB`.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be small and not negative")]
pub(crate) fn gib(text: &str) -> Option<u64> {
    let (number, unit) = number_and_unit(text)?;
    let gib = match unit.as_str() {
        "k" | "kb" | "ki" | "kib" => number / f64::from(1 << 20),
        "m" | "mb" | "mi" | "mib" => number / f64::from(1 << 10),
        "" | "g" | "gb" | "gi" | "gib" | "gigs" => number,
        "t" | "tb" | "ti" | "tib" => number * f64::from(1 << 10),
        _ => return None,
    };
    (gib > 0.0 && gib < 1e9).then(|| gib.ceil() as u64)
}

/// A whole percentage: `90`, `0.9`, `90 %`, `90 percent`, `true`.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be between 0 and 100")]
pub(crate) fn percent(text: &str) -> Option<u8> {
    match text.to_lowercase().as_str() {
        "true" | "yes" | "on" | "all" => return Some(100),
        "false" | "no" | "off" | "none" => return Some(0),
        _ => {}
    }
    let (number, unit) = number_and_unit(text)?;
    let share = text.contains(['.', ',']) && number <= 1.0 && unit.is_empty();
    let number = if share { number * 100.0 } else { number };
    let known = matches!(unit.as_str(), "" | "%" | "percent" | "pct");
    (known && (0.0..=100.0).contains(&number)).then(|| number.round() as u8)
}

/// A price per hour, without its `$` and `/h`: `0.06`, `$0.06/hour`, `0,06 USD`.
pub(crate) fn price(text: &str) -> Option<String> {
    let low = text.to_lowercase().replace(['$', ' '], "").replace("usd", "");
    let end = low.find(|c: char| !(c.is_ascii_digit() || "._,".contains(c))).unwrap_or(low.len());
    let (digits, unit) = low.split_at(end);
    let hourly = matches!(unit, "" | "/h" | "/hr" | "/hour" | "perhour" | "/hours" | "ph");
    let number = plain(digits);
    // `6c/h`: cents.
    let cents = unit
        .strip_prefix('c')
        .or_else(|| unit.strip_prefix('¢'))
        .is_some_and(|rest| matches!(rest, "" | "/h" | "/hr" | "/hour"));
    let (hourly, number) = match number.parse::<u32>() {
        Ok(n) if cents => (true, format!("{}.{:02}", n / 100, n % 100)),
        Ok(_) | Err(_) => (hourly, number),
    };
    (hourly && Money::parse(&number).is_some_and(|money| money > Money::ZERO)).then_some(number)
}

/// A rate: `3 per second`, `180/min`, `3rps`, `3 items/s`.
pub(crate) fn rate(text: &str) -> Option<String> {
    let (number, unit) = number_and_unit(text)?;
    let unit = unit.trim_start_matches("items").trim_start().trim_start_matches('/');
    let unit = match unit.trim_start_matches("per").trim() {
        "" | "s" | "sec" | "second" | "seconds" | "rps" | "hz" => "s",
        "m" | "min" | "minute" | "minutes" | "rpm" => "m",
        "h" | "hr" | "hour" | "hours" => "h",
        _ => return None,
    };
    (number > 0.0).then(|| format!("{number}/{unit}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_other_tools() {
        for (text, seconds) in [
            ("10 s", 10),
            ("10 minutes", 600),
            ("1.5h", 5_400),
            ("1h 30m", 5_400),
            ("2 weeks", 1_209_600),
            ("1.5d", 129_600),
            ("PT1H", 3_600),
            ("500ms", 1),
            ("-5s", 5),
            ("10MIN", 600),
        ] {
            assert_eq!(duration(text), Some(Duration::from_secs(seconds)), "{text}");
        }
        assert_eq!(clock_face("22:22").map(|(h, m)| (h.as_secs(), m.as_secs())), Some((80_520, 1_342)));
        for none in ["never", "", "1m1h", "12", "0s", "10 parsecs"] {
            assert_eq!(duration(none), None, "{none}");
        }
        for (text, n) in [
            ("1_000", 1_000),
            ("1,000", 1_000),
            ("8.0", 8),
            ("1e3", 1_000),
            ("0x10", 16),
            ("40 hosts", 40),
            ("1 host", 1),
            ("10k", 10_000),
            ("2 thousand", 2_000),
            ("1.5K hosts", 1_500),
        ] {
            assert_eq!(count(text, Some("hosts")), Some(n), "{text}");
        }
        for none in ["-1", ".nan", "8.5", "many", "10 dozen", "10 tries", "10m"] {
            assert_eq!(count(none, Some("hosts")), None, "{none}");
        }
        assert_eq!(count("10 hosts", None), None);
        for (text, n) in [("30GB", 30), ("30 gib", 30), ("30000MB", 30), ("0.5TB", 512), ("1,5 TB", 1536)] {
            assert_eq!(gib(text), Some(n), "{text}");
        }
        for (text, n) in [("90", 90), ("0.9", 90), ("90 %", 90), ("5.5%", 6), ("true", 100), ("1", 1)] {
            assert_eq!(percent(text), Some(n), "{text}");
        }
        assert_eq!((percent("120"), percent("half")), (None, None));
        for (text, number) in
            [("0.06", "0.06"), ("$0.06/hour", "0.06"), ("0,06 USD", "0.06"), ("0.06 per hour", "0.06")]
        {
            assert_eq!(price(text).as_deref(), Some(number), "{text}");
        }
        assert_eq!((price("free"), price("$1/day"), price("-1")), (None, None, None));
        for (text, ours) in [("3", "3/s"), ("3 per second", "3/s"), ("180/min", "180/m"), ("3 items/s", "3/s")] {
            assert_eq!(rate(text).as_deref(), Some(ours), "{text}");
        }
        assert_eq!((rate("fast"), rate("3/week")), (None, None));
    }
}
