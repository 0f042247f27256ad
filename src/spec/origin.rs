//! Where the value of each field comes from: the file, the command line, the environment, or nobody said it.

use super::check::{Check, variables};
use super::fields::{Absent, FLEET, Field, Kind};
use super::set::SetBy;
use super::tree::{Kind as Node, Node as Tree};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Most characters of a value that are shown.
const SHOWN: usize = 100;

/// Sections whose fields hold by default when the section itself is left out; of the others nothing holds then.
const STANDING: [&str; 6] = ["ssh", "image", "done", "fleet.accept", "fleet.root", "fleet.metadata"];

/// Fields whose values are the owner's own and may be secrets: only their keys are shown.
const KEYS_ONLY: [&str; 1] = ["release.vars"];

/// What a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// The spec's file.
    File,
    /// `--set` on the command line, or a verb's own flag, which the place names.
    Set,
    /// The environment variable `FLEETWRIGHT_SET`.
    FleetwrightSet,
    /// `--region` on the command line.
    Region,
    /// Environment variables that the value names.
    Environment,
    /// The template instance, since the spec does not say it.
    Template,
    /// The image, since the spec does not say it.
    Image,
    /// Nobody said it: what holds then.
    Default,
}

/// The value of one field, and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Value {
    /// The field, for example `fleet.size`.
    pub path: String,
    /// As it is written; `${NAME}` stays as it is, commands are shown by their first word, long values are cut.
    pub value: String,
    /// What it comes from.
    pub from: Origin,
    /// The place: file and line, or the thing that it was taken from.
    pub place: Option<String>,
    /// The environment variables that are in it, by name.
    pub variables: Vec<String>,
}

/// Every field that has a value or a default, in the order of the reference.
pub(crate) fn values(check: &Check<'_>, root: &Tree) -> Vec<Value> {
    let told = |field: &&Field| field.path != "version" && !field.path.starts_with("rehearsal");
    FLEET.fields().filter(told).filter_map(|field| value(check, root, field)).collect()
}

fn value(check: &Check<'_>, root: &Tree, field: &Field) -> Option<Value> {
    let path = field.path.to_owned();
    let has_fields = FLEET.children(field.path).next().is_some();
    let Some(node) = find(root, field.path) else {
        let standing = |path: &str| find(root, path).is_some() || STANDING.contains(&path);
        let lists =
            ancestors(field.path).any(|path| matches!(FLEET.field(path), Some(Field { kind: Kind::List { .. }, .. })));
        let value = match field.absent {
            Absent::Value(text) | Absent::Means(text) => text.replace('`', ""),
            Absent::Nothing => return None,
        };
        let holds = !lists && !has_fields && ancestors(field.path).all(standing);
        return holds.then_some(Value { path, value, from: Origin::Default, place: None, variables: Vec::new() });
    };
    if has_fields && matches!(node.kind, Node::Map(_)) {
        return None;
    }
    let text = match field.kind {
        _ if KEYS_ONLY.contains(&field.path) => keys(node),
        Kind::Command | Kind::Template => first_word(&written(node)),
        _ if has_fields => format!("{} entries", entries(node)),
        _ => written(node),
    };
    let mut names: Vec<String> = Vec::new();
    if field.env {
        texts(node, &mut |text| names.extend(variables(text).map(|(_, name)| name.to_owned())));
    }
    let by = check.set_by.get(&node.span.source);
    let (from, place) = match by {
        None => (Origin::File, Some(format!("{}:{}", check.name(node.span), check.line(node.span)))),
        Some(SetBy::Argument) => (Origin::Set, None),
        Some(SetBy::Variable) => (Origin::FleetwrightSet, None),
        Some(SetBy::Region) => (Origin::Region, None),
    };
    let from = if names.is_empty() { from } else { Origin::Environment };
    Some(Value { path, value: cut(&text), from, place, variables: names })
}

/// The sections above a path, the nearest last.
fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('.').map(|(at, _)| &path[..at])
}

fn find<'t>(root: &'t Tree, path: &str) -> Option<&'t Tree> {
    path.split('.').try_fold(root, |node, key| match &node.kind {
        Node::Map(entries) => entries.iter().find(|(k, _)| k.text == key).map(|(_, node)| node),
        Node::Scalar { .. } | Node::List(_) => None,
    })
}

/// A value in flow style.
fn written(node: &Tree) -> String {
    match &node.kind {
        Node::Scalar { text, .. } => text.clone(),
        Node::List(items) => format!("[{}]", items.iter().map(written).collect::<Vec<_>>().join(", ")),
        Node::Map(entries) => {
            let entries: Vec<String> =
                entries.iter().map(|(key, node)| format!("{}: {}", key.text, written(node))).collect();
            format!("{{{}}}", entries.join(", "))
        }
    }
}

fn keys(node: &Tree) -> String {
    match &node.kind {
        Node::Map(entries) => entries.iter().map(|(key, _)| key.text.as_str()).collect::<Vec<_>>().join(", "),
        Node::Scalar { .. } | Node::List(_) => String::new(),
    }
}

fn entries(node: &Tree) -> usize {
    match &node.kind {
        Node::List(items) => items.len(),
        Node::Map(entries) => entries.len(),
        Node::Scalar { .. } => 1,
    }
}

fn texts(node: &Tree, tell: &mut dyn FnMut(&str)) {
    match &node.kind {
        Node::Scalar { text, .. } => tell(text),
        Node::List(items) => items.iter().for_each(|item| texts(item, tell)),
        Node::Map(entries) => entries.iter().for_each(|(_, node)| texts(node, tell)),
    }
}

/// A command may hold a password: its first word says which command it is.
fn first_word(text: &str) -> String {
    match text.trim().split_once(char::is_whitespace) {
        Some((word, _)) => format!("{word} ..."),
        None => text.trim().to_owned(),
    }
}

fn cut(text: &str) -> String {
    let short: String = text.chars().take(SHOWN).collect();
    if short.len() < text.len() { format!("{short}...") } else { short }
}
