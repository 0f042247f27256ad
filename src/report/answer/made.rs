//! What verbs answer that change one thing: what is there now.

use super::Answer;
use crate::model::Mark;
use crate::report::count;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// What `verify` answers.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Verified {
    /// The template instance.
    pub template: String,
    /// The run that verified it.
    pub run: Option<String>,
    /// Whether everything held; a verification that fails has no answer.
    pub verified: bool,
    /// Calls to AWS by action.
    pub api_calls: BTreeMap<String, u64>,
}

impl Answer for Verified {
    fn page(&self, _: Option<u16>) -> String {
        format!("template {} is verified\n", self.template)
    }
}

/// What `bake` answers.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Baked {
    /// The image's id, new or found unchanged.
    pub image: String,
    /// Its copies in other regions, by region.
    pub copies: BTreeMap<String, String>,
    /// Calls to AWS by action.
    pub api_calls: BTreeMap<String, u64>,
}

impl Answer for Baked {
    fn page(&self, _: Option<u16>) -> String {
        let mut text = format!("{}\n", self.image);
        for (region, image) in &self.copies {
            let _infallible = writeln!(text, "{image} in {region}");
        }
        text
    }
}

/// What `launch` answers.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Launched {
    /// The fleet's name.
    pub fleet: String,
    /// Its hosts.
    pub hosts: LiveHosts,
    /// Calls to AWS by action.
    pub api_calls: BTreeMap<String, u64>,
}

/// Hosts after a launch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct LiveHosts {
    /// As the spec or `-n` asked.
    pub wanted: u32,
    /// Pending or running now, those in quarantine apart.
    pub live: usize,
}

impl Answer for Launched {
    fn page(&self, _: Option<u16>) -> String {
        let LiveHosts { wanted, live } = self.hosts;
        format!("{live} of {}\n", count(u64::from(wanted), "host"))
    }
}

/// What `scale` answers, and `down --only`.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Scaled {
    /// The fleet's name.
    pub fleet: String,
    /// Its hosts; `wanted` is what is there where no size was asked for.
    pub hosts: LiveHosts,
    /// Ids of hosts that were drained and ended.
    pub ended: Vec<String>,
    /// Calls to AWS by action.
    pub api_calls: BTreeMap<String, u64>,
}

impl Answer for Scaled {
    fn page(&self, _: Option<u16>) -> String {
        let LiveHosts { wanted, live } = self.hosts;
        let ended = if self.ended.is_empty() { String::new() } else { format!(", {} ended", self.ended.len()) };
        format!("{live} of {}{ended}\n", count(u64::from(wanted), "host"))
    }
}

/// What `feed` answers.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Fed {
    /// Its items.
    pub items: FedItems,
    /// What the feed that is at it was told; of `--pause`, `--resume` and `--rate` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub feed: Option<Reined>,
    /// Calls to AWS by action.
    pub api_calls: BTreeMap<String, u64>,
}

/// What a feed that is at it does.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Reined {
    /// Its run.
    pub run: String,
    /// Whether the operator holds it.
    pub paused: bool,
    /// The rate that the operator gave it, items a second; none where the spec's holds.
    pub rate_per_second: Option<f64>,
}

impl Reined {
    /// `feed 0198...: paused, at 5/s`
    pub(super) fn words(&self) -> String {
        let how = if self.paused { "paused" } else { "not paused" };
        let rate = self.rate_per_second.map_or("the spec's rate".to_owned(), crate::time::tempo::per_second);
        format!("feed {}: {how}, at {rate}\n", self.run)
    }
}

/// Items of a feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct FedItems {
    /// Confirmed by the queue, by this feed or by an earlier one of the same items.
    pub fed: u64,
}

impl Answer for Fed {
    fn page(&self, _: Option<u16>) -> String {
        let were = if self.items.fed == 1 { "was" } else { "were" };
        let told = self.feed.as_ref().map(Reined::words).unwrap_or_default();
        told + &format!("{} {were} fed\n", count(self.items.fed, "item"))
    }
}

/// What `extend` answers.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct LivesLonger {
    /// The fleet's name.
    pub fleet: String,
    /// When its hosts power themselves off; none when no host was live.
    pub until: Option<jiff::Timestamp>,
    /// Ids of the hosts that live at least until then.
    pub hosts: Vec<String>,
    /// Calls to AWS by action.
    pub api_calls: BTreeMap<String, u64>,
}

impl Answer for LivesLonger {
    fn page(&self, _: Option<u16>) -> String {
        match self.until {
            Some(until) => format!("{} until {until}\n", count(self.hosts.len() as u64, "host")),
            None => "no host is live\n".to_owned(),
        }
    }
}

/// What `protect` and `quarantine` answer.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Marked {
    /// The fleet's name.
    pub fleet: String,
    /// The host's id.
    pub host: String,
    /// The mark that was asked for.
    pub mark: Mark,
    /// Since when it bears it; none after `--off`.
    pub since: Option<jiff::Timestamp>,
    /// Calls to AWS by action.
    pub api_calls: BTreeMap<String, u64>,
}

impl Answer for Marked {
    fn page(&self, _: Option<u16>) -> String {
        let word = match self.mark {
            Mark::Protect => "protected",
            Mark::Quarantine => "in quarantine",
        };
        let no_longer = if self.since.is_some() { "" } else { "no longer " };
        format!("{} is {no_longer}{word}\n", self.host)
    }
}

/// What `down` answers.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct TornDown {
    /// The fleet's name.
    pub fleet: String,
    /// Ids of what is left; a `down` that leaves anything has no answer and exits 10.
    pub remaining: Vec<String>,
    /// Ids of the images that stay, with their snapshots; copies in other regions among them.
    pub images_kept: Vec<String>,
    /// Ids of snapshots that no image holds; `down --images` ends those of ours.
    pub loose_snapshots: Vec<String>,
    /// Calls to AWS by action.
    pub api_calls: BTreeMap<String, u64>,
}

impl Answer for TornDown {
    fn page(&self, _: Option<u16>) -> String {
        let mut text = "nothing of this fleet is left".to_owned();
        if !self.images_kept.is_empty() {
            let images = count(self.images_kept.len() as u64, "image");
            let _infallible = write!(text, ", but {images} with snapshots: {}", self.images_kept.join(" "));
        }
        if !self.loose_snapshots.is_empty() {
            let loose = count(self.loose_snapshots.len() as u64, "snapshot");
            let ids = self.loose_snapshots.join(" ");
            let _infallible = write!(text, ", but {loose} that no image holds (down --images ends ours): {ids}");
        }
        text + "\n"
    }
}

/// What `resume` answers when no run is unfinished; else the answer is that of the verb that it goes on with.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Resumed {
    /// The run that was gone on with: none.
    pub run: Option<String>,
}

impl Answer for Resumed {
    fn page(&self, _: Option<u16>) -> String {
        "no run is unfinished\n".to_owned()
    }
}
