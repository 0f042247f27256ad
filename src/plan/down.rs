//! The plan of `down`: nothing that costs money is left.

use super::group::group_name;
use super::{Action, Plan, Step};
use crate::model::Region;
use crate::spec::Fleet;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeSet;

/// How long after a call nobody knows the outcome of its hosts may still appear: the longest attempt (90 s for CreateFleet)
/// and the five minutes that EC2's guide gives eventual consistency.
pub const QUIET: SignedDuration = SignedDuration::from_secs(90 + 300);

/// Plans a teardown. Creators first, hosts next, what hosts held after them, then a second look.
///
/// `open` is when the last call that makes something and whose outcome nobody knows was sent, if there is one. Where `there`
/// says that a look found nothing, and no such call is open, only the second look is left. A group of the fleet (`grouped`)
/// wants none before its hosts end, and is deleted after them. `images` end too where it names
/// the other regions that may have copies of them.
pub fn plan(
    fleet: &Fleet,
    images: Option<&BTreeSet<Region>>,
    open: Option<Timestamp>,
    there: bool,
    grouped: bool,
    now: Timestamp,
    request: String,
) -> Plan {
    let sweep = Step::new("sweep", "look twice that nothing is left", Action::Sweep);
    let plan = Plan::new("down", fleet.key(), request);
    if !there && open.is_none() {
        return Plan { steps: vec![sweep], ..plan };
    }
    let mut steps = Vec::new();
    if let Some(at) = open {
        // A clock that was set back since does not make it longer.
        let left = (QUIET - now.duration_since(at)).min(QUIET);
        if left > SignedDuration::ZERO {
            let seconds = left.as_secs();
            steps.push(Step::new(
                "quiet",
                "wait for what a call of unknown outcome may have made",
                Action::Quiet { seconds },
            ));
        }
    }
    let group = grouped.then(|| group_name(fleet.name.as_str()));
    if let Some(group) = group.clone() {
        let title = format!("the group {group} wants no host any more");
        steps.push(Step::new("empty", title, Action::GroupEmpty { group }));
    }
    steps.push(Step::new("hosts", "end every host", Action::Terminate));
    if let Some(group) = group {
        steps.push(Step::new("group", format!("delete the group {group}"), Action::GroupGone { group }));
    }
    steps.push(Step::new("volumes", "delete volumes left behind", Action::Volumes));
    steps.push(Step::new("template", "delete the launch template", Action::Template));
    steps.push(Step::new("queues", "delete queues of ours", Action::Queues));
    if let Some(copied_to) = images {
        let keep = fleet.image.keep;
        let title = format!("end images beyond the newest {keep}");
        steps.push(Step::new("images", title.clone(), Action::Images { keep, region: None }));
        steps.extend(copied_to.iter().map(|region| {
            let action = Action::Images { keep, region: Some(region.clone()) };
            Step::new(&format!("images-{region}"), format!("{title}, of the copies in {region}"), action)
        }));
    }
    steps.push(sweep);
    Plan { steps, ..plan }
}
