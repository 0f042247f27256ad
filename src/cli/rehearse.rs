//! `fleetwright rehearse`

use super::request::Rehearse;
use super::values;
use clap::ValueHint;
use std::path::PathBuf;

/// Rehearse the whole campaign on this machine
///
/// Starts the rehearsal cloud and runs verify, bake, launch, push, feed, wait and down against it, each as a process of
/// its own: real processes, real SSH, real files. Needs no AWS account and touches none. Exits 0 when everything went
/// as the fault script foretold.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  fleetwright rehearse
  fleetwright rehearse --hosts 40 --items 35000 --report rehearsal.json
  fleetwright rehearse --seed 7 --faults faults.json --keep")]
pub(super) struct RehearseArgs {
    /// Hosts to launch [default: the spec's fleet.size]
    #[arg(long, value_name = "N", value_parser = values::whole::<u32>(1, 10_000))]
    hosts: Option<u32>,
    /// Items to feed [default: every file once]
    #[arg(long, value_name = "N", value_parser = values::whole::<u64>(1, u64::MAX))]
    items: Option<u64>,
    /// Folder whose files are the items [default: the spec's feed]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    items_from: Option<PathBuf>,
    /// Same seed, same decisions on what goes wrong
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Script of what goes wrong, and when
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    faults: Option<PathBuf>,
    /// Leave everything running at the end
    #[arg(long)]
    keep: bool,
    /// Write a report of the rehearsal to this file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    report: Option<PathBuf>,
    /// World seconds that pass in a second
    #[arg(long, value_name = "FACTOR", value_parser = values::speed)]
    speed: Option<f64>,
}

impl RehearseArgs {
    /// The same, checked.
    pub(super) fn check(self) -> Rehearse {
        Rehearse {
            hosts: self.hosts,
            items: self.items,
            items_from: self.items_from,
            seed: self.seed,
            faults: self.faults,
            keep: self.keep,
            report: self.report,
            speed: self.speed,
        }
    }
}
