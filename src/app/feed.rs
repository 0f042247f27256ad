//! `feed`: items into the queue.

use super::Told;
use super::campaign::Order;
use super::context::Context;
use super::fed::Fed;
use super::hold::Held;
use crate::engine::failure::Failure;
use crate::exit::Exit;
use crate::feed::before::{Chosen, choose};
use crate::feed::source::{self, Items, SourceError};
use crate::journal::FleetDir;
use crate::model::count;
use crate::plan::feed;
use crate::report::answer::{self, FedItems};
use crate::spec::Need;
use crate::spec::fleet::FeedSource;
use crate::ssh::{Input, Limits};
use crate::steps::{FeedOrder, Options};
use std::collections::HashSet;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

/// A source command may read a whole table.
const COMMAND: Limits = Limits { timeout: Duration::from_mins(15), max_output: 64 * 1024 * 1024 };

/// The items of the spec's source.
pub(super) struct Source {
    /// In feeding order.
    pub(super) items: Arc<Vec<String>>,
}

impl From<Items> for Source {
    fn from(items: Items) -> Self {
        Self { items: Arc::new(items.items) }
    }
}

impl Context {
    pub(super) async fn feed(&self) -> Result<Exit, Failure> {
        let held = self.hold("feed").await?;
        self.check_budget("feed", &held.state).await?;
        let answer = self.feed_held(&held).await?;
        self.tell(Told::good(answer))
    }

    /// Feeds under a claim that is held already. An item is fed into the same queue once per campaign: a feed that was not
    /// finished is gone on with, and of a source that was fed before only what is new goes in, unless `--replan` says so.
    pub(super) async fn feed_held(&self, held: &Held) -> Result<answer::Fed, Failure> {
        self.need(Need::Feed)?;
        let queue = self.fleet.queue.as_ref().map(|queue| queue.url.clone()).unwrap_or_default();
        if let Some(command) = self.unasked() {
            let items = format!("the items that `{command}` prints on the template");
            let mut plan = feed::plan(&self.fleet, &items, String::new());
            if let Some(open) = Fed::read(&held.state, &queue, true)?.open {
                plan.notes.push(format!("run {} of feed is unfinished: it would be gone on with", open.run));
            }
            return Err(self.shown(self.new_run(), plan));
        }
        let source = self.items(held).await?;
        let total = source.items.len();
        let fed = Fed::read(&held.state, &queue, true)?;
        let chosen = self.chosen(&held.state, &fed, &source.items)?;
        let told = answer::Fed { items: FedItems { fed: total as u64 }, feed: None, api_calls: self.calls() };
        let fingerprint = &chosen.items.fingerprint;
        let n = chosen.items.items.len();
        if n == 0 && fed.open.is_none() {
            self.nothing("feed", format!("all {total} items were fed before; --replan feeds them again"));
            return Ok(told);
        }
        if n < total && fed.open.is_none() {
            let before = total - n;
            self.events
                .note(format!("{before} of {total} items were fed before and stay out; --replan feeds all of them"));
        }
        let arguments = format!("{queue} {fingerprint}");
        let options =
            Options { feed: Some(FeedOrder { chosen: Arc::new(chosen), first: !fed.begun() }), ..Options::default() };
        let order = Order { verb: "feed", arguments, options };
        self.run(held, order, async |look| Ok(feed::plan(&self.fleet, &count(n, "item"), look.request))).await?;
        Ok(answer::Fed { api_calls: self.calls(), ..told })
    }

