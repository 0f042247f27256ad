//! The one error that reaches the user: how to exit, what went wrong, what may be left, what to type next.

use crate::engine::failure::Failure;
use crate::exit::Exit;
use crate::gate::Refusal;
use crate::model::{Fault, FaultKind, Residue};
use crate::report::{Style, escape};
use crate::work::WorkError;
use std::error::Error;
use std::io::{self, Write};

/// A run that can't go on.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct AppError {
    /// How the process ends.
    pub kind: Exit,
    /// A lower-case fragment or a sentence, with the ids in it.
    pub message: String,
    /// What caused it; its text is not in `message`.
    pub source: Option<Box<dyn Error + Send + Sync>>,
    /// What to type or to do next.
    pub hints: Vec<String>,
    /// What may be left in the account.
    pub residue: Residue,
    /// Whether there is nothing to say, because nobody reads it.
    quiet: bool,
}

impl AppError {
    /// An error that ends the process this way.
    pub fn new(kind: Exit, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None, hints: Vec::new(), residue: Residue::Clear, quiet: false }
    }

    /// Wrong arguments, or the spec has problems.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// Refused for safety.
    pub fn refused(message: impl Into<String>) -> Self {
        Self::new(Exit::Refused, message)
    }

    /// Local state can't be read or written.
    pub fn state(message: impl Into<String>, source: io::Error) -> Self {
        Self::new(Exit::State, message).caused_by(source)
    }

    /// A bug of ours.
    pub fn bug(message: impl Into<String>) -> Self {
        Self::new(Exit::Bug, message).hint("this is a bug: please report it with the run's events.jsonl")
    }

    /// Adds the cause.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Adds what to type or to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Adds what may be left in the account.
    #[must_use]
    pub fn leaving(mut self, residue: Residue) -> Self {
        self.residue = residue;
        self
    }

    /// Says what was being done: the error so far becomes the cause.
    #[must_use]
    pub fn while_doing(self, what: impl Into<String>) -> Self {
        let Self { kind, message, source, hints, residue, quiet } = self;
        let cause = Cause { message, source };
        Self { kind, message: what.into(), source: Some(Box::new(cause)), hints, residue, quiet }
    }

    /// Prints it and tells how to exit; a reader that went away is no failure.
    pub fn print(&self, out: &mut dyn Write, style: Style) -> Exit {
        if self.quiet {
            return Exit::Done;
        }
        let mut text = Vec::new();
        // Writing to memory can't fail; stderr may be gone, and then nobody is there to be told.
        self.render(&mut text, style)
            .and_then(|()| out.write_all(&text))
            .and_then(|()| out.flush())
            .unwrap_or_default();
        self.kind
    }

    /// The text that is printed.
    fn render(&self, out: &mut dyn Write, style: Style) -> io::Result<()> {
        writeln!(out, "{} {}", style.bad("Error:"), escape::line(&self.message))?;
        let mut chain = Vec::new();
        let mut cause = self.source();
        while let Some(error) = cause {
            chain.push(error.to_string());
            cause = error.source();
        }
        match chain.as_slice() {
            [] => {}
            [only] => writeln!(out, "Caused by: {}", escape::line(only))?,
            several => {
                writeln!(out, "Caused by:")?;
                for (index, cause) in several.iter().enumerate() {
                    writeln!(out, "  {}: {}", index + 1, escape::line(cause))?;
                }
            }
        }
        let (heading, things) = match &self.residue {
            Residue::Clear => ("", [].as_slice()),
            Residue::Remaining(things) => ("Left in the account:", things.as_slice()),
            Residue::Unknown(things) => {
                ("Left in the account, and perhaps more, since a call's outcome is unknown:", things.as_slice())
            }
        };
        if !heading.is_empty() {
            writeln!(out, "{}", style.warning(heading))?;
        }
        for thing in things {
            writeln!(out, "  {}", escape::line(&thing.to_string()))?;
        }
        for hint in &self.hints {
            writeln!(out, "{} {}", style.hint("Hint:"), escape::line(hint))?;
        }
        Ok(())
    }
}

