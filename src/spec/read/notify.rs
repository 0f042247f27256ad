//! `notify:` who hears how a verb ended.

use super::distinct;
use crate::model::Occasion;
use crate::spec::check::{Check, variables};
use crate::spec::notify::Notify;
use crate::spec::section::Field;
use crate::spec::tree::Kind;
use crate::spec::value;

/// More receivers than anybody has.
const MOST: usize = 16;

/// The words of `events`.
const WORDS: [(&str, Occasion); Occasion::ALL.len()] = {
    let mut words = [("", Occasion::Failed); Occasion::ALL.len()];
    let mut n = 0;
    while n < words.len() {
        words[n] = (Occasion::ALL[n].0, Occasion::ALL[n].2);
        n += 1;
    }
    words
};

pub(super) fn notify(check: &mut Check<'_>, field: &Field<'_>) -> Vec<Notify> {
    let Some(entries) = check.list(field) else { return Vec::new() };
    if entries.len() > MOST {
        let message = format!("`{}` has {} entries; it may have {MOST}", field.path, entries.len());
        check.error(field.key, "out-of-range", message);
        return Vec::new();
    }
    entries.iter().filter_map(|entry| receiver(check, entry)).collect()
}

fn receiver(check: &mut Check<'_>, field: &Field<'_>) -> Option<Notify> {
    let mut s = check.section(field, "`- {events: [done, stalled], webhook: \"${SLACK_WEBHOOK}\"}`")?;
    let events = match s.get("events") {
        Some(field) => events(check, &field),
        None => Occasion::ALL.iter().map(|(.., on)| *on).filter(|on| *on != Occasion::Interrupted).collect(),
    };
    let webhook = s.need("webhook", "\"${SLACK_WEBHOOK}\"").and_then(|f| webhook(check, &f));
    s.close(check, &[]);
    Some(Notify { events, webhook: webhook? })
}

fn events(check: &mut Check<'_>, field: &Field<'_>) -> Vec<Occasion> {
    let Some(items) = check.list(field) else { return Vec::new() };
    if items.is_empty() {
        let help = Some("leave the key out to hear of all but `interrupted`");
        check.error_with(field.key, "empty", format!("`{}` has no entries: nobody would be told", field.path), help);
    }
    let texts: Vec<String> = items
        .iter()
        .map(|item| match &item.node.kind {
            Kind::Scalar { text, .. } => text.clone(),
            Kind::List(_) | Kind::Map(_) => item.path.clone(),
        })
        .collect();
    distinct(check, &items, &texts);
    items.iter().filter_map(|item| check.parsed(item, value::choice(&WORDS))).collect()
}

/// The variable's name. What stands there instead is not repeated: it is a secret.
fn webhook(check: &mut Check<'_>, field: &Field<'_>) -> Option<String> {
    let (text, _) = check.raw(field)?;
    let name = variables(text).next().filter(|(at, name)| *at == 0 && name.len() + 3 == text.len());
    let Some((_, name)) = name else {
        let message =
            format!("`{}` must be `${{NAME}}` of an environment variable: the address is a secret", field.path);
        let help = "put the address into the environment, and write \"${SLACK_WEBHOOK}\" here";
        check.secret(field.node.span, "bad-value", message, help);
        return None;
    };
    let receiver = Notify { events: Vec::new(), webhook: name.to_owned() };
    if let Err(why) = receiver.address(|name| check.env(name)) {
        let message = format!("`{}`: {name} {why}, so nobody will be told", field.path);
        check.warn(field.node.span, "environment", message, &format!("export {name}=https://..."));
    }
    Some(receiver.webhook)
}
