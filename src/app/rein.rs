//! `feed --pause`, `--resume`, `--rate`: what a feed that is at it is told.

use super::Told;
use super::context::{Context, state};
use super::fed::Fed;
use crate::cli::request::{Rein, ReinRate};
use crate::engine::failure::Failure;
use crate::exit::Exit;
use crate::report::answer::{self, FedItems, Reined};
use crate::spec::Need;

impl Context {
    pub(super) fn rein(&self, wanted: &Rein) -> Result<Exit, Failure> {
        self.need(Need::Feed)?;
        let dir = self.state_dir()?;
        let queue = self.fleet.queue.as_ref().map(|queue| queue.url.clone()).unwrap_or_default();
        let fed = Fed::read(&dir, &queue, true)?;
        let (Some(open), Some(mut reins)) = (&fed.open, fed.reins(&dir)?) else {
            return Err(Failure::new(
                Exit::Usage,
                "feed: no feed into this queue is at it or unfinished: nobody is told",
            )
            .hint("fleetwright feed     # begins one"));
        };
        reins.paused = wanted.paused.unwrap_or(reins.paused);
        match wanted.rate {
            Some(ReinRate::PerSecond(rate)) => reins.rate = Some(rate),
            Some(ReinRate::Spec) => reins.rate = None,
            None => {}
        }
        if self.global.dry_run {
            self.events.note("dry run: nobody was told");
        } else {
            let text = serde_json::to_vec(&reins)
                .map_err(|e| Failure::to(Exit::Bug, format!("write down what the feed is told: {e}")))?;
            dir.run(open.run).keep_orders(&text).map_err(state)?;
        }
        let feed = Reined { run: open.run.to_string(), paused: reins.paused, rate_per_second: reins.rate };
        let items = FedItems { fed: fed.feeder.items };
        self.tell(Told::good(answer::Fed { items, feed: Some(feed), api_calls: self.calls() }))
    }
}
