//! The plan of `verify`: what must be true of the template before it is copied forty times.

use super::{Action, Plan, Step};
use crate::spec::Fleet;
use crate::spec::fleet::Template;

/// Name prefix of the private queue that a canary uses.
pub fn canary_queue(fleet: &str, run: &str) -> String {
    format!("fleetwright-{fleet}-canary-{run}")
}

/// Plans a verification. Only what the spec names is checked; the scan always is. `reboots` is whether the playbook reboots.
pub fn plan(fleet: &Fleet, template: &Template, reboots: bool, run_short: &str, request: String) -> Plan {
    let mut steps = Vec::new();
    if template.verify.is_some() {
        steps.push(Step::new("checks", format!("check {}", template.id()), Action::Checks));
    }
    if let Some(canary) = &template.canary {
        steps.push(Step::new(
            "canary",
            format!("{} real items through a private queue", canary.items),
            Action::Canary {
                items: canary.items,
                within: canary.within,
                queue: canary_queue(fleet.name.as_str(), run_short),
            },
        ));
    }
    steps.push(Step::new("scan", "look for what must not be copied", Action::Scan));
    let mut notes = Vec::new();
    if template.verify.is_none() {
        notes.push("the spec names no `template.verify` playbook: only the scan is done".to_owned());
    }
    if reboots {
        notes.push(format!("{} will be rebooted", template.id()));
    }
    Plan { steps, notes, ..Plan::new("verify", fleet.key(), request) }
}
