//! `rehearse`: the whole campaign on the rehearsal cloud, and its summary.

use super::context::{self, talk};
use super::print;
use crate::cli::Global;
use crate::cli::request::Rehearse;
use crate::engine::failure::Failure;
use crate::event::{Event, Events};
use crate::exit::Exit;
use crate::model::Money;
use crate::rehearse::{Chosen, Outcome, Wanted, choose, run};
use crate::report::{HostCounts, ItemCounts, PushResult, RecordCounts, Rehearsed, Summary, answer};
use crate::spec::{Fleet, Set};
use crate::time::SystemClock;
use std::path::PathBuf;
use std::sync::Arc;

/// World seconds per second when nobody says otherwise: ten minutes of quiet become ten seconds.
const SPEED: f64 = 60.0;

pub(super) async fn rehearse(global: Global, wanted: Rehearse) -> Result<Exit, Failure> {
    let file = context::spec_file(&global)?;
    let file = file.canonicalize().map_err(|e| Failure::to(Exit::Usage, format!("find {}: {e}", file.display())))?;
    let mut sets = context::sets(&global);
    if let Some(base) = &wanted.items_from {
        let base = base
            .canonicalize()
            .map_err(|e| Failure::to(Exit::Usage, format!("find the items {}: {e}", base.display())))?;
        sets.push(format!("rehearsal.items={{base: '{}', from: [.]}}", base.display()).into());
    }
    let fleet = load(&global, &file, &sets)?;
    let items = items(&fleet, &wanted)?;
    let hosts = wanted.hosts.or_else(|| fleet.fleet.as_ref().map(|hosts| hosts.size)).ok_or_else(|| {
        Failure::new(Exit::Usage, "rehearse: the spec has no `fleet` section").hint("fleetwright explain fleet")
    })?;
    let work = work_folder(&global)?;
    // Each verb draws its own bars on the same terminal: ours would be in their way.
    let (sinks, tally) = context::displays(&Global { no_progress: true, ..global.clone() });
    let events = Events::new(Arc::new(SystemClock), sinks);
    if items.as_ref().is_some_and(|chosen| chosen.items.len() > MANY) && fleet.release.is_some() {
        sets.push(format!("release.vars.work_args='--batch {BATCH}'").into());
    }
    let order = Wanted {
        spec: file,
        sets: sets.into_iter().map(|set| set.text).collect(),
        hosts,
        items,
        seed: wanted.seed.unwrap_or(1),
        faults: wanted.faults.clone(),
        speed: wanted.speed.unwrap_or(SPEED),
        work: work.clone(),
        keep: wanted.keep,
        display: display(&global),
    };
    events.emit(Event::RunStarted {
        run: format!("rehearsal-{}", std::process::id()),
        verb: "rehearse".to_owned(),
        fleet: fleet.name.to_string(),
        resumed: false,
    });
    let outcome = tokio::select! {
        outcome = run(&fleet, &order, &events) => outcome,
        () = interrupted() => Err(Failure::interrupted(Exit::Interrupted)),
    };
    let outcome = match outcome {
        Ok(outcome) => outcome,
        Err(failure) => {
            talk(&format!("what the rehearsal wrote is kept in {}\n", work.display()));
            return Err(failure);
        }
    };
    let exit = verdict(&outcome);
    let summary = summary(&outcome, hosts, &tally.summary(""), exit);
    events.emit(Event::RunFinished { exit: exit.code(), summary: summary.verdict.clone(), cost: None });
    if let Some(path) = &wanted.report {
        let text = answer::value(&summary)
            .and_then(|value| serde_json::to_string_pretty(&value))
            .map_err(|e| Failure::to(Exit::Bug, format!("write the report: {e}")))?;
        std::fs::write(path, text + "\n")
            .map_err(|e| Failure::to(Exit::State, format!("write {}: {e}", path.display())))?;
    }
    print(&global, &summary)?;
    if exit == Exit::Done && !wanted.keep {
        std::fs::remove_dir_all(&work).unwrap_or_default();
        // The base folder goes too, where nothing else is in it.
        if let Some(base) = work.parent() {
            std::fs::remove_dir(base).unwrap_or_default();
        }
        return Ok(exit);
    }
    if wanted.keep {
        talk(&format!("cloud and hosts are kept running; state is in {}\n", work.display()));
    }
    if exit == Exit::Done {
        return Ok(exit);
    }
    Err(Failure::to(exit, format!("rehearse {}: {}", fleet.name, outcome.surprises.join("; ")))
        .hint(format!("what it wrote is kept in {}", work.display())))
}

/// From so many items on, workers take them in batches.
const MANY: usize = 5_000;
/// Items a worker's command gets at once then.
const BATCH: u32 = 20;

