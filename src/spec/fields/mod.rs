//! What each field of a fleet.yaml and of a playbook is: the one table behind the schema, `explain` and the reference.
//!
//! The table says what the reader does, and tests hold one against the other in both directions: every key that the
//! reader takes is here, and every field here is read, with this default, these bounds and this example.

#[cfg(test)]
mod agree;
mod build;
mod hosts;
mod kind;
mod notify;
mod playbook;
mod recycle;
mod rehearsal;
#[cfg(test)]
mod sample;
mod ssh;
#[cfg(test)]
mod tests;
mod top;
mod work;

pub use kind::{Form, Kind};

/// One field.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// The keys that lead to it, for example `fleet.accept.min`; entries of lists have no segment of their own.
    pub path: &'static str,
    /// What it takes.
    pub kind: Kind,
    /// An example of its value, as YAML that can stand anywhere.
    pub example: &'static str,
    /// What it is, in one sentence or a few.
    pub about: &'static str,
    /// Whether its section can't do without it.
    pub required: bool,
    /// What holds when it is left out.
    pub absent: Absent,
    /// What a bare number counts.
    pub counts: Option<&'static str>,
    /// Fields that must be there too.
    pub needs: &'static [&'static str],
    /// Fields of its section that it stands in place of: not both.
    pub instead: &'static [&'static str],
    /// Whether `${NAME}` in it is read from the environment.
    pub env: bool,
    /// The page that says more or sets its bounds.
    pub source: Option<&'static str>,
}

/// What holds when a field is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absent {
    /// Nothing in its place.
    Nothing,
    /// The same as with this value, as YAML.
    Value(&'static str),
    /// What these words say.
    Means(&'static str),
}

impl Field {
    const fn new(path: &'static str, kind: Kind, example: &'static str, about: &'static str) -> Self {
        let absent = Absent::Nothing;
        Self {
            path,
            kind,
            example,
            about,
            required: false,
            absent,
            counts: None,
            needs: &[],
            instead: &[],
            env: false,
            source: None,
        }
    }

    const fn required(mut self) -> Self {
        self.required = true;
        self
    }

    const fn default(mut self, value: &'static str) -> Self {
        self.absent = Absent::Value(value);
        self
    }

    const fn absent(mut self, words: &'static str) -> Self {
        self.absent = Absent::Means(words);
        self
    }

    const fn counts(mut self, what: &'static str) -> Self {
        self.counts = Some(what);
        self
    }

    const fn needs(mut self, paths: &'static [&'static str]) -> Self {
        self.needs = paths;
        self
    }

    const fn instead(mut self, paths: &'static [&'static str]) -> Self {
        self.instead = paths;
        self
    }

    const fn env(mut self) -> Self {
        self.env = true;
        self
    }

    const fn source(mut self, page: &'static str) -> Self {
        self.source = Some(page);
        self
    }

    /// The last key of its path.
    pub fn key(&self) -> &'static str {
        self.path.rsplit_once('.').map_or(self.path, |(_, key)| key)
    }

    /// The path of the section that it is in; empty at the top.
    pub fn parent(&self) -> &'static str {
        self.path.rsplit_once('.').map_or("", |(parent, _)| parent)
    }

    /// What holds when it is left out, in words.
    pub fn default_words(&self) -> Option<&'static str> {
        match self.absent {
            Absent::Nothing => None,
            Absent::Value(text) | Absent::Means(text) => Some(text),
        }
    }

    /// The unit that its value is written or counted in.
    pub fn unit(&self) -> Option<&'static str> {
        self.counts.or_else(|| self.kind.unit())
    }
}

/// A kind of file that fleetwright reads.
#[derive(Debug)]
pub struct Document {
    /// What it is called on the command line.
    pub name: &'static str,
    /// What it is called elsewhere.
    pub title: &'static str,
    /// What it is for.
    pub about: &'static str,
    /// The key whose value may also stand alone, as the whole file.
    pub bare: Option<&'static str>,
    /// Sets of keys of which at least one must be there whole.
    pub any_of: &'static [&'static [&'static str]],
    parts: &'static [&'static [Field]],
}

/// A fleet.yaml.
pub static FLEET: Document = Document {
    name: "fleet",
    title: "fleet.yaml",
    about: "Describes a fleet and its job. Each verb says what it needs; only `version` is always required, and where \
            something is launched, name, account and region too.",
    bare: None,
    any_of: &[top::IDENTITY, &["queue"], &["hosts"], recycle::ALONE],
    parts: &[
        top::FIELDS,
        build::FIELDS,
        hosts::FIELDS,
        ssh::FIELDS,
        work::FIELDS,
        recycle::FIELDS,
        notify::FIELDS,
        rehearsal::FIELDS,
    ],
};

/// A playbook.
pub static PLAYBOOK: Document = Document {
    name: "playbook",
    title: "playbook",
    about: "Lists the steps of `template.verify`, `template.build.playbook`, `release.playbook` or `worker.drain`. Values are \
            templates of the owner's own `vars` and of what is known of a host: `instance_id`, `slot`, `address`, `fleet`, \
            `region`, `release` (in `release.playbook` only) and `queue_url`; a drain playbook knows neither `slot`, \
            `address` nor `queue_url`. A file that needs no `vars` may be the list of steps alone.",
    bare: Some("steps"),
    any_of: &[],
    parts: &[playbook::FIELDS],
};

/// The field that a reader's path leads to, which numbers the entries of lists, and the document that it is in.
pub(crate) fn led(path: &str) -> Option<(&'static Document, &'static Field)> {
    let plain = plain(path);
    [&FLEET, &PLAYBOOK].into_iter().find_map(|document| Some((document, document.field(&plain)?)))
}

/// The path as the table writes it: no numbers and brackets of list entries.
pub(super) fn plain(path: &str) -> String {
    let keys = path.trim().split('.').map(|key| key.split('[').next().unwrap_or_default());
    let keys = keys.filter(|key| !key.is_empty() && !key.bytes().all(|b| b.is_ascii_digit()));
    keys.collect::<Vec<_>>().join(".")
}

impl Document {
    /// Every field, sections before what is in them.
    pub fn fields(&self) -> impl Iterator<Item = &'static Field> + use<> {
        self.parts.iter().flat_map(|part| part.iter())
    }

    /// The fields that stand directly in a section; the path of the top is empty.
    pub fn children<'p>(&self, path: &'p str) -> impl Iterator<Item = &'static Field> + use<'p> {
        self.fields().filter(move |field| field.parent() == path)
    }

    /// One field by its path.
    pub fn field(&self, path: &str) -> Option<&'static Field> {
        self.fields().find(|field| field.path == path)
    }

    /// A field's path with `[]` behind each list of sections, as people write it.
    pub fn shown(&self, path: &str) -> String {
        let mut shown = String::new();
        for (at, c) in path.char_indices() {
            if c == '.' && self.field(&path[..at]).is_some_and(|field| matches!(field.kind, Kind::List { .. })) {
                shown.push_str("[]");
            }
            shown.push(c);
        }
        shown
    }
}
