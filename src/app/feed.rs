//! `feed`: items into the queue.

use super::Told;
use super::campaign::{Held, Order};
use super::context::Context;
use super::fed::{Fed, Open};
use crate::engine::failure::Failure;
use crate::exit::Exit;
use crate::feed::source::{self, Items};
use crate::plan::feed;
use crate::report::answer::{self, FedItems};
use crate::spec::Need;
use crate::spec::fleet::FeedSource;
use crate::ssh::{Input, Limits};
use crate::steps::Options;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

/// A source command may read a whole table.
const COMMAND: Limits = Limits { timeout: Duration::from_mins(15), max_output: 64 * 1024 * 1024 };

/// The items of the spec's source.
pub(super) struct Source {
    /// In feeding order.
    pub(super) items: Arc<Vec<String>>,
    /// Digest over all of them.
    pub(super) fingerprint: String,
}

impl From<Items> for Source {
    fn from(items: Items) -> Self {
        Self { items: Arc::new(items.items), fingerprint: items.fingerprint }
    }
}

impl Context {
    pub(super) async fn feed(&self) -> Result<Exit, Failure> {
        let held = self.hold("feed").await?;
        let answer = self.feed_held(&held).await?;
        self.tell(Told::good(answer))
    }

    /// Feeds under a claim that is held already. The same items are fed into the same queue once per campaign: a feed
    /// that was finished is not done again unless `--replan` says so, and one that was not is gone on with.
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
        if let Some(open) = &fed.open {
            self.same_source(open, &source)?;
        } else if !self.global.replan && fed.sources.contains(&source.fingerprint) {
            self.nothing("feed", format!("all {total} items were fed before; --replan feeds them again"));
            return Ok(self.told_fed(total as u64));
        } else if fed.feeder.items > 0 && !fed.sources.contains(&source.fingerprint) {
            self.events.note(format!(
                "{} items of another source were fed into this queue before: items of both count twice, and `wait` \
                 misses them when each is completed once",
                fed.feeder.items
            ));
        }
        let options =
            Options { items: Some(source.items), fingerprint: source.fingerprint.clone(), ..Options::default() };
        let order = Order { verb: "feed", arguments: format!("{queue} {}", source.fingerprint), options };
        self.run(held, order, async |look| Ok(feed::plan(&self.fleet, &format!("{total} items"), look.request)))
            .await?;
        Ok(self.told_fed(u64::try_from(total).unwrap_or(u64::MAX)))
    }

    fn told_fed(&self, fed: u64) -> answer::Fed {
        answer::Fed { items: FedItems { fed }, api_calls: self.calls() }
    }

    /// A feed that was not finished goes on when source and queue are the same, whatever else was changed in the spec: fed
    /// from the beginning, its items would be worked on twice. Nothing is ended here that could be gone on with.
    fn same_source(&self, open: &Open, source: &Source) -> Result<(), Failure> {
        let Some(cursor) = &open.cursor else { return Ok(()) };
        let mut resuming = self.resuming.lock().unwrap_or_else(PoisonError::into_inner);
        match cursor.check(&source.fingerprint, source.items.len()) {
            Ok(()) => *resuming = Some(open.run.clone()),
            Err(changed) if resuming.as_ref() == Some(&open.run) => {
                return Err(Failure::to(Exit::Refused, format!("go on with feed {}: {changed}", open.run))
                    .hint("restore the source as it was")
                    .hint(format!("{}     # feeds what is there now", Self::again("--replan"))));
            }
            Err(_) => {}
        }
        Ok(())
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
        let Some(template) = &self.fleet.template else {
            return Err(Failure::to(Exit::Usage, "run a command on the template: the spec names none"));
        };
        let id = &template.instance;
        let instance = self.read(&format!("look at template {id}"), async || clients.instance(id).await).await?;
        let host = instance.and_then(|instance| self.host(&instance, 0)).ok_or_else(|| {
            Failure::to(Exit::Usage, format!("run a command on template {id}: it is not there or has no address"))
        })?;
        let target = crate::ssh::Target::of(&host);
        let reached = reach.ssh.connect(&target, &reach.template_trust).await;
        let session = reached.map_err(|fault| Failure::to(Exit::Partial, format!("reach {id}: {}", fault.message)))?;
        let execution = session
            .exec(command, Input::Empty, limits)
            .await
            .map_err(|fault| Failure::to(Exit::Partial, format!("run a command on {id}: {}", fault.message)))?;
        if !execution.success() {
            let said = crate::ssh::output::line(&String::from_utf8_lossy(&execution.stderr));
            return Err(Failure::to(Exit::Partial, format!("run {command:?} on {id}: {:?}: {said}", execution.status)));
        }
        String::from_utf8(execution.stdout)
            .map_err(|_| Failure::to(Exit::Usage, format!("read the output of {command:?} on {id}: it is not UTF-8")))
    }
}
