//! What keeps a preview from coming true: scheduled actions of ours that are not those of the spec, and those of others.

use super::open::{Sizes, sizes, sizes_of};
use super::{Difference, Facts, LATE, difference, ours, shown, wanted};
use crate::gate;
use crate::model::ScheduledAction;
use crate::spec::{Fleet, Recycle, Window};
use jiff::{SignedDuration, Timestamp};

/// What the group goes by in place of the windows that a preview shows; none where it has their actions.
pub fn unlike(fleet: &Fleet, recycle: &Recycle, facts: &Facts<'_>) -> Option<String> {
    let wanted = match wanted(fleet, recycle, facts) {
        Ok(wanted) => wanted,
        Err(why) => return Some(format!("`recycle apply` refuses these windows: {why}")),
    };
    let prefix = gate::prefix(&fleet.name);
    let Difference { delete, put } = difference(&prefix, &wanted, facts.actions);
    if delete.is_empty() && put.is_empty() {
        return None;
    }
    let group = facts.group;
    let ours: Vec<_> = facts.actions.iter().filter(|action| action.name.starts_with(&prefix)).collect();
    let unlike =
        |action: &&&ScheduledAction| delete.contains(&action.name) || put.iter().any(|put| put.name == action.name);
    let stale: Vec<String> = ours.iter().filter(unlike).map(|action| shown(action)).collect();
    let instead = match (ours.is_empty(), stale.is_empty()) {
        (true, _) => "no window opens".to_owned(),
        (false, true) => "some of them are missing".to_owned(),
        (false, false) => format!(
            "it goes by {}, while it has min {}, max {}, desired {} now",
            stale.join("; "),
            group.min,
            group.max,
            group.desired
        ),
    };
    Some(format!(
        "{} has not the scheduled actions of this spec: what is shown comes after `fleetwright recycle apply`; until then {instead}",
        group.name
    ))
}

/// The scheduled actions of others on the group.
pub struct Others<'a> {
    actions: Vec<&'a ScheduledAction>,
    /// The sizes that windows go by.
    base: Sizes,
}

/// One of them that changes what a window finds, or what it leaves.
pub struct Clash {
    /// The action.
    pub name: String,
    /// What it does and when.
    pub why: String,
    /// What comes of it.
    pub warning: String,
}

impl<'a> Others<'a> {
    /// Those that are there now.
    pub fn new(fleet: &Fleet, facts: &Facts<'a>) -> Self {
        let foreign = |action: &&ScheduledAction| !ours(fleet, &facts.group.name, &action.name);
        Self { actions: facts.actions.iter().filter(foreign).collect(), base: sizes(fleet, facts) }
    }

    /// The first that comes in the way of one opening of a window, from the end of the one before on.
    pub fn clash(&self, window: &Window, after: Timestamp, (opens, closes): (Timestamp, Timestamp)) -> Option<Clash> {
        let before = opens.checked_sub(SignedDuration::from_secs(1)).unwrap_or(opens);
        let late = closes.checked_add(LATE).unwrap_or(closes);
        let raised = self.base.desired.saturating_add(window.surge);
        let outside = self.first(after, before, |action| self.moves(action, raised));
        let inside = || self.first(before, late, |action| self.disturbs(action, raised));
        let ((at, action), when, comes) = if let Some(found) = outside {
            (found, "before it opens", format!("windows name sizes, too, and leave desired {}", self.base.desired))
        } else {
            let comes = "it may end other hosts, and more of them, than the window brought; let the two not meet";
            (inside()?, "while it is open", comes.to_owned())
        };
        let sizes = sizes_of(action).join(", ");
        let why = format!("{} of others sets {sizes} at {at}, {when}", action.name);
        let warning = format!("the window in line {}: {why}: {comes}", window.line);
        Some(Clash { name: action.name.clone(), why, warning })
    }

    fn first(
        &self,
        after: Timestamp,
        until: Timestamp,
        matters: impl Fn(&ScheduledAction) -> bool,
    ) -> Option<(Timestamp, &'a ScheduledAction)> {
        let actions = self.actions.iter().filter(|action| matters(action));
        actions.filter_map(|action| Some((next(action, after, until)?, *action))).min_by_key(|(at, _)| *at)
    }

    /// Whether a window that opens later finds other sizes than there are now.
    fn moves(&self, action: &ScheduledAction, raised: u32) -> bool {
        let base = self.base;
        action.desired.is_some_and(|desired| desired != base.desired)
            || action.min.is_some_and(|min| min > base.desired)
            || action.max.is_some_and(|max| max < raised && max != base.max)
    }

    /// Whether it changes how many hosts there are while a window is open.
    fn disturbs(&self, action: &ScheduledAction, raised: u32) -> bool {
        action.desired.is_some_and(|desired| desired != raised)
            || action.min.is_some_and(|min| min > self.base.desired)
            || action.max.is_some_and(|max| max < raised)
    }
}

/// When an action runs first after one instant, and not after another.
fn next(action: &ScheduledAction, after: Timestamp, until: Timestamp) -> Option<Timestamp> {
    let at = if action.recurrence.is_none() {
        action.start.filter(|start| *start > after)
    } else {
        let begins = action.start.and_then(|start| start.checked_sub(SignedDuration::from_secs(1)).ok());
        super::next(action, begins.map_or(after, |begins| begins.max(after)))
    };
    at.filter(|at| *at <= until && action.end.is_none_or(|end| *at <= end))
}
