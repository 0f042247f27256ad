//! What `status` answers: fleet, hosts, images, queue, unfinished runs.

use super::{Answer, Reined};
use crate::model::{Cost, InstanceState, Sample};
use crate::report::count;
use crate::report::table::{self, Column};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// What is there now.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Status {
    /// The fleet's name.
    pub fleet: String,
    /// The account that pays.
    pub account: String,
    /// The region it lives in.
    pub region: String,
    /// Its hosts by slot, with those that ended lately.
    pub hosts: Vec<HostLine>,
    /// The fleet's own Auto Scaling group, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<GroupLine>,
    /// The template that was built and is not gone yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<BuiltLine>,
    /// What it has cost since the last `down`, and what it costs an hour; a template that was built is in it while it is
    /// there.
    pub cost: Spent,
    /// Its images.
    pub images: Vec<ImageLine>,
    /// Runs that can be gone on with.
    pub unfinished: Vec<RunLine>,
    /// A look at the queue; none when the spec names no queue.
    pub queue: Option<Sample>,
    /// The feed that is at it or was stopped; none when all that was begun was fed.
    pub feed: Option<FeedLine>,
    /// Calls to AWS by action.
    pub api_calls: BTreeMap<String, u64>,
}

/// Money of a campaign.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Spent {
    /// Hosts that live.
    pub hosts: u32,
    /// Hosts, root volumes and public addresses since the last `down`.
    pub so_far: Cost,
    /// The living hosts for an hour.
    pub per_hour: Cost,
    /// What is still to come until the job is done, at today's pace; absent where that can't be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_finish: Option<Cost>,
    /// Why prices are unknown, where they are.
    pub doubts: Vec<String>,
}

impl Spent {
    /// The money in one line.
    pub fn line(&self) -> String {
        let left = self.to_finish.map(|left| format!(", about {left} to finish")).unwrap_or_default();
        format!("{} so far, {} an hour{left}", self.so_far, self.per_hour)
    }
}

/// One host.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct HostLine {
    /// Stable index within the fleet; none for a host that ended.
    pub slot: Option<u32>,
    /// The instance id.
    pub id: String,
    /// EC2's word: `pending`, `running`, `shutting-down`, `terminated`, `stopping`, `stopped`; `standby` of one that its
    /// group's owner set aside, which does not count.
    pub state: String,
    /// For example `m7i.large`.
    pub instance_type: String,
    /// `spot` or `on-demand`.
    pub market: String,
    /// Its availability zone.
    pub zone: String,
    /// Its private address, once EC2 has told it.
    pub address: Option<String>,
    /// The first twelve digits of its release's digest, once it has one.
    pub release: Option<String>,
    /// When it powers itself off.
    pub expires: Option<String>,
    /// Since when it is protected (the tag's value, whatever that is): nothing of ours ends it.
    pub protected: Option<String>,
    /// Since when it is in quarantine: it takes no work and does not count.
    pub quarantined: Option<String>,
    /// When it was launched.
    pub launched: String,
    /// EC2's reason for its last change of state, where it gives one.
    pub reason: Option<String>,
}

/// The fleet's own Auto Scaling group.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct GroupLine {
    /// Its name.
    pub name: String,
    /// Hosts that it wants.
    pub desired: u32,
    /// Hosts in service.
    pub in_service: usize,
    /// When it goes to zero; none when nothing ends it.
    pub ends: Option<String>,
    /// Processes of it that are suspended.
    pub suspended: Vec<String>,
    /// Why its newest activity failed, while hosts are missing.
    pub failed: Option<String>,
}

impl GroupLine {
    fn lines(&self) -> String {
        let ends =
            self.ends.as_deref().map_or("nothing ends it".to_owned(), |at| format!("to zero at {}", to_the_second(at)));
        let mut text = format!("group {}: {} of {} in service, {ends}\n", self.name, self.in_service, self.desired);
        if !self.suspended.is_empty() {
            let _infallible = writeln!(text, "  suspended: {}", self.suspended.join(", "));
        }
        if let Some(failed) = &self.failed {
            let _infallible = writeln!(text, "  could not launch: {failed}");
        }
        text
    }
}

/// A template that was built.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct BuiltLine {
    /// The instance id.
    pub id: String,
    /// EC2's word.
    pub state: String,
    /// For example `m7i.large`.
    pub instance_type: String,
    /// The image that it was launched from.
    pub image: String,
    /// Its private address, once EC2 has told it.
    pub address: Option<String>,
    /// When it powers itself off.
    pub expires: Option<String>,
}

impl BuiltLine {
    fn line(&self) -> String {
        let Self { id, state, instance_type, image, .. } = self;
        let until = self.expires.as_deref().map(|at| format!(", until {} at the latest", to_the_second(at)));
        format!("template {id} of {image} is {state}: {instance_type}{}\n", until.unwrap_or_default())
    }
}

