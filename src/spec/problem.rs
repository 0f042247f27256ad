//! What is wrong with a spec: where, why and what to type instead.

use schemars::JsonSchema;
use serde::Serialize;
use std::fmt;

/// Most problems that are kept; a file with more is broken in one way, many times.
const MOST: usize = 100;
/// A file that is not there; as a warning: one that some verbs need, and that may be made later.
pub(super) const NO_FILE: &str = "no-such-file";

/// How bad a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// The spec can't be used.
    Error,
    /// The spec can be used, but likely does not say what was meant.
    Warning,
}

impl Severity {
    /// The word that is shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// Where in a text a problem is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Place {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

/// The line that a problem is on, cut to a readable width and free of control characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Excerpt {
    /// The line's text.
    pub(crate) text: String,
    /// First marked byte of the text.
    pub(crate) start: usize,
    /// One past the last marked byte of the text.
    pub(crate) end: usize,
}

/// One problem.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Problem {
    /// Error or warning.
    pub severity: Severity,
    /// A stable word for the kind of problem, for example `unknown-key`.
    pub code: &'static str,
    /// What is wrong, a lower-case sentence without its period.
    pub message: String,
    /// The file, or the `--set` argument.
    pub file: String,
    /// Where in it; absent when the problem is about the file as a whole.
    pub place: Option<Place>,
    /// What to type instead.
    pub help: Option<String>,
    /// The order of its file among all that were read.
    #[serde(skip)]
    pub(crate) source: usize,
    /// What to show of the file.
    #[serde(skip)]
    pub(crate) excerpt: Option<Excerpt>,
}

impl Problem {
    /// A problem of a whole file.
    pub(crate) fn of_file(file: &str, code: &'static str, message: impl Into<String>, help: Option<String>) -> Self {
        Self {
            severity: Severity::Error,
            code,
            message: message.into(),
            file: file.to_owned(),
            place: None,
            help,
            source: 0,
            excerpt: None,
        }
    }

    fn order(&self) -> (usize, usize, usize) {
        self.place.as_ref().map_or((self.source, 0, 0), |p| (self.source, p.line, p.start))
    }
}

impl fmt::Display for Problem {
    /// The first line of a report: `fleet.yaml:3:5: error[unknown-key]: ...`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", printable(&self.file))?;
        if let Some(place) = self.place.as_ref().filter(|_| !self.file.starts_with("--set ")) {
            write!(f, ":{}:{}", place.line, place.column)?;
        }
        write!(f, ": {}[{}]: {}", self.severity.as_str(), self.code, self.message)
    }
}

/// All problems that were found, by place.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Problems {
    list: Vec<Problem>,
    /// How many more there were than are kept.
    more: usize,
}

impl Problems {
    /// Exactly one.
    pub(crate) fn one(problem: Problem) -> Self {
        Self { list: vec![problem], more: 0 }
    }

    /// Adds one, unless there are too many already.
    pub(crate) fn push(&mut self, problem: Problem) {
        if self.is_full() {
            self.more += 1;
        } else {
            self.list.push(problem);
        }
    }

    /// Whether further problems are only counted.
    pub(crate) fn is_full(&self) -> bool {
        self.list.len() >= MOST
    }

    /// In the order of their places, the main file first; a problem is told once for each place.
    #[must_use]
    pub(crate) fn sorted(mut self) -> Self {
        self.list.sort_by_key(Problem::order);
        self.list.dedup();
        self
    }

    /// Whether one of them is an error.
    pub fn has_errors(&self) -> bool {
        self.more > 0 || self.list.iter().any(|p| p.severity == Severity::Error)
    }

    /// `1 error`, `2 errors, 1 warning`: as the report's own last line counts them.
    pub fn summary(&self) -> String {
        let warnings = self.list.iter().filter(|p| p.severity == Severity::Warning).count();
        let counts = [(self.len() - warnings, "error"), (warnings, "warning")];
        let told = counts.into_iter().filter(|(n, _)| *n > 0);
        told.map(|(n, word)| format!("{n} {word}{}", if n == 1 { "" } else { "s" })).collect::<Vec<_>>().join(", ")
    }

    /// Those that are not about files which only some verbs need, and which are made later: a verb that needs one says so.
    #[must_use]
    pub fn lasting(mut self) -> Self {
        self.list.retain(|p| p.severity == Severity::Error || p.code != NO_FILE);
        self
    }

    /// How many there are, those that are not kept among them.
    pub fn len(&self) -> usize {
        self.list.len() + self.more
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The problems by place; at most 100.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.list.iter()
    }

    /// How many further problems there were.
    pub fn more(&self) -> usize {
        self.more
    }
}

impl<'a> IntoIterator for &'a Problems {
    type Item = &'a Problem;
    type IntoIter = std::slice::Iter<'a, Problem>;
    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for Problems {
    /// The whole report, without colour.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Problems {}

/// Whether a character may change what a terminal or a reader sees: controls, and what turns the writing direction.
pub(crate) fn is_hostile(c: char) -> bool {
    (c.is_control() && !matches!(c, '\n' | '\r' | '\t'))
        || matches!(c, '\u{061C}' | '\u{200E}' | '\u{200F}' | '\u{2028}' | '\u{2029}' | '\u{202A}'..='\u{202E}'
            | '\u{2066}'..='\u{2069}' | '\u{FEFF}')
}

/// The text with everything that a terminal would act on written out.
pub(crate) fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_hostile(c) || matches!(c, '\n' | '\r' | '\t') {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

/// The text in backticks, printable and at most 60 characters long.
pub(crate) fn quote(text: &str) -> String {
    let short: String = text.chars().take(60).collect();
    let dots = if short.len() < text.len() { "..." } else { "" };
    format!("`{}{dots}`", printable(&short))
}
