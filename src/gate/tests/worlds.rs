//! Random worlds of owned, foreign and look-alike things, with good, broken and foreign journals on a real file system: what
//! goes through is never anything but what was made for this fleet, by a list that knows nothing of tags.

use super::*;
use crate::journal::{Begun, Draft, FleetDir, History, Holder};
use crate::model::{FleetKey, RunId};
use crate::steps::past::known_intents;
use std::fs;

/// What became of the journal of one run.
#[derive(Clone, Debug)]
enum Fortune {
    Good,
    /// Cut at this share of its length.
    Cut(f64),
    /// A bit flipped at this share of its length.
    Flipped(f64),
    /// Lost with its directory.
    Lost,
    /// It is another fleet's, copied into this one's directory.
    Foreign,
}

/// Who made a thing, and what its tags say.
#[derive(Clone, Debug)]
enum Thing {
    /// Made by a run of this fleet.
    Made { run: usize },
    /// Made by a run of this fleet, and kept by somebody since.
    Kept { run: usize, by_ec2: bool },
    /// Made by a run of this fleet; since then somebody has taken our tags off.
    Stripped { run: usize },
    /// Another's, who put our fleet's name on it, and perhaps an intent.
    Claims { intent: Option<String> },
    /// Another fleet's, whose name begins or ends as ours does; it carries an intent of its own or one of ours.
    Neighbour { name: &'static str, intent: Option<usize> },
    /// Nobody ever tagged it, or only with what looks like our tags.
    Bare { key: &'static str },
    /// The template instance, with whatever tags its owner gave it.
    Template { run: Option<usize> },
}

fn fortune() -> impl Strategy<Value = Fortune> {
    prop_oneof![
        4 => Just(Fortune::Good),
        2 => (0.0..1.0).prop_map(Fortune::Cut),
        2 => (0.0..1.0).prop_map(Fortune::Flipped),
        1 => Just(Fortune::Lost),
        1 => Just(Fortune::Foreign),
    ]
}

fn thing(runs: usize) -> impl Strategy<Value = Thing> {
    let text = prop_oneof![Just(None), "[a-z0-9-]{0,12}".prop_map(Some), Just(Some("run-".to_owned()))];
    prop_oneof![
        6 => (0..runs).prop_map(|run| Thing::Made { run }),
        1 => (0..runs, any::<bool>()).prop_map(|(run, by_ec2)| Thing::Kept { run, by_ec2 }),
        1 => (0..runs).prop_map(|run| Thing::Stripped { run }),
        2 => text.prop_map(|intent| Thing::Claims { intent }),
        2 => (
            prop_oneof![Just("craw"), Just("crawl2"), Just("Crawl"), Just("x-crawl"), Just("")],
            proptest::option::of(0..runs)
        )
            .prop_map(|(name, intent)| Thing::Neighbour { name, intent }),
        1 => prop_oneof![Just("fleet"), Just("Fleetwright:Fleet"), Just("Name"), Just("fleetwright:fleet ")]
            .prop_map(|key| Thing::Bare { key }),
        1 => proptest::option::of(0..runs).prop_map(|run| Thing::Template { run }),
    ]
}

fn token(run: usize) -> String {
    format!("fwtoken{run}")
}

/// The token that only another fleet's run used, whose journal came into our directory.
fn foreign_token(run: usize) -> String {
    format!("fwforeign{run}")
}

impl Thing {
    fn candidate(&self, n: usize) -> Candidate {
        let id = format!("i-{n:04}");
        let bare = Tags::default();
        let of = |run: &usize| Tags::default().with(tags::FLEET, "crawl").with(tags::INTENT, token(*run));
        let (id, tags, termination_protected) = match self {
            Self::Made { run } => (id, of(run), false),
            Self::Kept { run, by_ec2: true } => (id, of(run), true),
            Self::Kept { run, by_ec2: false } => (id, of(run).with(tags::PROTECT, ""), false),
            Self::Stripped { run } => (id, bare.with(tags::INTENT, token(*run)), false),
            Self::Claims { intent } => {
                let tags = bare.with(tags::FLEET, "crawl");
                (id, intent.iter().fold(tags, |tags, intent| tags.with(tags::INTENT, intent)), false)
            }
            Self::Neighbour { name, intent } => {
                let intent = intent.map_or_else(|| foreign_token(0), token);
                (id, bare.with(tags::FLEET, *name).with(tags::INTENT, intent), false)
            }
            Self::Bare { key } => (id, bare.with(key, "crawl"), false),
            Self::Template { run } => ("i-template".to_owned(), run.as_ref().map_or(bare, of), false),
        };
        Candidate { id, tags, termination_protected }
    }

    /// Whether this fleet made it and nobody keeps it: the list of a god who watched.
    fn ours(&self) -> bool {
        matches!(self, Self::Made { .. })
    }
}

/// The state directory that these runs left, each with what became of its journal.
fn state(base: &std::path::Path, runs: &[Fortune]) -> FleetDir {
    let key = |name: &str| FleetKey { account: "123456789012".into(), region: "us-east-1".into(), name: name.into() };
    let dir = FleetDir::locate(Some(base), &key("crawl")).unwrap();
    let claim =
        dir.claim(&Holder { pid: 1, verb: "launch".to_owned(), run: None, started: at(0), host: None }).unwrap();
    for (n, fortune) in runs.iter().enumerate() {
        let foreign = matches!(fortune, Fortune::Foreign);
        let run = RunId::new(uuid::Uuid::from_u128(n as u128 + 1));
        let begun = Begun {
            run: run.to_string(),
            verb: "launch".to_owned(),
            fleet: key(if foreign { "other" } else { "crawl" }),
            request: String::new(),
            plan: serde_json::Value::Null,
            at: at(0),
        };
        let (files, journal) = dir.begin(&claim, run, begun).unwrap();
        let token = if foreign { foreign_token(n) } else { token(n) };
        let call =
            Draft { action: "CreateFleet".to_owned(), token: Some(token), body: "Action=CreateFleet".to_owned() };
        journal.intend("capacity.0", call, at(0)).unwrap();
        let mut bytes = fs::read(files.journal()).unwrap();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a share of a small length"
        )]
        let place = |share: f64, bytes: &[u8]| ((bytes.len() as f64 * share) as usize).min(bytes.len() - 1);
        match fortune {
            Fortune::Good | Fortune::Foreign => {}
            Fortune::Cut(share) => bytes.truncate(place(*share, &bytes)),
            Fortune::Flipped(share) => {
                let place = place(*share, &bytes);
                bytes[place] ^= 1 << (place % 8);
            }
            Fortune::Lost => {
                fs::remove_dir_all(files.path()).unwrap();
                continue;
            }
        }
        fs::write(files.journal(), bytes).unwrap();
    }
    dir
}

