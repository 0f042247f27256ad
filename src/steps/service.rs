//! Waiting for the hosts that a group launches: all of them, enough of them, or the causes why there are none.

use super::Steps;
use crate::engine::failure::Failure;
use crate::engine::run::Done;
use crate::event::Event;
use crate::exit::Exit;
use crate::model::{Activity, FaultKind, Group, InstanceId, Residue, Thing};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Between two looks at a group.
const LOOK: Duration = Duration::from_secs(10);

/// What is waited for.
#[derive(Clone, Copy, Debug)]
pub(super) struct InService {
    /// Hosts wanted in all.
    pub size: u32,
    /// Fewest that are good enough.
    pub min: u32,
    /// How long the group may look for capacity, seconds.
    pub within: i64,
    /// Whether too few are ended again.
    pub abort: bool,
}

/// What the step leaves.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Served {
    /// Hosts in service.
    pub(super) hosts: Vec<InstanceId>,
}

/// Why launches failed, said once each, and how often.
type Causes = BTreeMap<String, usize>;

impl Steps {
    /// Waits until the group's hosts are in service. A group asks again by itself, for ever: why it gets none is told at
    /// once, and what no waiting mends ends the wait.
    pub(super) async fn in_service(&self, step: &str, name: &str, wish: InService) -> Result<Done, Failure> {
        let begun = self.clock.now();
        let deadline = begun + SignedDuration::from_secs(wish.within);
        let (mut seen, mut causes, mut hopeless) = (BTreeSet::new(), Causes::new(), None);
        let mut good = 0;
        loop {
            let group = self.group_now(name).await?.ok_or_else(|| {
                Failure::new(Exit::Refused, format!("wait for hosts of the group {name}: it is gone"))
                    .hint("fleetwright launch --replan")
            })?;
            let hosts = serving(&group);
            let (have, size) = (hosts.len(), usize::try_from(wish.size).unwrap_or(usize::MAX));
            self.events.emit(Event::StepProgress {
                step: step.to_owned(),
                done: u64::try_from(have.min(size)).unwrap_or(u64::MAX),
                total: Some(u64::from(wish.size)),
                note: "in service".to_owned(),
            });
            good = if have >= size { good + 1 } else { 0 };
            if good >= 2 {
                return Ok(Done::new(super::output(&Served { hosts })?, format!("all {size} in service")));
            }
            if have < size {
                let what = format!("read what the group {name} does");
                let activities = self.read(&what, async || self.clients.activities(name).await).await?;
                for failed in activities.iter().filter(|one| failed_since(one, begun) && seen.insert(one.id.clone())) {
                    let cause = cause(failed);
                    if !causes.contains_key(&cause) {
                        self.events.warn(format!("the group {name} could not launch: {cause}"));
                    }
                    hopeless = hopeless.or_else(|| mends_never(failed).then(|| cause.clone()));
                    *causes.entry(cause).or_default() += 1;
                }
                if group.suspended.iter().any(|process| process == "Launch") {
                    hopeless = Some("its process Launch is suspended".to_owned());
                }
            }
            if self.clock.now() > deadline || hopeless.is_some() {
                return self.short(step, name, wish, hosts, (&causes, hopeless)).await;
            }
            self.pause(LOOK).await?;
        }
    }

    /// Fewer than wanted: enough all the same, or kept, or ended again.
    async fn short(
        &self,
        step: &str,
        name: &str,
        wish: InService,
        hosts: Vec<InstanceId>,
        (causes, hopeless): (&Causes, Option<String>),
    ) -> Result<Done, Failure> {
        let InService { size, min, .. } = wish;
        let told: Vec<String> = causes.iter().map(|(cause, n)| format!("{cause} ({n} times)")).collect();
        let why = match (&hopeless, told.is_empty()) {
            (Some(cause), true) => format!(": {cause}"),
            (None, true) => ": the group names no cause".to_owned(),
            (_, false) => format!(": {}", told.join("; ")),
        };
        let have = u32::try_from(hosts.len()).unwrap_or(u32::MAX);
        if have >= min {
            let detail = format!("{have}/{size}{why}; {min} are enough, and the group goes on asking");
            return Ok(Done::warning(super::output(&Served { hosts })?, detail));
        }
        let short = format!("get {min} of {size} hosts into service: {have} are{why}");
        let failure = |text: String| {
            let failure = Failure::to(Exit::Capacity, text);
            match &hopeless {
                Some(_) => {
                    failure.hint(format!("this is no want of room: correct `fleet` in {}", self.fleet.file.display()))
                }
                None => failure
                    .hint("name more types and subnets, lower `fleet.accept.min`, or lengthen `fleet.accept.within`"),
            }
        };
        if !wish.abort {
            let things = hosts.iter().map(|id| Thing { kind: "instance".to_owned(), id: id.to_string() }).collect();
            return Err(failure(format!("{short}; they are kept, and the group goes on asking"))
                .leaving(Residue::Remaining(things))
                .hint("fleetwright launch     # goes on waiting")
                .hint("fleetwright down       # ends group and hosts"));
        }
        self.shrink_group(step, name, 0).await?;
        let deadline = self.clock.now() + SignedDuration::from_mins(15);
        while self.group_now(name).await?.is_some_and(|group| !group.members.is_empty()) {
            if self.clock.now() > deadline {
                return Err(failure(format!("{short}; the group wants none any more, but instances are still in it"))
                    .hint("fleetwright down       # sees to the rest"));
            }
            self.pause(LOOK).await?;
        }
        Err(failure(format!("{short}; ended again: the group is left without hosts")))
    }
}

fn serving(group: &Group) -> Vec<InstanceId> {
    group.members.iter().filter(|member| member.state == "InService").map(|member| member.id.clone()).collect()
}

pub(super) fn failed_since(activity: &Activity, begun: Timestamp) -> bool {
    activity.status == "Failed" && activity.started.is_none_or(|at| at >= begun)
}

/// Code, place and words of a failed launch, in a line.
pub(super) fn cause(activity: &Activity) -> String {
    let message = activity.message.trim().trim_end_matches("Launching EC2 instance failed.").trim_end();
    match &activity.place {
        Some(place) => format!("{message} [{place}]"),
        None => message.to_owned(),
    }
}

/// Whether the same launch can't succeed later without anybody acting.
fn mends_never(activity: &Activity) -> bool {
    matches!(activity.kind, Some(FaultKind::Denied | FaultKind::Invalid | FaultKind::Gone))
}
