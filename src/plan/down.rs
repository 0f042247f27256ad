//! The plan of `down`: nothing that costs money is left.

use super::{Action, Plan, Step};
use crate::spec::Fleet;
use jiff::{SignedDuration, Timestamp};

/// How long after a call nobody knows the outcome of its hosts may still appear: the longest attempt (90 s for CreateFleet)
/// and the five minutes that EC2's guide gives eventual consistency.
pub const QUIET: SignedDuration = SignedDuration::from_secs(90 + 300);

/// Plans a teardown. Creators first, hosts next, what hosts held after them, then a second look.
///
/// `open` is when the last call that makes something and whose outcome nobody knows was sent, if there is one.
pub fn plan(fleet: &Fleet, images: bool, open: Option<Timestamp>, now: Timestamp, request: String) -> Plan {
    let mut steps = Vec::new();
    if let Some(at) = open {
        let left = QUIET - now.duration_since(at);
        if left > SignedDuration::ZERO {
            let seconds = left.as_secs();
            steps.push(Step::new(
                "quiet",
                "wait for what a call of unknown outcome may have made",
                Action::Quiet { seconds },
            ));
        }
    }
    steps.push(Step::new("hosts", "end every host", Action::Terminate));
    steps.push(Step::new("volumes", "delete volumes left behind", Action::Volumes));
    steps.push(Step::new("template", "delete the launch template", Action::Template));
    steps.push(Step::new("queues", "delete queues of ours", Action::Queues));
    if images {
        let keep = fleet.image.keep;
        steps.push(Step::new("images", format!("end images beyond the newest {keep}"), Action::Images { keep }));
    }
    steps.push(Step::new("sweep", "look twice that nothing is left", Action::Sweep));
    Plan {
        verb: "down".to_owned(),
        fleet: fleet.key(),
        request,
        steps,
        notes: Vec::new(),
        arguments: Vec::new(),
        estimate: None,
    }
}
