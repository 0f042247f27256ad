//! Placeholder for the journal's log.

use super::{Draft, IntentId};

/// Leave to make one call: only the journal issues it, after the intent is durable.
#[derive(Debug)]
pub struct Permit {
    draft: Draft,
    intent: IntentId,
    replayed: bool,
}

impl Permit {
    #[cfg(test)]
    pub(crate) fn placeholder(draft: Draft) -> Self {
        Self { draft, intent: IntentId(1), replayed: false }
    }

    /// The call that may be made.
    pub fn call(&self) -> &Draft {
        &self.draft
    }

    /// The intent it belongs to.
    pub fn intent(&self) -> IntentId {
        self.intent
    }

    /// Whether the call may have been made before.
    pub fn replayed(&self) -> bool {
        self.replayed
    }
}
