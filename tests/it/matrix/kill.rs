//! Where a process is killed: at one of its calls to AWS, by the cloud's gate, at one of its journal's syncs or at any other
//! system call, by strace, or when it has told something, which is how the phases of its work on hosts are met.

use crate::crash::kill;
use crate::env::Cloud;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// System calls that a process may be killed at the entry of: all that changes a file, all that speaks to AWS or a host, and
/// of what only looks or waits enough to fall between those.
const SYSCALLS: &str = "openat,mkdir,write,pwrite64,ftruncate,fsync,fdatasync,rename,renameat2,unlink,flock,fchmod,close,read,\
                        statx,getdents64,socket,connect,sendto,writev,recvfrom,clone3,futex,epoll_wait,getrandom,exit_group";

/// What the disk keeps of the batch whose sync the process died in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Nothing: the machine went down with it.
    Lost,
    /// Half of it.
    Torn,
    /// All of it.
    Kept,
}

/// One place to be killed at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kill {
    /// The nth call of an action, before it is carried out or before it is answered.
    Call { action: String, nth: u32, point: &'static str },
    /// The nth sync of the journal.
    Sync { nth: u32, fate: Fate },
    /// Right after its nth event: each phase of the work on a host tells of itself.
    Event { nth: u32 },
    /// At the entry of the nth system call of a kind that one of its threads makes.
    Syscall { name: String, nth: u32 },
}

/// The columns of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Column {
    /// The intent was written and never got to the disk.
    IntentLost,
    /// The intent is on disk, and nothing was carried out.
    BeforeCommit,
    /// Carried out, not answered.
    AfterCommit,
    /// Answered, and the outcome never got to the disk.
    OutcomeLost,
    /// Between two events, most of them about work on hosts.
    AtWork,
    /// At any system call.
    AtSyscall,
    /// Any other record of the journal, lost, torn or kept, and outcomes that are on disk.
    Other,
}

impl fmt::Display for Kill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Call { action, nth, point } => write!(f, "{action} #{nth} {point}"),
            Self::Sync { nth, fate } => write!(f, "sync #{nth} {fate:?}"),
            Self::Event { nth } => write!(f, "event #{nth}"),
            Self::Syscall { name, nth } => write!(f, "{name} #{nth}"),
        }
    }
}

/// How a process died.
pub(super) struct Killed {
    pub(super) column: Column,
    /// Whether its run's end is on disk: the same command begins another.
    pub(super) over: bool,
}

/// Every journal of the laptop.
fn journals(cloud: &Cloud) -> Vec<PathBuf> {
    let below = |dir: &Path| -> Vec<PathBuf> {
        std::fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
    };
    let fleets = below(&cloud.state("laptop"));
    fleets.iter().flat_map(|fleet| below(&fleet.join("runs"))).map(|run| run.join("journal.jsonl")).collect()
}

/// How many runs have their end on disk, whole; not the rounds of a `recycle now`, which are runs too.
fn ended(cloud: &Cloud) -> usize {
    let mut journals = journals(cloud);
    // Runs are named by the time they began at.
    journals.sort();
    let texts: Vec<String> = journals.iter().map(|path| std::fs::read_to_string(path).unwrap_or_default()).collect();
    let rounds = |text: &&String| text.contains("\"verb\":\"recycle now\"");
    let first = texts.iter().position(|text| rounds(&text)).unwrap_or(texts.len());
    let whole = |text: &&String| text.contains("\"record\":\"ended\"") && text.ends_with("}}\n");
    texts[..first].iter().filter(whole).count() + texts[first..].iter().filter(rounds).filter(whole).count()
}

/// Wraps a command into strace, which writes what the kernel saw to `trace`.
fn traced(command: &Command, trace: &Path, calls: &str, inject: Option<(&str, u32)>) -> Command {
    let mut strace = Command::new("strace");
    // Without --seccomp-bpf: with it, signals are not injected.
    strace.args(["-f", "-y", "-s", "0", "-e", &format!("trace={calls}")]);
    if let Some((call, nth)) = inject {
        strace.args(["-e", &format!("inject={call}:signal=KILL:when={nth}")]);
    }
    strace.arg("-o").arg(trace).arg(command.get_program()).args(command.get_args()).env_clear();
    strace.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    strace.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    strace
}

fn read(trace: &Path) -> Vec<String> {
    String::from_utf8_lossy(&std::fs::read(trace).unwrap()).lines().map(str::to_owned).collect()
}

/// The same command line with its events as the answer.
fn telling(command: &Command) -> Command {
    let mut telling = Command::new(command.get_program());
    let mut words = command.get_args().peekable();
    while let Some(word) = words.next() {
        telling.arg(word);
        if word == "-o" {
            words.next();
            telling.arg("jsonl");
        }
    }
    telling.env_clear().envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    telling.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    telling
}

/// What a run that nobody disturbed does.
pub(super) struct Probe {
    /// Calls of each action, in their first order.
    pub(super) calls: Vec<(String, u32)>,
    pub(super) syncs: u32,
    pub(super) events: u32,
    /// System calls of each kind by the thread that made most of them: strace counts them for each thread.
    pub(super) syscalls: BTreeMap<String, u32>,
}

/// Counts what a trace has of each system call.
fn counted(trace: &[String]) -> BTreeMap<String, u32> {
    let (mut threads, mut most) = (BTreeMap::<_, u32>::new(), BTreeMap::<String, u32>::new());
    for (thread, rest) in trace.iter().filter_map(|line| line.split_once(' ')) {
        let Some((name, _)) = rest.trim_start().split_once('(') else { continue };
        if name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            let count = threads.entry((thread, name)).or_default();
            *count += 1;
            let most = most.entry(name.to_owned()).or_default();
            *most = (*most).max(*count);
        }
    }
    most
}

