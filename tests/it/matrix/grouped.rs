//! The verbs that change a fleet in its own Auto Scaling group, as scenes of the matrix.

use super::scene::{After, Scene, as_it_is, ids, laptop, nothing, scale};
use crate::env::{Cloud, IMAGE, LAUNCH, expect};
use crate::refresh;
use jiff::Timestamp;
use serde_json::{Value, json};

pub(super) const GROUP: &str = "tests/specs/it/group.yaml";

impl After<'_> {
    /// The group asks for so many hosts and has them, of so many that it ever made.
    #[track_caller]
    fn grouped(&self, n: usize, ever: usize) {
        self.alive(n);
        let asked: Vec<_> = self.ours.groups.iter().map(|group| group["desired"].as_u64()).collect();
        assert_eq!(asked, [Some(u64::try_from(n).unwrap())], "{:#?}", self.ours.groups);
        let all = self.world["instances"].as_array().unwrap().iter();
        assert_eq!(all.filter(|host| host["tags"]["team"] == "data").count(), ever, "hosts ever made");
    }
}

/// The fleet of the tests of refreshes.
fn kiln(cloud: &Cloud) {
    expect(&mut laptop(cloud, &LAUNCH), 0);
}

/// A group's hosts come and go after the verb, too.
fn crew(cloud: &Cloud) {
    expect(&mut scale(cloud, "4"), 0);
    cloud.control("POST", "clock", &json!({ "advance": "10m" }));
}

/// The desired sizes of the group's actions.
fn planned(after: &After<'_>) -> Vec<u64> {
    let actions = after.ours.groups[0]["actions"].as_array().unwrap().iter();
    let mut sizes: Vec<u64> = actions.map(|action| action["desired"].as_u64().unwrap()).collect();
    sizes.sort_unstable();
    sizes
}

pub(super) const GROUPED: &[Scene] = &[
    Scene {
        name: "group launch",
        spec: GROUP,
        hosts: "none",
        stage: as_it_is,
        before: nothing,
        verb: |cloud, _| cloud.launch("laptop"),
        most: 4,
        check: |after| after.grouped(4, 4),
    },
    Scene {
        name: "group scale up",
        spec: GROUP,
        hosts: "none",
        stage: as_it_is,
        before: crew,
        verb: |cloud, _| scale(cloud, "6"),
        most: 6,
        check: |after| after.grouped(6, 6),
    },
    Scene {
        name: "group scale down",
        spec: GROUP,
        hosts: "none",
        stage: as_it_is,
        before: crew,
        verb: |cloud, _| scale(cloud, "2"),
        most: 4,
        check: |after| after.grouped(2, 4),
    },
    Scene {
        name: "group down",
        spec: GROUP,
        hosts: "none",
        stage: as_it_is,
        before: crew,
        verb: |cloud, _| laptop(cloud, &["down"]),
        most: 4,
        check: |after| after.alive(0),
    },
    Scene {
        name: "group recycle",
        spec: GROUP,
        hosts: "none",
        stage: as_it_is,
        before: crew,
        verb: |cloud, _| {
            laptop(cloud, &["recycle", "now", "--unattested", "--image", IMAGE, "--until", "running", "--surge", "2"])
        },
        most: 6,
        check: |after| {
            after.grouped(4, 8 + 4 * after.over);
            let old = ids(after.was);
            assert!(after.ours.hosts.iter().all(|host| !old.iter().any(|id| host["id"] == id.as_str())));
        },
    },
    Scene {
        name: "group windows",
        spec: GROUP,
        hosts: "none",
        stage: as_it_is,
        before: crew,
        verb: |cloud, _| laptop(cloud, &["recycle", "apply"]),
        most: 4,
        check: |after| {
            after.grouped(4, 4);
            assert_eq!(planned(after), [0, 4, 5], "its end, and its window's two");
        },
    },
    Scene {
        name: "group extend",
        spec: GROUP,
        hosts: "none",
        stage: as_it_is,
        before: crew,
        verb: |cloud, _| laptop(cloud, &["extend", "2h"]),
        most: 4,
        check: |after| {
            after.grouped(4, 4);
            let groups = |world: &Value| {
                world["groups"].as_array().unwrap().iter().find(|one| one["name"] == "fleetwright-crew").cloned()
            };
            let end =
                |world| groups(world).unwrap()["actions"][0]["next"].as_str().unwrap().parse::<Timestamp>().unwrap();
            let hours = end(after.world).duration_since(end(after.was)).as_hours();
            assert_eq!(hours, 2 + 2 * i64::try_from(after.over).unwrap(), "it lives on for so many hours");
        },
    },
    Scene {
        name: "bake for a group",
        spec: refresh::SPEC,
        hosts: "none",
        stage: as_it_is,
        before: |cloud| {
            kiln(cloud);
            refresh::verified(cloud);
        },
        verb: |cloud, _| laptop(cloud, &["bake", "--no-login"]),
        most: 4,
        check: |after| {
            after.alive(4);
            assert_eq!(after.ours.images.len(), 1 + after.over, "images");
            let versions = after.ours.templates[0]["versions"].as_array().unwrap().len();
            assert_eq!(versions, 2 + after.over, "versions");
            assert_eq!(
                after.ours.groups[0]["template_version"],
                versions.to_string(),
                "the group launches from the newest"
            );
            assert_eq!(ids(after.was), ids(after.world), "hosts stay");
        },
    },
    Scene {
        name: "instance refresh",
        spec: refresh::SPEC,
        hosts: "none",
        stage: as_it_is,
        before: kiln,
        verb: |cloud, _| laptop(cloud, &refresh::REFRESH),
        most: 8,
        check: |after| {
            after.alive(4);
            let old = ids(after.was);
            assert!(after.ours.hosts.iter().all(|host| !old.iter().any(|id| host["id"] == id.as_str())));
            let refreshes = after.ours.groups[0]["refreshes"].as_array().unwrap();
            assert_eq!(refreshes.len(), 1 + after.over, "{refreshes:?}");
            assert!(refreshes.iter().all(|one| one["status"] == "Successful"), "{refreshes:?}");
        },
    },
];
