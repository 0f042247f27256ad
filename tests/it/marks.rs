//! `protect` and `quarantine`: marks that are tags, so that every machine goes by them, whatever is killed or deleted.

use crate::env::{Cloud, expect, talk};
use crate::stage::{HEAD, Stage};
use serde_json::{Value, json};
use std::process::Child;

const SPEC: &str = "tests/specs/it/five.yaml";
const N: usize = 5;

fn answer(cloud: &Cloud, arguments: &[&str]) -> Value {
    serde_json::from_slice(&expect(&mut cloud.cli("laptop", arguments), 0).stdout).unwrap()
}

/// One tag of one instance, by ground truth.
fn tag(cloud: &Cloud, id: &str, key: &str) -> Value {
    let world = cloud.world();
    let host = world["instances"].as_array().unwrap().iter().find(|host| host["id"] == id).unwrap();
    host["tags"][format!("fleetwright:{key}")].clone()
}

fn kill(cloud: &Cloud, mut child: Child) {
    assert!(cloud.held(&mut child));
    child.kill().unwrap();
    child.wait().unwrap();
    cloud.release();
}

/// What `status` says of a host.
fn host(cloud: &Cloud, id: &str) -> Value {
    let status = answer(cloud, &["status"]);
    status["hosts"].as_array().unwrap().iter().find(|host| host["id"] == id).unwrap().clone()
}

#[test]
fn a_protected_host_outlives_down_on_any_machine() {
    let cloud = Cloud::start(SPEC, 400, &json!({}));
    expect(&mut cloud.launch("laptop"), 0);
    let kept = cloud.live("five").pop().unwrap();
    let slot = host(&cloud, &kept)["slot"].to_string();
    let dry = answer(&cloud, &["--dry-run", "protect", &slot]);
    assert!(dry["plans"][0]["steps"][0]["title"].as_str().unwrap().contains(&kept), "{dry:#}");
    assert_eq!(tag(&cloud, &kept, "protect"), json!(null));

    // Killed with the tag set and the answer not read; the same command again finds it set.
    cloud.arm("CreateTags", "after-commit");
    kill(&cloud, cloud.cli("laptop", &["protect", &slot]).spawn().unwrap());
    let told = answer(&cloud, &["protect", &slot]);
    assert_eq!((&told["host"], &told["mark"]), (&json!(kept), &json!("protect")), "{told:#}");
    assert_eq!(tag(&cloud, &kept, "protect"), told["since"]);
    assert_eq!(answer(&cloud, &["protect", &kept])["since"], told["since"], "it keeps its time");
    assert_eq!(host(&cloud, &kept)["protected"], told["since"]);
    assert_eq!(answer(&cloud, &["launch", "--unattested", "--image", crate::env::IMAGE])["hosts"]["live"], N);

    // All else goes, the launch template too, without waiting for what stays.
    let output = expect(&mut cloud.cli("laptop", &["down"]), 10);
    assert!(talk(&output).contains(&format!("1 protected host, left running: {kept}")), "{}", talk(&output));
    assert_eq!(cloud.live("five"), std::slice::from_ref(&kept));
    assert_eq!(cloud.world()["launch_templates"], json!([]));
    std::fs::remove_dir_all(cloud.state("laptop")).unwrap();
    expect(&mut cloud.cli("laptop", &["down", "--adopt"]), 10);
    assert_eq!(cloud.live("five"), std::slice::from_ref(&kept));

    cloud.arm("DeleteTags", "after-commit");
    kill(&cloud, cloud.cli("laptop", &["protect", &kept, "--off"]).spawn().unwrap());
    assert_eq!(answer(&cloud, &["protect", &kept, "--off"])["since"], json!(null));
    assert_eq!(tag(&cloud, &kept, "protect"), json!(null));
    expect(&mut cloud.cli("laptop", &["down", "--adopt"]), 0);
    assert!(cloud.live("five").is_empty());
    cloud.assert_decoys_untouched();
}

