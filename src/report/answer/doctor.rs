//! What `doctor` answers: findings by group, each with what mends it.

use super::Answer;
use crate::plan::doctor::{Finding, State};
use crate::report::{count, escape};
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// What stands in the way of the job, and what does not. Nothing was changed.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Diagnosis {
    /// The fleet's name.
    pub fleet: String,
    /// The account that the spec names.
    pub account: String,
    /// The region it acts in.
    pub region: String,
    /// Everything that the spec needs, in a fixed order.
    pub findings: Vec<Finding>,
    /// How the process ends: 0 when nothing is wrong.
    pub exit_code: u8,
    /// Calls to AWS by action; those that change things were dry runs.
    pub api_calls: BTreeMap<String, u64>,
}

impl Answer for Diagnosis {
    fn page(&self, _: Option<u16>) -> String {
        let mut text = String::new();
        let mut group = None;
        let longest = self.findings.iter().filter(|finding| finding.check.len() <= WIDEST).map(|f| f.check.len()).max();
        let width = longest.unwrap_or(0);
        for finding in &self.findings {
            if group != Some(finding.group) {
                group = Some(finding.group);
                let _infallible = writeln!(text, "{}", finding.group.title());
            }
            let found = escape::line(&finding.found);
            let _infallible = writeln!(text, "  {:<11} {:<width$}  {found}", word(finding.state), finding.check);
            if let Some(fix) = &finding.fix {
                let _infallible = writeln!(text, "  {:11} {:width$}  -> {}", "", "", escape::line(fix));
            }
        }
        let of = |state: State| self.findings.iter().filter(|finding| finding.state == state).count() as u64;
        let _infallible = writeln!(
            text,
            "{}, {}, {} not checked, {} ok",
            count(of(State::Problem), "problem"),
            count(of(State::Warning), "warning"),
            of(State::NotChecked),
            of(State::Ok)
        );
        text
    }
}

/// Names of checks are lined up as long as they are not wider than this.
const WIDEST: usize = 32;

fn word(state: State) -> &'static str {
    match state {
        State::Ok => "ok",
        State::Problem => "PROBLEM",
        State::Warning => "warning",
        State::NotChecked => "not checked",
    }
}
