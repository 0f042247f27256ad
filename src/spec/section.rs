//! A section of a spec: its keys are asked for one by one, and none is missed.

use super::check::Check;
use super::problem::{printable, quote};
use super::tree::{Key, Node, Span};
use super::words::{self, Meant};

/// One value with the path that leads to it.
#[derive(Clone, Debug)]
pub(crate) struct Field<'n> {
    /// For example `fleet.accept.min`.
    pub(crate) path: String,
    /// Where its key stands; the value's own place in a list.
    pub(crate) key: Span,
    /// The value.
    pub(crate) node: &'n Node,
}

/// A section whose keys are asked for one by one; what nobody asked for is unknown.
#[derive(Debug)]
pub(crate) struct Section<'n> {
    /// For example `fleet.accept`; empty at the top.
    pub(crate) path: String,
    /// Where its key stands.
    pub(crate) span: Span,
    entries: &'n [(Key, Node)],
    known: Vec<&'static str>,
    /// Keys that must be there and are not, with an example of each: told at the end, unless they were misspelt.
    missing: Vec<(&'static str, String)>,
}

impl<'n> Section<'n> {
    /// The section with these entries, none of them asked for yet.
    pub(crate) fn new(path: String, span: Span, entries: &'n [(Key, Node)]) -> Self {
        Self { path, span, entries, known: Vec::new(), missing: Vec::new() }
    }

    /// All keys and values, for sections whose keys are the owner's own.
    pub(crate) fn fields(&self) -> impl Iterator<Item = (&'n Key, Field<'n>)> + use<'n> {
        let prefix = self.path.clone();
        self.entries
            .iter()
            .map(move |(key, node)| (key, Field { path: join(&prefix, &printable(&key.text)), key: key.span, node }))
    }

    /// The value under a key, for those who only look: the key is not known because of it.
    pub(crate) fn peek(&self, key: &str) -> Option<&'n Node> {
        self.entries.iter().find(|(k, _)| k.text == key).map(|(_, node)| node)
    }

    /// The value under a key, if it is there.
    pub(crate) fn get(&mut self, key: &'static str) -> Option<Field<'n>> {
        if !self.known.contains(&key) {
            self.known.push(key);
        }
        let (key, node) = self.entries.iter().find(|(k, _)| k.text == key)?;
        Some(Field { path: join(&self.path, &key.text), key: key.span, node })
    }

    /// The value under a key that must be there; that it is missing is noted when the section is closed.
    pub(crate) fn need(&mut self, key: &'static str, example: &str) -> Option<Field<'n>> {
        let found = self.get(key);
        if found.is_none() {
            self.missing.push((key, example.to_owned()));
        }
        found
    }

    /// Refuses keys that a later version will know, with the reason.
    pub(crate) fn later(&mut self, check: &mut Check<'_>, keys: &[(&'static str, &str)]) {
        for (key, what) in keys {
            let asked = self.known.len();
            if let Some(field) = self.get(key) {
                not_yet(check, field.key, &format!("`{}`", field.path), what);
            }
            self.known.truncate(asked);
        }
    }

    /// Names every key that nobody asked for, and every one that is missing.
    pub(crate) fn close(self, check: &mut Check<'_>, later: &[(&'static str, &str)]) {
        let mut this = self;
        this.later(check, later);
        for (key, _) in this.entries {
            if this.known.contains(&key.text.as_str()) || later.iter().any(|(k, _)| *k == key.text) {
                continue;
            }
            if check.problems.is_full() {
                // Only counted from here on; a file of 100,000 unknown keys has no use for guesses.
                check.error(key.span, "unknown-key", "");
                continue;
            }
            let message = format!("there is no {}", quote(&join(&this.path, &key.text)));
            let meant = words::meant(&this.path, &key.text, &this.known);
            if let Meant::Here(near) | Meant::Called(near) | Meant::Glued(near) = meant {
                this.missing.retain(|(missing, _)| *missing != near);
            }
            check.error_with(key.span, "unknown-key", message, Some(meant.help(&this.known)));
        }
        for (key, example) in &this.missing {
            let message = format!("`{}` is missing", join(&this.path, key));
            check.error_with(this.span, "missing-key", message, Some(format!("for example `{key}: {example}`")));
        }
    }
}

/// Notes something that is documented but that this version does not do.
pub(crate) fn not_yet(check: &mut Check<'_>, span: Span, subject: &str, what: &str) {
    check.error(span, "not-yet", format!("this version does not do {subject} yet: {what}"));
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}
