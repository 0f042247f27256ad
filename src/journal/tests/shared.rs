//! State that machines share: the lease among them, journals in segments, what is fetched and what is told when it can't be.

use super::super::{Claim, ClaimError, Depot, DepotError, FleetDir, Found, History, Holder, If, JournalError, Team};
use super::{at, begun, done, draft};
use crate::exit::Exit;
use crate::model::{FleetKey, RunId};
use crate::time::manual::ManualClock;
use jiff::SignedDuration;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use tempfile::TempDir;

/// Objects in memory.
#[derive(Debug, Default)]
struct Shelf(Mutex<Inside>);

#[derive(Debug, Default)]
struct Inside {
    objects: BTreeMap<String, (Vec<u8>, u64)>,
    writes: u64,
    /// Nothing answers.
    down: bool,
    /// The next write is carried out, its answer is lost, and the repetition meets it.
    deaf: bool,
}

impl Shelf {
    fn with<T>(&self, act: impl FnOnce(&mut Inside) -> T) -> T {
        act(&mut self.0.lock().unwrap())
    }

    fn asked<T>(&self, act: impl FnOnce(&mut Inside) -> T) -> Result<T, DepotError> {
        self.with(|inside| {
            if inside.down {
                let (exit, message) = (Exit::Unavailable, "reach the shelf".to_owned());
                return Err(DepotError { exit, message, hint: "wait".to_owned() });
            }
            Ok(act(inside))
        })
    }
}

impl Depot for Shelf {
    fn place(&self, name: &str) -> String {
        format!("shelf/{name}")
    }

    fn put(&self, name: &str, bytes: &[u8], only: &If) -> Result<Option<String>, DepotError> {
        self.asked(|inside| {
            let there = inside.objects.get(name).map(|(_, version)| version.to_string());
            let met = match only {
                If::Any => true,
                If::New => there.is_none(),
                If::Over(version) => there.as_ref() == Some(version),
            };
            if met {
                inside.writes += 1;
                let version = inside.writes;
                inside.objects.insert(name.to_owned(), (bytes.to_vec(), version));
                return (!std::mem::take(&mut inside.deaf)).then(|| version.to_string());
            }
            None
        })
    }

    fn get(&self, name: &str) -> Result<Option<Found>, DepotError> {
        self.asked(|inside| {
            let (bytes, version) = inside.objects.get(name)?;
            Some(Found { bytes: bytes.clone(), version: version.to_string() })
        })
    }

    fn list(&self, prefix: &str) -> Result<Vec<(String, u64)>, DepotError> {
        self.asked(|inside| {
            let named = inside.objects.iter().filter(|(name, _)| name.starts_with(prefix));
            named.map(|(name, (bytes, _))| (name.clone(), bytes.len() as u64)).collect()
        })
    }
}

/// A shelf and the clock that all machines read.
#[derive(Default)]
struct World {
    shelf: Arc<Shelf>,
    clock: Arc<ManualClock>,
}

impl World {
    /// The fleet's directory on a machine.
    fn on(&self, host: &str, base: &TempDir) -> FleetDir {
        let team = Team {
            depot: Arc::clone(&self.shelf) as Arc<dyn Depot>,
            clock: Arc::clone(&self.clock) as crate::time::SharedClock,
            host: host.to_owned(),
            id: format!("id of {host}"),
        };
        alone(base).shared(Arc::new(team))
    }

    fn segments(&self) -> Vec<String> {
        self.shelf.with(|inside| inside.objects.keys().filter(|name| name.contains(".jsonl")).cloned().collect())
    }
}

fn alone(base: &TempDir) -> FleetDir {
    let key = FleetKey { account: "123456789012".into(), region: "us-east-1".into(), name: "crawl".into() };
    FleetDir::locate(Some(base.path()), &key).unwrap()
}

fn run(n: u128) -> RunId {
    RunId::new(uuid::Uuid::from_u128(n))
}

fn holder(verb: &str) -> Holder {
    Holder { pid: std::process::id(), verb: verb.to_owned(), run: None, started: at(0), host: None }
}

fn claimed(dir: &FleetDir) -> Claim {
    dir.claim(&holder("launch")).unwrap()
}

fn begin(dir: &FleetDir, claim: &Claim, n: u128) -> super::super::Journal {
    dir.begin(claim, run(n), begun(&run(n).to_string(), "launch")).unwrap().1
}

fn exit<T: std::fmt::Debug>(result: Result<T, JournalError>) -> Exit {
    result.unwrap_err().exit()
}

