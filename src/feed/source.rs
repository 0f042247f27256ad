//! Where items come from: lines of a file, a command's output, the files below a folder.

use sha2::{Digest, Sha256};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Longest message: SQS took 256 KiB for most of its life, and queues made then still do.
pub(super) const MESSAGE: usize = 256 * 1024;
/// What a message carries beside its item, which counts too: name, type and value of the attribute with the item's id
/// (16 + 6 + 32 bytes), and a little room.
pub(super) const ATTRIBUTES: usize = 64;
/// Longest item.
const LONGEST: usize = MESSAGE - ATTRIBUTES;
/// Most items of one feed.
const MOST: usize = 10_000_000;

/// Why a source can't be used.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// A file or folder can't be read.
    #[error("{path}: {source}")]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// An item can't be sent.
    #[error("item {number}: {why}")]
    Item {
        /// Which, from 1.
        number: usize,
        /// Why.
        why: &'static str,
    },
    /// A file's name can't be an item.
    #[error("{path}: its name {why}")]
    Name {
        /// Which.
        path: PathBuf,
        /// Why.
        why: &'static str,
    },
    /// Text that is no UTF-8.
    #[error("line {line} is not UTF-8")]
    Encoding {
        /// Which, from 1.
        line: usize,
    },
    /// More items than a feed takes.
    #[error("{count} items are more than the {MOST} that one feed takes")]
    TooMany {
        /// How many.
        count: usize,
    },
    /// Files too small for so many ranges.
    #[error("{wanted} items can't be made of {bytes} bytes in {files} files")]
    TooFew {
        /// Items wanted.
        wanted: usize,
        /// Bytes there are.
        bytes: u64,
        /// Files there are.
        files: usize,
    },
}

/// What goes wrong with files.
pub type FilesError = SourceError;

/// All items of a source, in feeding order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Items {
    /// The items.
    pub items: Vec<String>,
    /// SHA-256 over their number and each of them, hex: a changed source is noticed.
    pub fingerprint: String,
}

fn io_at(path: &Path) -> impl FnOnce(io::Error) -> SourceError {
    let path = path.to_owned();
    move |source| SourceError::Io { path, source }
}

/// One item a line of a file; empty lines are left out, CRLF is a line's end too.
///
/// # Errors
///
/// When the file can't be read, is no UTF-8, or holds an item that can't be sent.
pub fn lines(path: &Path) -> Result<Items, SourceError> {
    output(&fs::read(path).map_err(io_at(path))?)
}

/// One item a line of a command's output, by the rules of [`lines`].
///
/// # Errors
///
/// When it is no UTF-8 or holds an item that can't be sent.
pub fn output(bytes: &[u8]) -> Result<Items, SourceError> {
    let mut items = Vec::new();
    for (index, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let text = std::str::from_utf8(line).map_err(|_| SourceError::Encoding { line: index + 1 })?;
        if !text.is_empty() {
            items.push(text.to_owned());
        }
    }
    items_of(items)
}

/// Checks items and takes their fingerprint.
///
/// # Errors
///
/// When an item is empty, too long, or holds what a line can't.
pub fn items_of(items: Vec<String>) -> Result<Items, SourceError> {
    if items.len() > MOST {
        return Err(SourceError::TooMany { count: items.len() });
    }
    let mut hash = Sha256::new();
    hash.update((items.len() as u64).to_be_bytes());
    for (index, item) in items.iter().enumerate() {
        let why = match item {
            item if item.is_empty() => Some("is empty"),
            item if item.len() > LONGEST => Some("is longer than 256 KiB with its id"),
            item if item.contains('\n') => Some("holds a line break"),
            item if !item.chars().all(sendable) => {
                Some("holds a character that SQS takes in no message (U+0000 to U+001F, U+FFFE, U+FFFF)")
            }
            _ => None,
        };
        if let Some(why) = why {
            return Err(SourceError::Item { number: index + 1, why });
        }
        hash.update((item.len() as u64).to_be_bytes());
        hash.update(item);
    }
    Ok(Items { items, fingerprint: data_encoding::HEXLOWER.encode(&hash.finalize()) })
}

/// What a message may hold: `#x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF` (SendMessage). Found
/// out before the first item is sent: a feed that can't be finished is none.
fn sendable(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\r' | '\u{20}'..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..)
}

