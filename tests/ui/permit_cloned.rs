//! A permit is for one call: it can't be copied.

use fleetwright::journal::Permit;

fn doubled(permit: &Permit) -> (Permit, Permit) {
    (Permit::clone(permit), Permit::clone(permit))
}

fn main() {}
