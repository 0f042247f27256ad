//! What the command line asked for, checked: plain data that knows nothing of the argument parser.

mod learn;
mod orphans;
mod rehearsal;

pub use learn::{Document, Explain, Init, Man, Shell};
pub use orphans::Orphans;
pub use rehearsal::{HostsKind, Rehearse, SimServe};

use crate::model::{InstanceId, Mark};
use crate::report::answer::InventoryFormat;
use crate::report::{Format, When};
use crate::spec::named::ForeignHost;
use crate::work::Options;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

/// One invocation.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// What every verb takes.
    pub global: Global,
    /// What to do.
    pub verb: Verb,
}

/// Flags that every verb takes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is one switch of the command line")]
pub struct Global {
    /// `-f`, else `$FLEETWRIGHT_FILE`; when absent the nearest `fleet.yaml` upwards is meant, see [`super::find_spec`].
    pub file: Option<PathBuf>,
    /// `--state-dir`: where runs and journals are kept.
    pub state_dir: Option<PathBuf>,
    /// `--profile` of the AWS configuration.
    pub profile: Option<String>,
    /// `--region` instead of the spec's.
    pub region: Option<String>,
    /// `--endpoint-url` of every AWS service.
    pub endpoint_url: Option<String>,
    /// `-o`: the form of what goes to stdout.
    pub output: Format,
    /// `--color`
    pub color: When,
    /// `--no-progress`: lines instead of bars, even on a terminal.
    pub no_progress: bool,
    /// `-q`: only failures and warnings.
    pub quiet: bool,
    /// `-v`, counted: 1 adds timestamps and detail, 2 and more the program's own diagnostics.
    pub verbose: u8,
    /// `-y`: do not ask.
    pub yes: bool,
    /// `--dry-run`: show the plan and stop.
    pub dry_run: bool,
    /// `--replan`: start a new run where an unfinished one was planned from another spec.
    pub replan: bool,
    /// `--timeout` of the whole verb, world time, more than zero.
    pub timeout: Option<Duration>,
    /// `--set`, in the order given.
    pub set: Vec<Setting>,
    /// `--local-state`: a mutating verb may run in CI with the state kept on this machine only.
    pub local_state: bool,
}

/// One field of the spec, set from the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// For example `fleet.size`.
    pub path: String,
    /// YAML, for example `60`.
    pub value: String,
}

/// The verbs, each with its own flags.
#[derive(Clone, Debug, PartialEq)]
pub enum Verb {
    /// A spec and playbooks to start from.
    Init(Init),
    /// Every problem of spec and playbooks, no AWS call.
    Validate,
    /// One field of the spec.
    Explain(Explain),
    /// The JSON Schema of a file.
    Schema(Document),
    /// A shell's completion.
    Completions(Shell),
    /// Manual pages.
    Man(Man),
    /// What a verb would do.
    Plan(Plan),
    /// A verb as a saved plan has it.
    Apply(Apply),
    /// The whole campaign on the rehearsal cloud.
    Rehearse(Rehearse),
    /// The rehearsal cloud alone.
    SimServe(SimServe),
    /// Checks on the template.
    Verify(Verify),
    /// Template to image.
    Bake(Bake),
    /// The fleet has N hosts.
    Launch(Launch),
    /// The fleet has N hosts, more or fewer than before.
    Scale(Scale),
    /// Fleet, hosts, images and queue.
    Status,
    /// What stands in the way.
    Doctor,
    /// One host closely: `status --why`.
    Why(HostName),
    /// A release to running hosts.
    Push(Push),
    /// One command everywhere.
    Exec(Exec),
    /// Items into the queue.
    Feed,
    /// What a feed that is at it is told.
    Rein(Rein),
    /// On a host: take items and run a command for each.
    Work(Options),
    /// Until the verdict.
    Wait(Wait),
    /// All of it.
    Up(Up),
    /// Go on where a run stopped.
    Resume(Resume),
    /// Past runs, from their journals.
    Runs(Runs),
    /// Spec against live fleet; exit 14 when they differ, if so wished.
    Diff(bool),
    /// This fleet's images.
    Images(Images),
    /// The running hosts for other tools.
    Inventory(InventoryFormat),
    /// Into one host.
    Ssh(Ssh),
    /// What one host said.
    Logs(Logs),
    /// Hosts power themselves off later.
    Extend(Extend),
    /// A mark on one host: `protect` and `quarantine`.
    Mark(MarkHost),
    /// A group's hosts are replaced on schedule.
    Recycle(Recycle),
    /// `recycle now`
    Renew(Renew),
    /// Gone, verified by a second look.
    Down(Down),
    /// What is ours, past its end and nobody's.
    Orphans(Orphans),
    /// A journal from tags alone.
    Adopt,
}

