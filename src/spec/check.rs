//! The desk that all readers of a spec work at: notes problems, hands out fields, and misses no key.

use super::fields;
use super::problem::{Problem, Problems, Severity, printable, quote};
use super::section::{Field, Section};
use super::set::SetBy;
use super::tree::{Kind, Node, Source, Span, is_null};
use super::value::Wrong;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Looks up an environment variable.
pub(crate) type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// What was read so far and what is wrong with it.
pub(crate) struct Check<'a> {
    /// The problems, in the order in which they were found.
    pub(crate) problems: Problems,
    /// Where relative paths start.
    pub(crate) dir: PathBuf,
    /// What templates may name; while it is empty, nobody asks.
    pub(crate) names: BTreeSet<String>,
    /// Texts that are no files but were said elsewhere.
    pub(crate) set_by: BTreeMap<usize, SetBy>,
    sources: Vec<Source>,
    env: Env<'a>,
}

impl<'a> Check<'a> {
    /// A desk without problems.
    pub(crate) fn new(dir: PathBuf, env: Env<'a>) -> Self {
        Self {
            problems: Problems::default(),
            dir,
            names: BTreeSet::new(),
            set_by: BTreeMap::new(),
            sources: Vec::new(),
            env,
        }
    }

    /// Takes in a text and returns its number.
    pub(crate) fn add_source(&mut self, name: String, text: String) -> usize {
        self.sources.push(Source::new(name, text));
        self.sources.len() - 1
    }

    /// The text under a number.
    pub(crate) fn text(&self, source: usize) -> String {
        self.sources.get(source).map(|s| s.text.clone()).unwrap_or_default()
    }

    /// The text before a stretch.
    pub(crate) fn text_before(&self, span: Span) -> &str {
        self.sources.get(span.source).and_then(|source| source.text.get(..span.start)).unwrap_or_default()
    }

    /// Where a template's text names something for the first time; the whole of it where that can't be told.
    pub(crate) fn naming(&self, span: Span, name: &str) -> Span {
        let word = |c: char| c.is_alphanumeric() || c == '_';
        let text = self.sources.get(span.source).and_then(|source| source.text.get(span.start..span.end));
        let found = text.and_then(|text| {
            let opens = text.find(['{', '%'])?;
            text.match_indices(name).map(|(at, _)| at).find(|at| {
                let (before, after) = (&text[..*at], &text[at + name.len()..]);
                *at > opens && !before.ends_with(word) && !after.starts_with(word)
            })
        });
        match found {
            Some(at) => Span { start: span.start + at, end: span.start + at + name.len(), ..span },
            None => span,
        }
    }

    /// What the text of a stretch is called.
    pub(crate) fn name(&self, span: Span) -> &str {
        self.sources.get(span.source).map_or("", |source| source.name.as_str())
    }

    /// The line that a stretch starts on.
    pub(crate) fn line(&self, span: Span) -> usize {
        self.sources.get(span.source).map_or(1, |s| s.locate(span.start, span.end).0.line)
    }

    /// Notes an error.
    pub(crate) fn error(&mut self, span: Span, code: &'static str, message: impl Into<String>) {
        self.note(Severity::Error, span, code, message.into(), None, true);
    }

    /// Notes an error with what to type instead.
    pub(crate) fn error_with(
        &mut self,
        span: Span,
        code: &'static str,
        message: impl Into<String>,
        help: Option<impl Into<String>>,
    ) {
        self.note(Severity::Error, span, code, message.into(), help.map(Into::into), true);
    }

    /// Notes an error about a value that is not shown: it may be a secret.
    pub(crate) fn secret(&mut self, span: Span, code: &'static str, message: impl Into<String>, help: &str) {
        self.note(Severity::Error, span, code, message.into(), Some(help.to_owned()), false);
    }

    /// Notes a warning.
    pub(crate) fn warn(&mut self, span: Span, code: &'static str, message: impl Into<String>, help: &str) {
        self.note(Severity::Warning, span, code, message.into(), Some(help.to_owned()), true);
    }

    fn note(
        &mut self,
        severity: Severity,
        span: Span,
        code: &'static str,
        message: String,
        help: Option<String>,
        shown: bool,
    ) {
        let Some(source) = self.sources.get(span.source).filter(|_| !self.problems.is_full()) else {
            let problem = Problem::of_file("", code, message, help);
            self.problems.push(problem);
            return;
        };
        let (place, excerpt) = source.locate(span.start, span.end);
        self.problems.push(Problem {
            severity,
            code,
            message,
            file: source.name.clone(),
            place: Some(place),
            help,
            source: span.source,
            excerpt: shown.then_some(excerpt),
        });
    }

