//! The journal of one run: records become durable first and count afterwards.

use super::depot::DepotError;
use super::error::JournalError;
use super::frame::{self, Chain, TornTail};
use super::record::{Begun, Draft, Fold, IntentId, Outcome, Record};
use super::store::Store;
use crate::exit::Exit;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use std::io;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

/// A stored call older than this is never sent again: EC2 promises to remember a ClientToken for no longer.
pub const REPLAY_LIMIT: SignedDuration = SignedDuration::from_hours(24);

/// Leave to make one call, with exactly the bytes that the journal holds. Only the journal issues it, and only after the
/// intent is durable; whoever makes a call that changes something takes one.
#[derive(Debug, PartialEq, Eq)]
pub struct Permit {
    intent: IntentId,
    call: Draft,
    replayed: bool,
    request: OnceLock<String>,
}

impl Permit {
    fn new(intent: IntentId, call: Draft, replayed: bool) -> Self {
        Self { intent, call, replayed, request: OnceLock::new() }
    }

    /// The intent it was issued for.
    pub fn intent(&self) -> IntentId {
        self.intent
    }

    /// The call, byte for byte.
    pub fn call(&self) -> &Draft {
        &self.call
    }

    /// Whether the call may have been sent before.
    pub fn replayed(&self) -> bool {
        self.replayed
    }

    /// Keeps the request id under which AWS took the call, for the outcome.
    pub fn answered(&self, request_id: Option<&str>) {
        if let Some(id) = request_id {
            self.request.get_or_init(|| id.to_owned());
        }
    }

    /// The request id under which AWS took the call, once it has.
    pub fn request_id(&self) -> Option<&str> {
        self.request.get().map(String::as_str)
    }
}

/// The journal of one run. Shared by reference; its methods block for the disk, a few milliseconds each.
pub struct Journal {
    place: String,
    inner: Mutex<Inner>,
}

struct Inner {
    store: Box<dyn Store>,
    chain: Chain,
    records: u64,
    fold: Fold,
    /// The first failed write. What is on disk is unknown since then, so nothing more may be promised.
    poison: Option<(Exit, String)>,
}

impl Journal {
    /// Begins a run: its first record is durable when this returns.
    ///
    /// # Errors
    ///
    /// When the store is not empty or can't be written.
    pub fn create(mut store: Box<dyn Store>, begun: Begun) -> Result<Self, JournalError> {
        let place = store.place();
        let there = store.read().map_err(|source| io_error("read", &place, source))?;
        if !there.is_empty() {
            return Err(io_error("create", &place, io::ErrorKind::AlreadyExists.into()));
        }
        let journal = Self::over(store, Chain::default());
        let Begun { run, verb, fleet, request, plan, at } = begun;
        journal.commit(vec![Record::Begun { run, verb, fleet, request, plan, at }])?;
        Ok(journal)
    }

    /// Opens a run to go on with it. A last batch that was never completed is dropped from the store, and told.
    ///
    /// What is read may have been written by a process that died before its sync, so it is synced before anybody acts on it.
    ///
    /// # Errors
    ///
    /// When the journal is damaged, never began, or the store fails.
    pub fn open(mut store: Box<dyn Store>) -> Result<(Self, Option<TornTail>), JournalError> {
        let place = store.place();
        let bytes = store.read().map_err(|source| io_error("read", &place, source))?;
        let Folded { chain, good, records, fold, torn } = fold_bytes(&place, &bytes)?;
        if torn.is_some() {
            store.truncate(good).map_err(|source| io_error("truncate", &place, source))?;
        }
        store.sync().map_err(|source| io_error("sync", &place, source))?;
        let journal = Self::over(store, chain);
        {
            let mut inner = journal.lock();
            inner.records = records;
            inner.fold = fold;
        }
        Ok((journal, torn))
    }

