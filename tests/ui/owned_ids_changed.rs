//! `OwnedIds` come from nowhere else either, and take no further id.

use fleetwright::gate::OwnedIds;

fn extended(mut owned: OwnedIds) -> OwnedIds {
    owned.ids.push("i-0123456789abcdef0".to_owned());
    owned
}

fn main() {
    extended(OwnedIds::default());
}
