//! The program: arguments in, exit code out.

use fleetwright::{cli, exit::Exit};
use std::process::ExitCode;

fn main() -> ExitCode {
    match cli::parse(std::env::args_os()) {
        Ok(_) => Exit::Done.into(),
        Err(stop) => stop.print().into(),
    }
}
