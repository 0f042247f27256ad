//! Ground truth for the control port.

use super::AutoScaling;
use super::records::{Action, Group};
use serde_json::{Value, json};

impl AutoScaling {
    /// Every group with members, scheduled actions and all.
    pub(crate) fn world(&self) -> Value {
        self.groups.iter().map(group_truth).collect()
    }
}

fn group_truth(group: &Group) -> Value {
    let members: Vec<Value> = group
        .members
        .iter()
        .map(|member| {
            json!({
                "id": member.id, "zone": member.zone, "type": member.kind, "state": member.life.word(),
                "healthy": member.healthy, "protected": member.protected, "launched": member.launched,
                "spot": member.spot, "template_version": member.template.2,
            })
        })
        .collect();
    json!({
        "name": group.name, "min": group.min, "max": group.max, "desired": group.desired, "created": group.created,
        "tags": group.tags.iter().map(|tag| (tag.key.clone(), Value::from(tag.value.clone()))).collect::<serde_json::Map<_, _>>(),
        "template_version": group.template.version,
        "suspended": group.suspended.keys().collect::<Vec<_>>(),
        "termination_policies": group.policies,
        "instances": members,
        "actions": group.actions.iter().map(action_truth).collect::<Vec<_>>(),
        "hooks": group.hooks.iter().map(|hook| &hook.name).collect::<Vec<_>>(),
        "refreshes": group.refreshes.iter().map(|one| json!({"id": one.id, "status": one.status, "percent": one.percent()})).collect::<Vec<_>>(),
        "policies": group.scaling.iter().map(|policy| &policy.name).collect::<Vec<_>>(),
    })
}

fn action_truth(action: &Action) -> Value {
    json!({
        "name": action.name, "recurrence": action.recurrence.as_ref().map(|recurrence| &recurrence.text),
        "zone": action.zone, "next": action.next, "late_seconds": action.late, "end": action.end,
        "min": action.min, "max": action.max, "desired": action.desired,
    })
}
