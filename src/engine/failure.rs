//! Why a step or a whole verb could not be finished, with all that the report needs.

use crate::exit::Exit;
use crate::journal::JournalError;
use crate::model::{Fault, FaultKind, Residue};

/// A failure on its way to the user.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// The exit code it leads to.
    pub exit: Exit,
    /// What failed, on what: a sentence without its capital and its period.
    pub message: String,
    /// The call to AWS behind it, if one is.
    #[source]
    pub fault: Option<Box<Fault>>,
    /// What may have been left.
    pub residue: Residue,
    /// What to type or to do next.
    pub hints: Vec<String>,
}

impl Failure {
    /// A failure without a call behind it.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), fault: None, residue: Residue::Clear, hints: Vec::new() }
    }

    /// What could not be done, said as it fits after "failed to".
    pub fn to(exit: Exit, what: impl std::fmt::Display) -> Self {
        Self::new(exit, format!("failed to {what}"))
    }

    /// A failed call, said in the words of what was tried, as they fit after "failed to".
    pub fn call(what: impl std::fmt::Display, fault: Fault) -> Self {
        let mut hints = vec![fault.reason.clone()];
        hints.retain(|hint| !hint.is_empty());
        Self {
            exit: exit_of(fault.kind),
            message: format!("failed to {what}"),
            fault: Some(Box::new(fault)),
            residue: Residue::Clear,
            hints,
        }
    }

    /// A journal that can't be read or written: no further call may be made.
    pub fn state(error: impl Into<JournalError>) -> Self {
        let error = error.into();
        Self::to(error.exit(), &error).hint(error.hint())
    }

    /// Stopped on request.
    pub fn interrupted(exit: Exit) -> Self {
        Self::new(exit, "stopped on request; nothing is lost")
    }

    /// The same with one more hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// The same with what may have been left.
    #[must_use]
    pub fn leaving(mut self, residue: Residue) -> Self {
        self.residue = residue;
        self
    }
}

/// The exit code that a kind of fault leads to when nothing more can be done about it.
pub fn exit_of(kind: FaultKind) -> Exit {
    match kind {
        FaultKind::Throttled
        | FaultKind::Transport
        | FaultKind::Server
        | FaultKind::Busy
        | FaultKind::NotYetVisible
        | FaultKind::Interrupted => Exit::Unavailable,
        FaultKind::Capacity | FaultKind::Quota => Exit::Capacity,
        FaultKind::Denied => Exit::Denied,
        FaultKind::Exists => Exit::Refused,
        FaultKind::Gone | FaultKind::Invalid => Exit::Usage,
    }
}
