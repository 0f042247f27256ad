//! The state directory on a real file system: who may hold it, what is refused, which run is gone on with.

use super::super::{Claim, ClaimError, FleetDir, History, Holder, Journal, JournalError, RunDir};
use super::{at, begun, done, draft};
use crate::exit::Exit;
use crate::model::{FleetKey, RunId};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use tempfile::TempDir;

fn key(name: &str) -> FleetKey {
    FleetKey { account: "123456789012".into(), region: "us-east-1".into(), name: name.into() }
}

fn fleet(base: &TempDir) -> FleetDir {
    FleetDir::locate(Some(base.path()), &key("crawl")).unwrap()
}

fn run(n: u128) -> RunId {
    RunId::new(uuid::Uuid::from_u128(n))
}

fn holder(verb: &str) -> Holder {
    Holder { pid: 4711, verb: verb.to_owned(), run: Some(run(1)), started: at(0), host: None }
}

fn begin(fleet: &FleetDir, claim: &Claim, n: u128, verb: &str) -> (RunDir, Journal) {
    fleet.begin(claim, run(n), begun(&run(n).to_string(), verb)).unwrap()
}

fn mode(path: &Path) -> u32 {
    path.symlink_metadata().unwrap().permissions().mode() & 0o777
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_fleet_lies_below_the_base_and_its_files_are_ours_alone() {
    let base = tempfile::tempdir().unwrap();
    let below = base.path().join("not/made/yet");
    let fleet = FleetDir::locate(Some(&below), &key("crawl")).unwrap();
    assert_eq!(fleet.path(), below.join("123456789012-us-east-1-crawl"));
    assert!(fleet.runs().unwrap().is_empty(), "nothing is made by looking");
    assert!(!below.exists());
    let claim = fleet.claim(&holder("launch")).unwrap();
    let (directory, _journal) = begin(&fleet, &claim, 1, "launch");
    directory.ensure_hosts().unwrap();
    for private in [fleet.path(), directory.path(), &directory.hosts(), directory.path().parent().unwrap()] {
        assert_eq!(mode(private), 0o700, "{}", private.display());
    }
    for private in [directory.journal(), fleet.path().join("lock")] {
        assert_eq!(mode(&private), 0o600, "{}", private.display());
    }
}

#[test]
fn the_holder_is_told_to_those_who_only_ask() {
    let base = tempfile::tempdir().unwrap();
    let fleet = fleet(&base);
    assert_eq!(fleet.holder().unwrap(), None, "nothing is made by asking");
    assert!(!fleet.path().exists());
    let us = Holder { pid: std::process::id(), ..holder("feed") };
    let claim = fleet.claim(&us).unwrap();
    assert_eq!(fleet.holder().unwrap(), Some(us.clone()));
    drop(claim);
    assert_eq!(fleet.holder().unwrap(), None);
    // What a killed process left behind, and a process that has its number now.
    let lock = fleet.path().join("lock");
    for pid in [i32::MAX.cast_unsigned(), us.pid] {
        fs::write(&lock, serde_json::to_string(&Holder { pid, ..us.clone() }).unwrap()).unwrap();
        assert_eq!(fleet.holder().unwrap(), None, "{pid}");
    }
    let claim = fleet.claim(&us).unwrap();
    assert_eq!(fleet.holder().unwrap(), Some(us), "asking takes nothing");
    drop(claim);
}

#[test]
fn a_name_can_not_lead_out_of_the_base() {
    for name in ["../x", "a/b", "a b", "a\0b"] {
        let error = FleetDir::locate(Some(Path::new("/state")), &key(name)).unwrap_err();
        assert!(matches!(error, JournalError::Name { .. }), "{name:?}");
    }
    let hidden = FleetKey { account: "..".into(), ..key("crawl") };
    FleetDir::locate(Some(Path::new("/state")), &hidden).unwrap_err();
}

#[test]
fn one_claim_at_a_time_and_the_second_is_told_who_has_it() {
    let base = tempfile::tempdir().unwrap();
    let fleet = fleet(&base);
    let claim = fleet.claim(&holder("launch")).unwrap();
    let error = fleet.claim(&holder("down")).unwrap_err();
    assert_eq!(error.exit().code(), 7);
    assert_eq!(
        error.to_string(),
        "claim the fleet: `launch` (process 4711, run 00000000-0000-0000-0000-000000000001, since 2027-01-15T08:00:00Z) \
         holds it"
    );
    drop(claim);
    let again = fleet.claim(&holder("down")).unwrap();
    let ClaimError::Held { by: Some(by) } = fleet.claim(&holder("launch")).unwrap_err() else {
        panic!("held by somebody known");
    };
    assert_eq!(by, holder("down"));
    drop(again);
}

#[test]
fn a_lock_of_a_dead_process_is_no_lock() {
    let base = tempfile::tempdir().unwrap();
    let fleet = fleet(&base);
    drop(fleet.claim(&holder("launch")).unwrap());
    fs::write(fleet.path().join("lock"), serde_json::to_vec(&holder("launch")).unwrap()).unwrap();
    fleet.claim(&holder("down")).unwrap();
}

#[test]
fn links_pipes_and_places_that_others_can_write_are_refused() {
    let base = tempfile::tempdir().unwrap();
    let fleet = fleet(&base);
    let claim = fleet.claim(&holder("launch")).unwrap();
    let (directory, journal) = begin(&fleet, &claim, 1, "launch");
    drop(journal);
    let path = directory.journal();
    let aside = base.path().join("aside");
    let refused = |why: &str| {
        let errors = [directory.resume(&claim).unwrap_err(), directory.peek().unwrap_err()];
        for error in errors {
            assert_eq!(error.exit().code(), 9);
            assert!(error.to_string().contains(why), "{error}");
        }
    };
    chmod(&path, 0o620);
    refused("others may write to it");
    chmod(&path, 0o600);
    fs::hard_link(&path, &aside).unwrap();
    refused("hard link");
    fs::remove_file(&path).unwrap();
    symlink(&aside, &path).unwrap();
    refused("symbolic link");
    fs::remove_file(&path).unwrap();
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::from_bits_truncate(0o600)).unwrap();
    refused("not a regular file");
    fs::remove_file(&path).unwrap();
    fs::rename(&aside, &path).unwrap();
    directory.resume(&claim).unwrap();
    chmod(directory.path(), 0o770);
    assert!(matches!(directory.resume(&claim), Err(JournalError::Untrusted { .. })));
    drop(claim);
    chmod(fleet.path(), 0o707);
    assert!(matches!(fleet.claim(&holder("down")), Err(ClaimError::State(JournalError::Untrusted { .. }))));
}

