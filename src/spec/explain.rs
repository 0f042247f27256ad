//! `explain`: what there is to say about one field, found by its path however it is written.

use super::fields::{Document, FLEET, Field, Kind, PLAYBOOK, plain};
use super::words::nearest;
use schemars::JsonSchema;
use serde::Serialize;

/// All that the table says about one field, or about the top of a document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Explanation {
    /// `fleet.yaml` or `playbook`.
    pub document: &'static str,
    /// The field's path; empty at the top.
    pub path: String,
    /// What it takes, in words.
    #[serde(rename = "type")]
    pub kind: String,
    /// Whether its section can't do without it.
    pub required: bool,
    /// What holds when it is left out.
    pub default: Option<&'static str>,
    /// The unit that it is written or counted in.
    pub unit: Option<&'static str>,
    /// Its bounds, as they are written.
    pub bounds: Option<String>,
    /// The words that it takes, each with what it means.
    pub choices: Vec<Choice>,
    /// An example, as it stands in the file.
    pub example: Option<String>,
    /// Fields that must be there too.
    pub needs: Vec<&'static str>,
    /// Keys of which exactly one must be there.
    pub one_of: Vec<&'static str>,
    /// Whether `${NAME}` in it is read from the environment.
    pub environment: bool,
    /// The page that says more.
    pub source: Option<&'static str>,
    /// What it is.
    pub about: &'static str,
    /// What stands in it.
    pub fields: Vec<Child>,
}

/// A word that a field takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Choice {
    /// The word.
    pub value: &'static str,
    /// What it means.
    pub meaning: &'static str,
}

/// A field of a section, in short.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Child {
    /// Its key.
    pub name: &'static str,
    /// What it takes.
    #[serde(rename = "type")]
    pub kind: String,
    /// Whether the section can't do without it.
    pub required: bool,
    /// What holds when it is left out.
    pub default: Option<&'static str>,
    /// What it is.
    pub about: &'static str,
}

/// There is no such field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no field {}", super::problem::quote(path))]
pub struct Unknown {
    /// What was asked for.
    pub path: String,
    /// What was likely meant, or what there is.
    pub help: String,
}

/// Explains a field; without a path, the top of a fleet.yaml.
///
/// Takes the paths that `--set` and reports show: `fleet.types`, `rehearsal.mounts[0].at`, `steps[2].put.mode`. A
/// playbook's fields may stand behind `playbook.`.
///
/// # Errors
///
/// When there is no such field, with the nearest one.
pub fn explain(path: Option<&str>) -> Result<Explanation, Unknown> {
    let Some(written) = path else { return Ok(top(&FLEET)) };
    let path = plain(written);
    if path == PLAYBOOK.name {
        return Ok(top(&PLAYBOOK));
    }
    let in_playbook = path.strip_prefix("playbook.");
    if let Some(field) = FLEET.field(&path) {
        return Ok(one(&FLEET, field));
    }
    if let Some(field) = PLAYBOOK.field(in_playbook.unwrap_or(&path)) {
        return Ok(one(&PLAYBOOK, field));
    }
    // A key of the owner's own is what its section says of every key.
    for document in [&FLEET, &PLAYBOOK] {
        let parent = in_playbook.unwrap_or(&path).rsplit_once('.').and_then(|(parent, _)| document.field(parent));
        if let Some(field) = parent.filter(|field| matches!(field.kind, Kind::Map { .. })) {
            return Ok(one(document, field));
        }
    }
    Err(Unknown { path: written.to_owned(), help: help(&path) })
}

