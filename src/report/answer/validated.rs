//! What `validate` answers.

use super::Answer;
use crate::report::count;
use crate::spec::{Problem, Problems, Severity};
use schemars::JsonSchema;
use serde::Serialize;

/// Every problem of a spec and its playbooks.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Validated {
    /// The spec's file.
    pub file: String,
    /// Whether the spec can be used: it has no error.
    pub valid: bool,
    /// Errors and warnings by place, at most 100.
    pub problems: Vec<Problem>,
    /// How many more there are than are listed.
    pub more: usize,
}

impl Validated {
    /// What was found in a file.
    pub fn new(file: String, problems: &Problems) -> Self {
        let valid = !problems.has_errors();
        Self { file, valid, problems: problems.iter().cloned().collect(), more: problems.more() }
    }
}

impl Answer for Validated {
    /// One line for a spec that can be used; the problems themselves are shown on standard error, with their lines.
    fn page(&self, _: Option<u16>) -> String {
        let warnings = self.problems.iter().filter(|problem| problem.severity == Severity::Warning).count();
        match (self.valid, warnings) {
            (false, _) => String::new(),
            (true, 0) => format!("{}: no problems\n", self.file),
            (true, n) => format!("{}: no errors, {}\n", self.file, count(n as u64, "warning")),
        }
    }
}
