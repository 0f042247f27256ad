//! What a failure or an interruption left behind.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// One billable or named thing of ours in the account.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Thing {
    /// `instance`, `volume`, `image`, `snapshot`, `launch-template`, `queue` ...
    pub kind: String,
    /// Its id, or its URL for a queue.
    pub id: String,
}

impl fmt::Display for Thing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.id)
    }
}

/// What may still be there, as far as we know.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Residue {
    /// Nothing of ours.
    #[default]
    Clear,
    /// These things, for certain.
    Remaining(Vec<Thing>),
    /// A call's outcome is unknown: these things and perhaps more.
    Unknown(Vec<Thing>),
}
