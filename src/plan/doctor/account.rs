//! Whose credentials, in which partition and region, and whether they hold for the length of the job.

use super::finding::Notes;
use crate::exit::Exit;
use crate::model::checkup::Checkup;
use crate::model::{FaultKind, Partition};
use crate::plan::session::{LONGER, Session, session};
use crate::spec::Fleet;

pub(super) fn judge(fleet: &Fleet, checkup: &Checkup, notes: &mut Notes) {
    let partition = fleet.region.partition();
    match &checkup.caller {
        Err(fault) if fault.kind == FaultKind::Denied => {
            notes.problem("credentials", Exit::Denied, fault.to_string(), fault.reason.clone());
        }
        Err(fault) if fault.kind.retryable() => notes.unseen("credentials", fault),
        Err(fault) => notes.problem("credentials", Exit::Usage, fault.to_string(), fault.reason.clone()),
        Ok(caller) if theirs(&caller.arn) != partition.name => notes.problem(
            "credentials",
            Exit::Denied,
            format!(
                "{} is of partition {}, region {} is in {}: accounts and credentials of one are unknown in the other",
                caller.arn,
                theirs(&caller.arn),
                fleet.region,
                partition.name
            ),
            "choose other credentials (--profile), or correct `region:` in the spec",
        ),
        Ok(caller) if caller.account != fleet.account => notes.problem(
            "credentials",
            Exit::Refused,
            format!("they belong to account {}, the spec names {}", caller.account, fleet.account),
            "choose other credentials (--profile), or correct `account:` in the spec",
        ),
        Ok(caller) => notes.ok("credentials", format!("{} of account {}", caller.arn, caller.account)),
    }
    region(fleet, partition, notes);
    match &checkup.session_end {
        None => {}
        Some(Err(fault)) => notes.unseen("session", fault),
        Some(Ok(None)) => notes.ok("session", "the credentials do not end by themselves"),
        Some(Ok(Some(end))) => match session(checkup.at, *end, checkup.job.as_ref()) {
            Session::Ended(when) => notes.problem("session", Exit::Denied, when, "log in again: aws sso login"),
            Session::Short(why) => notes.warning("session", why, LONGER),
            Session::Enough(until) => notes.ok("session", until),
        },
    }
}

/// The partition in an ARN.
fn theirs(arn: &str) -> &str {
    arn.split(':').nth(1).unwrap_or_default()
}

/// What differs in a region's partition, where something does.
fn region(fleet: &Fleet, partition: Partition, notes: &mut Notes) {
    let place = format!("{} in partition {}, endpoints below {}", fleet.region, partition.name, partition.domain);
    match partition.name {
        "aws" => notes.ok("region", place),
        // Price List endpoints are in the commercial partition and in China only; the others have no price there.
        "aws-cn" => notes.warning(
            "region",
            format!("{place}; prices there are in CNY"),
            "bounds in dollars (`max_price`) mean yuan there; docs/iam-policy.json needs arn:aws-cn: in place of arn:aws:",
        ),
        "aws-us-gov" => notes.warning(
            "region",
            format!("{place}; the Price List API has no endpoint there"),
            "on-demand prices come from a built-in table, with its day; docs/iam-policy.json needs arn:aws-us-gov: in place of arn:aws:",
        ),
        other => notes.warning(
            "region",
            format!("{place}; nobody has run fleetwright there yet"),
            format!("docs/iam-policy.json needs arn:{other}: in place of arn:aws:; try a small fleet first"),
        ),
    }
}
