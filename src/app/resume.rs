//! `resume`: go on where a run stopped, with the plan that it had.

use super::context::{Context, state};
use crate::cli::request::{Bake, Down, Launch, Push, Resume, Verify};
use crate::engine::failure::Failure;
use crate::exit::Exit;
use crate::journal::History;

impl Context {
    pub(super) async fn resume(&self, wanted: Resume) -> Result<Exit, Failure> {
        let history = History::read(&self.state_dir()?).map_err(state)?;
        let matches = |run: &str| wanted.run.as_ref().is_none_or(|name| run.ends_with(name.as_str()));
        let found = history
            .runs()
            .filter(|past| past.fold.ended.is_none())
            .find_map(|past| past.fold.begun.as_ref().filter(|begun| matches(&begun.run)));
        let Some(begun) = found else {
            return match &wanted.run {
                None => {
                    self.events.note("no run is unfinished");
                    Ok(Exit::Done)
                }
                Some(name) => Err(Failure::new(Exit::Usage, format!("find an unfinished run {name}"))
                    .hint("fleetwright status     # lists unfinished runs")),
            };
        };
        *self.resuming.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(begun.run.clone());
        match begun.verb.as_str() {
            "verify" => self.verify(Verify::default()).await,
            "bake" => self.bake(Bake { unverified: true, ..Bake::default() }).await,
            "launch" => self.launch(Launch { unattested: true, ..Launch::default() }).await,
            "push" => self.push(Push::default()).await,
            "feed" => self.feed().await,
            "down" => self.down(Down::default()).await,
            verb => Err(Failure::new(Exit::State, format!("go on with run {}: nobody knows verb {verb:?}", begun.run))),
        }
    }
}
