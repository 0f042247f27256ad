//! Hints go where the command went: the flags that chose its fleet are in the next one, too.

use crate::cli::Global;
use crate::model::shell_word;

/// The flags that chose fleet, state and credentials, as words of a shell. What the environment said it says again.
pub(super) fn of(global: &Global) -> Vec<String> {
    let said = |name: &str, value: &str| std::env::var(name).is_ok_and(|said| said == value);
    let file = global.file.as_ref().map(|file| file.display().to_string());
    let dir = global.state_dir.as_ref().map(|dir| dir.display().to_string());
    [
        file.filter(|file| !said("FLEETWRIGHT_FILE", file)).map(|file| format!("-f {}", shell_word(&file))),
        dir.map(|dir| format!("--state-dir {}", shell_word(&dir))),
        global.profile.as_ref().map(|profile| format!("--profile {}", shell_word(profile))),
        global.region.as_ref().map(|region| format!("--region {}", shell_word(region))),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// A hint with these flags, where it is a command of ours: after its own words, before another program's and its comment.
pub(super) fn at(hint: &str, flags: &[String]) -> String {
    let command = hint.starts_with("fleetwright ") || hint.contains(": fleetwright ");
    let (words, comment) = hint.split_at(hint.find("  ").unwrap_or(hint.len()));
    let (words, program) = words.split_at(words.find(" -- ").unwrap_or(words.len()));
    let missing: Vec<&str> = flags.iter().map(String::as_str).filter(|flag| !words.contains(*flag)).collect();
    if !command || missing.is_empty() {
        return hint.to_owned();
    }
    format!("{words} {}{program}{comment}", missing.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_keeps_its_fleet_and_other_words_stay() {
        let flags = ["-f other/b.yaml".to_owned(), "--profile ops".to_owned()];
        for (hint, aimed) in [
            ("fleetwright bake", "fleetwright bake -f other/b.yaml --profile ops"),
            ("fleetwright status     # hosts", "fleetwright status -f other/b.yaml --profile ops     # hosts"),
            (
                "fleetwright exec --only 3 -- COMMAND",
                "fleetwright exec --only 3 -f other/b.yaml --profile ops -- COMMAND",
            ),
            (
                "the same command again, or: fleetwright resume",
                "the same command again, or: fleetwright resume -f other/b.yaml --profile ops",
            ),
            ("fleetwright -f other/b.yaml up --yes", "fleetwright -f other/b.yaml up --yes --profile ops"),
            ("correct `account:` in the spec", "correct `account:` in the spec"),
        ] {
            assert_eq!(at(hint, &flags), aimed);
            assert_eq!(at(hint, &[]), hint);
        }
    }
}
