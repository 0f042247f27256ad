//! `wait`: until the job is done, failed, stalled, unaccounted for, or the deadline is reached. Changes nothing.

use super::Told;
use super::context::Context;
use super::fed::Fed;
use super::money::Purse;
use super::watch::{Watch, Watched};
use crate::cli::request::Wait;
use crate::engine::failure::Failure;
use crate::event::Event;
use crate::exit::Exit;
use crate::journal::FleetDir;
use crate::model::{count, count_is};
use crate::plan::verdict::{Look, Seen, Verdict, verdict};
use crate::report::answer::Spent;
use crate::report::{ItemCounts, Summary};
use crate::spec::Need;
use crate::spec::fleet::{Counts, Ledger};
use crate::ssh::{Session, Target};
use crate::steps::ledger;
use crate::time::tempo::Tempo;
use tokio_util::sync::CancellationToken;

/// Samples kept: enough for the longest quiet time at the default pace, and for an outlook.
const KEPT: usize = 4096;

/// The verdict's word when the budget is used up.
pub(super) const BUDGET: &str = "budget";

impl Context {
    pub(super) async fn wait(&self, wanted: Wait) -> Result<Exit, Failure> {
        let watch = wanted.watch.then_some(Watch { held: None, size: None });
        let (told, _) = self.waited(watch).await?;
        self.tell(told)
    }

    /// Waits and tells how the job came out, and how many hosts ended meanwhile by themselves; a watch replaces them.
    pub(super) async fn waited(&self, watch: Option<Watch<'_>>) -> Result<(Told<Summary>, usize), Failure> {
        self.need(Need::Queue)?;
        self.check_account().await?;
        let dir = self.state_dir()?;
        let Some(queue) = self.fleet.queue.clone() else {
            return Err(Failure::new(Exit::Usage, "wait: the spec has no `queue` section"));
        };
        let clients = self.clients().await?;
        let dead_url = match &queue.dead_letter {
            Some(name) => {
                let what = format!("find dead-letter queue {name}");
                let url = self.read(&what, async || clients.queue_by_name(name).await).await?;
                Some(url.ok_or_else(|| {
                    Failure::to(Exit::Usage, format!("{what}: it is not there"))
                        .hint("correct `queue.dead_letter` in the spec")
                })?)
            }
            None => None,
        };
        let run = self.new_run();
        let _recording = self.record_wait(&dir, run);
        self.started(run, "wait", false);
        let over = CancellationToken::new();
        let judging = async {
            let _over = over.clone().drop_guard();
            self.watched(&dir, &queue.url, dead_url.as_deref()).await
        };
        let replacing = async {
            match &watch {
                Some(watch) => Box::pin(self.watch(watch, &over)).await,
                None => Ok(Watched::default()),
            }
        };
        let (judged, replaced): (Result<_, Failure>, _) = tokio::join!(judging, replacing);
        let both = judged.and_then(|judged| Ok((judged, replaced?)));
        if let Err(failure) = &both {
            self.events.emit(Event::RunFinished {
                exit: failure.exit.code(),
                summary: failure.to_string(),
                cost: None,
            });
        }
        let ((verdict, fed, spent), replaced) = both?;
        Ok((self.judged(&verdict, &fed, spent.as_ref()), replaced.lost.len()))
    }

    /// Looks again and again until there is a verdict.
    async fn watched(
        &self,
        dir: &FleetDir,
        queue: &str,
        dead: Option<&str>,
    ) -> Result<(Verdict, Fed, Option<Spent>), Failure> {
        let clients = self.clients().await?;
        let begun = self.clock.now();
        let mut looks: Vec<Look> = Vec::new();
        let mut baseline: Option<u64> = None;
        let mut session: Option<Session> = None;
        let planned = self.fleet.feed.is_some();
        let mut purse = Purse::default();
        loop {
            let fed = Fed::read(dir, queue, planned)?;
            // The ledger first: its command may take a minute, and the counts must be fresh.
            let completed = match &self.fleet.done.completed {
                Some(completed) => {
                    let since = fed.ledger.map(|baseline| baseline.since);
                    self.completed(dir, &completed.command, since, &mut session).await
                }
                None => None,
            };
            let sample = match clients.sample(queue, dead, &*self.clock).await {
                Ok(sample) => Some(sample),
                Err(fault) if fault.kind.retryable() => None,
                Err(fault) => return Err(Failure::call(format!("look at queue {queue}"), fault)),
            };
            baseline = fed.dead_before.or(baseline).or(sample.as_ref().and_then(|sample| sample.dead));
            if looks.len() >= KEPT {
                looks.remove(0);
            }
            let at = self.clock.now();
            looks.push(Look { at, sample: sample.clone(), fed: fed.sent, completed });
            let seen = Seen {
                feeder: fed.feeder,
                looks: &looks,
                dead_before: baseline,
                completed_before: self.completed_before(&fed),
                fed_by: self.fed_by(dir, &fed, at),
                started: begun,
                now: at,
            };
            let now = verdict(&seen, &self.fleet.done);
            let (outlook, eta) = words(&now);
            let working = matches!(now, Verdict::Working { .. });
            let spent = if working { self.spent_meanwhile(dir, &mut purse, eta).await? } else { None };
            if let Some(sample) = sample {
                let to_finish = spent.as_ref().and_then(|spent| spent.to_finish);
                self.events.emit(Event::Sampled { sample, outlook: outlook.clone(), eta, to_finish });
            }
            if !working {
                return Ok((now, fed, self.spent_at_last(dir, purse).await));
            }
            if let Some(over) = self.over_budget(spent.as_ref(), &outlook) {
                return Ok((Verdict::Budget { outlook: over }, fed, spent));
            }
            self.pause(self.fleet.done.poll).await?;
        }
    }

