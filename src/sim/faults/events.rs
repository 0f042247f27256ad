//! Tells which host event of the fault script is due, and on which host.

use super::super::hosts::HostAct;
use super::{FaultScript, span};
use jiff::Timestamp;
use serde_json::Value;
use std::collections::BTreeSet;

/// A host as a script names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Which {
    /// By instance id.
    Id(String),
    /// By launch order, in one market or in all.
    Index { market: Option<String>, index: usize },
}

impl Which {
    /// Reads `i-0123`, `3`, `spot:0`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if text.starts_with("i-") {
            return Some(Self::Id(text.to_owned()));
        }
        let (market, index) = match text.split_once(':') {
            Some((market @ ("spot" | "on-demand"), index)) => (Some(market.to_owned()), index),
            Some(_) => return None,
            None => (None, text),
        };
        Some(Self::Index { market, index: index.parse().ok()? })
    }
}

/// When an event is due.
#[derive(Clone, Debug)]
enum Due {
    At(Timestamp),
    /// After so many more calls of an action.
    After {
        action: String,
        calls: u32,
    },
}

/// An event that has not happened yet.
#[derive(Clone, Debug)]
struct Pending {
    due: Due,
    which: Which,
    act: HostAct,
}

/// The host events of a script that are still to come.
#[derive(Debug, Default)]
pub(crate) struct HostEvents(Vec<Pending>);

impl HostEvents {
    /// Those of a script that is given now and has been checked.
    pub(crate) fn new(script: &FaultScript, now: Timestamp) -> Self {
        let pending = script.hosts.iter().filter_map(|event| {
            let due = match (&event.at, &event.when) {
                (Some(at), _) => Due::At(now.saturating_add(span(at)?).unwrap_or(Timestamp::MAX)),
                (None, Some(when)) => Due::After { action: when.action.clone(), calls: when.call },
                (None, None) => return None,
            };
            Some(Pending { due, which: Which::parse(&event.which)?, act: event.act })
        });
        Self(pending.collect())
    }

    /// Notes that a call was carried out.
    pub(crate) fn called(&mut self, action: &str) {
        for event in &mut self.0 {
            if let Due::After { action: wanted, calls } = &mut event.due
                && wanted == action
            {
                *calls = calls.saturating_sub(1);
            }
        }
    }

    /// Whether an event is due, so that the world has to be looked at.
    pub(crate) fn any_due(&self, now: Timestamp) -> bool {
        self.0.iter().any(|event| event.is_due(now))
    }

    /// The times after `from` and up to `to` for which events are set, in order.
    pub(crate) fn due_between(&self, from: Timestamp, to: Timestamp) -> BTreeSet<Timestamp> {
        let times = self.0.iter().filter_map(|event| match &event.due {
            Due::At(at) => Some(*at),
            Due::After { .. } => None,
        });
        times.filter(|at| from < *at && *at <= to).collect()
    }

    /// Takes the events that are due and whose host runs. `instances` is in launch order.
    pub(crate) fn take(&mut self, now: Timestamp, instances: &[Instance]) -> Vec<(String, HostAct)> {
        let mut taken = Vec::new();
        self.0.retain(|event| {
            let host = event.is_due(now).then(|| event.which.find(instances)).flatten().filter(|host| host.running);
            if let Some(host) = host {
                taken.push((host.id.clone(), event.act));
            }
            host.is_none()
        });
        taken
    }
}

impl Pending {
    fn is_due(&self, now: Timestamp) -> bool {
        match &self.due {
            Due::At(at) => *at <= now,
            Due::After { calls, .. } => *calls == 0,
        }
    }
}

/// What an event needs to know of an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Instance {
    id: String,
    market: String,
    running: bool,
    /// Whether launch indices count it.
    counted: bool,
}