/// `feed --pause`, `--resume`, `--rate`
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rein {
    /// Whether it is to be held; as it is when absent.
    pub paused: Option<bool>,
    /// How fast it is to go; as it does when absent.
    pub rate: Option<ReinRate>,
}

/// How fast a feed is to go.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ReinRate {
    /// So many items a second.
    PerSecond(f64),
    /// As the spec says.
    Spec,
}

/// `plan`, and every verb that has a plan under `--dry-run`.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The verb planned, with its own flags.
    pub of: Box<Verb>,
    /// Exit 14 when there is something to change.
    pub detailed_exitcode: bool,
    /// File to save the plan to.
    pub out: Option<PathBuf>,
    /// Show every value of the spec, not only those from elsewhere.
    pub values: bool,
}

impl Plan {
    /// A plan of a verb, to be shown.
    pub fn of(verb: Verb) -> Self {
        Self { of: Box::new(verb), detailed_exitcode: false, out: None, values: false }
    }
}

/// `VERB --plan FILE`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Apply {
    /// The verb, which must be that of the plan.
    pub verb: &'static str,
    /// The saved plan.
    pub file: PathBuf,
}

/// `verify`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verify {
    /// Leave out the real items through a private queue.
    pub skip_canary: bool,
    /// Reboot the template although it is a member of an Auto Scaling group.
    pub allow_member: bool,
    /// Leave a template that was built running when a step on it said no.
    pub keep: bool,
}

/// `bake`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is one switch of the command line")]
pub struct Bake {
    /// Nothing to do when the newest image has the same release and playbooks.
    pub if_changed: bool,
    /// Bake a template that `verify` has not passed.
    pub unverified: bool,
    /// Do not log in to the template: no search for secrets, the worker goes on.
    pub no_login: bool,
    /// Leave the template running, which gives up a consistent file system.
    pub no_reboot: bool,
    /// Leave a template that was built running, whatever comes of it.
    pub keep: bool,
}

/// When a launch is over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Until {
    /// EC2 says running.
    Running,
    /// SSH lets us in.
    #[default]
    Ssh,
    /// The verify playbook's checks pass.
    Ready,
}

/// `launch`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is one switch of the command line")]
pub struct Launch {
    /// The wanted size instead of the spec's, at least 1.
    pub n: Option<u32>,
    /// The image instead of the newest one.
    pub image: Option<String>,
    /// When it is over.
    pub until: Until,
    /// Launch an image that carries no attestation.
    pub unattested: bool,
    /// Take over hosts that carry this fleet's tags but are in no journal here.
    pub adopt: bool,
    /// Keep what comes, however little: a replacement is never ended again for want of others.
    pub keep: bool,
    /// Stay, and replace hosts that are gone.
    pub watch: bool,
}

/// Which hosts go first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GoesFirst {
    /// Launched longest ago.
    #[default]
    Oldest,
    /// Launched last.
    Newest,
    /// With least to do.
    Idlest,
}

/// `scale`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scale {
    /// The wanted size.
    pub n: u32,
    /// Which hosts go when there are too many.
    pub order: GoesFirst,
    /// Whether they are drained first.
    pub drain: bool,
    /// How missing hosts are launched.
    pub launch: Launch,
}

/// Which hosts, and what to write about them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Target {
    /// Only these; every host of the fleet when empty.
    pub only: BTreeSet<HostPick>,
    /// Machines that fleetwright did not launch, in place of those of the spec; those of the spec when empty.
    pub others: Vec<ForeignHost>,
    /// The flags that named these machines, each after a space; empty without them.
    pub said: String,
    /// File that gets the ids of hosts that did not come out well, one a line; `--only @FILE` reads it.
    pub failed_to: Option<PathBuf>,
    /// Most hosts that may fail.
    pub max_fail: Option<MaxFail>,
    /// File for a JUnit report.
    pub junit: Option<PathBuf>,
}

