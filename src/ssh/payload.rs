//! Packs what a play needs on its host into one tar stream with checksums.

use crate::model::{PlayKind, PlayStep, shell_word};
use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

/// The stream in pieces, so that the release's bytes are shared by all hosts, and the checksum of its checksums.
#[derive(Debug)]
pub(super) struct Payload {
    pub(super) sums: String,
    pub(super) pieces: Vec<Arc<[u8]>>,
}

impl Payload {
    /// Bytes of the stream.
    pub(super) fn size(&self) -> usize {
        self.pieces.iter().map(|piece| piece.len()).sum()
    }
}

/// A part of a play between reboots.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segment<'a> {
    /// The steps, none of them a reboot.
    pub(super) steps: &'a [PlayStep],
    /// Index of the first within the play.
    pub(super) first: usize,
    /// Whether the host's marker goes before the first step.
    pub(super) begins: bool,
    /// What the marker says after the last step: digests of play and release.
    pub(super) finish: Option<(&'a str, &'a str)>,
}

/// The release archive: its bytes and their SHA-256, hex.
#[derive(Clone, Debug)]
pub(super) struct Archive {
    pub(super) bytes: Arc<[u8]>,
    pub(super) sha256: String,
}

impl Archive {
    pub(super) fn new(bytes: Arc<[u8]>, sha256: String) -> Self {
        Self { bytes, sha256 }
    }
}

const STEPS: &str = include_str!("steps.sh");
const BLOCK: usize = 512;

/// Packs one segment.
pub(super) fn pack(segment: Segment<'_>, release: Option<&Archive>) -> std::io::Result<Payload> {
    let mut files: Vec<(String, Arc<[u8]>, String)> = Vec::new();
    let mut add = |name: &str, bytes: Arc<[u8]>| {
        let sum = sha256(&bytes);
        files.push((name.to_owned(), bytes, sum.clone()));
        sum
    };
    let mut plan = String::new();
    if segment.begins {
        plan.push_str("begin\n");
    }
    let mut needs_release = false;
    for (i, step) in segment.steps.iter().enumerate() {
        let index = segment.first + i;
        let file = format!("f{index}");
        let what = match &step.kind {
            PlayKind::Put { bytes, path, mode, owner } => {
                let sum = add(&file, Arc::clone(bytes));
                let owner = shell_word(owner.as_deref().unwrap_or_default());
                format!("put {file} {} {mode:o} {owner} {sum}", shell_word(path))
            }
            PlayKind::Unpack { to } => {
                needs_release = true;
                let sum = release.map(|archive| archive.sha256.as_str()).unwrap_or_default();
                format!("unpack {} {}", shell_word(to), shell_word(sum))
            }
            PlayKind::Run { script } => {
                add(&file, script.as_bytes().into());
                format!("run {file}")
            }
            PlayKind::Check { script } => {
                add(&file, script.as_bytes().into());
                format!("check {file}")
            }
            PlayKind::Link { to, at } => format!("link {} {}", shell_word(to), shell_word(at)),
            PlayKind::Restart { service } => format!("restart {}", shell_word(service)),
            PlayKind::Reboot { .. } => continue,
        };
        writeln!(plan, "step {index} {} {} {what}", seconds(step.timeout), step.retries)
            .map_err(std::io::Error::other)?;
    }
    if let Some((digest, release)) = segment.finish {
        writeln!(plan, "finish {} {}", shell_word(digest), shell_word(release)).map_err(std::io::Error::other)?;
    }
    add("plan", plan.into_bytes().into());
    add("steps.sh", STEPS.as_bytes().into());
    if needs_release {
        let archive = release.ok_or_else(|| std::io::Error::other("the play unpacks a release, but there is none"))?;
        files.push(("release".to_owned(), Arc::clone(&archive.bytes), archive.sha256.clone()));
    }
    let mut sums = String::new();
    for (name, _, sum) in &files {
        writeln!(sums, "{sum}  {name}").map_err(std::io::Error::other)?;
    }
    let sums_digest = sha256(sums.as_bytes());
    files.push(("sums".to_owned(), sums.into_bytes().into(), String::new()));
    Ok(Payload { sums: sums_digest, pieces: stream(&files)? })
}

