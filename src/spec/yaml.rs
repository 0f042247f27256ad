//! YAML text to a tree with places: the only file that knows a YAML crate.
//!
//! The tree is built from the parser's events rather than through serde, since a deserializer stops at the first
//! problem and this room reports all of them. The budgets bound time and memory for any input of up to 1 MiB:
//! billion-laughs aliases run into the node and byte budgets, deep nesting into the parser's own limit.

use super::check::Check;
use super::problem::is_hostile;
use super::syntax;
use super::tree::{Key, Kind, Node, Span, is_null};
use serde_saphyr::granit_parser::{ErrorKind, Event, Options, Parser, ScalarStyle, Span as At};
use std::collections::HashMap;

/// Most bytes of a file.
pub(crate) const MOST_BYTES: usize = 1 << 20;
/// Most bytes of a line: nobody reads longer ones, and a report has to find columns in them.
const LONGEST_LINE: usize = 16 << 10;
/// Most values after aliases are followed; a fleet of 10,000 hosts needs some hundred.
const MOST_NODES: usize = 20_000;
/// Most bytes of values after aliases are followed.
const MOST_DECODED: usize = 4 << 20;
/// Deepest nesting; the deepest documented field stands at 5.
const DEEPEST: usize = 32;

/// Reads the text of `source` from byte `from` on; `None` when there is no usable tree, with the reasons noted.
pub(crate) fn parse(check: &mut Check<'_>, source: usize, from: usize) -> Option<Node> {
    let text = check.text(source);
    if !is_clean(check, source, &text) {
        return None;
    }
    let mut options = Options::default();
    options.set_emit_comments(false);
    options.flow_nesting_limit = DEEPEST;
    options.block_nesting_limit = DEEPEST;
    let mut builder =
        Builder { source, from, nodes: 0, bytes: 0, anchors: HashMap::new(), open: Vec::new(), root: None };
    for event in Parser::new_from_str_with_options(text.get(from..)?, options) {
        let ok = match event {
            Ok((event, at)) => builder.take(check, event, at),
            Err(error) => {
                let byte = error.marker().byte_offset().unwrap_or(0) + from;
                let byte = if error.info().contains("tab") { syntax::tab(&text, byte) } else { byte };
                let span = Span { source, start: byte, end: byte + 1 };
                if matches!(error.kind(), ErrorKind::RecursionLimitExceeded) {
                    check.error(span, "too-deep", format!("values are nested more than {DEEPEST} deep"));
                } else if matches!(error.kind(), ErrorKind::UnknownAnchor) {
                    let message = "this alias names an anchor that is not defined above it";
                    check.error_with(span, "alias", message, Some("a value that starts with `*` needs quotes"));
                } else {
                    let help = syntax::help(&text, byte, &error.info());
                    check.error_with(
                        span,
                        "syntax",
                        format!("this is not YAML: {}", syntax::reason(&text, byte, &error.info())),
                        help,
                    );
                }
                false
            }
        };
        if !ok {
            return None;
        }
    }
    builder.root
}

/// A value of the table of fields as JSON, typed as YAML's core schema types it.
pub(crate) fn value(text: &str) -> Option<serde_json::Value> {
    serde_saphyr::from_str(text).ok()
}

/// Refuses characters that show as something else than they are, with their places.
fn is_clean(check: &mut Check<'_>, source: usize, text: &str) -> bool {
    let mut clean = true;
    if text.len() > MOST_BYTES {
        let span = Span { source, start: 0, end: 0 };
        check.error(span, "too-large", format!("the file has {} bytes; at most {MOST_BYTES} are read", text.len()));
        return false;
    }
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        if line.len() > LONGEST_LINE {
            let span = Span { source, start, end: start + 1 };
            check.error(span, "too-large", format!("this line has more than {LONGEST_LINE} bytes"));
            return false;
        }
        let indent = line.len() - line.trim_start().len();
        if let Some(at) = line[..indent].find(|c| !matches!(c, ' ' | '\t' | '\n' | '\r' | '\u{FEFF}')) {
            let span = Span { source, start: start + at, end: start + at + 1 };
            let help = Some("replace it by ordinary spaces; it was likely copied from a web page");
            check.error_with(
                span,
                "control-character",
                "this line is indented with a space that YAML does not know",
                help,
            );
            clean = false;
        }
        start += line.len();
    }
    for (start, c) in text.char_indices().filter(|&(at, c)| is_hostile(c) && !(at == 0 && c == '\u{FEFF}')) {
        let span = Span { source, start, end: start + c.len_utf8() };
        let what = if c.is_control() { "a control character" } else { "a character that hides or turns text" };
        check.error(span, "control-character", format!("U+{:04X} is {what} and can't stand in a spec", u32::from(c)));
        clean = false;
        if check.problems.is_full() {
            break;
        }
    }
    clean
}

/// A collection that is not at its end yet.
enum Open {
    List { items: Vec<Node>, span: Span, anchor: usize },
    Map { entries: Vec<(Key, Node)>, seen: HashMap<String, Span>, key: Option<Slot>, span: Span, anchor: usize },
}

/// What the value that comes next belongs to.
enum Slot {
    Under(Key),
    Dropped,
}

struct Builder {
    source: usize,
    from: usize,
    nodes: usize,
    bytes: usize,
    /// Finished anchors with the number of values and bytes that each alias of them costs.
    anchors: HashMap<usize, (Node, usize, usize)>,
    open: Vec<Open>,
    root: Option<Node>,
}

impl Builder {
    fn span(&self, at: At) -> Span {
        let range = at.byte_range().unwrap_or(0..0);
        Span { source: self.source, start: range.start + self.from, end: range.end + self.from }
    }

