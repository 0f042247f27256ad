//! `--set fleet.size=60`: changes to the tree before it is checked, so that they are checked like the file.

use super::check::Check;
use super::problem::quote;
use super::tree::{Key, Kind, Node, Span};
use super::{fields, yaml};

/// Who changes a field of the spec beside its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetBy {
    /// `--set`
    Argument,
    /// A line of `FLEETWRIGHT_SET`.
    Variable,
    /// `--region`
    Region,
}

/// One change of the spec, as `path=value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Set {
    /// Who makes it.
    pub by: SetBy,
    /// For example `fleet.size=60`.
    pub text: String,
}

impl From<String> for Set {
    /// As `--set` has it.
    fn from(text: String) -> Self {
        Self { by: SetBy::Argument, text }
    }
}

/// Most characters of an argument that a report names it by.
const SHOWN: usize = 60;

/// Puts one `path=value` into the tree; what is wrong with it is noted with the argument as its place.
pub(crate) fn apply(check: &mut Check<'_>, root: &mut Node, set: &Set) {
    let argument = set.text.as_str();
    let short: String = argument.chars().take(SHOWN).collect();
    let dots = if short.len() < argument.len() { "..." } else { "" };
    let name = match set.by {
        SetBy::Argument => "--set",
        SetBy::Variable => "FLEETWRIGHT_SET",
        SetBy::Region => "--region as",
    };
    let source = check.add_source(format!("{name} {short}{dots}"), argument.to_owned());
    check.set_by.insert(source, set.by);
    let whole = Span { source, start: 0, end: argument.len() };
    let Some((path, _)) = argument.split_once('=') else {
        check.error_with(whole, "bad-set", "there is no `=` in it", Some("write it as fleet.size=60"));
        return;
    };
    let mut at = 0;
    let mut keys = Vec::new();
    // Reports show an entry of a list as `notify[0]`: that is its path here, as `notify.0` is.
    for part in path.split(['.', '[']) {
        let word = if path[..at].ends_with('[') { part.strip_suffix(']').unwrap_or_default() } else { part };
        let span = Span { source, start: at, end: at + word.len() };
        if word.is_empty() {
            let help = Some("write it as fleet.size=60");
            check.error_with(span, "bad-set", "a part of the path is empty", help);
            return;
        }
        keys.push(Key { text: word.to_owned(), span });
        at += part.len() + 1;
    }
    let Some(mut value) = yaml::parse(check, source, path.len() + 1) else {
        if argument.len() == path.len() + 1 {
            let example = match fields::FLEET.field(path) {
                Some(field) => format!("{path}={}", field.example),
                None => format!("{path}=VALUE"),
            };
            let message = format!("{} is given no value", quote(path));
            check.error_with(whole, "empty", message, Some(format!("write it as {example}")));
        }
        return;
    };
    value.span = Span { source, start: path.len() + 1, end: argument.len() };
    put(check, root, &keys, value);
}

/// Walks down, making sections that are not there, and replaces what stands at the end.
fn put(check: &mut Check<'_>, mut node: &mut Node, keys: &[Key], value: Node) {
    for (depth, key) in keys.iter().enumerate() {
        let word = node.word();
        node = match &mut node.kind {
            Kind::Map(entries) => {
                let found = entries.iter().position(|(k, _)| k.text == key.text);
                let found = found.unwrap_or_else(|| {
                    entries.push((key.clone(), Node { span: key.span, kind: Kind::Map(Vec::new()) }));
                    entries.len() - 1
                });
                let (own, value) = &mut entries[found];
                // What is said of the new value's key is said of the argument.
                if depth + 1 == keys.len() {
                    own.span = key.span;
                }
                value
            }
            Kind::List(items) => {
                let count = items.len();
                let Some(item) = key.text.parse::<usize>().ok().and_then(|n| items.get_mut(n)) else {
                    let message = format!("{} must be an entry's number, from 0 and below {count}", quote(&key.text));
                    check.error(key.span, "bad-set", message);
                    return;
                };
                item
            }
            Kind::Scalar { .. } => {
                let path: Vec<&str> = keys[..depth].iter().map(|k| k.text.as_str()).collect();
                let message = format!("{} is {word}, so nothing stands below it", quote(&path.join(".")));
                check.error(key.span, "bad-set", message);
                return;
            }
        };
    }
    *node = value;
}
