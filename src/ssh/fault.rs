//! Why a host could not be reached or a command not be followed to its end.

use crate::model::{Host, HostReport, HostResult};
use std::fmt;
use std::time::Duration;

/// The closed list of kinds that the rest of the program decides by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SshFaultKind {
    /// No connection: refused, no route, or no answer within the connect time-out. Safe to try again.
    Unreachable,
    /// The host did not prove to be the one meant. Never tried again by itself.
    HostKey,
    /// No key of ours was let in.
    Auth,
    /// The connection broke after a command was sent: whether the command ran is unknown.
    Lost,
    /// The command took longer than it may; it was told to end, and may have done part of its work.
    TimedOut,
    /// The two sides can't agree on how to talk, or the host broke the rules.
    Protocol,
}

impl SshFaultKind {
    /// Whether the very same may work later without anybody acting, with nothing done twice.
    pub fn retryable(self) -> bool {
        matches!(self, Self::Unreachable)
    }

    /// What it makes of the host.
    pub fn host_result(self) -> HostResult {
        match self {
            Self::Unreachable | Self::Auth | Self::Lost | Self::Protocol => HostResult::Unreachable,
            Self::HostKey => HostResult::Refused,
            Self::TimedOut => HostResult::Failed,
        }
    }
}

/// One failure on the way to or on a host; the message may hold text from the host, but is safe to print.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SshFault {
    /// What to decide by.
    pub kind: SshFaultKind,
    /// Where: `connect`, `greeting`, `key exchange`, `host key`, `auth`, `command`.
    pub stage: &'static str,
    /// Why, in one line that fits after "failed to reach the host:".
    pub message: String,
}

impl SshFault {
    pub(super) fn new(kind: SshFaultKind, stage: &'static str, message: impl AsRef<str>) -> Self {
        Self { kind, stage, message: super::output::line(message.as_ref()) }
    }

    /// The report of a host that came out this way.
    pub fn host_report(&self, host: Host, took: Duration) -> HostReport {
        HostReport {
            host,
            result: self.kind.host_result(),
            stage: Some(self.stage.to_owned()),
            cause: Some(self.message.clone()),
            exit_status: None,
            output: String::new(),
            took,
        }
    }
}

impl fmt::Display for SshFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.stage, self.message)
    }
}

impl std::error::Error for SshFault {}
