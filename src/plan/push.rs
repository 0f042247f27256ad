//! The plan of `push`: one release, every running host, in waves.

use super::{Action, Plan, Step};
use crate::spec::Fleet;

/// Plans a push.
pub fn plan(fleet: &Fleet, hosts: usize, release: &str, request: String) -> Plan {
    let short: String = release.chars().take(12).collect();
    Plan {
        verb: "push".to_owned(),
        fleet: fleet.key(),
        request,
        steps: vec![Step::new("push", format!("release {short} to {hosts} hosts"), Action::Push)],
        notes: Vec::new(),
        arguments: Vec::new(),
    }
}
