//! Hostile specs and playbooks: answered in bounded time and memory, without a panic and without asking anybody.

use crate::env::repo;
use std::process::Command;

/// Bounds for a build without optimisation on a machine with other work to do; `tests/hostile.py BINARY` by itself holds an
/// optimised one to a second and 64 MiB.
#[test]
fn hostile_files_are_answered_in_bounds() {
    let output = Command::new("python3")
        .arg(repo("tests/hostile.py"))
        .args([env!("CARGO_BIN_EXE_fleetwright"), "20", "128"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert!(String::from_utf8_lossy(&output.stdout).lines().count() > 50);
}
