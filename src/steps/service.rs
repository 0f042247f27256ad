//! Waiting for the hosts that a group launches: all of them, enough of them, or the causes why there are none.

use super::Steps;
use super::settle::CIRCUIT;
use crate::engine::failure::Failure;
use crate::engine::run::Done;
use crate::event::Event;
use crate::exit::Exit;
use crate::model::{Activity, FaultKind, Group, Instance, InstanceId, Residue, Thing};
use crate::plan::shortfall::Cause;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
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

/// A refusal for the account's quota is final where it is repeated so much later: what ended moments ago may count for a while.
const QUOTA_AGAIN: SignedDuration = SignedDuration::from_mins(2);

/// Why no waiting brings the hosts.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Hopeless {
    /// AWS will never take the launch as it is.
    Wrong(String),
    /// The account may have no more.
    Quota(String),
    /// What is launched ends again.
    Dies(String),
}

impl Hopeless {
    fn cause(&self) -> &str {
        match self {
            Self::Wrong(cause) | Self::Quota(cause) | Self::Dies(cause) => cause,
        }
    }

    /// What would help.
    fn fix(&self, spec: &Path) -> String {
        match self {
            Self::Wrong(_) => format!("this is no want of room: correct `fleet` in {}", spec.display()),
            Self::Quota(_) => Cause::Quota.fix().to_owned(),
            Self::Dies(cause) if cause.contains("Client.InternalError") => {
                "this is no want of room: EC2 can't start the image; where it is encrypted, Auto Scaling's role \
                 (AWSServiceRoleForAutoScaling) needs its KMS key, else look at the image and its snapshots"
                    .to_owned()
            }
            Self::Dies(_) => "this is no want of room: see to the image or the account first".to_owned(),
        }
    }
}

/// Why hosts are missing, as far as it was seen.
#[derive(Debug, Default)]
struct Missing {
    /// Each cause once, and how often.
    causes: BTreeMap<String, usize>,
    hopeless: Option<Hopeless>,
    /// When a quota was named first.
    quota: Option<Timestamp>,
    /// Activities that were counted.
    told: BTreeSet<String>,
    /// Members that were seen.
    met: BTreeSet<InstanceId>,
    /// Those of them that were launched since and ended.
    dead: BTreeSet<InstanceId>,
}

impl Missing {
    /// Counts a cause; how often it was seen.
    fn add(&mut self, cause: &str) -> usize {
        let n = self.causes.entry(cause.to_owned()).or_default();
        *n += 1;
        *n
    }

    /// Counts a launch that failed; its cause where that is a new one.
    fn failed(&mut self, failed: &Activity, now: Timestamp) -> Option<String> {
        let cause = cause(failed);
        if mends_never(failed) {
            self.hopeless.get_or_insert_with(|| Hopeless::Wrong(cause.clone()));
        }
        if failed.kind == Some(FaultKind::Quota) {
            let first = *self.quota.get_or_insert(now);
            if now.duration_since(first) >= QUOTA_AGAIN {
                self.hopeless.get_or_insert_with(|| Hopeless::Quota(cause.clone()));
            }
        }
        (self.add(&cause) == 1).then_some(cause)
    }

    /// Counts a host that ended after its launch; what to say of it where that is new.
    fn died(&mut self, host: &Instance) -> Option<String> {
        let reason = host.state_reason.as_deref().unwrap_or("no reason given");
        let cause = format!("hosts ended again: {reason}");
        let n = self.add(&cause);
        // What somebody or Auto Scaling ended, or spot took back, says nothing of the next one.
        let faulty = reason.starts_with("Client.") && !reason.starts_with("Client.UserInitiatedShutdown");
        if faulty && n >= CIRCUIT {
            self.hopeless.get_or_insert_with(|| Hopeless::Dies(cause.clone()));
        }
        (n == 1).then(|| format!("host {} of the group ended again: {reason}", host.id))
    }

    /// Whether to stop now. A quota that allows some hosts lets those come first that are on their way.
    fn over(&self, group: &Group) -> bool {
        let coming = || group.members.iter().any(|member| member.state.starts_with("Pending"));
        match &self.hopeless {
            Some(Hopeless::Quota(_)) => !coming(),
            Some(Hopeless::Wrong(_) | Hopeless::Dies(_)) => true,
            None => false,
        }
    }
}

