//! `explain`, `schema`, `completions` and `man`: what the program knows of itself. No runtime, no spec, no AWS.

use super::{print, written};
use crate::cli::request::{Document, Explain, Man, Shell};
use crate::cli::{Global, completions, man_pages};
use crate::engine::failure::Failure;
use crate::exit::Exit;
use crate::report::answer::Manual;
use crate::report::{Format, output};
use crate::spec::explain;
use crate::spec::fields::{FLEET, PLAYBOOK};
use crate::spec::schema;
use std::path::Path;

pub(super) fn explain(global: &Global, wanted: &Explain) -> Result<Exit, Failure> {
    let explanation = explain::explain(wanted.field.as_deref())
        .map_err(|unknown| Failure::new(Exit::Usage, format!("explain: {unknown}")).hint(unknown.help))?;
    print(global, &explanation)?;
    Ok(Exit::Done)
}

pub(super) fn schema(global: &Global, document: Document) -> Result<Exit, Failure> {
    let schema = schema::schema(match document {
        Document::Fleet => &FLEET,
        Document::Playbook => &PLAYBOOK,
    });
    // A schema is JSON whatever -o says, but for YAML, which is another form of the same.
    let written = match global.output {
        Format::Yaml => output::yaml(&schema),
        Format::Table | Format::Json | Format::Jsonl => serde_json::to_string_pretty(&schema).map_err(Into::into),
    };
    text(&written.map_err(|e| Failure::to(Exit::Bug, format!("write down the schema: {e}")))?)
}

pub(super) fn completion(shell: Shell) -> Result<Exit, Failure> {
    text(&completions(shell))
}

pub(super) fn man(global: &Global, wanted: &Man) -> Result<Exit, Failure> {
    let pages = man_pages().map_err(|e| Failure::to(Exit::Bug, format!("make the manual pages: {e}")))?;
    let Some(dir) = &wanted.dir else {
        return text(&pages.into_iter().next().map(|(_, page)| page).unwrap_or_default());
    };
    write(dir, &pages).map_err(|e| Failure::to(Exit::State, format!("write to {}: {e}", dir.display())))?;
    let files = pages.into_iter().map(|(name, _)| name).collect();
    print(global, &Manual { dir: dir.display().to_string(), files })?;
    Ok(Exit::Done)
}

fn write(dir: &Path, pages: &[(String, String)]) -> std::io::Result<()> {
    std::fs::create_dir_all(dir)?;
    pages.iter().try_for_each(|(name, page)| std::fs::write(dir.join(name), page))
}

/// Text that other programs read: the same whatever -o says.
fn text(text: &str) -> Result<Exit, Failure> {
    written(output::text(&mut std::io::stdout(), text))?;
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::answer::Answer;

    fn shown(path: Option<&str>, width: Option<u16>) -> String {
        explain::explain(path).unwrap().page(width)
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
