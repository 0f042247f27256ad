//! The exit codes: a contract that scripts rely on.

use serde::{Deserialize, Serialize};

/// How the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Exit {
    /// Done.
    Done,
    /// Unexpected: a bug.
    Bug,
    /// Usage, problems in the spec, or something that is needed is not there: a host, an image, a queue.
    Usage,
    /// Not all came out: hosts that failed beyond `max_fail`, a size that was not reached or not kept, a check, an image or
    /// a refresh that failed.
    Partial,
    /// Capacity or quota short of `accept.min`.
    Capacity,
    /// Credentials or permission.
    Denied,
    /// AWS or network down; safe to run again.
    Unavailable,
    /// Another run holds the lock.
    Locked,
    /// Refused for safety: ownership, account, blast radius.
    Refused,
    /// Local state unreadable or unwritable.
    State,
    /// Something billable may remain.
    Residue,
    /// The job finished, some items failed.
    ItemsFailed,
    /// The job stalled.
    Stalled,
    /// A limit was reached: a deadline, the job's or that of --timeout, or the budget, while a job still progressed or a
    /// fleet was watched.
    Deadline,
    /// Changes or drift found, when asked for.
    Changes,
    /// Finished, but items are unaccounted for.
    Unaccounted,
    /// Interrupted by Ctrl-C (128 + SIGINT); resumable.
    Interrupted,
    /// Terminated (128 + SIGTERM); resumable.
    Terminated,
}

impl Exit {
    /// All of them, by number.
    pub const ALL: [Self; 18] = [
        Self::Done,
        Self::Bug,
        Self::Usage,
        Self::Partial,
        Self::Capacity,
        Self::Denied,
        Self::Unavailable,
        Self::Locked,
        Self::Refused,
        Self::State,
        Self::Residue,
        Self::ItemsFailed,
        Self::Stalled,
        Self::Deadline,
        Self::Changes,
        Self::Unaccounted,
        Self::Interrupted,
        Self::Terminated,
    ];

    /// What it says, in a few words, for help, the manual and the reference.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Bug => "unexpected: a bug",
            Self::Usage => "wrong usage, problems in the spec, or something that is needed is not there",
            Self::Partial => {
                "not all came out: hosts beyond max_fail, a size, a check, an image or a refresh that failed"
            }
            Self::Capacity => "capacity or quota short of accept.min",
            Self::Denied => "credentials or permission",
            Self::Unavailable => "AWS or the network is down; safe to run again",
            Self::Locked => "another run holds the fleet's lock",
            Self::Refused => "refused for safety: ownership, account, blast radius",
            Self::State => "local state can't be read or written",
            Self::Residue => "something billable may remain; it is listed",
            Self::ItemsFailed => "the job finished, some items failed",
            Self::Stalled => "the job stalled",
            Self::Deadline => "a limit was reached: the deadline of a job that progressed, a budget, or --timeout",
            Self::Changes => "changes found, when asked for",
            Self::Unaccounted => "the job finished, and items are unaccounted for",
            Self::Interrupted => "interrupted by Ctrl-C; resumable",
            Self::Terminated => "ended by SIGTERM; resumable",
        }
    }

    /// The number that the shell sees.
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Bug => 1,
            Self::Usage => 2,
            Self::Partial => 3,
            Self::Capacity => 4,
            Self::Denied => 5,
            Self::Unavailable => 6,
            Self::Locked => 7,
            Self::Refused => 8,
            Self::State => 9,
            Self::Residue => 10,
            Self::ItemsFailed => 11,
            Self::Stalled => 12,
            Self::Deadline => 13,
            Self::Changes => 14,
            Self::Unaccounted => 15,
            Self::Interrupted => 130,
            Self::Terminated => 143,
        }
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
