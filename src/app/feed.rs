//! `feed`: items into the queue.

use super::Told;
use super::campaign::{Held, Order};
use super::context::{Context, state};
use crate::engine::failure::Failure;
use crate::exit::Exit;
use crate::feed::source::{self, Items};
use crate::journal::History;
use crate::plan::feed;
use crate::report::answer::{Fed, FedItems};
use crate::spec::Need;
use crate::spec::fleet::FeedSource;
use crate::ssh::{Input, Limits};
use crate::steps::{FeedMark, Options};
use std::sync::Arc;
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

    /// Feeds under a claim that is held already. The same items are fed once per epoch of the fleet's state directory: a
    /// feed that was finished is not done again unless `--replan` says so.
    pub(super) async fn feed_held(&self, held: &Held) -> Result<Fed, Failure> {
        self.need(Need::Feed)?;
        let source = self.items(held).await?;
        let total = source.items.len();
        if !self.global.replan
            && let Some(fed) = Self::fed_before(held, &source)?
        {
            self.events.note(format!("all {fed} items were fed before; --replan feeds them again"));
            return Ok(self.told_fed(fed));
        }
        let options =
            Options { items: Some(source.items), fingerprint: source.fingerprint.clone(), ..Options::default() };
        let queue = self.fleet.queue.as_ref().map(|queue| queue.url.clone()).unwrap_or_default();
        let order = Order { verb: "feed", arguments: format!("{queue} {}", source.fingerprint), options };
        self.run(held, order, async |look| Ok(feed::plan(&self.fleet, total, look.request))).await?;
        Ok(self.told_fed(u64::try_from(total).unwrap_or(u64::MAX)))
    }

    fn told_fed(&self, fed: u64) -> Fed {
        Fed { items: FedItems { fed }, api_calls: self.calls() }
    }

    /// How many items an earlier run of this campaign fed to the end from the same source into the same queue.
    fn fed_before(held: &Held, source: &Source) -> Result<Option<u64>, Failure> {
        let history = History::read(&held.state).map_err(state)?;
        for past in history.campaign() {
            let Some(begun) = &past.fold.begun else { continue };
            if begun.verb != "feed" || past.fold.ended != Some(Exit::Done) {
                continue;
            }
            let mark = past.fold.cursors.get("feed").and_then(|v| serde_json::from_value::<FeedMark>(v.clone()).ok());
            if mark.is_some_and(|mark| mark.cursor.check(&source.fingerprint, source.items.len()).is_ok()) {
                return Ok(u64::try_from(source.items.len()).ok());
            }
        }
        Ok(None)
    }

    /// Reads the spec's source; a command runs on the template.
    pub(super) async fn items(&self, held: &Held) -> Result<Source, Failure> {
        let Some(feed) = &self.fleet.feed else {
            return Err(Failure::to(Exit::Usage, "read the items: the spec has no `feed` section"));
        };
        let usage = |error: source::SourceError| Failure::to(Exit::Usage, format!("read the items: {error}"));
        let items = match &feed.from {
            FeedSource::Lines(path) => source::lines(path).map_err(usage)?,
            FeedSource::Files(path) => source::items_of(source::files(path).map_err(usage)?).map_err(usage)?,
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
        let target = crate::ssh::Target::of(&host, &self.fleet.ssh.user);
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