/// One host named on the command line.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum HostPick {
    /// By instance id, or by the name of a foreign machine.
    Id(InstanceId),
    /// By slot.
    Slot(u32),
}

/// One host as people name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostName {
    /// By id or slot.
    Pick(HostPick),
    /// By the address at which SSH finds it.
    Address(IpAddr),
}

/// How many hosts may fail before the rest is left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MaxFail {
    /// 0..=100 percent of the hosts.
    Percent(u8),
    /// So many hosts.
    Hosts(u32),
}

impl MaxFail {
    /// The number of hosts out of `total` that may fail; a percentage is rounded down.
    pub fn allowed(self, total: u32) -> u32 {
        match self {
            Self::Percent(percent) => u32::try_from(u64::from(total) * u64::from(percent) / 100).unwrap_or(u32::MAX),
            Self::Hosts(hosts) => hosts,
        }
    }
}

/// `push`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Push {
    /// Which hosts.
    pub target: Target,
    /// Hosts of the first wave instead of the spec's.
    pub canary: Option<u32>,
    /// Also to hosts that have this release already.
    pub force: bool,
}

/// `exec`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exec {
    /// Which hosts.
    pub target: Target,
    /// How long the command may take on one host, wall time.
    pub within: Duration,
    /// The command: one word is a shell line, several are quoted each.
    pub command: Vec<String>,
}

/// `wait`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wait {
    /// Replace hosts that are gone.
    pub watch: bool,
}

/// `up`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Up {
    /// Leave the fleet running when the job is done.
    pub keep: bool,
}

/// `resume`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resume {
    /// The run's id, or the beginning or end of it; absent: the newest unfinished one.
    pub run: Option<String>,
}

/// `runs`
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Runs {
    /// All of them.
    List,
    /// One, by its id or the beginning or end of it.
    Show(String),
    /// One in full; the newest when none is named.
    Report(Option<String>),
}

/// `images`
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Images {
    /// All of them.
    List,
    /// End those that nobody needs.
    Prune {
        /// Also those that are in no journal here.
        adopt: bool,
    },
    /// What is different between two of them, each named by id or name.
    Diff {
        /// The one.
        from: String,
        /// The other; the newest that can be launched when absent.
        to: Option<String>,
    },
}

/// `ssh`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ssh {
    /// Which host.
    pub host: HostName,
    /// The command: one word is a shell line, several are quoted each; a login when empty.
    pub command: Vec<String>,
}

/// `logs`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logs {
    /// Which host.
    pub host: HostName,
    /// Lines of the journal, 1..=10000.
    pub lines: u32,
    /// Go on with what is written from now on.
    pub follow: bool,
}

/// `extend`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extend {
    /// World time, more than zero.
    pub by: Duration,
}

/// `protect` and `quarantine`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MarkHost {
    /// The host.
    pub host: HostName,
    /// Its mark.
    pub mark: Mark,
    /// Take it off.
    pub off: bool,
}

/// `recycle` of a group
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recycle {
    /// Make the group's scheduled actions those of the spec.
    Apply,
    /// All scheduled actions of the group.
    List,
    /// When windows open next, and which hosts they end.
    Preview {
        /// How far to look ahead, 1..=366.
        days: u16,
    },
    /// Take this fleet's scheduled actions off the group.
    Remove,
}

/// `recycle now`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renew {
    /// How new hosts are launched; its size does not count.
    pub launch: Launch,
    /// When a new host is good enough for an old one to go.
    pub until: Option<Until>,
    /// So many hosts more than the fleet's size at a time, at most; at least 1.
    pub surge: u32,
    /// Only hosts that live at least this long.
    pub older_than: Option<Duration>,
    /// Whether old hosts' workers are stopped first.
    pub drain: bool,
    /// Whether an image may be older than the release that was pushed.
    pub stale_image: bool,
    /// Whether Auto Scaling replaces them; then whether hosts stay that it would launch the same again.
    pub refresh: Option<bool>,
}

/// `down`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Down {
    /// Also end images that are not in use, beyond `image.keep`.
    pub images: bool,
    /// Take over what carries this fleet's tags first.
    pub adopt: bool,
    /// Only these hosts; everything when empty.
    pub only: BTreeSet<HostPick>,
    /// Hosts that are named end without being drained.
    pub no_drain: bool,
}
