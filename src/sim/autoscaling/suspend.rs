//! SuspendProcesses and ResumeProcesses.

use super::ask::{invalid, texts};
use super::{Ask, AutoScaling};
use crate::sim::api::{ApiError, Handled, Reply};

/// Every process that can be suspended.
const PROCESSES: [&str; 9] = [
    "Launch",
    "Terminate",
    "AddToLoadBalancer",
    "AlarmNotification",
    "AZRebalance",
    "HealthCheck",
    "InstanceRefresh",
    "ReplaceUnhealthy",
    "ScheduledActions",
];

/// The processes named, or all.
fn named(ask: &Ask) -> Result<Vec<String>, ApiError> {
    let names = texts(&ask.params, "ScalingProcesses");
    if let Some(bad) = names.iter().find(|name| !PROCESSES.contains(&name.as_str())) {
        return Err(invalid(format!("Invalid Process name: {bad}")));
    }
    Ok(if names.is_empty() { PROCESSES.map(str::to_owned).to_vec() } else { names })
}

impl AutoScaling {
    pub(super) fn suspend(&mut self, ask: &mut Ask) -> Handled {
        let names = named(ask)?;
        let reason = format!("User suspended at {}", super::ask::when(ask.now));
        let group = self.group(ask)?;
        for name in names {
            group.suspended.entry(name).or_insert_with(|| reason.clone());
        }
        Ok(Reply::default())
    }

    pub(super) fn resume(&mut self, ask: &mut Ask) -> Handled {
        let names = named(ask)?;
        self.group(ask)?.suspended.retain(|name, _| !names.contains(name));
        Ok(Reply::default())
    }
}
