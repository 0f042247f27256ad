//! Whether a text is a template that can be rendered later, with names that will be known then.

use super::check::Check;
use super::parts::{Part, asked, parts};
use super::problem::{printable, quote};
use super::section::Field;
use super::words::nearest;
use minijinja::{Environment, ErrorKind};

/// Most names that are told of one template, and most that a help lists: nobody reads more, and hostile files have 100,000.
const MOST_TOLD: usize = 30;

/// Longest expression in bytes, and most branches of a template: the engine descends into both, about 1 KiB of stack for each
/// operator, on threads of 2 MiB.
const LONGEST: usize = 1000;

/// Filters that mean nothing here: what is rendered is no HTML, and values are quoted for the shell.
const NEEDLESS: [&str; 3] = ["safe", "escape", "e"];

/// What playbooks ask of a value most: a misspelt filter or test is likely one of these.
const FILTERS: &[&str] = &[
    "abs", "batch", "bool", "count", "default", "dictsort", "first", "float", "format", "groupby", "indent", "int",
    "items", "join", "last", "length", "lines", "list", "lower", "map", "max", "min", "reject", "replace", "reverse",
    "round", "select", "slice", "sort", "split", "string", "sum", "title", "trim", "unique", "upper", "zip",
];
const TESTS: &[&str] = &[
    "boolean",
    "defined",
    "divisibleby",
    "endingwith",
    "even",
    "false",
    "in",
    "integer",
    "iterable",
    "lower",
    "mapping",
    "none",
    "number",
    "odd",
    "sequence",
    "startingwith",
    "string",
    "true",
    "undefined",
    "upper",
];

/// Notes a template's syntax error, or else the names, filters and tests in it that nothing defines; whether it is a template.
pub(crate) fn check(check: &mut Check<'_>, field: &Field<'_>, text: &str) -> bool {
    let parts = parts(text);
    if let Some(length) = longest_expression(text, &parts).filter(|length| *length > LONGEST) {
        let message = format!("`{}` has an expression of {length} bytes; at most {LONGEST} are read", field.path);
        check.error_with(field.node.span, "too-large", message, Some("compute it in a script, and hand that on"));
        return false;
    }
    let mut engine = Environment::new();
    for filter in NEEDLESS {
        engine.remove_filter(filter);
    }
    let template = match engine.template_from_str(text) {
        Ok(template) => template,
        Err(error) => {
            syntax(check, field, text, &error);
            return false;
        }
    };
    let asked = asked(&parts);
    let mut state = engine.empty_state();
    let mut lacks =
        |name: &str| matches!(state.apply_filter(name, &[]), Err(e) if e.kind() == ErrorKind::UnknownFilter);
    for name in asked.filters.into_iter().filter(|name| lacks(name)).take(MOST_TOLD) {
        unknown(check, field, name, ("filter", "unknown-filter"), FILTERS);
    }
    let mut lacks = |name: &str| matches!(state.perform_test(name, &[]), Err(e) if e.kind() == ErrorKind::UnknownTest);
    for name in asked.tests.into_iter().filter(|name| lacks(name)).take(MOST_TOLD) {
        unknown(check, field, name, ("test", "unknown-test"), TESTS);
    }
    if check.names.is_empty() {
        return true;
    }
    let mut names: Vec<String> = template.undeclared_variables(false).into_iter().collect();
    names.retain(|name| {
        !check.names.contains(name)
            && !asked.guarded.contains(name.as_str())
            && engine.globals().all(|(global, _)| global != name)
    });
    names.sort();
    names.truncate(MOST_TOLD);
    for name in names {
        let known: Vec<&str> = check.names.iter().map(String::as_str).take(MOST_TOLD).collect();
        let help = match nearest(&name, &known) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("give it a value in `vars`; known are {}", known.join(", ")),
        };
        let message = format!("`{}` names {}, which nothing defines", field.path, quote(&name));
        check.error_with(check.naming(field.node.span, &name), "unknown-variable", message, Some(help));
    }
    true
}

/// Notes a filter or a test that the engine does not know.
fn unknown(check: &mut Check<'_>, field: &Field<'_>, name: &str, (what, code): (&str, &'static str), usual: &[&str]) {
    let help = match nearest(name, usual) {
        _ if what == "filter" && NEEDLESS.contains(&name) => "leave it out: values come out as they are".to_owned(),
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("https://docs.rs/minijinja/latest/minijinja/{what}s lists them"),
    };
    let message = format!("`{}` uses {}, and there is no such {what}", field.path, quote(name));
    check.error_with(check.naming(field.node.span, name), code, message, Some(help));
}

/// Whether a template can come to the one word `true` or `false`: one value or one of these words, or branches that say them.
pub(crate) fn is_truth(text: &str) -> bool {
    let (mut branches, mut words) = (false, 0);
    for part in parts(text) {
        match part {
            Part::Tag(_) => branches = true,
            Part::Value(_) => words += 1,
            Part::Text(text) if text.trim().is_empty() => {}
            Part::Text(text) if matches!(text.trim(), "true" | "false") => words += 1,
            Part::Text(_) => return false,
        }
    }
    branches || words == 1
}

/// The bytes of the longest `{{ ... }}` or `{% ... %}`; a template of very many branches counts as one.
fn longest_expression(text: &str, parts: &[Part<'_>]) -> Option<usize> {
    if text.matches("elif").count() > LONGEST / 10 {
        return Some(text.len());
    }
    let length = |part: &Part<'_>| match part {
        Part::Text(_) => None,
        Part::Value(text) | Part::Tag(text) => Some(text.len()),
    };
    parts.iter().filter_map(length).max()
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
    fn the_usual_filters_and_tests_are_the_engines() {
        let engine = Environment::new();
        let mut state = engine.empty_state();
        for name in FILTERS.iter().chain(&NEEDLESS) {
            assert!(!state.apply_filter(name, &[]).is_err_and(|e| e.kind() == ErrorKind::UnknownFilter), "{name}");
        }
        for name in TESTS {
            assert!(!state.perform_test(name, &[]).is_err_and(|e| e.kind() == ErrorKind::UnknownTest), "{name}");
        }
    }

    #[test]
    fn a_condition_comes_to_one_word() {
        for good in [
            "true",
            " {{ slot == 0 }}\n",
            "{# why #}{{ a }}",
            "{% if a %}true{% else %}{{ b }}{% endif %}",
            "{% set a = slot == 0 %}{{ a }}",
        ] {
            assert!(is_truth(good), "{good}");
        }
        for bad in ["", "yes", "slot == 0", "{{ slot == 0 }} or true", "{{ a }}{{ b }}", "{% if a %}yes{% endif %}"] {
            assert!(!is_truth(bad), "{bad}");
        }
    }
}
