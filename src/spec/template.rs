//! Whether a text is a template that can be rendered later, with names that will be known then.

use super::check::Check;
use super::problem::{printable, quote};
use super::section::Field;
use super::words::nearest;
use minijinja::Environment;

/// Notes a template's syntax error, or the names in it that nothing defines.
pub(crate) fn check(check: &mut Check<'_>, field: &Field<'_>, text: &str) {
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
    for name in unknown {
        let known: Vec<&str> = check.names.iter().map(String::as_str).collect();
        let help = match nearest(&name, &known) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("give it a value in `vars`; known are {}", known.join(", ")),
        };
        let message = format!("`{}` names {}, which nothing defines", field.path, quote(&name));
        check.error_with(field.node.span, "unknown-variable", message, Some(help));
    }
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
