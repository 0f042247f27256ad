//! Starts the processes of a host from its first process, and reaps all that end there.

use super::orders::environment;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use std::collections::{BTreeMap, HashMap};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// By itself.
    Exited(i32),
    /// By a signal.
    Signalled(i32),
}

impl Ending {
    /// Exit code 0.
    pub(super) fn good(self) -> bool {
        self == Self::Exited(0)
    }

    /// For people.
    pub(super) fn text(self) -> String {
        match self {
            Self::Exited(code) => format!("exit code {code}"),
            Self::Signalled(signal) => format!("signal {signal}"),
        }
    }
}

/// A process that was started here.
pub(super) struct Child {
    /// Its id on the host, which is its process group too.
    pub(super) pid: i32,
    /// Told once, when it has ended.
    pub(super) end: oneshot::Receiver<Ending>,
}

impl Child {
    /// Waits for its end; one whose reaper is gone counts as killed.
    pub(super) async fn wait(self) -> Ending {
        self.end.await.unwrap_or(Ending::Signalled(nix::libc::SIGKILL))
    }
}

/// Where output goes.
#[derive(Clone, Debug)]
pub(super) enum Output {
    /// The serial console.
    Console,
    /// Appended to this file.
    Log(std::path::PathBuf),
}

/// Starts and reaps. The runtime has one thread, so a child can't be reaped before it is listed.
#[derive(Clone, Default)]
pub(super) struct Children {
    waited: Arc<Mutex<HashMap<i32, oneshot::Sender<Ending>>>>,
    env: Arc<BTreeMap<String, String>>,
}

impl Children {
    /// Children whose environment begins with `env`.
    pub(super) fn new(env: BTreeMap<String, String>) -> Self {
        Self { waited: Arc::default(), env: Arc::new(env) }
    }

    /// The environment that a root process of the host gets.
    pub(super) fn root_env(&self) -> BTreeMap<String, String> {
        environment(&self.env, "root")
    }

    /// Starts `words` in a process group of its own.
    pub(super) fn start(
        &self,
        words: &[String],
        env: &BTreeMap<String, String>,
        directory: &Path,
        output: &Output,
    ) -> io::Result<Child> {
        let (program, arguments) = words.split_first().ok_or(io::ErrorKind::InvalidInput)?;
        let (out, err) = match output {
            // A terminal shows both: the console pipe is this process's stderr.
            Output::Console => (console()?, console()?),
            Output::Log(path) => {
                let log = OpenOptions::new().create(true).append(true).open(path)?;
                (log.try_clone()?, log)
            }
        };
        let child = Command::new(program)
            .args(arguments)
            .env_clear()
            .envs(env)
            .current_dir(directory)
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .spawn()?;
        let pid = i32::try_from(child.id()).map_err(io::Error::other)?;
        let (told, end) = oneshot::channel();
        self.waited.lock().unwrap_or_else(PoisonError::into_inner).insert(pid, told);
        Ok(Child { pid, end })
    }

    /// Reaps for ever: processes whose parents ended are this process's too.
    pub(super) async fn reap(self) -> io::Result<()> {
        let mut ended = signal(SignalKind::child())?;
        loop {
            while let Ok(status) = waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                let (pid, ending) = match status {
                    WaitStatus::Exited(pid, code) => (pid, Ending::Exited(code)),
                    WaitStatus::Signaled(pid, signal, _) => (pid, Ending::Signalled(signal as i32)),
                    WaitStatus::StillAlive => break,
                    WaitStatus::Stopped(..)
                    | WaitStatus::PtraceEvent(..)
                    | WaitStatus::PtraceSyscall(_)
                    | WaitStatus::Continued(_) => continue,
                };
                let told = self.waited.lock().unwrap_or_else(PoisonError::into_inner).remove(&pid.as_raw());
                if let Some(told) = told {
                    // Whoever waited may have given up.
                    told.send(ending).ok();
                }
            }
            ended.recv().await;
        }
    }
}

/// The console, which is this process's own stderr.
fn console() -> io::Result<File> {
    use std::os::fd::AsFd;
    Ok(File::from(io::stderr().as_fd().try_clone_to_owned()?))
}
