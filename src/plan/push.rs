//! The plan of `push`: one release, every running host, in waves.

use super::{Action, Plan, Step};
use crate::model::count;
use crate::spec::Fleet;

/// Plans a push of the archive with this digest.
pub fn plan(fleet: &Fleet, hosts: usize, release: &str, request: String) -> Plan {
    let short: String = release.chars().take(12).collect();
    let steps = vec![Step::new("push", format!("release {short} to {}", count(hosts, "host")), Action::Push)];
    Plan { steps, ..Plan::new("push", fleet.key(), request) }
}