/// Every regular file below a folder, sorted bytewise, named as from `base`: `src/lib.rs` for the folder `src` in it, whole
/// paths for a folder elsewhere. Symbolic links are neither followed nor listed.
///
/// # Errors
///
/// When a folder can't be read or a name can't be an item.
pub fn files(base: &Path, folder: &Path) -> Result<Vec<String>, SourceError> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).map_err(io_at(&next))? {
            let entry = entry.map_err(io_at(&next))?;
            let kind = entry.file_type().map_err(io_at(&entry.path()))?;
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() {
                let path = entry.path();
                let relative = path.strip_prefix(base).unwrap_or(&path);
                let name = |why| SourceError::Name { path: path.clone(), why };
                let text = relative.to_str().ok_or_else(|| name("is not UTF-8"))?;
                if text.contains(['\n', '\t', '#']) {
                    return Err(name("holds a line break, a tab or a #, which items use"));
                }
                found.push(text.to_owned());
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Exactly `count` items of these files: the first ones when there are enough, else ranges `path#from-to` (`to` exclusive)
/// that cover every byte of every file exactly once. The longest piece is halved until there are enough, so pieces are even.
///
/// # Errors
///
/// When a file's size can't be read, or the files have fewer bytes than items are wanted.
pub fn ranges(base: &Path, mut files: Vec<String>, count: usize) -> Result<Vec<String>, SourceError> {
    if count <= files.len() {
        files.truncate(count);
        return Ok(files);
    }
    let mut sizes = Vec::with_capacity(files.len());
    for file in &files {
        let path = base.join(file);
        sizes.push(fs::metadata(&path).map_err(io_at(&path))?.len());
    }
    let cuts = cut(&sizes, count).ok_or(SourceError::TooFew {
        wanted: count,
        bytes: sizes.iter().sum(),
        files: files.len(),
    })?;
    let mut items = Vec::with_capacity(count);
    for ((file, size), pieces) in files.into_iter().zip(&sizes).zip(cuts) {
        if pieces == 1 {
            items.push(file);
            continue;
        }
        for piece in 0..pieces {
            let at = |n: u64| u64::try_from(u128::from(*size) * u128::from(n) / u128::from(pieces)).unwrap_or(*size);
            items.push(format!("{file}#{}-{}", at(piece), at(piece + 1)));
        }
    }
    Ok(items)
}

/// How many pieces each file is cut into, `count` in all, every piece at least one byte; an uncut file is one piece.
fn cut(sizes: &[u64], count: usize) -> Option<Vec<u64>> {
    let mut pieces = vec![1_u64; sizes.len()];
    // The file whose pieces are longest gets one more, by a heap ordered by piece length.
    let mut heap: std::collections::BinaryHeap<(u64, std::cmp::Reverse<usize>)> =
        sizes.iter().enumerate().map(|(index, size)| (*size, std::cmp::Reverse(index))).collect();
    for _ in sizes.len()..count {
        let (longest, std::cmp::Reverse(index)) = heap.pop()?;
        if longest <= 1 {
            return None;
        }
        let (size, n) = (*sizes.get(index)?, pieces.get_mut(index)?);
        *n += 1;
        heap.push((size.div_ceil(*n), std::cmp::Reverse(index)));
    }
    Some(pieces)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lines_leave_out_empty_ones_and_name_what_is_wrong() {
        assert_eq!(output(b"a\r\n\nb\n").unwrap().items, ["a", "b"]);
        assert_eq!(output(b"a\n\xff\n").unwrap_err().to_string(), "line 2 is not UTF-8");
        assert_ne!(output(b"ab\nc").unwrap().fingerprint, output(b"a\nbc").unwrap().fingerprint);
    }

    #[test]
    fn files_are_sorted_and_links_left_out() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("b/c")).unwrap();
        fs::write(dir.path().join("b/c/x"), "1").unwrap();
        fs::write(dir.path().join("a"), "2").unwrap();
        std::os::unix::fs::symlink("a", dir.path().join("link")).unwrap();
        assert_eq!(files(dir.path(), dir.path()).unwrap(), ["a", "b/c/x"]);
        assert_eq!(files(dir.path(), &dir.path().join("b")).unwrap(), ["b/c/x"]);
        let whole = dir.path().join("b/c/x").display().to_string();
        assert_eq!(files(&dir.path().join("b"), &dir.path().join("b")).unwrap(), ["c/x"]);
        assert_eq!(files(Path::new("/nowhere"), &dir.path().join("b")).unwrap(), [whole]);
        fs::write(dir.path().join("x#y"), "3").unwrap();
        assert!(files(dir.path(), dir.path()).unwrap_err().to_string().contains("x#y"));
    }

    proptest! {
        #[test]
        fn ranges_cover_every_byte_once(sizes in prop::collection::vec(0_u64..200, 1..12), extra in 0_usize..300) {
            let dir = tempfile::tempdir().unwrap();
            let names: Vec<String> = (0..sizes.len()).map(|n| format!("f{n:02}")).collect();
            for (name, size) in names.iter().zip(&sizes) {
                fs::write(dir.path().join(name), vec![0; usize::try_from(*size).unwrap()]).unwrap();
            }
            let count = names.len() + extra;
            let Ok(items) = ranges(dir.path(), names.clone(), count) else {
                let possible: u64 = sizes.iter().map(|s| (*s).max(1)).sum();
                prop_assert!(count as u64 > possible, "{} of {}", count, possible);
                return Ok(());
            };
            prop_assert_eq!(items.len(), count);
            for (name, size) in names.iter().zip(&sizes) {
                let mine: Vec<&String> = items.iter().filter(|i| i.split('#').next() == Some(name.as_str())).collect();
                if mine.len() == 1 && !mine[0].contains('#') { continue; }
                let mut at = 0;
                for item in mine {
                    let (from, to) = item.split_once('#').unwrap().1.split_once('-').unwrap();
                    let (from, to): (u64, u64) = (from.parse().unwrap(), to.parse().unwrap());
                    prop_assert_eq!(from, at);
                    prop_assert!(to > from);
                    at = to;
                }
                prop_assert_eq!(at, *size);
            }
        }
    }
}
