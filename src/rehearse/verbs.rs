//! Runs verbs as processes of their own, as a user would at a terminal.

use crate::exit::Exit;
use serde_json::Value;
use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::process::Stdio;
use tokio::process::{Child, Command};

/// How every verb of this rehearsal is called.
#[derive(Clone, Debug)]
pub struct Verbs {
    /// This very binary.
    pub binary: PathBuf,
    /// The spec.
    pub spec: PathBuf,
    /// Where runs and journals are kept.
    pub state_dir: PathBuf,
    /// What the rehearsal cloud said to export.
    pub env: BTreeMap<String, String>,
    /// `--set` pairs of every call.
    pub sets: Vec<String>,
    /// Global flags about display, handed on.
    pub display: Vec<String>,
}

/// How one verb came out.
#[derive(Clone, Debug)]
pub struct Finished {
    /// The process's exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// What it printed as JSON, where it did.
    pub json: Value,
}

impl Finished {
    /// Whether it ended as it should.
    pub fn is(&self, exit: Exit) -> bool {
        self.code == Some(i32::from(exit.code()))
    }
}

impl Verbs {
    /// Starts a verb; its talk goes to our standard error, its JSON is read by [`Verbs::finish`].
    ///
    /// # Errors
    ///
    /// When the process can't be started.
    pub fn start(&self, arguments: &[&str]) -> io::Result<Child> {
        let mut command = Command::new(&self.binary);
        command.arg("-f").arg(&self.spec).arg("--state-dir").arg(&self.state_dir);
        command.args(["--yes", "--local-state", "-o", "json"]).args(&self.display);
        for set in &self.sets {
            command.arg("--set").arg(set);
        }
        command.args(arguments).envs(&self.env).stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
        for name in ["AWS_PROFILE", "AWS_SESSION_TOKEN", "SSH_AUTH_SOCK", "FLEETWRIGHT_FILE"] {
            command.env_remove(name);
        }
        command.spawn()
    }

    /// Waits for a started verb.
    ///
    /// # Errors
    ///
    /// When its output can't be read.
    pub async fn finish(child: Child) -> io::Result<Finished> {
        let output = child.wait_with_output().await?;
        let text = String::from_utf8_lossy(&output.stdout);
        Ok(Finished { code: output.status.code(), json: serde_json::from_str(text.trim()).unwrap_or(Value::Null) })
    }

    /// Runs a verb to its end.
    ///
    /// # Errors
    ///
    /// When it can't be started or its output can't be read.
    pub async fn run(&self, arguments: &[&str]) -> io::Result<Finished> {
        Self::finish(self.start(arguments)?).await
    }
}
