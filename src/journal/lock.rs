//! The claim on a fleet: one campaign at a time, released by the kernel however the process ends.

use super::error::JournalError;
use super::store;
use crate::exit::Exit;
use jiff::Timestamp;
use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::fs::{File, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::Path;

/// Who holds a fleet, as written into the lock file for others to read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Its process.
    pub pid: u32,
    /// Its verb.
    pub verb: String,
    /// Its run.
    pub run: String,
    /// When it began, world time.
    pub started: Timestamp,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pid, verb, run, started } = self;
        write!(f, "`{verb}` (process {pid}, run {run}, since {started})")
    }
}

/// Why a fleet can't be claimed.
#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
    /// Another process holds it.
    #[error("claim the fleet: {} holds it", .by.as_ref().map_or_else(|| "another process".to_owned(), ToString::to_string))]
    Held {
        /// Who, where the lock file says so.
        by: Option<Holder>,
    },
    /// The lock file can't be used.
    #[error(transparent)]
    State(#[from] JournalError),
}

impl ClaimError {
    /// How the process ends because of it.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Held { .. } => Exit::Locked,
            Self::State(error) => error.exit(),
        }
    }

    /// What the operator can do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Held { .. } => "wait until it has ended, or interrupt it; the lock goes with the process",
            Self::State(error) => error.hint(),
        }
    }
}

/// Who holds the lock file, if anybody does. What a killed process left in it names nobody.
pub(super) fn holder(path: &Path) -> Result<Option<Holder>, JournalError> {
    let text = match store::read_only(path) {
        Ok(text) => text,
        Err(JournalError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    // Emptied by its holder's end, or not yet written by a new one.
    let Ok(holder) = serde_json::from_slice::<Holder>(&text) else { return Ok(None) };
    let pid = i32::try_from(holder.pid).unwrap_or(i32::MAX);
    if kill(Pid::from_raw(pid), None) == Err(Errno::ESRCH) {
        return Ok(None);
    }
    // Its number may be another process's by now. Only then is the lock there to be had, for a moment.
    let file = File::open(path).map_err(JournalError::io("open", path))?;
    match file.try_lock_shared() {
        Ok(()) => Ok(None),
        Err(TryLockError::WouldBlock) => Ok(Some(holder)),
        Err(TryLockError::Error(error)) => Err(JournalError::io("lock", path)(error)),
    }
}

/// The fleet is ours as long as this value lives.
#[derive(Debug)]
pub struct Claim {
    file: File,
}

impl Claim {
    /// Takes the lock file, or says who has it.
    pub(super) fn take(path: &Path, holder: &Holder) -> Result<Self, ClaimError> {
        let mut file = store::options().write(true).create(true).open(path).map_err(JournalError::io("open", path))?;
        store::check_file(path, &file)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                let read = (&file).take(4096).read_to_string(&mut text);
                return Err(ClaimError::Held { by: read.ok().and_then(|_| serde_json::from_str(&text).ok()) });
            }
            Err(TryLockError::Error(error)) => return Err(JournalError::io("lock", path)(error).into()),
        }
        let text = serde_json::to_vec(holder).map_err(|error| JournalError::io("write to", path)(error.into()))?;
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| file.write_all(&text))
            .map_err(JournalError::io("write to", path))?;
        Ok(Self { file })
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        // The kernel releases the lock when the file is closed; an emptied file only spares readers an old name.
        let emptied = self.file.set_len(0);
        tracing::trace!(?emptied, "claim released");
    }
}