#[test]
fn a_run_is_begun_once() {
    let base = tempfile::tempdir().unwrap();
    let fleet = fleet(&base);
    let claim = fleet.claim(&holder("launch")).unwrap();
    begin(&fleet, &claim, 1, "launch");
    let error = fleet.begin(&claim, run(1), begun("x", "launch")).unwrap_err();
    assert!(error.to_string().contains("File exists"), "{error}");
}

#[test]
fn a_run_is_gone_on_with_from_its_file() {
    let base = tempfile::tempdir().unwrap();
    let fleet = fleet(&base);
    let claim = fleet.claim(&holder("launch")).unwrap();
    let (directory, journal) = begin(&fleet, &claim, 1, "launch");
    let permit = journal.intend("launch", draft(1), at(1)).unwrap();
    let before = journal.fold();
    drop(journal);
    // The machine went down in the middle of the next batch.
    let torn = [&fs::read(directory.journal()).unwrap()[..], b"{\"record\":\"outc"].concat();
    fs::write(directory.journal(), &torn).unwrap();
    assert_eq!(directory.peek().unwrap(), before);
    assert_eq!(fs::read(directory.journal()).unwrap(), torn, "looking changes nothing");
    let (journal, tail) = directory.resume(&claim).unwrap();
    assert_eq!(tail.unwrap().bytes, 15);
    journal.settle(permit.intent(), done(), at(2)).unwrap();
    assert_eq!(directory.peek().unwrap(), journal.fold());
    assert_eq!(directory.peek().unwrap().open_intents().count(), 0);
}

