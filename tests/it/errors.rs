//! What a newcomer reads when something is missing: every text says what failed, on what, why, and what to type next.

use crate::env::{Cloud, IMAGE, binary, repo};
use serde_json::json;
use std::fmt::Write as _;
use std::process::{Command, Stdio};

const JOB: &str = "tests/specs/it/job.yaml";
const FIVE: &str = "tests/specs/it/five.yaml";

/// All that was said, one command after the other.
#[derive(Default)]
struct Said(String);

impl Said {
    fn add(&mut self, what: &str, command: &mut Command) {
        let output = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).output().unwrap();
        // What it said on the way there is not the matter: errors and problems are at the end.
        let talk = String::from_utf8_lossy(&output.stderr);
        let from = talk.find("Error:").or_else(|| talk.find("error:")).unwrap_or(0);
        let problems = talk.lines().any(|line| line.contains(": error["));
        let shown = if problems { &talk } else { &talk[from..] };
        let code = output.status.code().unwrap();
        assert!(output.stdout.is_empty() && code != 0, "{what}: {}", String::from_utf8_lossy(&output.stdout));
        writeln!(self.0, "# {what}\n{shown}[exit {code}]\n").unwrap();
    }

    #[track_caller]
    fn hold(self, name: &str) {
        let repository = repo("");
        let filters = [
            (repository.to_str().unwrap(), "/here/"),
            (r"/tmp/[^/ ]+", "/tmp/STATE"),
            (r"request id [0-9a-f-]{36}", "request id REQUEST"),
            (r"process \d+", "process PID"),
            (r"since \d{4}-\S+Z", "since THEN"),
            (r"run [0-9a-f-]{36}", "run RUN"),
            (r"resume [0-9a-f-]{36}", "resume RUN"),
            (r"\bi-[0-9a-f]{17}", "i-HOST"),
            (r"127\.\d+\.\d+\.\d+:\d+", "ADDRESS"),
        ];
        insta::with_settings!({ filters => filters, snapshot_path => "../snapshots", prepend_module_to_snapshot => false }, {
            insta::assert_snapshot!(name, self.0);
        });
    }
}

fn launch<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [more, &["launch", "--unattested", "--image", IMAGE, "--until", "running"]].concat()
}

#[test]
fn before_anything_is_reached() {
    let mut said = Said::default();
    let home = tempfile::tempdir().unwrap();
    let fleetwright = |spec: &str, arguments: &[&str]| {
        let mut command = binary();
        command.env("AWS_EC2_METADATA_DISABLED", "true").current_dir(home.path()).env("HOME", home.path());
        if !spec.is_empty() {
            command.arg("-f").arg(repo(spec));
        }
        command.args(arguments);
        command
    };
    said.add("no spec", &mut fleetwright("", &["status"]));
    said.add("a spec that is not there", &mut fleetwright("nope.yaml", &["status"]));
    said.add("a section that is missing", &mut fleetwright(FIVE, &["wait"]));
    said.add("no credentials", &mut fleetwright(FIVE, &["status"]));
    said.add("a profile that is not there", &mut fleetwright(FIVE, &["--profile", "nobody", "status"]));
    said.add("an endpoint that is no URL", &mut fleetwright(FIVE, &["--endpoint-url", "localhost:4566", "status"]));
    let mut endpoint = fleetwright(FIVE, &["status"]);
    endpoint.env("AWS_ENDPOINT_URL", "localhost:4566").env("AWS_ACCESS_KEY_ID", "A").env("AWS_SECRET_ACCESS_KEY", "B");
    said.add("the same from the environment", &mut endpoint);
    said.add(
        "a clock that is not there",
        fleetwright(FIVE, &["status"]).env("FLEETWRIGHT_CLOCK", "http://127.0.0.1:9/"),
    );
    said.add("a worker without a region", &mut fleetwright("", &["work", "--queue-url", "http://q", "--", "true"]));
    said.hold("errors-before-anything-is-reached");
}

#[test]
fn on_a_cloud_that_says_no() {
    let mut said = Said::default();
    let cloud = Cloud::start(JOB, 600, &json!({ "deny": ["sqs:GetQueueAttributes"] }));
    let on = |arguments: &[&str]| cloud.cli("laptop", arguments);
    let mut unasked = cloud.bare("laptop");
    unasked.args(launch(&[]));
    said.add("nobody to ask", &mut unasked);
    said.add(
        "another account",
        &mut Cloud::start(FIVE, 600, &json!({})).cli("laptop", &launch(&["--set", "account='999999999999'"])),
    );
    said.add("no image", &mut on(&["launch"]));
    said.add("an image that is not there", &mut on(&["launch", "--image", "ami-00000000000000000"]));
    said.add("a subnet that is not there", &mut on(&launch(&["--set", "fleet.subnets=[subnet-0dead000000000000]"])));
    said.add("a key pair that is not there", &mut on(&launch(&["--set", "fleet.key_name=nobody"])));
    said.add("a type that is not there", &mut on(&launch(&["--set", "fleet.types=[m9z.large]"])));
    said.add(
        "a template that is not there",
        &mut on(&["--set", "template.instance=i-0123456789abcdef0", "bake", "--unverified"]),
    );
    said.add("no release yet", &mut on(&["push"]));
    said.add("no permission", &mut on(&["feed"]));
    said.add("a host that is not there", &mut on(&["exec", "--only", "7", "--", "true"]));
    said.add("a run that is not there", &mut on(&["resume", "abcd"]));
    let mut ci = binary();
    ci.envs(cloud.env())
        .env("CI", "true")
        .arg("-f")
        .arg(repo(JOB))
        .arg("--state-dir")
        .arg(cloud.state("ci"))
        .args(["--yes", "down"]);
    said.add("CI", &mut ci);
    std::fs::write(cloud.state("file"), "").unwrap();
    said.add("no state directory", &mut cloud.cli("file", &["down"]));
    let dead = Cloud::start(JOB, 600, &json!({}));
    said.add("a queue that is not there", &mut dead.cli("laptop", &["--set", "queue.dead_letter=nobody", "wait"]));
    said.hold("errors-on-a-cloud-that-says-no");
}

#[test]
fn in_the_middle_of_it() {
    let mut said = Said::default();
    let cloud = Cloud::start(JOB, 600, &json!({}));
    cloud.arm("CreateFleet", "after-commit");
    let mut first = cloud.cli("laptop", &launch(&[])).spawn().unwrap();
    assert!(cloud.held(&mut first));
    said.add("another run", &mut cloud.cli("laptop", &launch(&[])));
    first.kill().unwrap();
    first.wait().unwrap();
    cloud.release();
    said.add("an unfinished run of another spec", &mut cloud.cli("laptop", &launch(&["--set", "fleet.size=3"])));
    let resumed = cloud.cli("laptop", &["resume"]).output().unwrap();
    assert!(resumed.status.success());
    let mut slow = cloud.cli("laptop", &["--timeout", "1m", "wait"]);
    said.add("no time left", &mut slow);
    let stuck = Cloud::start(JOB, 1, &json!({ "stuck": [{ "state": "shutting-down" }] })).leaping();
    assert!(stuck.cli("laptop", &launch(&["--set", "fleet.size=1"])).output().unwrap().status.success());
    said.add("hosts that do not end", &mut stuck.cli("laptop", &["--set", "fleet.size=1", "down"]));
    said.hold("errors-in-the-middle-of-it");
}
