//! The template's proof on a real host: what verify refuses, why, and how it leaves the template; what bake and launch make
//! of it.

use crate::stage::{HEAD, Stage, TEMPLATE};
use serde_json::{Value, json};

/// The worker's unit, and `one`, which completes an item or does not, as the file `mode` says.
const SETUP: &str = "#!/bin/sh
set -eu
mkdir -p /opt/worker /etc/systemd/system
echo good >/opt/worker/mode
cat >/opt/worker/loop <<'END'
#!/bin/sh
if [ \"$(cat /opt/worker/mode)\" = crash ]; then echo 'no database: giving up'; exit 7; fi
while :; do sleep 1; done
END
cat >/opt/worker/one <<'END'
#!/bin/sh
case $(cat /opt/worker/mode) in good) ;; hang) sleep 4321 ;; *) echo 'item refused'; exit 1 ;; esac
END
chmod 755 /opt/worker/loop /opt/worker/one
printf '[Service]\\nExecStart=/opt/worker/loop\\nRestart=always\\nRestartSec=200ms\\n[Install]\\nWantedBy=multi-user.target\\n' \\
    >/etc/systemd/system/w.service
systemctl enable --now w
";

const WORKER: &str = "
worker:
  service: w
  process: /opt/worker/loop
  command: /opt/tool/fleetwright work --queue-url {{ queue_url }} --exit-when-empty -- /opt/worker/one
queue: {engine: sqs, url: 'https://sqs.us-east-1.amazonaws.com/123456789012/jobs'}
feed: {from: {lines: items.txt}}
release: {from: release.tar, playbook: deploy.yaml}
rehearsal:
  setup: setup.sh
  mounts: [{at: /opt/tool, from: 'BIN'}]
";

/// `fleet.yaml` checks everything; `canary.yaml` and `scan.yaml` leave out what takes a reboot or a worker.
fn stage() -> Stage {
    let template = |rest: &str| format!("{HEAD}template: {{instance: {TEMPLATE}{rest}}}\n{WORKER}");
    Stage::new(&[
        ("fleet.yaml", &template(", verify: verify.yaml, canary: {items: 3, within: 5m}")),
        ("canary.yaml", &template(", canary: {items: 3, within: 2m}")),
        ("checks.yaml", &template(", verify: verify.yaml")),
        ("scan.yaml", &template("")),
        (
            "verify.yaml",
            "steps:\n- name: tool\n  check: test -x /opt/worker/one\n- name: reboot\n  reboot: {within: 1m}\n",
        ),
        ("deploy.yaml", "steps:\n- run: 'true'\n"),
        ("release.tar", "release one"),
        ("items.txt", "a\nb\nc\nd\n"),
        ("setup.sh", SETUP),
    ])
}

impl Stage {
    fn boot(&self) -> String {
        self.good(TEMPLATE, "cat /proc/sys/kernel/random/boot_id")
    }

    /// Nothing of a canary is left: no queue, no worker on the template.
    #[track_caller]
    fn assert_no_canary(&self) {
        let queues = self.cloud.world()["queues"].to_string();
        assert!(!queues.contains("canary"), "{queues}");
        let gone = "! pgrep -f '[f]leetwright work' && ! pgrep -f '[s]leep 4321'";
        assert!(self.comes_true(TEMPLATE, gone), "{}", self.good(TEMPLATE, "ps -ef || cat /proc/[0-9]*/cmdline"));
    }

    #[track_caller]
    fn refused(&self, spec: &str, code: i32, words: &[&str]) {
        let talk = self.ends(spec, code, &["verify"]).talk;
        for word in words {
            assert!(talk.contains(word), "{word:?} is not in:\n{talk}");
        }
    }
}