    /// What of the source goes into the queue. A feed that was not finished goes on when it still has the same items to
    /// send, whatever else was changed in the spec: fed from the beginning, they would be worked on twice.
    fn chosen(&self, dir: &FleetDir, fed: &Fed, items: &[String]) -> Result<Chosen, Failure> {
        let usage = |error: SourceError| Failure::to(Exit::Usage, format!("read the items: {error}"));
        let before = |but| match fed.before(dir, but) {
            // Asked for in so many words: everything goes in.
            Err(failure) if self.global.replan && failure.exit == Exit::State => Ok(HashSet::new()),
            before => before,
        };
        let Some(open) = &fed.open else { return choose(items, &before(None)?, self.global.replan).map_err(usage) };
        let earlier = before(Some(open.run))?;
        let new = choose(items, &earlier, false).map_err(usage)?;
        let Some(cursor) = &open.cursor else {
            // It sent nothing yet.
            let all = self.global.replan || new.items.items.is_empty();
            return if all { choose(items, &earlier, true).map_err(usage) } else { Ok(new) };
        };
        let same = |chosen: &Chosen| cursor.check(&chosen.items.fingerprint, chosen.items.items.len());
        let mut resuming = self.resuming.lock().unwrap_or_else(PoisonError::into_inner);
        for chosen in [new.clone(), choose(items, &earlier, true).map_err(usage)?] {
            if same(&chosen).is_ok() {
                *resuming = Some(open.run.to_string());
                return Ok(chosen);
            }
        }
        match same(&new) {
            Err(changed) if resuming.as_deref() == Some(open.run.to_string().as_str()) => {
                Err(Failure::to(Exit::Refused, format!("go on with feed {}: {changed}", open.run)).hint(
                    "restore the source as it was, or: fleetwright feed --replan     # feeds what is there now and was not sent",
                ))
            }
            Ok(()) | Err(_) => choose(items, &before(None)?, false).map_err(usage),
        }
    }

    /// The command that tells the items, while a verb is only planned: it is the owner's, and nobody knows what it does.
    pub(super) fn unasked(&self) -> Option<&str> {
        match &self.fleet.feed.as_ref()?.from {
            FeedSource::Run(command) if self.planning() => Some(command),
            FeedSource::Run(_) | FeedSource::Lines(_) | FeedSource::Files(_) => None,
        }
    }

    /// Reads the spec's source; a command runs on the template.
    pub(super) async fn items(&self, held: &Held) -> Result<Source, Failure> {
        let Some(feed) = &self.fleet.feed else {
            return Err(Failure::to(Exit::Usage, "read the items: the spec has no `feed` section"));
        };
        let usage = |error: source::SourceError| Failure::to(Exit::Usage, format!("read the items: {error}"));
        let items = match &feed.from {
            FeedSource::Lines(path) => source::lines(path).map_err(usage)?,
            FeedSource::Files(path) => {
                source::items_of(source::files(&self.fleet.dir, path).map_err(usage)?).map_err(usage)?
            }
            FeedSource::Run(command) => {
                let text = self.on_template(held, command, COMMAND).await?;
                source::output(text.as_bytes()).map_err(usage)?
            }
        };
        if items.items.is_empty() {
            return Err(Failure::to(Exit::Usage, "read the items: the source is empty"));
        }
        Ok(items.into())
    }

    /// Runs a command on the template and gives back what it printed.
    pub(super) async fn on_template(&self, held: &Held, command: &str, limits: Limits) -> Result<String, Failure> {
        let reach = self.reach(&held.state)?;
        let clients = self.clients().await?;
        let Some(id) = self.fleet.template_instance() else {
            return Err(Failure::to(Exit::Usage, "run a command on the template: the spec names none"));
        };
        let instance = self.read(&format!("look at template {id}"), async || clients.instance(id).await).await?;
        let host = instance.and_then(|instance| self.host(&instance, 0)).ok_or_else(|| {
            Failure::to(Exit::Usage, format!("run a command on template {id}: it is not there or has no address"))
        })?;
        let target = crate::ssh::Target::of(&host);
        let reached = reach.ssh.connect(&target, &reach.others_trust).await;
        let session = reached.map_err(|fault| Failure::to(Exit::Partial, format!("reach {id}: {}", fault.message)))?;
        let execution = session
            .exec(command, Input::Empty, limits)
            .await
            .map_err(|fault| Failure::to(Exit::Partial, format!("run a command on {id}: {}", fault.message)))?;
        if !execution.success() {
            let said = crate::ssh::output::line(&String::from_utf8_lossy(&execution.stderr));
            let said = if said.is_empty() { "it said nothing".to_owned() } else { said };
            return Err(Failure::to(Exit::Partial, format!("run {command:?} on {id}: {}: {said}", execution.status)));
        }
        String::from_utf8(execution.stdout)
            .map_err(|_| Failure::to(Exit::Usage, format!("read the output of {command:?} on {id}: it is not UTF-8")))
    }
}
