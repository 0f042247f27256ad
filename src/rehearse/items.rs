//! The items of a rehearsal: real files, by range when more items are wanted than there are files.

use crate::feed::source::{FilesError, files, ranges};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Items and the folder that they are relative to.
#[derive(Clone, Debug)]
pub struct Chosen {
    /// The folder that hosts see as their items.
    pub base: PathBuf,
    /// Paths, or ranges of them.
    pub items: Vec<String>,
}

/// Every regular file below the folders, relative to `base`; by range when `count` asks for more, cut when for fewer.
///
/// # Errors
///
/// When a folder can't be read or a name is no UTF-8.
pub fn choose(base: &Path, folders: &[PathBuf], count: Option<usize>) -> Result<Chosen, FilesError> {
    let mut all = Vec::new();
    for folder in folders {
        all.extend(files(base, &base.join(folder))?);
    }
    // Folders that overlap name a file twice, and it has one record.
    let mut seen = BTreeSet::new();
    all.retain(|path| seen.insert(path.clone()));
    let items = match count {
        Some(count) => ranges(base, all, count)?,
        None => all,
    };
    Ok(Chosen { base: base.to_owned(), items })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_that_overlap_give_each_file_once() {
        let base = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(base.path().join("src/sub")).unwrap();
        for file in ["src/a", "src/sub/b"] {
            std::fs::write(base.path().join(file), "content").unwrap();
        }
        let chosen = choose(base.path(), &["src".into(), "src/sub".into()], None).unwrap();
        assert_eq!(chosen.items, ["src/a", "src/sub/b"]);
    }
}
