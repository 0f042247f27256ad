//! Works on many hosts at once, in waves, and stops when too many come out bad.

use crate::event::{Event, Events};
use crate::model::{Host, HostReport, HostResult};
use crate::plan::waves::Waves;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// How many connects there are for each host that is worked on: a dead host holds its place for a whole connect
/// time-out, and waiting sockets cost next to nothing.
const CONNECTS: usize = 4;

/// Places for connecting and for working; clones share them.
#[derive(Clone, Debug)]
pub struct Lanes {
    connect: Arc<Semaphore>,
    work: Arc<Semaphore>,
}

impl Lanes {
    /// `parallel` hosts worked on at once, at least 1, and four times as many being connected to.
    pub fn new(parallel: usize) -> Self {
        let parallel = parallel.max(1);
        Self { connect: Arc::new(Semaphore::new(parallel * CONNECTS)), work: Arc::new(Semaphore::new(parallel)) }
    }
}

/// A host's place: it starts as one for connecting and is exchanged for one to work once the host is there.
#[derive(Debug)]
pub struct Lane {
    lanes: Lanes,
    permit: Option<OwnedSemaphorePermit>,
}

impl Lane {
    /// Call this once connected and before the work: waits for a place to work and gives up that for connecting.
    pub async fn connected(&mut self) {
        self.permit = Arc::clone(&self.lanes.work).acquire_owned().await.ok();
    }
}

/// Why not every host was tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// A canary came out bad.
    Canary,
    /// More than `allowed` hosts came out bad.
    TooMany {
        /// So many may.
        allowed: usize,
    },
    /// The user asked to stop.
    Cancelled,
}

/// What became of all hosts.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "hosts may have failed"]
pub struct FanReport {
    /// One report a host, in the order given.
    pub reports: Vec<HostReport>,
    /// Why it stopped early, if it did.
    pub stopped: Option<Stop>,
}

impl FanReport {
    /// How many hosts came out this way.
    pub fn count(&self, result: HostResult) -> usize {
        self.reports.iter().filter(|report| report.result == result).count()
    }

    /// How many were tried and came out bad.
    pub fn bad(&self) -> usize {
        self.reports.iter().filter(|report| bad(report)).count()
    }
}

fn bad(report: &HostReport) -> bool {
    match report.result {
        HostResult::Failed | HostResult::Unreachable | HostResult::Refused => true,
        HostResult::Ok | HostResult::Changed | HostResult::Skipped => false,
    }
}

/// Works on every host, wave by wave, in the order given.
///
/// Each host is a task of its own: whatever happens in it stays its own failure. Once more hosts came out bad than the
/// wave allows, or `cancel` is set, no further host is begun; those under way come to their end, the others are
/// reported as skipped. Every host gets exactly one HostStarted and one HostFinished, whatever happens.
pub async fn fan_out<F, Fut>(
    hosts: Vec<Host>,
    plan: &Waves,
    lanes: &Lanes,
    cancel: CancellationToken,
    events: &Events,
    work: F,
) -> FanReport
where
    F: Fn(Host, Lane) -> Fut,
    Fut: Future<Output = HostReport> + Send + 'static,
{
    let mut reports: Vec<Option<HostReport>> = vec![None; hosts.len()];
    let mut stopped = None;
    let mut failures = 0;
    let mut next = 0;
    for (wave, size) in plan.sizes.iter().enumerate() {
        let allowed = plan.allowed_in(wave);
        let end = (next + size).min(hosts.len());
        let mut tasks: JoinSet<(usize, HostReport)> = JoinSet::new();
        while stopped.is_none() && (next < end || !tasks.is_empty()) {
            tokio::select! {
                biased;
                () = cancel.cancelled() => stopped = Some(Stop::Cancelled),
                Some(done) = tasks.join_next(), if !tasks.is_empty() => {
                    failures += usize::from(keep(done, &mut reports));
                    if failures > allowed {
                        stopped = Some(why(wave, plan));
                    }
                }
                permit = Arc::clone(&lanes.connect).acquire_owned(), if next < end => {
                    let host = hosts[next].clone();
                    let guard = Guard::start(host.clone(), events.clone());
                    let lane = Lane { lanes: lanes.clone(), permit: permit.ok() };
                    tasks.spawn(isolated(next, guard, work(host, lane)));
                    next += 1;
                }
            }
        }
        while let Some(done) = tasks.join_next().await {
            failures += usize::from(keep(done, &mut reports));
            if failures > allowed && stopped.is_none() {
                stopped = Some(why(wave, plan));
            }
        }
        if stopped.is_some() {
            break;
        }
    }
    let reports = reports.into_iter().zip(hosts).map(|(report, host)| report.unwrap_or_else(|| skipped(host, events)));
    FanReport { reports: reports.collect(), stopped }
}

fn why(wave: usize, plan: &Waves) -> Stop {
    if wave == 0 && plan.canary { Stop::Canary } else { Stop::TooMany { allowed: plan.allowed } }
}

/// Stores a task's report; whether it is a bad one.
fn keep(done: Result<(usize, HostReport), tokio::task::JoinError>, reports: &mut [Option<HostReport>]) -> bool {
    let Ok((index, report)) = done else { return false };
    let is_bad = bad(&report);
    reports[index] = Some(report);
    is_bad
}

/// Runs a host's work in a task of its own, so that even a panic becomes a report.
async fn isolated(
    index: usize,
    guard: Guard,
    work: impl Future<Output = HostReport> + Send + 'static,
) -> (usize, HostReport) {
    // Dropped with the outer task, this ends the inner one too.
    let mut inner = JoinSet::new();
    inner.spawn(work);
    let report = match inner.join_next().await {
        Some(Ok(report)) => report,
        Some(Err(_)) | None => guard.broken("the program failed on this host: a bug; its log says more"),
    };
    guard.finish(&report);
    (index, report)
}

fn skipped(host: Host, events: &Events) -> HostReport {
    let guard = Guard::start(host.clone(), events.clone());
    let cause = Some("not tried, since the run stopped before it".to_owned());
    let report = HostReport {
        host,
        result: HostResult::Skipped,
        stage: None,
        cause,
        exit_status: None,
        output: String::new(),
        took: Duration::ZERO,
    };
    guard.finish(&report);
    report
}

/// Emits a host's start when made and its only end when finished or dropped.
struct Guard {
    host: Host,
    events: Events,
    began: Instant,
    finished: bool,
}

impl Guard {
    fn start(host: Host, events: Events) -> Self {
        events.emit(Event::HostStarted { host: host.clone() });
        Self { host, events, began: Instant::now(), finished: false }
    }

    fn broken(&self, cause: &str) -> HostReport {
        HostReport {
            host: self.host.clone(),
            result: HostResult::Failed,
            stage: None,
            cause: Some(cause.to_owned()),
            exit_status: None,
            output: String::new(),
            took: self.began.elapsed(),
        }
    }

    fn finish(mut self, report: &HostReport) {
        self.finished = true;
        self.events.emit(Event::HostFinished { report: report.clone() });
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if !self.finished {
            let report = self.broken("interrupted while under way: unknown how far it got");
            self.events.emit(Event::HostFinished { report });
        }
    }
}

#[cfg(test)]
#[path = "fanout_tests.rs"]
mod tests;
