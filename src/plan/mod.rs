//! Plans: immutable data made by pure functions of the spec, the survey, the time and a seed.
//!
//! Every choice that remains while a plan is carried out is [`Plan::next`], a pure function of the plan and of what the
//! journal says has happened.

pub mod adopt;
pub mod bake;
pub mod base;
pub mod bill;
pub mod birth;
pub mod boot;
pub mod build;
pub mod decide;
pub mod diff;
pub mod doctor;
pub mod down;
pub mod estimate;
pub mod eta;
pub mod extend;
pub mod feed;
pub mod group;
pub mod images;
pub mod ladder;
pub mod launch;
pub mod lint;
pub mod listed;
pub mod mark;
pub mod orphans;
pub mod play;
pub mod push;
pub mod rates;
pub mod recycle;
pub mod refresh;
pub mod renew;
pub mod saved;
pub mod scale;
pub mod session;
mod shelltext;
pub mod shortfall;
pub mod show;
pub mod slots;
pub mod token;
pub mod types;
pub mod userdata;
pub mod values;
pub mod verdict;
pub mod verify;
pub mod waves;

use crate::exit::Exit;
use crate::journal::Fold;
use crate::model::{
    CopyRequest, FleetKey, GroupRequest, ImageRequest, InstanceId, Mark, RefreshPreferences, Region, ScheduledAction,
    TemplateRequest,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::time::Duration;

pub use ladder::{Ladder, Rung};

/// How long a change may be invisible: EC2's guide on eventual consistency says "up to about five minutes".
pub const CONSISTENT: jiff::SignedDuration = jiff::SignedDuration::from_mins(5);

/// What one verb is going to do, as data: printed, linted, hashed, stored, gone on with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Plan {
    /// The verb.
    pub verb: String,
    /// Whose.
    pub fleet: FleetKey,
    /// Digest of spec, verb and arguments: the same command again goes on with the same plan.
    pub request: String,
    /// In order.
    pub steps: Vec<Step>,
    /// What the operator should know before saying yes.
    pub notes: Vec<String>,
    /// The command line as typed, without the program's name: `resume` reads it again.
    #[serde(default)]
    pub arguments: Vec<String>,
    /// What it costs and how long it takes, where it launches hosts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimate: Option<Box<estimate::Estimate>>,
}

/// One step of a plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Step {
    /// Unique within the plan.
    pub id: String,
    /// What it does, in a few words.
    pub title: String,
    /// What it does, as data.
    pub action: Action,
}

impl Step {
    /// A step.
    pub fn new(id: &str, title: impl Into<String>, action: Action) -> Self {
        Self { id: id.to_owned(), title: title.into(), action }
    }
}

/// How far launched hosts are waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Until {
    /// EC2 says `running`.
    Running,
    /// SSH answers with the host's own key.
    Ssh,
    /// The worker's service is active.
    Ready,
}

/// When a group goes to zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Deadline {
    /// So long after the step; what is there already stays while at least a quarter of that is left.
    In {
        /// Seconds.
        seconds: i64,
    },
    /// At this instant, or later where it is later already.
    At {
        /// The instant.
        until: jiff::Timestamp,
    },
}

