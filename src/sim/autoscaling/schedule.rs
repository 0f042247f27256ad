//! Scheduled actions: put, deleted and described one by one or in batches, and what one does when its time has come.

use super::ask::{invalid, list, members, need, page, texts, time, when, whole};
use super::create::caused;
use super::records::{Action, Group};
use super::recurrence::Recurrence;
use super::{Ask, AutoScaling};
use crate::sim::api::{ApiError, Handled, Reply};
use crate::sim::draw::number;
use crate::sim::ec2::params::Node;
use crate::sim::xml::Xml;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// "You can create a maximum of 125 scheduled actions per Auto Scaling group."
const MOST: usize = 125;
/// Actions in one batch.
const BATCH: usize = 50;

/// An action as a call gives it.
struct Wish {
    name: String,
    recurrence: Option<Recurrence>,
    zone: Option<String>,
    start: Option<Timestamp>,
    end: Option<Timestamp>,
    min: Option<u32>,
    max: Option<u32>,
    desired: Option<u32>,
}

impl Wish {
    fn read(node: &Node, now: Timestamp) -> Result<Self, ApiError> {
        let name = need(node, "ScheduledActionName")?.to_owned();
        if name.chars().count() > 255 || name.contains(':') {
            return Err(invalid(format!("'{name}' is no valid name for a scheduled action")));
        }
        let zone = node.string("TimeZone");
        let tz = match &zone {
            None => TimeZone::UTC,
            // The names' own spelling counts.
            Some(name) => jiff::tz::db()
                .get(name)
                .ok()
                .filter(|tz| tz.iana_name() == Some(name.as_str()))
                .ok_or_else(|| invalid(format!("TimeZone {name} is not a valid IANA time zone")))?,
        };
        let recurrence = match node.text("Recurrence") {
            None => None,
            Some(text) => {
                let bad = || invalid(format!("Given recurrence string:{text} is invalid"));
                Some(Recurrence::read(text, tz).ok_or_else(bad)?)
            }
        };
        let start = time(node, "StartTime")?.or(time(node, "Time")?);
        let end = time(node, "EndTime")?;
        if start.is_some_and(|start| start < now) {
            return Err(invalid("Given start time is in the past"));
        }
        if end.is_some_and(|end| end < now) {
            return Err(invalid("Given end time is in the past"));
        }
        if start.zip(end).is_some_and(|(start, end)| end <= start) {
            return Err(invalid("Given end time is before the start time"));
        }
        if recurrence.is_none() && start.is_none() {
            return Err(invalid("Either a start time or a recurrence must be given"));
        }
        let (min, max) = (whole(node, "MinSize")?, whole(node, "MaxSize")?);
        let desired = whole(node, "DesiredCapacity")?;
        if min.is_none() && max.is_none() && desired.is_none() {
            return Err(invalid("At least one of MinSize, MaxSize, and DesiredCapacity must be given"));
        }
        if min.zip(max).is_some_and(|(min, max)| min > max) {
            return Err(invalid("Min size cannot be greater than max size"));
        }
        if desired.is_some_and(|desired| min.is_some_and(|min| desired < min) || max.is_some_and(|max| desired > max)) {
            return Err(invalid("Desired capacity must be between the min size and the max size"));
        }
        Ok(Self { name, recurrence, zone, start, end, min, max, desired })
    }
}

impl AutoScaling {
    pub(super) fn put_action(&mut self, ask: &mut Ask) -> Handled {
        let wish = Wish::read(&ask.params, ask.now);
        let place = self.place(need(&ask.params, "AutoScalingGroupName")?)?;
        self.put(place, wish?, ask.now)?;
        Ok(Reply::default())
    }

    /// What fails is told one by one in an answer of success.
    pub(super) fn put_actions(&mut self, ask: &mut Ask) -> Handled {
        let place = self.place(need(&ask.params, "AutoScalingGroupName")?)?;
        let wanted = members(&ask.params, "ScheduledUpdateGroupActions");
        batch(wanted.len())?;
        let mut failed = Vec::new();
        for node in wanted {
            let name = node.text("ScheduledActionName").unwrap_or_default().to_owned();
            if let Err(error) = Wish::read(node, ask.now).and_then(|wish| self.put(place, wish, ask.now)) {
                failed.push((name, error));
            }
        }
        Ok(Reply { body: failures("FailedScheduledUpdateGroupActions", failed), ..Reply::default() })
    }

