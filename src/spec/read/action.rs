//! What a playbook's step does: exactly one of seven actions.

use super::SECOND;
use super::playbook::{Role, need_text, text};
use crate::spec::check::Check;
use crate::spec::playbook::{Action, Command, PutContent, Text};
use crate::spec::section::{Field, Section};
use crate::spec::tree::Kind;
use crate::spec::value::{self, Wrong};
use crate::spec::words::{Meant, meant};
use std::time::Duration;

const ACTIONS: &[&str] = &["put", "unpack", "run", "link", "restart", "reboot", "check"];

/// Reads the one action of a step.
pub(super) fn action(check: &mut Check<'_>, role: Role, s: &mut Section<'_>, step: &Field<'_>) -> Option<Action> {
    let given: Vec<(&str, Field<'_>)> = ACTIONS.iter().filter_map(|key| s.get(key).map(|f| (*key, f))).collect();
    let [(key, field)] = given.as_slice() else {
        // A misspelt word is told as an unknown key by the caller.
        if given.is_empty() && s.fields().any(|(k, _)| meant(&step.path, &k.text, ACTIONS) != Meant::Unknown) {
            return None;
        }
        let message = match given.as_slice() {
            [] => format!("`{}` does nothing: it has none of {}", step.path, ACTIONS.join(", ")),
            many => {
                let words: Vec<&str> = many.iter().map(|(key, _)| *key).collect();
                format!("`{}` does {} things ({})", step.path, many.len(), words.join(", "))
            }
        };
        check.error_with(step.node.span, "conflict", message, Some("a step has exactly one action"));
        return None;
    };
    match *key {
        "put" => put(check, field),
        "unpack" => {
            if role != Role::Deploy {
                let message = "only release.playbook has a release to unpack";
                check.error_with(field.key, "conflict", message, Some("unpack it in release.playbook"));
            }
            let mut s = check.section(field, "`unpack: {to: \"/srv/releases/{{ release }}\"}`")?;
            let to = path(check, &mut s, "to", "\"/srv/releases/{{ release }}\"");
            s.close(check, &[]);
            Some(Action::Unpack { to: to? })
        }
        "run" => command(check, field).map(Action::Run),
        "link" => {
            let example = "`link: {to: \"/srv/releases/{{ release }}\", at: /srv/current}`";
            let mut s = check.section(field, example)?;
            let to = need_text(check, &mut s, "to", "\"/srv/releases/{{ release }}\"");
            let at = path(check, &mut s, "at", "/srv/current");
            s.close(check, &[]);
            Some(Action::Link { to: to?, at: at? })
        }
        "restart" => service(check, field).map(Action::Restart),
        "reboot" => {
            if role == Role::Drain {
                let message = "a host that is about to end has no use for a reboot";
                check.error_with(field.key, "conflict", message, Some("a drain lets the worker finish what it has"));
            }
            let mut s = check.section(field, "`reboot: {within: 10m}`")?;
            let within = super::span(&mut s, check, "within", (10 * SECOND, 3600 * SECOND), Duration::from_mins(10));
            s.close(check, &[]);
            Some(Action::Reboot { within })
        }
        _ => command(check, field).map(Action::Check),
    }
}

fn put(check: &mut Check<'_>, field: &Field<'_>) -> Option<Action> {
    let mut s = check.section(field, "`put: {file: worker.conf, to: /etc/worker.conf}`")?;
    let content = match (s.get("file"), s.get("text")) {
        (Some(f), None) => check.file(&f, false).map(PutContent::File),
        (None, Some(f)) => text(check, &f).map(PutContent::Text),
        // A misspelt word is told as an unknown key below.
        (None, None) if s.fields().any(|(k, _)| meant(&field.path, &k.text, &["file", "text"]) != Meant::Unknown) => {
            None
        }
        (Some(_), Some(_)) | (None, None) => {
            let message = format!("`{}` must have either `file` or `text`", field.path);
            check.error(field.key, "conflict", message);
            None
        }
    };
    let to = path(check, &mut s, "to", "/etc/worker.conf");
    let mode = s.get("mode").map_or(Some(0o644), |f| check.parsed(&f, mode));
    let owner = s.get("owner").and_then(|f| text(check, &f));
    s.close(check, &[]);
    Some(Action::Put { content: content?, to: to?, mode: mode?, owner })
}

/// A path on the host, under a key that must be there; what a template brings to its front is judged when it is rendered.
fn path(check: &mut Check<'_>, s: &mut Section<'_>, key: &'static str, example: &str) -> Option<Text> {
    let field = s.need(key, example)?;
    let path = text(check, &field)?;
    if path.0.starts_with(['/', '{']) && !path.0.split('/').any(|part| part == "..") {
        return Some(path);
    }
    check.judged(&field, Err(Wrong::bad("an absolute path without `..`")))
}

/// A service's name, as far as it is no template.
fn service(check: &mut Check<'_>, field: &Field<'_>) -> Option<Text> {
    let name = text(check, field)?;
    let valid = |c: char| c.is_ascii_alphanumeric() || ":-_.\\@".contains(c);
    if name.0.contains('{') || !name.0.is_empty() && !name.0.starts_with('-') && name.0.chars().all(valid) {
        return Some(name);
    }
    check.judged(field, Err(Wrong::bad("a systemd unit's name")))
}

/// Mode bits as for chmod; the digits are octal whether quoted or not.
fn mode(digits: &str) -> Result<u32, Wrong> {
    let wrong = || Wrong::bad("mode bits such as \"0644\"");
    if !matches!(digits.len(), 3 | 4) {
        let octal = digits.strip_prefix("0o").filter(|rest| rest.len() == 3);
        return Err(wrong().likely(octal.map(|rest| format!("\"0{rest}\""))));
    }
    u32::from_str_radix(digits, 8).ok().filter(|_| !digits.starts_with('+')).ok_or_else(wrong)
}

/// `run` and `check`: a text for the shell, or a list of words.
fn command(check: &mut Check<'_>, field: &Field<'_>) -> Option<Command> {
    if let Kind::List(items) = &field.node.kind {
        if items.is_empty() {
            check.error(field.key, "empty", format!("`{}` has no words", field.path));
            return None;
        }
        let words = check.list(field)?;
        let words: Vec<_> = words.iter().map(|f| text(check, f)).collect();
        return words.into_iter().collect::<Option<_>>().map(Command::Words);
    }
    let shell = text(check, field)?;
    if shell.0.trim().is_empty() {
        check.judged::<()>(field, Err(value::Wrong::bad("a command")));
        return None;
    }
    Some(Command::Shell(shell))
}
