//! The rehearsal cloud's process: started for one rehearsal, ended with it.

use super::{Served, Wanted};
use crate::engine::failure::Failure;
use crate::exit::Exit;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// Most wall time for the world to come up.
const START: Duration = Duration::from_secs(30);

/// The rehearsal cloud's process.
pub(super) struct Cloud {
    child: Option<Child>,
    pub(super) served: Served,
}

impl Cloud {
    pub(super) async fn start(wanted: &Wanted) -> Result<Self, Failure> {
        let failed = |what: String| Failure::to(Exit::Bug, format!("start the rehearsal cloud: {what}"));
        let binary = std::env::current_exe().map_err(|e| failed(e.to_string()))?;
        let mut command = Command::new(binary);
        command.args(["-o", "json", "--state-dir"]).arg(wanted.work.join("cloud"));
        for set in &wanted.sets {
            command.arg("--set").arg(set);
        }
        command.args(["sim", "serve", "--listen", "127.0.0.1:0", "--hosts", "real", "--spec"]).arg(&wanted.spec);
        command.arg("--speed").arg(wanted.speed.to_string()).arg("--seed").arg(wanted.seed.to_string());
        let faults = if let Some(file) = &wanted.faults {
            file.clone()
        } else {
            let file = wanted.work.join("faults.json");
            std::fs::write(&file, BUILT_IN_FAULTS).map_err(|e| failed(format!("{}: {e}", file.display())))?;
            file
        };
        command.arg("--faults").arg(faults);
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        if !wanted.keep {
            // The cloud ends itself when this process is gone, however it went.
            command.env("FLEETWRIGHT_PARENT", std::process::id().to_string()).kill_on_drop(true);
        }
        let mut child = command.spawn().map_err(|e| failed(e.to_string()))?;
        let stdout = child.stdout.take().ok_or_else(|| failed("it has no output".to_owned()))?;
        let mut lines = BufReader::new(stdout).lines();
        let line = match tokio::time::timeout(START, lines.next_line()).await {
            Ok(Ok(Some(line))) => line,
            Ok(Ok(None)) => return Err(cloud_ended(&mut child).await),
            Ok(Err(e)) => return Err(failed(e.to_string())),
            Err(_) => return Err(failed(format!("no answer within {} s", START.as_secs()))),
        };
        let served: Served = serde_json::from_str(&line).map_err(|e| failed(format!("{e}: {line}")))?;
        Ok(Self { child: Some(child), served })
    }

    /// Asks it to end, and makes it end.
    pub(super) async fn stop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        if let Some(pid) = child.id().and_then(|pid| i32::try_from(pid).ok()) {
            let _gone = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGTERM);
        }
        if tokio::time::timeout(Duration::from_secs(10), child.wait()).await.is_err() {
            let _gone = child.kill().await;
        }
    }

    pub(super) fn leave(&mut self) {
        self.child = None;
    }
}

/// The cloud said why on standard error; its exit code says the kind.
async fn cloud_ended(child: &mut Child) -> Failure {
    let exit = match child.wait().await.ok().and_then(|status| status.code()) {
        Some(2) => Exit::Usage,
        Some(8) => Exit::Refused,
        Some(9) => Exit::State,
        _ => Exit::Bug,
    };
    Failure::to(exit, "start the rehearsal cloud")
}

/// One answer cut off after the launch was carried out, and one throttled read: what a real night brings anyway.
const BUILT_IN_FAULTS: &str = r#"{
  "rules": [
    { "action": "CreateFleet", "times": 1, "point": "after-commit", "do": "cut" },
    { "action": "DescribeInstances", "skip": 3, "times": 1, "point": "before-commit",
      "do": { "error": { "code": "RequestLimitExceeded", "message": "Request limit exceeded.", "status": 503 } } }
  ]
}"#;