/// An error that became the cause of another.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
struct Cause {
    message: String,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl From<Failure> for AppError {
    fn from(failure: Failure) -> Self {
        let Failure { exit, message, fault, residue, hints } = failure;
        let source = fault.map(|fault| fault as Box<dyn Error + Send + Sync>);
        Self { kind: exit, message, source, hints, residue, quiet: false }
    }
}

impl From<&FaultKind> for Exit {
    /// How a call that failed for good ends the process.
    fn from(kind: &FaultKind) -> Self {
        match kind {
            FaultKind::Throttled
            | FaultKind::NotYetVisible
            | FaultKind::Busy
            | FaultKind::Transport
            | FaultKind::Server
            | FaultKind::Interrupted => Self::Unavailable,
            FaultKind::Capacity | FaultKind::Quota => Self::Capacity,
            FaultKind::Denied => Self::Denied,
            // What the spec names is not there, or AWS will never take it: the spec has a problem.
            FaultKind::Gone | FaultKind::Invalid => Self::Usage,
            // The name belongs to something that is not ours.
            FaultKind::Exists => Self::Refused,
        }
    }
}

impl From<Fault> for AppError {
    fn from(fault: Fault) -> Self {
        let kind = Exit::from(&fault.kind);
        let mut error = Self::new(kind, format!("AWS did not carry out {}: {}", fault.action, fault.reason));
        if fault.kind.outcome_unknown() {
            error = error.hint("the call may have been carried out: the same command again finds out, and goes on");
        } else if fault.kind.retryable() {
            error = error.hint("the same command again goes on from here");
        }
        error.caused_by(fault)
    }
}

impl From<WorkError> for AppError {
    fn from(error: WorkError) -> Self {
        let message = error.to_string();
        match error {
            WorkError::Queue { source, .. } => Self::from(*source).while_doing(message),
            WorkError::Start { source, .. } => Self::usage(message).caused_by(source),
        }
    }
}

impl From<Refusal> for AppError {
    fn from(refusal: Refusal) -> Self {
        Self::refused(refusal.to_string())
    }
}

impl From<io::Error> for AppError {
    /// A reader that went away ends the program quietly; everything else is local state.
    fn from(error: io::Error) -> Self {
        let quiet = error.kind() == io::ErrorKind::BrokenPipe;
        Self { quiet, ..Self::state("failed to read or write on this machine", error) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Thing;

    fn fault(kind: FaultKind) -> Fault {
        Fault {
            kind,
            action: "CreateFleet".into(),
            code: "UnauthorizedOperation".into(),
            message: "You are not authorized.\x1b[2J".into(),
            reason: "a policy of the organisation denies it".into(),
            request_id: Some("4711".into()),
        }
    }

    fn printed(error: &AppError) -> (String, Exit) {
        let mut out = Vec::new();
        let exit = error.print(&mut out, Style::default());
        (String::from_utf8(out).unwrap(), exit)
    }

    #[test]
    fn says_all_there_is_to_say() {
        let things = vec![Thing { kind: "instance".into(), id: "i-1".into() }];
        let error = AppError::from(fault(FaultKind::Denied))
            .while_doing("failed to launch 40 hosts")
            .leaving(Residue::Unknown(things))
            .hint("fleetwright down");
        let (text, exit) = printed(&error);
        assert_eq!(exit, Exit::Denied);
        insta::assert_snapshot!(text, @r"
        Error: failed to launch 40 hosts
        Caused by:
          1: AWS did not carry out CreateFleet: a policy of the organisation denies it
          2: CreateFleet answered UnauthorizedOperation: You are not authorized.\x1b[2J (request id 4711)
        Left in the account, and perhaps more, since a call's outcome is unknown:
          instance i-1
        Hint: fleetwright down
        ");
        let (text, _) = printed(&AppError::usage("no fleet.yaml here or above").hint("fleetwright -f FILE"));
        assert_eq!(text, "Error: no fleet.yaml here or above\nHint: fleetwright -f FILE\n");
    }

    #[test]
    fn faults_have_exit_codes() {
        for (kind, code) in [
            (FaultKind::Throttled, 6),
            (FaultKind::Capacity, 4),
            (FaultKind::Quota, 4),
            (FaultKind::NotYetVisible, 6),
            (FaultKind::Gone, 2),
            (FaultKind::Exists, 8),
            (FaultKind::Denied, 5),
            (FaultKind::Invalid, 2),
            (FaultKind::Busy, 6),
            (FaultKind::Transport, 6),
            (FaultKind::Server, 6),
            (FaultKind::Interrupted, 6),
        ] {
            let error = AppError::from(fault(kind));
            assert_eq!(error.kind.code(), code, "{kind:?}");
            assert_eq!(error.hints.is_empty(), !kind.retryable(), "{kind:?}");
        }
    }

    #[test]
    fn a_worker_that_is_denied_exits_like_everybody_else() {
        let queue = WorkError::Queue { url: "http://q".into(), source: Box::new(fault(FaultKind::Denied)) };
        let (text, exit) = printed(&AppError::from(queue));
        assert_eq!((text.lines().next(), exit), (Some("Error: failed to work on http://q"), Exit::Denied));
        let start = WorkError::Start { program: "./w".into(), source: io::ErrorKind::NotFound.into() };
        assert_eq!(printed(&AppError::from(start)).1, Exit::Usage);
    }

    #[test]
    fn a_broken_pipe_is_quiet() {
        let error = AppError::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!(printed(&error), (String::new(), Exit::Done));
        let (text, exit) = printed(&AppError::from(io::Error::other("disk on fire")));
        assert_eq!((text.contains("disk on fire"), exit), (true, Exit::State));
    }
}
