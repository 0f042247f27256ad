//! Full disks, failing syncs and crashes: whatever happens, every call that may have been made is in the journal.

use super::super::memory::{MemoryStore, Trouble};
use super::super::{Journal, JournalError, Permit, Record};
use super::{at, begun, campaign, done, draft, unknown};
use crate::exit::Exit;
use jiff::SignedDuration;
use serde_json::json;

/// The promise: after any crash the journal opens, and holds every intent for which a permit was issued.
fn keeps_its_promise(store: &MemoryStore, issued: &[Permit], what: &str) {
    match Journal::open(Box::new(store.clone())) {
        Ok((journal, _)) => {
            let fold = journal.fold();
            for permit in issued {
                let intent = fold.intents.iter().find(|intent| intent.id == permit.intent());
                assert_eq!(intent.map(|intent| &intent.call), Some(permit.call()), "{what}");
            }
            if fold.ended.is_none() {
                journal.intend("again", draft(99), at(100)).unwrap();
                let (again, torn) = Journal::open(Box::new(store.clone())).unwrap();
                assert_eq!((again.fold(), torn), (journal.fold(), None), "{what}");
            }
        }
        Err(JournalError::NotBegun { .. }) => assert!(issued.is_empty(), "{what}"),
        Err(error) => panic!("{what}: {error}"),
    }
}

/// Runs the campaign with every kind of trouble at every operation, then crashes with every amount of luck.
#[test]
fn every_issued_permit_survives_every_crash() {
    let store = MemoryStore::default();
    campaign(&store, &mut Vec::new()).unwrap();
    let operations = store.operations();
    assert_eq!(operations, 24, "twelve batches, each one append and one sync");
    let mut tried = 0;
    for operation in 0..operations {
        let short = [0, 1, 25, 26, 100, 150, 300];
        let troubles = short.map(Trouble::Full).into_iter().chain(short.map(Trouble::Broken));
        for trouble in troubles.chain([Trouble::SyncFails]) {
            for luck in [0, 1, 26, 64, 160, 1_000_000] {
                let store = MemoryStore::default();
                store.trouble_at(operation, trouble);
                let mut issued = Vec::new();
                let Err(error) = campaign(&store, &mut issued) else { continue };
                assert_eq!(error.exit(), Exit::State, "{error}");
                assert!(!error.hint().is_empty());
                tried += 1;
                store.crash(luck);
                store.heal();
                keeps_its_promise(&store, &issued, &format!("{trouble:?} at {operation}, {luck} bytes of luck"));
            }
        }
    }
    assert!(tried > 1000, "{tried} crashes tried");
}

#[test]
fn a_process_that_dies_leaves_what_it_wrote_and_the_next_one_makes_it_durable_before_it_acts() {
    let store = MemoryStore::default();
    let journal = Journal::create(Box::new(store.clone()), begun("run-1", "launch")).unwrap();
    // Killed between write and sync: the next process reads the intent from the page cache.
    store.trouble_at(store.operations() + 1, Trouble::SyncFails);
    journal.intend("launch", draft(1), at(1)).unwrap_err();
    assert!(store.unsynced() > 0);
    store.heal();
    let (journal, torn) = Journal::open(Box::new(store.clone())).unwrap();
    assert_eq!((store.unsynced(), torn), (0, None));
    let permit = journal.reopen(super::super::IntentId(1), at(2)).unwrap().unwrap();
    store.crash(0);
    keeps_its_promise(&store, &[permit], "died before its sync");
}

#[test]
fn a_journal_that_can_not_be_made_durable_on_opening_is_not_opened() {
    let store = MemoryStore::default();
    Journal::create(Box::new(store.clone()), begun("run-1", "launch")).unwrap();
    store.trouble_at(0, Trouble::SyncFails);
    let error = Journal::open(Box::new(store)).unwrap_err();
    assert_eq!(error.to_string(), "sync memory: input/output error");
}

#[test]
fn a_journal_that_can_not_be_read_is_neither_opened_nor_begun_over() {
    let store = MemoryStore::default();
    campaign(&store, &mut Vec::new()).unwrap();
    let before = store.bytes();
    store.trouble_at(0, Trouble::ReadFails);
    let create = Journal::create(Box::new(store.clone()), begun("run-2", "launch")).unwrap_err();
    let open = Journal::open(Box::new(store.clone())).unwrap_err();
    for error in [create, open] {
        assert_eq!(error.to_string(), "read memory: input/output error");
        assert_eq!(error.exit().code(), 9);
    }
    assert_eq!(store.bytes(), before);
}