#[test]
fn a_template_with_secrets_on_it_is_refused() {
    let stage = stage();
    stage.good(
        TEMPLATE,
        "mkdir -p .ssh .aws /opt/app/tls /opt/worker/releases; cd; ssh-keygen -q -t ed25519 -N '' -f .ssh/work; \
         cp .ssh/work /opt/app/tls/server.pem; printf '[default]\\naws_secret_access_key = x\\n' >.aws/credentials; \
         echo AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI >/etc/environment; echo 1234 >/etc/machine-id",
    );
    stage.refused(
        "scan.yaml",
        8,
        &[
            "/home/ec2-user/.ssh/work (a private key)",
            "/opt/app/tls/server.pem (a private key)",
            "/home/ec2-user/.aws/credentials (credentials)",
            "/etc/environment (a secret access key)",
            "take them off the template",
        ],
    );
    // Nothing was cleaned of a template that is refused, and bake looks again: it stops no worker for that.
    assert_eq!(stage.good(TEMPLATE, "cat /etc/machine-id"), "1234");
    let talk = stage.ends("scan.yaml", 8, &["bake", "--unverified"]).talk;
    assert!(talk.contains("server.pem") && stage.good(TEMPLATE, "systemctl is-active w") == "active", "{talk}");
    assert!(stage.cloud.calls("CreateImage").is_empty());

    stage.good(TEMPLATE, "rm -r .ssh/work /opt/app/tls .aws /etc/environment");
    let talk = stage.ends("scan.yaml", 0, &["verify"]).talk;
    assert!(talk.contains("to be cleaned by bake: /etc/machine-id (the machine id)"), "{talk}");
    assert!(talk.contains("made anew by every copy: /etc/ssh/ssh_host_*_key"), "{talk}");
    let talk = stage.ends("scan.yaml", 0, &["bake"]).talk;
    assert!(talk.contains("cleaned: /etc/machine-id"), "{talk}");
    assert_eq!(stage.good(TEMPLATE, "wc -c </etc/machine-id").trim(), "0");
}

#[test]
fn a_worker_that_does_not_work_is_refused_and_leaves_nothing() {
    let stage = stage();
    stage.good(TEMPLATE, "echo hang >/opt/worker/mode");
    stage.refused("canary.yaml", 3, &["3 real items", "within 120s", "3 left, the worker still ran", "canary.within"]);
    stage.assert_no_canary();
    stage.good(TEMPLATE, "echo bad >/opt/worker/mode");
    stage.refused("canary.yaml", 3, &["3 real items", "the worker broke down: exit 11"]);
    stage.assert_no_canary();
    let command = "worker.command=/opt/tool/fleetwright work --queue-url {{ queue_url }} -- /opt/worker/none";
    let talk = stage.ends("canary.yaml", 3, &["--set", command, "verify"]).talk;
    assert!(talk.contains("the worker broke down: exit 2") && talk.contains("by hand"), "{talk}");
    stage.assert_no_canary();
    // A worker that never ends by itself is ended when its items are done.
    stage.good(TEMPLATE, "echo good >/opt/worker/mode");
    let command = "worker.command=/opt/tool/fleetwright work --queue-url {{ queue_url }} -- /opt/worker/one";
    let talk = stage.ends("canary.yaml", 0, &["--set", command, "verify"]).talk;
    assert!(talk.contains("3 of 3 items completed by the template alone"), "{talk}");
    stage.assert_no_canary();
    // What one that was killed had taken comes back when the next one has left: it is run again.
    let work = "/opt/tool/fleetwright work --queue-url {{ queue_url }}";
    let command = format!(
        "worker.command=test -e w && exec {work} --exit-when-empty -- true; touch w; timeout -s KILL 1 {work} -- sleep 2 >out 2>&1; true"
    );
    let longer = "template.canary.within=8m";
    let talk = stage.ends("canary.yaml", 0, &["--set", &command, "--set", longer, "verify"]).talk;
    assert!(talk.contains("3 of 3 items completed by the template alone"), "{talk}");
    stage.assert_no_canary();
}

#[test]
fn the_reboot_is_asked_for_and_proven() {
    let stage = stage();
    let before = stage.boot();
    let unasked = crate::stage::ended(&stage.cli("fleet.yaml", &["verify"]).output().unwrap());
    assert_eq!(unasked.code, Some(2), "{}", unasked.talk);
    assert!(unasked.talk.contains(&format!("{TEMPLATE} will be rebooted")), "{}", unasked.talk);
    assert!(unasked.talk.contains("nobody can be asked") && unasked.talk.contains("--yes"), "{}", unasked.talk);

    // Not enabled: told before anything is rebooted, and the worker runs on.
    stage.good(TEMPLATE, "systemctl disable w");
    stage.refused("checks.yaml", 3, &["step \"w starts on boot\" said no", "it is disabled", "systemctl enable w"]);
    assert_eq!(stage.boot(), before);
    assert_eq!(stage.good(TEMPLATE, "systemctl enable w; systemctl is-active w"), "active");

    stage.good(TEMPLATE, "echo crash >/opt/worker/mode");
    stage.refused("checks.yaml", 3, &["prove that the worker comes up by itself", "no database: giving up"]);
    let crashed = stage.boot();
    assert_ne!(crashed, before);

    stage.good(TEMPLATE, "echo good >/opt/worker/mode");
    let verified = stage.ends("fleet.yaml", 0, &["verify"]);
    assert_eq!(verified.json["verified"], true);
    assert!(verified.talk.contains("the worker came up by itself: /bin/sh /opt/worker/loop"), "{}", verified.talk);
    assert_ne!(stage.boot(), crashed);
    stage.assert_no_canary();
    attested(&stage);
}

