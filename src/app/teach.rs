//! `explain`, `schema`, `completions` and `man`: what the program knows of itself. No runtime, no spec, no AWS.

use super::print;
use crate::cli::request::{Document, Explain, Man, Shell};
use crate::cli::{Global, completions, man_pages};
use crate::engine::failure::Failure;
use crate::exit::Exit;
use crate::report::{Format, table};
use crate::spec::explain::{self, Explanation};
use crate::spec::fields::{FLEET, PLAYBOOK};
use crate::spec::schema;
use std::path::Path;

pub(super) fn explain(global: &Global, wanted: &Explain) -> Result<Exit, Failure> {
    let explanation = explain::explain(wanted.field.as_deref())
        .map_err(|unknown| Failure::new(Exit::Usage, format!("explain: {unknown}")).hint(unknown.help))?;
    print(global, &explanation, || page(&explanation, table::terminal_width()))?;
    Ok(Exit::Done)
}

/// An explanation for people.
fn page(said: &Explanation, width: Option<u16>) -> String {
    let mut rows: Vec<Vec<String>> = Vec::new();
    let mut row = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            rows.push(vec![name.to_owned(), value]);
        }
    };
    let path = Some(said.path.clone()).filter(|path| !path.is_empty());
    row("FIELD", path);
    row("FILE", Some(said.document.to_owned()));
    row("TYPE", Some(said.kind.clone()).filter(|_| !said.path.is_empty()));
    row("REQUIRED", said.required.then(|| "yes".to_owned()));
    row("DEFAULT", said.default.map(str::to_owned));
    row("UNIT", said.unit.map(str::to_owned));
    row("BOUNDS", said.bounds.clone());
    for (n, choice) in said.choices.iter().enumerate() {
        row(if n == 0 { "VALUES" } else { "" }, Some(format!("{}: {}", choice.value, choice.meaning)));
    }
    row("ONE OF", Some(said.one_of.join(", ")).filter(|keys| !keys.is_empty()));
    row("NEEDS", Some(said.needs.join(", ")).filter(|paths| !paths.is_empty()));
    row("ENVIRONMENT", said.environment.then(|| "${NAME} is read".to_owned()));
    row("EXAMPLE", said.example.clone());
    row("SOURCE", said.source.map(str::to_owned));
    row("ABOUT", Some(said.about.to_owned()));
    let mut text = table::render(&[], &rows, width);
    if !said.fields.is_empty() {
        let first = |about: &str| about.split_inclusive(". ").next().unwrap_or_default().trim_end().to_owned();
        let rows: Vec<Vec<String>> = said
            .fields
            .iter()
            .map(|field| {
                let default = if field.required { "(required)" } else { field.default.unwrap_or_default() };
                vec![field.name.to_owned(), default.to_owned(), first(field.about)]
            })
            .collect();
        text.push('\n');
        text.push_str(&table::render(&["field", "default", "about"], &rows, width));
    }
    text
}

pub(super) fn schema(global: &Global, document: Document) -> Result<Exit, Failure> {
    let schema = schema::schema(match document {
        Document::Fleet => &FLEET,
        Document::Playbook => &PLAYBOOK,
    });
    // A schema is JSON; only another form of the same is asked for with -o.
    let form = if global.output == Format::Table { Format::Json } else { global.output };
    print(&Global { output: form, ..global.clone() }, &schema, String::new)?;
    Ok(Exit::Done)
}

pub(super) fn completion(global: &Global, shell: Shell) -> Result<Exit, Failure> {
    text(global, completions(shell))
}

pub(super) fn man(global: &Global, wanted: &Man) -> Result<Exit, Failure> {
    let pages = man_pages().map_err(|e| Failure::new(Exit::Bug, format!("make the manual pages: {e}")))?;
    let Some(dir) = &wanted.dir else {
        return text(global, pages.into_iter().next().map(|(_, page)| page).unwrap_or_default());
    };
    write(dir, &pages).map_err(|e| Failure::new(Exit::State, format!("write to {}: {e}", dir.display())))?;
    let value = serde_json::json!({
        "schema_version": 1,
        "dir": dir,
        "files": pages.iter().map(|(name, _)| name).collect::<Vec<_>>(),
    });
    print(global, &value, || format!("{} pages written to {}\n", pages.len(), dir.display()))?;
    Ok(Exit::Done)
}

fn write(dir: &Path, pages: &[(String, String)]) -> std::io::Result<()> {
    std::fs::create_dir_all(dir)?;
    pages.iter().try_for_each(|(name, page)| std::fs::write(dir.join(name), page))
}

/// Text that other programs read: the same whatever -o says.
fn text(global: &Global, text: String) -> Result<Exit, Failure> {
    print(&Global { output: Format::Table, ..global.clone() }, &(), || text)?;
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(path: Option<&str>, width: Option<u16>) -> String {
        page(&explain::explain(path).unwrap(), width)
    }

    #[test]
    fn fields_and_sections_as_printed() {
        insta::assert_snapshot!(shown(Some("fleet.accept.min"), None));
        insta::assert_snapshot!(shown(Some("fleet.accept"), Some(80)));
        insta::assert_snapshot!(shown(Some("feed.from"), None));
        insta::assert_snapshot!(shown(None, Some(100)));
    }

    #[test]
    fn narrow_terminals_are_kept_to() {
        for field in FLEET.fields().chain(PLAYBOOK.fields()) {
            let prefix = if FLEET.field(field.path).is_some() { "" } else { "playbook." };
            let text = shown(Some(&format!("{prefix}{}", field.path)), Some(60));
            assert!(text.lines().all(|line| line.chars().count() <= 60), "{}:\n{text}", field.path);
        }
    }
}
