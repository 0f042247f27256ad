//! `scale`: more hosts as `launch` does it, fewer by draining and ending those that may go, however often it is killed.

use crate::crash::{cells, kill};
use crate::env::{Cloud, IMAGE, expect};
use crate::stage::{HEAD, Stage, TEMPLATE};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

const SPEC: &str = "tests/specs/it/five.yaml";

fn scale(cloud: &Cloud, n: &str) -> std::process::Command {
    cloud.cli("laptop", &["scale", n, "--unattested", "--image", IMAGE, "--until", "running"])
}

fn answer(output: &std::process::Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Live hosts of each zone, by ground truth.
fn zones(cloud: &Cloud) -> BTreeMap<String, usize> {
    let (world, live) = (cloud.world(), cloud.live("five"));
    let all = world["instances"].as_array().unwrap().iter();
    let mut zones = BTreeMap::new();
    for host in all.filter(|host| live.iter().any(|id| host["id"] == id.as_str())) {
        *zones.entry(host["zone"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    zones
}

#[test]
fn both_ways_and_nothing_twice() {
    let cloud = Cloud::start(SPEC, 120, &json!({}));
    expect(&mut scale(&cloud, "5"), 0);
    let five: BTreeSet<String> = cloud.live("five").into_iter().collect();
    assert_eq!(five.len(), 5);
    let dry = answer(&expect(scale(&cloud, "3").arg("--dry-run"), 0));
    let named = dry["plans"][0]["steps"][0]["action"]["end"]["hosts"].as_array().unwrap().len();
    assert_eq!((named, cloud.live("five").len()), (2, 5), "{dry:#}");

    let told = answer(&expect(&mut scale(&cloud, "3"), 0));
    let three: BTreeSet<String> = cloud.live("five").into_iter().collect();
    let ended: BTreeSet<String> = serde_json::from_value(told["ended"].clone()).unwrap();
    assert_eq!((three.len(), &ended | &three, told["hosts"]["live"].as_u64()), (3, five, Some(3)), "{told:#}");
    let zones = zones(&cloud);
    assert!(zones.values().max().unwrap() - zones.values().min().unwrap() <= 1, "{zones:?}");
    let again = answer(&expect(&mut scale(&cloud, "3"), 0));
    assert_eq!((cloud.calls("TerminateInstances").len(), again["ended"].as_array().unwrap().len()), (1, 0));

    expect(&mut scale(&cloud, "6"), 0);
    assert_eq!(cloud.live("five").len(), 6);
    assert!(three.iter().all(|id| cloud.live("five").contains(id)));
    let fewer = expect(&mut cloud.cli("laptop", &["launch", "-n", "2", "--unattested", "--image", IMAGE]), 0);
    assert!(String::from_utf8_lossy(&fewer.stderr).contains("fleetwright scale 2"));
    assert_eq!(cloud.live("five").len(), 6, "launch never ends hosts");

    // Those that were named go, and no others.
    let going = cloud.live("five")[..2].to_vec();
    let told = expect(&mut cloud.cli("laptop", &["down", "--only", &going.join(",")]), 0);
    let ended: BTreeSet<String> = serde_json::from_value(answer(&told)["ended"].clone()).unwrap();
    assert_eq!(ended, going.iter().cloned().collect());
    let again = expect(&mut cloud.cli("laptop", &["down", "--only", &going.join(",")]), 0);
    assert!(String::from_utf8_lossy(&again.stderr).contains(&format!("{} has ended already", going[1])));
    assert_eq!(cloud.live("five").len(), 4);
    assert_eq!(cloud.world()["launch_templates"].as_array().unwrap().len(), 1, "the fleet stays");
    expect(&mut cloud.cli("laptop", &["down", "--only", "i-0123456789abcdef9"]), 2);
    // What is protected is refused before anybody drains it.
    let kept = cloud.live("five").pop().unwrap();
    expect(&mut cloud.cli("laptop", &["protect", &kept]), 0);
    let refused = expect(&mut cloud.cli("laptop", &["down", "--only", &kept]), 8);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains(&format!("refused to end what is protected: {kept}")) && !said.contains("drain"), "{said}");
    expect(&mut cloud.cli("laptop", &["protect", &kept, "--off"]), 0);
    expect(&mut scale(&cloud, "0"), 0);
    assert_eq!(cloud.live("five").len(), 0);
    cloud.assert_decoys_untouched();
}

#[test]
fn protected_hosts_stay_and_a_size_that_needs_them_is_refused() {
    let cloud = Cloud::start(SPEC, 120, &json!({}));
    expect(&mut scale(&cloud, "5"), 0);
    let held = cloud.live("five")[..2].to_vec();
    for id in &held {
        cloud.ec2(&format!(
            "Action=CreateTags&Version=2016-11-15&ResourceId.1={id}&Tag.1.Key=fleetwright%3Aprotect&Tag.1.Value=yes"
        ));
    }
    let refused = expect(&mut scale(&cloud, "1"), 8);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("2 are protected"));
    assert_eq!(cloud.calls("TerminateInstances").len(), 0);
    expect(&mut scale(&cloud, "2"), 0);
    assert_eq!(cloud.live("five").into_iter().collect::<BTreeSet<_>>(), held.into_iter().collect());
}

#[test]
fn what_is_in_quarantine_neither_counts_nor_goes() {
    let cloud = Cloud::start(SPEC, 120, &json!({}));
    expect(&mut scale(&cloud, "5"), 0);
    let aside = cloud.live("five")[0].clone();
    cloud.ec2(&format!(
        "Action=CreateTags&Version=2016-11-15&ResourceId.1={aside}&Tag.1.Key=fleetwright%3Aquarantine&Tag.1.Value=now"
    ));
    expect(&mut scale(&cloud, "4"), 0);
    assert_eq!((cloud.live("five").len(), cloud.calls("TerminateInstances").len()), (5, 0), "four take work");
    expect(&mut scale(&cloud, "2"), 0);
    assert_eq!(cloud.live("five").len(), 3);
    assert!(cloud.live("five").contains(&aside), "somebody looks at it");
    expect(&mut scale(&cloud, "4"), 0);
    assert_eq!((cloud.live("five").len(), cloud.ever_made()), (5, 7));
}

/// One cell of the matrix for a smaller fleet.
fn cell(call: u32, point: &str) -> bool {
    let cloud = Cloud::start(SPEC, 120, &json!({}));
    expect(&mut scale(&cloud, "5"), 0);
    cloud.arm_nth("*", point, call);
    let mut first = scale(&cloud, "3").spawn().unwrap();
    if !cloud.held(&mut first) {
        return false;
    }
    kill(&mut first);
    cloud.release();
    expect(&mut scale(&cloud, "3"), 0);
    assert_eq!(cloud.live("five").len(), 3, "call {call} {point}");
    assert_eq!(cloud.ever_made(), 5, "call {call} {point}: nothing was launched in between");
    cloud.assert_decoys_untouched();
    true
}

#[test]
fn it_is_killed_at_each_of_its_calls() {
    cells(cell, 8);
}

#[test]
fn a_launch_does_not_count_hosts_that_are_about_to_end() {
    let cloud = Cloud::start(SPEC, 120, &json!({}));
    expect(&mut scale(&cloud, "5"), 0);
    cloud.arm("TerminateInstances", "before-commit");
    let mut first = scale(&cloud, "3").spawn().unwrap();
    assert!(cloud.held(&mut first));
    kill(&mut first);
    cloud.release();
    let refused = expect(&mut cloud.launch("laptop"), 8);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("resume"));
    // A launch whose outcome nobody knows comes before that, the other way round.
    expect(&mut cloud.cli("laptop", &["resume"]), 0);
    assert_eq!(cloud.live("five").len(), 3);
    cloud.arm("CreateFleet", "after-commit");
    let mut second = cloud.launch("laptop").spawn().unwrap();
    assert!(cloud.held(&mut second));
    kill(&mut second);
    cloud.release();
    let refused = expect(&mut scale(&cloud, "2"), 8);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("unknown"));
    expect(&mut cloud.launch("laptop"), 0);
    expect(&mut scale(&cloud, "2"), 0);
    assert_eq!((cloud.live("five").len(), cloud.ever_made()), (2, 7));
}

