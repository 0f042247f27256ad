//! The reference in docs/reference: made from the command line, the table of fields and the exit codes, and held to them.

use super::source::root;
use clap::{Arg, Command};
use fleetwright::exit::Exit;
use fleetwright::spec::fields::{Document, FLEET, Field, Kind, PLAYBOOK};
use std::fmt::Write;

/// What makes the pages anew.
const AGAIN: &str = "UPDATE_DOCS=1 cargo test --test it reference";

#[test]
fn the_reference_says_what_the_program_does() {
    let pages = [
        ("cli.md", command_line()),
        ("fleet.md", fields(&FLEET, "fleet.yaml")),
        ("playbook.md", fields(&PLAYBOOK, "Playbooks")),
        ("exit-codes.md", exit_codes()),
    ];
    let mut stale = Vec::new();
    for (name, page) in pages {
        let path = root().join("docs/reference").join(name);
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, &page).unwrap();
        }
        if std::fs::read_to_string(&path).unwrap_or_default() != page {
            stale.push(name);
        }
    }
    assert!(
        stale.is_empty(),
        "docs/reference: {stale:?} say something else than the program; to make them anew: {AGAIN}"
    );
}

fn head(title: &str, about: &str) -> String {
    format!("# {title}\n\n{about}\n\nMade by the program's own tests (`{AGAIN}`); not edited by hand.\n")
}

/// Text that can stand in a table's cell.
fn cell(text: &str) -> String {
    let shown = text.replace('|', "\\|").replace('\n', " ");
    // Between backticks it stands for itself.
    let parts =
        shown.split('`').enumerate().map(|(n, part)| if n % 2 == 0 { part.replace('<', "&lt;") } else { part.into() });
    parts.collect::<Vec<String>>().join("`")
}

fn fields(document: &Document, title: &str) -> String {
    let command =
        if document.name == FLEET.name { "fleetwright explain FIELD" } else { "fleetwright explain playbook" };
    let schema = if document.name == FLEET.name { "fleetwright schema" } else { "fleetwright schema playbook" };
    let about = format!(
        "{} `{command}` shows the same in a terminal, `{schema}` prints it as JSON Schema for editors.",
        document.about
    );
    let mut page = head(title, &about);
    section(document, "", &mut page);
    page
}

/// A table of a section's fields, then the sections in it.
fn section(document: &Document, path: &str, page: &mut String) {
    if let Some(field) = document.field(path) {
        let one_of: Vec<String> = field.kind.one_of().iter().map(|key| format!("`{key}`")).collect();
        let one_of = if one_of.is_empty() { String::new() } else { format!(" Exactly one of {}.", one_of.join(", ")) };
        let example = format!("{}: {}", field.key(), field.example);
        write!(page, "\n## {}\n\n{}{one_of}\n\n```yaml\n{example}\n```\n", document.shown(path), field.about).unwrap();
    }
    page.push_str("\n| field | takes | default | what it is |\n|---|---|---|---|\n");
    for field in document.children(path) {
        let is_section = document.children(field.path).next().is_some();
        let name = if is_section {
            let link = document.shown(field.path).to_lowercase().replace(['.', '[', ']'], "");
            format!("[`{}`](#{link})", field.key())
        } else {
            format!("`{}`", field.key())
        };
        writeln!(
            page,
            "| {name} | {} | {} | {} |",
            cell(&takes(field)),
            cell(&default(field)),
            cell(&what(field, is_section))
        )
        .unwrap();
    }
    for field in document.children(path).filter(|field| document.children(field.path).next().is_some()) {
        section(document, field.path, page);
    }
}

fn takes(field: &Field) -> String {
    let mut text = field.kind.words();
    if let Some(bounds) = field.kind.bounds() {
        write!(text, ", {bounds}").unwrap();
    }
    if let Some(counted) = field.counts {
        write!(text, " ({counted})").unwrap();
    }
    text
}

fn default(field: &Field) -> String {
    match field.default_words() {
        _ if field.required => "required".to_owned(),
        Some(words) if matches!(field.absent, fleetwright::spec::fields::Absent::Value(_)) => format!("`{words}`"),
        Some(words) => words.to_owned(),
        None => String::new(),
    }
}

