//! Into hosts by other tools: `inventory` and `ssh` with the real OpenSSH client, `logs`, and what they refuse.

use crate::env::{IMAGE, expect, test_tool};
use crate::stage::{HEAD, Stage};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::process::{Command, Output, Stdio};

const WORKER: &str = "worker: {service: fix, process: serve}\n";

/// Two hosts that answer.
fn stage() -> Stage {
    let stage = Stage::new(&[("fleet.yaml", &format!("{HEAD}{WORKER}"))]);
    let small = ["--set", "fleet.size=2", "--set", "fleet.accept.min=2"];
    stage.ends("fleet.yaml", 0, &[&small[..], &["launch", "--unattested", "--image", IMAGE]].concat());
    stage
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

impl Stage {
    #[track_caller]
    fn answer(&self, code: i32, arguments: &[&str]) -> Value {
        let output = expect(&mut self.cli("fleet.yaml", &[&["-o", "json"], arguments].concat()), code);
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// The system's ssh with what `inventory` printed; a user who has no agent and no other keys.
    fn ssh(&self, arguments: &[&str]) -> Output {
        let config = self.path("fleet.ssh");
        let mut command = Command::new("ssh");
        command.arg("-F").arg(config).args(["-o", "BatchMode=yes", "-o", "IdentityAgent=none"]).args(arguments);
        command.stdin(Stdio::null()).output().unwrap()
    }

    fn control(&self, id: &str, what: &str) {
        self.cloud.control("POST", &format!("hosts/{id}"), &json!({ "do": what }));
    }
}

#[test]
fn hosts_are_entered_by_the_key_that_was_pinned_and_by_no_other() {
    let stage = stage();
    let told = stage.answer(0, &["inventory"]);
    let hosts = told["hosts"].as_array().unwrap();
    assert_eq!(hosts.len(), 2, "{told:#}");
    assert!(hosts.iter().all(|host| host["key_known"] == true), "{told:#}");
    let (id, address) = (hosts[1]["id"].as_str().unwrap(), hosts[1]["address"].as_str().unwrap());

    // The page is what the tool reads, and nothing else.
    let page = expect(&mut stage.cli("fleet.yaml", &["inventory"]), 0);
    assert_eq!(text(&page.stdout), told["text"].as_str().unwrap());
    std::fs::write(stage.path("fleet.ssh"), &page.stdout).unwrap();
    for name in ["proof-1", id] {
        let read = text(&stage.ssh(&["-G", name]).stdout);
        let known = format!("userknownhostsfile {}", told["known_hosts"].as_str().unwrap());
        for line in
            [&format!("hostname {address}"), &format!("hostkeyalias {id}"), "stricthostkeychecking true", &known]
        {
            assert!(read.lines().any(|have| have == line), "{line}: {read}");
        }
        let entered = stage.ssh(&[name, "echo in; exit 7"]);
        assert_eq!(
            (text(&entered.stdout).as_str(), entered.status.code()),
            ("in\n", Some(7)),
            "{}",
            text(&entered.stderr)
        );
    }
    let hosts = expect(&mut stage.cli("fleet.yaml", &["inventory", "--format", "hosts"]), 0);
    assert!(
        text(&hosts.stdout).lines().any(|line| line == format!("{address}\tproof-1 {id}")),
        "{}",
        text(&hosts.stdout)
    );

    // The same by slot, id and address: words are kept, the exit code is passed on.
    for name in ["1", "#1", id, address] {
        let said = expect(&mut stage.cli("fleet.yaml", &["ssh", name, "--", "printf", "%s|", "a b", "$HOME"]), 0);
        assert_eq!(text(&said.stdout), "a b|$HOME|");
    }
    expect(&mut stage.cli("fleet.yaml", &["ssh", "1", "--", "kill -9 $$; echo no"]), 255);
    expect(&mut stage.cli("fleet.yaml", &["ssh", "1", "--", "exit 42"]), 42);
    let line = stage.answer(0, &["ssh", "1", "--dry-run", "--", "uname -r"]);
    let words: Vec<&str> = line["command"].as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect();
    assert_eq!((words[0], &words[words.len() - 3..]), ("ssh", &["--", address, "uname -r"][..]));
    let refused = expect(&mut stage.cli("fleet.yaml", &["-o", "json", "ssh", "1", "--", "true"]), 2);
    assert!(text(&refused.stderr).contains("the host's own"), "{}", text(&refused.stderr));
    let nobody = expect(&mut stage.cli("fleet.yaml", &["ssh", "10.9.8.7"]), 2);
    assert!(text(&nobody.stderr).contains("failed to find 10.9.8.7 among the running hosts"));

    // Another key at the same address gets nothing.
    stage.control(id, "rekey");
    for output in
        [stage.ssh(&["proof-1", "true"]), stage.cli("fleet.yaml", &["ssh", "1", "--", "true"]).output().unwrap()]
    {
        assert_eq!(output.status.code(), Some(255), "{}", text(&output.stderr));
        assert!(text(&output.stderr).contains("Host key verification failed"), "{}", text(&output.stderr));
    }
    let kept = std::fs::read_to_string(told["known_hosts"].as_str().unwrap()).unwrap();
    assert_eq!(kept.lines().count(), 2, "ssh writes nothing into our file: {kept}");
}

/// Ansible checks the pinned keys by the system's ssh; without a terminal, since hosts of the rehearsal cloud have none.
#[test]
fn ansible_reaches_every_host_by_the_inventory() {
    let stage = stage();
    let inventory = expect(&mut stage.cli("fleet.yaml", &["inventory", "--format", "ansible"]), 0);
    std::fs::write(stage.path("hosts.yaml"), &inventory.stdout).unwrap();
    let ping = || {
        let mut ansible = Command::new(test_tool("ansible"));
        ansible.args(["-i", "hosts.yaml", "all", "-o", "-m", "ping"]).current_dir(stage.dir.path()).env_clear();
        ansible.env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("HOME", stage.dir.path());
        ansible.env("LC_ALL", "C.UTF-8").env("ANSIBLE_PIPELINING", "1").stdin(Stdio::null()).output().unwrap()
    };
    let output = ping();
    let said = text(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", text(&output.stderr));
    for host in ["proof-0 | SUCCESS", "proof-1 | SUCCESS"] {
        assert!(said.contains(host), "{said}");
    }
    assert_eq!(said.matches("pong").count(), 2, "{said}");
    // Another key at the same address gets nothing.
    let swapped = stage.answer(0, &["inventory"])["hosts"][1]["id"].as_str().unwrap().to_owned();
    stage.control(&swapped, "rekey");
    let said = text(&ping().stdout);
    assert!(said.contains("proof-0 | SUCCESS") && said.contains("proof-1 | UNREACHABLE"), "{said}");
}

#[test]
fn logs_show_console_and_journal() {
    let stage = stage();
    let log = r"mkdir -p /var/log/units && printf 'one\nserved \033[31m7\n' > /var/log/units/fix.service.log";
    stage.ends("fleet.yaml", 0, &["exec", "--", log]);
    let logs = stage.answer(0, &["logs", "0"]);
    assert!(logs["console"].as_str().unwrap().contains("BEGIN SSH HOST KEY KEYS"), "{logs:#}");
    assert_eq!((&logs["journal"], &logs["reason"]), (&json!("one\nserved \\e[31m7\n"), &json!(null)), "{logs:#}");
    assert_eq!(stage.answer(0, &["logs", "0", "--lines", "1"])["journal"], "served \\e[31m7\n");
    let page = text(&expect(&mut stage.cli("fleet.yaml", &["logs", "0"]), 0).stdout);
    assert!(page.contains("\n--- journal of fix on #0 i-") && !page.contains('\x1b'), "{page}");

    // Followed, it is shown as it is written; on the host that ends with us.
    let mut follow = stage.cli("fleet.yaml", &["logs", "0", "-f", "--lines", "1"]).spawn().unwrap();
    let mut lines = BufReader::new(follow.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "served \\e[31m7");
    let id = logs["host"].as_str().unwrap();
    stage.good(id, r"printf 'and\033[2J more\n' | sudo tee -a /var/log/units/fix.service.log");
    assert_eq!(lines.next().unwrap().unwrap(), "and\\e[2J more");
    assert!(stage.on(id, "pgrep -f '[t]ail -n 1 -f'").status.success());
    follow.kill().unwrap();
    follow.wait().unwrap();
    assert!(stage.comes_true(id, "! pgrep -f '[t]ail -n 1 -f'"), "nobody listens any more");
    let data = expect(&mut stage.cli("fleet.yaml", &["-o", "json", "logs", "0", "--follow"]), 2);
    assert!(text(&data.stderr).contains("what is followed has no end"));

    // A host that answers no more still has its console.
    let id = logs["host"].as_str().unwrap();
    stage.control(id, "rekey");
    let logs = stage.answer(3, &["logs", id]);
    assert!(!logs["console"].as_str().unwrap().is_empty() && logs["journal"].is_null(), "{logs:#}");
    assert!(logs["reason"].as_str().unwrap().contains("has changed"), "{logs:#}");
}

#[test]
fn why_a_host_is_as_it_is() {
    let stage = stage();
    let why = stage.answer(0, &["status", "--why", "1"]);
    assert_eq!((&why["state"], &why["slot"]), (&json!("running"), &json!(1)), "{why:#}");
    assert!(why["age_seconds"].as_i64().unwrap() > 0 && why["console"].as_str().unwrap().len() < 5000, "{why:#}");
    assert!(why["waiting_for"].as_str().unwrap().starts_with("fix: "), "no such unit yet: {why:#}");
    let reached = |why: &Value| {
        let steps = why["boot"].as_array().unwrap().iter();
        steps.map(|step| step["reached"].as_bool().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(reached(&why), [true, true, true, true, false], "{why:#}");
    let id = why["host"].as_str().unwrap();

    stage.control(id, "blackhole");
    let why = stage.answer(0, &["status", "--why", id]);
    assert!(why["waiting_for"].as_str().unwrap().starts_with("SSH: connect: no answer"), "{why:#}");
    assert_eq!(reached(&why), [true, true, true, false, false], "{why:#}");

    // Who filled the slot last can be asked about after its end.
    stage.cloud.ec2(&format!("Action=TerminateInstances&Version=2016-11-15&InstanceId.1={id}"));
    let page = text(&expect(&mut stage.cli("fleet.yaml", &["status", "--why", "#1"]), 0).stdout);
    assert!(page.starts_with(&format!("#1 {id} is ")) && page.contains("\nwaits    for nothing\n"), "{page}");
    assert!(page.contains("\nreason   Client."), "{page}");
    let nobody = expect(&mut stage.cli("fleet.yaml", &["status", "--why", "77"]), 2);
    assert!(text(&nobody.stderr).contains("failed to find slot 77 in this fleet"));
}
