//! `push` and `exec` to machines that fleetwright did not launch: listed in a spec without an account, or found in one.

use crate::env::{binary, call_to, expect};
use crate::sshd::{Sshd, must};
use crate::stage::{HEAD, Stage};
use serde_json::Value;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output};

/// A machine whose `/var/lib`, where hosts keep what they have, is a folder of the test.
fn machine() -> Sshd {
    let sshd = Sshd::with("ForceCommand DIR/inside");
    let dir = sshd.dir.path().display();
    fs::create_dir(sshd.path("lib")).unwrap();
    let flags = if nix::unistd::Uid::effective().is_root() { "-m" } else { "-rm" };
    let inside = format!(
        "#!/bin/sh\nexec unshare {flags} sh -c 'mount --bind {dir}/lib /var/lib && exec sh -c \"$SSH_ORIGINAL_COMMAND\"'\n"
    );
    fs::write(sshd.path("inside"), inside).unwrap();
    fs::set_permissions(sshd.path("inside"), fs::Permissions::from_mode(0o755)).unwrap();
    sshd
}

/// A spec of two machines: one that the user knows, and one that nobody does.
struct Desk {
    known: Sshd,
    strange: Sshd,
    aws: TcpListener,
}

impl Desk {
    fn new() -> Self {
        let (known, strange) = (machine(), machine());
        let aws = TcpListener::bind("127.0.0.1:0").unwrap();
        aws.set_nonblocking(true).unwrap();
        let at = |name: &str| known.path(name).display().to_string();
        let user = known.target("i").user;
        let key = fs::read_to_string(known.path("host.pub")).unwrap();
        fs::write(known.path("known_hosts"), format!("[127.0.0.1]:{} {key}", known.port)).unwrap();
        let spec = format!(
            "version: 1\nhosts:\n  - {{name: web-1, address: 127.0.0.1, port: {}, user: {user}}}\n  \
             - {{name: web-2, address: 127.0.0.1, port: {}}}\n\
             ssh: {{user: {user}, known_hosts: known_hosts, identity: [user]}}\n\
             release: {{from: app.tar, playbook: deploy.yaml, max_fail: 50%, canary: 0}}\n",
            known.port, strange.port
        );
        fs::write(known.path("fleet.yaml"), spec).unwrap();
        let playbook = format!(
            "- unpack: {{to: \"{0}/{{{{ release }}}}\"}}\n- put: {{text: \"{{{{ instance_id }}}} {{{{ slot }}}}\", to: {0}/who}}\n",
            at("srv")
        );
        fs::write(known.path("deploy.yaml"), playbook).unwrap();
        must(
            Command::new("tar").arg("-cf").arg(known.path("app.tar")).arg("-C").arg(known.path("")).arg("deploy.yaml"),
        );
        Self { known, strange, aws }
    }

    fn run(&self, arguments: &[&str], code: i32) -> Output {
        let mut command = binary();
        command.arg("-f").arg(self.known.path("fleet.yaml")).arg("--state-dir").arg(self.known.path("state"));
        command.env("AWS_ENDPOINT_URL", format!("http://{}", self.aws.local_addr().unwrap()));
        expect(command.args(["--yes", "-o", "json"]).args(arguments), code)
    }

    /// Result and reason of each machine of a push.
    fn pushed(&self) -> Vec<(String, String)> {
        let output = self.run(&["push"], 0);
        let value: Value = serde_json::from_slice(&output.stdout).unwrap();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        value["push"].as_array().unwrap().iter().map(|p| (text(&p["result"]), text(&p["reason"]))).collect()
    }
}

