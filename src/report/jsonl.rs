//! Events as JSON lines, as they happen: to stdout for programs, and to `events.jsonl` in the run directory.

use super::Out;
use crate::event::{Sink, Stamped};
use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// Writes one event a line, each in one write. A writer that fails is not written to again: work goes on.
pub struct Jsonl {
    out: Mutex<Option<Out>>,
}

impl Jsonl {
    /// Writes to this.
    pub fn new(out: Out) -> Self {
        Self { out: Mutex::new(Some(out)) }
    }

    /// Appends to a file that only its owner can read; a resumed run adds to what it wrote before.
    ///
    /// # Errors
    ///
    /// When the file can't be opened.
    pub fn record(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
        Ok(Self::new(Box::new(file)))
    }
}

impl std::fmt::Debug for Jsonl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Jsonl").finish_non_exhaustive()
    }
}

impl Sink for Jsonl {
    fn emit(&self, event: &Stamped) {
        let mut guard = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(out) = guard.as_mut() else { return };
        let written = serde_json::to_vec(event).map_err(io::Error::from).and_then(|mut line| {
            line.push(b'\n');
            out.write_all(&line)?;
            out.flush()
        });
        if let Err(error) = written {
            *guard = None;
            if error.kind() != io::ErrorKind::BrokenPipe {
                tracing::warn!(%error, "events are no longer written");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Shared, campaign, play};
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn one_event_a_line_that_reads_back() {
        let out = Shared::default();
        let sink = Jsonl::new(out.boxed());
        play(&sink);
        let text = out.text();
        let back: Vec<Stamped> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(back, campaign());
        insta::assert_snapshot!(text.lines().next().unwrap(), @r#"{"at":"2026-03-01T00:00:00Z","event":"run-started","run":"0195-run","verb":"push","fleet":"crawl","resumed":false}"#);
    }

    #[test]
    fn a_file_is_private_and_appended_to() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("events.jsonl");
        for _ in 0..2 {
            Jsonl::record(&path).unwrap().emit(&campaign()[0]);
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 2);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(Jsonl::record(&dir.path().join("none/events.jsonl")).is_err());
    }

    #[test]
    fn a_writer_that_fails_is_left_alone() {
        let out = Shared::failing_after(1);
        let sink = Jsonl::new(out.boxed());
        play(&sink);
        assert_eq!(out.text().lines().count(), 1);
        assert_eq!(out.attempts(), 2, "the failing writer is tried once and never again");
    }
}
