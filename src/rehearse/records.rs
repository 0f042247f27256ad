//! The rehearsal's own judgement: every item's digest recomputed here and held against what the workers wrote.

use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

/// What the comparison found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Compared {
    /// Items that were fed.
    pub expected: u64,
    /// Items with exactly one record, and that right.
    pub equal: u64,
    /// Items without a record.
    pub missing: Vec<String>,
    /// Items whose record says something else than the file.
    pub wrong: Vec<String>,
    /// Items with more than one record.
    pub double: Vec<String>,
    /// Records of nothing that was fed.
    pub foreign: Vec<String>,
}

impl Compared {
    /// Whether every item has its one right record and there is nothing else.
    pub fn all_equal(&self) -> bool {
        self.equal == self.expected && self.foreign.is_empty() && self.double.is_empty()
    }
}

/// Reads every record below `results` and recomputes every item's digest from the files below `base`.
///
/// # Errors
///
/// When a record or a file can't be read.
pub fn compare(items: &[String], base: &Path, results: &Path) -> io::Result<Compared> {
    let mut records: BTreeMap<String, Vec<(u64, String)>> = BTreeMap::new();
    for entry in std::fs::read_dir(results)? {
        let entry = entry?;
        // A dot file is a record that its worker did not finish: it died, and somebody else has the item.
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        for line in std::fs::read_to_string(entry.path())?.lines() {
            let mut fields = line.rsplitn(3, '\t');
            let sha = fields.next().unwrap_or_default().to_owned();
            let bytes = fields.next().and_then(|n| n.parse().ok()).unwrap_or(u64::MAX);
            let item = fields.next().unwrap_or_default().to_owned();
            records.entry(item).or_default().push((bytes, sha));
        }
    }
    let mut compared = Compared { expected: items.len() as u64, ..Compared::default() };
    for item in items {
        match records.remove(item).as_deref() {
            None => compared.missing.push(item.clone()),
            Some([one]) if *one == digest(base, item)? => compared.equal += 1,
            Some([_]) => compared.wrong.push(item.clone()),
            Some(_) => compared.double.push(item.clone()),
        }
    }
    compared.foreign = records.into_keys().collect();
    Ok(compared)
}

/// Length and SHA-256 of a file, or of a range of it (`path#from-to`).
fn digest(base: &Path, item: &str) -> io::Result<(u64, String)> {
    let range = item.rsplit_once('#').and_then(|(path, range)| {
        let (from, to) = range.split_once('-')?;
        Some((path, from.parse::<u64>().ok()?, to.parse::<u64>().ok()?))
    });
    let (path, from, to) = range.unwrap_or((item, 0, u64::MAX));
    let mut file = File::open(base.join(path))?;
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.take(to.saturating_sub(from)).read_to_end(&mut bytes)?;
    Ok((bytes.len() as u64, data_encoding::HEXLOWER.encode(&Sha256::digest(&bytes))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_missing_wrong_double_and_foreign_records() {
        let dir = tempfile::tempdir().unwrap();
        let (base, results) = (dir.path().join("base"), dir.path().join("results"));
        std::fs::create_dir_all(&base).unwrap();
        std::fs::create_dir_all(&results).unwrap();
        std::fs::write(base.join("a"), "hello").unwrap();
        let right = |item: &str| {
            let (bytes, sha) = digest(&base, item).unwrap();
            format!("{item}\t{bytes}\t{sha}\n")
        };
        let items: Vec<String> = ["a", "a#0-2", "a#2-5", "a#1-1"].map(str::to_owned).to_vec();
        std::fs::write(results.join("1"), right("a")).unwrap();
        std::fs::write(results.join("2"), right("a#0-2")).unwrap();
        std::fs::write(results.join("3"), right("a#0-2")).unwrap();
        std::fs::write(results.join("4"), "a#2-5\t3\tfeed\n").unwrap();
        std::fs::write(results.join("5"), "other\t1\tfeed\n").unwrap();
        std::fs::write(results.join(".half"), "a#1-1\t").unwrap();
        let compared = compare(&items, &base, &results).unwrap();
        assert_eq!(compared.equal, 1);
        assert_eq!(compared.double, ["a#0-2"]);
        assert_eq!(compared.wrong, ["a#2-5"]);
        assert_eq!(compared.missing, ["a#1-1"]);
        assert_eq!(compared.foreign, ["other"]);
        assert!(!compared.all_equal());
    }
}
