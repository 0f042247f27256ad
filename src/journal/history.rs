//! What all runs of a fleet add up to: which tokens are ours, and which run a command goes on with.

use super::dir::{FleetDir, RunDir};
use super::error::JournalError;
use super::record::{Begun, Fold, IntentState};
use std::io;

/// One run and what its journal adds up to.
#[derive(Debug)]
pub struct PastRun {
    /// Where it is.
    pub dir: RunDir,
    /// What its journal says.
    pub fold: Fold,
}

/// All runs of a fleet, newest first.
#[derive(Debug, Default)]
pub struct History {
    runs: Vec<Result<PastRun, JournalError>>,
}

impl History {
    /// Reads the journals of all runs of a fleet, changing none of them.
    ///
    /// # Errors
    ///
    /// When the runs can't be listed; a single journal that can't be read is part of the answer.
    pub fn read(fleet: &FleetDir) -> Result<Self, JournalError> {
        let past = |dir: RunDir| match dir.peek() {
            Ok(fold) => Some(Ok(PastRun { dir, fold })),
            // A run that died before its first record made no call: there is nothing to know of it.
            Err(JournalError::NotBegun { .. }) => None,
            Err(JournalError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => None,
            Err(error) => Some(Err(error)),
        };
        Ok(Self { runs: fleet.runs()?.into_iter().filter_map(past).collect() })
    }

    /// Runs whose journal could be read, newest first.
    pub fn runs(&self) -> impl Iterator<Item = &PastRun> {
        self.runs.iter().filter_map(|run| run.as_ref().ok())
    }

    /// The same, one by one.
    pub fn into_runs(self) -> impl Iterator<Item = PastRun> {
        self.runs.into_iter().filter_map(Result::ok)
    }

    /// Takes out why the others could not be read.
    pub fn take_unreadable(&mut self) -> Vec<JournalError> {
        self.runs.extract_if(.., |run| run.is_err()).filter_map(Result::err).collect()
    }

    /// Why the others could not be read.
    pub fn unreadable(&self) -> impl Iterator<Item = &JournalError> {
        self.runs.iter().filter_map(|run| run.as_ref().err())
    }

    /// Intents of every readable run, newest run first, each run's in order. Attempts are counted over all of them: a token
    /// that an earlier run has used must not be made again for another request.
    pub fn intents(&self) -> impl Iterator<Item = (&Begun, &IntentState)> {
        self.runs()
            .filter_map(|run| run.fold.begun.as_ref().map(|begun| (begun, &run.fold)))
            .flat_map(|(begun, fold)| fold.intents.iter().map(move |intent| (begun, intent)))
    }

    /// The runs of this campaign, newest first: those since the last `down` that was carried out. What older runs made is
    /// gone, so nobody goes on with them.
    pub fn campaign(&self) -> impl Iterator<Item = &PastRun> {
        self.runs().take_while(|past| !past.fold.tore_down())
    }

    /// Runs of this campaign that were stopped before their end, newest first. A teardown among them is never gone on with:
    /// a new one looks again at what is there.
    pub fn unfinished(&self) -> impl Iterator<Item = &PastRun> {
        self.campaign().filter(|past| past.fold.ended.is_none())
    }
}
