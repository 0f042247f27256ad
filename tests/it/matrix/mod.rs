//! The crash matrix: every verb that changes something, killed at each of its calls and at each sync of its journal, or at
//! system calls drawn by a seed, run again, and judged by the ground truth. `cargo test` runs a sample; tests/crash/matrix.sh
//! runs all of it.

mod grouped;
mod kill;
mod scene;
pub(crate) mod truth;

use crate::env::Cloud;
use grouped::{GROUP, GROUPED};
use kill::{Column, Fate, Kill, Probe, killed, probe};
use scene::{After, SCENES, Scene};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Output;
use std::sync::Mutex;
use truth::{Things, assert_all_finished, assert_foreign_untouched, ours, peak, things};

/// The same command is right again; a second time it may be needed when the first ended for want of time or proof.
const TRIES: usize = 2;
/// Calls that only look, beyond this many of an action, are not killed at: a wait makes as many as it likes.
const LOOKS: u32 = 6;
/// World seconds per second where hosts are real.
const SPEED: u32 = 60;
/// Events of work on hosts, at most so many of a verb, are killed at.
const EVENTS: u32 = 24;

/// Verbs that tests of their own kill at each of their calls in the same run of `cargo test`: no sample of them is needed.
const ELSEWHERE: [&str; 13] = [
    "launch",
    "scale up",
    "scale down",
    "down",
    "recycle now",
    "orphans --reap",
    "group launch",
    "group scale up",
    "group scale down",
    "group down",
    "group windows",
    "bake for a group",
    "instance refresh",
];

/// A world in which the verb can be called.
struct Set {
    cloud: Cloud,
    foreign: Things,
    was: Value,
}

fn all() -> impl Iterator<Item = &'static Scene> {
    SCENES.iter().chain(GROUPED)
}

fn set(scene: &Scene) -> Set {
    let cloud = |speed| Cloud::with_hosts(scene.spec, speed, &json!({}), scene.hosts);
    // Without hosts nothing but the process that is killed waits for anything.
    let mut cloud = if scene.hosts == "none" { cloud(1).leaping() } else { cloud(SPEED) };
    (scene.stage)(&mut cloud);
    let foreign = things(&cloud.world());
    (scene.before)(&cloud);
    let was = cloud.world();
    Set { cloud, foreign, was }
}

fn looks(action: &str) -> bool {
    ["Describe", "Get", "List", "Receive"].iter().any(|word| action.starts_with(word))
}

/// System calls to be killed at, so many, drawn by a seed: each kind is as likely as any other.
fn drawn(scene: &Scene, seed: &str, n: usize) -> Vec<Kill> {
    let set = set(scene);
    let syscalls = probe(&set.cloud, &(scene.verb)(&set.cloud, &set.was)).syscalls;
    let mut cells: Vec<Kill> = Vec::new();
    for draws in 0..8 * n {
        let name = syscalls.keys().nth(draw((scene.name, seed, draws, "kind")) % syscalls.len()).unwrap();
        let nth = draw((scene.name, seed, draws, "nth")) % usize::try_from(syscalls[name]).unwrap();
        let kill = Kill::Syscall { name: name.clone(), nth: 1 + u32::try_from(nth).unwrap() };
        if cells.len() < n && !cells.contains(&kill) {
            cells.push(kill);
        }
    }
    cells
}

/// Every place to be killed at, from a run that nobody disturbed.
fn cells(scene: &Scene) -> Vec<Kill> {
    let set = set(scene);
    let Probe { calls, syncs, events, .. } = probe(&set.cloud, &(scene.verb)(&set.cloud, &set.was));
    let mut cells = Vec::new();
    for (action, count) in calls {
        for nth in 1..=if looks(&action) { count.min(LOOKS) } else { count } {
            for point in ["before-commit", "after-commit"] {
                cells.push(Kill::Call { action: action.clone(), nth, point });
            }
        }
    }
    for nth in 1..=syncs {
        cells.extend([Fate::Lost, Fate::Torn, Fate::Kept].map(|fate| Kill::Sync { nth, fate }));
    }
    if scene.hosts == "real" {
        let step = usize::try_from(events.div_ceil(EVENTS).max(1)).unwrap();
        cells.extend((1..=events).step_by(step).map(|nth| Kill::Event { nth }));
    }
    cells
}