#[test]
fn ec2s_own_protection_counts_the_same() {
    let cloud = Cloud::start(SPEC, 400, &json!({}));
    expect(&mut cloud.launch("laptop"), 0);
    let kept = cloud.live("five").pop().unwrap();
    cloud.ec2(&format!(
        "Action=ModifyInstanceAttribute&Version=2016-11-15&InstanceId={kept}&DisableApiTermination.Value=true"
    ));
    expect(&mut cloud.cli("laptop", &["down"]), 10);
    assert_eq!(cloud.live("five"), [kept]);
}

#[test]
fn only_hosts_of_this_fleet_are_marked() {
    let cloud = Cloud::start(SPEC, 400, &json!({}));
    expect(&mut cloud.launch("laptop"), 0);
    let world = cloud.world();
    let decoys = world["instances"].as_array().unwrap().iter().filter(|host| host["owner"] == "decoy");
    for decoy in decoys.map(|decoy| decoy["id"].as_str().unwrap()) {
        for verb in ["protect", "quarantine"] {
            let output = cloud.cli("laptop", &[verb, decoy]).output().unwrap();
            assert!(matches!(output.status.code(), Some(2 | 8)), "{decoy}: {}", talk(&output));
        }
    }
    let changed: Vec<Value> = cloud.calls("CreateTags");
    assert!(changed.is_empty(), "{changed:#?}");
}

#[test]
fn a_host_in_quarantine_is_replaced_and_ended_with_the_others() {
    let cloud = Cloud::start(SPEC, 400, &json!({}));
    expect(&mut cloud.launch("laptop"), 0);
    let bad = cloud.live("five").pop().unwrap();
    let slot = host(&cloud, &bad)["slot"].clone();
    let told = answer(&cloud, &["quarantine", &bad]);
    assert_eq!(host(&cloud, &bad)["quarantined"], told["since"]);
    let dry = answer(&cloud, &["--dry-run", "launch", "--unattested", "--image", crate::env::IMAGE]);
    assert!(
        dry["plans"][0]["notes"].to_string().contains("in quarantine or standby and not counted: 1 host"),
        "{dry:#}"
    );
    let launched: Value = serde_json::from_slice(&expect(&mut cloud.launch("laptop"), 0).stdout).unwrap();
    assert_eq!(launched["hosts"], json!({ "wanted": N, "live": N }));
    assert_eq!(cloud.live("five").len(), N + 1);
    assert_eq!(host(&cloud, &bad)["slot"], slot, "its slot stays its own");
    // Neither a rerun nor a renewal nor another machine counts it.
    expect(&mut cloud.launch("laptop"), 0);
    let renew = ["--dry-run", "recycle", "now", "--unattested", "--image", crate::env::IMAGE];
    assert_eq!(answer(&cloud, &renew)["plans"][0]["steps"][0]["action"]["renew"]["size"], json!(N));
    std::fs::remove_dir_all(cloud.state("laptop")).unwrap();
    expect(&mut cloud.launch("laptop"), 0);
    assert_eq!((cloud.live("five").len(), cloud.ever_made()), (N + 1, N + 1));
    // Nobody ends what is one too many once it is let out.
    answer(&cloud, &["quarantine", &bad, "--off"]);
    let launched: Value = serde_json::from_slice(&expect(&mut cloud.launch("laptop"), 0).stdout).unwrap();
    assert_eq!(launched["hosts"], json!({ "wanted": N, "live": N + 1 }));
    answer(&cloud, &["quarantine", &bad]);
    expect(&mut cloud.cli("laptop", &["down", "--adopt"]), 0);
    assert!(cloud.live("five").is_empty());
    cloud.assert_decoys_untouched();
}

const WORKER: &str = "
worker: {service: w, process: sleep, command: 'work {{ queue_url }}'}
queue: {engine: sqs, url: 'https://sqs.us-east-1.amazonaws.com/123456789012/jobs'}
release: {from: release.tar, playbook: deploy.yaml}
";

const UNIT: &str = "printf '[Service]\\nExecStart=/bin/sleep 4321\\n[Install]\\nWantedBy=multi-user.target\\n' \
                    >/etc/systemd/system/w.service && systemctl daemon-reload && systemctl enable --now w";