#[test]
fn history_is_newest_first_and_knows_every_token() {
    let base = tempfile::tempdir().unwrap();
    let fleet = fleet(&base);
    let claim = fleet.claim(&holder("launch")).unwrap();
    for n in [2, 1, 3] {
        let (_, journal) = begin(&fleet, &claim, n, "launch");
        journal.intend("launch", draft(u32::try_from(n).unwrap()), at(1)).unwrap();
    }
    // Died before its first record, and something that is no run at all.
    fs::create_dir(fleet.run(run(4)).path()).unwrap();
    fs::write(fleet.path().join("runs/README"), "x").unwrap();
    let history = History::read(&fleet).unwrap();
    let runs: Vec<RunId> = history.runs().map(|run| run.dir.run()).collect();
    assert_eq!(runs, [run(3), run(2), run(1)]);
    let tokens: BTreeSet<_> = history.intents().filter_map(|(_, intent)| intent.call.token.as_deref()).collect();
    assert_eq!(tokens, ["fwtoken1", "fwtoken2", "fwtoken3"].into());
    let attempts: Vec<_> = history.intents().map(|(begun, intent)| (begun.run.clone(), intent.id.0)).collect();
    assert_eq!(attempts, [(run(3).to_string(), 1), (run(2).to_string(), 1), (run(1).to_string(), 1)]);
    assert_eq!(history.unreadable().count(), 0);
}

#[test]
fn runs_are_unfinished_until_they_end_or_a_teardown_is_carried_out() {
    let base = tempfile::tempdir().unwrap();
    let fleet = fleet(&base);
    let claim = fleet.claim(&holder("launch")).unwrap();
    let unfinished = || {
        let history = History::read(&fleet).unwrap();
        history.unfinished().map(|past| past.dir.run()).collect::<Vec<_>>()
    };
    let (_, _first) = begin(&fleet, &claim, 1, "launch");
    let (_, second) = begin(&fleet, &claim, 2, "launch");
    let (_, _bake) = begin(&fleet, &claim, 3, "bake");
    assert_eq!(unfinished(), [run(3), run(2), run(1)]);
    second.end(Exit::Done, at(5)).unwrap();
    assert_eq!(unfinished(), [run(3), run(1)]);
    let (_, stuck) = begin(&fleet, &claim, 4, "down");
    stuck.end(Exit::Residue, at(6)).unwrap();
    assert_eq!(unfinished(), [run(3), run(1)], "a down that left something closes nothing");
    let (_, down) = begin(&fleet, &claim, 5, "down");
    assert_eq!(unfinished(), [run(5), run(3), run(1)], "nor does an unfinished one");
    down.end(Exit::Done, at(7)).unwrap();
    assert_eq!(unfinished(), []);
    let (damaged, journal) = begin(&fleet, &claim, 6, "launch");
    journal.intend("launch", draft(1), at(8)).unwrap();
    assert_eq!(unfinished(), [run(6)]);
    fs::write(damaged.journal(), fs::read_to_string(damaged.journal()).unwrap().replacen("begun", "bogus", 1)).unwrap();
    let history = History::read(&fleet).unwrap();
    let why: Vec<String> = history.unreadable().map(ToString::to_string).collect();
    assert!(why[0].contains("batch 1 at byte 26 is broken, and it is not the last"), "{why:?}");
    assert_eq!(history.intents().count(), 0);
}
