//! The table against the reader, in both directions: keys, examples, defaults, bounds and the environment.

use super::sample::{Folder, Sample, all, ancestors, errors};
use super::*;
use std::collections::BTreeSet;

/// Codes by which the reader tells that a value is not what the field takes.
const WRONG: [&str; 5] = ["bad-value", "out-of-range", "wrong-type", "empty", "too-large"];

fn is_section(kind: &Kind) -> bool {
    match kind {
        Kind::Section { .. } => true,
        Kind::List { of, .. } => is_section(of),
        Kind::Either(kinds) => kinds.iter().any(is_section),
        _ => false,
    }
}

#[test]
fn the_table_is_in_order() {
    for (document, field) in all() {
        let path = field.path;
        assert_eq!(document.fields().filter(|other| other.path == path).count(), 1, "{path} is there twice");
        assert!(field.about.starts_with(char::is_uppercase) && field.about.ends_with('.'), "{path}: {}", field.about);
        assert!(!field.about.contains("  "), "{path}: {}", field.about);
        assert!(field.source.is_none_or(|page| page.starts_with("https://")), "{path}");
        for need in field.needs {
            assert!(document.field(need).is_some(), "{path} needs {need}, which is not there");
        }
        if !field.parent().is_empty() {
            let parent = document.field(field.parent()).unwrap_or_else(|| panic!("{path} is in no section"));
            assert!(is_section(&parent.kind), "{path} is in no section");
            let after = document.fields().take_while(|other| other.path != path).any(|o| o.path == parent.path);
            assert!(after, "{path} stands before its section");
        }
        if is_section(&field.kind) {
            assert!(document.children(path).next().is_some(), "{path} has no fields");
        }
        for key in field.kind.one_of() {
            assert!(document.field(&format!("{path}.{key}")).is_some(), "{path} has no {key}");
        }
    }
    let places = [PLAYBOOK.shown("steps.put.mode"), FLEET.shown("rehearsal.mounts.at"), FLEET.shown("fleet.types")];
    assert_eq!(places, ["steps[].put.mode", "rehearsal.mounts[].at", "fleet.types"]);
}

#[test]
fn every_field_is_read() {
    let folder = Folder::new();
    for (document, field) in all() {
        let sample = Sample::with(document, field, field.example);
        let found = errors(&folder.read(document, &sample));
        assert!(found.is_empty(), "{}: {found:?}\n{}", field.path, sample.text(document, ""));
    }
}

#[test]
fn every_key_that_is_read_is_here() {
    let folder = Folder::new();
    // Too long to be near any key, so that the reader lists those that it knows.
    let stranger = "z".repeat(60);
    for document in [&FLEET, &PLAYBOOK] {
        let sections = document.fields().filter(|field| is_section(&field.kind)).map(|field| field.path);
        for section in std::iter::once("").chain(sections) {
            let mut known = BTreeSet::new();
            for child in document.children(section) {
                let mut sample = Sample::with(document, child, child.example);
                sample.line = Some((section.into(), format!("{stranger}: 1")));
                let problems = folder.read(document, &sample).expect_err("a stranger");
                let told = problems.iter().find(|problem| problem.code == "unknown-key");
                let told = told.unwrap_or_else(|| panic!("{section} takes any key: {problems}"));
                let help = told.help.as_deref().and_then(|help| help.strip_prefix("known here: "));
                let help = help.unwrap_or_else(|| panic!("{told}"));
                known.extend(help.split(", ").map(str::to_owned));
            }
            let here: BTreeSet<String> = document.children(section).map(|child| child.key().to_owned()).collect();
            assert_eq!(known, here, "`{section}`: left, what the reader knows; right, what the table says");
        }
    }
}

#[test]
fn a_field_left_out_is_its_default() {
    let folder = Folder::new();
    let mut compared = 0;
    for (document, field) in all() {
        let Absent::Value(default) = field.absent else { continue };
        let given = Sample::with(document, field, default);
        let mut left_out = given.clone();
        left_out.values.remove(field.path);
        left_out.sections.extend(ancestors(field.parent()).into_iter().map(str::to_owned));
        left_out.sections.insert(field.parent().into());
        left_out.sections.remove("");
        let [given, left_out] = [given, left_out].map(|sample| {
            let loaded = folder.read(document, &sample);
            let loaded = loaded.unwrap_or_else(|problems| panic!("{}: {problems}", field.path));
            let steps = loaded.playbooks.deploy.map(|playbook| playbook.steps);
            format!("{:#?}\n{steps:#?}", loaded.fleet)
        });
        assert_eq!(given, left_out, "{} is not {default} when it is left out", field.path);
        compared += 1;
    }
    assert!(compared > 20, "only {compared} defaults");
}

