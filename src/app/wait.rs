//! `wait`: until the job is done, failed, stalled, unaccounted for, or the deadline is reached. Changes nothing.

use super::context::{Context, state};
use super::print;
use crate::engine::failure::Failure;
use crate::event::Event;
use crate::exit::Exit;
use crate::journal::FleetDir;
use crate::model::Sample;
use crate::plan::verdict::{Facts, Feeder, Verdict, judge};
use crate::report::{ItemCounts, Summary};
use crate::spec::Need;
use crate::ssh::{Input, Limits, Session, Target};
use crate::steps::FeedMark;
use std::time::Duration;

/// The ledger's command may take so long, wall time.
const LEDGER: Limits = Limits { timeout: Duration::from_secs(120), max_output: 16 * 1024 };
/// Samples kept: enough for the longest quiet time at the default pace, and for an outlook.
const KEPT: usize = 4096;

impl Context {
    pub(super) async fn wait(&self) -> Result<Exit, Failure> {
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
                    Failure::new(Exit::Usage, format!("{what}: it is not there"))
                        .hint("correct `queue.dead_letter` in the spec")
                })?)
            }
            None => None,
        };
        let run = self.new_run();
        self.events.emit(Event::RunStarted {
            run: run.to_string(),
            verb: "wait".to_owned(),
            fleet: self.fleet.name.to_string(),
            resumed: false,
        });
        let begun = self.clock.now();
        let mut samples: Vec<Sample> = Vec::new();
        let mut baseline: Option<u64> = None;
        let mut completed = None;
        let mut ledger: Option<Session> = None;
        let mut misses = 0_u32;
        let verdict = loop {
            let look = clients.sample(&queue.url, dead_url.as_deref(), &*self.clock).await;
            match look {
                Ok(sample) => {
                    misses = 0;
                    let feeder = self.feeder(&dir)?;
                    baseline = baseline.or(feeder.dead_before).or(sample.dead);
                    if samples.len() >= KEPT {
                        samples.remove(0);
                    }
                    samples.push(sample);
                    if let Some(command) = &self.fleet.done.completed {
                        completed = self.completed(&dir, command, &mut ledger).await;
                    }
                }
                Err(fault) if fault.kind.retryable() => misses += 1,
                Err(fault) => return Err(Failure::call("look at the queue", fault)),
            }
            let facts = Facts {
                feeder: self.feeder(&dir)?.feeder,
                samples: &samples,
                completed,
                dead_before: baseline,
                misses,
                begun,
                now: self.clock.now(),
            };
            let verdict = judge(&facts, &self.fleet.done);
            if let Some(sample) = samples.last() {
                self.events.emit(Event::Sampled { sample: sample.clone(), outlook: verdict.outlook(), eta: verdict.eta() });
            }
            if verdict.is_final() {
                break verdict;
            }
            self.pause(self.fleet.done.poll).await?;
        };
        self.told(&verdict, &facts_counts(&samples, baseline))
    }

    /// What the newest feed of this campaign says of itself.
    fn feeder(&self, dir: &FleetDir) -> Result<Fed, Failure> {
        let history = dir.history().map_err(state)?;
        for past in history.runs() {
            let Some(begun) = &past.fold.begun else { continue };
            if begun.verb == "down" && past.fold.ended == Some(Exit::Done) {
                break;
            }
            if begun.verb != "feed" {
                continue;
            }
            let mark = past.fold.cursors.get("feed").and_then(|v| serde_json::from_value::<FeedMark>(v.clone()).ok());
            let Some(mark) = mark else { continue };
            return Ok(Fed {
                feeder: Some(Feeder {
                    closed: past.fold.ended.is_some(),
                    fed: u64::try_from(mark.cursor.next()).unwrap_or(u64::MAX),
                    total: u64::try_from(mark.cursor.total()).ok(),
                    last_sent: mark.sent_at,
                }),
                dead_before: mark.dead_before,
            });
        }
        Ok(Fed { feeder: None, dead_before: None })
    }

    /// Asks the ledger on the template; a ledger that can't be read says nothing, and unknown is not zero.
    async fn completed(&self, dir: &FleetDir, command: &str, session: &mut Option<Session>) -> Option<u64> {
        if session.is_none() {
            *session = self.template_session(dir).await;
        }
        let open = session.as_ref()?;
        match open.exec(command, Input::Empty, LEDGER).await {
            Ok(execution) if execution.success() => {
                String::from_utf8_lossy(&execution.stdout).trim().parse().ok()
            }
            Ok(_) => None,
            Err(_) => {
                *session = None;
                None
            }
        }
    }

    async fn template_session(&self, dir: &FleetDir) -> Option<Session> {
        let template = self.fleet.template.as_ref()?;
        let reach = self.reach(dir).ok()?;
        let instance = self.clients().await.ok()?.instance(&template.instance).await.ok()??;
        let host = self.host(&instance, 0)?;
        let target = Target::of(&host, &self.fleet.ssh.user);
        reach.ssh.connect(&target, &reach.template_trust).await.ok()
    }

    fn told(&self, verdict: &Verdict, counts: &Counts) -> Result<Exit, Failure> {
        let (exit, word) = ending(verdict);
        let items = ItemCounts {
            fed: verdict.fed(),
            ok: verdict.ok(),
            failed: verdict.failed().or(counts.failed),
            unaccounted: verdict.unaccounted(),
        };
        let summary = Summary { items: Some(items), api_calls: self.calls(), ..self.tally.summary(word) };
        self.events.emit(Event::RunFinished { exit: exit.code(), summary: verdict.outlook(), cost: None });
        print(&self.global, &summary, || format!("{word}: {}\n", verdict.outlook()))?;
        match exit {
            Exit::Done => Ok(exit),
            exit => Err(Failure::new(exit, format!("{word}: {}", verdict.outlook()))
                .hint("fleetwright status     # hosts and queue")
                .hint("fleetwright down       # ends the fleet, which is still running")),
        }
    }
}

/// The feeder's state and what it saw before it began.
struct Fed {
    feeder: Option<Feeder>,
    dead_before: Option<u64>,
}

/// Counts from the samples alone.
struct Counts {
    failed: Option<u64>,
}

fn facts_counts(samples: &[Sample], baseline: Option<u64>) -> Counts {
    let dead = samples.last().and_then(|sample| sample.dead);
    Counts { failed: dead.zip(baseline).map(|(dead, before)| dead.saturating_sub(before)) }
}

/// How the process ends with a verdict, and the verdict's word.
fn ending(verdict: &Verdict) -> (Exit, &'static str) {
    match verdict {
        Verdict::Done { .. } => (Exit::Done, "done"),
        Verdict::DoneWithFailures { .. } => (Exit::ItemsFailed, "done-with-failures"),
        Verdict::Stalled { .. } => (Exit::Stalled, "stalled"),
        Verdict::Unaccounted { .. } => (Exit::Unaccounted, "unaccounted"),
        Verdict::Deadline { .. } => (Exit::Deadline, "deadline"),
        Verdict::Blind { .. } => (Exit::Unavailable, "blind"),
        Verdict::Working { .. } => (Exit::Bug, "working"),
    }
}