#[test]
fn the_worker_in_quarantine_rests_wherever_the_command_was_killed() {
    let stage = Stage::new(&[
        ("fleet.yaml", &format!("{}{WORKER}", HEAD.replace("size: 4", "size: 2"))),
        ("deploy.yaml", "steps:\n- run: 'true'\n"),
        ("release.tar", "release one"),
    ]);
    let cloud = &stage.cloud;
    let launch = ["launch", "--unattested", "--image", crate::env::IMAGE];
    stage.ends("fleet.yaml", 0, &launch);
    stage.ends("fleet.yaml", 0, &["exec", "--", "sudo", "sh", "-c", UNIT]);
    let (bad, good) = (cloud.live("proof").remove(0), cloud.live("proof").remove(1));
    assert_eq!(stage.good(&bad, "systemctl is-active w"), "active");

    // Killed between the tag and the drain.
    cloud.arm("CreateTags", "after-commit");
    let child = stage.cli("fleet.yaml", &["--yes", "-o", "json", "quarantine", &bad]).spawn().unwrap();
    kill(cloud, child);
    assert!(tag(cloud, &bad, "quarantine").is_string());
    assert_eq!(stage.good(&bad, "systemctl is-active w"), "active");
    std::fs::remove_dir_all(stage.path("state")).unwrap();
    stage.ends("fleet.yaml", 0, &["quarantine", &bad]);
    assert_eq!(String::from_utf8_lossy(&stage.on(&bad, "systemctl is-active w").stdout).trim(), "inactive");
    assert!(!stage.on(&bad, "systemctl is-enabled w").status.success(), "it rests after a reboot, too");
    assert_eq!(stage.good(&good, "systemctl is-active w"), "active");

    // Left out unless it is named.
    let hosts = |arguments: &[&str]| {
        let ended = stage.ends("fleet.yaml", 0, &[&["exec"], arguments, &["--", "true"]].concat());
        let hosts = ended.json["hosts"].as_array().unwrap().clone();
        (hosts.iter().map(|host| host["host"].as_str().unwrap().to_owned()).collect::<Vec<_>>(), ended.talk)
    };
    let (named, said) = hosts(&[]);
    assert_eq!(named, std::slice::from_ref(&good));
    assert!(said.contains("is in quarantine and left out"), "{said}");
    assert_eq!(hosts(&["--only", &bad]).0, std::slice::from_ref(&bad));
    let pushed = stage.ends("fleet.yaml", 0, &["push"]).json["push"].as_array().unwrap().clone();
    assert_eq!(pushed.len(), 1, "{pushed:#?}");
    stage.ends("fleet.yaml", 0, &["logs", &bad]);

    // Killed between the start and the tag's end: it works, and is not counted until the same command ends.
    cloud.arm("DeleteTags", "before-commit");
    let off = ["--yes", "-o", "json", "quarantine", &bad, "--off"];
    kill(cloud, stage.cli("fleet.yaml", &off).spawn().unwrap());
    assert_eq!(stage.good(&bad, "systemctl is-active w && systemctl is-enabled w"), "active\nenabled");
    stage.ends("fleet.yaml", 0, &["quarantine", &bad, "--off"]);
    assert_eq!(tag(cloud, &bad, "quarantine"), json!(null));
    assert_eq!(hosts(&[]).0.len(), 2);

    // One that nobody reaches is out of the count all the same, and the command says what is not done.
    cloud.control("POST", &format!("hosts/{good}"), &json!({ "do": "blackhole" }));
    let ended = stage.ends("fleet.yaml", 3, &["quarantine", &good]);
    assert!(ended.talk.contains("the same command again"), "{}", ended.talk);
    assert!(tag(cloud, &good, "quarantine").is_string());
    cloud.control("POST", &format!("hosts/{good}"), &json!({ "do": "restore" }));
    stage.ends("fleet.yaml", 0, &["quarantine", &good]);
    assert_eq!(String::from_utf8_lossy(&stage.on(&good, "systemctl is-active w").stdout).trim(), "inactive");
}
