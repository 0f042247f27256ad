//! The other lives of this binary: making a host, being its first process, entering it, and answering for its shims.

use super::init;
use super::namespace;
use super::orders::{BootOrder, ENTRY, Entry, Report};
use super::shims;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{Signal, raise};
use nix::sys::stat::{Mode, umask};
use std::fs;
use std::io::{self, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;

/// Exit code of a helper that could not do its work, as `env` and `nohup` use it.
const BROKEN: i32 = 125;

/// Runs the helper: `args` are the words after the hidden first argument. To be called before this process has a second
/// thread, since user namespaces can't be changed afterwards. Returns the exit code.
pub fn helper_main(args: &[String]) -> i32 {
    // A host writes no core dumps, and its files get the permissions that they would get on a real one.
    setrlimit(Resource::RLIMIT_CORE, 0, 0).ok();
    umask(Mode::S_IWGRP | Mode::S_IWOTH);
    match args.split_first().map(|(word, rest)| (word.as_str(), rest)) {
        Some(("init", [order])) => make(Path::new(order)),
        Some(("boot", [order])) => match read(Path::new(order)) {
            Ok(order) => init::boot(&order),
            Err(e) => failed(&e),
        },
        Some(("exec", [])) => enter(),
        Some(("shim", words)) => shims::run(words),
        _ => {
            complain("not meant to be called by hand");
            BROKEN
        }
    }
}

/// Says something to the serving process.
pub(super) fn report(report: &Report) -> io::Result<()> {
    let mut line = serde_json::to_string(report)?;
    line.push('\n');
    let mut out = io::stdout().lock();
    out.write_all(line.as_bytes())?;
    out.flush()
}

fn read(path: &Path) -> Result<BootOrder, String> {
    let text = fs::read_to_string(path).map_err(|e| format!("read {}: {e}", path.display()))?;
    serde_json::from_str(&text).map_err(|e| format!("understand {}: {e}", path.display()))
}

fn failed(reason: &dyn std::fmt::Display) -> i32 {
    // When even this can't be said, the exit code says that something failed.
    report(&Report::Failed(reason.to_string())).ok();
    BROKEN
}

fn complain(text: &str) {
    // Nobody is left to tell when stderr is gone.
    writeln!(io::stderr(), "fleetwright host: {text}").ok();
}

/// Leaves the terminal's session: Ctrl-C there is the serving process's business, and a host must not have a terminal.
fn leave_terminal() {
    // Refused only to a process that leads a session or group already, which has none of this process's then.
    nix::unistd::setsid().ok();
}

/// Makes the namespaces, starts the host's first process in them and ends with it.
fn make(order: &Path) -> i32 {
    leave_terminal();
    if let Err(e) = namespace::leave() {
        return failed(&e);
    }
    let binary = match std::env::current_exe() {
        Ok(binary) => binary,
        Err(e) => return failed(&e),
    };
    let mut first = match Command::new(&binary).args([super::HELPER, "boot"]).arg(order).spawn() {
        Ok(first) => first,
        Err(e) => return failed(&format!("start {}: {e}", binary.display())),
    };
    if let Ok(pid) = i32::try_from(first.id())
        && report(&Report::Pid(pid)).is_err()
    {
        // The serving process is gone; the host's first process sees the same and ends.
        first.kill().ok();
    }
    match first.wait() {
        Ok(status) => status.code().unwrap_or(BROKEN),
        Err(e) => failed(&e),
    }
}

/// Enters a host, runs one command there and dies the same death.
fn enter() -> i32 {
    leave_terminal();
    let entry = std::env::var(ENTRY).map_err(|e| e.to_string());
    let entry = entry.and_then(|text| serde_json::from_str::<Entry>(&text).map_err(|e| e.to_string()));
    let entry = match entry {
        Ok(entry) => entry,
        Err(e) => {
            complain(&e);
            return BROKEN;
        }
    };
    if let Err(e) = namespace::enter(&entry) {
        complain(&e.to_string());
        return BROKEN;
    }
    let result = fs::create_dir_all(&entry.home).and_then(|()| {
        Command::new("/bin/sh")
            .args(["-c", &entry.command])
            .env_clear()
            .envs(&entry.env)
            .current_dir(&entry.home)
            .status()
    });
    match result {
        Ok(status) => status.code().unwrap_or_else(|| {
            let signal = status.signal().unwrap_or(nix::libc::SIGKILL);
            if let Ok(signal) = Signal::try_from(signal) {
                raise(signal).ok();
            }
            // Only a signal that this process ignores comes this far.
            128 + signal
        }),
        Err(e) => {
            complain(&e.to_string());
            BROKEN
        }
    }
}
