//! A playbook as rendered for one host: plain data without templates, ready to be carried out.

use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// What one host is to do, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Play {
    /// The steps; those whose `when` said no are left out.
    pub steps: Vec<PlayStep>,
    /// SHA-256 over all steps, file contents and the release, hex: equal digests mean nothing to do.
    pub digest: String,
    /// SHA-256 of the release archive, hex, where there is one.
    pub release: Option<String>,
}

impl Play {
    /// Whether some step unpacks the release archive.
    pub fn needs_release(&self) -> bool {
        self.steps.iter().any(|step| matches!(step.kind, PlayKind::Unpack { .. }))
    }
}

/// One rendered step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlayStep {
    /// Shown and reported; unique within the play.
    pub name: String,
    /// Wall time for one try.
    pub timeout: Duration,
    /// Further tries after a failure.
    pub retries: u32,
    /// What it does.
    pub kind: PlayKind,
}

/// What a rendered step does. Paths are absolute, services are valid unit names, scripts hold no NUL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlayKind {
    /// Writes a file aside, checks it, renames it.
    Put {
        /// The file's content.
        bytes: Arc<[u8]>,
        /// Absolute path on the host.
        path: String,
        /// Mode bits.
        mode: u32,
        /// Owner, as for chown; the login user if absent.
        owner: Option<String>,
    },
    /// Unpacks the release archive into a folder that is complete or absent.
    Unpack {
        /// Absolute path of the folder.
        to: String,
    },
    /// Runs a script with sh.
    Run {
        /// The script.
        script: String,
    },
    /// Runs a script with sh that changes nothing and must exit 0.
    Check {
        /// The script.
        script: String,
    },
    /// Switches a symbolic link atomically.
    Link {
        /// What it points to.
        to: String,
        /// Absolute path of the link.
        at: String,
    },
    /// Enables and restarts a systemd unit that must be active afterwards.
    Restart {
        /// The unit.
        service: String,
    },
    /// Reboots the host; a new boot id must answer in time.
    Reboot {
        /// Wall time it may take.
        within: Duration,
    },
}

/// How a step came out on a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepOutcome {
    /// It was so already, or a check that held.
    Ok,
    /// Done.
    Changed,
    /// It said no.
    Failed {
        /// Its exit status.
        exit: u32,
    },
    /// It took longer than its time-out and was ended.
    TimedOut,
    /// Not tried, because an earlier step failed or the connection was lost.
    Skipped,
}

/// One step's end on one host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepResult {
    /// The step's name.
    pub name: String,
    /// How it came out.
    pub outcome: StepOutcome,
    /// Output and error output of the last try as they came, bounded; not safe to print.
    pub output: Vec<u8>,
}
