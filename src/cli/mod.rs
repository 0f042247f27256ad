//! The command line: arguments in, a checked [`Request`] out. Only this room knows the argument parser.
//!
//! One file per verb holds its flags as written (doc comments are the help text); [`request`] holds them as checked.

mod adopt;
mod bake;
mod completions;
mod diff;
mod doctor;
mod down;
mod exec;
mod explain;
mod extend;
mod feed;
mod global;
#[cfg(test)]
mod house;
mod images;
mod init;
mod inventory;
mod launch;
mod logs;
mod man;
mod mark;
mod orphans;
mod plan;
mod push;
mod recycle;
mod rehearse;
pub mod request;
mod resume;
mod runs;
mod saved;
mod scale;
mod schema;
mod sim;
mod ssh;
mod status;
mod target;
#[cfg(test)]
mod tests;
mod up;
mod validate;
mod values;
mod verify;
mod wait;
mod work;

pub use completions::completions;
pub use global::find_spec;
pub use man::man_pages;
pub use request::{Global, Request, Verb};

use crate::exit::Exit;
use clap::error::ErrorKind;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use std::ffi::OsString;

/// Typical calls, at the end of help.
const EXAMPLES: &str = "Examples:
  fleetwright rehearse    # the whole campaign on this machine, without AWS
  fleetwright init        # a fleet.yaml to start from
  fleetwright plan        # what `up` would do
  fleetwright up          # all of it, on AWS";

/// What `--help` says beyond `-h`.
fn long_help() -> String {
    let codes = Exit::ALL.map(|exit| format!("  {:>3}  {}", exit.code(), exit.meaning()));
    format!("{EXAMPLES}\n\nExit codes:\n{}", codes.join("\n"))
}

/// The whole command line, for completions, manual pages and the reference.
pub fn command() -> clap::Command {
    global::onto(Arguments::command())
}

/// Runs one big job on a fleet of EC2 hosts, from first check to last item done.
#[derive(Parser, Clone, Debug)]
#[command(name = "fleetwright", version, propagate_version = true, max_term_width = 100)]
#[command(subcommand_required = true, arg_required_else_help = false, disable_help_subcommand = true)]
#[command(after_help = EXAMPLES, after_long_help = long_help())]
struct Arguments {
    #[command(subcommand)]
    verb: VerbArgs,
}

/// The verbs as written.
#[derive(Subcommand, Clone, Debug)]
enum VerbArgs {
    Init(init::InitArgs),
    Validate(validate::ValidateArgs),
    Explain(explain::ExplainArgs),
    Doctor(doctor::DoctorArgs),
    Plan(plan::PlanArgs),
    Rehearse(rehearse::RehearseArgs),
    Sim(sim::SimArgs),
    Verify(saved::Savable<verify::VerifyArgs>),
    Bake(saved::Savable<bake::BakeArgs>),
    Launch(saved::Savable<launch::LaunchArgs>),
    Scale(scale::ScaleArgs),
    Status(status::StatusArgs),
    Push(saved::Savable<push::PushArgs>),
    Exec(exec::ExecArgs),
    Feed(saved::Savable<feed::FeedArgs>),
    Work(work::WorkArgs),
    Wait(wait::WaitArgs),
    Up(up::UpArgs),
    Resume(resume::ResumeArgs),
    Runs(runs::RunsArgs),
    Diff(diff::DiffArgs),
    Images(images::ImagesArgs),
    Inventory(inventory::InventoryArgs),
    Ssh(ssh::SshArgs),
    Logs(logs::LogsArgs),
    Extend(extend::ExtendArgs),
    Protect(mark::ProtectArgs),
    Quarantine(mark::QuarantineArgs),
    Recycle(recycle::RecycleArgs),
    Down(down::DownArgs),
    Orphans(orphans::OrphansArgs),
    Adopt(adopt::AdoptArgs),
    Schema(schema::SchemaArgs),
    Completions(completions::CompletionsArgs),
    Man(man::ManArgs),
}

