//! What `ssh --dry-run` and `logs` answer: how to get into one host, and what it said.

use super::Answer;
use crate::model::shell_word;
use crate::report::escape;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The command line that `ssh` becomes.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct SshLine {
    /// The instance id.
    pub host: String,
    /// Its slot.
    pub slot: u32,
    /// Program and arguments, as they are run.
    pub command: Vec<String>,
}

impl Answer for SshLine {
    /// As a shell takes it.
    fn page(&self, _: Option<u16>) -> String {
        let words: Vec<String> = self.command.iter().map(|word| shell_word(word)).collect();
        words.join(" ") + "\n"
    }

    fn verbatim(&self) -> bool {
        true
    }
}

/// What one host said.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Logs {
    /// The instance id.
    pub host: String,
    /// Its slot; none for a host that ended.
    pub slot: Option<u32>,
    /// The end of its console output as EC2 keeps it: bounded, control characters shown. Empty until there is any.
    pub console: String,
    /// The worker's unit; none when the spec names none.
    pub service: Option<String>,
    /// The end of that unit's journal, as the host tells it over SSH: bounded, control characters shown.
    pub journal: Option<String>,
    /// Why there is no journal, where the spec names a unit.
    pub reason: Option<String>,
    /// Calls to AWS by action.
    pub api_calls: BTreeMap<String, u64>,
}

impl Answer for Logs {
    fn page(&self, _: Option<u16>) -> String {
        let host = self.slot.map_or_else(|| self.host.clone(), |slot| format!("#{slot} {}", self.host));
        let mut text = format!("--- console of {host}\n");
        text.push_str(if self.console.is_empty() { "(nothing yet)" } else { self.console.trim_end() });
        if let Some(service) = &self.service {
            let _infallible = write!(text, "\n--- journal of {} on {host}\n", escape::line(service));
            match (&self.journal, &self.reason) {
                (Some(journal), _) => text.push_str(journal.trim_end()),
                (None, reason) => {
                    let _infallible = write!(text, "(none: {})", reason.as_deref().unwrap_or("not asked for"));
                }
            }
        }
        text + "\n"
    }

    fn verbatim(&self) -> bool {
        true
    }
}
