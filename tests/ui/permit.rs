//! Only the journal builds a `Permit`.

use fleetwright::journal::{Draft, IntentId, Permit};
use std::sync::OnceLock;

fn made_up(call: Draft) -> Permit {
    Permit { intent: IntentId(1), call, replayed: false, request: OnceLock::new() }
}

fn main() {}
