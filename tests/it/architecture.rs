//! The rooms and who may know whom: imports go down the ranks only, and each outside crate has the rooms it belongs in.

use super::source::{Mention, Source, mentions, program};

/// The rooms with their ranks: a room imports only from lower ones, never from its equals. The same list, with what each
/// room is for, stands in docs/architecture.md.
const RANKS: [(&str, u8); 21] = [
    ("model", 0),
    ("time", 0),
    ("event", 1),
    ("exit", 1),
    ("gate", 2),
    ("journal", 2),
    ("spec", 2),
    ("aws", 3),
    ("plan", 3),
    ("ssh", 3),
    ("survey", 4),
    ("engine", 5),
    ("feed", 5),
    ("report", 6),
    ("sim", 6),
    ("steps", 6),
    ("work", 6),
    ("cli", 7),
    ("error", 7),
    ("rehearse", 7),
    ("app", 8),
];

/// Outside crates, by how their names start, and the paths that may mention them.
const HOMES: [(&str, &[&str]); 7] = [
    ("aws_", &["src/aws/"]),
    ("russh", &["src/ssh/", "src/sim/"]),
    ("serde_yaml", &["src/spec/yaml.rs", "src/report/"]),
    ("serde_saphyr", &["src/spec/yaml.rs", "src/report/"]),
    ("clap", &["src/cli/"]),
    ("indicatif", &["src/report/terminal.rs"]),
    ("textwrap", &["src/report/prose.rs"]),
];

fn rank(room: &str) -> Option<u8> {
    RANKS.iter().find(|(name, _)| *name == room).map(|(_, rank)| *rank)
}

/// Every mention that breaks a rule, as `file:line: what`.
fn broken(sources: &[Source], rule: impl Fn(&Source, &Mention) -> Option<String>) -> Vec<String> {
    let mut broken = Vec::new();
    for source in sources {
        for mention in mentions(source) {
            if let Some(what) = rule(source, &mention) {
                broken.push(format!("{}:{}: {what}", source.path, mention.line));
            }
        }
    }
    broken
}

fn holds(broken: &[String]) {
    assert!(broken.is_empty(), "{} broken:\n{}", broken.len(), broken.join("\n"));
}

fn wrong_way(source: &Source, mention: &Mention) -> Option<String> {
    let room = source.module.first()?;
    let [root, other, ..] = mention.path.as_slice() else { return None };
    if root != "crate" || other == room {
        return None;
    }
    let (from, to) = (rank(room)?, rank(other)?);
    (to >= from).then(|| format!("{room} [{from}] mentions {other} [{to}]"))
}

#[test]
fn every_room_has_a_rank() {
    let rooms: Vec<String> = program().into_iter().filter_map(|source| source.module.first().cloned()).collect();
    for room in &rooms {
        assert!(rank(room).is_some(), "{room} has no rank");
    }
    for (room, _) in RANKS {
        assert!(rooms.iter().any(|name| name == room), "{room} has a rank and no files");
    }
}

#[test]
fn imports_go_down() {
    holds(&broken(&program(), wrong_way));
}

#[test]
fn outside_crates_stay_in_their_rooms() {
    holds(&broken(&program(), |source, mention| {
        let first = mention.path.first().filter(|_| mention.path.len() > 1)?;
        let (name, homes) = HOMES.iter().find(|(name, _)| first.starts_with(name))?;
        let at_home = homes.iter().any(|home| source.path.starts_with(home));
        (!at_home).then(|| format!("{name} belongs in {}", homes.join(" or ")))
    }));
}

#[test]
fn work_never_prints_exits_or_blocks() {
    holds(&broken(&program(), |source, mention| {
        let words: Vec<&str> = mention.path.iter().map(String::as_str).collect();
        match words.as_slice() {
            [.., "print" | "println" | "eprint" | "eprintln" | "dbg"] if mention.called => {
                Some("prints: only displays and results do".to_owned())
            }
            [.., "process", "exit" | "abort"] => Some("ends the process: return an exit code".to_owned()),
            [.., "thread", "sleep"] if !source.path.starts_with("src/sim/hosts/") => {
                Some("blocks a thread: sleep on a clock, or wait on what ends the wait".to_owned())
            }
            _ => None,
        }
    }));
}

/// The rules see what they are meant to see, wherever it hides.
#[test]
fn the_rules_bite() {
    let code = "
        use crate::{model::Tags, app};
        use super::super::engine;
        fn f() -> crate::steps::Options { println!(\"{}\", crate::cli::parse()) }
        #[expect(clap::thing)] fn g() { std::thread::sleep(d); let _ = vec![russh::keys::x]; }
        #[cfg(test)] mod tests { use crate::app::run; fn f() { println!() } }
        #[cfg(test)] use crate::report::Style;
    ";
    let source = Source {
        path: "src/plan/waves.rs".to_owned(),
        module: vec!["plan".to_owned(), "waves".to_owned()],
        file: syn::parse_file(code).unwrap(),
    };
    let seen: Vec<String> = mentions(&source).into_iter().map(|mention| mention.path.join("::")).collect();
    for wanted in ["println", "std::thread::sleep", "russh::keys::x", "clap::thing", "crate::cli::parse"] {
        assert!(seen.iter().any(|path| path == wanted), "{wanted} is not in {seen:?}");
    }
    let found = broken(&[source], wrong_way);
    let rooms: Vec<&str> = found.iter().filter_map(|line| line.split("mentions ").nth(1)).collect();
    assert_eq!(rooms, ["app [8]", "engine [5]", "cli [7]", "steps [6]"], "{found:?}");
}
