//! The form of a journal on disk: a header line, then batches of record lines, each closed by a line with its checksum.
//!
//! ```text
//! {"fleetwright_journal":1}
//! {"record":"begun",...}
//! {"commit":{"batch":1,"records":1,"bytes":412,"crc32":"9ae0daaf"}}
//! ```
//!
//! Every line is JSON, so `jq` reads a journal as it is. A batch's checksum also covers its number and the checksum before it:
//! a batch that is missing, doubled, moved or taken from another journal does not fit the chain.

use super::record::{IllegalRecord, Record};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The version this program writes, and the newest that it reads.
const VERSION: u64 = 1;
/// The header line of this version.
const HEADER: &[u8] = b"{\"fleetwright_journal\":1}\n";
/// How a commit line starts; no record line starts so, since records start with their `record` tag.
const COMMIT: &[u8] = b"{\"commit\":";

/// A batch that was being written when the power or the process went away. Nothing in it was ever promised to anybody:
/// a call is made only after its batch is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TornTail {
    /// Number of the batch that was lost, from 1.
    pub batch: u64,
    /// Byte at which it began; the journal ends there now.
    pub at: u64,
    /// Bytes dropped.
    pub bytes: u64,
}

impl fmt::Display for TornTail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { batch, at, bytes } = self;
        write!(
            f,
            "the journal's last batch ({batch}, at byte {at}) was never completed; its {bytes} bytes were dropped"
        )
    }
}

/// Why a journal can't be believed. Never repaired by guessing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// The first line is not a journal's.
    #[error("it does not start as a journal does")]
    Header,
    /// A newer fleetwright wrote it.
    #[error("a newer fleetwright wrote it (version {found}; this one knows versions up to {VERSION})")]
    Newer {
        /// The version in its header.
        found: u64,
    },
    /// A batch is broken although something was written after it, which happens only when it was good once.
    #[error("batch {batch} at byte {at} is broken, and it is not the last")]
    Checksum {
        /// Its number.
        batch: u64,
        /// Where it begins.
        at: u64,
    },
    /// A batch is missing, doubled or out of place.
    #[error("batch {expected} was expected at byte {at}, batch {found} is there")]
    Order {
        /// The number that comes next.
        expected: u64,
        /// The number in the commit line.
        found: u64,
        /// Where the batch begins.
        at: u64,
    },
    /// A batch is whole, but what it says is not known to this version.
    #[error("batch {batch} holds a record that is not understood: {why}")]
    Unreadable {
        /// Its number.
        batch: u64,
        /// The reader's words.
        why: String,
    },
    /// The records are whole, but don't add up.
    #[error(transparent)]
    Illegal(#[from] IllegalRecord),
}

/// The line that closes a batch.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Commit {
    commit: Seal,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Seal {
    batch: u64,
    records: u64,
    bytes: u64,
    crc32: String,
}

/// What the next batch is chained to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Chain {
    batches: u64,
    crc: u32,
}

impl Chain {
    /// The bytes of the next batch (with the header before the first), and the chain after it.
    pub(super) fn seal(self, records: &[Record]) -> serde_json::Result<(Vec<u8>, Self)> {
        let mut body = Vec::new();
        for record in records {
            serde_json::to_writer(&mut body, record)?;
            body.push(b'\n');
        }
        let next = self.after(&body);
        let commit = next.commit_line(&body, records.len() as u64)?;
        let mut bytes = if self.batches == 0 { HEADER.to_vec() } else { Vec::new() };
        bytes.append(&mut body);
        bytes.extend(commit);
        Ok((bytes, next))
    }

    fn after(self, body: &[u8]) -> Self {
        let batches = self.batches + 1;
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&self.crc.to_le_bytes());
        hasher.update(&batches.to_le_bytes());
        hasher.update(body);
        Self { batches, crc: hasher.finalize() }
    }

    fn commit_line(self, body: &[u8], records: u64) -> serde_json::Result<Vec<u8>> {
        let seal = Seal { batch: self.batches, records, bytes: body.len() as u64, crc32: format!("{:08x}", self.crc) };
        let mut line = serde_json::to_vec(&Commit { commit: seal })?;
        line.push(b'\n');
        Ok(line)
    }
}

/// All that could be read.
#[derive(Debug, PartialEq)]
pub(super) struct Contents {
    /// Every record of every good batch.
    pub(super) records: Vec<Record>,
    /// What the next batch is chained to.
    pub(super) chain: Chain,
    /// Length of the good part, bytes.
    pub(super) good: u64,
    /// What follows the good part, if anything does.
    pub(super) torn: Option<TornTail>,
}