    fn put(&mut self, place: usize, wish: Wish, now: Timestamp) -> Result<(), ApiError> {
        let Wish { name, recurrence, zone, start, end, min, max, desired } = wish;
        let uuid = self.uuid();
        let group = &mut self.groups[place];
        let old = group.actions.iter().position(|action| action.name == name);
        if old.is_none() && group.actions.len() >= MOST {
            return Err(ApiError::new("LimitExceeded", format!("Scheduled action limit exceeded. Limit: {MOST}")));
        }
        // An action that is changed without a start time keeps the one it has until it has run once more: that is what AWS's
        // support says in terraform-provider-aws issue 41200.
        let kept = old.map(|old| group.actions[old].next).filter(|next| *next > now);
        let next = start.or(kept).or_else(|| recurrence.as_ref()?.after(now));
        let next = next.ok_or_else(|| invalid("Given recurrence never comes"))?;
        if let Some(other) = group.actions.iter().find(|action| action.next == next && action.name != name) {
            return Err(ApiError::new(
                "AlreadyExists",
                format!("A scheduled action with this scheduled start time already exists: {}", other.name),
            ));
        }
        let arn = match old {
            Some(old) => group.actions[old].arn.clone(),
            None => format!(
                "arn:{}:autoscaling:{}:{}:scheduledUpdateGroupAction:{uuid}:autoScalingGroupName/{}:scheduledActionName/{name}",
                crate::sim::partition::of(&self.region),
                self.region,
                self.account,
                group.name
            ),
        };
        let late = late(self.seed, &arn, next);
        let action = Action { name, arn, recurrence, zone, next, late, end, min, max, desired };
        match old {
            Some(old) => group.actions[old] = action,
            None => group.actions.push(action),
        }
        Ok(())
    }

    pub(super) fn delete_action(&mut self, ask: &mut Ask) -> Handled {
        let name = need(&ask.params, "ScheduledActionName")?.to_owned();
        let group = self.group(ask)?;
        delete(group, &name)?;
        Ok(Reply { ended: vec![format!("{}/{name}", group.name)], ..Reply::default() })
    }

    pub(super) fn delete_actions(&mut self, ask: &mut Ask) -> Handled {
        let names = texts(&ask.params, "ScheduledActionNames");
        batch(names.len())?;
        let group = self.group(ask)?;
        let (mut failed, mut ended) = (Vec::new(), Vec::new());
        for name in names {
            match delete(group, &name) {
                Ok(()) => ended.push(format!("{}/{name}", group.name)),
                Err(error) => failed.push((name, error)),
            }
        }
        Ok(Reply { body: failures("FailedScheduledActions", failed), ended, ..Reply::default() })
    }

    pub(super) fn describe_actions(&mut self, ask: &mut Ask) -> Handled {
        let params = &ask.params;
        let names = texts(params, "ScheduledActionNames");
        if names.len() > BATCH {
            return Err(invalid(format!("At most {BATCH} names can be given, not {}", names.len())));
        }
        if let Some(name) = params.text("AutoScalingGroupName") {
            self.place(name)?;
        }
        let (from, until) = (time(params, "StartTime")?, time(params, "EndTime")?);
        let mut found: Vec<(&Group, &Action)> = self
            .groups
            .iter()
            .filter(|group| params.text("AutoScalingGroupName").is_none_or(|name| name == group.name))
            .flat_map(|group| group.actions.iter().map(move |action| (group, action)))
            // "If scheduled action names are provided, this property is ignored."
            .filter(|(_, action)| {
                if names.is_empty() {
                    from.is_none_or(|from| action.next >= from) && until.is_none_or(|until| action.next <= until)
                } else {
                    names.contains(&action.name)
                }
            })
            .collect();
        found.sort_by_key(|(_, action)| action.next);
        let (found, next) = page(params, "DescribeScheduledActions", (50, 100), found)?;
        let mut xml = Xml::new();
        list(&mut xml, "ScheduledUpdateGroupActions", found, |xml, (group, action)| {
            let start = when(action.next);
            xml.text("AutoScalingGroupName", &group.name)
                .text("ScheduledActionName", &action.name)
                .text("ScheduledActionARN", &action.arn)
                .text("Time", &start)
                .text("StartTime", &start)
                .opt("EndTime", action.end.map(when))
                .opt("Recurrence", action.recurrence.as_ref().map(|recurrence| &recurrence.text))
                .opt("MinSize", action.min)
                .opt("MaxSize", action.max)
                .opt("DesiredCapacity", action.desired)
                .opt("TimeZone", action.zone.as_ref());
        });
        xml.opt("NextToken", next);
        Ok(Reply { body: xml.finish(), ..Reply::default() })
    }

