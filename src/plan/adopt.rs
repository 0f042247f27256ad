//! The plan of `adopt`: a journal from tags alone.

use super::down::QUIET;
use super::{Action, Plan, Step};
use crate::spec::Fleet;
use jiff::Timestamp;

/// Plans the taking over of all that carries the fleet's tags, once everything that another machine asked for until now must
/// be visible: what it wrote down is not known here, so it may be any call.
pub fn plan(fleet: &Fleet, now: Timestamp, request: String) -> Plan {
    let at = now.saturating_add(QUIET).unwrap_or(Timestamp::MAX);
    let title = "wait until everything is visible, then take over what carries this fleet's tags";
    Plan {
        steps: vec![Step::new("adopt", title, Action::Adopt { at, orphans: None })],
        ..Plan::new("adopt", fleet.key(), request)
    }
}