/// What was likely meant: a neighbour, or a field of that name elsewhere; else what there is.
fn help(path: &str) -> String {
    let (document, path, before) = match path.strip_prefix("playbook.") {
        Some(rest) => (&PLAYBOOK, rest, "playbook."),
        None => (&FLEET, path, ""),
    };
    let (parent, key) = path.rsplit_once('.').unwrap_or(("", path));
    let siblings: Vec<&str> = document.children(parent).map(Field::key).collect();
    if let Some(near) = nearest(key, &siblings) {
        let dot = if parent.is_empty() { "" } else { "." };
        return format!("did you mean `{before}{parent}{dot}{near}`?");
    }
    let elsewhere: Vec<String> = [(&FLEET, ""), (&PLAYBOOK, "playbook.")]
        .into_iter()
        .flat_map(|(document, before)| {
            document.fields().filter(|field| field.key() == key).map(move |field| format!("`{before}{}`", field.path))
        })
        .collect();
    if !elsewhere.is_empty() {
        return format!("did you mean {}?", elsewhere.join(" or "));
    }
    if siblings.is_empty() {
        let all: Vec<&str> = document.fields().map(|field| field.path).collect();
        if let Some(near) = nearest(path, &all) {
            return format!("did you mean `{before}{near}`?");
        }
        return "fleetwright explain lists the fields of a fleet.yaml, fleetwright explain playbook those of a playbook"
            .to_owned();
    }
    format!("known here: {}", siblings.join(", "))
}

fn top(document: &Document) -> Explanation {
    Explanation {
        document: document.title,
        path: String::new(),
        kind: "file".to_owned(),
        required: false,
        default: None,
        unit: None,
        bounds: None,
        choices: Vec::new(),
        example: None,
        needs: Vec::new(),
        one_of: Vec::new(),
        environment: false,
        source: None,
        about: document.about,
        fields: children(document, ""),
    }
}

fn one(document: &Document, field: &Field) -> Explanation {
    let choices = match field.kind {
        Kind::Choice(words) => words.iter().map(|(value, meaning)| Choice { value, meaning }).collect(),
        _ => Vec::new(),
    };
    Explanation {
        document: document.title,
        path: document.shown(field.path),
        kind: field.kind.words(),
        required: field.required,
        default: field.default_words(),
        unit: field.unit(),
        bounds: field.kind.bounds(),
        choices,
        example: Some(format!("{}: {}", field.key(), field.example)),
        needs: field.needs.to_vec(),
        one_of: field.kind.one_of().to_vec(),
        environment: field.env,
        source: field.source,
        about: field.about,
        fields: children(document, field.path),
    }
}

fn children(document: &Document, path: &str) -> Vec<Child> {
    let child = |field: &Field| Child {
        name: field.key(),
        kind: field.kind.words(),
        required: field.required,
        default: field.default_words(),
        about: field.about,
    };
    document.children(path).map(child).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_found_however_they_are_written() {
        for (written, path) in [
            ("fleet.size", "fleet.size"),
            ("rehearsal.mounts[0].at", "rehearsal.mounts[].at"),
            ("rehearsal.mounts.0.at", "rehearsal.mounts[].at"),
            ("rehearsal.mounts[].at", "rehearsal.mounts[].at"),
            ("tags.team", "tags"),
            ("steps[2].put.mode", "steps[].put.mode"),
            ("playbook.steps.retries", "steps[].retries"),
            ("playbook.vars.root", "vars"),
        ] {
            assert_eq!(explain(Some(written)).expect(written).path, path, "{written}");
        }
        assert_eq!(explain(Some("playbook")).expect("a top").document, "playbook");
        assert_eq!(explain(Some("fleet")).expect("a section").fields.len(), FLEET.children("fleet").count());
        assert_eq!(explain(None).expect("a top").fields[0].name, "version");
    }

    #[test]
    fn unknown_fields_are_told_with_the_nearest() {
        for (written, help) in [
            ("fleet.sise", "did you mean `fleet.size`?"),
            ("flete", "did you mean `fleet`?"),
            ("playbook.steps.tiemout", "did you mean `playbook.steps.timeout`?"),
            ("hop_limit", "did you mean `fleet.metadata.hop_limit`?"),
            ("fleet.deadline", "did you mean `done.deadline`?"),
            ("fleet.zzzzzzzzzzzz", "known here: size, mode"),
            ("zzzzzzzzzzz.zzzzzzzzz", "fleetwright explain lists"),
        ] {
            let unknown = explain(Some(written)).expect_err(written);
            assert!(unknown.help.starts_with(help), "{written}: {}", unknown.help);
        }
        assert_eq!(explain(Some("\u{1b}[31m")).expect_err("hostile").to_string(), r"there is no field `\u{1b}[31m`");
    }
}