/// Reads a whole journal.
///
/// Batches are written one at a time, each synced before the next, so a crash can break only the last one: whatever else is
/// broken was good once, and is damage.
pub(super) fn read(bytes: &[u8]) -> Result<Contents, Damage> {
    let mut contents = Contents { records: Vec::new(), chain: Chain::default(), good: 0, torn: None };
    let Some(header) = line_at(bytes, 0) else {
        // Not even the header was completed.
        contents.torn = torn(1, 0, bytes.len());
        return Ok(contents);
    };
    check_header(header)?;
    let mut at = header.len();
    while at < bytes.len() {
        let expected = contents.chain.batches + 1;
        let Some((body, commit)) = batch_at(bytes, at) else {
            contents.torn = torn(expected, at, bytes.len());
            break;
        };
        let end = at + body.len() + commit.line.len();
        if commit.seal.batch != expected {
            return Err(Damage::Order { expected, found: commit.seal.batch, at: at as u64 });
        }
        let next = contents.chain.after(body);
        let lines: Vec<&[u8]> = body.split_inclusive(|byte| *byte == b'\n').collect();
        if next.commit_line(body, lines.len() as u64).ok().as_deref() != Some(commit.line) {
            if end < bytes.len() {
                return Err(Damage::Checksum { batch: expected, at: at as u64 });
            }
            contents.torn = torn(expected, at, bytes.len());
            break;
        }
        for line in lines {
            let record = serde_json::from_slice(line)
                .map_err(|error| Damage::Unreadable { batch: expected, why: error.to_string() })?;
            contents.records.push(record);
        }
        contents.chain = next;
        contents.good = end as u64;
        at = end;
    }
    Ok(contents)
}

fn torn(batch: u64, at: usize, end: usize) -> Option<TornTail> {
    // A first batch is dropped with its header: the next one to be written brings the header again.
    let at = if batch == 1 { 0 } else { at };
    (at < end).then(|| TornTail { batch, at: at as u64, bytes: (end - at) as u64 })
}

fn check_header(line: &[u8]) -> Result<(), Damage> {
    #[derive(Deserialize)]
    struct Header {
        fleetwright_journal: u64,
    }
    if line == HEADER {
        return Ok(());
    }
    match serde_json::from_slice(line) {
        Ok(Header { fleetwright_journal: found }) if found > VERSION => Err(Damage::Newer { found }),
        Ok(_) | Err(_) => Err(Damage::Header),
    }
}

/// The line that begins at `at`, with its newline; `None` when it was never completed.
fn line_at(bytes: &[u8], at: usize) -> Option<&[u8]> {
    let rest = bytes.get(at..)?;
    let end = rest.iter().position(|byte| *byte == b'\n')?;
    rest.get(..=end)
}

struct CommitLine<'a> {
    line: &'a [u8],
    seal: Seal,
}

/// The record lines from `at` on and the commit line that closes them; `None` when no commit line follows.
fn batch_at(bytes: &[u8], at: usize) -> Option<(&[u8], CommitLine<'_>)> {
    let mut end = at;
    loop {
        let line = line_at(bytes, end)?;
        if line.starts_with(COMMIT)
            && let Ok(Commit { commit: seal }) = serde_json::from_slice(line)
        {
            return Some((bytes.get(at..end)?, CommitLine { line, seal }));
        }
        end += line.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_of_a_kind_unknown_here_is_never_skipped() {
        for record in [r#"{"record":"lease","until":"2030-01-01T00:00:00Z"}"#, r#"{"record":"step","step":"a"}"#, "7"] {
            let body = format!("{record}\n").into_bytes();
            let chain = Chain::default().after(&body);
            let bytes = [HEADER, &body, &chain.commit_line(&body, 1).unwrap()].concat();
            assert!(matches!(read(&bytes), Err(Damage::Unreadable { batch: 1, .. })), "{record}");
        }
    }

    #[test]
    fn what_is_not_a_journal_is_said_not_to_be_one() {
        for bytes in [&b"run: 1\n"[..], b"{\"fleetwright_journal\":0}\n", b"{\"fleetwright_journal\": 1}\n", b"\n"] {
            assert_eq!(read(bytes), Err(Damage::Header));
        }
        for never_written in [&b""[..], b"{\"fleet", &[0; 4096]] {
            let contents = read(never_written).unwrap();
            assert_eq!((contents.records.len(), contents.good), (0, 0));
        }
    }
}
