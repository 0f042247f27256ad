//! JSON Schema (2020-12) of a fleet.yaml or a playbook, made from the table of fields, for editors and validators.
//!
//! A schema sees values as YAML's core schema types them, where a plain `42` is a number wherever it stands: texts that
//! may look so are allowed to be numbers and booleans. What spans several sections, files or the account only the reader
//! can tell.

use super::fields::{Absent, Document, Field, Form, Kind};
use super::yaml;
use serde_json::{Map, Value, json};

/// A `${NAME}` of the environment.
const VARIABLE: &str = r"\$\{[A-Za-z_][A-Za-z0-9_]*\}";

/// The whole schema of a document.
pub fn schema(document: &Document) -> Value {
    let mut root = Map::new();
    root.insert("$schema".into(), "https://json-schema.org/draft/2020-12/schema".into());
    root.insert("title".into(), format!("fleetwright {}", document.title).into());
    root.insert("description".into(), document.about.into());
    let top = section(document, "", &[]);
    match document.bare.and_then(|path| document.field(path)) {
        Some(field) => {
            root.insert("anyOf".into(), json!([top, shape(document, &field.kind, field)]));
        }
        None => root.extend(top),
    }
    if !document.any_of.is_empty() {
        let sets: Vec<Value> = document.any_of.iter().map(|keys| json!({ "required": keys })).collect();
        root.insert("anyOf".into(), sets.into());
    }
    Value::Object(root)
}

/// A section: its keys, and no others.
fn section(document: &Document, path: &str, one_of: &[&str]) -> Map<String, Value> {
    let mut properties = Map::new();
    let mut required = Vec::new();
    let mut dependent = Map::new();
    let mut instead = Map::new();
    for field in document.children(path) {
        properties.insert(field.key().into(), property(document, field));
        if field.required {
            required.push(field.key());
        }
        let beside = field.needs.iter().filter_map(|need| document.field(need)).filter(|need| need.parent() == path);
        let beside: Vec<&str> = beside.map(Field::key).collect();
        let others = field.instead.iter().filter_map(|other| document.field(other));
        let others: Map<String, Value> = others.map(|other| (other.key().into(), false.into())).collect();
        if !others.is_empty() {
            instead.insert(field.key().into(), json!({ "properties": others }));
        }
        if !beside.is_empty() {
            dependent.insert(field.key().into(), json!(beside));
        }
    }
    let mut out = Map::new();
    out.insert("type".into(), "object".into());
    out.insert("properties".into(), properties.into());
    out.insert("additionalProperties".into(), false.into());
    if !required.is_empty() {
        out.insert("required".into(), json!(required));
    }
    if !dependent.is_empty() {
        out.insert("dependentRequired".into(), dependent.into());
    }
    if !instead.is_empty() {
        out.insert("dependentSchemas".into(), instead.into());
    }
    if !one_of.is_empty() {
        let each: Vec<Value> = one_of.iter().map(|key| json!({ "required": [key] })).collect();
        out.insert("oneOf".into(), each.into());
    }
    out
}

/// One field with all that an editor can show of it.
pub(super) fn property(document: &Document, field: &Field) -> Value {
    let mut out = shape(document, &field.kind, field);
    out.insert("description".into(), describe(field).into());
    if let Absent::Value(text) = field.absent
        && let Some(value) = yaml::value(text)
    {
        out.insert("default".into(), value);
    }
    if let Some(value) = yaml::value(field.example) {
        out.insert("examples".into(), json!([value]));
    }
    out.into()
}

/// What a field is, with the bounds and defaults that a schema has no word for.
fn describe(field: &Field) -> String {
    let mut parts = vec![field.about.to_owned()];
    if let Kind::Choice(words) = field.kind {
        let words: Vec<String> = words.iter().map(|(word, what)| format!("`{word}`: {what}")).collect();
        parts.push(words.join("; "));
    }
    parts.extend(field.kind.bounds().map(|bounds| format!("Bounds: {bounds}")));
    if let Absent::Means(words) = field.absent {
        parts.push(format!("Default: {words}"));
    }
    if !field.needs.is_empty() {
        parts.push(format!("Needs: {}", field.needs.join(", ")));
    }
    parts.extend(field.source.map(str::to_owned));
    parts.join("\n\n")
}

/// What a value must look like.
fn shape(document: &Document, kind: &Kind, field: &Field) -> Map<String, Value> {
    let value = match kind {
        Kind::Section { one_of } => return section(document, field.path, one_of),
        Kind::Map { keys, of, most } => {
            let mut map = json!({
                "type": "object",
                "propertyNames": { "pattern": keys },
                "additionalProperties": shape(document, of, field),
            });
            if let Some(most) = most {
                map["maxProperties"] = json!(most);
            }
            map
        }
        Kind::List { of, least, most } => {
            let mut list = json!({ "type": "array", "items": shape(document, of, field) });
            if *least > 0 {
                list["minItems"] = json!(least);
            }
            if let Some(most) = most {
                list["maxItems"] = json!(most);
            }
            list
        }
        Kind::Either(kinds) => {
            let kinds: Vec<Value> = kinds.iter().map(|kind| shape(document, kind, field).into()).collect();
            json!({ "anyOf": kinds })
        }
        Kind::Whole { least, most } => json!({ "type": "integer", "minimum": least, "maximum": most }),
        Kind::Boolean => json!({ "type": "boolean" }),
        Kind::Choice(words) => json!({ "enum": words.iter().map(|(word, _)| *word).collect::<Vec<_>>() }),
        Kind::Duration { .. } => matching(r"^(?=.)([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?$"),
        Kind::Percent => matching("^0*(100|[0-9]{1,2})%$"),
        Kind::Gib { .. } => matching("^[0-9]+(MiB|GiB|TiB)$"),
        Kind::Price => matching(r"^\$[0-9]+(\.[0-9]+)?/h$"),
        Kind::Rate => matching(r"^[0-9]{1,9}(\.[0-9]{1,9})?/[smh]$"),
        Kind::Text(form) => text(form, field.env),
        Kind::Path(_) if field.env => json!({ "type": "string", "minLength": 1 }),
        Kind::Path(_) => json!({ "type": "string", "minLength": 1, "not": { "type": "string", "pattern": VARIABLE } }),
        Kind::Template | Kind::Command => json!({ "type": ["string", "number", "boolean"] }),
    };
    match value {
        Value::Object(map) => map,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Map::new(),
    }
}

fn matching(pattern: &str) -> Value {
    json!({ "type": "string", "pattern": pattern })
}

fn text(form: &Form, env: bool) -> Value {
    let mut out = Map::new();
    let types = if form.bare { json!(["string", "number", "boolean"]) } else { json!("string") };
    out.insert("type".into(), types);
    match form.pattern {
        "" => {}
        // What must be one variable and nothing else says so itself.
        pattern if env && !pattern.starts_with(r"^\$\{") => {
            out.insert("anyOf".into(), json!([{ "pattern": pattern }, { "pattern": VARIABLE }]));
        }
        pattern => {
            out.insert("pattern".into(), pattern.into());
        }
    }
    if let Some((least, most)) = form.length {
        out.insert("minLength".into(), least.into());
        out.insert("maxLength".into(), most.into());
    }
    if !env {
        out.insert("not".into(), json!({ "type": "string", "pattern": VARIABLE }));
    }
    out.into()
}
