//! A store for tests: forgets unsynced bytes when it crashes, fails when told to.

use super::store::Store;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

/// What goes wrong at one operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The append writes this many bytes, then the disk is full.
    Full(usize),
    /// The append writes this many bytes, then the disk answers with an error of its own.
    Broken(usize),
    /// Nothing can be read; reads are no operations.
    ReadFails,
    /// The sync fails; what was appended may or may not be durable.
    SyncFails,
}

#[derive(Debug, Default)]
struct Disk {
    /// What a reader sees.
    seen: Vec<u8>,
    /// What survives a crash of the machine.
    durable: Vec<u8>,
    /// Operations (appends and syncs) so far.
    operations: usize,
    syncs: usize,
    trouble: Option<(usize, Trouble)>,
}

/// Shares its bytes with its clones, so that a test can crash it and open it again.
#[derive(Clone, Debug, Default)]
pub(crate) struct MemoryStore(Arc<Mutex<Disk>>);

impl MemoryStore {
    pub(crate) fn holding(bytes: &[u8]) -> Self {
        let store = Self::default();
        store.disk(|disk| {
            disk.seen = bytes.to_vec();
            disk.durable = bytes.to_vec();
        });
        store
    }

    fn disk<T>(&self, act: impl FnOnce(&mut Disk) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Lets the given operation (appends and syncs counted together, from 0) go wrong.
    pub(crate) fn trouble_at(&self, operation: usize, trouble: Trouble) {
        self.disk(|disk| disk.trouble = Some((operation, trouble)));
    }

    /// The disk works again.
    pub(crate) fn heal(&self) {
        self.disk(|disk| disk.trouble = None);
    }

    pub(crate) fn operations(&self) -> usize {
        self.disk(|disk| disk.operations)
    }

    pub(crate) fn syncs(&self) -> usize {
        self.disk(|disk| disk.syncs)
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.disk(|disk| disk.seen.clone())
    }

    /// The machine loses power: of what was never synced, the first `kept` bytes happened to reach the disk.
    pub(crate) fn crash(&self, kept: usize) {
        self.disk(|disk| {
            if disk.seen.len() < disk.durable.len() {
                // A truncation that was never synced is undone.
                disk.seen.clone_from(&disk.durable);
            }
            let end = (disk.durable.len() + kept).min(disk.seen.len());
            disk.seen.truncate(end);
            disk.durable.clone_from(&disk.seen);
        });
    }

    pub(crate) fn unsynced(&self) -> usize {
        self.disk(|disk| disk.seen.len().saturating_sub(disk.durable.len()))
    }
}

/// EIO.
fn input_output() -> io::Error {
    io::Error::other("input/output error")
}

impl Store for MemoryStore {
    fn place(&self) -> String {
        "memory".to_owned()
    }

    fn read(&mut self) -> io::Result<Vec<u8>> {
        match self.disk(|disk| disk.trouble) {
            Some((_, Trouble::ReadFails)) => Err(input_output()),
            Some((_, Trouble::Full(_) | Trouble::Broken(_) | Trouble::SyncFails)) | None => Ok(self.bytes()),
        }
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.disk(|disk| {
            let operation = disk.operations;
            disk.operations += 1;
            let (written, failed) = match disk.trouble.filter(|(at, _)| operation >= *at) {
                Some((_, Trouble::Full(room))) => (room, Err(io::ErrorKind::StorageFull.into())),
                Some((_, Trouble::Broken(room))) => (room, Err(input_output())),
                Some((_, Trouble::SyncFails | Trouble::ReadFails)) | None => (bytes.len(), Ok(())),
            };
            disk.seen.extend(bytes.iter().take(written));
            failed
        })
    }

    fn sync(&mut self) -> io::Result<()> {
        self.disk(|disk| {
            let operation = disk.operations;
            disk.operations += 1;
            if let Some((at, Trouble::SyncFails)) = disk.trouble
                && operation >= at
            {
                return Err(input_output());
            }
            disk.syncs += 1;
            disk.durable.clone_from(&disk.seen);
            Ok(())
        })
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        let len = usize::try_from(len).map_err(io::Error::other)?;
        self.disk(|disk| disk.seen.truncate(len));
        Ok(())
    }
}