    /// One event; `false` ends the reading.
    fn take(&mut self, check: &mut Check<'_>, event: Event<'_>, at: At) -> bool {
        let span = self.span(at);
        if event.tag().is_some() {
            let span = at.tag_span().map_or(span, |tag| self.span(tag));
            check.error_with(span, "tag", "YAML tags are not read", Some("leave the `!...` out"));
        }
        match event {
            Event::DocumentStart(..) if self.root.is_some() => {
                check.error(span, "syntax", "a second YAML document starts here; only one is read");
                return false;
            }
            Event::Scalar(text, style, anchor, _) => {
                if let Some(c) = text.chars().find(|&c| is_hostile(c)) {
                    let code = u32::from(c);
                    check.error(
                        span,
                        "control-character",
                        format!("the escape here stands for U+{code:04X}, which can't stand in a spec"),
                    );
                }
                let node =
                    Node { span, kind: Kind::Scalar { text: text.into_owned(), plain: style == ScalarStyle::Plain } };
                return self.put(check, node, anchor);
            }
            Event::SequenceStart(_, anchor, _) => self.open.push(Open::List { items: Vec::new(), span, anchor }),
            Event::MappingStart(_, anchor, _) => {
                let entries = Vec::new();
                self.open.push(Open::Map { entries, seen: HashMap::new(), key: None, span, anchor });
            }
            Event::SequenceEnd | Event::MappingEnd => return self.close(check, span),
            Event::Alias(id) => {
                let Some((node, nodes, bytes)) = self.anchors.get(&id) else {
                    check.error(span, "alias", "this alias stands inside the very value that it names");
                    return false;
                };
                self.nodes += nodes;
                self.bytes += bytes;
                if self.is_over(check, span) {
                    return false;
                }
                let node = Node { span, kind: node.kind.clone() };
                return self.put(check, node, 0);
            }
            // No other event carries a value: starts and ends of stream and document, and what was not asked for.
            _ => {}
        }
        true
    }

    fn is_over(&self, check: &mut Check<'_>, span: Span) -> bool {
        let over = self.nodes > MOST_NODES || self.bytes > MOST_DECODED;
        if over {
            let what = format!("with this the spec has more than {MOST_NODES} values, or {MOST_DECODED} bytes of them");
            check.error_with(span, "too-large", what, Some("an alias counts as everything that it stands for"));
        }
        over
    }

    fn close(&mut self, check: &mut Check<'_>, end: Span) -> bool {
        let (kind, span, anchor) = match self.open.pop() {
            Some(Open::List { items, span, anchor }) => (Kind::List(items), span, anchor),
            Some(Open::Map { entries, span, anchor, .. }) => (Kind::Map(entries), span, anchor),
            None => return true,
        };
        self.put(check, Node { span: Span { end: end.end.max(span.end), ..span }, kind }, anchor)
    }

    /// Puts a finished value where it belongs.
    fn put(&mut self, check: &mut Check<'_>, node: Node, anchor: usize) -> bool {
        self.nodes += 1;
        if let Kind::Scalar { text, .. } = &node.kind {
            self.bytes += text.len();
        }
        if self.is_over(check, node.span) {
            return false;
        }
        if anchor > 0 {
            let (nodes, bytes) = weigh(&node);
            self.bytes += bytes;
            self.nodes += nodes;
            if self.is_over(check, node.span) {
                return false;
            }
            self.anchors.insert(anchor, (node.clone(), nodes, bytes));
        }
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(Open::List { items, .. }) => items.push(node),
            Some(Open::Map { entries, seen, key, .. }) => match key.take() {
                Some(Slot::Under(name)) => entries.push((name, node)),
                Some(Slot::Dropped) => {}
                None => *key = Some(slot(check, seen, node)),
            },
        }
        true
    }
}

/// What a key means for the value after it.
fn slot(check: &mut Check<'_>, seen: &mut HashMap<String, Span>, node: Node) -> Slot {
    let span = node.span;
    let (text, plain) = match node.kind {
        Kind::Scalar { text, plain } => (text, plain),
        Kind::List(_) | Kind::Map(_) => {
            let braces = check
                .text_before(span)
                .ends_with('{')
                .then_some("a value with {{ ... }} needs quotes around all of it");
            check.error_with(span, "wrong-type", "a key must be a single word", braces);
            return Slot::Dropped;
        }
    };
    if plain && text == "<<" {
        let help = Some("write the keys out here");
        check.error_with(span, "merge-key", "merge keys are not read", help);
        return Slot::Dropped;
    }
    if plain && is_null(&text) {
        let help =
            (!text.is_empty()).then(|| format!("`{text}` is YAML's word for nothing; as a name it needs quotes"));
        check.error_with(span, "wrong-type", "a key is missing before this colon", help);
        return Slot::Dropped;
    }
    if let Some(first) = seen.get(&text) {
        let line = check.line(*first);
        let message = format!("{} stands here for the second time", super::problem::quote(&text));
        let help = format!("the first is on line {line}; keep one of them");
        check.error_with(span, "duplicate-key", message, Some(help));
        return Slot::Dropped;
    }
    seen.insert(text.clone(), span);
    Slot::Under(Key { text, span })
}

/// How many values and bytes a tree holds.
fn weigh(node: &Node) -> (usize, usize) {
    let sum = |(n, b): (usize, usize), child: &Node| {
        let (nodes, bytes) = weigh(child);
        (n + nodes, b + bytes)
    };
    match &node.kind {
        Kind::Scalar { text, .. } => (1, text.len()),
        Kind::List(items) => items.iter().fold((1, 0), sum),
        Kind::Map(entries) => entries.iter().map(|(_, value)| value).fold((1, 0), sum),
    }
}
