//! `fleetwright init`

use super::request::Init;
use crate::spec::starter;
use clap::ValueHint;
use std::path::PathBuf;

/// Write a fleet.yaml to start from, with its playbooks
///
/// Writes a commented fleet.yaml, playbooks, a worker script and a .gitignore. On a terminal it asks for the account and
/// the template instance, unless the flags say them; elsewhere it asks nothing and takes the example's. A file that is
/// there already is left as it is, and named. What it writes rehearses at once.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  fleetwright init
  fleetwright init crawl --account 123456789012 --template i-0123456789abcdef0 --region eu-west-1")]
pub(super) struct InitArgs {
    /// Folder to write to; made if it is not there
    #[arg(value_name = "DIR", default_value = ".", value_hint = ValueHint::DirPath)]
    dir: PathBuf,
    /// The fleet's name [default: the folder's]
    #[arg(long, value_name = "NAME", value_parser = starter::name)]
    name: Option<String>,
    /// The AWS account
    #[arg(long, value_name = "ACCOUNT", value_parser = starter::account)]
    account: Option<String>,
    /// The template instance
    #[arg(long, value_name = "ID", value_parser = starter::instance)]
    template: Option<String>,
}

impl InitArgs {
    /// The same, checked.
    pub(super) fn check(self) -> Init {
        Init { dir: self.dir, name: self.name, account: self.account, template: self.template }
    }
}
