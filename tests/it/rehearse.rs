//! The main job as a user runs it: the whole campaign on the rehearsal cloud, real hosts, nothing left behind.

use crate::env::talk;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Runs `fleetwright ... rehearse` in an environment of its own.
fn rehearse(spec: &str, state: &Path, arguments: &[&str]) -> Output {
    Command::new(crate::env::lean())
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", state)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["-f", spec, "--state-dir"])
        .arg(state)
        .args(["-o", "json", "rehearse"])
        .args(arguments)
        .output()
        .unwrap()
}

/// The summary of a rehearsal that went as foretold; what it said is shown when it did not.
fn summary(output: &Output) -> Value {
    let talk = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "exit {:?}\n{talk}", output.status.code());
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}\n{talk}"))
}

/// Processes whose command line or root lies below the folder.
fn processes_below(folder: &Path) -> Vec<PathBuf> {
    let wanted = folder.to_string_lossy().into_owned();
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        if String::from_utf8_lossy(&line).contains(&wanted) {
            found.push(entry.path());
        }
    }
    found
}

/// Everything below a folder.
fn files_below(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    entries.flatten().map(|entry| entry.path()).collect()
}

#[test]
fn the_example_goes_as_foretold_and_leaves_nothing() {
    let state = tempfile::tempdir().unwrap();
    let output = rehearse("fleet.yaml", state.path(), &["--hosts", "4", "--items", "80"]);
    let summary = summary(&output);
    assert_eq!(summary["schema_version"], 1);
    assert_eq!(summary["verdict"], "done");
    assert_eq!(summary["hosts"]["wanted"], 4);
    assert_eq!(summary["hosts"]["ready"], 4);
    assert_eq!(summary["hosts"]["terminated"], 4);
    assert_eq!(summary["hosts"]["interrupted"], 1);
    assert_eq!(summary["items"]["fed"], 80);
    assert_eq!(summary["items"]["ok"], 80);
    assert_eq!(summary["items"]["unaccounted"], 0);
    assert_eq!(summary["records"]["expected"], 80);
    assert_eq!(summary["records"]["equal"], 80);
    let results: Vec<&str> =
        summary["push"].as_array().unwrap().iter().map(|host| host["result"].as_str().unwrap()).collect();
    for (result, count) in [("changed", 2), ("failed", 1), ("unreachable", 1)] {
        assert_eq!(results.iter().filter(|r| **r == result).count(), count, "{result} in {results:?}");
    }
    // One CreateFleet answer was cut after the launch: it was sent again under its token, and there were no other hosts.
    assert_eq!(summary["api_calls"]["CreateFleet"], 2);
    assert_eq!(summary["api_calls"]["CreateImage"], 1);
    // The sum is that which `down` told at its end.
    let told = format!("(${:.4} so far)", summary["cost_usd"].as_f64().unwrap());
    let said = talk(&output);
    assert!(said.lines().any(|line| line.contains("down done") && line.contains(&told)), "{told}\n{said}");
    assert!(summary["world_seconds"].as_i64().unwrap() > 180);
    assert_eq!(files_below(state.path()), Vec::<PathBuf>::new());
    assert_eq!(processes_below(state.path()), Vec::<PathBuf>::new());
}

#[test]
fn somebody_elses_spec_rehearses_too() {
    let state = tempfile::tempdir().unwrap();
    let output = rehearse("tests/specs/elsewhere/render-farm.yaml", state.path(), &[]);
    let summary = summary(&output);
    assert_eq!(summary["verdict"], "done");
    assert_eq!(summary["hosts"]["ready"], 3);
    assert_eq!(summary["hosts"]["terminated"], 3);
    assert_eq!(summary["items"]["fed"], 40);
    assert_eq!(summary["items"]["unaccounted"], Value::Null, "nobody can miss an item without a ledger");
    assert_eq!(summary["records"], Value::Null);
    assert_eq!(files_below(state.path()), Vec::<PathBuf>::new());
}

#[test]
fn a_missing_record_is_found_out() {
    // A worker that acknowledges without writing a record: the ledger and the recomputed digests both tell.
    let state = tempfile::tempdir().unwrap();
    let copy = tempfile::tempdir().unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    std::fs::create_dir_all(copy.path().join("playbooks")).unwrap();
    std::fs::create_dir_all(copy.path().join("src")).unwrap();
    std::fs::create_dir_all(copy.path().join("tests")).unwrap();
    for file in ["verify.yaml", "deploy.yaml", "template.sh"] {
        std::fs::copy(root.join("playbooks").join(file), copy.path().join("playbooks").join(file)).unwrap();
    }
    std::fs::copy(root.join("fleet.yaml"), copy.path().join("fleet.yaml")).unwrap();
    for n in 0..20 {
        std::fs::write(copy.path().join(format!("src/file-{n}")), format!("content {n}")).unwrap();
    }
    let worker = std::fs::read_to_string(root.join("playbooks/worker.sh")).unwrap();
    let forgetful =
        worker.replace("    mv \"$part\"", "    case $item in *file-7) rm \"$part\"; return;; esac\n    mv \"$part\"");
    assert_ne!(worker, forgetful);
    std::fs::write(copy.path().join("playbooks/worker.sh"), forgetful).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(copy.path().join("playbooks/worker.sh"), mode).unwrap();
    let spec = copy.path().join("fleet.yaml");
    let output = rehearse(&spec.to_string_lossy(), state.path(), &["--hosts", "3", "--items", "20"]);
    assert_eq!(output.status.code(), Some(15), "{}", String::from_utf8_lossy(&output.stderr));
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(summary["records"]["equal"], 19);
    assert_eq!(summary["items"]["unaccounted"], 1);
}
