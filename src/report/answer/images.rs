//! What `images` answers: this fleet's images, what became of them, and how two of them differ.

use super::Answer;
use crate::report::count;
use crate::report::table::{self, Column};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// This fleet's images.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ImagePage {
    /// The fleet's name.
    pub fleet: String,
    /// `image.keep`: so many of the newest stay.
    pub keep: u32,
    /// Its images, newest first: those of its own region, then the copies in others.
    pub images: Vec<ImageRow>,
    /// Ids of snapshots of ours that no image holds.
    pub loose_snapshots: Vec<String>,
    /// Calls to AWS by action.
    pub api_calls: BTreeMap<String, u64>,
}

/// Whether somebody needs an image, and what `images prune` would do with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ImageUse {
    /// A live host was started from it, or the next one would be.
    Used,
    /// It carries `fleetwright:protect`.
    Protected,
    /// It is among the newest that are kept.
    Kept,
    /// It would be ended.
    Surplus,
}

impl ImageUse {
    fn as_str(self) -> &'static str {
        match self {
            Self::Used => "used",
            Self::Protected => "protected",
            Self::Kept => "kept",
            Self::Surplus => "surplus",
        }
    }
}

/// One image.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ImageRow {
    /// Its id.
    pub id: String,
    /// Its region: the fleet's own, or one that a copy is in.
    pub region: String,
    /// Its name.
    pub name: String,
    /// EC2's word for where it is in its life.
    pub state: String,
    /// When it was asked for.
    pub created: Option<Timestamp>,
    /// Digest of the release and playbooks that it was verified with.
    pub release: Option<String>,
    /// Whether it rests on a verification of ours.
    pub attested: bool,
    /// The run that made it.
    pub run: Option<String>,
    /// Size of its volumes, GiB: the most that its snapshots can hold, and be billed for.
    pub gib: u64,
    /// Its snapshots.
    pub snapshots: Vec<String>,
    /// Whether somebody needs it, and what `images prune` would do with it.
    pub usage: ImageUse,
    /// Live hosts that were started from it.
    pub hosts: Vec<String>,
    /// Versions of the fleet's launch template that name it.
    pub template_versions: Vec<i64>,
}

impl Answer for ImagePage {
    fn page(&self, width: Option<u16>) -> String {
        if self.images.is_empty() && self.loose_snapshots.is_empty() {
            return format!("no image of {}\n", self.fleet);
        }
        let columns = [
            Column::keep("image"),
            Column::keep("name"),
            Column::keep("state"),
            Column::keep("use"),
            Column::spare("region"),
            Column::spare("hosts"),
            Column::spare("template"),
            Column::spare("attested"),
            Column::spare("release"),
            Column::spare("gib"),
            Column::spare("created"),
        ];
        let row = |image: &ImageRow| {
            let versions: Vec<String> = image.template_versions.iter().map(ToString::to_string).collect();
            let or_none = |text: String| if text.is_empty() { "-".to_owned() } else { text };
            vec![
                image.id.clone(),
                image.name.clone(),
                image.state.clone(),
                image.usage.as_str().to_owned(),
                image.region.clone(),
                image.hosts.len().to_string(),
                or_none(versions.join(" ")),
                if image.attested { "yes" } else { "no" }.to_owned(),
                or_none(image.release.as_deref().unwrap_or_default().chars().take(12).collect()),
                image.gib.to_string(),
                image.created.map_or_else(|| "-".to_owned(), |at| at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()),
            ]
        };
        let rows: Vec<Vec<String>> = self.images.iter().map(row).collect();
        let mut text = table::render(&columns, &rows, width);
        let surplus = self.images.iter().filter(|image| image.usage == ImageUse::Surplus).count();
        if surplus + self.loose_snapshots.len() > 0 {
            let images = count(surplus as u64, "image");
            let snapshots = count(self.loose_snapshots.len() as u64, "snapshot");
            let _infallible = writeln!(text, "\nfleetwright images prune     # ends {images}, {snapshots} of no image");
        }
        text
    }
}

/// What `images prune` answers.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Pruned {
    /// The fleet's name.
    pub fleet: String,
    /// Ids of the images and snapshots that this run ended.
    pub ended: Vec<String>,
    /// Ids of the images that stay.
    pub images_kept: Vec<String>,
    /// Calls to AWS by action.
    pub api_calls: BTreeMap<String, u64>,
}

impl Answer for Pruned {
    fn page(&self, _: Option<u16>) -> String {
        let ended = if self.ended.is_empty() { "nothing".to_owned() } else { self.ended.join(" ") };
        match count(self.images_kept.len() as u64, "image") {
            kept if self.images_kept.is_empty() => format!("ended: {ended}\nleft: {kept}\n"),
            kept => format!("ended: {ended}\nleft: {kept}, {}\n", self.images_kept.join(" ")),
        }
    }
}

/// What `images diff` answers.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ImageDiff {
    /// Id of the one.
    pub from: String,
    /// Id of the other.
    pub to: String,
    /// What is different, each fact once; empty when nothing that is known is.
    pub differences: Vec<Difference>,
    /// Calls to AWS by action.
    pub api_calls: BTreeMap<String, u64>,
}

/// One fact that is different.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Difference {
    /// For example `release`, or `tag team`.
    pub fact: String,
    /// In the first; none when it has no such fact.
    pub from: Option<String>,
    /// In the second; none when it has no such fact.
    pub to: Option<String>,
}

impl Answer for ImageDiff {
    fn page(&self, width: Option<u16>) -> String {
        let Self { from, to, differences, .. } = self;
        if differences.is_empty() {
            return format!("{from} and {to} are equal in all that is known of them\n");
        }
        let cell = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
        let rows: Vec<Vec<String>> =
            differences.iter().map(|one| vec![one.fact.clone(), cell(&one.from), cell(&one.to)]).collect();
        table::render(&[Column::keep("fact"), Column::wrap(from), Column::wrap(to)], &rows, width)
    }
}
