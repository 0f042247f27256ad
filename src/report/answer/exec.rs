//! What `exec` answers: what each host said.

use super::Answer;
use crate::model::{HostReport, HostResult};
use crate::report::escape;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// One command on many hosts.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Executed {
    /// The run's id; empty when nothing was run.
    pub run: String,
    /// `done`, `partial` when too many hosts failed, `nothing to do` without hosts, `dry run`.
    pub verdict: String,
    /// The shell line that was run.
    pub command: String,
    /// Every host, by slot.
    pub hosts: Vec<HostOutput>,
    /// World seconds from start to end.
    pub world_seconds: i64,
    /// Calls to AWS by action.
    pub api_calls: BTreeMap<String, u64>,
}

/// What one host said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct HostOutput {
    /// The instance id.
    pub host: String,
    /// Its slot.
    pub slot: u32,
    /// How it came out.
    pub result: HostResult,
    /// `stage: cause`, where it did not come out well.
    pub reason: Option<String>,
    /// The command's exit status, where it ended by itself.
    pub exit_status: Option<u32>,
    /// What it printed, standard output before standard error; bounded, control characters shown.
    pub output: String,
}

impl From<&HostReport> for HostOutput {
    fn from(report: &HostReport) -> Self {
        Self {
            host: report.host.id.to_string(),
            slot: report.host.slot,
            result: report.result,
            reason: crate::report::failures::why(report),
            exit_status: report.exit_status,
            output: report.output.clone(),
        }
    }
}

impl Answer for Executed {
    /// The same output once, with its hosts.
    fn page(&self, _: Option<u16>) -> String {
        if self.verdict == DRY_RUN {
            let hosts: Vec<String> = self.hosts.iter().map(|host| format!("#{} {}", host.slot, host.host)).collect();
            return format!("would run {} on {}\n", escape::line(&self.command), hosts.join(", "));
        }
        if self.hosts.is_empty() {
            return format!("{}: there is no host\n", self.verdict);
        }
        let mut groups: Vec<(&str, Vec<String>)> = Vec::new();
        for host in &self.hosts {
            let name = format!("#{} {}", host.slot, host.host);
            match groups.iter_mut().find(|(text, _)| *text == host.output) {
                Some((_, hosts)) => hosts.push(name),
                None => groups.push((&host.output, vec![name])),
            }
        }
        groups.into_iter().fold(String::new(), |mut text, (said, hosts)| {
            let _infallible = writeln!(text, "--- {} ({})", hosts.join(", "), hosts.len());
            let said = said.trim_end();
            if !said.is_empty() {
                let _infallible = writeln!(text, "{said}");
            }
            text
        })
    }
}

/// The verdict when hosts were only named.
pub const DRY_RUN: &str = "dry run";
