//! The ledger: how many items are completed, as the operator's own command on the template says.

use crate::ssh::{Input, Limits, Session, SshFault};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The command may take so long, wall time.
const LIMITS: Limits = Limits { timeout: Duration::from_mins(2), max_output: 16 * 1024 };

/// How it stood before the first item of a campaign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Baseline {
    /// What it counted; `None` when the command failed or printed no number.
    pub count: Option<u64>,
    /// The template's clock, in seconds since 1970: what the command finds as `$FLEETWRIGHT_SINCE`.
    pub since: u64,
}

/// What the ledger counts now; `None` when the command failed or printed no number.
///
/// # Errors
///
/// When the template was lost.
pub async fn count(session: &Session, command: &str, since: Option<u64>) -> Result<Option<u64>, SshFault> {
    let line = match since {
        Some(since) => format!("FLEETWRIGHT_SINCE={since}; export FLEETWRIGHT_SINCE; {command}"),
        None => command.to_owned(),
    };
    let execution = session.exec(&line, Input::Empty, LIMITS).await?;
    Ok(execution.success().then(|| number(&String::from_utf8_lossy(&execution.stdout))).flatten())
}

/// How the ledger stands before the first item; `None` when the template's clock could not be read.
///
/// # Errors
///
/// When the template was lost.
pub async fn baseline(session: &Session, command: &str) -> Result<Option<Baseline>, SshFault> {
    let line =
        format!("FLEETWRIGHT_SINCE=$(date +%s); export FLEETWRIGHT_SINCE; echo \"$FLEETWRIGHT_SINCE\"; {command}");
    let execution = session.exec(&line, Input::Empty, LIMITS).await?;
    let text = String::from_utf8_lossy(&execution.stdout);
    let (since, said) = text.split_once('\n').unwrap_or((&text, ""));
    Ok(number(since).map(|since| Baseline { count: execution.success().then(|| number(said)).flatten(), since }))
}

fn number(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}
