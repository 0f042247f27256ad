//! Only the journal builds a `Permit`.

use fleetwright::journal::{Draft, IntentId, Permit};

fn made_up(call: Draft) -> Permit {
    Permit { intent: IntentId(1), call, replayed: false }
}

fn main() {}
