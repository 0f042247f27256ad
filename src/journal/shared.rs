//! A journal that is in a file here and in numbered objects that all machines share, one for each committed batch.
//!
//! The object comes first: a batch counts once every machine can read it, so the file is never ahead of the objects.

use super::depot::{Depot, DepotError, If};
use super::lease::Lease;
use super::store::{FileStore, Store};
use crate::exit::Exit;
use std::io;
use std::sync::Arc;

/// The folder of a run's objects.
pub(super) fn folder(run: &str) -> String {
    format!("runs/{run}/")
}

/// The name of a run's `number`th segment, from 1.
pub(super) fn segment(run: &str, number: u64) -> String {
    format!("{}{number:08}.jsonl", folder(run))
}

/// The number of a segment; none for other objects.
pub(super) fn number(name: &str) -> Option<u64> {
    let digits = name.rsplit('/').next()?.strip_suffix(".jsonl")?;
    if digits.len() == 8 && digits.bytes().all(|b| b.is_ascii_digit()) { digits.parse().ok() } else { None }
}

/// The file and where its batches go first.
#[derive(Debug)]
pub(super) struct SharedStore {
    file: FileStore,
    depot: Arc<dyn Depot>,
    lease: Arc<Lease>,
    run: String,
    /// Number of the next segment.
    next: u64,
    /// What was appended and is not durable yet.
    batch: Vec<u8>,
}

impl SharedStore {
    /// Goes on behind the segments that there are.
    pub(super) fn new(file: FileStore, depot: Arc<dyn Depot>, lease: Arc<Lease>, run: String, segments: u64) -> Self {
        Self { file, depot, lease, run, next: segments + 1, batch: Vec::new() }
    }
}

/// Writes a segment that nobody wrote before; one that holds these bytes already is our own, whose answer was lost.
pub(super) fn put(depot: &dyn Depot, run: &str, number: u64, bytes: &[u8]) -> Result<(), DepotError> {
    let name = segment(run, number);
    if depot.put(&name, bytes, &If::New)?.is_some() || depot.get(&name)?.is_some_and(|found| found.bytes == bytes) {
        return Ok(());
    }
    Err(DepotError {
        exit: Exit::Locked,
        message: format!("write {}: another process wrote it, so it is at work on the same run", depot.place(&name)),
        hint: "nothing more was changed; run the same command again once the other has ended".to_owned(),
    })
}

impl Store for SharedStore {
    fn place(&self) -> String {
        self.depot.place(&folder(&self.run))
    }

    fn read(&mut self) -> io::Result<Vec<u8>> {
        self.file.read()
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.batch.extend_from_slice(bytes);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        if self.batch.is_empty() {
            return self.file.sync();
        }
        let shared = self.lease.check().and_then(|()| put(&*self.depot, &self.run, self.next, &self.batch));
        if let Err(error) = shared {
            self.lease.give_up(&error);
            return Err(io::Error::other(error));
        }
        self.next += 1;
        let batch = std::mem::take(&mut self.batch);
        self.file.append(&batch)?;
        self.file.sync()
    }

    fn truncate(&mut self, _: u64) -> io::Result<()> {
        // Segments are whole batches, so there is never half of one to drop.
        Err(io::Error::other(
            "its last segment is broken: restore that object, or delete it when its call was never made",
        ))
    }
}