/// One image of the fleet.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ImageLine {
    /// `ami-...`
    pub id: String,
    /// Unique within account and region.
    pub name: String,
    /// `pending`, `available`, `failed` or another word of EC2's.
    pub state: String,
    /// Whether a verification stands behind it.
    pub attested: bool,
}

/// A feed that is not finished.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct FeedLine {
    /// What it was told.
    #[serde(flatten)]
    pub told: Reined,
    /// Whether a process is at it now.
    pub running: bool,
    /// Items that the queue confirmed.
    pub sent: u64,
    /// Items that it will have sent in the end; none before its first.
    pub total: Option<u64>,
}

/// An unfinished run.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct RunLine {
    /// Its id.
    pub run: String,
    /// Its verb.
    pub verb: String,
    /// Calls of which nobody knows yet whether AWS carried them out.
    pub unresolved_calls: usize,
}

impl Answer for Status {
    fn page(&self, width: Option<u16>) -> String {
        let mut text = format!("{} in {} of account {}\n", self.fleet, self.region, self.account);
        let live: Vec<&HostLine> =
            self.hosts.iter().filter(|host| host.state != InstanceState::Terminated.as_str()).collect();
        if live.is_empty() {
            text.push_str("no host\n");
        } else {
            text.push_str(&hosts(&live, width));
            text.push('\n');
        }
        text.push_str(&self.group.as_ref().map(GroupLine::lines).unwrap_or_default());
        text.push_str(&self.template.as_ref().map(BuiltLine::line).unwrap_or_default());
        let _infallible = writeln!(text, "cost: {}", self.cost.line());
        for doubt in &self.cost.doubts {
            let _infallible = writeln!(text, "  {doubt}");
        }
        if !self.images.is_empty() {
            text.push_str(&images(&self.images, width));
            text.push('\n');
        }
        if let Some(queue) = &self.queue {
            let _infallible = writeln!(text, "queue: {}", crate::report::story::sample(queue));
        }
        if let Some(FeedLine { told, running, sent, total }) = &self.feed {
            let total = total.map_or("?".to_owned(), |total| total.to_string());
            let running = if *running { "at it" } else { "stopped" };
            let _infallible = write!(text, "{sent} of {total} items are fed, {running}; {}", told.words());
        }
        for run in &self.unfinished {
            let _infallible = writeln!(text, "unfinished: {} {} (fleetwright resume {})", run.verb, run.run, run.run);
            if run.unresolved_calls > 0 {
                let calls = count(run.unresolved_calls as u64, "call");
                let _infallible = writeln!(text, "  {calls} of unknown outcome: there may be more");
            }
        }
        text
    }
}

fn hosts(live: &[&HostLine], width: Option<u16>) -> String {
    let columns = [
        Column::keep("slot"),
        Column::keep("id"),
        Column::keep("state"),
        Column::keep("address"),
        Column::spare("release"),
        Column::spare("type"),
        Column::spare("market"),
        Column::spare("zone"),
        Column::spare("expires"),
    ];
    let or_none = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    let rows: Vec<Vec<String>> = live
        .iter()
        .map(|host| {
            vec![
                host.slot.map_or("-".to_owned(), |slot| slot.to_string()),
                host.id.clone(),
                marks(host),
                or_none(&host.address),
                or_none(&host.release),
                host.instance_type.clone(),
                host.market.clone(),
                host.zone.clone(),
                host.expires.as_deref().map_or("-".to_owned(), to_the_second),
            ]
        })
        .collect();
    table::render(&columns, &rows, width)
}

/// EC2's word, and what people have marked it with.
fn marks(host: &HostLine) -> String {
    let marks = [(&host.quarantined, "quarantined"), (&host.protected, "protected")];
    let marks = marks.into_iter().filter(|(mark, _)| mark.is_some()).map(|(_, word)| word);
    std::iter::once(host.state.as_str()).chain(marks).collect::<Vec<_>>().join(",")
}

/// An instant without its fraction of a second.
fn to_the_second(instant: &str) -> String {
    let read: Result<jiff::Timestamp, _> = instant.parse();
    read.map_or(instant.to_owned(), |at| at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}

fn images(images: &[ImageLine], width: Option<u16>) -> String {
    let columns = [Column::keep("image"), Column::keep("state"), Column::keep("attested"), Column::spare("name")];
    let rows: Vec<Vec<String>> = images
        .iter()
        .map(|image| {
            let attested = if image.attested { "yes" } else { "no" };
            vec![image.id.clone(), image.state.clone(), attested.to_owned(), image.name.clone()]
        })
        .collect();
    table::render(&columns, &rows, width)
}
