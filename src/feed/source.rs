//! A feed's source to its items, in an order that is the same each time.

use crate::spec::fleet::FeedSource;
use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Most bytes of an item: SQS took 256 KiB a message for most of its life, and the queue's own setting may still be
/// that.
pub const MOST_ITEM_BYTES: usize = 256 << 10;
/// Most items of a feed.
pub const MOST_ITEMS: usize = 10_000_000;
/// Deepest folder below the source; links are not followed, so nothing deeper is a loop, only a mistake.
const DEEPEST: usize = 64;

/// Why there are no items.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The file or folder can't be read.
    #[error("read {}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A name or a line is not UTF-8, which a queue's message must be.
    #[error("take {what} as an item: it is not UTF-8")]
    NotText {
        /// The name, escaped, or the line's number.
        what: String,
    },
    /// An item holds a character that SQS refuses.
    #[error("take {what} as an item: it holds a control character that a queue message can't carry")]
    Control {
        /// The item, escaped.
        what: String,
    },
    /// An item is too long.
    #[error("take item {number}: it has {bytes} bytes, a queue message at most {MOST_ITEM_BYTES}")]
    TooLong {
        /// Which, from 1.
        number: usize,
        /// Its length.
        bytes: usize,
    },
    /// There are too many.
    #[error("take the items: there are more than {MOST_ITEMS}; feed them in parts")]
    TooMany,
    /// There is none.
    #[error("take the items: {what} has none")]
    Empty {
        /// The source.
        what: String,
    },
    /// Folders are nested too deep.
    #[error("list {}: folders are nested more than {DEEPEST} deep", path.display())]
    TooDeep {
        /// Where.
        path: PathBuf,
    },
    /// `range` was asked of a source whose items are not files.
    #[error("split the items: only a feed from `files` can be split into ranges")]
    NotFiles,
    /// A file is named like a range, so that nobody could tell one from the other.
    #[error("split the items: the file {name:?} is named like a range; rename it")]
    Ambiguous {
        /// Its path below the folder.
        name: String,
    },
    /// The files hold fewer bytes than ranges are wanted.
    #[error("split {bytes} bytes into {wanted} ranges")]
    TooSmall {
        /// Bytes of all files.
        bytes: u64,
        /// Items wanted.
        wanted: usize,
    },
}

/// All items of a feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Items {
    items: Vec<String>,
    fingerprint: String,
}

impl Items {
    /// Checks the items and takes their fingerprint.
    fn new(items: Vec<String>, what: &str) -> Result<Self, SourceError> {
        if items.is_empty() {
            return Err(SourceError::Empty { what: what.to_owned() });
        }
        if items.len() > MOST_ITEMS {
            return Err(SourceError::TooMany);
        }
        let mut sha = Sha256::new();
        for (n, item) in items.iter().enumerate() {
            if item.len() > MOST_ITEM_BYTES {
                return Err(SourceError::TooLong { number: n + 1, bytes: item.len() });
            }
            // SQS takes #x9, #xA, #xD and #x20 up, without the two last code points of the basic plane.
            let refused =
                |c: char| (c < ' ' && !matches!(c, '\t' | '\n' | '\r')) || matches!(c, '\u{FFFE}' | '\u{FFFF}');
            if item.contains(refused) {
                return Err(SourceError::Control { what: item.escape_debug().to_string() });
            }
            sha.update((item.len() as u64).to_be_bytes());
            sha.update(item);
        }
        let fingerprint = sha.finalize().iter().fold(String::with_capacity(64), |mut out, byte| {
            write!(out, "{byte:02x}").unwrap_or_default();
            out
        });
        Ok(Self { items, fingerprint })
    }

    /// The items in order.
    pub fn as_slice(&self) -> &[String] {
        &self.items
    }

    /// How many there are; never none.
    #[expect(clippy::len_without_is_empty, reason = "items are never empty")]
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// SHA-256 over all items and their order, hex.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }
}

/// The items of a source.
///
/// `output` is what the command of a `run` source printed on the template. With `range` there are exactly that many
/// items: the first files when there are enough of them, else byte ranges `path#start-end` (end exclusive) that cover
/// every byte of every file exactly once.
pub fn items(source: &FeedSource, output: &[u8], range: Option<usize>) -> Result<Items, SourceError> {
    match source {
        FeedSource::Files(dir) => {
            let files = walk(dir)?;
            let items = match range {
                None => files.into_iter().map(|file| file.name).collect(),
                Some(wanted) => ranges(&files, wanted)?,
            };
            Items::new(items, &dir.display().to_string())
        }
        FeedSource::Lines(path) => {
            let bytes = fs::read(path).map_err(|source| SourceError::Unreadable { path: path.clone(), source })?;
            Items::new(take(lines(&bytes)?, range)?, &path.display().to_string())
        }
        FeedSource::Run(_) => Items::new(take(lines(output)?, range)?, "the command's output"),
    }
}

