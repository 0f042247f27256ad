//! The plans of `protect` and `quarantine`: a tag on one host, its group's own protection with it, and for a quarantine its
//! worker at rest.
//!
//! The tag comes first on the way in and last on the way out, so that a host at rest is never counted: wherever the process
//! dies, the same command finds the rest to do.

use super::group::group_name;
use super::{Action, Plan, Step};
use crate::model::{Instance, Mark};
use crate::spec::Fleet;
use jiff::Timestamp;

/// Plans a mark on one host (`off` takes it away). One that it bears already keeps its time.
pub fn plan(fleet: &Fleet, host: &Instance, mark: Mark, off: bool, now: Timestamp, request: String) -> Plan {
    let id = host.id.clone();
    let already = host.marked(mark).and_then(|since| since.parse().ok());
    let since = if off { None } else { Some(already.unwrap_or(now)) };
    let (verb, word) = match mark {
        Mark::Protect => ("protect", "protected"),
        Mark::Quarantine => ("quarantine", "in quarantine"),
    };
    let title = if off { format!("{id} is no longer {word}") } else { format!("{id} is {word}") };
    let mut steps = vec![Step::new("mark", title, Action::Mark { host: id.clone(), mark, since })];
    let mut notes = Vec::new();
    let own = group_name(fleet.name.as_str());
    let other = if mark == Mark::Protect { Mark::Quarantine } else { Mark::Protect };
    if host.group.as_ref() == Some(&own) && !(off && host.marked(other).is_some()) {
        let title = format!("{own} {} when it gets smaller", if off { "may end it" } else { "keeps it" });
        let step = Step::new("shield", title, Action::Shield { group: own, host: id.clone(), on: !off });
        steps.insert(usize::from(!off), step);
    }
    match (mark, &fleet.worker) {
        (Mark::Protect, _) if off => {}
        (Mark::Protect, _) => notes.push("it costs money until the mark is taken off and it is ended".to_owned()),
        (Mark::Quarantine, None) => {
            notes.push("the spec names no `worker`: nothing is stopped or started on the host".to_owned());
        }
        (Mark::Quarantine, Some(worker)) if off => {
            let title = format!("start {} on {id}", worker.service);
            steps.insert(0, Step::new("worker", title, Action::StartWorker { host: id }));
        }
        (Mark::Quarantine, Some(worker)) => {
            let title = format!("stop {} on {id}; what it works on comes back to the queue", worker.service);
            steps.push(Step::new("worker", title, Action::StopWorker { host: id }));
        }
    }
    if mark == Mark::Quarantine && !off {
        notes.push(match &host.group {
            Some(group) => format!("it keeps its place in the group {group}, which so has one host less at work"),
            None => "it is no longer counted: `fleetwright launch` replaces it".to_owned(),
        });
    }
    Plan { verb: verb.to_owned(), fleet: fleet.key(), request, steps, notes, arguments: Vec::new(), estimate: None }
}
