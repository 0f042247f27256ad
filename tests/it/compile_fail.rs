//! What must not compile: whoever ends things can't make up the right to do so.
//!
//! The compiler is asked directly, with the library as this test was linked to it: a tool that builds the dependencies once
//! more for its own use would take minutes of every run on a bare machine.

use super::source::root;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The library that this test's own build made, which is the newest.
fn library(deps: &Path) -> PathBuf {
    let is_ours = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy();
        name.starts_with("libfleetwright-") && name.ends_with(".rlib")
    };
    let all = fs::read_dir(deps).unwrap().map(|entry| entry.unwrap().path()).filter(is_ours);
    all.max_by_key(|path| path.metadata().unwrap().modified().unwrap()).expect("the library beside this test")
}

/// What the compiler says of one file, a line for each error; empty when it has nothing against it.
fn diagnostics(source: &Path, out: &Path) -> String {
    let deps = std::env::current_exe().unwrap().parent().unwrap().to_owned();
    let compiler = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let told = Command::new(compiler)
        .current_dir(root())
        .args(["--edition", "2024", "--emit", "metadata", "--error-format", "short", "--cap-lints", "allow"])
        .arg("-L")
        .arg(format!("dependency={}", deps.display()))
        .arg("--extern")
        .arg(format!("fleetwright={}", library(&deps).display()))
        .arg("-o")
        .arg(out)
        .arg(source)
        .output()
        .unwrap();
    String::from_utf8(told.stderr).unwrap()
}

#[test]
fn owned_ids_and_permits_are_issued_and_never_made_up() {
    let scratch = tempfile::tempdir().unwrap();
    let mut sources: Vec<_> = fs::read_dir(root().join("tests/ui")).unwrap().map(|f| f.unwrap().file_name()).collect();
    sources.sort();
    let told: Vec<String> = sources
        .iter()
        .map(|name| diagnostics(&Path::new("tests/ui").join(name), &scratch.path().join("out.rmeta")))
        .collect();
    insta::with_settings!({ snapshot_path => "../snapshots", prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!("compile-fail", told.join("\n"));
    });
}
