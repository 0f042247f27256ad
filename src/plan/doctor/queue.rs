//! The job's queue and its dead letters: there, and readable.

use super::finding::Notes;
use crate::exit::Exit;
use crate::model::FaultKind;
use crate::model::checkup::Checkup;
use crate::spec::Fleet;

/// What feeding and working need besides; SQS has no dry run.
const UNASKED: &str = "sqs:SendMessage, sqs:ReceiveMessage, sqs:DeleteMessage";

pub(super) fn judge(fleet: &Fleet, checkup: &Checkup, notes: &mut Notes) {
    let (Some(queue), Some(seen)) = (&fleet.queue, &checkup.queue) else { return };
    match &seen.counters {
        Ok(()) => notes.ok("queue", format!("{}: its counters can be read", queue.url)),
        Err(fault) if fault.kind == FaultKind::Gone => notes.problem(
            "queue",
            Exit::Usage,
            format!("{} is not there", queue.url),
            format!("aws sqs list-queues --region {}     # then correct `queue.url`", fleet.region),
        ),
        Err(fault) => notes.needed("queue", fault),
    }
    match &seen.dead_letter {
        None => {}
        Some((name, Ok(true))) => notes.ok("dead-letters", format!("{name} is there")),
        Some((name, Ok(false))) => notes.problem(
            "dead-letters",
            Exit::Usage,
            format!("there is no queue {name}"),
            format!("aws sqs create-queue --region {} --queue-name {name}", fleet.region),
        ),
        Some((_, Err(fault))) => notes.needed("dead-letters", fault),
    }
    notes.unchecked(UNASKED, "SQS has no dry run, and a test message might be taken for an item");
}
