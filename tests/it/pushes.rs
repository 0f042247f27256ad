//! Pushing and running commands on real hosts: every step once, results per host, hostile output, hosts that hang.

use crate::sshd::must;
use crate::stage::{Ended, HEAD, Stage, ended};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

const RELEASE: &str = "
release:
  from: release.tar.gz
  playbook: deploy.yaml
  canary: 0
  max_fail: 0%
  vars: {root: /opt/w}
";

/// All seven steps. `/opt/hostile` is on one host only.
const DEPLOY: &str = r#"
- name: a file with a name
  put: {to: "/etc/it's \"quoted\" $(touch pwned)\nand `two` lines\n/file\n", text: "slot {{ slot }}\n", mode: "0640"}
- name: release
  unpack: {to: "{{ root }}/{{ release }}"}
- name: unit
  put: {to: /etc/systemd/system/fix.service, text: "[Service]\nExecStart={{ root }}/current/serve\n[Install]\nWantedBy=multi-user.target\n"}
- name: switch
  link: {to: "{{ root }}/{{ release }}", at: "{{ root }}/current"}
- name: serve
  restart: fix
- name: hostile
  run: |
    [ ! -e /opt/hostile ] || { printf '\033]0;owned\007\033[2J\377\376\357\277\276]]><x a="\n'; head -c 10000000 /dev/zero | tr '\0' A; printf '\033[31mno room'; exit 9; }
- name: new boot
  reboot: {within: 1m}
- name: serves after the boot
  check: systemctl is-active fix && test "$(cat {{ root }}/current/version)" = one
  retries: 5
"#;

fn stage() -> Stage {
    let stage = Stage::new(&[("fleet.yaml", HEAD)]);
    stage.write(&[("push.yaml", &format!("{HEAD}{RELEASE}")), ("deploy.yaml", DEPLOY)]);
    fs::create_dir(stage.path("tree")).unwrap();
    stage.write(&[("tree/serve", "#!/bin/sh\nwhile :; do sleep 1; done\n"), ("tree/version", "one\n")]);
    must(Command::new("tar").arg("-C").arg(stage.path("tree")).arg("-czf").arg(stage.path("release.tar.gz")).arg("."));
    let image = crate::env::IMAGE;
    stage.ends("fleet.yaml", 0, &["launch", "--unattested", "--image", image]);
    stage
}

impl Stage {
    /// Live hosts by slot.
    fn slots(&self) -> BTreeMap<String, String> {
        let told = self.ends("fleet.yaml", 0, &["exec", "--", "true"]).results();
        assert_eq!(told.len(), 4);
        let status = self.ends("fleet.yaml", 0, &["status"]).json;
        let hosts = status["hosts"].as_array().unwrap_or_else(|| panic!("{status}")).clone();
        hosts.iter().map(|h| (h["slot"].to_string(), h["id"].as_str().unwrap().to_owned())).collect()
    }
}

impl Ended {
    /// Result and reason of each host.
    fn results(&self) -> BTreeMap<String, (String, String)> {
        let hosts = self.json.get("push").unwrap_or(&self.json["hosts"]);
        let hosts = hosts.as_array().unwrap_or_else(|| panic!("{}\n{}", self.json, self.talk));
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        hosts.iter().map(|h| (text(&h["host"]), (text(&h["result"]), text(&h["reason"])))).collect()
    }
}

/// Nothing that a terminal acts on, and not more than a page or two.
#[track_caller]
fn assert_tame(what: &str, text: &str) {
    let wild = text.chars().find(|c| c.is_control() && !matches!(c, '\n' | '\t'));
    assert_eq!(wild, None, "{what}");
    assert!(text.len() < 40_000, "{what}: {} bytes", text.len());
}