/// Only files can be split; fewer items than there are can be had of any source.
fn take(mut items: Vec<String>, range: Option<usize>) -> Result<Vec<String>, SourceError> {
    match range {
        Some(wanted) if wanted > items.len() => Err(SourceError::NotFiles),
        Some(wanted) => {
            items.truncate(wanted);
            Ok(items)
        }
        None => Ok(items),
    }
}

/// One item a line; empty lines are left out, a carriage return at the end is not part of the item.
fn lines(bytes: &[u8]) -> Result<Vec<String>, SourceError> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut out = Vec::new();
    for (n, line) in bytes.split(|&b| b == b'\n').enumerate() {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            continue;
        }
        if out.len() == MOST_ITEMS {
            return Err(SourceError::TooMany);
        }
        let text = str::from_utf8(line).map_err(|_| SourceError::NotText { what: format!("line {}", n + 1) })?;
        out.push(text.to_owned());
    }
    Ok(out)
}

/// A regular file below the source's folder.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Found {
    name: String,
    bytes: u64,
}

/// Every regular file below `dir`, sorted by the bytes of its path; links are neither followed nor items.
fn walk(dir: &Path) -> Result<Vec<Found>, SourceError> {
    let mut found = Vec::new();
    let mut open = vec![(dir.to_owned(), String::new(), 0)];
    while let Some((folder, prefix, depth)) = open.pop() {
        if depth > DEEPEST {
            return Err(SourceError::TooDeep { path: folder });
        }
        let unreadable = |source| SourceError::Unreadable { path: folder.clone(), source };
        for entry in fs::read_dir(&folder).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let path = entry.path();
            let Ok(name) = entry.file_name().into_string() else {
                return Err(SourceError::NotText {
                    what: path.as_os_str().as_encoded_bytes().escape_ascii().to_string(),
                });
            };
            let unreadable = |source| SourceError::Unreadable { path: path.clone(), source };
            let kind = entry.file_type().map_err(unreadable)?;
            if kind.is_dir() {
                open.push((path, format!("{prefix}{name}/"), depth + 1));
            } else if kind.is_file() {
                if found.len() == MOST_ITEMS {
                    return Err(SourceError::TooMany);
                }
                let bytes = entry.metadata().map_err(unreadable)?.len();
                found.push(Found { name: format!("{prefix}{name}"), bytes });
            }
        }
    }
    found.sort_unstable_by(|a, b| a.name.as_bytes().cmp(b.name.as_bytes()));
    Ok(found)
}

/// Splits files into exactly `wanted` items, the longest stretch first each time, so that ranges are of like length.
fn ranges(files: &[Found], wanted: usize) -> Result<Vec<String>, SourceError> {
    if wanted > MOST_ITEMS {
        return Err(SourceError::TooMany);
    }
    if wanted <= files.len() {
        return Ok(files.iter().take(wanted).map(|file| file.name.clone()).collect());
    }
    if let Some(file) = files.iter().find(|file| file.name.contains('#')) {
        return Err(SourceError::Ambiguous { name: file.name.clone() });
    }
    // A file of n bytes gives at most n ranges, an empty one its bare path.
    let bytes: u64 = files.iter().map(|file| file.bytes).sum();
    let room: u64 = files.iter().map(|file| file.bytes.max(1)).sum();
    if files.is_empty() || room < wanted as u64 {
        return Err(SourceError::TooSmall { bytes, wanted });
    }
    let parts = shares(files, wanted as u64);
    let mut out = Vec::with_capacity(wanted);
    for (file, parts) in files.iter().zip(parts) {
        if parts == 1 {
            out.push(file.name.clone());
            continue;
        }
        let edge =
            |n: u64| u64::try_from(u128::from(file.bytes) * u128::from(n) / u128::from(parts)).unwrap_or(u64::MAX);
        out.extend((0..parts).map(|n| format!("{}#{}-{}", file.name, edge(n), edge(n + 1))));
    }
    Ok(out)
}