/// Values at the bounds of a kind, and whether they are good.
fn probes(path: &str, kind: &Kind) -> Vec<(String, bool)> {
    let around = |least: u64, most: u64, write: &dyn Fn(u64) -> String| {
        let below = least.checked_sub(1).map(|n| (write(n), false));
        let mut all = vec![(write(least), true), (write(most), true), (write(most + 1), false)];
        all.extend(below);
        all
    };
    match kind {
        Kind::Whole { least, most } => around(*least, *most, &|n| n.to_string()),
        Kind::Duration { least, most } => around(*least, *most, &|n| format!("{n}s")),
        Kind::Gib { least, most } => around(*least, *most, &|n| format!("{n}GiB")),
        Kind::Percent => around(0, 100, &|n| format!("{n}%")),
        Kind::Price => vec![("$0.000001/h".into(), true), ("$0/h".into(), false)],
        Kind::Rate => [("1/h", true), ("1000000/s", true), ("1000001/s", false), ("0/s", false)]
            .map(|(text, good)| (text.to_owned(), good))
            .into(),
        Kind::Boolean => [("true", true), ("false", true), ("yes", false)].map(|(t, g)| (t.to_owned(), g)).into(),
        Kind::Choice(words) => {
            let words = words.iter().map(|(word, _)| ((*word).to_owned(), true));
            words.chain([("zzzz".to_owned(), false)]).collect()
        }
        Kind::Text(Form { length: Some((least, most)), .. }) => {
            around(*least as u64, *most as u64, &|n| format!("\"{}\"", "a".repeat(usize::try_from(n).expect("small"))))
        }
        Kind::List { of, least, most: Some(most) } => {
            let entries = |n: u64| (0..n).map(|n| nth(path, of, n)).collect::<Vec<_>>().join(",\n ");
            around(*least as u64, *most as u64, &|n| format!("[{}]", entries(n)))
        }
        Kind::Map { of, most, .. } => {
            let mut all: Vec<_> =
                probes(path, of).into_iter().map(|(value, good)| (format!("{{k: {value}}}"), good)).collect();
            if let Some(most) = most {
                let keys = |n: u64| (0..n).map(|n| format!("k{n}: v")).collect::<Vec<_>>().join(", ");
                all.extend(around(0, *most as u64, &|n| format!("{{{}}}", keys(n))));
            }
            all
        }
        _ => Vec::new(),
    }
}

/// One of many entries of a list, all different.
fn nth(path: &str, kind: &Kind, n: u64) -> String {
    match kind {
        Kind::Text(form) if form.words.starts_with("subnet") => format!("subnet-{n:017x}"),
        Kind::Text(form) if form.words.starts_with("AWS region") => format!("eu-west-{}", n + 1),
        Kind::Text(form) if form.words.starts_with("security") => format!("sg-{n:017x}"),
        Kind::Either(kinds) => nth(path, &kinds[0], n),
        Kind::Text(form) if form.words.starts_with("host") => format!("10.1.{}.{}", n / 256, n % 256),
        Kind::Text(_) => format!("m{n}i.large"),
        Kind::Section { .. } if path == "notify" => "{webhook: \"${TOLD}\"}".to_owned(),
        Kind::Section { .. } if path == "recycle.windows" => format!("{{at: '{} {} * * *'}}", n % 60, n / 60),
        Kind::Section { .. } => "{check: 'true'}".to_owned(),
        _ => format!("file-{n}"),
    }
}

#[test]
fn bounds_are_the_readers() {
    let folder = Folder::new();
    let mut probed = 0;
    for (document, field) in all() {
        for (value, good) in probes(field.path, &field.kind) {
            let sample = Sample::with(document, field, &value);
            let wrong: Vec<_> =
                errors(&folder.read(document, &sample)).into_iter().filter(|(c, _)| WRONG.contains(c)).collect();
            let short: String = value.chars().take(60).collect();
            assert_eq!(wrong.is_empty(), good, "{}: {short}: {wrong:?}", field.path);
            probed += 1;
        }
    }
    assert!(probed > 150, "only {probed} values");
}

#[test]
fn what_stands_in_place_of_others_is_not_read_beside_them() {
    let folder = Folder::new();
    let mut tried = 0;
    for (document, field) in all() {
        for path in field.instead {
            let other = document.field(path).expect("a field");
            assert_eq!(other.parent(), field.parent(), "{}", field.path);
            let mut sample = Sample::with(document, field, field.example);
            sample.values.insert(other.path.into(), other.example.into());
            let found = errors(&folder.read(document, &sample));
            assert!(found.iter().any(|(code, _)| *code == "conflict"), "{} beside {path}: {found:?}", field.path);
            tried += 1;
        }
    }
    assert!(tried > 0);
}

#[test]
fn the_environment_is_read_where_the_table_says() {
    let folder = Folder::new();
    for (document, field) in all() {
        let variable = "\"${FLEETWRIGHT_TABLE}\"";
        let value = match field.kind {
            Kind::List { of: Kind::Text(_) | Kind::Path(_), .. } => format!("[{variable}]"),
            Kind::Map { .. } => format!("{{k: {variable}}}"),
            Kind::Text(_) | Kind::Path(_) | Kind::Choice(_) | Kind::Duration { .. } | Kind::Rate => variable.to_owned(),
            _ => continue,
        };
        let found = errors(&folder.read(document, &Sample::with(document, field, &value)));
        let refused = found.iter().any(|(code, _)| *code == "environment");
        assert_eq!(refused, !field.env, "{}: {found:?}", field.path);
    }
}