    /// Asks the ledger on the template; a ledger that can't be read says nothing, and unknown is not zero.
    async fn completed(
        &self,
        dir: &FleetDir,
        command: &str,
        since: Option<u64>,
        session: &mut Option<Session>,
    ) -> Option<u64> {
        if session.is_none() {
            *session = self.template_session(dir).await;
        }
        let counted = ledger::count(session.as_ref()?, command, since).await;
        if counted.is_err() {
            *session = None;
        }
        counted.ok().flatten()
    }

    /// When a feed that is at it will have sent its last item, at its own rate.
    fn fed_by(&self, dir: &FleetDir, fed: &Fed, now: jiff::Timestamp) -> Option<jiff::Timestamp> {
        let cursor = fed.open.as_ref()?.cursor.as_ref()?;
        let told = fed.reins(dir).ok()?.and_then(|reins| reins.rate).map(Tempo::Steady);
        let tempo = told.or_else(|| self.fleet.feed.as_ref()?.rate.clone())?;
        tempo.gone(u64::try_from(cursor.left()).ok()?, now)
    }

    /// What the ledger counted that is not of this campaign; `None` when nobody knows.
    fn completed_before(&self, fed: &Fed) -> Option<u64> {
        match self.fleet.done.completed.as_ref()?.counts {
            Counts::New => fed.ledger?.count,
            Counts::All => Some(0),
        }
    }

    async fn template_session(&self, dir: &FleetDir) -> Option<Session> {
        let template = self.fleet.template_instance()?;
        let reach = self.reach(dir).ok()?;
        let instance = self.clients().await.ok()?.instance(template).await.ok()??;
        let host = self.host(&instance, 0)?;
        let target = Target::of(&host);
        reach.ssh.connect(&target, &reach.others_trust).await.ok()
    }

    fn judged(&self, verdict: &Verdict, fed: &Fed, spent: Option<&Spent>) -> Told<Summary> {
        let (exit, word) = ending(verdict);
        let (ok, failed, missing) = counts(verdict);
        // Without a ledger nobody can miss an item, and what is completed and given up on may hide one that is neither.
        let tells = |ok, failed| self.fleet.done.completed.is_some() && ok + failed <= fed.feeder.items;
        let missing = missing.filter(|_| ok.zip(failed).is_some_and(|(ok, failed)| tells(ok, failed)));
        // What somebody else fed nobody counted.
        let ours = |count: Option<u64>| count.filter(|_| fed.feeder.items > 0 || self.fleet.feed.is_some());
        let items = ItemCounts { fed: ours(Some(fed.feeder.items)), ok: ours(ok), failed, unaccounted: ours(missing) };
        let (outlook, _) = words(verdict);
        let cost = spent.and_then(|spent| spent.so_far.micro_usd.filter(|_| spent.so_far.complete));
        self.events.emit(Event::RunFinished { exit: exit.code(), summary: format!("{word}: {outlook}"), cost });
        let answer = Summary {
            items: Some(items),
            api_calls: self.calls(),
            outlook: Some(outlook.clone()),
            cost: spent.cloned(),
            ..self.tally.summary(word)
        };
        let failure = (exit != Exit::Done).then(|| {
            let mut failure = Failure::new(exit, format!("{word}: {outlook}"));
            failure.hints.extend(fed.next.clone());
            failure.hints.extend(self.ledgers_way_out(verdict, fed));
            if word == BUDGET {
                failure =
                    failure.hint("raise `budget.stop_at` and: fleetwright wait       # goes on where this stopped");
            }
            failure.hint("fleetwright status     # hosts and queue").hint(format!(
                "fleetwright down       # ends what is still running{}; `fleetwright status` shows it",
                rate(spent)
            ))
        });
        Told { answer, failure }
    }
}

