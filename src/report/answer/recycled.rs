//! What `recycle` answers: the scheduled actions of a group, and what they will do.

use super::Answer;
use crate::model::ScheduledAction;
use crate::plan::recycle::preview::Night;
use crate::report::table::{self, Column};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// What `recycle apply`, `recycle list` and `recycle remove` answer: the group's scheduled actions as they are now.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Recycled {
    /// The group.
    pub group: String,
    /// All its scheduled actions, in the order in which they run next.
    pub actions: Vec<ActionLine>,
    /// The run that changed them; none when there was nothing to change.
    pub run: Option<String>,
    /// Calls to AWS by action.
    pub api_calls: BTreeMap<String, u64>,
}

/// One scheduled action. A size that is absent is left as it is.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ActionLine {
    /// Its name.
    pub name: String,
    /// Whether it is this fleet's; no other is ever touched.
    pub ours: bool,
    /// Five cron fields; none for what runs once.
    pub recurrence: Option<String>,
    /// The zone of the recurrence; UTC if absent.
    pub zone: Option<String>,
    /// When it runs next.
    pub next: Option<Timestamp>,
    /// Least size that it sets.
    pub min: Option<u32>,
    /// Greatest size that it sets.
    pub max: Option<u32>,
    /// Desired capacity that it sets.
    pub desired: Option<u32>,
}

impl ActionLine {
    /// An action as it was read.
    pub fn new(action: ScheduledAction, ours: bool) -> Self {
        Self {
            ours,
            name: action.name,
            recurrence: action.recurrence,
            zone: action.zone,
            // AWS keeps the next time of an action that ends before it.
            next: action.start.filter(|next| action.end.is_none_or(|end| *next <= end)),
            min: action.min,
            max: action.max,
            desired: action.desired,
        }
    }
}

impl Answer for Recycled {
    fn page(&self, width: Option<u16>) -> String {
        if self.actions.is_empty() {
            return format!("{} has no scheduled actions\n", self.group);
        }
        let columns = [
            Column::keep("ACTION"),
            Column::keep("OURS"),
            Column::keep("RECURRENCE"),
            Column::keep("ZONE"),
            Column::keep("NEXT"),
            Column::keep("MIN"),
            Column::keep("MAX"),
            Column::keep("DESIRED"),
        ];
        let size = |size: Option<u32>| size.map_or_else(String::new, |size| size.to_string());
        let rows: Vec<Vec<String>> = self
            .actions
            .iter()
            .map(|action| {
                vec![
                    action.name.clone(),
                    if action.ours { "yes" } else { "no" }.to_owned(),
                    action.recurrence.clone().unwrap_or_else(|| "once".to_owned()),
                    action.zone.clone().unwrap_or_else(|| "UTC".to_owned()),
                    action.next.map_or_else(String::new, |next| next.to_string()),
                    size(action.min),
                    size(action.max),
                    size(action.desired),
                ]
            })
            .collect();
        table::render(&columns, &rows, width)
    }
}

/// What `recycle preview` answers.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Foretold {
    /// The group.
    pub group: String,
    /// Its hosts now, oldest first.
    pub hosts: Vec<String>,
    /// Its termination policies, in their order.
    pub termination_policies: Vec<String>,
    /// The next openings of the spec's windows, in their order.
    pub nights: Vec<Night>,
    /// What the operator should know.
    pub warnings: Vec<String>,
    /// Commands that would avoid it.
    pub settings: Vec<String>,
    /// Calls to AWS by action.
    pub api_calls: BTreeMap<String, u64>,
}

impl Answer for Foretold {
    fn page(&self, width: Option<u16>) -> String {
        let columns = [
            Column::keep("OPENS (UTC)"),
            Column::keep("CLOSES (UTC)"),
            Column::keep("OPENS THERE"),
            Column::spare("ZONE"),
            Column::wrap("ENDS"),
        ];
        let minute = |at: Timestamp| at.strftime("%Y-%m-%d %H:%M").to_string();
        let rows: Vec<Vec<String>> = self
            .nights
            .iter()
            .map(|night| {
                vec![
                    minute(night.opens),
                    night.closes.map_or_else(String::new, minute),
                    night.opens_local.clone(),
                    night.zone.clone(),
                    ends(night),
                ]
            })
            .collect();
        let mut page = if rows.is_empty() {
            format!("no window of {} opens in this time\n", self.group)
        } else {
            table::render(&columns, &rows, width)
        };
        for night in &self.nights {
            for note in &night.notes {
                let _infallible = writeln!(page, "{}: {note}", minute(night.opens));
            }
        }
        for warning in &self.warnings {
            let _infallible = writeln!(page, "warning: {warning}");
        }
        for setting in &self.settings {
            let _infallible = writeln!(page, "  {setting}");
        }
        page
    }
}

/// Which host goes, in a few words.
fn ends(night: &Night) -> String {
    match &night.unknown {
        Some(why) => format!("not known: {why}"),
        None if night.ends.is_empty() => "nobody".to_owned(),
        None if night.certain => night.ends.join(", "),
        None => format!("one of {}", night.ends.join(", ")),
    }
}
