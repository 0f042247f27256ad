//! The verbs that change something, each with a world to do it in and with what must be true when it has been done.

use super::truth::{Ours, Things, fed, record, records};
use crate::env::{Cloud, IMAGE, call_to, expect, repo};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::process::Command;

/// A verb in its world.
pub(super) struct Scene {
    pub(super) name: &'static str,
    pub(super) spec: &'static str,
    pub(super) hosts: &'static str,
    /// Adds to the world what is nobody's business but its owner's, and settings of every command line.
    pub(super) stage: fn(&mut Cloud),
    /// What was done before by us.
    pub(super) before: fn(&Cloud),
    /// The command line, from what was there before it.
    pub(super) verb: fn(&Cloud, &Value) -> Command,
    /// Most hosts that may ever live at the same time.
    pub(super) most: usize,
    /// What must be true in the end.
    pub(super) check: fn(&After<'_>),
}

/// What a check looks at.
pub(super) struct After<'a> {
    pub(super) cloud: &'a Cloud,
    /// The world before the verb and after its last run.
    pub(super) was: &'a Value,
    pub(super) world: &'a Value,
    pub(super) foreign: &'a Things,
    pub(super) ours: &'a Ours,
    /// Runs that came to their end before the process was killed: the same command has then begun another.
    pub(super) over: usize,
    /// The last answer.
    pub(super) answer: Value,
}

impl After<'_> {
    #[track_caller]
    pub(super) fn alive(&self, n: usize) {
        assert_eq!(self.ours.hosts.len(), n, "hosts alive");
        assert_eq!(self.ours.templates.len(), usize::from(n > 0), "launch templates");
    }

    #[track_caller]
    fn made(&self, n: usize) {
        assert_eq!(self.cloud.ever_made(), n, "hosts ever made");
    }
}

const FIVE: &str = "tests/specs/it/five.yaml";
const MOULD: &str = "tests/specs/it/mould.yaml";

pub(super) fn nothing(_: &Cloud) {}
pub(super) fn as_it_is(_: &mut Cloud) {}

pub(super) fn laptop(cloud: &Cloud, arguments: &[&str]) -> Command {
    cloud.cli("laptop", arguments)
}

pub(super) fn scale(cloud: &Cloud, n: &str) -> Command {
    laptop(cloud, &["scale", n, "--unattested", "--image", IMAGE, "--until", "running"])
}

fn launched(cloud: &Cloud) {
    expect(&mut cloud.launch("laptop"), 0);
}

/// The laptop lost its journals.
fn forgotten(cloud: &Cloud) {
    std::fs::remove_dir_all(cloud.state("laptop")).unwrap();
}

fn bake(cloud: &Cloud) {
    expect(&mut laptop(cloud, &["bake", "--no-login"]), 0);
}

/// Ids of our live hosts in a world, in their order.
pub(super) fn ids(world: &Value) -> Vec<String> {
    let all = world["instances"].as_array().unwrap().iter();
    let ours = all.filter(|host| host["owner"] != "decoy" && host["tags"]["fleetwright:intent"].is_string());
    ours.map(|host| host["id"].as_str().unwrap().to_owned()).collect()
}

fn tag(world: &Value, id: &str, key: &str) -> Value {
    let host = world["instances"].as_array().unwrap().iter().find(|host| host["id"] == id).unwrap();
    host["tags"][format!("fleetwright:{key}")].clone()
}

fn group(cloud: &Cloud, form: &str) {
    let (status, body) = call_to("autoscaling", cloud.authority(), &format!("Version=2011-01-01&{form}"));
    assert_eq!(status, 200, "{form}: {body}");
}

/// Somebody else's group with an action of its owner's.
fn web(cloud: &mut Cloud) {
    cloud.ec2(&format!(
        "Version=2016-11-15&Action=CreateLaunchTemplate&LaunchTemplateName=web&LaunchTemplateData.ImageId={IMAGE}\
         &LaunchTemplateData.InstanceType=m7i.large"
    ));
    group(
        cloud,
        "Action=CreateAutoScalingGroup&AutoScalingGroupName=web&LaunchTemplate.LaunchTemplateName=web&MinSize=3&MaxSize=3\
         &VPCZoneIdentifier=subnet-0aaa0000000000000",
    );
    group(
        cloud,
        "Action=PutScheduledUpdateGroupAction&AutoScalingGroupName=web&ScheduledActionName=fleetwright-by-hand\
         &Recurrence=17%204%20*%20*%20*&MinSize=3",
    );
    // Between two nights.
    cloud.come_to(16, 0);
}

