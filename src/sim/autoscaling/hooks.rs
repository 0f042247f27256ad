//! Lifecycle hooks: what holds an instance on its way in or out until somebody lets it go or its time is over.

use super::ask::{invalid, list, members, need, texts, whole};
use super::records::{Group, Hook, Life};
use super::{Ask, AutoScaling};
use crate::sim::api::{ApiError, Handled, Reply};
use crate::sim::ec2::params::Node;
use crate::sim::xml::Xml;

/// Hooks of a group.
const MOST: usize = 50;

impl AutoScaling {
    pub(super) fn put_hook(&mut self, ask: &mut Ask) -> Handled {
        let name = need(&ask.params, "LifecycleHookName")?.to_owned();
        let group = self.group(ask)?;
        let old = group.hooks.iter().find(|hook| hook.name == name).cloned();
        if old.is_none() && group.hooks.len() >= MOST {
            return Err(ApiError::new("LimitExceeded", format!("A group can have at most {MOST} lifecycle hooks")));
        }
        let hook = hook(&ask.params, name, old.as_ref())?;
        group.hooks.retain(|old| old.name != hook.name);
        group.hooks.push(hook);
        Ok(Reply::default())
    }

    pub(super) fn describe_hooks(&mut self, ask: &mut Ask) -> Handled {
        let names = texts(&ask.params, "LifecycleHookNames");
        let group = self.group(ask)?;
        let mut xml = Xml::new();
        let found = group.hooks.iter().filter(|hook| names.is_empty() || names.contains(&hook.name));
        list(&mut xml, "LifecycleHooks", found, |xml, hook| {
            xml.text("AutoScalingGroupName", &group.name)
                .text("LifecycleHookName", &hook.name)
                .text("LifecycleTransition", transition(hook.terminating))
                .text("HeartbeatTimeout", hook.timeout)
                // AWS answers a hundred times the heartbeat, 48 hours at most.
                .text("GlobalTimeout", (hook.timeout * 100).min(172_800))
                .text("DefaultResult", if hook.abandon { "ABANDON" } else { "CONTINUE" })
                .opt("NotificationMetadata", hook.metadata.as_ref());
        });
        Ok(Reply { body: xml.finish(), ..Reply::default() })
    }

    pub(super) fn delete_hook(&mut self, ask: &mut Ask) -> Handled {
        let name = need(&ask.params, "LifecycleHookName")?.to_owned();
        let group = self.group(ask)?;
        let before = group.hooks.len();
        group.hooks.retain(|hook| hook.name != name);
        if group.hooks.len() == before {
            return Err(invalid(format!("No Lifecycle Hook found with name: {name}")));
        }
        // "If there are any outstanding lifecycle actions, they are completed first (ABANDON for launching instances, CONTINUE
        // for terminating instances)."
        let held = [false, true].map(|way| group.hold(way).is_some());
        for member in &mut group.members {
            let (launching, terminating) = (member.life == Life::PendingWait, member.life == Life::TerminatingWait);
            if launching && !held[0] || terminating && !held[1] {
                member.deadline = Some(ask.now);
                member.healthy &= terminating;
            }
        }
        Ok(Reply::default())
    }

    pub(super) fn complete_hook(&mut self, ask: &mut Ask) -> Handled {
        let name = need(&ask.params, "LifecycleHookName")?.to_owned();
        let id = need(&ask.params, "InstanceId")?.to_owned();
        let abandon = match need(&ask.params, "LifecycleActionResult")? {
            "ABANDON" => true,
            "CONTINUE" => false,
            other => return Err(invalid(format!("'{other}' is not a valid LifecycleActionResult"))),
        };
        let group = self.group(ask)?;
        if !group.hooks.iter().any(|hook| hook.name == name) {
            return Err(invalid(format!("No Lifecycle Hook found with name: {name}")));
        }
        let held = |life| matches!(life, Life::PendingWait | Life::TerminatingWait);
        let Some(member) = group.member(&id).filter(|member| held(member.life)) else {
            return Err(invalid(format!("No active Lifecycle Action found with instance ID {id}")));
        };
        // The deadline is now, with this result.
        member.deadline = Some(ask.now);
        if abandon && member.life == Life::PendingWait {
            member.healthy = false;
        }
        member.life = match member.life {
            Life::PendingWait if !abandon => Life::InService,
            other => other,
        };
        Ok(Reply::default())
    }
}

/// The hooks that a group is made with.
pub(super) fn born_with(params: &Node) -> Result<Vec<Hook>, ApiError> {
    let all = members(params, "LifecycleHookSpecificationList");
    if all.len() > MOST {
        return Err(ApiError::new("LimitExceeded", format!("A group can have at most {MOST} lifecycle hooks")));
    }
    all.into_iter().map(|node| hook(node, need(node, "LifecycleHookName")?.to_owned(), None)).collect()
}

/// A hook as its parameters have it.
fn hook(params: &Node, name: String, old: Option<&Hook>) -> Result<Hook, ApiError> {
    let terminating = match (params.text("LifecycleTransition"), old) {
        (Some("autoscaling:EC2_INSTANCE_LAUNCHING"), _) => false,
        (Some("autoscaling:EC2_INSTANCE_TERMINATING"), _) => true,
        (None, Some(old)) => old.terminating,
        (other, _) => return Err(invalid(format!("'{other:?}' is not a valid LifecycleTransition"))),
    };
    let timeout = whole(params, "HeartbeatTimeout")?.map_or(3600, i64::from);
    if !(30..=7200).contains(&timeout) {
        return Err(invalid("HeartbeatTimeout must be from 30 to 7200 seconds"));
    }
    let abandon = match params.text("DefaultResult").unwrap_or("ABANDON") {
        "ABANDON" => true,
        "CONTINUE" => false,
        other => return Err(invalid(format!("'{other}' is not a valid DefaultResult"))),
    };
    Ok(Hook { name, terminating, timeout, abandon, metadata: params.string("NotificationMetadata") })
}

fn transition(terminating: bool) -> &'static str {
    if terminating { "autoscaling:EC2_INSTANCE_TERMINATING" } else { "autoscaling:EC2_INSTANCE_LAUNCHING" }
}

impl Group {
    /// The hooks of one way: how long they hold, and whether what they hold is given up after that.
    pub(super) fn hold(&self, terminating: bool) -> Option<(i64, bool)> {
        let hooks = || self.hooks.iter().filter(|hook| hook.terminating == terminating);
        Some((hooks().map(|hook| hook.timeout).max()?, hooks().any(|hook| hook.abandon)))
    }
}
