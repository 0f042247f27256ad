//! The desk that all readers of a spec work at: notes problems, hands out fields, and misses no key.

use super::problem::{Problem, Problems, Severity, quote};
use super::tree::{Key, Kind, Node, Source, Span, is_null};
use super::value::Wrong;
use std::path::{Path, PathBuf};

/// Looks up an environment variable.
pub(crate) type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// What was read so far and what is wrong with it.
pub(crate) struct Check<'a> {
    /// The problems, in the order in which they were found.
    pub(crate) problems: Problems,
    /// Where relative paths start.
    pub(crate) dir: PathBuf,
    sources: Vec<Source>,
    env: Env<'a>,
}

impl<'a> Check<'a> {
    /// A desk without problems.
    pub(crate) fn new(dir: PathBuf, env: Env<'a>) -> Self {
        Self { problems: Problems::default(), dir, sources: Vec::new(), env }
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

    /// The line that a stretch starts on.
    pub(crate) fn line(&self, span: Span) -> usize {
        self.sources.get(span.source).map_or(1, |s| s.locate(span.start, span.end).0.line)
    }

    /// Notes an error.
    pub(crate) fn error(&mut self, span: Span, code: &'static str, message: impl Into<String>) {
        self.note(Severity::Error, span, code, message.into(), None);
    }

    /// Notes an error with what to type instead.
    pub(crate) fn error_with(
        &mut self,
        span: Span,
        code: &'static str,
        message: impl Into<String>,
        help: Option<impl Into<String>>,
    ) {
        self.note(Severity::Error, span, code, message.into(), help.map(Into::into));
    }

    /// Notes a warning.
    pub(crate) fn warn(&mut self, span: Span, code: &'static str, message: impl Into<String>, help: &str) {
        self.note(Severity::Warning, span, code, message.into(), Some(help.to_owned()));
    }

    fn note(&mut self, severity: Severity, span: Span, code: &'static str, message: String, help: Option<String>) {
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
            excerpt: Some(excerpt),
        });
    }

    /// A value that must be a section; anything else is noted.
    pub(crate) fn section<'n>(&mut self, field: &Field<'n>) -> Option<Section<'n>> {
        match &field.node.kind {
            Kind::Map(entries) => {
                Some(Section { path: field.path.clone(), span: field.key, entries, known: Vec::new() })
            }
            Kind::Scalar { .. } | Kind::List(_) => {
                self.wrong_type(field, "a section of keys and values");
                None
            }
        }
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
                self.error_with(field.node.span, "wrong-type", message, Some(format!("write [{text}]")));
                None
            }
            Kind::Scalar { .. } | Kind::Map(_) => {
                self.wrong_type(field, "a list");
                None
            }
        }
    }

    fn wrong_type(&mut self, field: &Field<'_>, wanted: &str) {
        let word = field.node.word();
        let span = if word == "a single value" { field.node.span } else { field.key };
        let code = if word == "nothing" { "empty" } else { "wrong-type" };
        self.error(span, code, format!("`{}` must be {wanted}, but is {word}", field.path));
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
            Kind::List(_) | Kind::Map(_) => {
                self.wrong_type(field, "a single value");
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
        let help = "only ssh.identity, ssh.known_hosts, queue.url, release.from and feed.from read the environment; \
                    secrets reach hosts over SSH or by the instance profile";
        self.error_with(field.node.span, "environment", message, Some(help));
        None
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
                let shown = match &field.node.kind {
                    Kind::Scalar { text, .. } => quote(text),
                    Kind::List(_) | Kind::Map(_) => field.node.word().to_owned(),
                };
                let message = format!("`{}` must be {}, not {shown}", field.path, wrong.wanted);
                self.error_with(field.node.span, wrong.code, message, wrong.help);
                None
            }
        }
    }

    /// A path, relative to the folder of the file; `~/` is the home folder; `${NAME}` is read where `env` says so.
    pub(crate) fn path(&mut self, field: &Field<'_>, env: bool) -> Option<PathBuf> {
        let text = if env { self.expanded(field)? } else { self.text_of(field)?.to_owned() };
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

/// A path relative to a folder; the folder `.` is left out so that paths look as written.
pub(crate) fn below(dir: &Path, path: &str) -> PathBuf {
    if dir == Path::new(".") { PathBuf::from(path) } else { dir.join(path) }
}

/// The `${NAME}`s of a text, with their places.
fn variables(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.match_indices("${").filter_map(|(at, _)| {
        let (name, _) = text[at + 2..].split_once('}')?;
        let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        (name.starts_with(|c: char| word(c) && !c.is_ascii_digit()) && name.chars().all(word)).then_some((at, name))
    })
}

/// One value with the path that leads to it.
#[derive(Clone, Debug)]
pub(crate) struct Field<'n> {
    /// For example `fleet.accept.min`.
    pub(crate) path: String,
    /// Where its key stands; the value's own place in a list.
    pub(crate) key: Span,
    /// The value.
    pub(crate) node: &'n Node,
}

