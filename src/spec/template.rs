//! Whether a text is a template that can be rendered later, with names that will be known then.

use super::check::Check;
use super::problem::{printable, quote};
use super::section::Field;
use super::words::nearest;
use minijinja::Environment;

/// Most names that are told of one template, and most that a help lists: nobody reads more, and hostile files have 100,000.
const MOST_TOLD: usize = 30;

/// Longest expression in bytes, and most branches of a template: the engine descends into both, about 1 KiB of stack for each
/// operator, on threads of 2 MiB.
const LONGEST: usize = 1000;

/// Notes a template's syntax error, or the names in it that nothing defines.
pub(crate) fn check(check: &mut Check<'_>, field: &Field<'_>, text: &str) {
    if let Some(length) = longest_expression(text).filter(|length| *length > LONGEST) {
        let message = format!("`{}` has an expression of {length} bytes; at most {LONGEST} are read", field.path);
        check.error_with(field.node.span, "too-large", message, Some("compute it in a script, and hand that on"));
        return;
    }
    let engine = Environment::new();
    let template = match engine.template_from_str(text) {
        Ok(template) => template,
        Err(error) => return syntax(check, field, text, &error),
    };
    // Who asks whether a name is defined, or gives a default, means names that may not be.
    if check.names.is_empty() || !text.contains(['{', '%']) || text.contains("defined") || text.contains("default") {
        return;
    }
    let mut unknown: Vec<String> = template.undeclared_variables(false).into_iter().collect();
    unknown.retain(|name| !check.names.contains(name) && engine.globals().all(|(global, _)| global != name));
    unknown.sort();
    unknown.truncate(MOST_TOLD);
    for name in unknown {
        let known: Vec<&str> = check.names.iter().map(String::as_str).take(MOST_TOLD).collect();
        let help = match nearest(&name, &known) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("give it a value in `vars`; known are {}", known.join(", ")),
        };
        let message = format!("`{}` names {}, which nothing defines", field.path, quote(&name));
        check.error_with(check.naming(field.node.span, &name), "unknown-variable", message, Some(help));
    }
}

/// The bytes of the longest `{{ ... }}` or `{% ... %}`; a template of very many branches counts as one.
fn longest_expression(text: &str) -> Option<usize> {
    let mut rest = text;
    let mut longest = None;
    if text.matches("elif").count() > LONGEST / 10 {
        return Some(text.len());
    }
    while let Some(start) = rest.find('{') {
        rest = &rest[start..];
        if let Some(length) = tag(rest, "raw") {
            let raw = &rest[length..];
            let end = raw.match_indices("{%").find(|(at, _)| tag(&raw[*at..], "endraw").is_some());
            rest = end.map_or("", |(at, _)| &raw[at..]);
            continue;
        }
        let length = match rest.as_bytes().get(1) {
            Some(b'{') => expression(rest, b'}'),
            Some(b'%') => expression(rest, b'%'),
            Some(b'#') => {
                rest = rest.split_once("#}").map_or("", |(_, after)| after);
                continue;
            }
            Some(_) | None => {
                rest = &rest[1..];
                continue;
            }
        };
        longest = longest.max(Some(length));
        rest = &rest[length..];
    }
    longest
}

/// The length of the tag that a text starts with, if it has this name and nothing else.
fn tag(text: &str, name: &str) -> Option<usize> {
    let rest = text.strip_prefix("{%")?;
    let rest = rest.strip_prefix(['-', '+']).unwrap_or(rest).trim_start().strip_prefix(name)?.trim_start();
    let rest = rest.strip_prefix(['-', '+']).unwrap_or(rest).strip_prefix("%}")?;
    Some(text.len() - rest.len())
}

/// The bytes of an expression with its marks, quoted texts and inner braces passed over as the engine does.
fn expression(text: &str, mark: u8) -> usize {
    let bytes = text.as_bytes();
    let (mut at, mut depth, mut quote) = (2, 0_usize, None);
    while let Some(&byte) = bytes.get(at) {
        match (quote, byte) {
            (Some(_), b'\\') => at += 1,
            (Some(open), _) if byte == open => quote = None,
            (None, b'"' | b'\'') => quote = Some(byte),
            (None, _) if depth == 0 && byte == mark && bytes.get(at + 1) == Some(&b'}') => return at + 2,
            (None, b'{') => depth += 1,
            (None, b'}') => depth = depth.saturating_sub(1),
            (Some(_) | None, _) => {}
        }
        at += 1;
    }
    bytes.len()
}

fn syntax(check: &mut Check<'_>, field: &Field<'_>, text: &str, error: &minijinja::Error) {
    let why = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
    let line = match error.line() {
        Some(line) if text.trim_end().contains('\n') => format!(" in its line {line}"),
        Some(_) | None => String::new(),
    };
    let message = format!("`{}` is not a template{line}: {}", field.path, printable(&why));
    let help = Some("values stand in {{ ... }}; to write braces as they are: {{ '{{' }}");
    check.error_with(field.node.span, "template-syntax", message, help);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_measured_as_the_engine_reads_them() {
        let of = |text: &str| longest_expression(text);
        assert_eq!((of("plain"), of("{{ a }}"), of("{{a}} {% b %} {{ ccc }}")), (None, Some(7), Some(9)));
        assert_eq!(of("{{ '}}' ~ \"}}\\\"}}\" }} long tail"), Some(21));
        assert_eq!(of("{{ {'a': {'b': 1}} }} tail"), Some(21));
        assert_eq!(of("{# {{ not counted #}{{ a }}"), Some(7));
        assert_eq!(of("{{ never closed"), Some(15));
        // The tag that ends a raw part counts; what is in it does not.
        assert_eq!(of("{% raw %}{{ \" {{ a long one }} {%- endraw %}{{ 1 }} draw"), Some(13));
        assert_eq!(of("{% raw %}{{ never closed"), None);
    }
}
