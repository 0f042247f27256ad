//! The plan linter: rules that every plan must keep, whatever planner made it.

use super::{Action, Plan};
use std::collections::BTreeSet;

/// A broken rule: a bug in a planner, found before it costs anything.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("step {step}: {rule}")]
pub struct Lint {
    /// The step.
    pub step: String,
    /// The rule that it breaks.
    pub rule: &'static str,
}

/// Checks every rule and gives all that are broken.
pub fn lint(plan: &Plan) -> Vec<Lint> {
    let mut found = Vec::new();
    let mut ids = BTreeSet::new();
    let mut say = |step: &str, rule| found.push(Lint { step: step.to_owned(), rule });
    let position = |wanted: fn(&Action) -> bool| plan.steps.iter().position(|step| wanted(&step.action));
    for step in &plan.steps {
        if !ids.insert(step.id.as_str()) {
            say(&step.id, "its id is used twice");
        }
        if step.id.is_empty() || step.id.contains('.') {
            say(&step.id, "ids are not empty and have no dot: rungs are numbered behind one");
        }
        match &step.action {
            Action::Rung(_) => say(&step.id, "rungs are unfolded from a ladder, never planned"),
            Action::Capacity(ladder) => {
                if ladder.wanted() == 0 {
                    say(&step.id, "a ladder that wants nothing");
                }
                if ladder.types.is_empty() || ladder.subnets.is_empty() {
                    say(&step.id, "a ladder without types or subnets");
                }
            }
            Action::Epoch { wanted, expires_seconds, of, .. } => {
                if of.as_ref().is_some_and(|of| !ids.contains(of.as_str())) {
                    say(&step.id, "a launch template of what no earlier step makes");
                }
                if *expires_seconds <= 0 {
                    say(&step.id, "hosts that expire before they are born");
                }
                if wanted.host_tags.get(crate::model::tags::FLEET).is_none() {
                    say(&step.id, "hosts without their fleet's tag");
                }
            }
            Action::Image(request) if request.tags.get(crate::model::tags::FLEET).is_none() => {
                say(&step.id, "an image without its fleet's tag");
            }
            Action::CopyImage(request) if request.tags.get(crate::model::tags::FLEET).is_none() => {
                say(&step.id, "a copy without its fleet's tag");
            }
            Action::CopyImage(request) if !ids.contains(request.of.as_str()) => {
                say(&step.id, "a copy of what no earlier step makes");
            }
            // Of a group alone it says that it asks for no more hosts than it has.
            Action::End { hosts, group: Some(_), drained: false, .. } if hosts.is_empty() => {}
            Action::Drain { hosts } | Action::End { hosts, .. } | Action::Renew { hosts, .. } if hosts.is_empty() => {
                say(&step.id, "no host is named, which may be taken for all of them");
            }
            Action::Group(wanted) | Action::GroupFollows(wanted) => {
                if wanted.types.is_empty() || wanted.subnets.is_empty() {
                    say(&step.id, "a group without types or subnets");
                }
                if wanted.tags.get(crate::model::tags::FLEET).is_none() {
                    say(&step.id, "a group without its fleet's tag");
                }
            }
            _ => {}
        }
    }
    let capacity = position(|a| matches!(a, Action::Capacity(_)));
    if capacity.is_some() && position(|a| matches!(a, Action::Epoch { .. })) >= capacity {
        say("capacity", "capacity is asked for before there is a launch template");
    }
    let raised = position(|a| matches!(a, Action::GroupSize { .. }));
    if raised.is_some() && position(|a| matches!(a, Action::GroupEnds { .. })).is_none_or(|ends| Some(ends) > raised) {
        say("size", "a group gets hosts before it has an end");
    }
    let ended = position(|a| matches!(a, Action::DraftGone { .. }));
    if ended.is_some() && position(|a| matches!(a, Action::Copied { .. })).is_none_or(|copied| Some(copied) > ended) {
        say("draft", "an image is ended before its copy is there");
    }
    let drained = position(|a| matches!(a, Action::End { drained: true, .. }));
    if drained.is_some() && position(|a| matches!(a, Action::Drain { .. })).is_none_or(|drain| Some(drain) > drained) {
        say("end", "hosts are ended that nobody drained");
    }
    let reaped = position(|a| matches!(a, Action::Reap));
    if reaped.is_some()
        && position(|a| matches!(a, Action::Adopt { orphans: Some(_), .. })).is_none_or(|look| Some(look) > reaped)
    {
        say("reap", "things are ended that nobody looked at a second time");
    }
    if position(|a| matches!(a, Action::Terminate)).is_some()
        && position(|a| matches!(a, Action::Sweep)) != plan.steps.len().checked_sub(1)
    {
        say("sweep", "a teardown does not end with a second look");
    }
    found
}
