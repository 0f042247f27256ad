//! Draining hosts before they end: their workers finish what they have and take no more.

use super::checks::FIND_PROCESS;
use super::push::files;
use super::scan::as_root;
use super::{Reach, Steps};
use crate::engine::failure::Failure;
use crate::engine::fanout::{Lane, Lanes, fan_out};
use crate::engine::run::Done;
use crate::exit::Exit;
use crate::journal::History;
use crate::model::{
    Host, HostReport, HostResult, Instance, InstanceId, InstanceState, Play, PlayKind, PlayStep, Residue, Thing, count,
    count_is, shell_word,
};
use crate::plan::play::{HostFacts, render};
use crate::plan::slots;
use crate::plan::waves::{MaxFail, Waves};
use crate::spec::fleet::Worker;
use crate::ssh::{Input, Limits, Marker, Runner, Session, SshFault, Target};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Stopping a worker may wait for the item in hand: systemd itself gives up after `TimeoutStopSec`, 90 s unless the unit says
/// otherwise. Wall time.
const STOP: Limits = Limits { timeout: Duration::from_mins(15), max_output: 16 * 1024 };
/// Each small command on a host, wall time.
const SHORT: Limits = Limits { timeout: Duration::from_secs(30), max_output: 16 * 1024 };

/// Lets the host unit put the worker's log where the spec wants it; what comes of that the host says, and no host stays for it.
/// One that was launched before units could do that is left alone.
const KEEP_LOG: &str =
    "! grep -q keep_log /opt/fleetwright/host 2>/dev/null || timeout 90 sh /opt/fleetwright/host log; true";
/// Tells the host unit that the worker stays as the drain leaves it: no restart makes it take items again.
const DRAINING: &str = "mkdir -p /run/fleetwright && : >/run/fleetwright/draining";
/// Takes that back: the host stays, and its worker goes on.
pub(super) const STAYS: &str = "rm -f /run/fleetwright/draining";
/// Longer than what is given above, wall time.
const KEEPING: Limits = Limits { timeout: Duration::from_mins(2), max_output: 16 * 1024 };

/// What the step leaves.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Drained {
    /// Hosts with nothing in hand.
    drained: BTreeSet<InstanceId>,
    /// Why the others are not.
    kept: BTreeMap<InstanceId, String>,
}

