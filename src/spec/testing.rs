//! Specs for tests of other rooms.

use super::{Fleet, load};
use std::path::Path;

/// A spec in a file of the repository, as read without any environment.
pub(crate) fn of_file(file: &str) -> Fleet {
    load(Path::new(file), &[], &|_| None).unwrap_or_else(|e| panic!("{}", e.render(false))).fleet
}

/// A spec as text.
pub(crate) fn of_text(text: &str) -> Fleet {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("fleet.yaml");
    std::fs::write(&file, text).unwrap();
    of_file(file.to_str().unwrap())
}
