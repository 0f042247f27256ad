//! Why local state can't be read, written or trusted: exit 9, always with the place and a way out.

use super::depot::DepotError;
use super::frame::Damage;
use super::record::IllegalRecord;
use crate::exit::Exit;
use std::io;
use std::path::Path;

/// Local state is unreadable, unwritable or not to be trusted.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The operating system or the store said no.
    #[error("{doing} {place}: {source}")]
    Io {
        /// What was being done, a verb and perhaps a preposition.
        doing: &'static str,
        /// File, directory or URL.
        place: String,
        /// The store's own words.
        source: io::Error,
    },
    /// Somebody else could have put it there, or could change it.
    #[error("trust {place}: {why}")]
    Untrusted {
        /// File or directory.
        place: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The run died before its first record was durable: it made no call.
    #[error("read {place}: the run died before it began, so it made nothing")]
    NotBegun {
        /// The journal.
        place: String,
    },
    /// It is about another fleet than the directory that it lies in.
    #[error("read {place}: it is the journal of fleet {fleet}")]
    Foreign {
        /// The journal.
        place: String,
        /// Whose it is.
        fleet: String,
    },
    /// What is there can't be believed.
    #[error("read {place}: {damage}")]
    Damaged {
        /// The journal.
        place: String,
        /// What is wrong.
        damage: Damage,
    },
    /// The program asked for a record that can't follow what is there: a bug, caught before it was written.
    #[error("write to {place}: {source}")]
    Illegal {
        /// The journal.
        place: String,
        /// The rule it breaks.
        source: IllegalRecord,
    },
    /// An earlier write failed, so nothing more may be started.
    #[error("write to {place}: an earlier write failed ({why})")]
    Poisoned {
        /// The journal.
        place: String,
        /// The first failure.
        why: String,
        /// How the process ends because of that.
        exit: Exit,
    },
    /// The shared state can't be used, or is another's by now.
    #[error(transparent)]
    Depot(#[from] DepotError),
    /// A shared journal lacks a part.
    #[error("read {place}: it is missing, and later ones are there")]
    Gap {
        /// The missing object.
        place: String,
    },
    /// What is here and what is shared went different ways.
    #[error("read {place}: it says something else than {far}")]
    Apart {
        /// The journal here.
        place: String,
        /// The object.
        far: String,
    },
    /// Account, region or fleet name can't be part of a directory's name.
    #[error("name a state directory after `{name}`: only letters, digits, `-`, `_` and `.` may be in it")]
    Name {
        /// The name.
        name: String,
    },
    /// Neither `--state-dir` nor a home directory.
    #[error("find a state directory: there is no home directory")]
    Homeless,
}

impl JournalError {
    pub(super) fn io(doing: &'static str, place: &Path) -> impl FnOnce(io::Error) -> Self {
        let place = place.display().to_string();
        move |source| Self::Io { doing, place, source }
    }

    pub(super) fn untrusted(place: &Path, why: &'static str) -> Self {
        Self::Untrusted { place: place.display().to_string(), why }
    }

    /// How the process ends because of it.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Illegal { .. } => Exit::Bug,
            Self::Poisoned { exit, .. } => *exit,
            Self::Depot(error) => error.exit,
            Self::Io { .. }
            | Self::Untrusted { .. }
            | Self::NotBegun { .. }
            | Self::Foreign { .. }
            | Self::Damaged { .. }
            | Self::Gap { .. }
            | Self::Apart { .. }
            | Self::Name { .. }
            | Self::Homeless => Exit::State,
        }
    }

    /// What the operator can do about it.
    pub fn hint(&self) -> &str {
        match self {
            Self::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull => {
                "make room on the disk, then run the same command again"
            }
            Self::Depot(error) => &error.hint,
            Self::Gap { .. } => "restore the object: a bucket with versions keeps what was deleted",
            Self::Apart { .. } => "move the run directory here away: what is shared is the truth",
            Self::Poisoned { exit, .. } if *exit != Exit::State => "the first failure says what to do",
            Self::Io { .. } | Self::Poisoned { .. } => {
                "see to the disk, then run the same command again: it goes on from the last record that was saved"
            }
            Self::Untrusted { .. } => {
                "state must belong to you alone: directories 0700, files 0600, no links; or name another --state-dir"
            }
            Self::NotBegun { .. } => "its directory can be deleted",
            Self::Foreign { .. } => "move its run directory to the state directory of that fleet, or away",
            Self::Damaged { damage: Damage::Newer { .. }, .. } => "use the newer fleetwright for this fleet",
            Self::Damaged { .. } => {
                "restore the file from a backup, or move its run directory away and run `fleetwright adopt`, which rebuilds \
                 a journal from tags"
            }
            Self::Illegal { .. } => "this is a bug in fleetwright; what was saved is intact",
            Self::Name { .. } => "rename the fleet in the spec",
            Self::Homeless => "set HOME or XDG_STATE_HOME, or use --state-dir",
        }
    }
}