#[test]
fn after_one_failed_write_no_call_may_be_made() {
    for trouble in [Trouble::Full(10), Trouble::Broken(10), Trouble::SyncFails] {
        let store = MemoryStore::default();
        let journal = Journal::create(Box::new(store.clone()), begun("run-1", "launch")).unwrap();
        let first = journal.intend("launch", draft(1), at(1)).unwrap();
        store.trouble_at(store.operations(), trouble);
        // It is the outcome of a call that can't be saved: the call was made, the intent stays open.
        journal.settle(first.intent(), done(), at(2)).unwrap_err();
        store.heal();
        let error = journal.intend("launch", draft(2), at(3)).unwrap_err();
        assert!(matches!(error, JournalError::Poisoned { .. }), "{error}");
        assert_eq!(error.exit().code(), 9);
        journal.intend_all("launch", vec![draft(2), draft(3)], at(3)).unwrap_err();
        assert!(matches!(journal.reopen(first.intent(), at(3)), Err(JournalError::Poisoned { .. })));
        assert!(journal.with_fold(|fold| fold.open_intents().any(|intent| intent.id == first.intent())));
        let (again, _) = Journal::open(Box::new(store)).unwrap();
        assert_eq!(again.fold().intents.len(), 1, "nothing was written after the failure");
    }
}

#[test]
fn a_full_disk_says_so() {
    let store = MemoryStore::default();
    store.trouble_at(0, Trouble::Full(0));
    let error = Journal::create(Box::new(store), begun("run-1", "launch")).unwrap_err();
    assert_eq!(error.hint(), "make room on the disk, then run the same command again");
}

#[test]
fn a_thousand_intents_need_one_sync() {
    let store = MemoryStore::default();
    let journal = Journal::create(Box::new(store.clone()), begun("run-1", "launch")).unwrap();
    let before = store.syncs();
    let permits = journal.intend_all("launch", (0..1000).map(draft).collect(), at(1)).unwrap();
    assert_eq!(store.syncs() - before, 1);
    assert_eq!(permits.len(), 1000);
    assert_eq!((permits[999].intent().0, permits[999].call()), (1000, &draft(999)));
    assert!(permits.iter().all(|permit| !permit.replayed()));
}

#[test]
fn only_an_open_intent_of_the_last_day_is_sent_again() {
    let store = MemoryStore::default();
    let journal = Journal::create(Box::new(store), begun("run-1", "launch")).unwrap();
    let [silent, vague, clear] = [1, 2, 3].map(|n| journal.intend("launch", draft(n), at(0)).unwrap().intent());
    journal.settle(vague, unknown(), at(1)).unwrap();
    journal.settle(clear, done(), at(1)).unwrap();
    let day = at(0) + super::super::log::REPLAY_LIMIT;
    let second = SignedDuration::from_secs(1);
    for open in [silent, vague] {
        let permit = journal.reopen(open, day).unwrap().unwrap();
        assert!(permit.replayed());
        assert_eq!(permit.intent(), open);
        assert_eq!(journal.reopen(open, day + second).unwrap(), None, "too old");
        let before = at(0) - super::super::log::REPLAY_LIMIT - second;
        assert_eq!(journal.reopen(open, before).unwrap(), None, "from the future");
    }
    assert_eq!(journal.reopen(silent, day).unwrap().unwrap().call(), &draft(1));
    assert_eq!(journal.reopen(clear, at(2)).unwrap(), None, "its outcome is known");
    assert_eq!(journal.reopen(super::super::IntentId(9), at(2)).unwrap(), None, "never written");
}

#[test]
fn when_a_call_was_last_sent_survives_and_what_is_known_is_not_sent_again() {
    let store = MemoryStore::default();
    let journal = Journal::create(Box::new(store.clone()), begun("run-1", "launch")).unwrap();
    let intent = journal.intend("launch", draft(1), at(0)).unwrap().intent();
    let last = |journal: &Journal| journal.with_fold(|fold| (fold.intents[0].at, fold.intents[0].last));
    assert_eq!(last(&journal), (at(0), at(0)));
    journal.reopen(intent, at(600)).unwrap().unwrap();
    store.crash(0);
    let (journal, _) = Journal::open(Box::new(store)).unwrap();
    assert_eq!(last(&journal), (at(0), at(600)));
    journal.settle(intent, done(), at(640)).unwrap();
    assert_eq!(last(&journal), (at(0), at(640)));
    journal.commit(vec![Record::Again { id: intent, at: at(700) }]).unwrap_err();
}

#[test]
fn a_batch_is_all_or_nothing() {
    let store = MemoryStore::default();
    let journal = Journal::create(Box::new(store.clone()), begun("run-1", "launch")).unwrap();
    let before = (store.bytes(), journal.fold());
    let step = |name: &str| Record::Step { step: name.to_owned(), output: json!(1), at: at(1) };
    journal.commit(vec![step("a"), step("b"), step("a")]).unwrap_err();
    assert_eq!((store.bytes(), journal.fold()), before);
    journal.commit(Vec::new()).unwrap();
    assert_eq!(store.bytes(), before.0);
    journal.commit(vec![step("a"), Record::Ended { exit: Exit::Done, at: at(2) }]).unwrap();
    let error = journal.intend("launch", draft(1), at(3)).unwrap_err();
    assert_eq!(error.to_string(), "write to memory: record 4 can't follow what came before it: the run has ended");
}

#[test]
fn a_run_begins_only_in_an_empty_store() {
    let store = MemoryStore::holding(b"x");
    let error = Journal::create(Box::new(store.clone()), begun("run-1", "launch")).unwrap_err();
    assert!(matches!(error, JournalError::Io { .. }));
    assert_eq!(store.bytes(), b"x");
}