impl Instance {
    /// The instances of the world's ground truth, in its order, which is launch order. Their owner is who launched
    /// them, or says that they were there from the start.
    pub(crate) fn list(world: &Value) -> Vec<Self> {
        let text =
            |instance: &Value, key: &str| instance.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let instances = world.get("instances").and_then(Value::as_array).into_iter().flatten();
        instances
            .map(|instance| Self {
                id: text(instance, "id"),
                market: text(instance, "market"),
                running: text(instance, "state") == "running",
                counted: !["template", "decoy"].contains(&text(instance, "owner").as_str()),
            })
            .collect()
    }
}

impl Which {
    fn find<'a>(&self, instances: &'a [Instance]) -> Option<&'a Instance> {
        match self {
            Self::Id(id) => instances.iter().find(|instance| instance.id == *id),
            Self::Index { market, index } => instances
                .iter()
                .filter(|instance| instance.counted && market.as_ref().is_none_or(|m| *m == instance.market))
                .nth(*index),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::SignedDuration;
    use serde_json::json;

    fn world() -> Vec<Instance> {
        Instance::list(&json!({"instances": [
            {"id": "i-template", "market": "on-demand", "state": "running", "owner": "template"},
            {"id": "i-stranger", "market": "spot", "state": "running", "owner": "decoy"},
            {"id": "i-a", "market": "on-demand", "state": "running", "owner": "AKIA"},
            {"id": "i-b", "market": "spot", "state": "pending", "owner": "AKIA"},
            {"id": "i-c", "market": "spot", "state": "running", "owner": "AKIA"},
        ]}))
    }

    fn events(text: &str, now: Timestamp) -> HostEvents {
        let script: FaultScript = serde_json::from_str(text).expect(text);
        script.check().expect("sound");
        HostEvents::new(&script, now)
    }

    #[test]
    fn hosts_are_counted_without_template_and_strangers() {
        let find = |text: &str| Which::parse(text).expect(text).find(&world()).map(|i| i.id.clone());
        assert_eq!(find("0").as_deref(), Some("i-a"));
        assert_eq!(find("spot:0").as_deref(), Some("i-b"));
        assert_eq!(find("spot:1").as_deref(), Some("i-c"));
        assert_eq!(find("spot:2"), None);
        assert_eq!(find("i-template").as_deref(), Some("i-template"));
    }

    #[test]
    fn an_event_waits_for_its_time_and_for_its_host_to_run() {
        let start = Timestamp::UNIX_EPOCH;
        let late = start + SignedDuration::from_secs(90);
        let text =
            r#"{"hosts":[{"at":"90s","which":"spot:0","do":"kill"},{"at":"90s","which":"spot:1","do":"interrupt"}]}"#;
        let mut events = events(text, start);
        assert!(!events.any_due(start));
        assert!(events.take(start, &world()).is_empty());
        assert_eq!(events.take(late, &world()), [("i-c".to_owned(), HostAct::Interrupt)]);
        let mut running = world();
        running[3].running = true;
        assert_eq!(events.take(late, &running), [("i-b".to_owned(), HostAct::Kill)]);
        assert!(!events.any_due(late), "each event happens once");
    }

    #[test]
    fn a_jump_passes_through_the_times_of_its_events() {
        let at = |seconds| Timestamp::UNIX_EPOCH + SignedDuration::from_secs(seconds);
        let text = r#"{"hosts":[{"at":"90s","which":"1","do":"kill"},{"at":"30s","which":"0","do":"kill"},
            {"when":{"action":"A"},"which":"0","do":"reboot"}]}"#;
        let events = events(text, at(0));
        assert_eq!(events.due_between(at(0), at(200)).into_iter().collect::<Vec<_>>(), [at(30), at(90)]);
        assert_eq!(events.due_between(at(30), at(89)).len(), 0);
    }

    #[test]
    fn an_event_follows_the_call_it_names() {
        let now = Timestamp::UNIX_EPOCH;
        let mut events = events(r#"{"hosts":[{"when":{"action":"A","call":2},"which":"0","do":"reboot"}]}"#, now);
        events.called("A");
        events.called("B");
        assert!(!events.any_due(now));
        events.called("A");
        assert_eq!(events.take(now, &world()), [("i-a".to_owned(), HostAct::Reboot)]);
    }
}
