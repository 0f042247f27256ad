//! The plan of `push`: one release, every running host, in waves.

use super::{Action, Plan, Step};
use crate::model::count;
use crate::spec::Fleet;

/// Plans a push.
///
/// `release` is the archive's digest, if it is there already.
pub fn plan(fleet: &Fleet, hosts: usize, release: Option<&str>, request: String) -> Plan {
    let named = release.map_or("a release that is yet to be built".to_owned(), |digest| {
        format!("release {}", digest.chars().take(12).collect::<String>())
    });
    Plan {
        verb: "push".to_owned(),
        fleet: fleet.key(),
        request,
        steps: vec![Step::new("push", format!("{named} to {}", count(hosts, "host")), Action::Push)],
        notes: Vec::new(),
        arguments: Vec::new(),
        estimate: None,
    }
}
