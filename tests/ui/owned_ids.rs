//! Only the gate builds `OwnedIds`.

fn main() {
    let _made_up = fleetwright::gate::OwnedIds { ids: vec!["i-0123456789abcdef0".to_owned()] };
}
