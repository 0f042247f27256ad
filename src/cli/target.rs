//! The flags of verbs that work on hosts, as written.

use super::request::{MaxFail, Target};
use super::values;
use clap::ValueHint;
use std::path::PathBuf;

/// Which hosts, and what to write about them.
#[derive(clap::Args, Clone, Debug)]
pub(super) struct TargetArgs {
    /// Only these: ids, slots, names of `hosts`, or @FILE with one a line; can be repeated
    #[arg(long, value_name = "HOSTS")]
    only: Vec<String>,
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
    /// The same, checked; reads the files that `--only` names.
    pub(super) fn check(self) -> Result<Target, String> {
        let only = values::only(&self.only).map_err(|error| format!("invalid value for '--only <HOSTS>': {error}"))?;
        Ok(Target { only, failed_to: self.failed_to, max_fail: self.max_fail, junit: self.junit })
    }
}
