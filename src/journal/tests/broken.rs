//! Journals that were cut, flipped, doubled, reordered: a valid prefix or a clear error, never anything else.

use super::super::frame::{self, Damage};
use super::super::memory::MemoryStore;
use super::super::{Journal, JournalError};
use super::{at, begun, done, draft, unknown, whole};
use proptest::prelude::*;
use serde_json::json;

/// Where each batch ends (after its commit line), the header counted to the first.
fn ends(bytes: &[u8]) -> Vec<usize> {
    let mut end = 0;
    let mut ends = Vec::new();
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        end += line.len();
        if line.starts_with(b"{\"commit\"") {
            ends.push(end);
        }
    }
    ends
}

#[test]
fn a_journal_is_lines_of_json_that_people_and_jq_can_read() {
    let store = MemoryStore::default();
    let journal = Journal::create(Box::new(store.clone()), begun("run-1", "launch")).unwrap();
    journal.intend("launch", draft(1), at(1)).unwrap();
    let text = String::from_utf8(store.bytes()).unwrap();
    insta::assert_snapshot!(text, @r#"
    {"fleetwright_journal":1}
    {"record":"begun","run":"run-1","verb":"launch","fleet":{"account":"123456789012","region":"us-east-1","name":"crawl"},"request":"digest of launch","plan":{"steps":["template","launch"]},"at":"2027-01-15T08:00:00Z"}
    {"commit":{"batch":1,"records":1,"bytes":216,"crc32":"b9c77d7c"}}
    {"record":"intent","id":1,"step":"launch","call":{"action":"CreateFleet","token":"fwtoken1","body":"Action=CreateFleet&ClientToken=fwtoken1"},"at":"2027-01-15T08:00:01Z"}
    {"commit":{"batch":2,"records":1,"bytes":171,"crc32":"6b6834a8"}}
    "#);
}

#[test]
fn cut_at_every_byte_it_opens_with_every_batch_that_was_complete() {
    let bytes = whole();
    let all = frame::read(&bytes).unwrap();
    let ends = ends(&bytes);
    assert_eq!(all.torn, None);
    for cut in 0..=bytes.len() {
        let good = ends.iter().rev().find(|end| **end <= cut).copied().unwrap_or(0);
        let store = MemoryStore::holding(&bytes[..cut]);
        match Journal::open(Box::new(store.clone())) {
            Ok((_, torn)) => {
                assert_eq!(store.bytes(), bytes[..good], "cut at {cut}");
                assert_eq!(torn.map(|torn| torn.bytes), (good < cut).then_some((cut - good) as u64), "cut at {cut}");
                let records = frame::read(&store.bytes()).unwrap().records;
                assert_eq!(records, all.records[..records.len()]);
            }
            Err(error) => {
                assert!(matches!(error, JournalError::NotBegun { .. }), "cut at {cut}: {error}");
                assert!(cut < ends[0], "cut at {cut}: {error}");
            }
        }
    }
}

#[test]
fn a_torn_tail_is_replaced_by_what_is_written_next() {
    let bytes = whole();
    let ends = ends(&bytes);
    let before_last = ends[ends.len() - 2];
    for cut in before_last..bytes.len() {
        let store = MemoryStore::holding(&bytes[..cut]);
        let (journal, _) = Journal::open(Box::new(store.clone())).unwrap();
        journal.intend("launch", draft(9), at(20)).unwrap();
        let (again, torn) = Journal::open(Box::new(store)).unwrap();
        assert_eq!(torn, None);
        assert_eq!(again.fold(), journal.fold());
        assert_eq!(again.fold().intents.last().unwrap().call, draft(9));
    }
}

#[test]
fn every_flipped_bit_of_the_last_batch_is_noticed() {
    let bytes = whole();
    let all = frame::read(&bytes).unwrap().records;
    let ends = ends(&bytes);
    for position in ends[ends.len() - 2]..bytes.len() {
        for bit in 0..8 {
            let mut flipped = bytes.clone();
            flipped[position] ^= 1 << bit;
            if let Ok(contents) = frame::read(&flipped) {
                assert!(contents.torn.is_some(), "bit {bit} of byte {position}");
                assert_eq!(contents.records, all[..all.len() - 1], "bit {bit} of byte {position}");
            }
        }
    }
}

#[test]
fn a_flipped_bit_before_the_last_batch_is_damage() {
    let bytes = whole();
    let ends = ends(&bytes);
    for position in 0..ends[ends.len() - 2] {
        let mut flipped = bytes.clone();
        flipped[position] ^= 1 << (position % 8);
        let error = Journal::open(Box::new(MemoryStore::holding(&flipped))).unwrap_err();
        assert!(matches!(error, JournalError::Damaged { .. }), "byte {position}: {error}");
        assert_eq!(error.exit().code(), 9);
    }
}

#[test]
fn batches_that_are_doubled_swapped_or_missing_are_damage() {
    let bytes = whole();
    let ends = ends(&bytes);
    let batch = |n: usize| &bytes[if n == 0 { 0 } else { ends[n - 1] }..ends[n]];
    let last = ends.len() - 1;
    for n in 1..=last {
        let doubled = [&bytes[..], batch(n)].concat();
        assert_eq!(
            frame::read(&doubled),
            Err(Damage::Order { expected: last as u64 + 2, found: n as u64 + 1, at: bytes.len() as u64 })
        );
        let missing = [&bytes[..ends[n - 1]], &bytes[ends[n]..]].concat();
        if n < last {
            assert!(matches!(frame::read(&missing), Err(Damage::Order { .. })), "batch {n} missing");
            let swapped = [&bytes[..ends[n - 1]], batch(n + 1), batch(n), &bytes[ends[n + 1]..]].concat();
            assert!(matches!(frame::read(&swapped), Err(Damage::Order { .. })), "batch {n} swapped");
        }
    }
}

#[test]
fn a_batch_of_another_journal_does_not_fit() {
    let (one, other) = (MemoryStore::default(), MemoryStore::default());
    for (store, run) in [(&one, "run-1"), (&other, "run-2")] {
        let journal = Journal::create(Box::new(store.clone()), begun(run, "launch")).unwrap();
        journal.intend("launch", draft(1), at(1)).unwrap();
        journal.intend("launch", draft(2), at(2)).unwrap();
    }
    let (one, other) = (one.bytes(), other.bytes());
    let mixed = [&one[..ends(&one)[0]], &other[ends(&other)[0]..]].concat();
    assert!(matches!(frame::read(&mixed), Err(Damage::Checksum { batch: 2, .. })));
}

#[test]
fn a_newer_journal_is_neither_read_nor_written() {
    let newer = String::from_utf8(whole()).unwrap().replacen(":1}", ":2,\"cipher\":\"none\"}", 1);
    let store = MemoryStore::holding(newer.as_bytes());
    let error = Journal::open(Box::new(store.clone())).unwrap_err();
    assert!(matches!(&error, JournalError::Damaged { damage: Damage::Newer { found: 2 }, .. }), "{error}");
    assert_eq!(error.hint(), "use the newer fleetwright for this fleet");
    assert_eq!(store.bytes(), newer.as_bytes());
}

#[test]
fn records_that_do_not_add_up_are_damage() {
    let store = MemoryStore::default();
    let journal = Journal::create(Box::new(store.clone()), begun("run-1", "launch")).unwrap();
    let permit = journal.intend("launch", draft(1), at(1)).unwrap();
    journal.settle(permit.intent(), done(), at(2)).unwrap();
    let before = store.bytes();
    for illegal in
        [journal.settle(permit.intent(), unknown(), at(3)), journal.settle(super::super::IntentId(7), done(), at(3))]
    {
        let error = illegal.unwrap_err();
        assert!(matches!(error, JournalError::Illegal { .. }));
        assert_eq!(error.exit().code(), 1);
    }
    assert_eq!(store.bytes(), before, "an illegal record is refused before it is written");
    journal.step("launch", json!(null), at(4)).unwrap();
    journal.step("launch", json!(null), at(5)).unwrap_err();
}

proptest! {
    #[test]
    fn whatever_is_cut_off_or_written_over_a_prefix_of_whole_batches_remains(
        steps in proptest::collection::vec((0_u8..4, 1_usize..4), 1..12),
        cut in 0.0_f64..1.0,
        garbage in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let store = MemoryStore::default();
        let journal = Journal::create(Box::new(store.clone()), begun("run-1", "launch")).unwrap();
        for (number, (kind, count)) in steps.iter().enumerate() {
            let open = journal.with_fold(|fold| fold.open_intents().next().map(|intent| intent.id));
            match (kind, open) {
                (1, Some(open)) => journal.settle(open, done(), at(1)).unwrap(),
                (2, Some(open)) => journal.settle(open, unknown(), at(1)).unwrap(),
                (3, _) => journal.step(&format!("step {number}"), json!({"n": number}), at(1)).unwrap(),
                _ => { journal.intend_all("launch", vec![draft(1); *count], at(1)).unwrap(); }
            }
        }
        let bytes = store.bytes();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a share of a small length")]
        let cut = (bytes.len() as f64 * cut) as usize;
        let good = ends(&bytes).into_iter().rev().find(|end| *end <= cut).unwrap_or(0);
        let kept = frame::read(&bytes[..good]).map(|contents| contents.records);
        let broken = [&bytes[..cut], &garbage[..]].concat();
        match (frame::read(&broken), kept) {
            // Garbage may complete a line of the header or of a batch, but never to something that is believed.
            (Err(damage), _) => prop_assert!(good == 0 && damage == Damage::Header, "{damage}"),
            (Ok(contents), kept) => prop_assert_eq!(contents.records, kept.unwrap_or_default()),
        }
    }
}
