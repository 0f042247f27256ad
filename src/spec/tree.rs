//! The spec as written: a tree in which each value still knows its place.

use super::problem::{Excerpt, Place, is_hostile};

/// Most characters of a line that a report shows.
const WIDTH: usize = 110;

/// A stretch of one of the texts that were read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Span {
    /// Which text.
    pub(crate) source: usize,
    /// First byte.
    pub(crate) start: usize,
    /// One past the last byte.
    pub(crate) end: usize,
}

/// A key of a section.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    /// As written; never read as anything but text, so `on` stays `on`.
    pub(crate) text: String,
    /// Where.
    pub(crate) span: Span,
}

/// A value.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    /// Where.
    pub(crate) span: Span,
    /// What.
    pub(crate) kind: Kind,
}

/// What a value is.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    /// One word or text.
    Scalar {
        /// As written, quotes and escapes undone.
        text: String,
        /// Whether it stands without quotes, so that it may mean a number, a boolean or nothing.
        plain: bool,
    },
    /// A list.
    List(Vec<Node>),
    /// Keys and values in the order of the file; no key twice.
    Map(Vec<(Key, Node)>),
}

impl Node {
    /// What people call it.
    pub(crate) fn word(&self) -> &'static str {
        match &self.kind {
            Kind::Scalar { text, plain } if *plain && is_null(text) => "nothing",
            Kind::Scalar { .. } => "a single value",
            Kind::List(_) => "a list",
            Kind::Map(_) => "a section",
        }
    }
}

/// YAML's words for no value.
pub(crate) fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

/// One text that was read: the file, a playbook or a `--set` argument.
#[derive(Debug)]
pub(crate) struct Source {
    /// What reports call it.
    pub(crate) name: String,
    /// Its text.
    pub(crate) text: String,
    lines: Vec<usize>,
}

impl Source {
    /// Takes the text and learns where its lines start.
    pub(crate) fn new(name: String, text: String) -> Self {
        let lines = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { name, text, lines }
    }

    /// Line and column of a stretch, and what to show of it.
    pub(crate) fn locate(&self, start: usize, end: usize) -> (Place, Excerpt) {
        let start = self.floor(start);
        let line = self.lines.partition_point(|&first| first <= start).max(1);
        let first = self.lines[line - 1];
        let rest = &self.text[first..];
        let text = rest.split('\n').next().unwrap_or_default().trim_end_matches('\r');
        let end = self.floor(end).clamp(start, (first + text.len()).max(start));
        let column = self.text[first..start].chars().count() + 1;
        let excerpt = cut(text, start - first, end - first, column - 1);
        (Place { line, column, start, end }, excerpt)
    }

    fn floor(&self, at: usize) -> usize {
        self.text.floor_char_boundary(at.min(self.text.len()))
    }
}

/// A window of the line around the mark, hostile characters replaced.
fn cut(line: &str, start: usize, end: usize, column: usize) -> Excerpt {
    let skip = if line.chars().count() <= WIDTH { 0 } else { column.saturating_sub(WIDTH / 2) };
    let mut out = Excerpt { text: String::new(), start: 0, end: 0 };
    let mut marked = false;
    if skip > 0 {
        out.text.push_str("...");
    }
    for (n, (at, c)) in line.char_indices().skip(skip).enumerate() {
        if at >= start && !marked {
            out.start = out.text.len();
            out.end = out.start;
            marked = true;
        }
        if n == WIDTH {
            out.text.push_str("...");
            break;
        }
        out.text.push(match c {
            '\t' => ' ',
            c if is_hostile(c) || c == '\r' => '\u{FFFD}',
            c => c,
        });
        if at < end {
            out.end = out.text.len();
        }
    }
    if !marked {
        out.start = out.text.len();
    }
    out.end = out.end.max(out.start);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locates_by_line_and_character() {
        let source = Source::new("f".into(), "a: 1\r\nbé: \u{202e}x\r\n".into());
        let at = source.text.find('x').unwrap_or_default();
        let (place, excerpt) = source.locate(at, at + 1);
        assert_eq!((place.line, place.column), (2, 6));
        assert_eq!(excerpt.text, "bé: \u{FFFD}x");
        assert_eq!(&excerpt.text[excerpt.start..excerpt.end], "x");
        let (place, excerpt) = source.locate(10_000, 10_001);
        assert_eq!((place.line, place.column, excerpt.text.as_str()), (3, 1, ""));
    }

    #[test]
    fn shows_a_window_of_a_long_line() {
        let line = format!("{}HERE{}", "x".repeat(5_000), "y".repeat(5_000));
        let source = Source::new("f".into(), line);
        let (place, excerpt) = source.locate(5_000, 5_004);
        assert_eq!(place.column, 5_001);
        assert_eq!(&excerpt.text[excerpt.start..excerpt.end], "HERE");
        assert!(excerpt.text.len() < 130);
    }
}