/// How many ranges each file is cut into: one at least, a byte each at most, in proportion to its length otherwise.
fn shares(files: &[Found], wanted: u64) -> Vec<u64> {
    let mut queue: std::collections::BinaryHeap<(u64, std::cmp::Reverse<usize>)> = std::collections::BinaryHeap::new();
    let mut parts = vec![1; files.len()];
    for (n, file) in files.iter().enumerate() {
        if file.bytes > 1 {
            queue.push((file.bytes, std::cmp::Reverse(n)));
        }
    }
    for _ in files.len() as u64..wanted {
        let Some((_, std::cmp::Reverse(n))) = queue.pop() else { break };
        parts[n] += 1;
        if parts[n] < files[n].bytes {
            queue.push((files[n].bytes / parts[n], std::cmp::Reverse(n)));
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;
    use std::os::unix::ffi::OsStrExt;

    fn write(dir: &Path, name: &str, bytes: &[u8]) {
        let path = dir.join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::write(path, bytes).expect("writable");
    }

    #[test]
    fn lines_leave_out_the_empty_ones() {
        let run = FeedSource::Run("ls".into());
        let items = items(&run, b"\xef\xbb\xbfa\r\n\n  b \r\n\nc", None).expect("items");
        assert_eq!(items.as_slice(), ["a", "  b ", "c"]);
        assert!(matches!(super::items(&run, b"\n\n", None), Err(SourceError::Empty { .. })));
        assert!(
            matches!(super::items(&run, b"a\n\xff\n", None), Err(SourceError::NotText { what }) if what == "line 2")
        );
        assert!(matches!(super::items(&run, b"a\x00b", None), Err(SourceError::Control { .. })));
        assert!(matches!(super::items(&run, b"a\nb", Some(3)), Err(SourceError::NotFiles)));
        assert_eq!(super::items(&run, b"a\nb", Some(1)).expect("items").len(), 1);
        let long = vec![b'x'; MOST_ITEM_BYTES + 1];
        assert!(matches!(super::items(&run, &long, None), Err(SourceError::TooLong { number: 1, .. })));
    }

    #[test]
    fn files_are_sorted_by_bytes_and_links_left_out() {
        let dir = tempfile::tempdir().expect("a folder");
        for name in ["b", "a/z", "a.txt", "a/b/c", "é", "Z"] {
            write(dir.path(), name, b"x");
        }
        std::os::unix::fs::symlink("/etc/passwd", dir.path().join("link")).expect("a link");
        std::os::unix::fs::symlink("..", dir.path().join("a/loop")).expect("a link");
        let source = FeedSource::Files(dir.path().to_owned());
        let first = items(&source, b"", None).expect("items");
        assert_eq!(first.as_slice(), ["Z", "a.txt", "a/b/c", "a/z", "b", "é"]);
        assert_eq!(items(&source, b"", None).expect("items"), first);
        write(dir.path(), "new", b"");
        assert_ne!(items(&source, b"", None).expect("items").fingerprint(), first.fingerprint());
        let bad = dir.path().join(std::ffi::OsStr::from_bytes(b"bad\xff"));
        fs::write(bad, b"").expect("writable");
        let error = items(&source, b"", None).expect_err("a name that is not text");
        assert!(error.to_string().contains("bad\\xff"), "{error}");
    }

    #[test]
    fn a_missing_folder_is_named() {
        let error = items(&FeedSource::Files("/nonexistent".into()), b"", None).expect_err("missing");
        assert_eq!(error.to_string(), "read /nonexistent");
    }

    fn found(sizes: &[u64]) -> Vec<Found> {
        sizes.iter().enumerate().map(|(n, &bytes)| Found { name: format!("f{n:03}"), bytes }).collect()
    }

    #[test]
    fn ranges_need_enough_bytes() {
        assert!(matches!(ranges(&found(&[1, 0, 3]), 6), Err(SourceError::TooSmall { bytes: 4, wanted: 6 })));
        assert_eq!(
            ranges(&found(&[1, 0, 3]), 5).expect("ranges"),
            ["f000", "f001", "f002#0-1", "f002#1-2", "f002#2-3"]
        );
        assert_eq!(ranges(&found(&[1, 0, 3]), 2).expect("ranges"), ["f000", "f001"]);
        let named = [Found { name: "a#0-2".into(), bytes: 9 }];
        assert!(matches!(ranges(&named, 2), Err(SourceError::Ambiguous { .. })));
    }

    proptest! {
        #[test]
        fn every_byte_is_covered_once(sizes in proptest::collection::vec(0u64..5000, 1..40), more in 0usize..2000) {
            let files = found(&sizes);
            let room: u64 = sizes.iter().map(|&s| s.max(1)).sum();
            let wanted = (files.len() + more).min(usize::try_from(room).expect("small"));
            let items = ranges(&files, wanted).expect("ranges");
            prop_assert_eq!(items.len(), wanted);
            prop_assert_eq!(&ranges(&files, wanted).expect("ranges"), &items);
            let mut reached: BTreeMap<String, u64> = BTreeMap::new();
            for item in &items {
                let (name, start, end) = match item.split_once('#') {
                    None => (item.as_str(), 0, files.iter().find(|f| f.name == *item).expect("a file").bytes),
                    Some((name, range)) => {
                        let (start, end) = range.split_once('-').expect("a range");
                        let (start, end): (u64, u64) = (start.parse().expect("a number"), end.parse().expect("a number"));
                        prop_assert!(start < end);
                        (name, start, end)
                    }
                };
                prop_assert_eq!(reached.get(name).copied().unwrap_or(0), start);
                reached.insert(name.to_owned(), end);
            }
            for file in &files {
                prop_assert_eq!(reached.get(&file.name), Some(&file.bytes));
            }
        }
    }
}
