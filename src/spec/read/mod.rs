//! The tree of a fleet.yaml to a checked `Fleet`, one file for each group of sections.

mod action;
mod build;
mod foreign;
mod hosts;
mod notify;
mod playbook;
mod recycle;
mod rehearsal;
mod ssh;
mod top;
mod work;

pub(crate) use foreign::{machine, tag};
pub(crate) use playbook::{Role, playbook};
pub(crate) use recycle::group_name;
pub(crate) use top::fleet;

use super::check::Check;
use super::fields;
use super::section::{Field, Section};
use super::value;
use std::time::Duration;

/// A second, to count in.
const SECOND: Duration = Duration::from_secs(1);
/// A day.
const DAY: Duration = Duration::from_hours(24);

/// A whole number within bounds, or `default`; quoted numbers are text.
fn number(s: &mut Section<'_>, check: &mut Check<'_>, key: &'static str, bounds: (u32, u32), default: u32) -> u32 {
    s.get(key).and_then(|field| whole(check, &field, bounds)).unwrap_or(default)
}

/// A whole number within bounds.
fn whole(check: &mut Check<'_>, field: &Field<'_>, (min, max): (u32, u32)) -> Option<u32> {
    let noun = fields::led(&field.path).and_then(|(_, field)| field.counts);
    let read = value::count(min.into(), max.into(), noun);
    if !unquoted(check, field, "a number", &read) {
        return None;
    }
    let n = check.parsed(field, read)?;
    u32::try_from(n).ok()
}

/// A boolean, or `default`.
fn boolean(s: &mut Section<'_>, check: &mut Check<'_>, key: &'static str, default: bool) -> bool {
    let Some(field) = s.get(key) else { return default };
    if !unquoted(check, &field, "`true` or `false`", value::boolean) {
        return default;
    }
    check.parsed(&field, value::boolean).unwrap_or(default)
}

/// Whether a value stands without quotes, which numbers and booleans must; `read` knows whether it would do without them.
fn unquoted<T>(
    check: &mut Check<'_>,
    field: &Field<'_>,
    wanted: &str,
    read: impl Fn(&str) -> Result<T, value::Wrong>,
) -> bool {
    match check.raw(field) {
        Some((_, true)) => true,
        Some((text, false)) => {
            let message = format!("`{}` must be {wanted}, but is text", field.path);
            let help = match read(text) {
                Ok(_) => Some(format!("leave the quotes out: {}", super::problem::printable(text))),
                Err(wrong) => wrong.help,
            };
            check.error_with(field.node.span, "wrong-type", message, help);
            false
        }
        None => false,
    }
}

/// A duration within bounds, or `default`.
fn span(
    s: &mut Section<'_>,
    check: &mut Check<'_>,
    key: &'static str,
    (min, max): (Duration, Duration),
    default: Duration,
) -> Duration {
    s.get(key).and_then(|field| check.parsed(&field, value::duration(min, max))).unwrap_or(default)
}

/// Refuses a value that stands in a list for the second time.
fn distinct(check: &mut Check<'_>, fields: &[Field<'_>], texts: &[String]) {
    for (n, (field, text)) in fields.iter().zip(texts).enumerate() {
        if texts[..n].contains(text) {
            let message = format!("`{}` repeats {}", field.path, super::problem::quote(text));
            check.error(field.node.span, "duplicate-value", message);
        }
    }
}

/// An EC2 id of the given prefix; one of unusual length is used, but warned about.
fn id(check: &mut Check<'_>, field: &Field<'_>, prefix: &'static str) -> Option<String> {
    let text = check.text_of(field)?;
    let result = super::aws::id(prefix, text);
    let (text, usual) = check.judged(field, result)?;
    if !usual {
        let message =
            format!("`{}` is {}, which does not look like an id from EC2", field.path, super::problem::quote(text));
        let help = format!("EC2 gives `{prefix}` and 17 hexadecimal digits (8 in old accounts)");
        check.warn(field.node.span, "odd-id", message, &help);
    }
    Some(text.to_owned())
}