/// Everything a step can be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Have the launch template version that this campaign's hosts are born from.
    Epoch {
        /// The version wanted; its `onto` and `token` are settled against what exists.
        wanted: Box<TemplateRequest>,
        /// Lifetime of a host, seconds: the expiry instant is taken once, when the version is made.
        expires_seconds: i64,
        /// Whether its hosts end with their group instead of by themselves: a group would replace them.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        grouped: bool,
        /// The step that leaves the image, where it is only made by then.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        of: Option<String>,
    },
    /// Have the fleet's own Auto Scaling group as the spec wants it, launching from the epoch; its size is left alone.
    Group(Box<GroupRequest>),
    /// The same where the group is there; none is made.
    GroupFollows(Box<GroupRequest>),
    /// The group goes to zero then.
    GroupEnds {
        /// The group.
        group: String,
        /// When.
        at: Deadline,
    },
    /// Raise the group's size.
    GroupSize {
        /// The group.
        group: String,
        /// Hosts in all.
        size: u32,
    },
    /// Wait until the group's hosts are in service, or accept fewer, or give up.
    InService {
        /// The group.
        group: String,
        /// Hosts wanted in all.
        size: u32,
        /// Fewest that are good enough.
        min: u32,
        /// How long the group may look for capacity.
        within_seconds: i64,
        /// Whether too few are ended again.
        abort: bool,
    },
    /// The group wants no host any more.
    GroupEmpty {
        /// The group.
        group: String,
    },
    /// Delete the empty group.
    GroupGone {
        /// The group.
        group: String,
    },
    /// Ask for capacity, rung by rung; never run itself, [`Plan::next`] unfolds it.
    Capacity(Ladder),
    /// One rung of the ladder: one fleet request.
    Rung(Rung),
    /// Accept what the ladder brought, or end it and stop.
    Accept {
        /// Fewest new hosts that are worth keeping.
        min: u32,
        /// New hosts wanted.
        wanted: u32,
        /// Whether too few are ended.
        abort: bool,
    },
    /// Wait until new hosts are up, as far as asked.
    Settle {
        /// How far.
        until: Until,
        /// Hosts that were there before and have a place of the fleet's N.
        existing: Vec<InstanceId>,
        /// Hosts that were there before and have none: they are in quarantine, and keep their slots.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        aside: Vec<InstanceId>,
        /// Hosts of earlier launches that have not come up yet: they are waited for like new ones.
        #[serde(default)]
        awaited: Vec<InstanceId>,
    },
    /// Run the verify playbook on the template, reboot proof included.
    Checks,
    /// Real items through a private queue, completed by the template alone.
    Canary {
        /// How many.
        items: u32,
        /// How long it may take.
        within: Duration,
        /// Name of the private queue.
        queue: String,
    },
    /// Stop the worker, so that the image is taken at rest and takes no item while it reboots.
    Quiesce,
    /// Look for what must not be copied; clean what may be cleaned.
    Scan,
    /// Create the image, or adopt the one that an earlier try made under the same name.
    Image(ImageRequest),
    /// Wait until the image can be launched.
    ImageAvailable,
    /// Copy the image that an earlier step leaves: encrypted, or into another region, or both.
    CopyImage(CopyRequest),
    /// Wait until a copy can be launched; one that failed is ended.
    Copied {
        /// The step that asked for it.
        of: String,
        /// Where it is.
        region: Region,
    },
    /// End the image that was only made to be copied.
    DraftGone {
        /// The step that made it.
        of: String,
    },
    /// Start the worker on the template again.
    Unquiesce,
    /// Bring a release to running hosts in waves.
    Push,
    /// Hand items to the queue.
    Feed,
    /// Stop the workers of these hosts, so that nothing is in their hands.
    Drain {
        /// Hosts that are going to be ended.
        hosts: Vec<InstanceId>,
    },
    /// End these hosts.
    End {
        /// Which.
        hosts: Vec<InstanceId>,
        /// Only those of them that the step `drain` found drained.
        drained: bool,
        /// Hosts that the fleet has then.
        #[serde(default)]
        left: u32,
        /// The group whose places they leave, and which has fewer then.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        group: Option<String>,
    },
    /// Want so many hosts from now on: the journal alone learns it, and whoever replaces hosts goes by it.
    Want {
        /// Hosts in all.
        size: u32,
    },
    /// Have Auto Scaling replace the group's hosts, and wait until that came to an end.
    Refresh {
        /// The group.
        group: String,
        /// Within which bounds.
        preferences: RefreshPreferences,
    },
    /// Replace these hosts, a few at a time; never run itself, each round of it is a launch or a smaller fleet of its own.
    Renew {
        /// Which, oldest first.
        hosts: Vec<InstanceId>,
        /// Hosts that the fleet has before and after.
        size: u32,
        /// So many more at a time, at most.
        surge: u32,
    },
    /// Let live hosts power themselves off later.
    Extend {
        /// When.
        until: jiff::Timestamp,
        /// Whether a group ends them, so that they have no end of their own.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        grouped: bool,
    },
    /// Put a mark on one host, or take it off.
    Mark {
        /// The host.
        host: InstanceId,
        /// The mark.
        mark: Mark,
        /// Since when it bears it; none takes it off.
        since: Option<jiff::Timestamp>,
    },
    /// Let the group keep this member when it gets smaller, or no longer.
    Shield {
        /// The group.
        group: String,
        /// The host.
        host: InstanceId,
        /// Whether it is kept.
        on: bool,
    },
    /// Stop one host's worker, also after a reboot.
    StopWorker {
        /// The host.
        host: InstanceId,
    },
    /// Start one host's worker again, also after a reboot.
    StartWorker {
        /// The host.
        host: InstanceId,
    },
    /// Delete scheduled actions of ours.
    Unschedule {
        /// The group.
        group: String,
        /// Their names.
        names: Vec<String>,
    },
    /// Put scheduled actions of ours.
    Schedule {
        /// The group.
        group: String,
        /// The actions, whole.
        actions: Vec<ScheduledAction>,
    },
    /// Wait until calls whose outcome nobody knows can no longer bring hosts.
    Quiet {
        /// How long after the last such call, seconds of world time.
        seconds: i64,
    },
    /// Look what carries this fleet's tags, and write it down as ours.
    Adopt {
        /// Not before this instant of world time.
        at: jiff::Timestamp,
        /// Of these ids only those that are orphans; everything where absent.
        orphans: Option<BTreeSet<String>>,
    },
    /// End the orphans that the step `adopt` found.
    Reap,
    /// End every host of ours.
    Terminate,
    /// Delete volumes of ours that no host holds.
    Volumes,
    /// Delete the launch template.
    Template,
    /// Delete queues that we made.
    Queues,
    /// End images of ours that are not in use, beyond the newest `keep`.
    Images {
        /// Newest images that stay.
        keep: u32,
        /// Another region than the fleet's own, whose copies are meant.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        region: Option<Region>,
    },
    /// Look twice that nothing is left.
    Sweep,
}

