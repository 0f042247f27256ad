//! What `sim serve` answers, in one line, before it serves.

use super::Answer;
use crate::model::shell_word;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

/// Where the rehearsal cloud is, and how other tools find it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Served {
    /// The URL that AWS clients use.
    pub endpoint: String,
    /// The process that serves.
    pub pid: u32,
    /// The port on which every host's SSH server listens; none without real hosts.
    pub ssh_port: Option<u16>,
    /// The template instance; none without a spec that names one.
    pub template: Option<String>,
    /// Environment variables that point clients at it.
    pub env: BTreeMap<String, String>,
    /// `--set` arguments that fit the spec to it.
    pub set: Vec<String>,
    /// Folders of this machine, by where hosts see them.
    pub mounts: BTreeMap<String, PathBuf>,
    /// What stands in for things that can't be had on a laptop.
    pub replaced: Vec<String>,
}

impl Answer for Served {
    /// The lines that a shell takes.
    fn page(&self, _: Option<u16>) -> String {
        let mut text = String::new();
        for (name, value) in &self.env {
            let _infallible = writeln!(text, "export {name}={}", shell_word(value));
        }
        text
    }
}