impl Steps {
    /// Drains these hosts; those that can't be are named and stay.
    pub(super) async fn drain(&self, hosts: &[InstanceId]) -> Result<Done, Failure> {
        let worker = self
            .fleet
            .worker
            .clone()
            .ok_or_else(|| Failure::to(Exit::Usage, "drain hosts: the spec names no `worker`"))?;
        let seen = self.read("look at the hosts", async || self.clients.instances_by_ids(hosts).await).await?;
        let known = super::past::slots(&History::read(&self.state).map_err(super::call::state)?);
        let slots = slots::assign(&known, &seen);
        let mut out = Drained::default();
        let mut jobs = Vec::new();
        for id in hosts {
            match seen.iter().find(|instance| instance.id == *id) {
                // Ended by somebody else, or by itself: it has nothing in hand either.
                None => {
                    out.drained.insert(id.clone());
                }
                Some(instance) => match self.drainable(instance, &slots).await? {
                    Ok(Some(host)) => jobs.push(host),
                    Ok(None) => {
                        out.drained.insert(id.clone());
                    }
                    Err(why) => {
                        out.kept.insert(id.clone(), why);
                    }
                },
            }
        }
        jobs.sort_by_key(|host| host.slot);
        let playbook_files = self.drain.as_ref().map(|playbook| files(playbook)).transpose()?;
        let plays: BTreeMap<InstanceId, Play> = match (&self.drain, &playbook_files) {
            (Some(playbook), Some(files)) => jobs
                .iter()
                .map(|host| {
                    let facts = HostFacts {
                        id: host.id.clone(),
                        slot: host.slot,
                        address: host.address.clone(),
                        fleet: self.fleet.name.clone(),
                        region: Some(self.fleet.region.clone()),
                        release: None,
                        // User data carries the same steps, and no call's body may hold what may come from the environment.
                        queue_url: None,
                    };
                    let mut play = render(playbook, &BTreeMap::new(), &facts, files).map_err(|error| {
                        let what = format!("prepare {} for {}", playbook.file.display(), host.id);
                        Failure::to(Exit::Usage, format!("{what}: {error}"))
                    })?;
                    if worker.logs_to.is_some() {
                        play.steps.push(PlayStep {
                            name: "keep the worker's log".to_owned(),
                            timeout: KEEPING.timeout,
                            retries: 0,
                            kind: PlayKind::Run { script: KEEP_LOG.to_owned() },
                        });
                    }
                    Ok((host.id.clone(), play))
                })
                .collect::<Result<_, Failure>>()?,
            (Some(_) | None, _) => BTreeMap::new(),
        };
        let lanes = Lanes::new(usize::try_from(self.fleet.ssh.parallel).unwrap_or(64));
        let waves = Waves::plan(jobs.len(), 0, MaxFail::Percent(100));
        let job = Job { reach: self.reach.clone(), worker: Arc::new(worker), plays: Arc::new(plays) };
        let report = fan_out(jobs, &waves, &lanes, self.cancel.stop_token(), &self.events, |host, lane| {
            job.clone().run(host, lane)
        })
        .await;
        self.check_cancel()?;
        for report in report.reports {
            if report.result.good() {
                out.drained.insert(report.host.id);
            } else {
                let stage = report.stage.map(|stage| format!("{stage}: ")).unwrap_or_default();
                out.kept.insert(report.host.id, format!("{stage}{}", report.cause.unwrap_or_default()));
            }
        }
        let detail = format!("{} of {} with nothing in hand", out.drained.len(), count(hosts.len(), "host"));
        let output = super::output(&out)?;
        Ok(if out.kept.is_empty() { Done::new(output, detail) } else { Done::warning(output, detail) })
    }

    /// The host to log in to; none where no worker can run; or why it may not be drained.
    async fn drainable(
        &self,
        instance: &Instance,
        slots: &BTreeMap<InstanceId, u32>,
    ) -> Result<Result<Option<Host>, String>, Failure> {
        match instance.state {
            InstanceState::Stopped | InstanceState::ShuttingDown | InstanceState::Terminated => return Ok(Ok(None)),
            InstanceState::Pending | InstanceState::Stopping => {
                return Ok(Err(format!("it is {}", instance.state)));
            }
            InstanceState::Running => {}
        }
        // Asked before its worker is stopped: a host that can't be ended must go on working.
        let id = &instance.id;
        if self.guarded(id).await? {
            return Ok(Err("its termination protection is on".to_owned()));
        }
        if !self.learn(id).await? {
            return Ok(Err("its console shows no host key".to_owned()));
        }
        let Some(address) = self.address(instance) else { return Ok(Err("it has no address".to_owned())) };
        let slot = slots.get(id).copied().unwrap_or(u32::MAX);
        Ok(Ok(Some(Host { slot, id: id.clone(), address, user: self.fleet.ssh.user.clone() })))
    }

