//! What `plan` answers, and every verb under `--dry-run`.

use super::Answer;
use crate::plan::{Plan, show};
use schemars::JsonSchema;
use serde::Serialize;

/// What verbs would do.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Plans {
    /// One for each verb, in the order in which they would run.
    pub plans: Vec<Plan>,
}

impl Answer for Plans {
    fn page(&self, _: Option<u16>) -> String {
        self.plans.iter().map(show::show).collect()
    }
}