    /// A value that must be a section; anything else is noted, with an example of what belongs below its key.
    pub(crate) fn section<'n>(&mut self, field: &Field<'n>, example: &str) -> Option<Section<'n>> {
        match &field.node.kind {
            Kind::Map(entries) => return Some(Section::new(field.path.clone(), field.key, entries)),
            Kind::List(items) if items.iter().any(|item| matches!(item.kind, Kind::Map(_))) => {
                self.wrong_type(field, "a section of keys and values", Some(format!("without dashes: {example}")));
            }
            Kind::Scalar { .. } | Kind::List(_) => {
                let help = match field.node.word() {
                    _ if glued(field) => "a space belongs after the colon".to_owned(),
                    "nothing" => format!("indent what belongs to it by two spaces; for example {example}"),
                    _ => format!("for example {example}"),
                };
                self.wrong_type(field, "a section of keys and values", Some(help));
            }
        }
        None
    }

    /// A value that must be a list; anything else is noted.
    pub(crate) fn list<'n>(&mut self, field: &Field<'n>) -> Option<Vec<Field<'n>>> {
        match &field.node.kind {
            Kind::List(items) => Some(
                items
                    .iter()
                    .enumerate()
                    .map(|(n, node)| Field { path: format!("{}[{n}]", field.path), key: node.span, node })
                    .collect(),
            ),
            Kind::Scalar { text, plain } if !(*plain && is_null(text)) => {
                let message = format!("`{}` must be a list, but is a single value", field.path);
                let help = match text.strip_prefix('-') {
                    Some(_) => "a space belongs after every dash".to_owned(),
                    None => format!("write [{}]", printable(text)),
                };
                self.error_with(field.node.span, "wrong-type", message, Some(help));
                None
            }
            Kind::Scalar { .. } | Kind::Map(_) => {
                let help = (field.node.word() != "nothing")
                    .then(|| "every entry starts with `- `, or write [a, b]".to_owned());
                self.wrong_type(field, "a list", help);
                None
            }
        }
    }

    fn wrong_type(&mut self, field: &Field<'_>, wanted: &str, help: Option<String>) {
        let word = field.node.word();
        let span = if word == "a single value" { field.node.span } else { field.key };
        let code = if word == "nothing" { "empty" } else { "wrong-type" };
        self.error_with(span, code, format!("`{}` must be {wanted}, but is {word}", field.path), help);
    }

    /// A single value as written and whether it stands without quotes, `${...}` untouched: for commands, where it is
    /// the shell's.
    pub(crate) fn raw<'n>(&mut self, field: &Field<'n>) -> Option<(&'n str, bool)> {
        match &field.node.kind {
            Kind::Scalar { text, plain } if !(*plain && is_null(text)) => Some((text, *plain)),
            Kind::Scalar { .. } => {
                let help = Some("give it a value, or leave the key out");
                self.error_with(field.key, "empty", format!("`{}` has no value", field.path), help);
                None
            }
            Kind::List(items) => {
                let help = match items.as_slice() {
                    [Node { kind: Kind::Scalar { text, .. }, .. }] => {
                        format!("it takes one value, without brackets or dash: {}", printable(text))
                    }
                    _ => "it takes one value".to_owned(),
                };
                self.wrong_type(field, "a single value", Some(help));
                None
            }
            Kind::Map(_) => {
                self.wrong_type(field, "a single value", Some("it takes one value, no keys below it".to_owned()));
                None
            }
        }
    }

    /// A single value; the environment is refused, since the value may reach a create call, whose body is journalled.
    pub(crate) fn text_of<'n>(&mut self, field: &Field<'n>) -> Option<&'n str> {
        let (text, _) = self.raw(field)?;
        let Some(name) = variables(text).next().map(|(_, name)| name) else { return Some(text) };
        let message = format!(
            "`{}` can't take {} from the environment: it may be sent to AWS, and what is sent is kept in the journal",
            field.path,
            quote(&format!("${{{name}}}"))
        );
        let help = "only ssh.identity, ssh.known_hosts, queue.url, release.from, feed.from and notify.webhook read the environment; \
                    secrets reach hosts over SSH or by the instance profile";
        self.error_with(field.node.span, "environment", message, Some(help));
        None
    }

    /// What the environment says.
    pub(crate) fn env(&self, name: &str) -> Option<String> {
        (self.env)(name)
    }

    /// A single value that stays on this side: `${NAME}` is replaced from the environment.
    pub(crate) fn expanded(&mut self, field: &Field<'_>) -> Option<String> {
        let (text, _) = self.raw(field)?;
        let mut out = String::new();
        let mut done = 0;
        let mut good = true;
        for (at, name) in variables(text) {
            out.push_str(&text[done..at]);
            done = at + name.len() + 3;
            let value = (self.env)(name).filter(|value| !value.is_empty());
            if let Some(value) = &value {
                out.push_str(value);
            } else {
                let message =
                    format!("`{}` needs the environment variable {}, which is not set", field.path, quote(name));
                let help = Some(format!("export {name}=..."));
                self.error_with(field.node.span, "environment", message, help);
                good = false;
            }
        }
        out.push_str(&text[done..]);
        good.then_some(out)
    }

    /// A single value read by one of the parsers in `value`; the report quotes the value as written.
    pub(crate) fn parsed<T>(&mut self, field: &Field<'_>, parse: impl FnOnce(&str) -> Result<T, Wrong>) -> Option<T> {
        let text = self.text_of(field)?;
        self.judged(field, parse(text))
    }

    /// Notes what a parser found wrong.
    pub(crate) fn judged<T>(&mut self, field: &Field<'_>, result: Result<T, Wrong>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(wrong) => {
                let (shown, expanded) = match &field.node.kind {
                    Kind::Scalar { text, .. } if text.is_empty() => ("an empty text".to_owned(), false),
                    Kind::Scalar { text, .. } => (quote(text), text.contains("${")),
                    Kind::List(_) | Kind::Map(_) => (field.node.word().to_owned(), false),
                };
                let message = format!("`{}` must be {}, not {shown}", field.path, wrong.wanted);
                let slip = match &field.node.kind {
                    Kind::Scalar { text, .. } if text.is_empty() => Some("give it a value, or leave the key out"),
                    Kind::Scalar { text, .. } if text.contains(['\u{201c}', '\u{201d}', '\u{2018}', '\u{2019}']) => {
                        Some("curly quotes are part of the value: use \" or none")
                    }
                    Kind::Scalar { .. } | Kind::List(_) | Kind::Map(_) => None,
                };
                // A guess may repeat what the environment said, which is never shown.
                let help = wrong.help.filter(|_| !expanded).or_else(|| slip.map(str::to_owned));
                self.error_with(field.node.span, wrong.code, message, help);
                None
            }
        }
    }

    /// A path, relative to the folder of the file; `~/` is the home folder; `${NAME}` is read where `env` says so.
    pub(crate) fn path(&mut self, field: &Field<'_>, env: bool) -> Option<PathBuf> {
        let text = if env { self.expanded(field)? } else { self.text_of(field)?.to_owned() };
        if text.trim().is_empty() || text.contains(['\n', '\r']) {
            let wanted = if text.trim().is_empty() { "is empty" } else { "is a path, not the text itself" };
            let help = Some("write the path of a file, from the folder of this file on");
            self.error_with(field.node.span, "bad-value", format!("`{}` {wanted}", field.path), help);
            return None;
        }
        if let Some((scheme, _)) =
            text.split_once("://").filter(|(scheme, _)| scheme.chars().all(char::is_alphanumeric))
        {
            let message = format!("`{}` is a URL ({scheme}), but must be a path on this machine", field.path);
            self.error_with(field.node.span, "bad-value", message, Some("fetch the file first, and name the copy"));
            return None;
        }
        if let Some(rest) = text.strip_prefix("~/") {
            let Some(home) = (self.env)("HOME") else {
                self.error(
                    field.node.span,
                    "environment",
                    format!("`{}` starts with `~`, but HOME is not set", field.path),
                );
                return None;
            };
            return Some(Path::new(&home).join(rest));
        }
        Some(below(&self.dir, &text))
    }

    /// A path of a file that must be there.
    pub(crate) fn file(&mut self, field: &Field<'_>, env: bool) -> Option<PathBuf> {
        let path = self.path(field, env)?;
        if path.is_file() {
            return Some(path);
        }
        let what = if path.exists() { "is not a regular file" } else { "is not there" };
        let message = format!("`{}` names a file that {what}", field.path);
        let help = Some(format!("looked for {}", quote(&path.to_string_lossy())));
        self.error_with(field.node.span, "no-such-file", message, help);
        None
    }
}

/// Whether a section's value is one of its keys, or an own one, whose colon lacks its space: `size:40`.
fn glued(field: &Field<'_>) -> bool {
    let Kind::Scalar { text, plain: true } = &field.node.kind else { return false };
    let Some((key, _)) = text.split_once(':') else { return false };
    let keys = fields::led(&field.path).map(|(document, section)| document.children(section.path));
    match keys.into_iter().flatten().map(fields::Field::key).collect::<Vec<_>>().as_slice() {
        [] => !key.is_empty() && key.chars().all(|c| c.is_ascii_lowercase() || c == '_'),
        keys => keys.contains(&key),
    }
}

/// A path relative to a folder; the folder `.` is left out so that paths look as written.
pub(crate) fn below(dir: &Path, path: &str) -> PathBuf {
    if dir == Path::new(".") { PathBuf::from(path) } else { dir.join(path) }
}

/// The `${NAME}`s of a text, with their places.
pub(crate) fn variables(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.match_indices("${").filter_map(|(at, _)| {
        let (name, _) = text[at + 2..].split_once('}')?;
        let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        (name.starts_with(|c: char| word(c) && !c.is_ascii_digit()) && name.chars().all(word)).then_some((at, name))
    })
}