    fn over(store: Box<dyn Store>, chain: Chain) -> Self {
        let place = store.place();
        Self { place, inner: Mutex::new(Inner { store, chain, records: 0, fold: Fold::default(), poison: None }) }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// File name or URL.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// What the records add up to, looked at in place. The journal must not be used inside `look`.
    pub fn with_fold<T>(&self, look: impl FnOnce(&Fold) -> T) -> T {
        look(&self.lock().fold)
    }

    /// What the records add up to, copied.
    pub fn fold(&self) -> Fold {
        self.lock().fold.clone()
    }

    /// Makes records durable, all or none, with one sync.
    ///
    /// # Errors
    ///
    /// When a record can't follow what is there (then nothing is written), or when the store fails: then the journal is
    /// poisoned, and every later write fails too, so that no further call is made.
    pub fn commit(&self, records: Vec<Record>) -> Result<(), JournalError> {
        self.write(&mut self.lock(), records)
    }

    fn write(&self, inner: &mut Inner, records: Vec<Record>) -> Result<(), JournalError> {
        if let Some((exit, why)) = &inner.poison {
            return Err(JournalError::Poisoned { place: self.place.clone(), why: why.clone(), exit: *exit });
        }
        if records.is_empty() {
            return Ok(());
        }
        let illegal = |source| JournalError::Illegal { place: self.place.clone(), source };
        inner.fold.check(inner.records + 1, &records).map_err(illegal)?;
        let (bytes, chain) =
            inner.chain.seal(&records).map_err(|error| io_error("write to", &self.place, error.into()))?;
        // The order is the promise: written, then durable, then believed.
        if let Err(source) = inner.store.append(&bytes).and_then(|()| inner.store.sync()) {
            let why = source.to_string();
            let error = io_error("write to", &self.place, source);
            inner.poison = Some((error.exit(), why));
            return Err(error);
        }
        inner.chain = chain;
        for record in records {
            inner.records += 1;
            inner.fold.add(inner.records, record).map_err(illegal)?;
        }
        Ok(())
    }

    /// Says that a call will be made. When this returns, the intent survives any crash, and the call may be made.
    ///
    /// # Errors
    ///
    /// When the intent could not be made durable: the call must not be made.
    pub fn intend(&self, step: &str, call: Draft, at: Timestamp) -> Result<Permit, JournalError> {
        let mut inner = self.lock();
        let intent = inner.fold.next_intent();
        let record = Record::Intent { id: intent, step: step.to_owned(), call: call.clone(), at };
        self.write(&mut inner, vec![record])?;
        Ok(Permit::new(intent, call, false))
    }

    /// As [`Journal::intend`] for many calls of one step, with one sync for all; the permits come in the calls' order.
    ///
    /// # Errors
    ///
    /// When the intents could not be made durable: none of the calls may be made.
    pub fn intend_all(&self, step: &str, calls: Vec<Draft>, at: Timestamp) -> Result<Vec<Permit>, JournalError> {
        let mut inner = self.lock();
        let ids = (inner.fold.next_intent().0..).map(IntentId);
        let permits: Vec<Permit> = ids.zip(calls).map(|(intent, call)| Permit::new(intent, call, false)).collect();
        let records = permits
            .iter()
            .map(|permit| Record::Intent { id: permit.intent, step: step.to_owned(), call: permit.call.clone(), at })
            .collect();
        self.write(&mut inner, records)?;
        Ok(permits)
    }

    /// Leave to send an intent's stored call once more; that it is sent now is durable when this returns. `None` when its
    /// outcome is known, and when it is older than [`REPLAY_LIMIT`] (or so far in the future that its age can't be told):
    /// then only tags can say what became of it.
    ///
    /// # Errors
    ///
    /// When the repetition could not be made durable: it must not be sent.
    pub fn reopen(&self, intent: IntentId, now: Timestamp) -> Result<Option<Permit>, JournalError> {
        let mut inner = self.lock();
        let young = |at: Timestamp| now.duration_since(at).abs() <= REPLAY_LIMIT;
        let open = inner.fold.open_intents().find(|state| state.id == intent && young(state.at));
        let Some(call) = open.map(|state| state.call.clone()) else { return Ok(None) };
        self.write(&mut inner, vec![Record::Again { id: intent, at: now }])?;
        Ok(Some(Permit::new(intent, call, true)))
    }

    /// Says how a call came out. `Unknown` may be replaced later, nothing else may.
    ///
    /// # Errors
    ///
    /// When it could not be made durable: then nothing new may be started, and the next run finds the intent open.
    pub fn settle(&self, intent: IntentId, outcome: Outcome, at: Timestamp) -> Result<(), JournalError> {
        self.commit(vec![Record::Outcome { id: intent, outcome, at }])
    }

    /// Says that a step is finished.
    ///
    /// # Errors
    ///
    /// When it could not be made durable, or the step was finished before.
    pub fn step(&self, step: &str, output: Value, at: Timestamp) -> Result<(), JournalError> {
        self.commit(vec![Record::Step { step: step.to_owned(), output, at }])
    }

    /// Says where a step stands within itself.
    ///
    /// # Errors
    ///
    /// When it could not be made durable.
    pub fn cursor(&self, step: &str, value: Value, at: Timestamp) -> Result<(), JournalError> {
        self.commit(vec![Record::Cursor { step: step.to_owned(), value, at }])
    }

    /// Says that the run is over and will not be gone on with.
    ///
    /// # Errors
    ///
    /// When it could not be made durable.
    pub fn end(&self, exit: Exit, at: Timestamp) -> Result<(), JournalError> {
        self.commit(vec![Record::Ended { exit, at }])
    }
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Journal").field("place", &self.place).finish_non_exhaustive()
    }
}

/// How many of a journal's bytes are whole batches.
pub(super) fn good(place: &str, bytes: &[u8]) -> Result<usize, JournalError> {
    fold_bytes(place, bytes).map(|folded| usize::try_from(folded.good).unwrap_or(usize::MAX))
}

/// A journal's bytes, read and added up.
pub(super) struct Folded {
    chain: Chain,
    good: u64,
    records: u64,
    pub(super) fold: Fold,
    torn: Option<TornTail>,
}

/// Reads and adds up a journal without touching it.
pub(super) fn fold_bytes(place: &str, bytes: &[u8]) -> Result<Folded, JournalError> {
    let damaged = |damage| JournalError::Damaged { place: place.to_owned(), damage };
    let frame::Contents { records: read, chain, good, torn } = frame::read(bytes).map_err(damaged)?;
    let (mut fold, mut records) = (Fold::default(), 0);
    for record in read {
        records += 1;
        fold.add(records, record).map_err(|illegal| damaged(illegal.into()))?;
    }
    if fold.begun.is_none() {
        return Err(JournalError::NotBegun { place: place.to_owned() });
    }
    Ok(Folded { chain, good, records, fold, torn })
}

fn io_error(doing: &'static str, place: &str, source: io::Error) -> JournalError {
    // What the shared state says is said in its own words.
    match source.get_ref().and_then(|inner| inner.downcast_ref::<DepotError>()) {
        Some(error) => error.clone().into(),
        None => JournalError::Io { doing, place: place.to_owned(), source },
    }
}