#[test]
fn machines_of_others_get_a_release_and_nothing_else() {
    let desk = Desk::new();
    let first = desk.pushed();
    assert_eq!(first[0].0, "changed", "{first:?}");
    assert_eq!(fs::read_to_string(desk.known.path("srv/who")).unwrap(), "web-1 0");
    // The other one is never believed, whatever key it shows: no login is tried, nothing is written.
    assert_eq!(first[1].0, "refused", "{first:?}");
    assert!(first[1].1.contains("SHA256:"), "{first:?}");
    assert_eq!(fs::read_dir(desk.strange.path("lib")).unwrap().count(), 0);

    let planned = desk.run(&["plan", "push"], 0);
    assert!(String::from_utf8_lossy(&planned.stdout).contains(" to 2 hosts"), "{planned:?}");
    let again = desk.pushed();
    assert_eq!(again[0].0, "ok", "what it has already is not brought again: {again:?}");

    let said = desk.run(&["exec", "--only", "web-1", "--", "echo hello from $((40 + 2))"], 0);
    assert!(String::from_utf8_lossy(&said.stdout).contains("ok"), "{said:?}");
    desk.run(&["exec", "--max-fail", "0", "--", "true"], 3);
    desk.run(&["exec", "--only", "web-3", "--", "true"], 2);

    // Verbs that need an account say so before they ask anybody.
    for verb in [&["down"][..], &["status"], &["plan", "down"], &["wait"], &["launch"]] {
        let output = desk.run(verb, 2);
        assert!(String::from_utf8_lossy(&output.stderr).contains("account") || verb[0] != "down", "{output:?}");
    }
    assert!(desk.aws.accept().is_err(), "AWS was asked something");
}

/// Two hosts that carry `Role=web` and no tag of a fleet, as somebody else's would.
fn others() -> (Stage, Vec<String>) {
    let stage = Stage::new(&[("fleet.yaml", HEAD)]);
    let image = crate::env::IMAGE;
    stage.ends("fleet.yaml", 0, &["--set", "fleet.size=3", "launch", "--unattested", "--image", image]);
    let mut hosts = stage.cloud.live("proof");
    hosts.sort();
    for (n, id) in hosts.iter().enumerate() {
        let role = if n < 2 { "web" } else { "webserver" };
        stage
            .cloud
            .ec2(&format!("Action=CreateTags&Version=2016-11-15&ResourceId.1={id}&Tag.1.Key=Role&Tag.1.Value={role}"));
        stage
            .cloud
            .ec2(&format!("Action=DeleteTags&Version=2016-11-15&ResourceId.1={id}&Tag.1.Key=fleetwright%3Afleet"));
    }
    let head = "version: 1\naccount: '123456789012'\nregion: us-east-1\n";
    let release = "release: {from: app.tar, playbook: deploy.yaml, canary: 0}\n";
    let tagged = format!("{head}hosts: {{tag: Role=web}}\nssh: {{known_hosts: known_hosts}}\n{release}");
    let playbook = "- unpack: {to: \"/opt/{{ release }}\"}\n- put: {text: \"{{ instance_id }}\", to: /opt/who}\n";
    stage.write(&[("tagged.yaml", &tagged), ("deploy.yaml", playbook)]);
    must(Command::new("tar").arg("-cf").arg(stage.path("app.tar")).arg("-C").arg(stage.path("")).arg("deploy.yaml"));
    (stage, hosts)
}

