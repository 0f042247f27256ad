//! What `diff` answers: where the live fleet is not as the spec says.

use super::Answer;
use crate::plan::diff::Deviation;
use crate::report::count;
use crate::report::table::{self, Column};
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Spec against fleet.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct FleetDiff {
    /// The fleet's name.
    pub fleet: String,
    /// Whether nothing deviates.
    pub equal: bool,
    /// What deviates in the fleet as a whole.
    pub deviations: Vec<Deviation>,
    /// Its live hosts by slot.
    pub hosts: Vec<HostDiff>,
    /// What could not be compared, and why.
    pub unknown: Vec<String>,
    /// Calls to AWS by action.
    pub api_calls: BTreeMap<String, u64>,
}

/// One live host.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct HostDiff {
    /// Its slot.
    pub slot: Option<u32>,
    /// The instance id.
    pub id: String,
    /// Whether nothing deviates.
    pub equal: bool,
    /// Whether it is in quarantine: it is compared, and does not count.
    pub quarantined: bool,
    /// What deviates.
    pub deviations: Vec<Deviation>,
}

impl Answer for FleetDiff {
    fn page(&self, width: Option<u16>) -> String {
        let hosts = count(self.hosts.len() as u64, "host");
        let mut text = String::new();
        if self.equal {
            text = format!("{} is as the spec says, {hosts}\n", self.fleet);
        } else {
            let row =
                |whose: String, one: &Deviation| vec![whose, one.fact.clone(), one.wanted.clone(), one.found.clone()];
            let mut rows: Vec<Vec<String>> = self.deviations.iter().map(|one| row("fleet".to_owned(), one)).collect();
            for host in &self.hosts {
                let slot = host.slot.map_or_else(String::new, |slot| format!("#{slot} "));
                rows.extend(host.deviations.iter().map(|one| row(format!("{slot}{}", host.id), one)));
            }
            let columns = [Column::keep("what"), Column::keep("fact"), Column::wrap("wanted"), Column::wrap("found")];
            text.push_str(&table::render(&columns, &rows, width));
            let equal = self.hosts.iter().filter(|host| host.equal).count();
            let _infallible = writeln!(text, "\n{equal} of {hosts} as the spec says");
        }
        for what in &self.unknown {
            let _infallible = writeln!(text, "not compared: {what}");
        }
        text
    }
}
