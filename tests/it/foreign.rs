//! `push` and `exec` to machines that fleetwright did not launch: a spec without an account, a real sshd, no call to AWS.

use crate::env::{binary, expect};
use crate::sshd::{Sshd, must};
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