#[test]
fn machines_found_by_tag_get_a_release_and_no_tag() {
    let (stage, hosts) = others();
    let audited = |action: &str| stage.cloud.calls(action).len();
    let (tags, ends) = (audited("CreateTags"), audited("TerminateInstances"));
    let push = stage.ends("tagged.yaml", 0, &["push"]);
    let results = push.json["push"].as_array().unwrap().clone();
    assert_eq!(results.len(), 2, "{}", push.json);
    for id in &hosts[..2] {
        assert_eq!(stage.good(id, "cat /opt/who"), *id);
    }
    assert!(!stage.on(&hosts[2], "cat /opt/who").status.success(), "webserver is not web");
    assert_eq!((audited("CreateTags"), audited("TerminateInstances")), (tags, ends), "what is not ours is not touched");

    // The command line names others than the spec does, and says so where it tells how to go on.
    let exec = stage.ends("fleet.yaml", 3, &["exec", "--tag", "Role=web", "--", "test \"$(cat /opt/who)\" = x"]);
    assert_eq!(exec.json["hosts"].as_array().unwrap().len(), 2);
    let again = format!("fleetwright exec --tag 'Role=web' --only {},{} -- COMMAND", hosts[0], hosts[1]);
    let turned = format!("fleetwright exec --tag 'Role=web' --only {},{} -- COMMAND", hosts[1], hosts[0]);
    assert!(exec.talk.contains(&again) || exec.talk.contains(&turned), "{}", exec.talk);
    let one = stage.ends("fleet.yaml", 0, &["exec", "--tag", "Role=web", "--only", &hosts[0], "--", "true"]);
    assert_eq!(one.json["hosts"][0]["host"], hosts[0].as_str());

    // Nobody there is no success: of a tag, of a group, of a fleet.
    let none = stage.ends("tagged.yaml", 2, &["push", "--tag", "Role=web", "--tag", "Stage=prod"]);
    assert!(none.talk.contains("find a machine by tag Role=web and Stage=prod"), "{}", none.talk);
    let none = stage.ends("tagged.yaml", 2, &["exec", "--group", "api-prod", "--", "true"]);
    assert!(none.talk.contains("group api-prod: none is running in us-east-1"), "{}", none.talk);
    assert_eq!(none.json["hosts"].as_array().map(Vec::len), Some(0), "{}", none.json);
    for verb in [&["exec", "--", "true"][..], &["push"]] {
        let none =
            stage.ends("fleet.yaml", 2, &[&["--set", "release={from: app.tar, playbook: deploy.yaml}"], verb].concat());
        assert!(none.talk.contains("find a host of proof: none is running"), "{}", none.talk);
        assert!(none.talk.contains("fleetwright launch"), "{}", none.talk);
    }

    // A group that somebody else made, and its members alone.
    let group = "Action=CreateAutoScalingGroup&Version=2011-01-01&AutoScalingGroupName=api-live\
                 &LaunchTemplate.LaunchTemplateName=fleetwright-proof&MinSize=1&MaxSize=1\
                 &VPCZoneIdentifier=subnet-0aaa0000000000000";
    assert_eq!(call_to("autoscaling", stage.cloud.authority(), group).0, 200);
    let member = (0..500).find_map(|_| {
        std::thread::sleep(std::time::Duration::from_millis(20));
        let world = stage.cloud.world();
        let of_group = |host: &&Value| host["tags"]["aws:autoscaling:groupName"] == "api-live";
        let member = world["instances"].as_array().unwrap().iter().find(of_group)?;
        (!member["private_ip"].is_null()).then(|| member["id"].as_str().unwrap().to_owned())
    });
    let member = member.expect("the group launches its host");
    assert!(stage.comes_true(&member, "true"), "it boots");
    let push = stage.ends("tagged.yaml", 0, &["push", "--group", "api-live"]);
    let told: Vec<&Value> = push.json["push"].as_array().unwrap().iter().map(|host| &host["host"]).collect();
    assert_eq!(told, [&Value::from(member.as_str())], "{}", push.json);
    assert_eq!(stage.good(&member, "cat /opt/who"), member);
    assert_eq!((audited("CreateTags"), audited("TerminateInstances")), (tags, ends), "nor is what a group has");
}

#[test]
fn keys_of_others_come_from_known_hosts_or_the_console_and_nowhere_else() {
    let (stage, hosts) = others();
    stage.cloud.control("POST", &format!("hosts/{}", hosts[0]), &serde_json::json!({ "do": "rekey" }));
    let exec = stage.ends("tagged.yaml", 3, &["exec", "--", "true"]);
    for host in exec.json["hosts"].as_array().unwrap() {
        let wanted = if host["host"] == hosts[0].as_str() { "refused" } else { "ok" };
        assert_eq!(host["result"], wanted, "{host}");
    }
    // Machines of a file are known by known_hosts alone: AWS is not asked.
    let world = stage.cloud.world();
    let at = |id: &str| {
        let all = world["instances"].as_array().unwrap();
        all.iter().find(|host| host["id"] == id).unwrap()["private_ip"].as_str().unwrap().to_owned()
    };
    stage.write(&[("machines.txt", &format!("# ours no more\n\nec2-user@{}\n", at(&hosts[1])))]);
    let consoles = stage.cloud.calls("GetConsoleOutput").len();
    let exec = stage.ends("tagged.yaml", 3, &["exec", "--hosts", "machines.txt", "--", "true"]);
    assert_eq!(exec.json["hosts"][0]["result"], "refused", "{}", exec.json);
    assert!(exec.talk.contains("is not known"), "{}", exec.talk);
    assert_eq!(stage.cloud.calls("GetConsoleOutput").len(), consoles);
    let wrong = stage.ends("tagged.yaml", 2, &["exec", "--hosts", "nowhere.txt", "--", "true"]);
    assert!(wrong.talk.contains("--hosts <FILE>"), "{}", wrong.talk);
}
