//! A playbook as checked: a list of steps, values still templates.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// A template text (minijinja, strict): rendered per host, quoted for the shell by construction where it becomes a word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Text(pub String);

/// Names that every playbook knows of its host; variables can't take them. `release` is defined where a release is pushed,
/// `queue_url` where the spec has a queue, `region` where it names one.
pub const FACTS: [&str; 7] = ["instance_id", "slot", "address", "fleet", "region", "release", "queue_url"];

/// One checked playbook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Playbook {
    /// The file it was read from.
    pub file: PathBuf,
    /// SHA-256 of the file's bytes and of every file it `put`s, hex.
    pub digest: String,
    /// `vars:` defaults, overridden by `release.vars`.
    pub vars: BTreeMap<String, String>,
    /// `steps:` in order.
    pub steps: Vec<Step>,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// `name:` shown and reported; the action itself if absent. Unique within the playbook.
    pub name: String,
    /// `timeout:` wall time, default 5m.
    pub timeout: Duration,
    /// `retries:` further tries after a failure, 0..=10, default 0.
    pub retries: u32,
    /// `when:` a template that must render to `true` or `false`; always if absent.
    pub when: Option<Text>,
    /// What it does.
    pub action: Action,
}

/// What a step does; exactly one per step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// `put: {file: LOCAL | text: TEMPLATE, to: PATH, mode: "0644", owner: USER}`: written aside, checked, renamed.
    Put {
        /// Local file, relative to the playbook, or inline text.
        content: PutContent,
        /// Path on the host.
        to: Text,
        /// Mode bits, default 0644.
        mode: u32,
        /// Owner (and group), as for chown; the login user if absent.
        owner: Option<Text>,
    },
    /// `unpack: {to: PATH}`: the release archive into a new folder.
    Unpack {
        /// Folder on the host.
        to: Text,
    },
    /// `run: COMMAND` (through sh) or `run: [WORD, ...]` (each word quoted).
    Run(Command),
    /// `link: {to: TARGET, at: PATH}`: symbolic link, switched atomically.
    Link {
        /// What it points to.
        to: Text,
        /// The link itself.
        at: Text,
    },
    /// `restart: SERVICE`: enabled, restarted, and active afterwards.
    Restart(Text),
    /// `reboot: {within: 10m}`: rebooted; a new boot id must answer. In a verify playbook it is the reboot proof.
    Reboot {
        /// How long it may take, default 10m.
        within: Duration,
    },
    /// `check: COMMAND` or list: must exit 0, changes nothing.
    Check(Command),
}

/// A command as written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Command {
    /// Handed to `sh -c`; `{{ }}` values inside are shell-quoted when rendered.
    Shell(Text),
    /// A list of words; each is rendered, then quoted.
    Words(Vec<Text>),
}

/// What `put` writes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PutContent {
    /// A local file's bytes.
    File(PathBuf),
    /// A rendered template.
    Text(Text),
}
