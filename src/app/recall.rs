//! Past runs as `runs` tells them: those with a journal, and waits, which changed nothing and left only what they showed.

use super::context::state;
use super::runs::{exit, steps};
use crate::engine::failure::Failure;
use crate::event::{Event, Stamped};
use crate::exit::Exit;
use crate::journal::{FleetDir, Fold, History, PastRun, RunDir};
use crate::model::{Money, RunId};
use crate::plan::{Plan, build};
use crate::report::answer::{RunState, RunSummary, StepState};
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

/// So much of the end of what a run showed is read for how it ended, bytes.
const TAIL: u64 = 16 * 1024;

/// One run of this machine.
pub(super) struct Recalled {
    /// Where it is.
    pub(super) dir: RunDir,
    /// What its journal says; nothing for a wait.
    pub(super) fold: Fold,
    /// How it ended, if it has.
    pub(super) exit: Option<Exit>,
    /// The run in short.
    pub(super) summary: RunSummary,
}

/// Every run whose journal or events can be read, newest first.
///
/// # Errors
///
/// When the runs can't be listed.
pub(super) fn recall(dir: &FleetDir, history: History, running: Option<RunId>) -> Result<Vec<Recalled>, Failure> {
    let unfinished: Vec<RunId> = history.unfinished().map(|past| past.dir.run()).collect();
    let mut journalled = history.into_runs().peekable();
    let mut all = Vec::new();
    for dir in dir.runs().map_err(state)? {
        let past = journalled.next_if(|past| past.dir.run() == dir.run());
        all.extend(match past {
            Some(past) => {
                let over = !unfinished.contains(&past.dir.run());
                journal(past, over, running)
            }
            None => wait(dir),
        });
    }
    Ok(all)
}

/// A run by its journal. `over`: nobody goes on with it, though it may not have ended.
fn journal(past: PastRun, over: bool, running: Option<RunId>) -> Option<Recalled> {
    let begun = past.fold.begun.as_ref()?;
    let steps = steps(&past.fold);
    let run_state = match past.fold.ended {
        Some(_) => RunState::Ended,
        None if running == Some(past.dir.run()) => RunState::Running,
        None if over => RunState::Superseded,
        None => RunState::Unfinished,
    };
    let plan: Option<Plan> = serde_json::from_value(begun.plan.clone()).ok();
    let exit = exit(&past.fold);
    let summary = RunSummary {
        run: begun.run.clone(),
        verb: build::told(begun),
        state: run_state,
        started: begun.at,
        ended: past.fold.ended.and(past.fold.last),
        exit: exit.map(Exit::code),
        steps_done: steps.iter().filter(|step| step.state == StepState::Done).count(),
        steps_planned: steps.len(),
        unresolved_calls: past.fold.unresolved().count(),
        cost: end(&past.dir.events()).and_then(|(.., cost)| cost),
        per_hour: plan.and_then(|plan| plan.estimate).map(|estimate| estimate.per_hour),
    };
    Some(Recalled { exit, summary, dir: past.dir, fold: past.fold })
}

/// A wait by what it showed; nothing else is without a journal.
fn wait(dir: RunDir) -> Option<Recalled> {
    if dir.journal().exists() {
        return None;
    }
    let file = std::fs::File::open(dir.events()).ok()?;
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(file), &mut line).ok()?;
    let Stamped { at, event: Event::RunStarted { run, verb, .. } } = serde_json::from_str(&line).ok()? else {
        return None;
    };
    let end = end(&dir.events());
    let exit = end.and_then(|(_, code, _)| Exit::ALL.into_iter().find(|exit| exit.code() == code));
    let summary = RunSummary {
        run,
        verb,
        state: if end.is_some() { RunState::Ended } else { RunState::Open },
        started: at,
        ended: end.map(|(at, ..)| at),
        exit: end.map(|(_, code, _)| code),
        steps_done: 0,
        steps_planned: 0,
        unresolved_calls: 0,
        cost: end.and_then(|(.., cost)| cost),
        per_hour: None,
    };
    Some(Recalled { exit, summary, fold: Fold::default(), dir })
}

/// When and how a run ended and what it had cost by then, where it showed that.
fn end(events: &Path) -> Option<(jiff::Timestamp, u8, Option<Money>)> {
    let mut file = std::fs::File::open(events).ok()?;
    let length = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL))).ok()?;
    let mut tail = Vec::new();
    file.read_to_end(&mut tail).ok()?;
    String::from_utf8_lossy(&tail).lines().rev().find_map(|line| match serde_json::from_str(line).ok()? {
        Stamped { at, event: Event::RunFinished { exit, cost, .. } } => Some((at, exit, cost)),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_found_behind_much_else_and_a_torn_line_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("events.jsonl");
        assert_eq!(end(&file), None);
        let at = jiff::Timestamp::constant(1_800_000_000, 0);
        let line = |event| serde_json::to_string(&Stamped { at, event }).unwrap() + "\n";
        let note = line(Event::Note { message: "x".repeat(100) });
        let over = line(Event::RunFinished { exit: 3, summary: "é".repeat(50), cost: Some(Money::from_micros(7)) });
        std::fs::write(&file, note.repeat(1000) + &over + &note).unwrap();
        assert_eq!(end(&file), Some((at, 3, Some(Money::from_micros(7)))));
        std::fs::write(&file, note.repeat(1000) + &over[..over.len() - 10]).unwrap();
        assert_eq!(end(&file), None);
    }
}