impl VerbArgs {
    /// The same, checked.
    fn check(self) -> Result<Verb, String> {
        Ok(match self {
            Self::Init(args) => Verb::Init(args.check()),
            Self::Validate(validate::ValidateArgs {}) => Verb::Validate,
            Self::Explain(args) => Verb::Explain(args.check()),
            Self::Doctor(doctor::DoctorArgs {}) => Verb::Doctor,
            Self::Plan(args) => Verb::Plan(args.check()?),
            Self::Rehearse(args) => Verb::Rehearse(args.check()),
            Self::Sim(args) => Verb::SimServe(args.check()),
            Self::Verify(args) => args.or("verify").map_or_else(|args| Verb::Verify(args.check()), Verb::Apply),
            Self::Bake(args) => args.or("bake").map_or_else(|args| Verb::Bake(args.check()), Verb::Apply),
            Self::Launch(args) => args.or("launch").map_or_else(|args| Verb::Launch(args.check()), Verb::Apply),
            Self::Scale(args) => Verb::Scale(args.check()),
            Self::Status(args) => args.check().map_or(Verb::Status, Verb::Why),
            Self::Push(args) => match args.or("push") {
                Ok(apply) => Verb::Apply(apply),
                Err(args) => Verb::Push(args.check()?),
            },
            Self::Exec(args) => Verb::Exec(args.check()?),
            Self::Feed(args) => args.or("feed").map_or_else(feed::FeedArgs::check, Verb::Apply),
            Self::Work(args) => Verb::Work(args.check()),
            Self::Wait(args) => Verb::Wait(args.check()),
            Self::Up(args) => Verb::Up(args.check()),
            Self::Resume(args) => Verb::Resume(args.check()),
            Self::Runs(args) => Verb::Runs(args.check()),
            Self::Diff(args) => Verb::Diff(args.check()),
            Self::Images(args) => Verb::Images(args.check()),
            Self::Inventory(args) => Verb::Inventory(args.check()),
            Self::Ssh(args) => Verb::Ssh(args.check()),
            Self::Logs(args) => Verb::Logs(args.check()),
            Self::Extend(args) => Verb::Extend(args.check()),
            Self::Protect(args) => Verb::Mark(args.check()),
            Self::Quarantine(args) => Verb::Mark(args.check()),
            Self::Down(args) => Verb::Down(args.check()?),
            Self::Recycle(args) => args.check(),
            Self::Orphans(args) => Verb::Orphans(args.check()),
            Self::Adopt(adopt::AdoptArgs {}) => Verb::Adopt,
            Self::Schema(args) => Verb::Schema(args.check()),
            Self::Completions(args) => Verb::Completions(args.check()),
            Self::Man(args) => Verb::Man(args.check()),
        })
    }
}

/// Why there is no request: help or version were asked for, or the arguments are wrong.
#[derive(Debug)]
pub struct Stop(clap::Error);

impl Stop {
    /// Prints help and version to stdout, a usage error to stderr, and tells how to exit: 0 or 2.
    pub fn print(&self) -> Exit {
        // A reader that went away (`--help | head`) is no failure of ours.
        self.0.print().unwrap_or_default();
        if self.0.use_stderr() { Exit::Usage } else { Exit::Done }
    }

    /// What is printed, without colour.
    pub fn text(&self) -> String {
        self.0.render().to_string()
    }
}

/// Reads the arguments, the program's own name first.
///
/// # Errors
///
/// When help or version were asked for, or the arguments are wrong.
pub fn parse<I, T>(arguments: I) -> Result<Request, Stop>
where
    I: IntoIterator<Item = T>,
    T: Into<OsString> + Clone,
{
    let arguments: Vec<OsString> = arguments.into_iter().map(Into::into).collect();
    let mut command = command().color(help_color(&arguments));
    let matches = command.try_get_matches_from_mut(arguments).map_err(Stop)?;
    let global = global::GlobalArgs::gather(&matches).map_err(Stop)?.check();
    let verb = Arguments::from_arg_matches(&matches).map_err(Stop)?.verb;
    let verb = verb.check().map_err(|error| Stop(command.error(ErrorKind::ValueValidation, error)))?;
    Ok(Request { global, verb })
}

/// The colour of help and usage errors, which are printed before any flag is known to be right.
fn help_color(arguments: &[OsString]) -> clap::ColorChoice {
    let words: Vec<&str> = arguments.iter().take_while(|word| *word != "--").filter_map(|word| word.to_str()).collect();
    let pairs = words.windows(2).filter(|pair| pair[0] == "--color").map(|pair| pair[1]);
    match pairs.chain(words.iter().filter_map(|word| word.strip_prefix("--color="))).next_back() {
        Some("always") => clap::ColorChoice::Always,
        Some("never") => clap::ColorChoice::Never,
        Some(_) | None => clap::ColorChoice::Auto,
    }
}