fn what(field: &Field, is_section: bool) -> String {
    let mut text = field.about.to_owned();
    if let Kind::Choice(words) = field.kind {
        let words: Vec<String> = words.iter().map(|(word, meaning)| format!("`{word}`: {meaning}")).collect();
        write!(text, " {}.", words.join("; ")).unwrap();
    }
    if !field.needs.is_empty() {
        let needs: Vec<String> = field.needs.iter().map(|need| format!("`{need}`")).collect();
        write!(text, " Needs {}.", needs.join(", ")).unwrap();
    }
    if field.env {
        text.push_str(" `${NAME}` is read from the environment.");
    }
    // A section shows its example below its own head.
    if !is_section {
        write!(text, " For example `{}`.", field.example).unwrap();
    }
    if let Some(page) = field.source {
        write!(text, " [More]({page})").unwrap();
    }
    text
}

fn exit_codes() -> String {
    let mut page = head("Exit codes", "How the process ends: a contract that scripts may rely on.");
    page.push_str("\n| code | meaning |\n|---|---|\n");
    for exit in Exit::ALL {
        writeln!(page, "| {} | {} |", exit.code(), exit.meaning()).unwrap();
    }
    page
}

fn command_line() -> String {
    let mut root = fleetwright::cli::command();
    root.build();
    let mut page = head("Command line", "Every verb with its flags. The flags of the first table go with all of them.");
    let globals: Vec<&Arg> = root.get_arguments().filter(|arg| is_global(arg)).collect();
    page.push_str("\n## Global options\n");
    arguments(&globals, &mut page);
    for verb in root.get_subcommands() {
        command(verb, &root, &mut page);
    }
    page
}

/// Whether every verb takes it.
fn is_global(arg: &Arg) -> bool {
    arg.get_help_heading() == Some("Global options")
}

/// A verb's own flags, and those that it hands on to the verbs below it.
fn command(verb: &Command, above: &Command, page: &mut String) {
    let name = verb.get_bin_name().unwrap_or_default();
    let about = verb.get_long_about().or(verb.get_about()).map(ToString::to_string).unwrap_or_default();
    write!(page, "\n## {name}\n\n{about}\n").unwrap();
    let from_above = |arg: &Arg| {
        is_global(arg) || arg.is_global_set() && above.get_arguments().any(|other| other.get_id() == arg.get_id())
    };
    let own: Vec<&Arg> = verb.get_arguments().filter(|arg| !from_above(arg) && arg.get_id() != "help").collect();
    let own: Vec<&Arg> = own.into_iter().filter(|arg| arg.get_id() != "version").collect();
    if !own.is_empty() {
        arguments(&own, page);
    }
    let examples = verb.get_after_help().map(ToString::to_string).unwrap_or_default();
    let examples: Vec<&str> = examples.lines().skip(1).map(str::trim).collect();
    write!(page, "\n```sh\n{}\n```\n", examples.join("\n")).unwrap();
    for below in verb.get_subcommands() {
        command(below, verb, page);
    }
}

fn arguments(all: &[&Arg], page: &mut String) {
    page.push_str("\n| argument | what it does |\n|---|---|\n");
    for arg in all {
        let values = arg.get_value_names().unwrap_or_default().iter().map(ToString::to_string).collect::<Vec<_>>();
        let values = if arg.get_action().takes_values() { values.join(" ") } else { String::new() };
        let short = arg.get_short().map(|letter| format!("-{letter}"));
        let long = arg.get_long().map(|name| format!("--{name}"));
        let names: Vec<String> = short.into_iter().chain(long).collect();
        let name = format!("{} {values}", names.join(", "));
        let mut text = arg.get_long_help().or(arg.get_help()).map(ToString::to_string).unwrap_or_default();
        let possible: Vec<String> = arg
            .get_possible_values()
            .iter()
            .filter(|_| arg.get_action().takes_values())
            .map(|value| {
                format!("`{}`: {}", value.get_name(), value.get_help().map(ToString::to_string).unwrap_or_default())
            })
            .collect();
        if !possible.is_empty() {
            write!(text, ". {}", possible.join("; ")).unwrap();
        }
        let defaults: Vec<String> = arg.get_default_values().iter().map(|v| v.to_string_lossy().into_owned()).collect();
        if !defaults.is_empty() && arg.get_action().takes_values() {
            write!(text, " [default: {}]", defaults.join(" ")).unwrap();
        }
        if let Some(variable) = arg.get_env() {
            write!(text, " [env: {}]", variable.to_string_lossy()).unwrap();
        }
        writeln!(page, "| `{}` | {} |", name.trim(), cell(&text)).unwrap();
    }
}
