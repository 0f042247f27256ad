//! Brings the journals that other machines wrote here, and what was written here without them there.

use super::depot::{Depot, DepotError, If, Team};
use super::dir::{FleetDir, RunDir};
use super::error::JournalError;
use super::{log, shared, store};
use crate::exit::Exit;
use crate::model::RunId;
use std::collections::BTreeMap;
use std::io;
use std::path::Path;

/// Batches that are read at once: each takes S3 some tens of milliseconds, and a long feed writes thousands.
const AT_ONCE: usize = 16;

/// What is shared of one run.
#[derive(Debug, Default)]
struct Far {
    /// Sizes of the segments by number.
    segments: BTreeMap<u64, u64>,
    /// Size of what its items are known by.
    items: Option<u64>,
}

/// The name of the object that says what a run's items are known by.
pub(super) fn items(run: &str) -> String {
    format!("{}items", shared::folder(run))
}

/// How many segments of a run are shared.
pub(super) fn segments(depot: &dyn Depot, run: &str) -> Result<u64, JournalError> {
    let names = depot.list(&shared::folder(run))?;
    Ok(names.iter().filter(|(name, _)| shared::number(name).is_some()).count() as u64)
}

/// Makes the runs here those that are shared. Only who has claimed the fleet adds to what is shared.
pub(super) fn fetch(fleet: &FleetDir, team: &Team, claimed: bool) -> Result<(), JournalError> {
    let depot = &*team.depot;
    let mut far: BTreeMap<RunId, Far> = BTreeMap::new();
    for (name, size) in depot.list("runs/")? {
        let mut parts = name.split('/').skip(1);
        let (Some(run), Some(file)) = (parts.next().and_then(RunId::parse), parts.next()) else { continue };
        let entry = far.entry(run).or_default();
        match shared::number(file) {
            Some(number) => {
                entry.segments.insert(number, size);
            }
            None if file == "items" => entry.items = Some(size),
            None => {}
        }
    }
    for (run, far) in &far {
        one(&fleet.run(*run), depot, far, claimed)?;
    }
    if claimed {
        let mine = fleet.runs()?;
        mine.iter()
            .filter(|dir| !far.contains_key(&dir.run()))
            .try_for_each(|dir| one(dir, depot, &Far::default(), true))?;
    }
    Ok(())
}

fn one(dir: &RunDir, depot: &dyn Depot, far: &Far, claimed: bool) -> Result<(), JournalError> {
    let run = dir.run().to_string();
    if let Some((expected, _)) = (1..).zip(far.segments.keys()).find(|(expected, number)| expected != *number) {
        return Err(JournalError::Gap { place: depot.place(&shared::segment(&run, expected)) });
    }
    let here = size(&dir.journal())?;
    let there: u64 = far.segments.values().sum();
    if here < there {
        store::ensure_path(dir.path())?;
        let mut bytes = if here == 0 { Vec::new() } else { store::read_only(&dir.journal())? };
        let mut end = 0;
        let mut missing = Vec::new();
        for (number, size) in &far.segments {
            if end + size > here {
                if missing.is_empty() {
                    // A file that was cut short by a crash may have a part of the batch.
                    bytes.truncate(usize::try_from(end).unwrap_or(usize::MAX));
                }
                missing.push((shared::segment(&run, *number), *size));
            }
            end += size;
        }
        for some in missing.chunks(AT_ONCE) {
            bytes.extend(together(depot, some)?);
        }
        store::replace(&dir.journal(), &bytes)?;
    } else if here > there && claimed {
        publish(dir, depot, far)?;
    }
    match far.items {
        Some(there) if size(&dir.items_path())? != there => {
            let bytes = whole(depot, &items(&run), there)?;
            store::replace(&dir.items_path(), &bytes)
        }
        None if claimed && here > 0 && size(&dir.items_path())? > 0 => {
            depot.put(&items(&run), &dir.items()?, &If::Any)?;
            Ok(())
        }
        Some(_) | None => Ok(()),
    }
}

/// Shares what was written here while the fleet's state was kept on this machine only.
fn publish(dir: &RunDir, depot: &dyn Depot, far: &Far) -> Result<(), JournalError> {
    let run = dir.run().to_string();
    let bytes = store::read_only(&dir.journal())?;
    let good = match log::good(&dir.journal().display().to_string(), &bytes) {
        Ok(good) => good,
        // It made no call, so there is nothing to know of it.
        Err(JournalError::NotBegun { .. }) => return Ok(()),
        Err(error) => return Err(error),
    };
    let mut end = 0;
    for (number, size) in &far.segments {
        let name = shared::segment(&run, *number);
        let (begin, until) = (end, end + usize::try_from(*size).unwrap_or(usize::MAX));
        if bytes.get(begin..until) != Some(whole(depot, &name, *size)?.as_slice()) {
            return Err(JournalError::Apart { place: dir.journal().display().to_string(), far: depot.place(&name) });
        }
        end = until;
    }
    if let Some(rest) = bytes.get(end..good).filter(|rest| !rest.is_empty()) {
        shared::put(depot, &run, far.segments.len() as u64 + 1, rest)?;
    }
    // A batch that was never completed is dropped here too, so that the file is what is shared.
    match bytes.get(..good) {
        Some(whole) if good < bytes.len() => store::replace(&dir.journal(), whole),
        Some(_) | None => Ok(()),
    }
}

/// Objects of the sizes that were listed, one after the other in what comes back, read all at once.
fn together(depot: &dyn Depot, objects: &[(String, u64)]) -> Result<Vec<u8>, JournalError> {
    std::thread::scope(|scope| {
        let read = |(name, size): &(String, u64)| whole(depot, name, *size);
        let readers: Vec<_> = objects.iter().map(|object| scope.spawn(move || read(object))).collect();
        let mut bytes = Vec::new();
        for reader in readers {
            bytes.extend(reader.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?);
        }
        Ok(bytes)
    })
}

/// An object of the size that was listed.
fn whole(depot: &dyn Depot, name: &str, size: u64) -> Result<Vec<u8>, JournalError> {
    match depot.get(name)? {
        Some(found) if found.bytes.len() as u64 == size => Ok(found.bytes),
        found => {
            let bytes = found.map_or(0, |found| found.bytes.len());
            Err(JournalError::from(DepotError {
                exit: Exit::Unavailable,
                message: format!("read {}: {size} bytes were listed, {bytes} came", depot.place(name)),
                hint: "run the same command again".to_owned(),
            }))
        }
    }
}

/// Bytes of a file; none where there is none.
fn size(path: &Path) -> Result<u64, JournalError> {
    match path.symlink_metadata() {
        Ok(metadata) => Ok(metadata.len()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(JournalError::io("look at", path)(error)),
    }
}
