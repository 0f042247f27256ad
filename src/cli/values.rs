//! Reads single values of the command line; each function's error is what the user sees after the flag's name.

use super::request::{HostName, HostPick, MaxFail, ReinRate, Setting};
use crate::model::InstanceId;
use crate::spec::named::{self, ForeignHost};
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

/// Reads `90s`, `45m`, `1h30m`, `2d`, as the spec does, and what ISO 8601 and jiff know besides; more than zero.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let bare = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let wanted = || {
        if bare {
            format!("it needs a unit: {text}s, {text}m or {text}h")
        } else {
            "expected a duration such as 90s, 45m, 1h30m or 2d".to_owned()
        }
    };
    let other = || text.parse::<jiff::SignedDuration>().ok().map(|span| Duration::try_from(span).unwrap_or_default());
    match crate::spec::units(text).or_else(other) {
        Some(span) if !span.is_zero() => Ok(span),
        Some(_) => Err("must be longer than zero".to_owned()),
        None => Err(wanted()),
    }
}

/// Reads `5/s`, `200/m` or `spec`.
pub(super) fn rein_rate(text: &str) -> Result<ReinRate, String> {
    if text == "spec" {
        return Ok(ReinRate::Spec);
    }
    crate::spec::per_second(text).map(ReinRate::PerSecond).map_err(|wanted| format!("expected {wanted}, or `spec`"))
}

/// Reads a visibility time-out: SQS takes whole seconds up to 12 hours.
pub(super) fn visibility(text: &str) -> Result<Duration, String> {
    let span = duration(text)?;
    if span.subsec_nanos() != 0 || span > Duration::from_hours(12) {
        return Err("must be whole seconds, at most 12h".to_owned());
    }
    Ok(span)
}

/// Reads a visibility time-out that may be zero.
pub(super) fn retry_after(text: &str) -> Result<Duration, String> {
    if matches!(text, "0" | "0s") { Ok(Duration::ZERO) } else { visibility(text) }
}

/// Reads a whole number within bounds, both inclusive.
pub(super) fn whole<T: TryFrom<u64>>(least: u64, most: u64) -> impl Fn(&str) -> Result<T, String> + Clone {
    move |text| {
        let number = text.parse().ok().filter(|number| (least..=most).contains(number));
        number.and_then(|number| T::try_from(number).ok()).ok_or_else(|| match most {
            u64::MAX => format!("expected a whole number from {least} on"),
            most => format!("expected a whole number from {least} to {most}"),
        })
    }
}

/// Reads a factor such as `60` or `0.5`; finite and more than zero.
pub(super) fn speed(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(speed) if speed.is_finite() && speed > 0.0 => Ok(speed),
        Ok(_) | Err(_) => Err("expected a number above zero, such as 60".to_owned()),
    }
}

/// Reads a URL as far as the AWS SDK wants one.
pub(super) fn url(text: &str) -> Result<String, String> {
    let host = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    match host {
        Some(host) if !host.is_empty() && !host.contains(char::is_whitespace) => Ok(text.to_owned()),
        Some(_) | None => Err("expected http://HOST:PORT or https://HOST".to_owned()),
    }
}

/// Reads `5%` or `3`.
pub(super) fn max_fail(text: &str) -> Result<MaxFail, String> {
    let wrong = || "expected a share such as 5% (at most 100%) or a number of hosts such as 3".to_owned();
    match text.strip_suffix('%') {
        Some(percent) => match percent.parse::<u8>() {
            Ok(percent) if percent <= 100 => Ok(MaxFail::Percent(percent)),
            Ok(_) | Err(_) => Err(wrong()),
        },
        None => text.parse().map(MaxFail::Hosts).map_err(|_| wrong()),
    }
}

/// Reads `fleet.size=60`.
pub(super) fn setting(text: &str) -> Result<Setting, String> {
    let named = |segment: &str| !segment.is_empty() && !segment.contains(char::is_whitespace);
    match text.split_once('=') {
        Some((path, value)) if path.split('.').all(named) => {
            Ok(Setting { path: path.to_owned(), value: value.to_owned() })
        }
        Some(_) | None => Err("expected PATH=VALUE such as fleet.size=60".to_owned()),
    }
}

/// Reads `Role=web`.
pub(super) fn tag(text: &str) -> Result<(String, String), String> {
    named::tag(text).map_err(|wanted| format!("expected {wanted}"))
}

/// Reads the name of an Auto Scaling group.
pub(super) fn group(text: &str) -> Result<String, String> {
    named::group(text).map_err(|wanted| format!("expected {wanted}"))
}

/// Reads a file of machines, one a line; what is empty or starts with `#` is left out.
pub(super) fn machines(file: &Path) -> Result<Vec<ForeignHost>, String> {
    let content = std::fs::read_to_string(file).map_err(|error| format!("failed to read it: {error}"))?;
    let mut machines = Vec::new();
    for (line, text) in (1..).zip(content.lines().map(str::trim)) {
        if !text.is_empty() && !text.starts_with('#') {
            let machine = named::machine(text);
            machines.push(machine.map_err(|wanted| format!("line {line}: expected {wanted}, not {text:?}"))?);
        }
    }
    if machines.is_empty() { Err("it names no machine".to_owned()) } else { Ok(machines) }
}

/// Reads a run's id, or a part of it.
pub(super) fn run(text: &str) -> Result<String, String> {
    if text.len() >= 4 && text.chars().all(|c| c.is_ascii_hexdigit() || c == '-') {
        Ok(text.to_owned())
    } else {
        Err("expected a run's id, or at least 4 digits of its beginning or end".to_owned())
    }
}

