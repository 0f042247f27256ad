//! What `init`, `explain` and `man` answer: files to start from, and what the program knows of itself.

use super::Answer;
use crate::model::shell_word;
use crate::report::table::{self, Column};
use crate::spec::explain::Explanation;
use schemars::JsonSchema;
use serde::Serialize;
use std::fmt::Write as _;
use std::path::Path;

/// What `init` answers.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Initialised {
    /// The folder.
    pub dir: String,
    /// The fleet's name.
    pub name: String,
    /// The account in the new spec.
    pub account: String,
    /// The region in the new spec.
    pub region: String,
    /// Every file, in the order in which they were looked at.
    pub files: Vec<StartFile>,
}

/// One of the files to start from.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct StartFile {
    /// Its path below the folder.
    pub path: String,
    /// Whether it is new.
    pub result: Start,
}

/// What became of a file to start from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Start {
    /// It is new.
    Written,
    /// It was there, and is as it was.
    Kept,
}

impl Answer for Initialised {
    fn page(&self, _: Option<u16>) -> String {
        let mut text = String::new();
        for file in &self.files {
            let path = if self.dir == "." { file.path.clone().into() } else { Path::new(&self.dir).join(&file.path) };
            let _infallible = match file.result {
                Start::Written => writeln!(text, "written  {}", path.display()),
                Start::Kept => writeln!(text, "kept     {}  (it was there)", path.display()),
            };
        }
        let there = if self.dir == "." { String::new() } else { format!("cd {} && ", shell_word(&self.dir)) };
        let _infallible =
            writeln!(text, "\nNext: {there}fleetwright rehearse    # the whole campaign on this machine, without AWS");
        text
    }
}

/// What `man DIR` answers.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Manual {
    /// The folder.
    pub dir: String,
    /// The pages written to it.
    pub files: Vec<String>,
}

impl Answer for Manual {
    fn page(&self, _: Option<u16>) -> String {
        format!("{} written to {}\n", crate::report::count(self.files.len() as u64, "page"), self.dir)
    }
}

impl Answer for Explanation {
    fn page(&self, width: Option<u16>) -> String {
        let mut rows: Vec<Vec<String>> = Vec::new();
        let mut row = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                rows.push(vec![name.to_owned(), value]);
            }
        };
        let path = Some(self.path.clone()).filter(|path| !path.is_empty());
        row("FIELD", path);
        row("FILE", Some(self.document.to_owned()));
        row("TYPE", Some(self.kind.clone()).filter(|_| !self.path.is_empty()));
        row("REQUIRED", self.required.then(|| "yes".to_owned()));
        row("DEFAULT", self.default.map(str::to_owned));
        row("UNIT", self.unit.map(str::to_owned));
        row("BOUNDS", self.bounds.clone());
        for (n, choice) in self.choices.iter().enumerate() {
            row(if n == 0 { "VALUES" } else { "" }, Some(format!("{}: {}", choice.value, choice.meaning)));
        }
        row("ONE OF", Some(self.one_of.join(", ")).filter(|keys| !keys.is_empty()));
        row("NEEDS", Some(self.needs.join(", ")).filter(|paths| !paths.is_empty()));
        row("ENVIRONMENT", self.environment.then(|| "${NAME} is read".to_owned()));
        row("EXAMPLE", self.example.clone());
        row("SOURCE", self.source.map(str::to_owned));
        row("ABOUT", Some(self.about.to_owned()));
        let mut text = table::render(&[Column::keep(""), Column::wrap("")], &rows, width);
        if !self.fields.is_empty() {
            let first = |about: &str| about.split_inclusive(". ").next().unwrap_or_default().trim_end().to_owned();
            let rows: Vec<Vec<String>> = self
                .fields
                .iter()
                .map(|field| {
                    let default = if field.required { "(required)" } else { field.default.unwrap_or_default() };
                    vec![field.name.to_owned(), default.to_owned(), first(field.about)]
                })
                .collect();
            text.push('\n');
            let columns = [Column::keep("field"), Column::wrap("default"), Column::wrap("about")];
            text.push_str(&table::render(&columns, &rows, width));
        }
        text
    }
}