impl Context {
    /// What may be wrong with the ledger rather than with the items.
    fn ledgers_way_out(&self, verdict: &Verdict, fed: &Fed) -> Option<String> {
        let Ledger { counts, .. } = self.fleet.done.completed.as_ref()?;
        let older = *counts == Counts::New && fed.ledger.is_none_or(|baseline| baseline.count != Some(0));
        let doubtful = match verdict {
            Verdict::Unaccounted { .. } => older,
            Verdict::Unproven { .. } => true,
            Verdict::Working { .. }
            | Verdict::Done { .. }
            | Verdict::DoneWithFailures { .. }
            | Verdict::Stalled { .. }
            | Verdict::Deadline { .. }
            | Verdict::Budget { .. }
            | Verdict::Blind { .. } => false,
        };
        doubtful.then(|| {
            "fleetwright explain done.completed     # the ledger may count wrong; `wait` reads it anew".to_owned()
        })
    }
}

/// What the fleet goes on to cost, for a hint.
fn rate(spent: Option<&Spent>) -> String {
    let living = spent.filter(|spent| spent.hosts > 0);
    living.map(|spent| format!(": {}, {} an hour", count(spent.hosts, "host"), spent.per_hour)).unwrap_or_default()
}

/// Completed, failed and missing items, as far as the verdict knows them.
fn counts(verdict: &Verdict) -> (Option<u64>, Option<u64>, Option<u64>) {
    match verdict {
        Verdict::Done { ok } => (Some(*ok), Some(0), Some(0)),
        Verdict::DoneWithFailures { ok, failed } => (Some(*ok), Some(*failed), Some(0)),
        Verdict::Unaccounted { missing, ok, failed } => (Some(*ok), Some(*failed), Some(*missing)),
        Verdict::Unproven { failed, .. } => (None, Some(*failed), None),
        Verdict::Working { .. }
        | Verdict::Stalled { .. }
        | Verdict::Deadline { .. }
        | Verdict::Budget { .. }
        | Verdict::Blind { .. } => (None, None, None),
    }
}

/// The verdict in a few words, and the time that is left where it can be told.
fn words(verdict: &Verdict) -> (String, Option<jiff::SignedDuration>) {
    match verdict {
        Verdict::Working { outlook, eta } => (outlook.clone(), *eta),
        Verdict::Done { ok: 0 } => ("the queue is empty; what was in it was not fed from here".to_owned(), None),
        Verdict::Done { ok } => (format!("all {} completed", count_is(*ok, "item")), None),
        Verdict::DoneWithFailures { ok, failed } => {
            (format!("{} completed, {failed} failed", count(*ok, "item")), None)
        }
        Verdict::Unaccounted { missing, ok, failed } => {
            let missing = count(*missing, "item");
            (format!("{missing} neither completed nor failed ({ok} completed, {failed} failed)"), None)
        }
        Verdict::Stalled { why } | Verdict::Unproven { failed: 0, why } => (why.clone(), None),
        Verdict::Unproven { failed, why } => (format!("{why}; {failed} failed"), None),
        Verdict::Deadline { outlook } => (format!("still {outlook}"), None),
        Verdict::Budget { outlook } => (outlook.clone(), None),
        Verdict::Blind { since: Some(since) } => (format!("nothing could be read since {since}"), None),
        Verdict::Blind { since: None } => ("nothing could be read at all".to_owned(), None),
    }
}

/// How the process ends with a verdict, and the verdict's word.
fn ending(verdict: &Verdict) -> (Exit, &'static str) {
    match verdict {
        Verdict::Done { .. } => (Exit::Done, "done"),
        Verdict::DoneWithFailures { .. } => (Exit::ItemsFailed, "done-with-failures"),
        Verdict::Stalled { .. } => (Exit::Stalled, "stalled"),
        Verdict::Unaccounted { .. } | Verdict::Unproven { .. } => (Exit::Unaccounted, "unaccounted"),
        Verdict::Deadline { .. } => (Exit::Deadline, "deadline"),
        Verdict::Budget { .. } => (Exit::Deadline, BUDGET),
        Verdict::Blind { .. } => (Exit::Unavailable, "blind"),
        Verdict::Working { .. } => (Exit::Bug, "working"),
    }
}