/// Reads one host: an instance id, a slot with or without its `#`, or the name of a foreign machine.
fn host(word: &str) -> Result<HostPick, String> {
    let hex = |digits: &str| matches!(digits.len(), 8 | 17) && digits.bytes().all(|b| b.is_ascii_hexdigit());
    if word.strip_prefix("i-").is_some_and(hex) {
        return Ok(HostPick::Id(InstanceId::new(word)));
    }
    let slot = word.strip_prefix('#').unwrap_or(word);
    if let Ok(slot) = slot.parse() {
        return Ok(HostPick::Slot(slot));
    }
    let named = word.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
    if named && word.starts_with(|c: char| c.is_ascii_alphanumeric()) && !word.starts_with("i-") {
        return Ok(HostPick::Id(InstanceId::new(word)));
    }
    Err(format!("{word} is neither an instance id (i-...), a slot, nor the name of one of the spec's `hosts`"))
}

/// Reads one host: an instance id, a slot or an address.
pub(super) fn host_name(word: &str) -> Result<HostName, String> {
    match (word.parse(), host(word)) {
        (Ok(address), _) => Ok(HostName::Address(address)),
        (Err(_), Ok(pick)) => Ok(HostName::Pick(pick)),
        (Err(_), Err(_)) => Err("expected an instance id (i-...), a slot such as 3 or #3, or an address".to_owned()),
    }
}

/// Reads a list of hosts divided by commas or white space.
fn hosts(text: &str) -> Result<Vec<HostPick>, String> {
    text.split([',', ' ', '\t', '\r']).filter(|word| !word.is_empty()).map(host).collect()
}

/// Reads all of `--only`: ids and slots, and files (`@FILE`) of them, in which `# ` starts a remark line.
pub(super) fn only(given: &[String]) -> Result<BTreeSet<HostPick>, String> {
    let mut picks = BTreeSet::new();
    for text in given {
        let Some(file) = text.strip_prefix('@') else {
            picks.extend(hosts(text)?);
            continue;
        };
        let content = std::fs::read_to_string(file).map_err(|error| format!("failed to read {file}: {error}"))?;
        for (index, line) in content.lines().enumerate() {
            let line = if line.starts_with("# ") || line == "#" { "" } else { line };
            picks.extend(hosts(line).map_err(|error| format!("{file}:{}: {error}", index + 1))?);
        }
    }
    if picks.is_empty() && !given.is_empty() {
        // An empty list would mean every host: the very opposite of what was asked.
        return Err(format!("{} names no host", given.join(",")));
    }
    Ok(picks)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations() {
        assert_eq!(duration("45m"), Ok(Duration::from_mins(45)));
        assert_eq!(duration("1h30m"), Ok(Duration::from_mins(90)));
        assert_eq!(duration("1d12h"), Ok(Duration::from_hours(36)));
        for bad in ["", "45", "0s", "0d", "-1m", "soon"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
        assert_eq!(duration("45").unwrap_err(), "it needs a unit: 45s, 45m or 45h");
        assert_eq!(visibility("12h"), Ok(Duration::from_hours(12)));
        assert!(visibility("12h1s").is_err());
        assert!(visibility("1500ms").is_err());
        assert_eq!(retry_after("0"), Ok(Duration::ZERO));
    }

    #[test]
    fn shares() {
        assert_eq!(max_fail("5%"), Ok(MaxFail::Percent(5)));
        assert_eq!(max_fail("3"), Ok(MaxFail::Hosts(3)));
        for bad in ["101%", "-1", "%", "5 %", "x"] {
            assert!(max_fail(bad).is_err(), "{bad}");
        }
        assert_eq!(MaxFail::Percent(5).allowed(39), 1);
        assert_eq!(MaxFail::Percent(100).allowed(u32::MAX), u32::MAX);
    }

    #[test]
    fn settings() {
        assert_eq!(setting("fleet.size=60"), Ok(Setting { path: "fleet.size".into(), value: "60".into() }));
        assert_eq!(setting("tags.x=a=b").map(|s| s.value), Ok("a=b".into()));
        for bad in ["fleet.size", "=1", "a..b=1", "a b=1"] {
            assert!(setting(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn hosts_from_words_and_files() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("failed.txt");
        std::fs::write(&file, "# left over from yesterday\ni-0123456789abcdef0\n#7 \n\n").unwrap();
        let at = format!("@{}", file.display());
        let picks = only(&["3,#4".into(), at.clone()]).unwrap();
        let expected =
            [HostPick::Id("i-0123456789abcdef0".into()), HostPick::Slot(3), HostPick::Slot(4), HostPick::Slot(7)];
        assert_eq!(picks, BTreeSet::from(expected));

        std::fs::write(&file, "i-1\n").unwrap();
        assert!(only(std::slice::from_ref(&at)).unwrap_err().contains("failed.txt:1: i-1 is neither"));
        std::fs::write(&file, "\n").unwrap();
        assert!(only(&[at]).unwrap_err().ends_with("names no host"), "an empty file must not mean every host");
        assert!(only(&[]).unwrap().is_empty());
    }

    proptest! {
        #[test]
        fn nothing_panics(text in ".*") {
            drop((duration(&text), visibility(&text), retry_after(&text), speed(&text)));
            drop((max_fail(&text), setting(&text), hosts(&text)));
        }

        #[test]
        fn never_allows_more_than_the_share(percent in 0u8..=100, total in 0u32..100_000) {
            let allowed = u64::from(MaxFail::Percent(percent).allowed(total));
            prop_assert!(allowed * 100 <= u64::from(total) * u64::from(percent));
            prop_assert!((allowed + 1) * 100 > u64::from(total) * u64::from(percent));
        }
    }
}