fn actions(world: &Value) -> Vec<&str> {
    let web = world["groups"].as_array().unwrap().iter().find(|group| group["name"] == "web").unwrap();
    web["actions"].as_array().unwrap().iter().map(|action| action["name"].as_str().unwrap()).collect()
}

fn applied(cloud: &Cloud) {
    expect(&mut laptop(cloud, &["recycle", "apply"]), 0);
}

/// Items of a whole campaign: files of this repository.
const ITEMS: [&str; 5] = ["src/error.rs", "src/exit.rs", "src/gate.rs", "src/lib.rs", "src/main.rs"];

pub(super) const SCENES: &[Scene] = &[
    Scene {
        name: "launch",
        spec: FIVE,
        hosts: "none",
        stage: as_it_is,
        before: nothing,
        verb: |cloud, _| cloud.launch("laptop"),
        most: 5,
        check: |after| {
            after.alive(5);
            after.made(5);
        },
    },
    Scene {
        name: "scale up",
        spec: FIVE,
        hosts: "none",
        stage: as_it_is,
        before: |cloud| drop(expect(&mut scale(cloud, "3"), 0)),
        verb: |cloud, _| scale(cloud, "6"),
        most: 6,
        check: |after| {
            after.alive(6);
            after.made(6);
        },
    },
    Scene {
        name: "scale down",
        spec: FIVE,
        hosts: "none",
        stage: as_it_is,
        before: launched,
        verb: |cloud, _| scale(cloud, "3"),
        most: 5,
        check: |after| {
            after.alive(3);
            after.made(5);
        },
    },
    Scene {
        name: "down",
        spec: FIVE,
        hosts: "none",
        stage: as_it_is,
        before: launched,
        verb: |cloud, _| laptop(cloud, &["down"]),
        most: 5,
        check: |after| after.alive(0),
    },
    Scene {
        name: "down --only",
        spec: FIVE,
        hosts: "none",
        stage: as_it_is,
        before: launched,
        verb: |cloud, was| laptop(cloud, &["down", "--only", &ids(was)[1..3].join(",")]),
        most: 5,
        check: |after| {
            after.alive(3);
            after.made(5);
            let going = ids(after.was)[1..3].to_vec();
            assert!(after.ours.hosts.iter().all(|host| !going.iter().any(|id| host["id"] == id.as_str())));
        },
    },
    Scene {
        name: "down --images",
        spec: MOULD,
        hosts: "none",
        stage: |cloud| cloud.set("image.keep=0"),
        before: |cloud| {
            bake(cloud);
            expect(&mut laptop(cloud, &["launch", "--unattested", "--until", "running"]), 0);
        },
        verb: |cloud, _| laptop(cloud, &["down", "--images"]),
        most: 2,
        check: |after| {
            after.alive(0);
            assert_eq!(after.ours.images, Vec::<Value>::new());
        },
    },
    Scene {
        name: "images prune",
        spec: MOULD,
        hosts: "none",
        stage: as_it_is,
        before: |cloud| (0..3).for_each(|_| bake(cloud)),
        verb: |cloud, _| laptop(cloud, &["images", "prune"]),
        most: 0,
        check: |after| assert_eq!(after.ours.images.len(), 1),
    },
    Scene {
        name: "bake",
        spec: MOULD,
        hosts: "none",
        stage: as_it_is,
        before: nothing,
        verb: |cloud, _| laptop(cloud, &["bake", "--no-login"]),
        most: 0,
        check: |after| assert_eq!(after.ours.images.len(), 1 + after.over, "images"),
    },
    Scene {
        name: "recycle now",
        spec: FIVE,
        hosts: "none",
        stage: as_it_is,
        before: launched,
        verb: |cloud, _| {
            laptop(cloud, &["recycle", "now", "--unattested", "--image", IMAGE, "--until", "running", "--surge", "2"])
        },
        most: 7,
        check: |after| {
            after.alive(5);
            after.made(10 + 5 * after.over);
            let old = ids(after.was);
            assert!(after.ours.hosts.iter().all(|host| !old.iter().any(|id| host["id"] == id.as_str())));
        },
    },
    Scene {
        name: "adopt",
        spec: FIVE,
        hosts: "none",
        stage: as_it_is,
        before: |cloud| {
            launched(cloud);
            forgotten(cloud);
        },
        verb: |cloud, _| laptop(cloud, &["adopt"]),
        most: 5,
        check: |after| {
            after.alive(5);
            after.made(5);
            // What was adopted is ours to end.
            expect(&mut laptop(after.cloud, &["down"]), 0);
            assert_eq!(after.cloud.live("five"), Vec::<String>::new());
        },
    },
    Scene {
        name: "orphans --reap",
        spec: FIVE,
        hosts: "none",
        stage: as_it_is,
        before: |cloud| {
            launched(cloud);
            forgotten(cloud);
            cloud.control("POST", "clock", &json!({ "advance": "13h" }));
        },
        verb: |cloud, _| laptop(cloud, &["orphans", "--reap", "--max", "20"]),
        most: 5,
        check: |after| after.alive(0),
    },
    Scene {
        name: "bake copies",
        spec: MOULD,
        hosts: "none",
        stage: |cloud| {
            cloud.set("image={keep: 1, encrypt: {kms_key: alias/aws/ebs}, copy_to: [us-west-2]}");
        },
        before: nothing,
        verb: |cloud, _| laptop(cloud, &["bake", "--no-login"]),
        most: 0,
        check: |after| {
            let west = &after.world["abroad"]["us-west-2"];
            let count = |kind: &str| west[kind].as_array().map_or(0, Vec::len);
            assert_eq!(after.ours.images.len(), 1 + after.over, "images, and no draft");
            assert!(after.ours.images.iter().all(|image| image["encrypted"] == true), "{:#?}", after.ours.images);
            assert_eq!((count("images"), count("snapshots")), (1 + after.over, 1 + after.over), "copies: {west:#}");
        },
    },
    Scene {
        name: "extend",
        spec: FIVE,
        hosts: "none",
        stage: as_it_is,
        before: launched,
        verb: |cloud, _| laptop(cloud, &["extend", "2h"]),
        most: 5,
        check: |after| {
            after.alive(5);
            for id in ids(after.was) {
                let at = |world| tag(world, &id, "expires").as_str().unwrap().parse::<Timestamp>().unwrap();
                let hours = at(after.world).duration_since(at(after.was)).as_hours();
                assert_eq!(hours, 2 + 2 * i64::try_from(after.over).unwrap(), "{id} lives on for so many hours");
            }
        },
    },
    Scene {
        name: "protect",
        spec: FIVE,
        hosts: "none",
        stage: as_it_is,
        before: launched,
        verb: |cloud, _| laptop(cloud, &["protect", "1"]),
        most: 5,
        check: |after| {
            after.alive(5);
            let marked = after.ours.hosts.iter().filter(|host| host["tags"]["fleetwright:protect"].is_string());
            assert_eq!(marked.count(), 1);
        },
    },
    Scene {
        name: "quarantine",
        spec: FIVE,
        hosts: "none",
        stage: as_it_is,
        before: launched,
        verb: |cloud, _| laptop(cloud, &["quarantine", "1"]),
        most: 5,
        check: |after| {
            after.alive(5);
            let marked = after.ours.hosts.iter().filter(|host| host["tags"]["fleetwright:quarantine"].is_string());
            assert_eq!(marked.count(), 1);
        },
    },
    Scene {
        name: "quarantine --off",
        spec: FIVE,
        hosts: "none",
        stage: as_it_is,
        before: |cloud| {
            launched(cloud);
            expect(&mut laptop(cloud, &["quarantine", "1"]), 0);
        },
        verb: |cloud, _| laptop(cloud, &["quarantine", "1", "--off"]),
        most: 5,
        check: |after| {
            after.alive(5);
            assert!(after.ours.hosts.iter().all(|host| host["tags"]["fleetwright:quarantine"].is_null()));
        },
    },
    Scene {
        name: "recycle apply",
        spec: "tests/specs/it/recycle.yaml",
        hosts: "none",
        stage: web,
        before: nothing,
        verb: |cloud, _| laptop(cloud, &["recycle", "apply"]),
        most: 0,
        check: |after| {
            let names = actions(after.world);
            assert_eq!((names.len(), names.contains(&"fleetwright-by-hand")), (5, true), "{names:?}");
        },
    },
    Scene {
        name: "recycle remove",
        spec: "tests/specs/it/recycle.yaml",
        hosts: "none",
        stage: web,
        before: applied,
        verb: |cloud, _| laptop(cloud, &["recycle", "remove"]),
        most: 0,
        check: |after| assert_eq!(actions(after.world), ["fleetwright-by-hand"]),
    },
    Scene {
        name: "feed",
        spec: "tests/specs/it/items.yaml",
        hosts: "none",
        stage: as_it_is,
        before: nothing,
        verb: |cloud, _| laptop(cloud, &["feed"]),
        most: 0,
        check: |after| {
            let fed = fed(after.cloud);
            let different: BTreeSet<&String> = fed.iter().collect();
            assert_eq!(different.len(), 25, "every item is in the queue");
            // At least once is the queue's own promise; a kill may double the batch that it hit, and no other.
            assert!(fed.len() <= 35, "{} were sent", fed.len());
        },
    },
    Scene {
        name: "verify",
        spec: "fleet.yaml",
        hosts: "real",
        stage: as_it_is,
        before: nothing,
        verb: |cloud, _| laptop(cloud, &["verify"]),
        most: 0,
        check: |after| {
            expect(&mut laptop(after.cloud, &["bake"]), 0);
            assert!(after.foreign.keys().any(|(kind, _)| *kind == "queues"), "{:#}", after.answer);
        },
    },
    Scene {
        name: "bake built",
        spec: "tests/specs/it/built.yaml",
        hosts: "real",
        stage: as_it_is,
        before: nothing,
        verb: |cloud, _| laptop(cloud, &["bake"]),
        most: 1,
        check: |after| {
            after.alive(0);
            // What was killed between its image and its end may bake again.
            let images = after.ours.images.len();
            assert!((1..=1 + after.over).contains(&images), "{images} images");
            assert!(after.ours.images.iter().all(|image| image["tags"]["fleetwright:attestation"].is_string()));
        },
    },
    Scene {
        name: "push",
        spec: "tests/specs/it/job.yaml",
        hosts: "real",
        stage: |cloud| {
            let release = cloud.state("release.tar.gz");
            let mut tar = Command::new("tar");
            tar.arg("-C").arg(repo("")).arg("-czf").arg(&release).arg("tests/specs/it/job/items.txt");
            assert!(tar.status().unwrap().success());
            cloud.set(&format!("release.from={}", release.display()));
        },
        before: |cloud| drop(expect(&mut laptop(cloud, &["launch", "--unattested", "--image", IMAGE]), 0)),
        verb: |cloud, _| laptop(cloud, &["push"]),
        most: 2,
        check: |after| {
            after.alive(2);
            let results: Vec<&Value> =
                after.answer["push"].as_array().unwrap().iter().map(|one| &one["result"]).collect();
            assert!(results.len() == 2 && results.iter().all(|one| **one == "ok" || **one == "changed"), "{results:?}");
            // Each has exactly the release that its tag names, whole.
            let releases: BTreeSet<&str> =
                after.ours.hosts.iter().filter_map(|host| host["tags"]["fleetwright:release"].as_str()).collect();
            assert_eq!(releases.len(), 1, "{releases:?}");
            let release = releases.first().unwrap();
            let whole = format!(
                "test \"$(ls -A /opt/job)\" = {release} && test \"$(find /opt/job/{release} -type f ! -name .fleetwright)\" = \
                 /opt/job/{release}/tests/specs/it/job/items.txt && test \"$(wc -l </opt/job/{release}/tests/specs/it/job/items.txt)\" = {}",
                std::fs::read_to_string(repo("tests/specs/it/job/items.txt")).unwrap().lines().count(),
            );
            expect(&mut laptop(after.cloud, &["exec", "--", &whole]), 0);
        },
    },
    Scene {
        name: "up",
        spec: "fleet.yaml",
        hosts: "real",
        stage: |cloud| {
            let items = cloud.state("items.txt");
            std::fs::write(&items, ITEMS.join("\n")).unwrap();
            cloud.set(&format!("feed.from={{lines: '{}'}}", items.display()));
            let release = cloud.mount("/mnt/rehearsal").join("release.tar.gz");
            cloud.set(&format!("release.from={}", release.display()));
            for set in ["fleet.size=2", "fleet.accept.min=2", "done.quiet=1m"] {
                cloud.set(set);
            }
        },
        before: nothing,
        verb: |cloud, _| laptop(cloud, &["up"]),
        most: 2,
        check: |after| {
            after.alive(0);
            after.made(2);
            assert_eq!(after.ours.images.len(), 1, "one campaign, one image");
            let made = |call: &&Value| call["made"].as_array().is_some_and(|made| !made.is_empty());
            assert_eq!(after.cloud.calls("CreateLaunchTemplate").iter().filter(made).count(), 1);
            assert_eq!(records(after.cloud), ITEMS.map(record), "one right record for each item");
        },
    },
];
