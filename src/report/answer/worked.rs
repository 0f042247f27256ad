//! What `work` answers when it ends; meanwhile it logs to standard error.

use super::Answer;
use crate::report::count;
use schemars::JsonSchema;
use serde::Serialize;

/// What a worker did.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
pub struct Worked {
    /// Items acknowledged.
    pub ok: u64,
    /// Items whose command said no, or that could not be acknowledged: the queue gives them out again.
    pub failed: u64,
    /// Why it stopped.
    pub ended: StoppedBy,
}

/// Why a worker stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum StoppedBy {
    /// The queue gave nothing any more, and that was asked for.
    Empty,
    /// As many items as asked for.
    Enough,
    /// A first signal came; the items in hand were finished.
    Asked,
    /// A second signal came; the items in hand were given back.
    Abandoned,
}

impl Answer for Worked {
    fn page(&self, _: Option<u16>) -> String {
        format!("{} completed, {} failed\n", count(self.ok, "item"), self.failed)
    }
}