/// A worker that finishes what it has after it was told to stop; a file makes it a busy one.
const WORKER: &str = r#"#!/bin/sh
id=$(cat /opt/id)
[ ! -e /opt/busy ] || { sleep 1000 & sleep 1000 & }
trap 'stop=1' TERM
while [ -z "$stop" ]; do sleep 1; done
sleep 2
echo done >"/srv/out/$id"
kill $(jobs -p) 2>/dev/null
exit 0
"#;

fn workers() -> Stage {
    let mounts = "rehearsal: {mounts: [{at: /srv/out, from: scratch, writable: true}]}\n";
    let worker = "worker: {service: slow, process: /opt/slow.sh}\n";
    let by_hand = "worker: {service: slow, process: /opt/slow.sh, drain: drain.yaml, restart_every: 10m}\n";
    let stage = Stage::new(&[("fleet.yaml", &format!("{HEAD}{worker}{mounts}"))]);
    stage.write(&[("by-hand.yaml", &format!("{HEAD}{by_hand}{mounts}")), ("slow.sh", WORKER)]);
    stage.write(&[(
        "drain.yaml",
        "- name: no more\n  run: test -e /run/fleetwright/draining && touch /srv/out/{{ instance_id }}-asked\n\
         - check: test -e /opt/quiet\n",
    )]);
    stage.ends("fleet.yaml", 0, &["launch", "--unattested", "--image", IMAGE]);
    let unit = "[Service]\nExecStart=/opt/slow.sh\nTimeoutStopSec=60\n";
    for id in stage.cloud.live("proof").into_iter().filter(|id| id != TEMPLATE) {
        let script = format!(
            "sudo sh -c 'echo {id} >/opt/id; cat >/opt/slow.sh; chmod 755 /opt/slow.sh; chmod 777 /srv/out' <<'W'\n{WORKER}W\n\
             printf '{unit}' | sudo tee /etc/systemd/system/slow.service >/dev/null; sudo systemctl start slow",
            unit = unit.replace('\n', "\\n"),
        );
        stage.good(&id, &script);
    }
    stage
}

