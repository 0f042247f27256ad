//! The house rules of the command line: one vocabulary, examples that parse, help that fits a screen.

use super::{command, man_pages, parse};
use clap::{Arg, Command};
use std::collections::BTreeMap;

/// Longest `-h`, lines, on a terminal of 80 columns.
const MOST_LINES: usize = 76;

/// `--hosts` counts in a rehearsal, is a kind in `sim serve` and a file for `push`; its value name tells them apart.
const HOMONYMS: [&str; 1] = ["hosts"];

/// A verb whose own letter is another's elsewhere: `logs -f` follows, as with kubectl, docker and tail.
const OWN_LETTER: (&str, Option<char>) = ("fleetwright logs", Some('f'));

/// Every command with its path, the whole program first.
fn all() -> Vec<(String, Command)> {
    fn below(command: &Command, path: &str, out: &mut Vec<(String, Command)>) {
        out.push((path.to_owned(), command.clone()));
        for sub in command.get_subcommands() {
            below(sub, &format!("{path} {}", sub.get_name()), out);
        }
    }
    let mut root = command();
    root.build();
    let mut out = Vec::new();
    below(&root, "fleetwright", &mut out);
    out
}

fn flags() -> Vec<(String, Arg)> {
    let args = |(path, command): (String, Command)| {
        command.get_arguments().map(|arg| (path.clone(), arg.clone())).collect::<Vec<_>>()
    };
    all().into_iter().flat_map(args).collect()
}

/// A line of help: starts like a sentence, ends without a period.
fn is_line(help: &str) -> bool {
    help.starts_with(|c: char| c.is_uppercase()) && !help.ends_with('.') && !help.contains('\n')
}

/// Words as a shell makes them of a line: quotes undone, what follows `#` and redirections left out.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for c in line.chars() {
        match quote {
            Some(open) if c == open => quote = None,
            None if c == '\'' || c == '"' => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            None if c == ' ' => words.extend(word.take()),
            None if matches!(c, '#' | '>' | '|') && word.is_none() => return words,
            Some(_) | None => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

#[test]
fn words_are_those_of_a_shell() {
    assert_eq!(words("a 'b | c' \"$D\" e=\"f g\" # h"), ["a", "b | c", "$D", "e=f g"]);
    assert_eq!(words("a > b"), ["a"]);
}

#[test]
fn help_is_a_line_of_one_form() {
    for (path, command) in all() {
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        assert!(is_line(&about), "{path}: {about}");
    }
    for (path, arg) in flags() {
        let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
        assert!(is_line(&help), "{path} {}: {help:?}", arg.get_id());
        for value in arg.get_possible_values() {
            let help = value.get_help().map(ToString::to_string);
            let is_switch = !arg.get_action().takes_values();
            assert!(is_switch || help.as_deref().is_some_and(is_line), "{path} {} {}", arg.get_id(), value.get_name());
        }
    }
}

#[test]
fn value_names_are_in_capitals() {
    for (path, arg) in flags() {
        for name in arg.get_value_names().unwrap_or_default() {
            let good = name.chars().all(|c| c.is_ascii_uppercase() || c == '=');
            assert!(good || !arg.get_action().takes_values(), "{path} {}: {name}", arg.get_id());
        }
    }
}

#[test]
fn one_name_means_one_thing() {
    let shape = |arg: &Arg| {
        let values: Vec<String> = arg.get_value_names().unwrap_or_default().iter().map(ToString::to_string).collect();
        let help = arg.get_help().map(ToString::to_string);
        (arg.get_short(), values, format!("{:?}", arg.get_action()), help)
    };
    let mut long = BTreeMap::new();
    let mut short = BTreeMap::new();
    for (path, arg) in flags() {
        let arg = match arg.get_long() {
            Some("follow") => {
                assert_eq!((path.as_str(), arg.get_short()), OWN_LETTER, "the one exception is gone");
                arg.short(None)
            }
            Some("file") if path == OWN_LETTER.0 => arg.short('f'),
            _ => arg,
        };
        if let Some(name) = arg.get_long().filter(|name| !HOMONYMS.contains(name)) {
            let (first, known) = long.entry(name.to_owned()).or_insert_with(|| (path.clone(), shape(&arg)));
            // clap says `-h` and `-V` of its own in other words where there is a longer help.
            if !["help", "version"].contains(&name) {
                assert_eq!(*known, shape(&arg), "--{name} differs between {first} and {path}");
            }
        }
        if let Some(letter) = arg.get_short() {
            let name = arg.get_long().map(str::to_owned);
            let (first, known) = short.entry(letter).or_insert_with(|| (path.clone(), name.clone()));
            assert_eq!(*known, name, "-{letter} differs between {first} and {path}");
        }
    }
    for name in HOMONYMS {
        let meanings = flags().into_iter().filter(|(_, arg)| arg.get_long() == Some(name));
        let meanings: std::collections::BTreeSet<_> = meanings.map(|(_, arg)| format!("{:?}", shape(&arg))).collect();
        assert!(meanings.len() > 1, "--{name} is no homonym any more");
    }
}

#[test]
fn every_verb_has_examples_that_parse() {
    for (path, command) in all() {
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        let mut lines = help.lines();
        assert_eq!(lines.next(), Some("Examples:"), "{path} has no examples");
        let lines: Vec<&str> = lines.collect();
        assert!(!lines.is_empty(), "{path} has no examples");
        for line in lines {
            let line = line.strip_prefix("  ").unwrap_or_else(|| panic!("{path}: {line}"));
            assert!(line.starts_with("fleetwright ") && line.len() <= 100, "{path}: {line}");
            let (_, verb) = path.split_once(' ').unwrap_or_default();
            assert!(verb.split(' ').all(|word| line.contains(word)), "{path}: {line} is about something else");
            // The file of hosts is not there.
            let words = words(&line.replace("@failed.txt", "0"));
            if let Err(stop) = parse(words) {
                panic!("{path}: {line}: {}", stop.text());
            }
        }
    }
}

#[test]
fn the_manual_has_what_help_has() {
    let pages: BTreeMap<String, String> = man_pages().expect("pages").into_iter().collect();
    for (path, command) in all() {
        let page = &pages[&format!("{}.1", path.replace(' ', "-"))];
        let plain = page.replace("\\-", "-").replace("\\*(Aq", "'").replace("\\(aq", "'");
        for arg in command.get_arguments().filter(|arg| !["help", "version"].contains(&arg.get_id().as_str())) {
            let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
            assert!(plain.contains(&help), "{path}: {help} is not in\n{page}");
        }
    }
}

#[test]
fn short_help_fits_a_screen() {
    for (path, command) in all() {
        let help = command.term_width(80).render_help().to_string();
        let lines = help.lines().count();
        assert!(lines < MOST_LINES, "{path} -h has {lines} lines:\n{help}");
    }
}
