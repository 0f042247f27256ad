//! A hermetic rehearsal cloud without hosts, its control port, and the binary run against it.

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// The image that every test world has.
pub(crate) const IMAGE: &str = "ami-0f1ee7000000ba5e1";

/// A path below the repository.
pub(crate) fn repo(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// A program of the virtual environment that tests/run makes.
pub(crate) fn test_tool(name: &str) -> PathBuf {
    let tools = std::env::var_os("FLEETWRIGHT_TEST_TOOLS").map_or_else(|| repo("target/test-tools"), PathBuf::from);
    let tool = tools.join("bin").join(name);
    assert!(
        tool.exists(),
        "{} is missing: tests/run installs it, or name a virtual environment with tests/requirements.txt in it by \
         FLEETWRIGHT_TEST_TOOLS",
        tool.display()
    );
    tool
}

/// `launch` of an image that nobody verified, as every test world has one.
pub(crate) const LAUNCH: [&str; 6] = ["launch", "--unattested", "--image", IMAGE, "--until", "running"];

/// What was said on standard error.
pub(crate) fn talk(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Waits until something is seen, for a minute at most, and demands that the program lives until then.
#[track_caller]
pub(crate) fn until(child: &mut Child, what: &str, mut seen: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !seen() {
        assert!(begun.elapsed() < Duration::from_mins(1), "a minute went by without {what}");
        if let Some(status) = child.try_wait().unwrap() {
            let mut said = String::new();
            child.stderr.as_mut().map(|stderr| stderr.read_to_string(&mut said));
            panic!("{status} before {what}: {said}");
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// One rehearsal cloud of its own; ends with the test.
pub(crate) struct Cloud {
    child: Child,
    authority: String,
    env: BTreeMap<String, String>,
    mounts: BTreeMap<String, PathBuf>,
    dir: tempfile::TempDir,
    spec: PathBuf,
    sets: Vec<String>,
}

impl Cloud {
    /// A world without hosts made from `spec`, `speed` world seconds per second, with this fault script.
    pub(crate) fn start(spec: &str, speed: u32, faults: &Value) -> Self {
        Self::with_hosts(spec, speed, faults, "none")
    }

    /// The same with hosts that are `real` or `none`.
    pub(crate) fn with_hosts(spec: &str, speed: u32, faults: &Value, hosts: &str) -> Self {
        Self::seeded(spec, speed, faults, hosts, 1)
    }

    /// The same with the seed of all that goes wrong by chance.
    pub(crate) fn seeded(spec: &str, speed: u32, faults: &Value, hosts: &str, seed: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let script = dir.path().join("faults.json");
        std::fs::write(&script, faults.to_string()).unwrap();
        let spec = repo(spec);
        let mut child = binary()
            .arg("--state-dir")
            .arg(dir.path())
            .args(["-o", "json", "sim", "serve", "--listen", "127.0.0.1:0", "--hosts", hosts, "--speed"])
            .arg(speed.to_string())
            .arg("--seed")
            .arg(seed.to_string())
            .arg("--faults")
            .arg(&script)
            .arg("--spec")
            .arg(&spec)
            .env("FLEETWRIGHT_PARENT", "1")
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let served: Value = serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line}"));
        let authority = served["endpoint"].as_str().unwrap().trim_start_matches("http://").to_owned();
        let env = serde_json::from_value(served["env"].clone()).unwrap();
        let mounts = serde_json::from_value(served["mounts"].clone()).unwrap();
        Self { child, authority, env, mounts, dir, spec, sets: Vec::new() }
    }

    /// The same cloud with a clock that goes with whoever waits for it, one process at a time: no wait takes any time.
    pub(crate) fn leaping(self) -> Self {
        self.control("POST", "clock", &json!({ "leap": true }));
        self
    }

    /// A command line of a machine whose state is in `machine`.
    #[must_use]
    pub(crate) fn cli(&self, machine: &str, arguments: &[&str]) -> Command {
        self.cli_as(machine, "json", arguments)
    }

    /// The same, with answers in this form.
    #[must_use]
    pub(crate) fn cli_as(&self, machine: &str, form: &str, arguments: &[&str]) -> Command {
        let mut command = self.bare(machine);
        command.args(["--yes", "-o", form]).args(arguments).stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// The binary with this cloud's environment and nothing said about output or consent.
    #[must_use]
    pub(crate) fn bare(&self, machine: &str) -> Command {
        let mut command = binary();
        command.envs(&self.env).arg("-f").arg(&self.spec).arg("--state-dir").arg(self.dir.path().join(machine));
        for set in &self.sets {
            command.arg("--set").arg(set);
        }
        command.arg("--local-state");
        command
    }

    /// Adds a `--set` to every command line from now on.
    pub(crate) fn set(&mut self, set: &str) {
        self.sets.push(set.to_owned());
    }

    /// The folder of this machine that hosts see at `at`.
    pub(crate) fn mount(&self, at: &str) -> &Path {
        &self.mounts[at]
    }

    /// `launch` without real hosts.
    #[must_use]
    pub(crate) fn launch(&self, machine: &str) -> Command {
        self.cli(machine, &LAUNCH)
    }

    /// `launch` of `n` hosts, killed right after EC2 has carried it out, before the answer. Under lag the first tries may
    /// find that the launch template is not visible yet: they are let go.
    pub(crate) fn killed_after_the_launch(&self, n: usize) {
        self.arm_calls("CreateFleet", "after-commit", 60);
        let mut first = self.launch("laptop").spawn().unwrap();
        assert!(self.held(&mut first));
        while self.live("five").is_empty() {
            self.release_held();
            assert!(self.held(&mut first));
        }
        first.kill().unwrap();
        first.wait().unwrap();
        self.release();
        assert_eq!(self.live("five").len(), n);
    }

    /// What a machine keeps.
    pub(crate) fn state(&self, machine: &str) -> PathBuf {
        self.dir.path().join(machine)
    }

    /// One request to the control port.
    pub(crate) fn control(&self, method: &str, path: &str, body: &Value) -> String {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let mut stream = TcpStream::connect(&self.authority).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let head = format!(
            "{method} /_sim/{path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, text) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(" 200 "), "{method} {path}: {answer}");
        text.to_owned()
    }

    /// The world's time.
    pub(crate) fn now(&self) -> Timestamp {
        let told: Value = serde_json::from_str(&self.control("GET", "clock", &Value::Null)).unwrap();
        told["now"].as_str().unwrap().parse().unwrap()
    }

    /// Lets the world's clock come to this hour, UTC: windows are then as near or far as a test means them to be.
    pub(crate) fn come_to(&self, hour: i8, minute: i8) {
        let now = self.now().to_zoned(TimeZone::UTC);
        let then = now.date().at(hour, minute, 0, 0).to_zoned(TimeZone::UTC).unwrap();
        let then = if then > now { then } else { then.checked_add(1.day()).unwrap() };
        let seconds = then.timestamp().duration_since(now.timestamp()).as_secs();
        self.control("POST", "clock", &json!({ "advance": format!("{seconds}s") }));
    }

    /// One call to EC2 that must be carried out.
    pub(crate) fn ec2(&self, form: &str) -> String {
        let (status, body) = call(&self.authority, form);
        assert_eq!(status, 200, "{form}: {body}");
        body
    }

    /// `address:port`.
    pub(crate) fn authority(&self) -> &str {
        &self.authority
    }

    /// What points a client at it.
    pub(crate) fn env(&self) -> &BTreeMap<String, String> {
        &self.env
    }

    /// Ground truth.
    pub(crate) fn world(&self) -> Value {
        serde_json::from_str(&self.control("GET", "world", &Value::Null)).unwrap()
    }

    /// Every call so far.
    pub(crate) fn audit(&self) -> Vec<Value> {
        let text = self.control("GET", "audit", &Value::Null);
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Calls of one action.
    pub(crate) fn calls(&self, action: &str) -> Vec<Value> {
        self.audit().into_iter().filter(|call| call["action"] == action).collect()
    }

    /// Ids of live hosts of the fleet, by ground truth: tag, state, and no decoy.
    pub(crate) fn live(&self, fleet: &str) -> Vec<String> {
        let world = self.world();
        let ours = |i: &&Value| {
            i["tags"]["fleetwright:fleet"] == fleet
                && i["owner"] != "decoy"
                && !matches!(i["state"].as_str(), Some("terminated" | "shutting-down"))
        };
        let all = world["instances"].as_array().unwrap();
        all.iter().filter(ours).map(|i| i["id"].as_str().unwrap().to_owned()).collect()
    }

    /// Instances that were ever made through the API.
    pub(crate) fn ever_made(&self) -> usize {
        let audit = self.audit();
        let made = audit.iter().flat_map(|call| call["made"].as_array().into_iter().flatten());
        made.filter(|id| id.as_str().is_some_and(|id| id.starts_with("i-"))).count()
    }

    /// Everything that belongs to somebody else is as it was.
    pub(crate) fn assert_decoys_untouched(&self) {
        let world = self.world();
        let decoys: Vec<&Value> =
            world["instances"].as_array().unwrap().iter().filter(|i| i["owner"] == "decoy").collect();
        assert!(!decoys.is_empty());
        for decoy in decoys {
            assert_eq!(decoy["state"], "running", "{decoy}");
        }
    }

    /// Arms a gate for the next call of an action.
    pub(crate) fn arm(&self, action: &str, point: &str) {
        self.arm_calls(action, point, 1);
    }

    /// Arms a gate for one of the next calls of an action; `*` is every action.
    pub(crate) fn arm_nth(&self, action: &str, point: &str, call: u32) {
        self.control("POST", "gate", &json!({ "action": action, "call": call, "point": point }));
    }

    /// Arms a gate for each of the next calls of an action.
    pub(crate) fn arm_calls(&self, action: &str, point: &str, calls: u32) {
        for call in 1..=calls {
            self.arm_nth(action, point, call);
        }
    }

    /// Waits until the gate holds its call; false when the process ends before.
    pub(crate) fn held(&self, child: &mut Child) -> bool {
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(30) {
            let gates = self.control("GET", "gate", &Value::Null);
            if gates.contains("\"held\"") {
                return true;
            }
            if child.try_wait().unwrap().is_some() {
                return false;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("nobody came to the gate");
    }

    /// Lets the call that is held go; a gate that is armed stays.
    pub(crate) fn release_held(&self) {
        let gates: Value = serde_json::from_str(&self.control("GET", "gate", &Value::Null)).unwrap();
        let all = gates.as_array().or_else(|| gates["gates"].as_array()).unwrap();
        let held = all.iter().find(|gate| gate["state"] == "held").unwrap().clone();
        let order = json!({ "action": held["action"], "call": held["call"], "point": held["point"] });
        self.control("POST", "gate/release", &order);
    }

    /// Lets every held call go.
    pub(crate) fn release(&self) {
        self.control("POST", "gate/release", &json!({ "all": true }));
    }
}

impl Drop for Cloud {
    fn drop(&mut self) {
        self.child.kill().unwrap_or_default();
        self.child.wait().map(drop).unwrap_or_default();
    }
}

/// One call to EC2, whichever cloud listens there: status and body. Signatures are not checked, their form is.
pub(crate) fn call(authority: &str, form: &str) -> (u16, String) {
    call_to("ec2", authority, form)
}

/// The same to another service that is asked by forms.
pub(crate) fn call_to(service: &str, authority: &str, form: &str) -> (u16, String) {
    signed(service, authority, "POST /", "content-type: application/x-www-form-urlencoded\r\n", form)
}

/// One signed request: its line, further headers and body; status and body of the answer.
pub(crate) fn signed(service: &str, authority: &str, line: &str, headers: &str, form: &str) -> (u16, String) {
    signed_in("us-east-1", service, authority, line, headers, form)
}

/// The same in some region.
pub(crate) fn signed_in(
    region: &str,
    service: &str,
    authority: &str,
    line: &str,
    headers: &str,
    form: &str,
) -> (u16, String) {
    let mut stream = TcpStream::connect(authority).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let head = format!(
        "{line} HTTP/1.1\r\nhost: {service}.{region}.amazonaws.com\r\nconnection: close\r\n\
         {headers}authorization: AWS4-HMAC-SHA256 Credential=TEST/20260101/{region}/{service}/aws4_request, SignedHeaders=host, \
         Signature=00\r\ncontent-length: {}\r\n\r\n{form}",
        form.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{form}: {answer}"));
    let status = head.split(' ').nth(1).and_then(|word| word.parse().ok());
    (status.unwrap_or_else(|| panic!("{answer}")), body.to_owned())
}

/// The binary without its symbols: rehearsals pack it into releases and every host unpacks it; users have none either.
pub(crate) fn lean() -> &'static Path {
    static LEAN: OnceLock<PathBuf> = OnceLock::new();
    LEAN.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("lean");
        let (to, draft) = (folder.join("fleetwright"), folder.join(std::process::id().to_string()));
        let whole = Path::new(env!("CARGO_BIN_EXE_fleetwright"));
        let written = |path: &Path| path.metadata().and_then(|found| found.modified());
        // Never made again while it is in use: hosts start themselves by its path, and tests run in more than one process.
        if written(&to).is_ok_and(|at| at > written(whole).unwrap()) {
            return to;
        }
        fs::create_dir_all(&folder).unwrap();
        let done = Command::new("strip").arg("-o").arg(&draft).arg(whole).status();
        assert!(done.expect("strip must be there: it comes with a C compiler").success());
        fs::rename(draft, &to).unwrap();
        to
    })
}

/// The binary, with nothing of this process's environment but the search path.
pub(crate) fn binary() -> Command {
    let mut command = Command::new(lean());
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("HOME", "/nonexistent");
    command
}

/// Runs to the end and demands an exit code, and of every answer that its schema knows it.
#[track_caller]
pub(crate) fn expect(command: &mut Command, code: i32) -> Output {
    let output = command.output().unwrap();
    let talk = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{command:?}\n{talk}");
    crate::answers::hold(command, &output);
    output
}