/// Runs a command to its good end.
pub(super) fn probe(cloud: &Cloud, command: &Command) -> Probe {
    let before = cloud.audit().len();
    let trace = cloud.state("trace");
    let output = traced(&telling(command), &trace, SYSCALLS, None)
        .output()
        .expect("strace must be there: apt-get install strace");
    assert!(output.status.success(), "{command:?}\n{}", String::from_utf8_lossy(&output.stderr));
    let mut calls: Vec<(String, u32)> = Vec::new();
    for call in cloud.audit().iter().skip(before) {
        let action = call["action"].as_str().unwrap();
        // What workers on hosts ask for is not this process's.
        if call["principal"] != cloud.env()["AWS_ACCESS_KEY_ID"].as_str() {
            continue;
        }
        match calls.iter_mut().find(|(name, _)| name == action) {
            Some((_, count)) => *count += 1,
            None => calls.push((action.to_owned(), 1)),
        }
    }
    let count = |count: usize| u32::try_from(count).unwrap();
    let trace = read(&trace);
    let syncs = count(trace.iter().filter(|line| line.contains("fdatasync(")).count());
    Probe { calls, syncs, events: count(output.stdout.lines().count()), syscalls: counted(&trace) }
}

/// Runs a command until it is killed there; `None` when it ends before it gets there.
pub(super) fn killed(cloud: &Cloud, mut command: Command, at: &Kill) -> Option<Killed> {
    let before = ended(cloud);
    let column = match at {
        Kill::Call { action, nth, point } => {
            cloud.arm_nth(action, point, *nth);
            let mut child = command.spawn().unwrap();
            let held = held(cloud, &mut child);
            kill(&mut child);
            cloud.release();
            held.then_some(if *point == "before-commit" { Column::BeforeCommit } else { Column::AfterCommit })
        }
        Kill::Sync { nth, fate } => {
            let trace = cloud.state("trace");
            let inject = Some(("fdatasync", *nth));
            let output = traced(&command, &trace, "write,fdatasync", inject).output().unwrap();
            (!output.status.success()).then(|| cut(&read(&trace), *fate))
        }
        Kill::Syscall { name, nth } => {
            let trace = cloud.state("trace");
            let output = traced(&command, &trace, name, Some((name, *nth))).output().unwrap();
            // strace ends as the process does; it is killed itself when only a child of the process was.
            let killed = output.status.signal() == Some(9);
            let talk = String::from_utf8_lossy(&output.stderr);
            assert!(killed || output.status.success(), "{:?} though nobody killed it: {talk}", output.status);
            killed.then_some(Column::AtSyscall)
        }
        Kill::Event { nth } => {
            let mut child = telling(&command).spawn().unwrap();
            let told = BufReader::new(child.stdout.take().unwrap()).lines().take(*nth as usize).count();
            let alive = child.try_wait().unwrap().is_none();
            kill(&mut child);
            (told == *nth as usize && alive).then_some(Column::AtWork)
        }
    }?;
    Some(Killed { column, over: ended(cloud) > before })
}

/// Waits until the gate holds its call; false when the process ends before.
fn held(cloud: &Cloud, child: &mut Child) -> bool {
    let begun = Instant::now();
    loop {
        let gates = cloud.control("GET", "gate", &Value::Null);
        if gates.contains("\"held\"") {
            return true;
        }
        if child.try_wait().unwrap().is_some() {
            return false;
        }
        assert!(begun.elapsed() < Duration::from_mins(3), "nobody came to the gate, and nobody ended");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Does to the journal what a crash of the machine would do to a batch that was written and not synced.
fn cut(trace: &[String], fate: Fate) -> Column {
    let line = trace.iter().rfind(|line| line.contains("fdatasync(")).expect("it died in a sync");
    let path = line.split_once('<').and_then(|(_, rest)| rest.split_once('>')).expect("strace names the file").0;
    // A journal that is opened again is synced before anything is written to it: there is nothing to lose.
    let written = trace.iter().rfind(|line| line.contains("write(") && line.contains(&format!("<{path}>")));
    let Some(written) = written else { return Column::Other };
    // The length that was asked for: the answer may be on a line of its own.
    let digits = written.rsplit_once("..., ").expect("how much was to be written").1;
    let batch: usize = digits[..digits.find(|c: char| !c.is_ascii_digit()).unwrap()].parse().unwrap();
    let bytes = std::fs::read(path).unwrap();
    let start = bytes.len() - batch;
    let text = String::from_utf8_lossy(&bytes[start..]).into_owned();
    let keep = match fate {
        Fate::Lost => start,
        Fate::Torn => start + batch / 2,
        Fate::Kept => bytes.len(),
    };
    std::fs::OpenOptions::new().write(true).open(path).unwrap().set_len(u64::try_from(keep).unwrap()).unwrap();
    let of = |record: &str| text.contains(&format!("\"record\":\"{record}\""));
    match fate {
        Fate::Lost | Fate::Torn if of("intent") || of("again") => Column::IntentLost,
        Fate::Kept if of("intent") || of("again") => Column::BeforeCommit,
        Fate::Lost | Fate::Torn if of("outcome") => Column::OutcomeLost,
        Fate::Lost | Fate::Torn | Fate::Kept => Column::Other,
    }
}
