//! The plans of `recycle apply` and `recycle remove`: the scheduled actions that the spec wants against those of the group.
//!
//! Two actions a window, one opens and one closes it. Their names carry a digest of what decides their times, so that a
//! changed time is another action: AWS keeps the next start of an action that is put again under its name.

pub mod foretell;
pub mod open;
pub mod others;
pub mod preview;
#[cfg(test)]
mod tests;

use super::group::{DEADMAN, group_name};
use super::{Action, Plan, Step, Unplannable, token};
pub use crate::spec::nights::LATE;

use crate::exit::Exit;
use crate::gate;
use crate::model::{Group, ScheduledAction};
use crate::spec::nights::{self, APART, Meeting};
use crate::spec::{Fleet, Raise, Recycle, Window};
use crate::time::cron::{self, Cron};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use open::{Sizes, closes_first, sizes, sizes_of};

/// "You can create a maximum of 125 scheduled actions per Auto Scaling group."
const MOST_ACTIONS: usize = 125;

/// What planning rests on besides the spec.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The group.
    pub group: &'a Group,
    /// All its scheduled actions.
    pub actions: &'a [ScheduledAction],
    /// Names of its scaling policies.
    pub scaling: &'a [String],
    /// World time.
    pub now: Timestamp,
}

impl Facts<'_> {
    /// When the fleet's own group goes to zero, and its windows end.
    fn end(&self) -> Option<Timestamp> {
        self.actions.iter().find(|action| action.name == DEADMAN).and_then(|action| action.start)
    }

    /// What to know where the group ends before this.
    fn ends_before(&self, at: Timestamp) -> Option<String> {
        let end = self.end().filter(|end| *end < at)?;
        let group = &self.group.name;
        Some(format!(
            "{group} goes to zero at {end}, and no window opens after that: `fleetwright extend`, then `fleetwright recycle apply`"
        ))
    }
}

/// What a window changes on this group.
pub fn raised(recycle: &Recycle, facts: &Facts<'_>) -> Raise {
    if facts.scaling.is_empty() { recycle.raise.unwrap_or(Raise::Desired) } else { Raise::Min }
}

/// The scheduled actions that the spec wants on this group, each window's two together.
///
/// # Errors
///
/// What AWS would refuse or what would come out wrong, with the line in the spec.
pub fn wanted(fleet: &Fleet, recycle: &Recycle, facts: &Facts<'_>) -> Result<Vec<ScheduledAction>, Unplannable> {
    wanted_at(fleet, recycle, facts, sizes(fleet, facts))
}

/// The same for a group that has these sizes outside windows.
fn wanted_at(
    fleet: &Fleet,
    recycle: &Recycle,
    facts: &Facts<'_>,
    sizes: Sizes,
) -> Result<Vec<ScheduledAction>, Unplannable> {
    let group = facts.group;
    if let Some(status) = &group.status {
        let message = format!("the group {} is on its way out: {status}", group.name);
        return Err(Unplannable::new(Exit::Refused, message, "name another group in `recycle.group`"));
    }
    let prefix = gate::prefix(&fleet.name);
    let foreign: Vec<&ScheduledAction> =
        facts.actions.iter().filter(|action| !action.name.starts_with(&prefix)).collect();
    let room = MOST_ACTIONS.saturating_sub(foreign.len()) / 2;
    if let Some(window) = recycle.windows.get(room) {
        return Err(Unplannable::new(
            Exit::Refused,
            format!(
                "{}: no room for this window: AWS allows {MOST_ACTIONS} scheduled actions on a group, and {} has {} of others",
                place(fleet, window),
                group.name,
                foreign.len()
            ),
            "remove windows from the spec, or actions of others from the group",
        ));
    }
    if let Some((window, meets)) = meeting(recycle, facts.now) {
        let message = format!("{}: this window {meets}", place(fleet, window));
        return Err(Unplannable::new(Exit::Refused, message, APART));
    }
    let raise = raised(recycle, facts);
    let end = facts.end();
    let mut actions = Vec::with_capacity(recycle.windows.len() * 2);
    for window in &recycle.windows {
        let mut two = pair(&prefix, window, raise, sizes, &group.name);
        // A window that opened after the group's end would bring back hosts that nobody waits for.
        for action in &mut two {
            action.end = end;
        }
        for action in &two {
            let next = next(action, facts.now);
            if let Some(other) = foreign.iter().find(|other| next.is_some() && other.start == next) {
                return Err(Unplannable::new(
                    Exit::Refused,
                    format!(
                        "{}: AWS takes one scheduled action a time, and at {} the group's own action {} runs already",
                        place(fleet, window),
                        next.map(|at| at.to_string()).unwrap_or_default(),
                        other.name
                    ),
                    "move this window by a minute",
                ));
            }
        }
        actions.extend(two);
    }
    Ok(actions)
}

