//! Fuzzed journals: bytes changed anywhere, and records changed under checksums that are right again.

use super::super::frame::Chain;
use super::super::log::fold_bytes;
use super::super::memory::MemoryStore;
use super::{Journal, JournalError, at, whole};
use crate::exit::Exit;
use crate::spec::fuzz::fuzz;
use serde_json::Value;

/// The bytes of a short campaign, and of one that was gone on with.
fn seeds() -> Vec<Vec<u8>> {
    let whole = whole();
    let mut cut = whole.clone();
    cut.truncate(whole.len() - 7);
    vec![whole, cut]
}

/// Splits what was changed into records and seals them again, so that the reader gets past the checksums; lines that are no
/// record at all stay out.
fn resealed(input: &[u8]) -> Vec<u8> {
    let records = input.split(|byte| *byte == b'\n').filter_map(|line| {
        let value: Value = serde_json::from_slice(line).ok()?;
        serde_json::from_value(value).ok()
    });
    let (mut bytes, mut chain) = (Vec::new(), Chain::default());
    for record in records {
        let (sealed, next) = chain.seal(&[record]).unwrap();
        bytes.extend(sealed);
        chain = next;
    }
    bytes
}

/// What the reader answers, after it was held to its promises.
fn answer(bytes: &[u8]) -> String {
    let peeked = fold_bytes("fuzzed", bytes);
    let store = MemoryStore::holding(bytes);
    match Journal::open(Box::new(store.clone())) {
        Err(error) => {
            assert!(peeked.is_err(), "opened differently from a look at it: {error}");
            assert_eq!(store.bytes(), bytes, "a journal that is refused is left as it is");
            match error {
                JournalError::Damaged { damage, .. } => format!("{damage:?}").chars().take(24).collect(),
                other => other.to_string().chars().take(24).collect(),
            }
        }
        Ok((journal, torn)) => {
            let fold = journal.fold();
            assert_eq!(peeked.unwrap().fold, fold, "a look at it says something else");
            let kept = store.bytes();
            assert!(bytes.starts_with(&kept), "only an end may be dropped");
            assert_eq!(torn.is_some(), kept.len() < bytes.len());
            // It can be gone on with, and what is added is read again.
            if fold.ended.is_none() {
                journal.end(Exit::Done, at(99)).unwrap();
                let again = fold_bytes("fuzzed", &store.bytes()).unwrap();
                assert_eq!(again.fold.ended, Some(Exit::Done));
            }
            format!("{} {} {}", fold.intents.len(), fold.steps.len(), torn.is_some())
        }
    }
}

#[test]
fn fuzzed_journals_are_read_or_refused() {
    fuzz("journals", seeds(), |input, rng| {
        let said = if rng.bool() { answer(input) } else { answer(&resealed(input)) };
        u64::from(crc32fast::hash(said.as_bytes()))
    });
}