/// One cell: killed there, and the recovery killed too where that is asked; then the same command, and the judgement.
/// `None` when this run never came to that place.
fn cell(scene: &Scene, at: &[&Kill]) -> Option<(Column, usize)> {
    let Set { cloud, foreign, was } = set(scene);
    let (mut over, mut column) = (0, None);
    for (n, at) in at.iter().enumerate() {
        match killed(&cloud, (scene.verb)(&cloud, &was), at) {
            Some(killed) => {
                over += usize::from(killed.over);
                column.get_or_insert(killed.column);
            }
            None if n == 0 => return None,
            // The recovery came to its end first: one more of what may be done more than once.
            None => over += 1,
        }
    }
    let mut tries = 0;
    let last: Output = loop {
        tries += 1;
        let output = (scene.verb)(&cloud, &was).output().unwrap();
        let talk = String::from_utf8_lossy(&output.stderr);
        let again = matches!(output.status.code(), Some(6 | 10)) && tries < TRIES;
        assert!(again || output.status.success(), "exit {:?} at try {tries}: {talk}", output.status.code());
        if !again {
            break output;
        }
    };
    let world = cloud.world();
    let now = things(&world);
    assert_foreign_untouched(&foreign, &now);
    let ours = ours(&foreign, &now);
    assert!(peak(&cloud) <= scene.most, "{} hosts lived at once, {} are the most", peak(&cloud), scene.most);
    let grouped = [GROUP, crate::refresh::SPEC].contains(&scene.spec) && !ours.templates.is_empty();
    assert_eq!(ours.groups.len(), usize::from(grouped), "groups: {:#?}", ours.groups);
    let answer = serde_json::from_slice(&last.stdout).unwrap_or_default();
    (scene.check)(&After { cloud: &cloud, was: &was, world: &world, foreign: &foreign, ours: &ours, over, answer });
    if scene.spec != "tests/specs/it/recycle.yaml" {
        assert_all_finished(&cloud);
    }
    column.map(|column| (column, tries))
}

/// A number that only these words decide.
fn draw(words: impl Hash) -> usize {
    let mut hasher = DefaultHasher::new();
    words.hash(&mut hasher);
    usize::try_from(hasher.finish() % u64::from(u32::MAX)).unwrap()
}

/// What the cells of one verb came to.
#[derive(Default)]
struct Row {
    cells: usize,
    passes: usize,
    twice: usize,
    columns: BTreeMap<Column, (usize, usize)>,
    failures: Vec<String>,
}

/// Runs cells, `jobs` at a time.
fn run(scene: &Scene, cells: &[Vec<Kill>], jobs: usize) -> Row {
    let (row, next) = (Mutex::new(Row::default()), Mutex::new(cells.iter()));
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                loop {
                    let Some(at) = next.lock().unwrap().next() else { return };
                    let refs: Vec<&Kill> = at.iter().collect();
                    let came = catch_unwind(AssertUnwindSafe(|| cell(scene, &refs)));
                    let mut row = row.lock().unwrap();
                    match came {
                        Ok(None) => {}
                        Ok(Some((column, tries))) => {
                            row.cells += 1;
                            row.passes += 1;
                            row.twice += usize::from(tries > 1);
                            let sum = row.columns.entry(column).or_default();
                            *sum = (sum.0 + 1, sum.1 + 1);
                        }
                        Err(why) => {
                            row.cells += 1;
                            let why = why.downcast_ref::<String>().cloned();
                            let why = why.unwrap_or_else(|| "it failed, as said above".to_owned());
                            let places: Vec<String> = at.iter().map(ToString::to_string).collect();
                            row.failures.push(format!("{}, {}: {why}", scene.name, places.join(", then ")));
                        }
                    }
                }
            });
        }
    });
    row.into_inner().unwrap()
}

fn line(name: &str, row: &Row) -> String {
    let of = |column| {
        let (cells, passes) = row.columns.get(&column).copied().unwrap_or_default();
        format!("{passes}/{cells}")
    };
    let columns = [
        Column::IntentLost,
        Column::BeforeCommit,
        Column::AfterCommit,
        Column::OutcomeLost,
        Column::Other,
        Column::AtWork,
        Column::AtSyscall,
    ];
    let columns: Vec<String> = columns.into_iter().map(|column| format!("{:>9}", of(column))).collect();
    format!("{name:<17} {:>6} {:>6} {:>6}  {}", row.cells, row.passes, row.twice, columns.join(" "))
}

