//! What stands in the way of a job, judged from facts: pure, one file for each group of checks.

mod account;
mod families;
mod finding;
mod keys;
mod machines;
mod network;
mod permissions;
mod queue;
mod quotas;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod trials;
mod way;

pub use families::{Family, family};
pub use finding::{Finding, Group, State};
pub use keys::linked_roles;
pub use trials::{Wanted, trials, wanted};

use crate::exit::Exit;
use crate::model::checkup::Checkup;
use crate::spec::Fleet;
use finding::Notes;

/// A group of checks.
type Judge = fn(&Fleet, &Checkup, &mut Notes);

/// All groups in the order in which they are shown: what is wrong above may be why something is not checked below.
const GROUPS: [(Group, Judge); 8] = [
    (Group::Way, way::judge),
    (Group::Account, account::judge),
    (Group::Permissions, permissions::judge),
    (Group::Machines, machines::judge),
    (Group::Network, network::judge),
    (Group::Quotas, quotas::judge),
    (Group::Keys, keys::judge),
    (Group::Queue, queue::judge),
];

/// Judges everything that the spec needs.
pub fn judge(fleet: &Fleet, checkup: &Checkup) -> Vec<Finding> {
    let mut notes = Notes::default();
    for (group, judge) in GROUPS {
        notes.begin(group);
        judge(fleet, checkup, &mut notes);
    }
    notes.findings
}

/// How the verdict ends the process: done when nothing is wrong, else the worst of what is. The account comes first, since
/// everything else was seen through it, then what has to be allowed, then the spec, then room, then the template's SSH; last a
/// network that failed while it was asked. What was merely not checked, and warnings, are not wrong.
pub fn exit(findings: &[Finding]) -> Exit {
    const WORST_FIRST: [Exit; 6] =
        [Exit::Refused, Exit::Denied, Exit::Usage, Exit::Capacity, Exit::Partial, Exit::Unavailable];
    let hit = |exit: &Exit| findings.iter().any(|finding| finding.exit == Some(*exit));
    WORST_FIRST.into_iter().find(hit).unwrap_or(Exit::Done)
}