/// Lets the windows that are on the fleet's own group follow the size that a plan gives it: they name sizes in absolute
/// numbers, so that the next one would undo it. At every moment they have the larger of the two, since a window that opened in
/// between would end hosts that nobody drained.
pub fn follow(plan: &mut Plan, fleet: &Fleet, recycle: &Recycle, facts: &Facts<'_>) {
    let prefix = gate::prefix(&fleet.name);
    let sized = plan.steps.iter().enumerate().find_map(|(at, step)| match &step.action {
        Action::GroupSize { size, .. } => Some((at, *size)),
        Action::End { left, group: Some(_), .. } => Some((at + 1, *left)),
        _ => None,
    });
    let Some((at, size)) = sized else { return };
    let there = |action: &ScheduledAction| facts.actions.iter().any(|one| one.name == action.name);
    match wanted_at(fleet, recycle, facts, Sizes { min: 0, max: size, desired: size }) {
        Ok(wanted) => {
            let wanted: Vec<ScheduledAction> = wanted.into_iter().filter(there).collect();
            let put = difference(&prefix, &wanted, facts.actions).put;
            if !put.is_empty() {
                let title = format!("{} of {} go with that size", actions(put.len()), facts.group.name);
                let action = Action::Schedule { group: facts.group.name.clone(), actions: put };
                plan.steps.insert(at, Step::new("windows", title, action));
            }
        }
        Err(why) => plan.notes.push(format!("windows on {} keep their sizes: {why}", facts.group.name)),
    }
}

/// By which times of which zone an action recurs; none for one that runs once, or whose cron or zone is not known here.
fn recurrence(action: &ScheduledAction) -> Option<(Cron, TimeZone)> {
    Some((cron::parse(action.recurrence.as_deref()?).ok()?, TimeZone::get(zone(action)).ok()?))
}

/// The zone that an action goes by.
fn zone(action: &ScheduledAction) -> &str {
    action.zone.as_deref().unwrap_or("Etc/UTC")
}

/// When an action will run first.
fn next(action: &ScheduledAction, now: Timestamp) -> Option<Timestamp> {
    let (cron, zone) = recurrence(action)?;
    cron.after(now, &zone).next().map(|firing| firing.at)
}

/// `fleet.yaml:12`
fn place(fleet: &Fleet, window: &Window) -> String {
    format!("{}:{}", fleet.file.display(), window.line)
}

/// The two actions of a window. What need not change is not sent.
fn pair(prefix: &str, window: &Window, raise: Raise, sizes: Sizes, group: &str) -> [ScheduledAction; 2] {
    let digest = token::digest(&[group, &window.at, &window.until, &window.zone]);
    let stem = format!("{prefix}{}", digest.get(..10).unwrap_or(&digest));
    let action = |what: &str, recurrence: &str| ScheduledAction {
        name: format!("{stem}.{what}"),
        recurrence: Some(recurrence.to_owned()),
        zone: Some(window.zone.clone()),
        start: None,
        end: None,
        min: None,
        max: None,
        desired: None,
    };
    let (mut open, mut close) = (action("open", &window.at), action("close", &window.until));
    let most = match raise {
        Raise::Desired => {
            open.desired = Some(sizes.desired.saturating_add(window.surge));
            close.desired = Some(sizes.desired);
            open.desired
        }
        Raise::Min => {
            open.min = Some(sizes.min.saturating_add(window.surge));
            close.min = Some(sizes.min);
            open.min
        }
    };
    if let Some(most) = most.filter(|most| *most > sizes.max) {
        (open.max, close.max) = (Some(most), Some(sizes.max));
    }
    [open, close]
}

/// The first two windows that meet, in words.
fn meeting(recycle: &Recycle, now: Timestamp) -> Option<(&Window, String)> {
    let Meeting { first, until, second, opens } = nights::meeting(&recycle.windows, now)?;
    let (first, second) = recycle.windows.get(first).zip(recycle.windows.get(second))?;
    Some((second, format!("opens at {opens}; the one in line {} is open until {until}", first.line)))
}

/// Whether two actions of one name do the same at the same times.
fn same(one: &ScheduledAction, other: &ScheduledAction) -> bool {
    timed_alike(one, other)
        && (one.end, one.min, one.max, one.desired) == (other.end, other.min, other.max, other.desired)
}

fn timed_alike(one: &ScheduledAction, other: &ScheduledAction) -> bool {
    one.recurrence == other.recurrence && zone(one) == zone(other)
}

/// Whether an action on a group is this fleet's: of one of its windows, or the end of its own group.
pub fn ours(fleet: &Fleet, group: &str, action: &str) -> bool {
    action.starts_with(&gate::prefix(&fleet.name)) || action == DEADMAN && group == group_name(fleet.name.as_str())
}

