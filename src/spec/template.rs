//! Whether a text is a template that can be rendered later.

use super::check::{Check, Field};
use super::problem::printable;

/// Notes a template's syntax error at its line.
pub(crate) fn check(check: &mut Check<'_>, field: &Field<'_>, text: &str) {
    let Err(error) = minijinja::Environment::new().template_from_str(text) else { return };
    let why = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
    let line = match error.line() {
        Some(line) if text.trim_end().contains('\n') => format!(" in its line {line}"),
        Some(_) | None => String::new(),
    };
    let message = format!("`{}` is not a template{line}: {}", field.path, printable(&why));
    let help = Some("values stand in {{ ... }}; to write braces as they are: {{ '{{' }}");
    check.error_with(field.node.span, "template-syntax", message, help);
}
