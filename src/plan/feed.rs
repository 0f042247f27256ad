//! The plan of `feed`: items into the queue, at a rate it can take.

use super::{Action, Plan, Step};
use crate::spec::Fleet;

/// Plans a feed of so many items, in words.
pub fn plan(fleet: &Fleet, items: &str, request: String) -> Plan {
    let steps = vec![Step::new("feed", format!("{items} into the queue"), Action::Feed)];
    Plan { steps, ..Plan::new("feed", fleet.key(), request) }
}
