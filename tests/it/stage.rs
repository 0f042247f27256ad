//! A fleet of one test: its spec and playbooks in a folder, its own rehearsal cloud with real hosts, and a login to them.

use crate::env::{Cloud, binary, lean};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// The template of every stage.
pub(crate) const TEMPLATE: &str = "i-0123456789abcdef0";

/// What a spec on a stage begins with; `BIN` is the folder of the binary.
pub(crate) const HEAD: &str = "
version: 1
name: proof
account: '123456789012'
region: us-east-1
fleet:
  size: 4
  types: [m7i.large]
  subnets: [subnet-0aaa0000000000000]
  security_groups: [sg-0aaa0000000000000]
  key_name: rehearsal
ssh: {timeout: 5s}
";

/// How a command ended.
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) json: Value,
    pub(crate) talk: String,
}

pub(crate) struct Stage {
    pub(crate) cloud: Cloud,
    pub(crate) dir: tempfile::TempDir,
}

impl Stage {
    /// A world made from `fleet.yaml` among these files, sixty world seconds a second.
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), files);
        let spec = dir.path().join("fleet.yaml");
        let cloud = Cloud::with_hosts(spec.to_str().unwrap(), 60, &json!({}), "real");
        Self { cloud, dir }
    }

    pub(crate) fn write(&self, files: &[(&str, &str)]) {
        write(self.dir.path(), files);
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A command line under the spec of this name; nothing is confirmed unless the arguments do it.
    pub(crate) fn cli(&self, spec: &str, arguments: &[&str]) -> Command {
        let mut command = binary();
        command.envs(self.cloud.env()).arg("-f").arg(self.path(spec)).arg("--state-dir").arg(self.path("state"));
        command.arg("--local-state").args(arguments).current_dir(self.dir.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs a confirmed command line to its end, which must be this one.
    #[track_caller]
    pub(crate) fn ends(&self, spec: &str, code: i32, arguments: &[&str]) -> Ended {
        let ended = ended(&self.cli(spec, &[&["--yes", "-o", "json"], arguments].concat()).output().unwrap());
        assert_eq!(ended.code, Some(code), "{arguments:?}\n{}", ended.talk);
        ended
    }

    /// A value of `--set` that the world handed out.
    fn set(&self, name: &str) -> String {
        let sets = &self.cloud.env()["FLEETWRIGHT_SET"];
        let value = sets.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('=')).unwrap();
        value.trim_matches(['[', ']', '\'']).to_owned()
    }

    /// Runs a script on a host by the system's own ssh.
    pub(crate) fn on(&self, id: &str, script: &str) -> Output {
        let world = self.cloud.world();
        let host = world["instances"].as_array().unwrap().iter().find(|host| host["id"] == id).unwrap();
        Command::new("ssh")
            .args(["-F", "none", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no", "-o", "LogLevel=ERROR"])
            .args(["-o", "UserKnownHostsFile=/dev/null", "-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none"])
            .args([
                "-o",
                "KexAlgorithms=curve25519-sha256",
                "-p",
                &self.set("ssh.port"),
                "-i",
                &self.set("ssh.identity"),
            ])
            .arg(format!("ec2-user@{}", host["private_ip"].as_str().unwrap()))
            .arg(script)
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    /// What a script that must succeed says.
    #[track_caller]
    pub(crate) fn good(&self, id: &str, script: &str) -> String {
        let output = self.on(id, script);
        assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }

    /// Whether a script exits 0 on a host before long.
    pub(crate) fn comes_true(&self, id: &str, script: &str) -> bool {
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(15) {
            if self.on(id, script).status.success() {
                return true;
            }
        }
        false
    }
}

pub(crate) fn ended(output: &Output) -> Ended {
    Ended {
        code: output.status.code(),
        json: serde_json::from_slice(&output.stdout).unwrap_or_default(),
        talk: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

fn write(dir: &Path, files: &[(&str, &str)]) {
    let bin = lean().parent().unwrap().to_str().unwrap();
    for (name, text) in files {
        let file = dir.join(name);
        fs::write(&file, text.replace("BIN", bin)).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    }
}