/// In continuous integration: after the commit of the first call of each kind that changes something, and one torn batch.
#[test]
fn a_sample_of_the_matrix_converges() {
    let mut failures = Vec::new();
    for scene in all().filter(|scene| scene.hosts == "none" && !ELSEWHERE.contains(&scene.name)) {
        let all = cells(scene);
        let changes =
            |kill: &&Kill| matches!(kill, Kill::Call { action, nth: 1, point: "after-commit" } if !looks(action));
        let mut sample: Vec<Vec<Kill>> = all.iter().filter(changes).map(|kill| vec![kill.clone()]).collect();
        let lost: Vec<&Kill> = all.iter().filter(|kill| matches!(kill, Kill::Sync { fate: Fate::Torn, .. })).collect();
        sample.push(vec![lost[draw(scene.name) % lost.len()].clone()]);
        let row = run(scene, &sample, 2);
        assert!(row.cells >= 1, "{}: no cell", scene.name);
        failures.extend(row.failures);
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// One campaign, killed once in each of its phases.
#[test]
fn up_is_killed_in_each_of_its_phases_and_there_is_one_campaign() {
    let scene = SCENES.iter().find(|scene| scene.name == "up").unwrap();
    let Set { cloud, foreign, was } = set(scene);
    for (phase, action, point) in [
        ("the template's canary", "CreateQueue", "after-commit"),
        ("the canary's items", "SendMessageBatch", "before-commit"),
        ("the end of the canary", "DeleteQueue", "before-commit"),
        ("bake", "CreateImage", "after-commit"),
        ("the launch template", "CreateLaunchTemplate", "after-commit"),
        ("launch", "CreateFleet", "after-commit"),
        ("boot", "GetConsoleOutput", "before-commit"),
        ("push", "CreateTags", "before-commit"),
        ("feed", "SendMessageBatch", "after-commit"),
        ("wait", "GetQueueAttributes", "after-commit"),
        ("down", "TerminateInstances", "after-commit"),
        ("the end of down", "DeleteLaunchTemplate", "before-commit"),
    ] {
        let at = Kill::Call { action: action.to_owned(), nth: 1, point };
        assert!(killed(&cloud, (scene.verb)(&cloud, &was), &at).is_some(), "{phase}: it never came to {action}");
    }
    // Whoever has not told how the campaign came out is asked for that, not for another one.
    let looks = (1..).take_while(|nth| {
        let at = Kill::Call { action: "DescribeImages".to_owned(), nth: *nth, point: "after-commit" };
        killed(&cloud, (scene.verb)(&cloud, &was), &at).is_some()
    });
    assert!(looks.count() > 1);
    let world = cloud.world();
    let now = things(&world);
    assert_foreign_untouched(&foreign, &now);
    let (ours, answer) = (ours(&foreign, &now), Value::Null);
    let after = After { cloud: &cloud, was: &was, world: &world, foreign: &foreign, ours: &ours, over: 0, answer };
    (scene.check)(&after);
    assert_all_finished(&cloud);
}

/// All of it, as tests/crash/matrix.sh tells by the environment.
#[expect(clippy::print_stdout, reason = "what the script is run for")]
#[test]
#[ignore = "minutes to hours: tests/crash/matrix.sh runs it"]
fn the_whole_matrix_converges() {
    let told = |name: &str| std::env::var(format!("FLEETWRIGHT_MATRIX{name}")).ok();
    let wanted = told("").unwrap_or_else(|| "all".to_owned());
    let names: Vec<&str> = wanted.split(',').map(str::trim).collect();
    let (part, parts) = told("_SHARD").map_or((1, 1), |shard| {
        let (part, parts) = shard.split_once('/').expect("FLEETWRIGHT_MATRIX_SHARD is PART/PARTS");
        (part.parse::<usize>().unwrap(), parts.parse::<usize>().unwrap())
    });
    let jobs = told("_JOBS").map_or(2, |jobs| jobs.parse().unwrap());
    let only = told("_ONLY");
    let syscalls = told("_SYSCALLS").map(|told| {
        let (seed, n) = told.split_once('/').map_or((told.as_str(), "24"), |(seed, n)| (seed, n));
        (seed.to_owned(), n.parse::<usize>().expect("FLEETWRIGHT_MATRIX_SYSCALLS is SEED or SEED/CELLS"))
    });
    println!(
        "verb               cells passes  twice   intent-    before     after  outcome-     other   at work    system"
    );
    println!(
        "                                           lost    commit    commit      lost     syncs  on hosts     calls"
    );
    let mut failures = Vec::new();
    let (mut sum, mut good) = (0, 0);
    for scene in all().filter(|scene| names.contains(&"all") || names.contains(&scene.name)) {
        let all = syscalls.as_ref().map_or_else(|| cells(scene), |(seed, n)| drawn(scene, seed, *n));
        let mine = all.iter().enumerate().filter(|(n, _)| n % parts == part - 1).map(|(_, kill)| kill);
        let mine = mine.filter(|kill| only.as_ref().is_none_or(|only| kill.to_string().contains(only)));
        let plans: Vec<Vec<Kill>> = mine
            .map(|kill| match told("_TWICE") {
                Some(seed) => {
                    let second = &all[draw((scene.name, kill.to_string(), seed)) % all.len()];
                    vec![kill.clone(), second.clone()]
                }
                None => vec![kill.clone()],
            })
            .collect();
        let row = run(scene, &plans, jobs);
        println!("{}", line(scene.name, &row));
        for failure in &row.failures {
            println!("  FAILED {failure}");
        }
        (sum, good) = (sum + row.cells, good + row.passes);
        failures.extend(row.failures);
    }
    println!("{good} of {sum} cells pass");
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