impl Action {
    /// Whether it may change something.
    pub fn changes(&self) -> bool {
        // Adopting and wanting change what this machine knows, and nothing that is there.
        !matches!(
            self,
            Self::Settle { .. }
                | Self::ImageAvailable
                | Self::Copied { .. }
                | Self::Quiet { .. }
                | Self::Adopt { .. }
                | Self::Want { .. }
                | Self::Sweep
        )
    }
}

/// What comes next.
#[derive(Clone, Debug, PartialEq)]
pub enum Next {
    /// This step.
    Run(Box<Step>),
    /// The plan is carried out.
    Finished,
}

impl Plan {
    /// A plan without steps.
    pub fn new(verb: &str, fleet: FleetKey, request: String) -> Self {
        let verb = verb.to_owned();
        Self { verb, fleet, request, steps: Vec::new(), notes: Vec::new(), arguments: Vec::new(), estimate: None }
    }

    /// Whether anything would be changed: looking and waiting change nothing.
    pub fn changes(&self) -> bool {
        self.steps.iter().any(|step| step.action.changes())
    }

    /// The next step: the first that has no output yet, with the capacity ladder unfolded into its rungs.
    pub fn next(&self, fold: &Fold) -> Next {
        for step in &self.steps {
            if let Action::Capacity(ladder) = &step.action {
                let outcomes = ladder.outcomes(&step.id, fold);
                if let ladder::Climb::Ask(rung) = ladder.climb(&outcomes) {
                    let id = format!("{}.{}", step.id, outcomes.len());
                    let title = rung.title();
                    return Next::Run(Box::new(Step { id, title, action: Action::Rung(rung) }));
                }
            } else if !fold.steps.contains_key(&step.id) {
                return Next::Run(Box::new(step.clone()));
            }
        }
        Next::Finished
    }

    /// The ladder of a launch, where the plan has one.
    pub fn ladder(&self) -> Option<(&str, &Ladder)> {
        self.steps.iter().find_map(|step| match &step.action {
            Action::Capacity(ladder) => Some((step.id.as_str(), ladder)),
            _ => None,
        })
    }

    /// How many hosts a launch may bring, and of how many in all; none for other plans.
    pub fn brings(&self) -> Option<(u32, u32)> {
        let existing = self.steps.iter().find_map(|step| match &step.action {
            Action::Settle { existing, awaited, .. } => {
                Some(u32::try_from(existing.len() + awaited.len()).unwrap_or(u32::MAX))
            }
            _ => None,
        });
        let existing = existing.unwrap_or(0);
        self.steps.iter().find_map(|step| match &step.action {
            Action::Capacity(ladder) => Some((ladder.wanted(), existing + ladder.wanted())),
            Action::GroupSize { size, .. } => Some((size.saturating_sub(existing), *size)),
            _ => None,
        })
    }

    /// Whether there is anything to do.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }
}

/// The planner's refusal: nothing was done, and this is why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Unplannable {
    /// The exit code it leads to.
    pub exit: Exit,
    /// Why.
    pub message: String,
    /// What to type or to do.
    pub hints: Vec<String>,
}

impl Unplannable {
    /// A refusal with one hint.
    pub fn new(exit: Exit, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { exit, message: message.into(), hints: vec![hint.into()] }
    }
}
