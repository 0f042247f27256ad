//! What holds a feed back: the operator's word, a queue that is full, a probe that fails or is slow.

use super::Steps;
use super::reach::{self, unreached};
use crate::engine::failure::Failure;
use crate::exit::Exit;
use crate::feed::reins::Reins;
use crate::model::InstanceId;
use crate::spec::fleet::{Hold, Probe};
use crate::ssh::{Input, Limits, Session};
use jiff::{SignedDuration, Timestamp};
use std::time::Duration;

/// Between two looks at the queue and the probe, world time.
const LOOK: SignedDuration = SignedDuration::from_secs(10);
/// How soon the operator is heard, world time.
pub(super) const HEARD: SignedDuration = SignedDuration::from_secs(2);
/// A probe is given so much longer than it may take, wall time: how slow it is need not be known exactly.
const PATIENCE: Duration = Duration::from_secs(30);

/// The valve of one feed.
#[derive(Default)]
pub(super) struct Valve {
    looked: Option<Timestamp>,
    /// Items that may go before the next look.
    room: usize,
    full: Option<String>,
    told: Option<String>,
    template: Option<(InstanceId, Session)>,
}

impl Valve {
    /// How many items may go now; each change is told once.
    pub(super) async fn room(&mut self, steps: &Steps, reins: Reins) -> Result<usize, Failure> {
        let hold = steps.fleet.feed.as_ref().and_then(|feed| feed.hold.as_ref());
        let held = match hold {
            _ if reins.paused => Some("`fleetwright feed --resume` goes on".to_owned()),
            Some(hold) => self.look(steps, hold).await?,
            None => {
                self.room = usize::MAX;
                None
            }
        };
        match (&held, &self.told) {
            (Some(why), told) if told.as_deref().map(kind) != Some(kind(why)) => {
                steps.events.note(format!("the feed is held: {why}"));
            }
            (None, Some(_)) => steps.events.note("the feed goes on"),
            (Some(_), _) | (None, None) => {}
        }
        self.told = held;
        Ok(if self.told.is_some() { 0 } else { self.room })
    }

    /// So many went.
    pub(super) fn took(&mut self, n: usize) {
        self.room = self.room.saturating_sub(n);
    }

    /// Looks again when it is time to.
    async fn look(&mut self, steps: &Steps, hold: &Hold) -> Result<Option<String>, Failure> {
        let now = steps.clock.now();
        if self.looked.is_some_and(|looked| now.duration_since(looked).abs() < LOOK) {
            return Ok(self.full.clone());
        }
        (self.room, self.full) = (usize::MAX, None);
        if let Some(most) = hold.waiting {
            let Some(queue) = &steps.fleet.queue else { return Ok(None) };
            let sample = steps
                .read("look at the queue", async || steps.clients.sample(&queue.url, None, &*steps.clock).await)
                .await?;
            match sample.waiting {
                Some(waiting) if waiting <= most => {
                    self.room = usize::try_from(most - waiting + 1).unwrap_or(usize::MAX);
                }
                Some(waiting) => self.full = Some(format!("{waiting} items are waiting, more than {most}")),
                None => self.full = Some("how many items are waiting is not known".to_owned()),
            }
        }
        if let Some(probe) = hold.probe.as_ref().filter(|_| self.full.is_none()) {
            self.full = self.probe(steps, probe).await?;
        }
        self.looked = Some(steps.clock.now());
        Ok(self.full.clone())
    }

    /// What speaks against feeding on, by the operator's probe.
    async fn probe(&mut self, steps: &Steps, probe: &Probe) -> Result<Option<String>, Failure> {
        if self.template.is_none() {
            match steps.enter_template().await {
                Ok((host, session)) => self.template = Some((host.id, session)),
                Err(failure) if failure.exit == Exit::Partial => {
                    return Ok(Some(format!("the probe can't be run: {failure}")));
                }
                Err(failure) => return Err(failure),
            }
        }
        let Some((id, session)) = &self.template else { return Ok(None) };
        let limits = Limits { timeout: probe.slower_than.saturating_add(PATIENCE), max_output: 16 * 1024 };
        match session.exec(&probe.command, Input::Empty, limits).await {
            Ok(execution) if !execution.success() => {
                Ok(Some(format!("the probe failed: {}", reach::ended(&execution))))
            }
            Ok(execution) if execution.took > probe.slower_than => {
                let (took, most) = (execution.took.as_secs_f64(), probe.slower_than.as_secs_f64());
                Ok(Some(format!("the probe was slow: it took {took:.1} s, more than {most:.1} s")))
            }
            Ok(_) => Ok(None),
            Err(fault) => {
                let why = format!("the probe can't be run: {}", unreached(id, &fault));
                self.template = None;
                Ok(Some(why))
            }
        }
    }
}

/// What a reason is about, whatever its numbers.
fn kind(why: &str) -> String {
    why.chars().filter(|c| !c.is_ascii_digit() && *c != '.').collect()
}
