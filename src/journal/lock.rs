//! The claim on a fleet: one campaign at a time, released by the kernel however the process ends.

use super::error::JournalError;
use super::lease::Lease;
use super::store;
use crate::exit::Exit;
use crate::model::RunId;
use jiff::Timestamp;
use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::fs::{File, TryLockError};
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Who holds a fleet, as written into the lock file for others to read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Its process.
    pub pid: u32,
    /// Its verb.
    pub verb: String,
    /// The run that it is at; none before it has begun or found one.
    pub run: Option<RunId>,
    /// When it began, world time.
    pub started: Timestamp,
    /// The machine, where it is not this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pid, verb, run, started, host } = self;
        write!(f, "`{verb}` (process {pid}")?;
        if let Some(host) = host {
            write!(f, " on {host}")?;
        }
        write!(f, ", ")?;
        if let Some(run) = run {
            write!(f, "run {run}, ")?;
        }
        write!(f, "since {})", started.strftime("%Y-%m-%dT%H:%M:%SZ"))
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
    /// A process on another machine holds it.
    #[error(
        "claim the fleet: {} holds {place} until {until} at least",
        .by.as_ref().map_or_else(|| "another machine".to_owned(), ToString::to_string)
    )]
    Leased {
        /// Who, where it says so.
        by: Option<Holder>,
        /// From when on it can be taken over, if it is not renewed.
        until: Timestamp,
        /// The lease.
        place: String,
    },
    /// The lock file can't be used.
    #[error(transparent)]
    State(#[from] JournalError),
}

impl ClaimError {
    /// How the process ends because of it.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Held { .. } | Self::Leased { .. } => Exit::Locked,
            Self::State(error) => error.exit(),
        }
    }

    /// What the operator can do about it.
    pub fn hint(&self) -> &str {
        match self {
            Self::Held { .. } => "wait until it has ended, or interrupt it; the lock goes with the process",
            Self::Leased { .. } => {
                "wait until it has ended, or interrupt it there; one whose machine is gone is taken over after that time"
            }
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
    path: PathBuf,
    holder: Holder,
    /// The claim among machines, where state is shared.
    pub(super) lease: Option<Arc<Lease>>,
}

impl Claim {
    /// Takes the lock file, or says who has it.
    pub(super) fn take(path: &Path, holder: &Holder) -> Result<Self, ClaimError> {
        let file = store::options().write(true).create(true).open(path).map_err(JournalError::io("open", path))?;
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
        let claim = Self { file, path: path.to_owned(), holder: holder.clone(), lease: None };
        claim.write(holder)?;
        Ok(claim)
    }

    /// Tells others which run the process is at.
    pub(super) fn at(&self, run: RunId) -> Result<(), JournalError> {
        self.write(&Holder { run: Some(run), ..self.holder.clone() })?;
        Ok(self.lease.as_ref().map_or(Ok(()), |lease| lease.at(run))?)
    }

    /// The claim among machines, to be renewed as long as this lives; none where state is not shared.
    pub fn lease(&self) -> Option<&Arc<Lease>> {
        self.lease.as_ref()
    }

    /// Written over what is there in one go, so that hardly any reader sees half of it; one that does takes it for nobody's.
    fn write(&self, holder: &Holder) -> Result<(), JournalError> {
        let text =
            serde_json::to_vec(holder).map_err(|error| JournalError::io("write to", &self.path)(error.into()))?;
        self.file
            .write_all_at(&text, 0)
            .and_then(|()| self.file.set_len(text.len() as u64))
            .map_err(JournalError::io("write to", &self.path))
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if let Some(lease) = &self.lease {
            lease.release();
        }
        // The kernel releases the lock when the file is closed; an emptied file only spares readers an old name.
        let emptied = self.file.set_len(0);
        tracing::trace!(?emptied, "claim released");
    }
}
