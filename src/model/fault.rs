//! Why a call to AWS failed, in a closed list that the rest of the program decides by.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The closed list of kinds; AWS codes never leave `aws/classify.rs` except for show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FaultKind {
    /// Too many calls: the same call may go through later.
    Throttled,
    /// This pool has no room now: another pool may.
    Capacity,
    /// An account limit: another family or market may fit, waiting does not help.
    Quota,
    /// Made so recently that this reader can't see it yet.
    NotYetVisible,
    /// Not there, and it should have been visible by now.
    Gone,
    /// The name is taken.
    Exists,
    /// No permission, or credentials missing or expired.
    Denied,
    /// AWS will never accept this request as it is.
    Invalid,
    /// The thing is in a state in which this can't be done now.
    Busy,
    /// No answer that can be trusted: reset, time-out, cut or garbled. The call may have been carried out.
    Transport,
    /// AWS failed inside (5xx). The call may have been carried out.
    Server,
    /// The token's request was carried out before and what it made has ended since.
    Interrupted,
}

impl FaultKind {
    /// Whether the call may have been carried out although no good answer came.
    pub fn outcome_unknown(self) -> bool {
        matches!(self, Self::Transport | Self::Server)
    }

    /// Whether the very same request may succeed later without anybody acting.
    pub fn retryable(self) -> bool {
        matches!(self, Self::Throttled | Self::NotYetVisible | Self::Busy | Self::Transport | Self::Server)
    }
}

/// One failed call, with all that its report needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Fault {
    /// What to decide by.
    pub kind: FaultKind,
    /// The API action, for example `CreateFleet`.
    pub action: String,
    /// AWS's error code, or a word of ours for transport failures (`reset`, `timeout`, `truncated`).
    pub code: String,
    /// AWS's message, or the transport error's text.
    pub message: String,
    /// One sentence for people: what it means and what would help.
    pub reason: String,
    /// AWS's request id, where an answer came.
    pub request_id: Option<String>,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { action, code, message, .. } = self;
        // AWS's codes begin with a capital; the words of our own are for calls that AWS has not answered.
        match (code.starts_with(|c: char| c.is_ascii_lowercase()), self.kind) {
            (false, _) => write!(f, "{action} answered {code}: {message}")?,
            (true, FaultKind::Transport) => write!(f, "{action} got no answer to rely on ({code}): {message}")?,
            (true, _) => write!(f, "{action} was not sent ({code}): {message}")?,
        }
        if let Some(id) = &self.request_id {
            write!(f, " (request id {id})")?;
        }
        Ok(())
    }
}

impl std::error::Error for Fault {}
