//! What verbs answer on standard output: one documented type for each, an object for programs and a page for people.
//!
//! `docs/schemas` holds their JSON Schemas, derived from these types; a test tells when they no longer agree. Fields are
//! added without a new version; a field that goes or changes its meaning raises [`SCHEMA_VERSION`] for all of them.

mod diff;
mod doctor;
mod entered;
mod exec;
mod images;
mod inventory;
mod made;
mod notice;
mod orphans;
mod plans;
mod recycled;
mod run_report;
mod runs;
mod served;
mod status;
mod taught;
mod validated;
mod why;
mod worked;

pub use diff::{FleetDiff, HostDiff};
pub use doctor::Diagnosis;
pub use entered::{Logs, SshLine};
pub use exec::{DRY_RUN, Executed, HostOutput};
pub use images::{Difference, ImageDiff, ImagePage, ImageRow, ImageUse, Pruned};
pub use inventory::{Inventory, InventoryFormat, InventoryHost};
pub use made::{
    Baked, Fed, FedItems, Launched, LiveHosts, LivesLonger, Marked, Reined, Resumed, Scaled, TornDown, Verified,
};
pub use notice::{Notice, Told, occasion};
pub use orphans::{OrphanLine, OrphanPage, Spared, TakenOver};
pub use plans::Plans;
pub use recycled::{ActionLine, Foretold, Recycled};
pub use run_report::{CallCount, Given, HostEnd, ItemsFed, QueueSeen, Retries, RunReport, TimedStep};
pub use runs::{CallLine, CallOutcome, PastRuns, RunPage, RunState, RunSummary, StepLine, StepState};
pub use served::Served;
pub use status::{BuiltLine, FeedLine, GroupLine, HostLine, ImageLine, RunLine, Spent, Status};
pub use taught::{Initialised, Manual, Start, StartFile};
pub use validated::Validated;
pub use why::Why;
pub use worked::{StoppedBy, Worked};

use super::summary::Summary;
use crate::event::Stamped;
use crate::spec::explain::Explanation;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;
use serde_json::{Value, json};

/// Rises when a field of any answer changes its meaning or goes; new fields do not raise it.
pub const SCHEMA_VERSION: u32 = 1;

/// What a verb answers.
pub trait Answer: Serialize {
    /// The page for people; empty when there is nothing to say. `width` is the terminal's in columns, where stdout is one.
    fn page(&self, width: Option<u16>) -> String;

    /// Whether the page is other programs' text, whose lines are not to be broken where the terminal ends.
    fn verbatim(&self) -> bool {
        false
    }
}

/// An answer as programs get it: its version first.
#[derive(Serialize)]
pub(super) struct Versioned<'a, T: Serialize> {
    schema_version: u32,
    #[serde(flatten)]
    answer: &'a T,
}

impl<'a, T: Serialize> Versioned<'a, T> {
    pub(super) fn new(answer: &'a T) -> Self {
        Self { schema_version: SCHEMA_VERSION, answer }
    }
}

/// An answer as a JSON value, its version first.
///
/// # Errors
///
/// Never for answers of this room: their maps have text for keys.
pub fn value(answer: &impl Answer) -> serde_json::Result<Value> {
    serde_json::to_value(Versioned::new(answer))
}

/// Every published schema by the name of its file: one for each answer, and `event` for a line of the jsonl stream.
pub fn schemas() -> Vec<(&'static str, Value)> {
    vec![
        ("init", answer::<Initialised>()),
        ("explain", answer::<Explanation>()),
        ("man", answer::<Manual>()),
        ("validate", answer::<Validated>()),
        ("doctor", answer::<Diagnosis>()),
        ("plan", answer::<Plans>()),
        ("verify", answer::<Verified>()),
        ("bake", answer::<Baked>()),
        ("launch", answer::<Launched>()),
        ("scale", answer::<Scaled>()),
        ("status", answer::<Status>()),
        ("status-why", answer::<Why>()),
        ("exec", answer::<Executed>()),
        ("feed", answer::<Fed>()),
        ("extend", answer::<LivesLonger>()),
        ("protect", answer::<Marked>()),
        ("quarantine", answer::<Marked>()),
        ("recycle-now", answer::<Scaled>()),
        ("recycle-apply", answer::<Recycled>()),
        ("recycle-list", answer::<Recycled>()),
        ("recycle-preview", answer::<Foretold>()),
        ("recycle-remove", answer::<Recycled>()),
        ("down", answer::<TornDown>()),
        ("orphans", answer::<OrphanPage>()),
        ("adopt", answer::<TakenOver>()),
        ("resume", answer::<Resumed>()),
        ("runs-list", answer::<PastRuns>()),
        ("runs-show", answer::<RunPage>()),
        ("runs-report", answer::<RunReport>()),
        ("diff", answer::<FleetDiff>()),
        ("images-list", answer::<ImagePage>()),
        ("images-prune", answer::<Pruned>()),
        ("images-diff", answer::<ImageDiff>()),
        ("inventory", answer::<Inventory>()),
        ("ssh", answer::<SshLine>()),
        ("logs", answer::<Logs>()),
        ("summary", answer::<Summary>()),
        ("sim-serve", answer::<Served>()),
        ("work", answer::<Worked>()),
        ("notify", answer::<Notice>()),
        ("event", generator().into_root_schema_for::<Stamped>().to_value()),
    ]
}

/// The schema that a verb's answer keeps to, as named by [`schemas`]; a verb of two words is joined by a hyphen; `dry_run`
/// shows a plan whatever the verb.
pub fn schema_of(verb: &str, dry_run: bool) -> Option<&'static str> {
    Some(match verb {
        "exec" => "exec",
        "verify" | "bake" | "launch" | "scale" | "push" | "feed" | "extend" | "protect" | "quarantine"
        | "recycle-apply" | "recycle-remove" | "adopt" | "down" | "up" | "images-prune"
            if dry_run =>
        {
            "plan"
        }
        "push" | "wait" | "up" | "rehearse" => "summary",
        other => schemas().into_iter().map(|(name, _)| name).find(|name| *name == other)?,
    })
}

/// As answers are written, not as they would be read.
fn generator() -> SchemaGenerator {
    schemars::generate::SchemaSettings::draft2020_12().for_serialize().into_generator()
}

/// The schema of one answer with its version.
fn answer<T: Answer + JsonSchema>() -> Value {
    let schema: Schema = generator().into_root_schema_for::<T>();
    let mut schema = schema.to_value();
    let version = json!({
        "description": "Rises when a field changes its meaning or goes; new fields do not raise it.",
        "const": SCHEMA_VERSION,
    });
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        properties.shift_insert(0, "schema_version".to_owned(), version);
    }
    if let Some(Value::Array(required)) = schema.get_mut("required") {
        required.insert(0, json!("schema_version"));
    }
    schema
}
