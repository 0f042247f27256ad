//! The published schemas against every spec and playbook of the repository, good and bad.

use super::source::{files, root, text};
use fleetwright::spec::fields::{Document, FLEET, PLAYBOOK};
use fleetwright::spec::schema::schema;
use fleetwright::spec::{Severity, load, starter};
use jsonschema::Validator;
use serde_json::Value;
use std::path::Path;

/// What the reader may say of a value that a schema can say too. The rest spans sections, files, or YAML itself.
const TELLABLE: [&str; 7] =
    ["unknown-key", "missing-key", "wrong-type", "bad-value", "out-of-range", "empty", "not-yet"];

/// Bad specs of which the reader says one of these words, and a schema can't tell; each with the reason.
const UNTELLABLE: [(&str, &str); 14] = [
    ("account-spreadsheet.yaml", "JSON does not tell 1.23456789012e+11 from the whole number"),
    ("build-network.yaml", "what a built template needs stands in another section"),
    ("canary.yaml", "what a canary needs stands in other sections"),
    ("durations-far.yaml", "a pattern does not add up a duration"),
    ("feed-url.yaml", "a URL is a path that could be there"),
    ("hosts-by-tag.yaml", "machines by their addresses need no account"),
    ("prices-cents.yaml", "how fine a price may be is reckoned"),
    ("queue-only-env.yaml", "the variable may hold what name, account and region follow from"),
    ("queue-only-local.yaml", "name, account and region follow from most other URLs"),
    ("rates-huge.yaml", "a pattern does not reckon a rate"),
    ("user-data-inline.yaml", "a script is a path that could be there"),
    ("version-float.yaml", "JSON does not tell 1.0 from 1"),
    ("worker-own.yaml", "a pattern does not tell what is no part of a text"),
    ("yaml-tag.yaml", "the tag has made a number of the text before a schema sees it"),
];

fn validator(document: &Document) -> Validator {
    let schema = schema(document);
    jsonschema::meta::validate(&schema).unwrap_or_else(|error| panic!("{}: {error}", document.title));
    jsonschema::draft202012::new(&schema).unwrap_or_else(|error| panic!("{}: {error}", document.title))
}

/// What an editor sees: plain YAML. `None` when it is none.
fn parsed(text: &str) -> Option<Value> {
    serde_yaml::from_str::<serde_yaml::Value>(text).ok().and_then(|value| serde_json::to_value(value).ok())
}

fn complaints(validator: &Validator, value: &Value) -> Vec<String> {
    validator.iter_errors(value).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

fn is_yaml(path: &str) -> bool {
    Path::new(path).extension().is_some_and(|extension| extension == "yaml")
}

/// Every YAML file of the repository that should be good.
fn good() -> Vec<(String, String)> {
    let folders = ["tests/specs/good", "tests/specs/elsewhere", "tests/specs/it", "playbooks"];
    let paths = folders.into_iter().flat_map(files).chain(["fleet.yaml".to_owned()]);
    let mut all: Vec<_> = paths.filter(|path| is_yaml(path)).map(|path| (path.clone(), text(&path))).collect();
    let readme = text("README.md");
    let blocks = readme.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next());
    all.extend(blocks.map(|block| ("README.md".to_owned(), block.to_owned())));
    let written = starter::files(&starter::Answers::default()).into_iter().filter(|file| is_yaml(file.path));
    all.extend(written.map(|file| (format!("init's {}", file.path), file.text)));
    all
}

#[test]
fn every_good_file_is_valid() {
    let (fleet, playbook) = (validator(&FLEET), validator(&PLAYBOOK));
    let mut specs = 0;
    for (path, text) in good() {
        let value = parsed(&text).unwrap_or_else(|| panic!("{path} is no YAML"));
        let is_spec = value.get("version").is_some();
        let found = complaints(if is_spec { &fleet } else { &playbook }, &value);
        assert!(found.is_empty(), "{path}: {found:#?}");
        specs += usize::from(is_spec);
    }
    assert!(specs >= 10, "only {specs} specs");
}

