//! The program: arguments in, exit code out.

use fleetwright::sim::hosts::{HELPER, helper_main};
use fleetwright::{app, cli};
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    if let Some((_, rest)) = arguments.split_first().filter(|(first, _)| *first == HELPER) {
        return ExitCode::from(u8::try_from(helper_main(rest)).unwrap_or(u8::MAX));
    }
    match cli::parse(std::env::args_os()) {
        Ok(request) => app::run(request).into(),
        Err(stop) => stop.print().into(),
    }
}