/// The worlds and what may go wrong around them.
fn arena() -> impl Strategy<Value = (Vec<Fortune>, Vec<Thing>, u8, usize)> {
    proptest::collection::vec(fortune(), 1..5).prop_flat_map(|runs| {
        let things = proptest::collection::vec(thing(runs.len()), 0..24);
        (Just(runs), things, prop_oneof![4 => Just(0_u8), 1 => 1_u8..5], 0_usize..24)
    })
}

proptest! {
    #[test]
    fn what_is_ended_was_made_for_this_fleet((runs, things, wrong, blast_radius) in arena()) {
        let base = tempfile::tempdir().unwrap();
        let history = History::read(&state(base.path(), &runs)).unwrap();
        let mut facts = facts(things.iter().enumerate().map(|(n, thing)| thing.candidate(n)).collect());
        facts.known_intents = known_intents(&history);
        facts.blast_radius = blast_radius;
        match wrong {
            1 => facts.caller = "999999999999".into(),
            2 => facts.read_region = "eu-west-1".into(),
            3 => facts.claim_held = false,
            4 => facts.now = at(3600),
            _ => {}
        }
        let ours: BTreeSet<String> =
            things.iter().enumerate().filter(|(_, thing)| thing.ours()).map(|(n, _)| format!("i-{n:04}")).collect();
        let sent: BTreeSet<String> = match decide(&facts) {
            Ok(passed) => passed.owned.iter().flat_map(|owned| owned.ids().to_vec()).collect(),
            Err(refusal) => {
                prop_assert_eq!(refusal.count, things.len());
                BTreeSet::new()
            }
        };
        prop_assert!(sent.is_subset(&ours), "{sent:?} of {ours:?}");
        prop_assert!(wrong == 0 || sent.is_empty());
        prop_assert!(sent.len() <= blast_radius);
        // And nothing that is ours is held back without a reason: a gate that is always shut would pass what is above.
        let known = |run: &usize| matches!(runs[*run], Fortune::Good);
        let free = things.iter().enumerate().filter(|(_, thing)| matches!(thing, Thing::Made { run } if known(run)));
        let free: BTreeSet<String> = free.map(|(n, _)| format!("i-{n:04}")).collect();
        if wrong == 0 && ours.len() <= blast_radius {
            prop_assert!(free.is_subset(&sent), "{free:?} of {sent:?}");
        }
    }
}

#[test]
fn a_journal_of_another_fleet_opens_nothing() {
    let base = tempfile::tempdir().unwrap();
    let history = History::read(&state(base.path(), &[Fortune::Foreign])).unwrap();
    assert!(!known_intents(&history).contains(&foreign_token(0)));
    let why: Vec<String> = history.unreadable().map(ToString::to_string).collect();
    assert!(why[0].contains("123456789012-us-east-1-other"), "{why:?}");
}