#[test]
fn bad_specs_are_refused_as_far_as_a_schema_can_tell() {
    let fleet = validator(&FLEET);
    let mut refused = 0;
    let mut silent = Vec::new();
    for path in files("tests/specs/bad").into_iter().filter(|path| !path.contains("/playbooks/")) {
        let Some(value) = std::fs::read_to_string(root().join(&path)).ok().and_then(|text| parsed(&text)) else {
            continue;
        };
        let problems = load(&root().join(&path), &[], &|_| Some("set".to_owned())).expect_err(&path);
        let name = Path::new(&path).file_name().unwrap().to_str().unwrap();
        let in_spec = |file: &str| file.ends_with(name);
        let told: Vec<&str> = problems
            .iter()
            .filter(|p| p.severity == Severity::Error && in_spec(&p.file) && TELLABLE.contains(&p.code))
            .map(|p| p.code)
            .collect();
        let is_refused = !complaints(&fleet, &value).is_empty();
        if let Some((_, why)) = UNTELLABLE.iter().find(|(untellable, _)| *untellable == name) {
            assert!(!is_refused && !told.is_empty(), "{path} is listed as untellable ({why}), and is told");
        } else if !is_refused && !told.is_empty() {
            silent.push(format!("{path}: the reader says {told:?}, the schema nothing"));
        }
        refused += usize::from(is_refused);
    }
    assert!(silent.is_empty(), "{silent:#?}");
    assert!(refused >= 25, "only {refused} are refused");
    let broken = parsed(&text("tests/specs/bad/playbooks/broken.yaml")).expect("YAML");
    assert!(!complaints(&validator(&PLAYBOOK), &broken).is_empty());
}

#[test]
fn unknown_keys_are_refused_everywhere() {
    let (fleet, playbook) = (validator(&FLEET), validator(&PLAYBOOK));
    let full: Value = parsed(&text("tests/specs/good/full.yaml")).unwrap();
    let deploy: Value = parsed(&text("tests/specs/good/playbooks/deploy.yaml")).unwrap();
    let mut tried = 0;
    for (validator, whole) in [(&fleet, full), (&playbook, deploy)] {
        for pointer in sections(&whole, String::new()) {
            let own = ["/tags", "/vars"].iter().any(|own| pointer.ends_with(own));
            let mut changed = whole.clone();
            let key = if own { "no such;key" } else { "zzz" };
            changed.pointer_mut(&pointer).unwrap()[key] = 1.into();
            assert!(!validator.is_valid(&changed), "{pointer} takes {key}");
            tried += 1;
        }
    }
    assert!(tried > 30, "only {tried} sections");
}

/// A pointer to every section.
fn sections(value: &Value, at: String) -> Vec<String> {
    let below: Vec<String> = match value {
        Value::Object(map) => map.iter().flat_map(|(key, value)| sections(value, format!("{at}/{key}"))).collect(),
        Value::Array(all) => {
            all.iter().enumerate().flat_map(|(n, value)| sections(value, format!("{at}/{n}"))).collect()
        }
        _ => Vec::new(),
    };
    let own = value.is_object().then_some(at);
    own.into_iter().chain(below).collect()
}

/// Calls `see` with every part of a schema that describes a field.
fn each(schema: &Value, path: &str, see: &mut dyn FnMut(&str, &Value)) {
    see(path, schema);
    for (key, property) in schema["properties"].as_object().into_iter().flatten() {
        each(property, &format!("{path}/{key}"), see);
    }
    if schema["items"].is_object() {
        each(&schema["items"], &format!("{path}[]"), see);
    }
    for part in schema["anyOf"].as_array().into_iter().flatten() {
        each(part, path, see);
    }
}

#[test]
fn every_field_is_described_and_its_examples_are_valid() {
    let mut examples = 0;
    for document in [&FLEET, &PLAYBOOK] {
        each(&schema(document), document.title, &mut |path, part| {
            let values = part["examples"].as_array().into_iter().flatten().chain(part.get("default"));
            let validator = jsonschema::draft202012::new(part).unwrap();
            for value in values {
                let found = complaints(&validator, value);
                assert!(found.is_empty(), "{path}: {value}: {found:?}");
                assert!(part["description"].as_str().is_some_and(|text| text.len() > 10), "{path} is not described");
                examples += 1;
            }
        });
        assert!(document.fields().count() < examples, "fields without an example");
    }
}
