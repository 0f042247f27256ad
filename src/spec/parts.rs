//! What a template is made of, taken apart as the engine does it: texts, values and tags, and the words in these.

use std::collections::BTreeSet;

/// A part of a template; values and tags have their marks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part<'t> {
    /// What comes out as it is.
    Text(&'t str),
    /// `{{ ... }}`
    Value(&'t str),
    /// `{% ... %}`
    Tag(&'t str),
}

/// The parts in their order; comments are none.
pub(super) fn parts(text: &str) -> Vec<Part<'_>> {
    let mut out = Vec::new();
    let (mut done, mut at) = (0, 0);
    while let Some(open) = text[at..].find('{').map(|n| at + n) {
        let rest = &text[open..];
        let (part, length) = match rest.as_bytes().get(1) {
            Some(b'{') => {
                let length = expression(rest, b'}');
                (Some(Part::Value(&rest[..length])), length)
            }
            Some(b'%') => {
                let length = expression(rest, b'%');
                raw(rest).map_or((Some(Part::Tag(&rest[..length])), length), |(part, length)| (Some(part), length))
            }
            Some(b'#') => (None, rest.find("#}").map_or(rest.len(), |end| end + 2)),
            Some(_) | None => {
                at = open + 1;
                continue;
            }
        };
        if done < open {
            out.push(Part::Text(&text[done..open]));
        }
        out.extend(part);
        done = open + length;
        at = done;
    }
    if done < text.len() {
        out.push(Part::Text(&text[done..]));
    }
    out
}

/// The text of a raw part that begins here, and the bytes up to the tag that ends it.
fn raw(text: &str) -> Option<(Part<'_>, usize)> {
    let start = tag(text, "raw")?;
    let inner = &text[start..];
    let end = inner.match_indices("{%").find(|(at, _)| tag(&inner[*at..], "endraw").is_some());
    let end = end.map_or(inner.len(), |(at, _)| at);
    Some((Part::Text(&inner[..end]), start + end))
}

/// The length of the tag that a text starts with, if it has this name and nothing else.
fn tag(text: &str, name: &str) -> Option<usize> {
    let rest = text.strip_prefix("{%")?;
    let rest = rest.strip_prefix(['-', '+']).unwrap_or(rest).trim_start().strip_prefix(name)?.trim_start();
    let rest = rest.strip_prefix(['-', '+']).unwrap_or(rest).strip_prefix("%}")?;
    Some(text.len() - rest.len())
}

/// The bytes of an expression with its marks, quoted texts and inner braces passed over.
fn expression(text: &str, mark: u8) -> usize {
    let bytes = text.as_bytes();
    let (mut at, mut depth) = (2, 0_usize);
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' | b'\'' => {
                at += quoted(&bytes[at..]);
                continue;
            }
            _ if depth == 0 && byte == mark && bytes.get(at + 1) == Some(&b'}') => return at + 2,
            b'{' => depth += 1,
            b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        at += 1;
    }
    bytes.len()
}

/// The bytes of a quoted text with its quotes.
fn quoted(bytes: &[u8]) -> usize {
    let mut at = 1;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\\' => at += 2,
            byte if Some(byte) == bytes.first() => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// What a template asks for by name.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Asked<'t> {
    /// `x | NAME`
    pub(super) filters: BTreeSet<&'t str>,
    /// `x is NAME`
    pub(super) tests: BTreeSet<&'t str>,
    /// Names that it gives a default, or asks whether they are defined: they may be unknown.
    pub(super) guarded: BTreeSet<&'t str>,
}