    /// Ends these hosts through the gate; with `drained` only those that the step before found drained. Hosts of a group
    /// leave their `place` in it first: its name, and its size when all of them have left. Without any host it asks for no more
    /// than it has.
    pub(super) async fn end_some(
        &self,
        step: &str,
        hosts: &[InstanceId],
        drained: bool,
        place: Option<(&str, u32)>,
    ) -> Result<Done, Failure> {
        let found = if drained {
            self.output_of::<Drained>("drain")?
        } else {
            Drained { drained: hosts.iter().cloned().collect(), kept: BTreeMap::new() }
        };
        let going: Vec<InstanceId> = hosts.iter().filter(|id| found.drained.contains(*id)).cloned().collect();
        if let Some((group, left)) = place {
            self.leave_group(step, group, &going).await?;
            let stay = u32::try_from(found.kept.len()).unwrap_or(u32::MAX);
            self.shrink_group(step, group, left.saturating_add(stay)).await?;
        }
        if !going.is_empty() {
            self.end_instances(step, &going).await?;
        }
        if found.kept.is_empty() {
            return Ok(Done::new(json!({ "ended": going }), format!("{} gone", count_is(going.len(), "host"))));
        }
        let why: Vec<String> = found.kept.iter().map(|(id, why)| format!("{id} ({why})")).collect();
        let ids = found.kept.keys().map(InstanceId::as_str).collect::<Vec<_>>().join(",");
        let things = found.kept.keys().map(|id| Thing { kind: "instance".to_owned(), id: id.to_string() }).collect();
        Err(Failure::to(
            Exit::Partial,
            format!(
                "drain {}, left running ({} gone): {}",
                count(why.len(), "host"),
                count_is(going.len(), "other"),
                why.join(", ")
            ),
        )
        .leaving(Residue::Remaining(things))
        .hint(format!(
            "fleetwright down --only {ids} --no-drain     # ends them all the same; their items come back later"
        )))
    }
}

/// What is done on every host that is to end.
#[derive(Clone)]
struct Job {
    reach: Reach,
    worker: Arc<Worker>,
    plays: Arc<BTreeMap<InstanceId, Play>>,
}

impl Job {
    async fn run(self, host: Host, mut lane: Lane) -> HostReport {
        let begun = Instant::now();
        let target = Target::of(&host);
        let session = match self.reach.ssh.connect(&target, &self.reach.trust).await {
            Ok(session) => session,
            Err(fault) => return fault.host_report(host, begun.elapsed()),
        };
        lane.connected().await;
        if let Some(play) = self.plays.get(&host.id) {
            let restarts = self.worker.restart_every.is_some();
            if restarts && let Err(fault) = session.exec(&as_root(DRAINING), Input::Empty, SHORT).await {
                return fault.host_report(host, begun.elapsed());
            }
            let runner = Runner::new(&self.reach.ssh, &target, &self.reach.trust);
            let ran = runner.run(session, play, None, Marker::None, &mut |_| {}).await;
            let report = ran.host_report(host, begun.elapsed());
            if restarts
                && !report.result.good()
                && let Ok(session) = self.reach.ssh.connect(&target, &self.reach.trust).await
            {
                let _a_reboot_does_it_too = session.exec(&as_root(STAYS), Input::Empty, SHORT).await;
            }
            return report;
        }
        let report = |result, cause| HostReport {
            host: host.clone(),
            result,
            stage: Some("drain".to_owned()),
            cause,
            exit_status: None,
            output: String::new(),
            took: begun.elapsed(),
        };
        match self.stop(&session).await {
            Ok(None) => report(HostResult::Changed, None),
            Ok(Some(why)) => report(HostResult::Failed, Some(why)),
            Err(fault) => fault.host_report(host, begun.elapsed()),
        }
    }

    /// Stops the service and looks that nothing of it is left; why it is not idle, if it is not.
    async fn stop(&self, session: &Session) -> Result<Option<String>, SshFault> {
        let service = &self.worker.service;
        let stop = as_root(&format!("systemctl stop {}", shell_word(service)));
        let stopped = session.exec(&stop, Input::Empty, STOP).await?;
        if !stopped.success() {
            return Ok(Some(format!("stop {service}: {}", super::reach::ended(&stopped))));
        }
        let wanted = Input::Bytes(format!("{}\n", self.worker.process).into_bytes().into());
        let left = session.exec(FIND_PROCESS, wanted, SHORT).await?;
        let text = String::from_utf8_lossy(&left.stdout).into_owned();
        if text.is_empty() && self.worker.logs_to.is_some() {
            let _the_host_says_it = session.exec(&as_root(KEEP_LOG), Input::Empty, KEEPING).await;
        }
        Ok(text.lines().next().map(|line| {
            format!("{service} is stopped, but there still is {}", crate::ssh::output::line(line.trim_end()))
        }))
    }
}