#[test]
fn a_bake_that_fails_leaves_no_worker_stopped_unsaid() {
    let stage = stage();
    stage.ends("scan.yaml", 0, &["verify"]);
    let refuses = |code: &str, status: u16| {
        let answer = json!({"error": {"code": code, "message": "no", "status": status}});
        let rule = json!({"action": "CreateImage", "times": 1, "point": "before-commit", "do": answer});
        stage.cloud.control("POST", "faults", &json!({ "rules": [rule] }));
    };
    // Nobody goes on with this one.
    refuses("InvalidParameterValue", 400);
    let ended = crate::stage::ended(&stage.cli("scan.yaml", &["--yes", "bake"]).output().unwrap());
    assert!(ended.code != Some(0) && ended.talk.contains("was started again"), "{:?} {}", ended.code, ended.talk);
    assert_eq!(stage.good(TEMPLATE, "systemctl is-active w"), "active");
    // This one can be gone on with: said, and done when it is.
    refuses("UnauthorizedOperation", 403);
    let talk = stage.ends("scan.yaml", 5, &["bake"]).talk;
    assert!(talk.contains(&format!("sudo systemctl start w     # on {TEMPLATE}: its worker is stopped")), "{talk}");
    stage.ends("scan.yaml", 0, &["bake"]);
    assert_eq!(stage.good(TEMPLATE, "systemctl is-active w"), "active");
}

/// What a bake and a launch make of a verified template.
fn attested(stage: &Stage) {
    let tags = |image: &str| {
        let world = stage.cloud.world();
        let images = world["images"].as_array().unwrap();
        images.iter().find(|i| i["id"] == image).unwrap()["tags"].clone()
    };
    let baked = stage.ends("fleet.yaml", 0, &["bake"]).json["image"].as_str().unwrap().to_owned();
    assert!(tags(&baked)["fleetwright:attestation"].is_string(), "{}", tags(&baked));
    let launch = ["launch", "-n", "1", "--until", "running"];
    let talk = stage.ends("fleet.yaml", 0, &launch).talk;
    assert!(!talk.contains("another release"), "{talk}");

    // A changed playbook: what was verified is not what would have to be.
    stage.write(&[("verify.yaml", "steps:\n- check: test -x /opt/worker/loop\n")]);
    let talk = stage.ends("fleet.yaml", 8, &["bake"]).talk;
    assert!(talk.contains("no verification of the last 24 h") && talk.contains("fleetwright verify"), "{talk}");
    let talk = stage.ends("fleet.yaml", 0, &["launch", "-n", "2", "--until", "running"]).talk;
    assert!(talk.contains(&format!("image {baked} was verified with another release or playbook")), "{talk}");

    let unverified = stage.ends("fleet.yaml", 0, &["bake", "--unverified"]).json["image"].as_str().unwrap().to_owned();
    assert_eq!(tags(&unverified)["fleetwright:attestation"], Value::Null);
    let more = ["launch", "-n", "3", "--until", "running"];
    let talk = stage.ends("fleet.yaml", 8, &more).talk;
    assert!(talk.contains(&format!("image {unverified} carries no attestation")), "{talk}");
    assert!(talk.contains("--unattested"), "{talk}");
    assert_eq!(stage.cloud.live("proof").len(), 2);
    stage.ends("fleet.yaml", 0, &[&more[..], &["--image", &baked]].concat());
    stage.ends("fleet.yaml", 0, &["launch", "-n", "4", "--until", "running", "--unattested"]);
    assert_eq!(stage.cloud.live("proof").len(), 4);
}
