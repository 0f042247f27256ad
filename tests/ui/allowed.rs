//! What the others would do, done the way that is open to everyone: nothing is said against it.

use fleetwright::gate::OwnedIds;
use fleetwright::journal::Permit;

fn read(owned: &OwnedIds, permit: Permit) -> (usize, Permit) {
    (owned.ids().len(), permit)
}

fn main() {
    let _unused = read;
}