#[test]
fn a_push_does_all_steps_and_tells_the_hostile_host() {
    let stage = stage();
    let hosts = stage.slots();
    let bad = &hosts["1"];
    stage.good(bad, "touch /opt/hostile");
    let talk = ["--failed-to", "failed.txt", "--junit", "push.xml"];
    let push =
        ended(&stage.cli("push.yaml", &[&["--yes", "-o", "json", "push"], &talk[..]].concat()).output().unwrap());
    assert_eq!(push.code, Some(3), "{}", push.talk);
    assert_tame("the terminal", &push.talk);
    assert!(push.talk.contains("failed at hostile: exit 9") && push.talk.contains("\\e[31mno room"), "{}", push.talk);
    assert!(push.talk.contains(&format!("fleetwright push --only {bad}")), "{}", push.talk);
    for (host, (result, reason)) in push.results() {
        let wanted = if host == *bad { "failed" } else { "changed" };
        assert_eq!(result, wanted, "{host}: {reason}");
    }
    assert_tame("the summary", &push.json.to_string());
    assert_eq!(fs::read_to_string(stage.path("failed.txt")).unwrap(), format!("{bad}\n"));

    let xml = fs::read_to_string(stage.path("push.xml")).unwrap();
    assert_tame("the JUnit report", &xml);
    let report = quick_junit::Report::deserialize_from_str(&xml).unwrap_or_else(|e| panic!("{e}\n{xml}"));
    let [suite] = report.test_suites.as_slice() else { panic!("{xml}") };
    assert_eq!((suite.name.as_str(), suite.test_cases.len()), ("push proof", 4));
    let failures: Vec<_> = suite
        .test_cases
        .iter()
        .filter_map(|case| match &case.status {
            quick_junit::TestCaseStatus::NonSuccess { message, .. } => Some((case.name.as_str(), message.clone())),
            _ => None,
        })
        .collect();
    let [(name, Some(message))] = failures.as_slice() else { panic!("{xml}") };
    assert_eq!(*name, format!("#1 {bad}"));
    assert!(message.as_str().contains("hostile: exit 9") && message.as_str().contains("\\e[31mno room"), "{xml}");

    let run = fs::read_dir(stage.path("state")).unwrap().flatten().map(|e| e.path().join("runs")).find(|p| p.is_dir());
    let mut pushes = 0;
    for run in fs::read_dir(run.unwrap()).unwrap().flatten() {
        for file in ["journal.jsonl", "events.jsonl"] {
            let text = fs::read_to_string(run.path().join(file)).unwrap();
            assert_tame(file, &text);
            let end = text.lines().last().unwrap();
            if file == "events.jsonl" && text.contains("\"verb\":\"push\"") {
                assert!(end.contains("\"event\":\"run-finished\"") && end.contains("\"exit\":3"), "{end}");
                pushes += 1;
            }
        }
    }
    assert_eq!(pushes, 1, "its events end as the process did");

    // The fix is there after the boot that the playbook made; it is there after one that it did not make, too.
    let good = &hosts["0"];
    stage.cloud.control("POST", &format!("hosts/{good}"), &serde_json::json!({ "do": "reboot" }));
    assert!(stage.comes_true(good, "systemctl is-active fix && test -s /opt/w/current/version"));
    let named = "cat /etc/it*/file*; stat -c %a /etc/it*/file*; test ! -e /pwned && ls -d /etc/it*/";
    let wanted = "slot 0\n640\n/etc/it's \"quoted\" $(touch pwned)\nand `two` lines\n/";
    assert_eq!(stage.good(good, named), wanted);

    // Exactly the failed one again.
    stage.good(bad, "rm /opt/hostile");
    let again = stage.ends("push.yaml", 0, &["push", "--only", "@failed.txt", "--failed-to", "failed.txt"]).results();
    assert_eq!(
        again.into_iter().map(|(host, (result, _))| (host, result)).collect::<Vec<_>>(),
        [(bad.clone(), "changed".to_owned())]
    );
    assert_eq!(fs::read_to_string(stage.path("failed.txt")).unwrap(), "");
    // None failed: an empty list must not become every host.
    let none = ended(&stage.cli("push.yaml", &["--yes", "push", "--only", "@failed.txt"]).output().unwrap());
    assert!(none.code == Some(2) && none.talk.contains("names no host"), "{:?} {}", none.code, none.talk);
    let all = stage.ends("push.yaml", 0, &["push"]).results();
    assert!(all.values().all(|(result, _)| result == "ok"), "{all:?}");
}

#[test]
fn a_command_is_told_per_host_and_ends_with_whoever_waits_for_it() {
    let stage = stage();
    let hosts = stage.slots();
    let (silent, loud) = (&hosts["1"], &hosts["2"]);
    stage.good(silent, "touch /opt/silent");
    stage.good(loud, "touch /opt/hostile");
    let script = "[ ! -e /opt/silent ] || sleep 4321; \
                  [ ! -e /opt/hostile ] || { printf '\\033[2J\\377\\n\\033[31mno'; head -c 10000000 /dev/zero; exit 9; }; echo fine";
    let exec = [
        "--yes",
        "-o",
        "json",
        "exec",
        "--within",
        "2s",
        "--failed-to",
        "failed.txt",
        "--junit",
        "exec.xml",
        "--",
        script,
    ];
    let told = ended(&stage.cli("fleet.yaml", &exec).output().unwrap());
    assert_eq!(told.code, Some(3), "{}", told.talk);
    assert_tame("the terminal", &told.talk);
    assert_tame("the summary", &told.json.to_string());
    assert_tame("the JUnit report", &fs::read_to_string(stage.path("exec.xml")).unwrap());
    let results = told.results();
    for (slot, wanted, reason) in
        [("0", "ok", ""), ("1", "failed", "no end within 2s"), ("2", "failed", "exit 9"), ("3", "ok", "")]
    {
        let (result, why) = &results[&hosts[slot]];
        assert!(result == wanted && why.contains(reason), "{slot}: {result} {why}");
    }
    assert_eq!(fs::read_to_string(stage.path("failed.txt")).unwrap(), format!("{silent}\n{loud}\n"));
    let gone = "! pgrep -f '[s]leep 4321'";
    assert!(stage.comes_true(silent, gone));
    // Equal output is shown once, with its hosts.
    let table = stage.cli("fleet.yaml", &["--yes", "exec", "--only", "0,3", "--", "echo same"]).output().unwrap();
    let wanted = format!("--- #0 {}, #3 {} (2)\nsame\n", hosts["0"], hosts["3"]);
    assert_eq!(String::from_utf8_lossy(&table.stdout), wanted);

    // Twice Ctrl-C, and SIGKILL: neither leaves anything running on the hosts, not even what ignores the first signal.
    for signals in [&[Signal::SIGINT, Signal::SIGINT][..], &[Signal::SIGKILL]] {
        let script = "trap : TERM; sleep 4321 & wait; sleep 4321";
        let running = stage.cli("fleet.yaml", &["--yes", "-o", "json", "exec", "--", script]).spawn().unwrap();
        for host in hosts.values() {
            assert!(stage.comes_true(host, "pgrep -f '[s]leep 4321'"));
        }
        for signal in signals {
            kill(Pid::from_raw(i32::try_from(running.id()).unwrap()), *signal).unwrap();
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        let told = ended(&running.wait_with_output().unwrap());
        if signals.len() == 2 {
            assert_eq!(told.code, Some(130), "{}", told.talk);
            assert!(told.talk.contains("exec was stopped on request"), "{}", told.talk);
            assert!(told.results().values().all(|(_, why)| why.contains("told to end the command")), "{}", told.json);
        }
        for host in hosts.values() {
            assert!(stage.comes_true(host, gone), "{}", stage.good(host, "ps -ef"));
        }
    }
}