#[test]
fn what_one_machine_began_another_goes_on_with_once_its_lease_has_ended() {
    let (world, one, two) = (World::default(), TempDir::new().unwrap(), TempDir::new().unwrap());
    let (laptop, ci) = (world.on("laptop", &one), world.on("ci", &two));
    let dead = claimed(&laptop);
    let journal = begin(&laptop, &dead, 1);
    journal.intend("launch", draft(1), at(1)).unwrap();
    assert_eq!(world.segments().len(), 2, "one for each batch: {:?}", world.segments());

    let error = ci.claim(&holder("launch")).unwrap_err();
    assert_eq!(error.exit(), Exit::Locked);
    let told = error.to_string();
    assert!(
        told.contains("`launch` (process ") && told.contains(" on laptop, ") && told.contains("shelf/lease.json"),
        "{told}"
    );
    assert_eq!(ci.holder().unwrap().unwrap().run, Some(run(1)), "who only asks is told the run as well");

    world.clock.advance(SignedDuration::from_mins(7));
    assert_eq!(ci.holder().unwrap(), None);
    let claim = claimed(&ci);
    let history = History::read(&ci).unwrap();
    let past = history.unfinished().next().unwrap();
    assert_eq!(past.fold.open_intents().count(), 1, "the call that may have been made is known");
    let (taken, torn) = past.dir.resume(&claim).unwrap();
    assert_eq!(torn, None);
    let permit = taken.reopen(past.fold.intents[0].id, at(2)).unwrap().unwrap();
    assert_eq!(permit.call(), &draft(1), "byte for byte");

    // The one that was taken for dead wakes: it may do nothing more.
    let writes = world.segments();
    assert_eq!(exit(journal.intend("launch", draft(2), at(3))), Exit::Locked);
    assert_eq!(exit(journal.end(Exit::Done, at(3))), Exit::Locked, "and stays so");
    assert_eq!(world.segments(), writes);

    taken.settle(permit.intent(), done(), at(4)).unwrap();
    taken.end(Exit::Done, at(5)).unwrap();
    drop(claim);
    drop(dead);
    claimed(&laptop);
    assert_eq!(laptop.run(run(1)).peek().unwrap(), ci.run(run(1)).peek().unwrap(), "both know the same");
}

#[test]
fn a_lease_is_given_back_kept_by_renewing_and_taken_again_by_its_own_machine() {
    let (world, one, two) = (World::default(), TempDir::new().unwrap(), TempDir::new().unwrap());
    let (laptop, ci) = (world.on("laptop", &one), world.on("ci", &two));
    drop(claimed(&laptop));
    let claim = claimed(&ci);
    for _ in 0..5 {
        world.clock.advance(SignedDuration::from_mins(4));
        claim.lease().unwrap().renew().unwrap();
        assert!(matches!(laptop.claim(&holder("down")), Err(ClaimError::Leased { .. })));
    }
    // Killed: the kernel gives its lock back, nobody the lease.
    world.shelf.with(|inside| inside.down = true);
    drop(claim);
    world.shelf.with(|inside| inside.down = false);
    assert!(matches!(laptop.claim(&holder("down")), Err(ClaimError::Leased { .. })));
    let again = claimed(&ci);
    assert_eq!(ci.holder().unwrap().map(|holder| holder.host), Some(None), "this machine's own lock comes first");
    // One that slept longer than its term finds its lease still there, and holds it again.
    world.clock.advance(SignedDuration::from_hours(1));
    begin(&ci, &again, 1);
    assert!(matches!(laptop.claim(&holder("down")), Err(ClaimError::Leased { .. })));
}

#[test]
fn a_write_whose_answer_was_lost_knows_its_own_object() {
    let (world, one) = (World::default(), TempDir::new().unwrap());
    let laptop = world.on("laptop", &one);
    let deaf = || world.shelf.with(|inside| inside.deaf = true);
    deaf();
    let claim = claimed(&laptop);
    let journal = begin(&laptop, &claim, 1);
    deaf();
    claim.lease().unwrap().renew().unwrap();
    deaf();
    journal.intend("launch", draft(1), at(1)).unwrap();
    journal.intend("launch", draft(2), at(2)).unwrap();
    assert_eq!(world.segments().len(), 3);
}

#[test]
fn of_two_writers_of_one_segment_one_wins_and_the_other_stops() {
    let (world, one) = (World::default(), TempDir::new().unwrap());
    let laptop = world.on("laptop", &one);
    let claim = claimed(&laptop);
    let journal = begin(&laptop, &claim, 1);
    let (twin, _) = laptop.run(run(1)).resume(&claim).unwrap();
    twin.intend("launch", draft(1), at(1)).unwrap();
    let bytes = std::fs::read(laptop.run(run(1)).journal()).unwrap();
    assert_eq!(exit(journal.intend("launch", draft(2), at(1))), Exit::Locked);
    assert_eq!(std::fs::read(laptop.run(run(1)).journal()).unwrap(), bytes, "nor is it in the file");
    assert_eq!(world.segments().len(), 2);
}

