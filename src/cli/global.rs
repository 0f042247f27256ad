//! The flags that every verb takes, as written, before the verb and after it.

use super::request::{Global, Setting};
use super::values;
use crate::report::{Format, When};
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches, ValueEnum, ValueHint};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The spec's name when none is given.
const SPEC: &str = "fleet.yaml";

/// The file nearest upwards from `start` that is named `fleet.yaml`.
pub fn find_spec(start: &Path) -> Option<PathBuf> {
    start.ancestors().map(|folder| folder.join(SPEC)).find(|file| file.is_file())
}

/// `-o`
#[derive(Clone, Copy, Debug, ValueEnum)]
enum OutputArg {
    /// For people
    Table,
    /// One object
    Json,
    /// One event a line, as it happens
    Jsonl,
    /// The object of json as YAML
    Yaml,
}

/// `--color`
#[derive(Clone, Copy, Debug, ValueEnum)]
enum ColorArg {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// Global flags as written.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Global options")]
#[expect(clippy::struct_excessive_bools, reason = "each is one switch of the command line")]
pub(super) struct GlobalArgs {
    /// The fleet's spec [default: the nearest fleet.yaml upwards]
    #[arg(short, long, value_name = "FILE", env = "FLEETWRIGHT_FILE", hide_env_values = true,
        value_hint = ValueHint::FilePath)]
    file: Option<PathBuf>,
    /// Where runs and journals are kept [default: $FLEETWRIGHT_STATE_DIR, else $XDG_STATE_HOME/fleetwright/...]
    #[arg(long, hide_short_help = true, value_name = "DIR", value_hint = ValueHint::DirPath)]
    state_dir: Option<PathBuf>,
    /// Profile of the AWS configuration [default: as the AWS SDK decides]
    #[arg(long, hide_short_help = true, value_name = "NAME")]
    profile: Option<String>,
    /// AWS region instead of the spec's
    #[arg(long, value_name = "REGION")]
    region: Option<String>,
    /// Send every AWS call to this URL, for example to a rehearsal cloud
    #[arg(long, hide_short_help = true, value_name = "URL", value_hint = ValueHint::Url,
        value_parser = values::url)]
    endpoint_url: Option<String>,
    /// Form of what goes to stdout
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t = OutputArg::Table)]
    output: OutputArg,
    /// When to use colour
    #[arg(long, hide_short_help = true, value_name = "WHEN", value_enum,
        default_value_t = ColorArg::Auto)]
    color: ColorArg,
    /// Lines instead of progress bars
    #[arg(long, hide_short_help = true)]
    no_progress: bool,
    /// Say only what failed
    #[arg(short, long, conflicts_with = "verbose")]
    quiet: bool,
    /// Say more: timestamps and detail; twice: diagnostics too
    #[arg(short, long, action = ArgAction::Count)]
    verbose: u8,
    /// Do not ask before changing something
    #[arg(short, long)]
    yes: bool,
    /// Show the plan and stop
    #[arg(long)]
    dry_run: bool,
    /// Start a new run where an unfinished one was planned from another spec
    #[arg(long, hide_short_help = true)]
    replan: bool,
    /// Stop, resumably, after this long
    #[arg(long, value_name = "DURATION", value_parser = values::duration)]
    timeout: Option<Duration>,
    /// Set a field of the spec, for example fleet.size=60; can be repeated
    #[arg(long, value_name = "PATH=VALUE", value_parser = values::setting)]
    set: Vec<Setting>,
    /// Let a mutating verb run in CI with its state on this machine only
    #[arg(long, hide_short_help = true)]
    local_state: bool,
}

/// A command with the global flags on it and on every command below it. A verb's own letter comes first: the long form
/// is left.
///
/// clap would hand such flags down of its own, but then what is said after the verb hides what was said before it.
pub(super) fn onto(command: Command) -> Command {
    let globals = GlobalArgs::augment_args(Command::new(""));
    add(command, globals.get_arguments().cloned().collect::<Vec<_>>().as_slice())
}

fn add(command: Command, globals: &[Arg]) -> Command {
    let taken: Vec<char> = command.get_arguments().filter_map(Arg::get_short).collect();
    let own = globals.iter().cloned().map(|arg| {
        let arg = if arg.get_short().is_some_and(|letter| taken.contains(&letter)) { arg.short(None) } else { arg };
        // Of two the later one holds, so that an alias with flags can be corrected.
        let id = arg.get_id().clone();
        if adds_up(&arg) { arg } else { arg.overrides_with(id) }
    });
    command.args(own).mut_subcommands(|below| add(below, globals))
}

/// Whether the flag said twice means more than the flag said once.
fn adds_up(arg: &Arg) -> bool {
    matches!(arg.get_action(), ArgAction::Append | ArgAction::Count)
}

/// A flag as it was said, in its long form.
fn written(arg: &Arg, matches: &ArgMatches) -> Vec<OsString> {
    let (id, name) = (arg.get_id().as_str(), format!("--{}", arg.get_long().unwrap_or_default()));
    match arg.get_action() {
        ArgAction::Count => vec![name.into(); matches.get_count(id).into()],
        action if action.takes_values() => {
            let pair = |value: &OsStr| {
                let mut word = OsString::from(format!("{name}="));
                word.push(value);
                word
            };
            matches.get_raw(id).into_iter().flatten().map(pair).collect()
        }
        _ => vec![name.into()],
    }
}

impl GlobalArgs {
    /// What was said before the verb, after it and after the verb below it, as one.
    pub(super) fn gather(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut command = onto(Command::new("fleetwright").no_binary_name(true));
        let mut words = Vec::new();
        let mut level = Some(matches);
        while let Some(matches) = level {
            let said = |arg: &&Arg| matches.value_source(arg.get_id().as_str()) == Some(ValueSource::CommandLine);
            words.extend(command.get_arguments().filter(said).flat_map(|arg| written(arg, matches)));
            level = matches.subcommand().map(|(_, below)| below);
        }
        Self::from_arg_matches(&command.try_get_matches_from_mut(words)?)
    }

    /// The same, checked.
    pub(super) fn check(self) -> Global {
        Global {
            file: self.file,
            state_dir: self.state_dir,
            profile: self.profile,
            region: self.region,
            endpoint_url: self.endpoint_url,
            output: match self.output {
                OutputArg::Table => Format::Table,
                OutputArg::Json => Format::Json,
                OutputArg::Jsonl => Format::Jsonl,
                OutputArg::Yaml => Format::Yaml,
            },
            color: match self.color {
                ColorArg::Auto => When::Auto,
                ColorArg::Always => When::Always,
                ColorArg::Never => When::Never,
            },
            no_progress: self.no_progress,
            quiet: self.quiet,
            verbose: self.verbose,
            yes: self.yes,
            dry_run: self.dry_run,
            replan: self.replan,
            timeout: self.timeout,
            set: self.set,
            local_state: self.local_state,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_spec_upwards() {
        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join("a/b");
        std::fs::create_dir_all(&deep).unwrap();
        std::fs::write(dir.path().join(SPEC), "").unwrap();
        assert_eq!(find_spec(&deep), Some(dir.path().join(SPEC)));
        std::fs::create_dir(dir.path().join("a").join(SPEC)).unwrap();
        assert_eq!(find_spec(&deep), Some(dir.path().join(SPEC)), "a folder of that name is no spec");
        std::fs::write(deep.join(SPEC), "").unwrap();
        assert_eq!(find_spec(&deep), Some(deep.join(SPEC)));
    }
}
