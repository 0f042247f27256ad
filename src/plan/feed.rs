//! The plan of `feed`: items into the queue, at a rate it can take.

use super::{Action, Plan, Step};
use crate::model::count;
use crate::spec::Fleet;

/// Plans a feed.
pub fn plan(fleet: &Fleet, items: usize, request: String) -> Plan {
    Plan {
        verb: "feed".to_owned(),
        fleet: fleet.key(),
        request,
        steps: vec![Step::new("feed", format!("{} into the queue", count(items, "item")), Action::Feed)],
        notes: Vec::new(),
        arguments: Vec::new(),
        estimate: None,
    }
}