#[test]
fn without_the_shelf_nothing_is_begun_and_nothing_more_is_promised() {
    let (world, one) = (World::default(), TempDir::new().unwrap());
    let laptop = world.on("laptop", &one);
    let down = |down| world.shelf.with(|inside| inside.down = down);
    down(true);
    let error = laptop.claim(&holder("launch")).unwrap_err();
    assert_eq!((error.exit(), error.to_string()), (Exit::Unavailable, "reach the shelf".to_owned()));
    assert_eq!(exit(laptop.fetch()), Exit::Unavailable);
    down(false);
    let claim = claimed(&laptop);
    let journal = begin(&laptop, &claim, 1);
    down(true);
    assert_eq!(exit(journal.intend("launch", draft(1), at(1))), Exit::Unavailable);
    down(false);
    assert_eq!(exit(journal.intend("launch", draft(1), at(1))), Exit::Unavailable, "what was written is not known");
    drop((journal, claim));
    let claim = claimed(&laptop);
    let (journal, _) = laptop.run(run(1)).resume(&claim).unwrap();
    assert_eq!(journal.fold().intents.len(), 0);
    journal.intend("launch", draft(1), at(2)).unwrap();
}

#[test]
fn what_was_kept_here_alone_is_shared_from_then_on() {
    let (world, one, two) = (World::default(), TempDir::new().unwrap(), TempDir::new().unwrap());
    let (laptop, ci) = (world.on("laptop", &one), world.on("ci", &two));
    let step = |dir: &FleetDir, name: &str| {
        let claim = claimed(dir);
        let (journal, _) = dir.run(run(1)).resume(&claim).unwrap();
        journal.step(name, serde_json::json!(1), at(3)).unwrap();
    };
    {
        let claim = claimed(&alone(&one));
        begin(&alone(&one), &claim, 1);
        alone(&one).run(run(1)).keep_items(b"\0\xff").unwrap();
    }
    laptop.fetch().unwrap();
    assert_eq!(world.segments().len(), 0, "who only looks shares nothing");
    step(&laptop, "one");
    ci.fetch().unwrap();
    assert_eq!(ci.run(run(1)).items().unwrap(), b"\0\xff");
    assert_eq!(ci.run(run(1)).peek().unwrap().steps.len(), 1);
    // `state` is taken out of the spec for a while, and a crash leaves half a batch.
    step(&alone(&one), "two");
    let path = laptop.run(run(1)).journal();
    let mut bytes = std::fs::read(&path).unwrap();
    bytes.extend(b"{\"record\":\"step");
    std::fs::write(&path, &bytes).unwrap();
    step(&laptop, "three");
    ci.fetch().unwrap();
    assert_eq!(ci.run(run(1)).peek().unwrap().steps.len(), 3);
    // Both go on without each other.
    step(&alone(&one), "four");
    step(&ci, "of ci");
    step(&alone(&one), "five, which makes it longer");
    let error = laptop.claim(&holder("launch")).unwrap_err();
    assert_eq!(error.exit(), Exit::State);
    assert!(error.to_string().contains("says something else than shelf/runs/"), "{error}");
}

#[test]
fn a_file_cut_short_is_mended_and_a_missing_segment_is_named() {
    let (world, one, two) = (World::default(), TempDir::new().unwrap(), TempDir::new().unwrap());
    let (laptop, ci) = (world.on("laptop", &one), world.on("ci", &two));
    let claim = claimed(&laptop);
    let journal = begin(&laptop, &claim, 1);
    for n in 0..3 {
        journal.step(&n.to_string(), serde_json::json!(n), at(1)).unwrap();
    }
    let whole = std::fs::read(laptop.run(run(1)).journal()).unwrap();
    for kept in [0, 1, whole.len() / 2, whole.len() - 1, whole.len()] {
        ci.fetch().unwrap();
        std::fs::write(ci.run(run(1)).journal(), &whole[..kept]).unwrap();
        ci.fetch().unwrap();
        assert_eq!(std::fs::read(ci.run(run(1)).journal()).unwrap(), whole, "{kept}");
    }
    // While a process of this machine is at work, nothing here is replaced.
    std::fs::write(laptop.run(run(1)).journal(), b"").unwrap();
    laptop.fetch().unwrap();
    assert_eq!(std::fs::read(laptop.run(run(1)).journal()).unwrap(), b"");
    let missing = world.segments()[1].clone();
    world.shelf.with(|inside| inside.objects.remove(&missing));
    let error = ci.fetch().unwrap_err();
    assert_eq!(
        (error.exit(), error.to_string()),
        (Exit::State, format!("read shelf/{missing}: it is missing, and later ones are there"))
    );
}