#[test]
fn what_is_in_hand_is_finished_before_a_host_ends() {
    let stage = workers();
    let out = stage.cloud.mount("/srv/out").to_owned();
    let done = || -> BTreeSet<String> {
        std::fs::read_dir(&out).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect()
    };
    let mut all = stage.cloud.live("proof");
    all.retain(|id| id != TEMPLATE);
    let lazy = all[2].clone();
    for id in all.iter().filter(|id| **id != lazy) {
        stage.good(id, "sudo touch /opt/busy; sudo systemctl restart slow");
    }
    for file in std::fs::read_dir(&out).unwrap() {
        std::fs::remove_file(file.unwrap().path()).unwrap();
    }
    let told = stage.ends("fleet.yaml", 0, &["scale", "3", "--order", "idlest"]);
    assert_eq!(told.json["ended"], json!([lazy]), "{}", told.talk);
    assert_eq!(done(), BTreeSet::from([lazy]), "its item was finished");

    // A host that can't be drained stays, and is named; it goes on.
    let stuck = stage.cloud.live("proof").into_iter().find(|id| id != TEMPLATE).unwrap();
    let told = stage.ends("by-hand.yaml", 3, &["down", "--only", &stuck]);
    assert!(told.talk.contains(&stuck) && told.talk.contains("--no-drain"), "{}", told.talk);
    assert!(stage.cloud.live("proof").contains(&stuck));
    assert!(done().contains(&format!("{stuck}-asked")));
    stage.good(&stuck, "test ! -e /run/fleetwright/draining && sudo touch /opt/quiet");
    stage.ends("by-hand.yaml", 0, &["down", "--only", &stuck]);
    assert!(!stage.cloud.live("proof").contains(&stuck));
    stage.ends("fleet.yaml", 0, &["scale", "1", "--no-drain"]);
    assert_eq!(stage.cloud.live("proof").into_iter().filter(|id| id != TEMPLATE).count(), 1);
}