/// What must go and what must be put, so that the group's actions of this fleet are these.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// Names.
    pub delete: Vec<String>,
    /// Whole actions.
    pub put: Vec<ScheduledAction>,
}

/// Compares what is wanted with what this fleet has on the group.
pub fn difference(prefix: &str, wanted: &[ScheduledAction], actions: &[ScheduledAction]) -> Difference {
    let ours: Vec<&ScheduledAction> = actions.iter().filter(|action| action.name.starts_with(prefix)).collect();
    let of_name = |name: &str| wanted.iter().find(|action| action.name == name);
    // What can be put in place of the old one is: between a deletion and a put a kill would lose what closes a window.
    let kept = |want: &ScheduledAction, have: &ScheduledAction| {
        timed_alike(want, have) && (want.end.is_some() || have.end.is_none())
    };
    let stale = |have: &&&ScheduledAction| of_name(&have.name).is_none_or(|want| !kept(want, have));
    let there = |want: &&ScheduledAction| ours.iter().any(|have| have.name == want.name && same(want, have));
    Difference {
        delete: ours.iter().filter(stale).map(|action| action.name.clone()).collect(),
        put: wanted.iter().filter(|want| !there(want)).cloned().collect(),
    }
}

/// Plans that the group's actions of this fleet become these; none of them for `remove`.
///
/// # Errors
///
/// While a window is open that would stay so.
pub fn plan(
    fleet: &Fleet,
    verb: &str,
    facts: &Facts<'_>,
    wanted: &[ScheduledAction],
    request: String,
) -> Result<Plan, Unplannable> {
    let group = facts.group;
    let prefix = gate::prefix(&fleet.name);
    let change = difference(&prefix, wanted, facts.actions);
    closes_first(fleet, verb, facts, &change)?;
    let Difference { delete, put } = change;
    let mut steps = Vec::new();
    let mut notes = Vec::new();
    // First what goes: AWS takes one action a time, and an old one may hold the time of a new one.
    if !delete.is_empty() {
        let title = format!("delete {} on {}", actions(delete.len()), group.name);
        let action = Action::Unschedule { group: group.name.clone(), names: delete };
        steps.push(Step::new("unschedule", title, action));
    }
    if !put.is_empty() {
        let title = format!("put {} on {}", actions(put.len()), group.name);
        notes.extend(put.iter().map(shown));
        steps.push(Step::new("schedule", title, Action::Schedule { group: group.name.clone(), actions: put }));
    }
    if steps.is_empty() {
        notes.push(match wanted.len() {
            0 => format!("{} has no scheduled action of this fleet", group.name),
            count => format!("the {} of {} are as the spec has them", actions(count), group.name),
        });
    }
    let foreign = facts.actions.iter().filter(|action| !ours(fleet, &group.name, &action.name)).count();
    if foreign > 0 {
        notes.push(format!("{} of others stay as they are", actions(foreign)));
    }
    if !wanted.is_empty() {
        notes.extend(warnings(facts));
        let first = wanted.iter().filter_map(|action| next(action, facts.now)).min();
        notes.extend(first.and_then(|first| facts.ends_before(first)));
    }
    Ok(Plan { steps, notes, ..Plan::new(verb, fleet.key(), request) })
}

/// What keeps windows on this group from doing what they should.
pub fn warnings(facts: &Facts<'_>) -> Vec<String> {
    let group = facts.group;
    let suspended = |process: &str| group.suspended.iter().any(|one| one == process);
    let mut warnings = Vec::new();
    for (process, what) in [
        ("ScheduledActions", "no window opens or closes, and what is missed is not made up for"),
        ("Launch", "no window brings a new host"),
        ("Terminate", "no window ends an old host"),
    ] {
        if suspended(process) {
            warnings.push(format!("the process {process} of {} is suspended: {what}", group.name));
        }
    }
    if !facts.scaling.is_empty() {
        warnings.push(format!(
            "{} scales by {}: windows raise and lower its least size only, so that a night on which it has more than that \
             changes nothing, and its policies take the host away again",
            group.name,
            facts.scaling.join(", ")
        ));
    }
    warnings
}

fn actions(count: usize) -> String {
    format!("{count} scheduled action{}", if count == 1 { "" } else { "s" })
}

/// One action in a line: when, and which sizes it sets.
pub fn shown(action: &ScheduledAction) -> String {
    let when = match (&action.recurrence, action.start) {
        (Some(recurrence), _) => format!("{recurrence} {}", action.zone.as_deref().unwrap_or("UTC")),
        (None, Some(start)) => start.to_string(),
        (None, None) => "at no time".to_owned(),
    };
    format!("{}: {when}: {}", action.name, sizes_of(action).join(", "))
}