fn load(global: &Global, file: &std::path::Path, sets: &[Set]) -> Result<Fleet, Failure> {
    match crate::spec::load(file, sets, &|name| std::env::var(name).ok()) {
        Ok(loaded) => Ok(loaded.fleet),
        Err(problems) => {
            let colour = global.color.decide(false, |name| std::env::var_os(name));
            talk(&problems.render(colour));
            Err(Failure::to(Exit::Usage, format!("read {}: {}", file.display(), problems.summary())))
        }
    }
}

/// The items that the command line or the spec's `rehearsal.items` ask for; none means the spec's own feed.
fn items(fleet: &Fleet, wanted: &Rehearse) -> Result<Option<Chosen>, Failure> {
    let count = wanted.items.map(|n| usize::try_from(n).unwrap_or(usize::MAX));
    let Some(items) = &fleet.rehearsal.items else {
        return match count {
            None => Ok(None),
            Some(_) => Err(Failure::new(Exit::Usage, "rehearse --items: the spec does not say which files are items")
                .hint("name a folder with --items-from, or add `rehearsal: {items: {from: [src]}}`")),
        };
    };
    let count = count.or_else(|| items.count.map(|n| usize::try_from(n).unwrap_or(usize::MAX)));
    choose(&items.base, &items.from, count).map(Some).map_err(|error| {
        Failure::to(Exit::Usage, format!("choose the items: {error}"))
            .hint("fleetwright rehearse --items-from DIR     # every file below it is an item")
    })
}

/// A folder of its own below the state directory.
fn work_folder(global: &Global) -> Result<PathBuf, Failure> {
    use etcetera::BaseStrategy;
    let base = match &global.state_dir {
        Some(dir) => dir.clone(),
        None => etcetera::choose_base_strategy()
            .ok()
            .and_then(|strategy| strategy.state_dir())
            .map(|dir| dir.join("fleetwright"))
            .ok_or_else(|| Failure::to(Exit::State, "find the home directory").hint("--state-dir names another"))?,
    };
    let folder = base.join(format!("rehearsal-{}", std::process::id()));
    std::fs::create_dir_all(&folder)
        .map_err(|e| Failure::to(Exit::State, format!("make {}: {e}", folder.display())))?;
    folder.canonicalize().map_err(|e| Failure::to(Exit::State, format!("find {}: {e}", folder.display())))
}

/// Display flags for the verbs, which draw by themselves on the same terminal.
fn display(global: &Global) -> Vec<String> {
    let mut flags = Vec::new();
    if global.no_progress {
        flags.push("--no-progress".to_owned());
    }
    if global.quiet {
        flags.push("--quiet".to_owned());
    }
    flags
}

async fn interrupted() {
    tokio::signal::ctrl_c().await.unwrap_or(());
}

/// 15 when records are not what they should be, 1 when anything else did not go as foretold.
fn verdict(outcome: &Outcome) -> Exit {
    match &outcome.compared {
        Some(compared) if !compared.all_equal() => Exit::Unaccounted,
        _ if outcome.surprises.is_empty() => Exit::Done,
        _ => Exit::Partial,
    }
}

fn summary(outcome: &Outcome, wanted: u32, base: &Summary, exit: Exit) -> Summary {
    let push: Vec<PushResult> = serde_json::from_value(outcome.pushed["push"].clone()).unwrap_or_default();
    let items: Option<ItemCounts> = serde_json::from_value(outcome.waited["items"].clone()).ok();
    let count = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
    let ended = outcome.world["instances"].as_array().into_iter().flatten();
    let terminated = ended.filter(|i| i["state"] == "terminated" && i["owner"] != "decoy").count() as u64;
    Summary {
        verdict: match exit {
            Exit::Done => outcome.waited["verdict"].as_str().unwrap_or("done").to_owned(),
            _ => "not as foretold".to_owned(),
        },
        hosts: Some(HostCounts {
            wanted,
            ready: count(outcome.launched),
            interrupted: count(outcome.killed.len() as u64),
            terminated: count(terminated),
        }),
        push,
        items,
        records: outcome.compared.as_ref().map(|c| RecordCounts { expected: c.expected, equal: c.equal }),
        #[expect(clippy::cast_possible_truncation, reason = "a campaign is far shorter than 2^53 seconds")]
        world_seconds: outcome.world_seconds as i64,
        cost_usd: outcome.cost.map(Money::dollars),
        api_calls: outcome.calls.clone(),
        rehearsal: Some(Rehearsed {
            broken: outcome.sabotaged.iter().map(|(id, how)| (id.clone(), (*how).to_owned())).collect(),
            killed: outcome.killed.clone(),
            redelivered: outcome.redelivered,
            replaced: outcome.replaced.clone(),
            notified: outcome.notified.clone(),
            surprises: outcome.surprises.clone(),
        }),
        ..base.clone()
    }
}