    /// When the next action runs, of any group.
    pub(super) fn next_action(&self) -> Option<Timestamp> {
        self.groups.iter().filter_map(|group| Some(group.next_action()?.runs_at())).min()
    }

    /// Runs what is due. "The order of execution for scheduled actions is guaranteed within the same group": a late one keeps
    /// those after it waiting. What is missed while `ScheduledActions` is suspended
    /// is not made up for.
    pub(super) fn run_actions(&mut self, now: Timestamp) {
        for place in 0..self.groups.len() {
            loop {
                let group = &self.groups[place];
                let Some(action) = group.next_action().filter(|action| action.runs_at() <= now).cloned() else { break };
                if group.runs("ScheduledActions") {
                    self.run_action(place, &action, now);
                }
                let next = action.recurrence.as_ref().and_then(|recurrence| recurrence.after(action.next));
                let next = next.filter(|next| action.end.is_none_or(|end| *next <= end));
                let seed = self.seed;
                let actions = &mut self.groups[place].actions;
                match next {
                    Some(next) => {
                        for one in actions.iter_mut().filter(|one| one.name == action.name) {
                            (one.next, one.late) = (next, late(seed, &one.arn, next));
                        }
                    }
                    None => actions.retain(|one| one.name != action.name),
                }
            }
        }
    }

    fn run_action(&mut self, place: usize, action: &Action, now: Timestamp) {
        let before = self.groups[place].clone();
        let mut after = before.clone();
        let cause = format!(
            "At {} a scheduled action {} update of AutoScalingGroup constraints to min: {}, max: {}, desired: {}",
            when(now),
            action.name,
            shown(action.min),
            shown(action.max),
            shown(action.desired)
        );
        match after.resize(action.min, action.max, action.desired) {
            Ok(()) => {
                after.cause = caused(&before, &after, &cause);
                self.groups[place] = after;
            }
            Err(why) => {
                let text = format!("Executing scheduled action {}", action.name);
                let id = self.begin(&before.name, &text, &cause, now);
                self.finish(&id, "Failed", Some(why), now);
            }
        }
    }
}

impl Group {
    /// The action whose time comes first.
    fn next_action(&self) -> Option<&Action> {
        self.actions.iter().min_by_key(|action| action.next)
    }
}

impl Action {
    fn runs_at(&self) -> Timestamp {
        self.next.saturating_add(SignedDuration::from_secs(self.late)).unwrap_or(self.next)
    }
}

/// "A scheduled action generally executes within seconds. However, the action might be delayed for up to two minutes": one
/// in four is, by a hash of the action and its time.
fn late(seed: u64, arn: &str, at: Timestamp) -> i64 {
    let word = number(seed, &["late", arn, &at.to_string()]);
    let most = if word.is_multiple_of(4) { 120 } else { 5 };
    i64::try_from((word / 4) % (most + 1)).unwrap_or_default()
}

fn shown(size: Option<u32>) -> String {
    size.map_or_else(|| "null".to_owned(), |size| size.to_string())
}

fn batch(size: usize) -> Result<(), ApiError> {
    if (1..=BATCH).contains(&size) {
        Ok(())
    } else {
        Err(invalid(format!("A batch has 1 to {BATCH} scheduled actions")))
    }
}

fn delete(group: &mut Group, name: &str) -> Result<(), ApiError> {
    let before = group.actions.len();
    group.actions.retain(|action| action.name != name);
    if group.actions.len() == before {
        return Err(invalid(format!("ScheduledAction name not found: {name}")));
    }
    Ok(())
}

/// Per-item failures of a batch.
fn failures(name: &str, failed: Vec<(String, ApiError)>) -> String {
    let mut xml = Xml::new();
    list(&mut xml, name, failed, |xml, (name, error)| {
        xml.text("ScheduledActionName", name).text("ErrorCode", error.code).text("ErrorMessage", error.message);
    });
    xml.finish()
}
