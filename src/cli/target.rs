//! The flags of verbs that work on hosts, as written.

use super::request::{MaxFail, Target};
use super::values;
use crate::model::shell_word;
use crate::spec::named::{ForeignHost, Which};
use clap::ValueHint;
use std::fmt::Write;
use std::path::PathBuf;

/// Which hosts, and what to write about them.
#[derive(clap::Args, Clone, Debug)]
pub(super) struct TargetArgs {
    /// Only these: ids, slots, names of `hosts`, or @FILE with one a line; can be repeated
    #[arg(long, value_name = "HOSTS")]
    only: Vec<String>,
    /// Instead of the spec's hosts, the running instances with this tag; can be repeated: all must be there
    #[arg(long, value_name = "KEY=VALUE", value_parser = values::tag, conflicts_with_all = ["group", "hosts"])]
    tag: Vec<(String, String)>,
    /// Instead of the spec's hosts, the running members of this Auto Scaling group
    #[arg(long, value_name = "GROUP", value_parser = values::group, conflicts_with = "hosts")]
    group: Option<String>,
    /// Instead of the spec's hosts, the machines in this file, one a line: [user@]address[:port]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    hosts: Option<PathBuf>,
    /// Write the ids of hosts that failed to this file, for --only @FILE
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    failed_to: Option<PathBuf>,
    /// How many hosts may fail, 5% or 3 [default: the spec's release.max_fail]
    #[arg(long, value_name = "SHARE", value_parser = values::max_fail)]
    max_fail: Option<MaxFail>,
    /// Write a JUnit report to this file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    junit: Option<PathBuf>,
}

impl TargetArgs {
    /// The same, checked; reads the files that `--only` and `--hosts` name.
    pub(super) fn check(self) -> Result<Target, String> {
        let only = values::only(&self.only).map_err(|error| format!("invalid value for '--only <HOSTS>': {error}"))?;
        let all = |which| vec![ForeignHost { which, port: None, user: None }];
        let mut said = String::new();
        for (flag, value) in self
            .tag
            .iter()
            .map(|(key, value)| ("tag", format!("{key}={value}")))
            .chain(self.group.iter().map(|group| ("group", group.clone())))
            .chain(self.hosts.iter().map(|file| ("hosts", file.display().to_string())))
        {
            write!(said, " --{flag} {}", shell_word(&value)).unwrap_or_default();
        }
        let others = match (self.tag, self.group, self.hosts) {
            (_, _, Some(file)) => values::machines(&file)
                .map_err(|error| format!("invalid value for '--hosts <FILE>': {}: {error}", file.display()))?,
            (_, Some(group), None) => all(Which::of_group(group)),
            (tags, None, None) if !tags.is_empty() => all(Which::Tagged(tags.into_iter().collect())),
            (_, None, None) => Vec::new(),
        };
        Ok(Target { only, others, said, failed_to: self.failed_to, max_fail: self.max_fail, junit: self.junit })
    }
}
