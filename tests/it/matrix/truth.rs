//! What must be true after any kill: nobody else's things are as they were, and of ours there is nothing that nobody needs.

use crate::env::{Cloud, repo};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};

const KINDS: [(&str, &str); 8] = [
    ("instances", "id"),
    ("images", "id"),
    ("snapshots", "id"),
    ("launch_templates", "id"),
    ("volumes", "id"),
    ("fleets", "id"),
    ("groups", "name"),
    ("queues", "name"),
];

/// Things by kind and id.
pub(crate) type Things = BTreeMap<(&'static str, String), Value>;

pub(crate) fn things(world: &Value) -> Things {
    let of = |(kind, key): (&'static str, &'static str)| {
        let all = world[kind].as_array().cloned().unwrap_or_default();
        all.into_iter().map(move |one| ((kind, one[key].as_str().unwrap().to_owned()), one))
    };
    KINDS.into_iter().flat_map(of).collect()
}

/// What of a thing nobody but its owner changes.
fn settled(kind: &str, thing: &Value) -> Value {
    let mut thing = thing.clone();
    let volatile: &[&str] = match kind {
        "instances" => &["cost_usd"],
        "queues" => {
            &["waiting", "in_flight", "delayed", "sent", "received", "redelivered", "holders", "deleted", "expired"]
        }
        "groups" => &["instances", "actions"],
        _ => &[],
    };
    if let Some(fields) = thing.as_object_mut() {
        fields.retain(|name, _| !volatile.contains(&name.as_str()));
    }
    thing
}

fn live(host: &Value) -> bool {
    !matches!(host["state"].as_str(), Some("terminated" | "shutting-down"))
}

/// Everything that was there before our first command is as it was.
#[track_caller]
pub(crate) fn assert_foreign_untouched(before: &Things, after: &Things) {
    for (key, thing) in before {
        let now = after.get(key).unwrap_or_else(|| panic!("{key:?} was somebody else's and is gone"));
        assert_eq!(settled(key.0, now), settled(key.0, thing), "{key:?} was somebody else's and was changed");
    }
}

/// What is ours: everything that was not there before our first command.
pub(crate) struct Ours {
    pub(crate) hosts: Vec<Value>,
    pub(crate) images: Vec<Value>,
    pub(crate) templates: Vec<Value>,
    pub(crate) groups: Vec<Value>,
}

/// Ours, after the look for orphans: volumes without a host, snapshots without an image, images that are no good, queues
/// that nobody asked for, hosts without our tags.
#[track_caller]
pub(crate) fn ours(before: &Things, after: &Things) -> Ours {
    let new: Vec<_> = after.iter().filter(|(key, _)| !before.contains_key(*key)).collect();
    let of =
        |kind: &str| new.iter().filter(|((k, _), _)| *k == kind).map(|(_, one)| (*one).clone()).collect::<Vec<_>>();
    let hosts: Vec<Value> = of("instances").into_iter().filter(live).collect();
    for host in &hosts {
        // A group ends its hosts by an action of its own.
        let grouped = host["tags"]["aws:autoscaling:groupName"].is_string();
        for tag in ["fleet", "epoch", "intent", "expires"].into_iter().take(if grouped { 3 } else { 4 }) {
            assert!(host["tags"][format!("fleetwright:{tag}")].is_string(), "{tag} of {host:#}");
        }
    }
    for volume in of("volumes") {
        let held = of("instances").iter().any(|host| host["id"] == volume["instance"] && host["state"] != "terminated");
        assert!(held, "a volume that nobody needs: {volume:#}");
    }
    let images = of("images");
    assert!(images.iter().all(|image| image["state"] == "available"), "{images:#?}");
    for snapshot in of("snapshots") {
        let held = images.iter().any(|image| image["snapshots"].as_array().unwrap().contains(&snapshot["id"]));
        assert!(held, "a snapshot that nobody needs: {snapshot:#}");
    }
    let in_it = |group: &Value| hosts.iter().any(|host| host["tags"]["aws:autoscaling:groupName"] == group["name"]);
    assert_eq!((of("queues"), of("groups").iter().find(|group| !in_it(group))), (Vec::new(), None));
    Ours { groups: of("groups"), templates: of("launch_templates"), hosts, images }
}

/// Most hosts of ours that lived at the same time, by the order in which calls were carried out.
pub(crate) fn peak(cloud: &Cloud) -> usize {
    let mut calls = cloud.audit();
    calls.retain(|call| call["commit"].is_u64());
    calls.sort_by_key(|call| call["commit"].as_u64());
    let (mut now, mut most) = (BTreeSet::new(), 0);
    let ids = |ids: &Value| -> Vec<String> { serde_json::from_value(ids.clone()).unwrap_or_default() };
    for call in calls.iter().filter(|call| call["action"] != "CreateAutoScalingGroup") {
        now.extend(ids(&call["made"]).into_iter().filter(|id| id.starts_with("i-")));
        for id in ids(&call["ended"]) {
            now.remove(&id);
        }
        most = most.max(now.len());
    }
    most
}

/// No run is left to be gone on with.
#[track_caller]
pub(crate) fn assert_all_finished(cloud: &Cloud) {
    let status = crate::env::expect(&mut cloud.cli("laptop", &["status"]), 0);
    let status: Value = serde_json::from_slice(&status.stdout).unwrap();
    assert_eq!(status["unfinished"], json!([]), "{status:#}");
}

/// Bodies of every message that was ever taken by the queue.
pub(super) fn fed(cloud: &Cloud) -> Vec<String> {
    let mut bodies = Vec::new();
    for call in cloud.calls("SendMessageBatch").iter().filter(|call| call["commit"].is_u64()) {
        for entry in call["parameters"]["Entries"].as_array().unwrap() {
            bodies.push(entry["MessageBody"].as_str().unwrap().to_owned());
        }
    }
    bodies
}

/// What a worker has to write of an item.
pub(super) fn record(item: &str) -> String {
    let bytes = std::fs::read(repo(item)).unwrap();
    format!("{item}\t{}\t{}", bytes.len(), data_encoding::HEXLOWER.encode(&Sha256::digest(&bytes)))
}

/// What the workers wrote, in order.
pub(super) fn records(cloud: &Cloud) -> Vec<String> {
    let files = std::fs::read_dir(cloud.mount("/srv/results")).unwrap().map(|file| file.unwrap().path());
    let whole = files.filter(|file| !file.file_name().unwrap().to_string_lossy().starts_with('.'));
    let mut lines: Vec<String> =
        whole.map(|file| std::fs::read_to_string(file).unwrap().trim_end().to_owned()).collect();
    lines.sort();
    lines
}
