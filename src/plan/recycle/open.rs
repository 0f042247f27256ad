//! Windows of ours that are open: the sizes of a group without them, and the changes that would leave them open for good.

use super::{Difference, Facts, LATE, next, recurrence};
use crate::exit::Exit;
use crate::gate;
use crate::model::{Group, ScheduledAction, shell_word};
use crate::plan::Unplannable;
use crate::spec::Fleet;
use jiff::{SignedDuration, Timestamp};

/// The sizes of a group outside windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Least size.
    pub min: u32,
    /// Greatest size.
    pub max: u32,
    /// Desired capacity.
    pub desired: u32,
}

/// The group's sizes outside windows. While a window of ours is open, or was closed too short a time ago for AWS to have done
/// it, they are what the closing action says; else what the group has.
pub fn sizes(fleet: &Fleet, facts: &Facts<'_>) -> Sizes {
    let group = facts.group;
    let close = windows(&gate::prefix(&fleet.name), facts).into_iter().next().map(|window| window.close);
    Sizes {
        min: close.and_then(|close| close.min).unwrap_or(group.min),
        max: close.and_then(|close| close.max).unwrap_or(group.max),
        desired: close.and_then(|close| close.desired).unwrap_or(group.desired),
    }
}

/// The two actions of a window that is open by the clock, or that AWS may not have closed yet.
struct Pair<'a> {
    open: &'a ScheduledAction,
    close: &'a ScheduledAction,
    /// When it opened by the clock.
    opened: Timestamp,
    /// When it is closed, however late AWS is, or when the group itself ends.
    until: Timestamp,
}

fn windows<'a>(prefix: &str, facts: &Facts<'a>) -> Vec<Pair<'a>> {
    let now = facts.now;
    let ours = || facts.actions.iter().filter(|action| action.name.starts_with(prefix));
    let window = |close: &'a ScheduledAction| {
        let stem = close.name.strip_suffix(".close")?;
        let open = ours().find(|action| action.name.strip_suffix(".open") == Some(stem))?;
        let (opened, closed) = (last(open, now)?, last(close, now));
        let just = closed.filter(|closed| now.duration_since(*closed) <= LATE);
        // Where both came at the same moment nobody but AWS knows which was first.
        let still = just.is_some() || closed.is_none_or(|closed| closed <= opened);
        let closes = just.or_else(|| next(close, now)).filter(|_| still)?;
        let until = late(close.end.map_or(closes, |end| end.min(closes)));
        (until >= now).then_some(Pair { open, close, opened, until })
    };
    ours().filter_map(window).collect()
}

fn late(at: Timestamp) -> Timestamp {
    at.checked_add(LATE).unwrap_or(at)
}

/// When an action ran last, within the longest window that there is.
fn last(action: &ScheduledAction, now: Timestamp) -> Option<Timestamp> {
    let from = now.checked_sub(SignedDuration::from_hours(8 * 24)).ok()?;
    let (cron, zone) = recurrence(action)?;
    cron.after(from, &zone).map(|firing| firing.at).take_while(|at| *at <= now).last()
}

/// Lets no change take away what closes a window that is open: its hosts would be there for good, and the next command would
/// take them for the group's own size.
///
/// # Errors
///
/// With when it is closed, and what to type then.
pub fn closes_first(fleet: &Fleet, verb: &str, facts: &Facts<'_>, change: &Difference) -> Result<(), Unplannable> {
    let group = facts.group;
    let deleted = |action: &ScheduledAction| change.delete.contains(&action.name);
    for Pair { open, close, opened, until } in windows(&gate::prefix(&fleet.name), facts) {
        let weaker = change.put.iter().any(|put| put.name == close.name && !sets(put, close));
        if !(deleted(open) || deleted(close) || weaker) {
            continue;
        }
        let name = &group.name;
        let again = |until: Timestamp| format!("fleetwright {verb}     # again, after {until}");
        if raised(group, close) {
            let sizes = sizes_of(close).join(", ");
            let message = format!(
                "a window on {name} is open until {until}: {} sets {sizes} again, and without that {name} would keep min {}, \
                 max {}, desired {}",
                close.name, group.min, group.max, group.desired
            );
            let by_hand = format!(
                "aws autoscaling update-auto-scaling-group --auto-scaling-group-name {}{}     # or close it now, by hand",
                shell_word(name),
                flags(close)
            );
            return Err(Unplannable { exit: Exit::Refused, message, hints: vec![again(until), by_hand] });
        }
        let opening = late(opened);
        if facts.now <= opening {
            let message = format!(
                "a window on {name} opens just now, at {opened} or up to two minutes later, and without {} nothing would close it",
                close.name
            );
            return Err(Unplannable::new(Exit::Refused, message, again(opening)));
        }
    }
    Ok(())
}

/// Whether the group has more than this closing action leaves it.
fn raised(group: &Group, close: &ScheduledAction) -> bool {
    [(group.min, close.min), (group.max, close.max), (group.desired, close.desired)]
        .into_iter()
        .any(|(has, leaves)| leaves.is_some_and(|leaves| has > leaves))
}

/// Whether one action sets every size that another one does.
fn sets(one: &ScheduledAction, other: &ScheduledAction) -> bool {
    [(one.min, other.min), (one.max, other.max), (one.desired, other.desired)]
        .into_iter()
        .all(|(one, other)| one.is_some() || other.is_none())
}

/// The sizes that an action sets, as `desired 4`.
pub fn sizes_of(action: &ScheduledAction) -> Vec<String> {
    let sizes = [("min", action.min), ("max", action.max), ("desired", action.desired)];
    sizes.into_iter().filter_map(|(name, size)| size.map(|size| format!("{name} {size}"))).collect()
}

fn flags(close: &ScheduledAction) -> String {
    let flags = [("min-size", close.min), ("max-size", close.max), ("desired-capacity", close.desired)];
    flags.into_iter().filter_map(|(flag, size)| size.map(|size| format!(" --{flag} {size}"))).collect()
}
