//! Bringing a release to running hosts in waves: carry on past bad ones, say per host what failed.

use super::Steps;
use super::call::state;
use crate::engine::failure::Failure;
use crate::engine::fanout::{FanReport, Lane, Lanes, fan_out};
use crate::engine::run::Done;
use crate::exit::Exit;
use crate::journal::{Fold, RunDir};
use crate::model::{Host, HostReport, HostResult, count};
use crate::plan::play::{Files, HostFacts, render};
use crate::plan::waves::{MaxFail, Waves};
use crate::spec::Playbook;
use crate::spec::playbook::{Action, PutContent};
use crate::ssh::{Marker, Runner, Ssh, SshFault, SshFaultKind, Target, Trust};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What is pushed, and where to; made by the verb before the plan.
#[derive(Clone, Debug)]
pub struct PushOrder {
    /// Hosts in slot order.
    pub hosts: Vec<Host>,
    /// The release archive.
    pub release: Arc<[u8]>,
    /// Hosts of the first wave.
    pub canary: usize,
    /// How many may come out bad.
    pub max_fail: MaxFail,
    /// Also to hosts that have it already.
    pub force: bool,
    /// To machines that fleetwright did not launch: they get no tag.
    pub foreign: bool,
    /// The flags that named them, each after a space; empty without them.
    pub said: String,
}

/// How many hosts came out how: the step's output.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pushed {
    /// One report a host, in slot order.
    pub reports: Vec<HostReport>,
    /// How many may come out bad.
    pub allowed: usize,
    /// Whether hosts were left out because too many came out bad before.
    pub stopped: bool,
}

impl Pushed {
    /// What a run's push came to; none where it did not come to its end.
    pub fn of(fold: &Fold) -> Option<Self> {
        fold.steps.get("push").and_then(|output| serde_json::from_value(output.clone()).ok())
    }

    /// How many came out bad.
    pub fn bad(&self) -> usize {
        self.reports.iter().filter(|report| !report.result.good() && report.result != HostResult::Skipped).count()
    }

    /// Whether the push as a whole is a failure.
    pub fn failed(&self) -> bool {
        self.stopped || self.bad() > self.allowed
    }
}

/// Reads the local files that a playbook's `put` steps name.
pub(super) fn files(playbook: &Playbook) -> Result<Files, Failure> {
    let mut files = Files::new();
    let folder = playbook.file.parent().unwrap_or(Path::new("."));
    for step in &playbook.steps {
        if let Action::Put { content: PutContent::File(path), .. } = &step.action {
            let place = folder.join(path);
            let bytes = std::fs::read(&place)
                .map_err(|e| Failure::to(Exit::Usage, format!("read {}: {e}", place.display())))?;
            files.insert(path.clone(), bytes.into());
        }
    }
    Ok(files)
}

/// A host's log is cut after so many bytes: what it says must not fill our disk.
const LOG: usize = 16 * 1024 * 1024;

/// Retries of hosts that could not be reached: the network may have been away for a moment.
const TRIES: u32 = 2;

impl Steps {
    /// Pushes to every host of the order. The hosts' own markers are the truth about who has what: a push that is run again
    /// changes only hosts that lack it.
    pub(super) async fn push(&self, step: &str) -> Result<Done, Failure> {
        let order = self.options.push.clone().ok_or_else(|| Failure::new(Exit::Bug, "push: there is no order"))?;
        let playbook = self
            .deploy
            .clone()
            .ok_or_else(|| Failure::new(Exit::Usage, "push: the spec names no `release.playbook`"))?;
        let files = Arc::new(files(&playbook)?);
        let digest = data_encoding::HEXLOWER.encode(&Sha256::digest(&order.release));
        let vars = Arc::new(self.fleet.release.as_ref().map(|release| release.vars.clone()).unwrap_or_default());
        let run_dir = self.state.run(self.run);
        run_dir.ensure_hosts().map_err(state)?;
        let foreign = order.foreign;
        for host in order.hosts.iter().filter(|_| !foreign) {
            if !self.learn(&host.id).await? {
                self.events.warn(format!("{}: its console shows no host key", host.id));
            }
        }
        let waves = Waves::plan(order.hosts.len(), order.canary, order.max_fail);
        let lanes = Lanes::new(usize::try_from(self.fleet.ssh.parallel).unwrap_or(64));
        let marker = if order.force { Marker::Force } else { Marker::Skip };
        let report =
            fan_out(order.hosts.clone(), &waves, &lanes, self.cancel.stop_token(), &self.events, |host, lane| {
                let job = Job {
                    host,
                    lane,
                    ssh: Arc::clone(&self.reach.ssh),
                    trust: if foreign { self.reach.others_trust.clone() } else { self.reach.trust.clone() },
                    playbook: Arc::clone(&playbook),
                    vars: Arc::clone(&vars),
                    files: Arc::clone(&files),
                    facts: (self.fleet.name.clone(), self.fleet.in_aws().then(|| self.fleet.region.clone())),
                    queue_url: self.fleet.queue.as_ref().map(|queue| queue.url.clone()),
                    release: Arc::clone(&order.release),
                    digest: digest.clone(),
                    marker,
                    run_dir: run_dir.clone(),
                };
                job.run()
            })
            .await;
        if !foreign {
            self.mark(step, &report, &digest).await;
        }
        self.check_cancel()?;
        let pushed = Pushed { stopped: report.stopped.is_some(), allowed: waves.allowed, reports: report.reports };
        let good = pushed.reports.iter().filter(|report| report.result.good()).count();
        let all = pushed.reports.len();
        let have = if all == 1 { "has" } else { "have" };
        let detail = format!("{good} of {} {have} it", count(all, "host"));
        let output = super::output(&pushed)?;
        Ok(if good == pushed.reports.len() { Done::new(output, detail) } else { Done::warning(output, detail) })
    }

