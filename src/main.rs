//! The binary: a host's helper when the rehearsal cloud calls it, else the tool.

use fleetwright::sim::hosts::{HELPER, helper_main};
use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.split_first() {
        Some((first, rest)) if first == HELPER => ExitCode::from(u8::try_from(helper_main(rest)).unwrap_or(u8::MAX)),
        _ => ExitCode::SUCCESS,
    }
}