impl Steps {
    /// Waits until the group's hosts are in service. A group asks again by itself, for ever: why it gets none is told at
    /// once, and what no waiting mends ends the wait.
    pub(super) async fn in_service(&self, step: &str, name: &str, wish: InService) -> Result<Done, Failure> {
        let begun = self.clock.now();
        let deadline = begun + SignedDuration::from_secs(wish.within);
        let mut missing = Missing::default();
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
                for failed in activities.iter().filter(|one| failed_since(one, begun)) {
                    if missing.told.insert(failed.id.clone())
                        && let Some(cause) = missing.failed(failed, self.clock.now())
                    {
                        self.events.warn(format!("the group {name} could not launch: {cause}"));
                    }
                }
                self.ended_again(&group, begun, &mut missing).await?;
                if group.suspended.iter().any(|process| process == "Launch") {
                    missing.hopeless = Some(Hopeless::Wrong("its process Launch is suspended".to_owned()));
                }
            }
            if self.clock.now() > deadline || missing.over(&group) {
                return self.short(step, name, wish, hosts, missing).await;
            }
            self.pause(LOOK).await?;
        }
    }

    /// Looks at members that are none any more: no activity says why EC2 ended them.
    async fn ended_again(&self, group: &Group, begun: Timestamp, missing: &mut Missing) -> Result<(), Failure> {
        missing.met.extend(group.members.iter().map(|member| member.id.clone()));
        let stays = |id: &InstanceId| group.members.iter().any(|member| member.id == *id && !member.ends());
        let lost = |id: &&InstanceId| !missing.dead.contains(*id) && !stays(id);
        let lost: Vec<InstanceId> = missing.met.iter().filter(lost).cloned().collect();
        if lost.is_empty() {
            return Ok(());
        }
        let seen = self.read("look at hosts that left the group", async || self.clients.instances_by_ids(&lost).await);
        for host in seen.await?.iter().filter(|host| !host.state.live()) {
            missing.dead.insert(host.id.clone());
            if host.launched >= begun
                && let Some(said) = missing.died(host)
            {
                self.events.warn(said);
            }
        }
        Ok(())
    }

    /// Fewer than wanted: enough all the same, or kept, or ended again.
    async fn short(
        &self,
        step: &str,
        name: &str,
        wish: InService,
        hosts: Vec<InstanceId>,
        missing: Missing,
    ) -> Result<Done, Failure> {
        let InService { size, min, .. } = wish;
        let told: Vec<String> = missing.causes.iter().map(|(cause, n)| format!("{cause} ({n} times)")).collect();
        let why = match (&missing.hopeless, told.is_empty()) {
            (Some(hopeless), true) => format!(": {}", hopeless.cause()),
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
            match (&missing.hopeless, missing.quota) {
                (Some(hopeless), _) => failure.hint(hopeless.fix(&self.fleet.file)),
                (None, Some(_)) => failure.hint(Cause::Quota.fix()),
                (None, None) => failure
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::GroupMember;

    #[test]
    fn what_no_waiting_mends_ends_the_wait_with_its_own_advice() {
        let at = |seconds| Timestamp::from_second(seconds).unwrap();
        let failed = |kind| Activity {
            id: "a".to_owned(),
            started: None,
            status: "Failed".to_owned(),
            message: "CODE - words. Launching EC2 instance failed.".to_owned(),
            kind: Some(kind),
            place: None,
        };
        let group = |state: &str| Group {
            members: vec![GroupMember { state: state.to_owned(), ..GroupMember::sample("i-1") }],
            ..Group::sample("web")
        };
        let fix = |missing: &Missing| missing.hopeless.as_ref().unwrap().fix(Path::new("fleet.yaml"));

        let mut quota = Missing::default();
        assert_eq!(quota.failed(&failed(FaultKind::Quota), at(0)), Some("CODE - words.".to_owned()));
        assert_eq!(quota.failed(&failed(FaultKind::Quota), at(60)), None, "it was said");
        assert!(!quota.over(&group("InService")), "what ended a minute ago may count");
        quota.failed(&failed(FaultKind::Quota), at(120));
        assert!(quota.over(&group("InService")) && !quota.over(&group("Pending")));
        assert!(fix(&quota).contains("ask AWS for a higher one"));

        let mut wrong = Missing::default();
        wrong.failed(&failed(FaultKind::Capacity), at(0));
        assert!(!wrong.over(&group("InService")), "room may come");
        wrong.failed(&failed(FaultKind::Invalid), at(0));
        assert!(wrong.over(&group("Pending")) && fix(&wrong).contains("correct `fleet` in fleet.yaml"));

        let host = |reason: &str| Instance { state_reason: Some(reason.to_owned()), ..Instance::sample("i-1") };
        for (reason, over) in [
            ("Client.InternalError", true),
            ("Client.UserInitiatedShutdown: User initiated shutdown", false),
            ("Server.SpotInstanceTermination", false),
        ] {
            let mut dies = Missing::default();
            assert_eq!(dies.died(&host(reason)), Some(format!("host i-1 of the group ended again: {reason}")));
            dies.died(&host(reason));
            assert!(!dies.over(&group("InService")), "{reason}: bad luck");
            dies.died(&host(reason));
            assert_eq!(dies.over(&group("Pending")), over, "{reason}");
        }
    }
}