    /// Writes the release down on the hosts that have it, where the account can see it: also on those that had it before,
    /// since a push that was killed may have come that far and no further. A push is not undone for a tag.
    async fn mark(&self, step: &str, report: &FanReport, release: &str) {
        let ids: Vec<String> =
            report.reports.iter().filter(|r| r.result.good()).map(|r| r.host.id.to_string()).collect();
        for chunk in ids.chunks(1000) {
            let tags = crate::model::Tags::default().with(crate::model::tags::RELEASE, release);
            let tagged: Result<(), Failure> = self
                .change(
                    step,
                    "tag hosts with their release",
                    async || self.clients.draft_tags(chunk, &tags).await,
                    async |permit| self.clients.create_tags(permit).await.map(|()| (chunk.to_vec(), ())),
                )
                .await;
            if let Err(failure) = tagged {
                self.events.warn(format!("{failure}; the hosts have it all the same"));
            }
        }
    }
}

/// One host's share of a push.
struct Job {
    host: Host,
    lane: Lane,
    ssh: Arc<Ssh>,
    trust: Trust,
    playbook: Arc<Playbook>,
    vars: Arc<std::collections::BTreeMap<String, String>>,
    files: Arc<Files>,
    facts: (crate::model::FleetName, Option<crate::model::Region>),
    queue_url: Option<String>,
    release: Arc<[u8]>,
    digest: String,
    marker: Marker,
    run_dir: RunDir,
}

impl Job {
    async fn run(mut self) -> HostReport {
        let begun = Instant::now();
        let facts = HostFacts {
            id: self.host.id.clone(),
            slot: self.host.slot,
            address: self.host.address.clone(),
            fleet: self.facts.0.clone(),
            region: self.facts.1.clone(),
            release: Some(self.digest.clone()),
            queue_url: self.queue_url.clone(),
        };
        let play = match render(&self.playbook, &self.vars, &facts, &self.files) {
            Ok(play) => play,
            Err(error) => return self.report(begun, HostResult::Failed, "render", &error.to_string()),
        };
        let target = Target::of(&self.host);
        let mut fault: Option<SshFault> = None;
        for _ in 0..TRIES {
            match self.ssh.connect(&target, &self.trust).await {
                Ok(session) => {
                    self.lane.connected().await;
                    let log = Mutex::new((File::create(self.run_dir.host_log(&self.host.id)).ok(), LOG));
                    let runner = Runner::new(&self.ssh, &target, &self.trust);
                    // The log is for people: that it can't be written stops nothing.
                    let mut keep = |bytes: &[u8]| {
                        let (file, room) = &mut *log.lock().unwrap_or_else(PoisonError::into_inner);
                        let fits = bytes.len().min(*room);
                        *room -= fits;
                        if let Some(file) = file {
                            file.write_all(&bytes[..fits]).unwrap_or_default();
                        }
                    };
                    let report =
                        runner.run(session, &play, Some(Arc::clone(&self.release)), self.marker, &mut keep).await;
                    return report.host_report(self.host, begun.elapsed());
                }
                Err(failed) => {
                    let again = failed.kind == SshFaultKind::Unreachable && failed.stage == "greeting";
                    fault = Some(failed);
                    if !again {
                        break;
                    }
                    tokio::time::sleep(Duration::from_millis(500)).await;
                }
            }
        }
        match fault {
            Some(fault) => fault.host_report(self.host, begun.elapsed()),
            None => self.report(begun, HostResult::Unreachable, "connect", "was not tried"),
        }
    }

    fn report(self, begun: Instant, result: HostResult, stage: &str, cause: &str) -> HostReport {
        HostReport {
            host: self.host,
            result,
            stage: Some(stage.to_owned()),
            cause: Some(cause.to_owned()),
            exit_status: None,
            output: String::new(),
            took: begun.elapsed(),
        }
    }
}
