//! What `orphans` and `adopt` answer.

use super::Answer;
use crate::model::Thing;
use crate::report::count;
use crate::report::table::{self, Column};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// What is ours, past its end and nobody's.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct OrphanPage {
    /// The account that was looked at.
    pub account: String,
    /// The region that was looked at.
    pub region: String,
    /// How many things carry tags of ours, orphans or not.
    pub seen: u64,
    /// The orphans that are there now.
    pub orphans: Vec<OrphanLine>,
    /// How many are none, by the reason.
    pub spared: Spared,
    /// Ids of what `--reap` ended.
    pub ended: Vec<String>,
    /// Calls to AWS by action.
    pub api_calls: BTreeMap<String, u64>,
}

/// One orphan.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct OrphanLine {
    /// EC2's word for what it is.
    pub kind: String,
    /// Its id.
    pub id: String,
    /// The fleet that it was of.
    pub fleet: String,
    /// When it was to be gone.
    pub expired: Option<Timestamp>,
}

/// Things that carry tags of ours and are no orphans.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
pub struct Spared {
    /// Of fleets of which something is not past its end.
    pub running: u64,
    /// Of fleets that a process on this machine is at work on.
    pub claimed: u64,
    /// Past their end, kept by `fleetwright:protect`.
    pub protected: u64,
    /// Without an end, such as images: `images prune` ends those.
    pub lasting: u64,
}

impl Answer for OrphanPage {
    fn page(&self, width: Option<u16>) -> String {
        let mut text = String::new();
        if !self.orphans.is_empty() {
            let columns = ["kind", "id", "fleet", "expired"].map(Column::keep);
            let row = |line: &OrphanLine| {
                let expired = line.expired.map_or_else(|| "-".to_owned(), |at| at.to_string());
                vec![line.kind.clone(), line.id.clone(), line.fleet.clone(), expired]
            };
            text = table::render(&columns, &self.orphans.iter().map(row).collect::<Vec<_>>(), width) + "\n";
        }
        if !self.ended.is_empty() {
            let _infallible = writeln!(text, "{} ended", count(self.ended.len() as u64, "thing"));
        }
        let Spared { running, claimed, protected, lasting } = self.spared;
        let orphans = count(self.orphans.len() as u64, "orphan");
        let seen = count(self.seen, "thing");
        let _infallible = writeln!(
            text,
            "{orphans} in {seen} of ours in {}; of the others {running} are in use, {claimed} claimed, {protected} \
             protected, {lasting} without an end",
            self.region
        );
        text
    }
}

/// What `adopt` answers.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct TakenOver {
    /// The fleet's name.
    pub fleet: String,
    /// Live hosts by id, with their slots.
    pub hosts: BTreeMap<String, u32>,
    /// Everything that carries the fleet's tags; its journal knows it now.
    pub things: BTreeSet<Thing>,
    /// Calls to AWS by action.
    pub api_calls: BTreeMap<String, u64>,
}

impl Answer for TakenOver {
    fn page(&self, _: Option<u16>) -> String {
        let (things, hosts) = (count(self.things.len() as u64, "thing"), count(self.hosts.len() as u64, "host"));
        if self.things.is_empty() {
            return format!("nothing carries the tags of {}\n", self.fleet);
        }
        format!("{things} of {} taken over, {hosts} among them\n", self.fleet)
    }
}
