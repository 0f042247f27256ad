//! One thing in the account that carries tags of ours, whatever it is.

use super::{Tags, tags};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A thing of ours as its tags tell it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ours {
    /// AWS's word for what it is: `instance`, `volume`, `network-interface`, `launch-template`, `auto-scaling-group` ...
    pub kind: String,
    /// Its id.
    pub id: String,
    /// Its tags of ours, and no others. A launch template bears the end of the hosts that its newest version makes, or of the
    /// group that they are in; without a group, the one that it was made with.
    pub tags: Tags,
    /// The live host that it is attached to.
    pub host: Option<String>,
}

impl Ours {
    /// When it was to be gone; none for what lasts.
    pub fn ends(&self) -> Option<Timestamp> {
        self.tags.ends()
    }

    /// The fleet that it is of.
    pub fn fleet(&self) -> &str {
        self.tags.get(tags::FLEET).unwrap_or_default()
    }
}