/// A section whose keys are asked for one by one; what nobody asked for is unknown.
#[derive(Debug)]
pub(crate) struct Section<'n> {
    /// For example `fleet.accept`; empty at the top.
    pub(crate) path: String,
    /// Where its key stands.
    pub(crate) span: Span,
    entries: &'n [(Key, Node)],
    known: Vec<&'static str>,
}

impl<'n> Section<'n> {
    /// All keys and values, for sections whose keys are the owner's own.
    pub(crate) fn fields(&self) -> impl Iterator<Item = (&'n Key, Field<'n>)> + use<'n> {
        let prefix = self.path.clone();
        self.entries.iter().map(move |(key, node)| {
            (key, Field { path: join(&prefix, &super::problem::printable(&key.text)), key: key.span, node })
        })
    }

    /// The value under a key, if it is there.
    pub(crate) fn get(&mut self, key: &'static str) -> Option<Field<'n>> {
        if !self.known.contains(&key) {
            self.known.push(key);
        }
        let (key, node) = self.entries.iter().find(|(k, _)| k.text == key)?;
        Some(Field { path: join(&self.path, &key.text), key: key.span, node })
    }

    /// The value under a key that must be there.
    pub(crate) fn need(&mut self, check: &mut Check<'_>, key: &'static str, example: &str) -> Option<Field<'n>> {
        let found = self.get(key);
        if found.is_none() {
            let message = format!("`{}` is missing", join(&self.path, key));
            check.error_with(self.span, "missing-key", message, Some(format!("for example `{key}: {example}`")));
        }
        found
    }

    /// Refuses keys that a later version will know, with the reason.
    pub(crate) fn later(&mut self, check: &mut Check<'_>, keys: &[(&'static str, &str)]) {
        for (key, what) in keys {
            let asked = self.known.len();
            if let Some(field) = self.get(key) {
                not_yet(check, field.key, &format!("`{}`", field.path), what);
            }
            self.known.truncate(asked);
        }
    }

    /// Names every key that nobody asked for.
    pub(crate) fn close(self, check: &mut Check<'_>, later: &[(&'static str, &str)]) {
        let mut this = self;
        this.later(check, later);
        for (key, _) in this.entries {
            let known = |k: &&&str| **k == key.text;
            if this.known.iter().any(|k| known(&k)) || later.iter().any(|(k, _)| *k == key.text) {
                continue;
            }
            let message = format!("there is no {}", quote(&join(&this.path, &key.text)));
            let help = match nearest(&key.text, &this.known) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("known here: {}", this.known.join(", ")),
            };
            check.error_with(key.span, "unknown-key", message, Some(help));
        }
    }
}

/// Notes something that is documented but that this version does not do.
pub(crate) fn not_yet(check: &mut Check<'_>, span: Span, subject: &str, what: &str) {
    check.error(span, "not-yet", format!("this version does not do {subject} yet: {what}"));
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// The word that was likely meant.
pub(crate) fn nearest<'w>(text: &str, words: &[&'w str]) -> Option<&'w str> {
    if text.len() > 40 {
        return None;
    }
    let text = text.to_lowercase().replace('-', "_");
    let near = |word: &&str| strsim::damerau_levenshtein(&text, &word.replace('-', "_"));
    let best = words.iter().copied().min_by_key(near)?;
    let allowed = if best.len() <= 3 { 1 } else { (best.len() / 3).max(2) };
    (near(&best) <= allowed && near(&best) < best.len()).then_some(best)
}