/// What all values and tags ask for.
pub(super) fn asked<'t>(parts: &[Part<'t>]) -> Asked<'t> {
    let mut out = Asked::default();
    for part in parts {
        let words = match part {
            Part::Text(_) => continue,
            Part::Value(text) | Part::Tag(text) => words(text),
        };
        let name = |at: usize| words.get(at).copied().filter(|word| word.starts_with(is_word));
        let block = words.iter().position(|word| word.starts_with(is_word)).filter(|at| words[*at] == "filter");
        if let (Part::Tag(_), Some(filter)) = (part, block.and_then(|at| name(at + 1))) {
            out.filters.insert(filter);
        }
        for at in 1..words.len() {
            let guards = match words[at] {
                "|" => {
                    out.filters.extend(name(at + 1));
                    matches!(name(at + 1), Some("default" | "d"))
                }
                "is" if words[at - 1] != "." => {
                    let test = name(at + 1).and_then(|word| if word == "not" { name(at + 2) } else { Some(word) });
                    out.tests.extend(test);
                    matches!(test, Some("defined" | "undefined"))
                }
                _ => false,
            };
            // `(name) | default(1)` guards it as well.
            let guarded = words[..at].iter().rposition(|word| *word != ")").filter(|_| guards).and_then(name);
            out.guarded.extend(guarded);
        }
    }
    out
}

/// The words and marks of a value or a tag; a quoted text is one of them.
fn words(expression: &str) -> Vec<&str> {
    let mut out = Vec::new();
    let mut rest = expression;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '"' | '\'' => quoted(rest.as_bytes()),
            c if is_word(c) => rest.find(|c| !is_word(c)).unwrap_or(rest.len()),
            c => c.len_utf8(),
        };
        let (word, after) = rest.split_at(length);
        if !word.trim().is_empty() {
            out.push(word);
        }
        rest = after;
    }
    out
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The longest expression.
    fn of(text: &str) -> Option<usize> {
        let length = |part: &Part<'_>| match part {
            Part::Text(_) => None,
            Part::Value(text) | Part::Tag(text) => Some(text.len()),
        };
        parts(text).iter().filter_map(length).max()
    }

    #[test]
    fn expressions_are_measured_as_the_engine_reads_them() {
        assert_eq!((of("plain"), of("{{ a }}"), of("{{a}} {% b %} {{ ccc }}")), (None, Some(7), Some(9)));
        assert_eq!(of("{{ '}}' ~ \"}}\\\"}}\" }} long tail"), Some(21));
        assert_eq!(of("{{ {'a': {'b': 1}} }} tail"), Some(21));
        assert_eq!(of("{# {{ not counted #}{{ a }}"), Some(7));
        assert_eq!((of("{{ never closed"), of("{{ 'never closed\\")), (Some(15), Some(17)));
        // The tag that ends a raw part counts; what is in it does not.
        assert_eq!(of("{% raw %}{{ \" {{ a long one }} {%- endraw %}{{ 1 }} draw"), Some(13));
        assert_eq!(of("{% raw %}{{ never closed"), None);
    }

    #[test]
    fn texts_are_what_comes_out_as_it_is() {
        let all = [Part::Text("a {b} "), Part::Value("{{ c }}"), Part::Tag("{% if d %}"), Part::Text("é")];
        assert_eq!(parts("a {b} {{ c }}{# e #}{% if d %}é"), all);
        assert_eq!(parts("{% raw %}{{ f }}{% endraw %}"), [Part::Text("{{ f }}"), Part::Tag("{% endraw %}")]);
    }

    #[test]
    fn names_are_asked_for_outside_of_quotes() {
        let of = |text: &str| {
            let Asked { filters, tests, guarded } = asked(&parts(text));
            [filters, tests, guarded].map(|names| names.into_iter().collect::<Vec<_>>().join(" "))
        };
        assert_eq!(of("is a | b {{ 'c | d is e' }}"), ["", "", ""]);
        assert_eq!(of("{{ a|upper | trim }}{% filter lower|title %}"), ["lower title trim upper", "", ""]);
        assert_eq!(of("{{ a.b | default('c') ~ (d) | d(1) }}"), ["d default", "", "b d"]);
        assert_eq!(of("{% if a is not defined and b is odd %}"), ["", "defined odd", "a"]);
        assert_eq!(of("{{ a.is }}{{ is }}"), ["", "", ""]);
    }
}
