//! How a verb can end, as far as somebody elsewhere wants to hear of it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What `notify.events` names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Occasion {
    /// It did what it should; of a job: every item is completed.
    Done,
    /// Some hosts failed.
    Partial,
    /// Capacity or quota was short.
    Capacity,
    /// The job stalled.
    Stalled,
    /// The job's deadline or `--timeout` was reached.
    Deadline,
    /// The budget was used up.
    Budget,
    /// Items are neither completed nor given up on.
    Unaccounted,
    /// Something billable may remain.
    Residue,
    /// Stopped on request.
    Interrupted,
    /// Some items failed, or anything else went wrong.
    Failed,
}

impl Occasion {
    /// All of them with their words and meanings, as a spec has them.
    pub const ALL: [(&'static str, &'static str, Self); 10] = [
        ("done", "it did what it should; of a job: every item is completed", Self::Done),
        ("failed", "some items failed, or anything went wrong that has no word of its own", Self::Failed),
        ("stalled", "the job no longer gets on", Self::Stalled),
        ("unaccounted", "items are neither completed nor given up on", Self::Unaccounted),
        (
            "deadline",
            "the job's deadline or `--timeout` was reached, or the budget of a `launch --watch`",
            Self::Deadline,
        ),
        ("budget", "`budget.stop_at` was reached", Self::Budget),
        ("partial", "hosts failed beyond `max_fail`, or a size, a check, an image or a refresh did", Self::Partial),
        ("capacity", "capacity or quota was short of `accept.min`", Self::Capacity),
        ("residue", "something billable may remain", Self::Residue),
        ("interrupted", "stopped by Ctrl-C or SIGTERM", Self::Interrupted),
    ];

    /// Its word.
    pub fn word(self) -> &'static str {
        Self::ALL.iter().find(|(.., occasion)| *occasion == self).map_or("failed", |(word, ..)| word)
    }
}
