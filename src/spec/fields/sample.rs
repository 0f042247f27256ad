//! Documents made from the table, and what the reader makes of them.

use super::{Document, FLEET, Field, Kind, PLAYBOOK};
use crate::spec::{Loaded, Problems, Severity, load};
use std::collections::{BTreeMap, BTreeSet};

/// A document with some of its fields, by their paths in the table.
#[derive(Clone, Default)]
pub(super) struct Sample {
    /// Values as YAML.
    pub(super) values: BTreeMap<String, String>,
    /// Sections that are there even when nothing is in them.
    pub(super) sections: BTreeSet<String>,
    /// A section and a line that is put into it as it is.
    pub(super) line: Option<(String, String)>,
}

impl Sample {
    /// The smallest document in which this field has this value.
    pub(super) fn with(document: &Document, field: &Field, value: &str) -> Self {
        let mut sample = Self::default();
        for path in document.any_of.first().into_iter().copied().flatten() {
            sample.values.insert((*path).into(), document.field(path).expect("a field").example.into());
        }
        sample.values.insert(field.path.into(), value.into());
        loop {
            let before = sample.values.len();
            let opened: BTreeSet<&str> = sample.values.keys().flat_map(|path| ancestors(path)).collect();
            let opened: Vec<String> = opened.into_iter().map(str::to_owned).collect();
            let held: Vec<String> = sample.values.keys().cloned().collect();
            let whole = opened.iter().chain(&held).filter_map(|path| document.field(path));
            let needs: Vec<&str> = whole.flat_map(|field| field.needs.iter().copied()).collect();
            let mut wanted: Vec<&str> = needs;
            for section in &opened {
                let one_of = document.field(section).map_or(&[][..], |field| field.kind.one_of());
                let chosen =
                    |key: &str| sample.has(&format!("{section}.{key}")) || wanted.iter().any(|w| w.ends_with(key));
                let first = (!one_of.iter().any(|key| chosen(key))).then(|| one_of.first()).flatten();
                let children = document.children(section);
                wanted.extend(children.filter(|c| c.required || first == Some(&c.key())).map(|child| child.path));
            }
            // Where `fleet` does not say them.
            if opened.iter().chain(&held).any(|path| path == "template.build")
                && !sample.values.contains_key("template.build")
            {
                wanted.extend(["template.build.subnet", "template.build.security_groups", "template.build.key_name"]);
            }
            // It can be left out only where the fleet itself is a group.
            wanted.extend(opened.iter().any(|section| section == "recycle").then_some("recycle.group"));
            for path in wanted {
                if !sample.has(path) {
                    let example = document.field(path).unwrap_or_else(|| panic!("no {path}")).example;
                    sample.values.insert(path.into(), example.into());
                }
            }
            if sample.values.len() == before {
                return sample;
            }
        }
    }

    fn has(&self, path: &str) -> bool {
        self.values.keys().any(|held| held == path || held.starts_with(&format!("{path}.")))
            || self.sections.contains(path)
    }

    /// The section as flow YAML.
    pub(super) fn text(&self, document: &Document, section: &str) -> String {
        let mut parts: Vec<String> = Vec::new();
        for child in document.children(section).filter(|child| self.has(child.path)) {
            let value = match self.values.get(child.path) {
                Some(value) => value.clone(),
                None if matches!(child.kind, Kind::List { .. }) => format!("[{}]", self.text(document, child.path)),
                None => self.text(document, child.path),
            };
            parts.push(format!("{}: {value}", child.key()));
        }
        parts.extend(self.line.iter().filter(|(at, _)| at == section).map(|(_, line)| line.clone()));
        format!("{{{}}}", parts.join(", "))
    }
}

/// A folder with every file that the examples name.
pub(super) struct Folder(tempfile::TempDir);

impl Folder {
    /// A new one.
    pub(super) fn new() -> Self {
        let folder = Self(tempfile::tempdir().expect("a folder"));
        for (path, content) in [
            ("playbooks/verify.yaml", "[{check: 'true'}]"),
            ("playbooks/deploy.yaml", "[{check: 'true'}]"),
            ("playbooks/drain.yaml", "[{check: 'true'}]"),
            ("playbooks/provision.yaml", "[{check: 'true'}]"),
            ("playbooks/boot.sh", ""),
            ("playbooks/template.sh", ""),
            ("playbooks/worker.sh", ""),
            ("playbooks/sample/boot.sh", ""),
            ("build/worker.tar.gz", ""),
            ("items.txt", "1\n"),
            ("data/1", ""),
        ] {
            folder.write(path, content);
        }
        folder
    }

    fn write(&self, path: &str, content: &str) {
        let path = self.0.path().join(path);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("writable");
        std::fs::write(path, content).expect("writable");
    }

    /// What the reader makes of a sample.
    pub(super) fn read(&self, document: &Document, sample: &Sample) -> Result<Loaded, Problems> {
        let text = sample.text(document, "");
        if document.name == PLAYBOOK.name {
            self.write("playbooks/sample/sample.yaml", &text);
        }
        self.write("fleet.yaml", if document.name == FLEET.name { &text } else { DEPLOYS });
        load(&self.0.path().join("fleet.yaml"), &[], &|_| Some("table".into()))
    }
}

const DEPLOYS: &str = "{version: 1, name: a, account: '123456789012', region: us-east-1, \
                       release: {from: build/worker.tar.gz, playbook: playbooks/sample/sample.yaml}}";

/// Every path above this one, the top among them.
pub(super) fn ancestors(path: &str) -> Vec<&str> {
    let above = path.match_indices('.').map(|(at, _)| &path[..at]);
    std::iter::once("").chain(above).collect()
}

/// Every field with its document.
pub(super) fn all() -> impl Iterator<Item = (&'static Document, &'static Field)> {
    [&FLEET, &PLAYBOOK].into_iter().flat_map(|document| document.fields().map(move |field| (document, field)))
}

/// The errors of a result, by code, with their messages.
pub(super) fn errors(result: &Result<Loaded, Problems>) -> Vec<(&'static str, String)> {
    let problems = result.as_ref().err().into_iter().flatten().filter(|p| p.severity == Severity::Error);
    problems.map(|problem| (problem.code, problem.message.clone())).collect()
}