/// The same for a host that nobody logs in to: steps without a release, and what carries them out, as tar.gz. The same steps
/// make the same bytes. A reboot is left out.
///
/// # Errors
///
/// When a step unpacks a release.
pub fn bundle(steps: &[PlayStep]) -> std::io::Result<Vec<u8>> {
    let payload = pack(Segment { steps, first: 0, begins: false, finish: None }, None)?;
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    for piece in &payload.pieces {
        gzip.write_all(piece)?;
    }
    gzip.finish()
}

fn stream(files: &[(String, Arc<[u8]>, String)]) -> std::io::Result<Vec<Arc<[u8]>>> {
    let mut pieces: Vec<Arc<[u8]>> = Vec::new();
    let mut small: Vec<u8> = Vec::new();
    for (name, bytes, _) in files {
        let mut header = tar::Header::new_ustar();
        header.set_path(name)?;
        header.set_size(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        header.set_mode(0o600);
        header.set_entry_type(tar::EntryType::Regular);
        header.set_cksum();
        small.extend_from_slice(header.as_bytes());
        if bytes.len() > 64 * 1024 {
            pieces.push(std::mem::take(&mut small).into());
            pieces.push(Arc::clone(bytes));
        } else {
            small.extend_from_slice(bytes);
        }
        small.resize(small.len() + bytes.len().next_multiple_of(BLOCK) - bytes.len(), 0);
    }
    small.resize(small.len() + 2 * BLOCK, 0);
    pieces.push(small.into());
    Ok(pieces)
}

/// Seconds as `timeout` and `sleep` take them; never zero, which would mean no limit.
pub(super) fn seconds(span: Duration) -> String {
    let span = span.max(Duration::from_millis(1));
    if span.subsec_millis() == 0 { span.as_secs().to_string() } else { format!("{:.3}", span.as_secs_f64()) }
}

fn sha256(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(&Sha256::digest(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_is_a_tar_archive_with_true_sums() {
        let step =
            |name: &str, kind| PlayStep { name: name.into(), timeout: Duration::from_millis(1500), retries: 1, kind };
        let bytes: Arc<[u8]> = vec![7; 70_001].into();
        let steps = [
            step("a", PlayKind::Put { bytes, path: "/etc/it's".into(), mode: 0o755, owner: None }),
            step("b", PlayKind::Run { script: "echo hi".into() }),
            step("c", PlayKind::Unpack { to: "/srv/x".into() }),
        ];
        let archive = Archive::new(vec![1; 100_000].into(), "aa".into());
        let segment = Segment { steps: &steps, first: 2, begins: true, finish: Some(("d1", "")) };
        let payload = pack(segment, Some(&archive)).unwrap();

        let whole = payload.pieces.concat();
        let mut files = std::collections::BTreeMap::new();
        for entry in tar::Archive::new(&whole[..]).entries().unwrap() {
            let mut entry = entry.unwrap();
            let mut bytes = Vec::new();
            std::io::Read::read_to_end(&mut entry, &mut bytes).unwrap();
            files.insert(entry.path().unwrap().display().to_string(), bytes);
        }
        assert_eq!(sha256(&files["sums"]), payload.sums);
        for line in String::from_utf8(files["sums"].clone()).unwrap().lines() {
            let (sum, name) = line.split_once("  ").unwrap();
            let want = if name == "release" { "aa".to_owned() } else { sha256(&files[name]) };
            assert_eq!(sum, want, "{name}");
        }
        let plan = String::from_utf8(files["plan"].clone()).unwrap();
        let sum = sha256(&files["f2"]);
        assert_eq!(
            plan,
            format!(
                "begin\nstep 2 1.500 1 put f2 '/etc/it'\\''s' 755 '' {sum}\nstep 3 1.500 1 run f3\n\
                 step 4 1.500 1 unpack /srv/x aa\nfinish d1 ''\n"
            )
        );
        assert!(pack(segment, None).is_err());
    }
}
