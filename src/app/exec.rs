//! `exec`: one command on many hosts at once, results per host.

use super::Told;
use super::context::{Context, state};
use super::others::asks_aws;
use super::push::{NOTHING, max_fail, verdict};
use crate::cli::request::Exec;
use crate::engine::cancel::{Cancel, Level};
use crate::engine::failure::Failure;
use crate::engine::fanout::{Lane, Lanes, fan_out};
use crate::event::Event;
use crate::exit::Exit;
use crate::journal::FleetDir;
use crate::model::{Host, HostReport, HostResult, count, shell_word};
use crate::plan::waves::{MaxFail, Waves};
use crate::report::answer::{DRY_RUN, Executed, HostOutput};
use crate::report::{Summary, failures};
use crate::ssh::console::learn_from_console;
use crate::ssh::{Limits, Status, Target, Trust, output};
use crate::steps::{Pushed, Reach};
use std::time::{Duration, Instant};

/// Bytes kept of what a host says.
const MAX_OUTPUT: usize = 64 * 1024;

impl Context {
    pub(super) async fn exec(&self, wanted: Exec) -> Result<Exit, Failure> {
        let others = self.others(&wanted.target);
        if others.is_none_or(asks_aws) {
            self.check_account().await?;
        }
        let dir = self.state_dir()?;
        let hosts = self.pick(&dir, &wanted.target).await?;
        let command = match wanted.command.as_slice() {
            [line] => line.clone(),
            words => words.iter().map(|word| shell_word(word)).collect::<Vec<_>>().join(" "),
        };
        if hosts.is_empty() {
            let failure = Some(self.no_host(&wanted.target));
            return self.tell(Told { answer: self.executed(NOTHING, command, &[]), failure });
        }
        if self.global.dry_run {
            let reports: Vec<HostReport> = hosts.into_iter().map(skipped).collect();
            return self.tell(Told::good(self.executed(DRY_RUN, command, &reports)));
        }
        self.agree(&format!("Run {command:?} on {}?", count(hosts.len(), "host"))).await?;
        let reach = self.reach(&dir)?;
        match others {
            None => self.learn_all(&reach, &dir, &hosts).await?,
            Some(others) if asks_aws(others) => self.learn_others(&reach, &dir, &hosts).await?,
            Some(_) => {}
        }
        let n = hosts.len();
        let waves = Waves::plan(n, 0, wanted.target.max_fail.map_or(MaxFail::Percent(100), max_fail));
        let lanes = Lanes::new(usize::try_from(self.fleet.ssh.parallel).unwrap_or(64));
        let said = format!("exec{}", wanted.target.said);
        self.started(self.new_run(), &said, false);
        let trust = if others.is_none() { reach.trust.clone() } else { reach.others_trust.clone() };
        let job = Job { reach, trust, command: command.clone(), within: wanted.within, cancel: self.cancel.clone() };
        let done = fan_out(hosts, &waves, &lanes, self.cancel.stop_token(), &self.events, |host, lane| {
            job.clone().run(Target::of(&host), host, lane)
        })
        .await;
        let allowed = wanted.target.max_fail.map_or(0, |limit| max_fail(limit).allowed(n));
        let pushed = Pushed { stopped: done.stopped.is_some(), allowed, reports: done.reports };
        let failed = self.finish("exec", &wanted.target, &pushed).unwrap_or_else(Some);
        let failure = self.stopped().map(|exit| interrupted(exit, &said, &pushed)).or(failed);
        let (exit, summary) = match &failure {
            None => (Exit::Done, "exec done".to_owned()),
            Some(failure) => (failure.exit, failure.to_string()),
        };
        self.events.emit(Event::RunFinished { exit: exit.code(), summary, cost: None });
        self.tell(Told { answer: self.executed(verdict(&pushed), command, &pushed.reports), failure })
    }

    /// What `exec` answers.
    fn executed(&self, verdict: &str, command: String, reports: &[HostReport]) -> Executed {
        let Summary { run, verdict, world_seconds, .. } = self.tally.summary(verdict);
        let mut hosts: Vec<HostOutput> = reports.iter().map(Into::into).collect();
        hosts.sort_by_key(|host| host.slot);
        Executed { run, verdict, command, hosts, world_seconds, api_calls: self.calls() }
    }

    /// Pins the keys of hosts that have none yet, as far as their consoles show them.
    pub(super) async fn learn_all(&self, reach: &Reach, dir: &FleetDir, hosts: &[Host]) -> Result<(), Failure> {
        let clients = self.clients().await?;
        dir.ensure().map_err(state)?;
        for host in hosts.iter().filter(|host| !reach.keys.knows(&host.id)) {
            let what = format!("read the console of {}", host.id);
            let console = self.read(&what, async || clients.console(&host.id).await).await?;
            let keys = learn_from_console(&console);
            if !keys.is_empty() {
                reach.keys.pin(&host.id, &keys).map_err(|error| {
                    let what = format!("keep the host key of {}: {error}", host.id);
                    Failure::to(Exit::State, what).hint(error.hint())
                })?;
            }
        }
        Ok(())
    }
}

/// A host on which nothing was tried.
fn skipped(host: Host) -> HostReport {
    let output = String::new();
    HostReport {
        host,
        result: HostResult::Skipped,
        stage: None,
        cause: None,
        exit_status: None,
        output,
        took: Duration::ZERO,
    }
}

/// Stopped on request: what each host came to is told already.
fn interrupted(exit: Exit, said: &str, pushed: &Pushed) -> Failure {
    let left = pushed.reports.iter().filter(|report| report.result == HostResult::Skipped).count();
    let failure = Failure::new(exit, format!("exec was stopped on request; not tried: {}", count(left, "host")));
    match failures::rerun(said, &pushed.reports) {
        Some(again) => failure.hint(again),
        None => failure,
    }
}

/// What is done on every host.
#[derive(Clone)]
struct Job {
    reach: Reach,
    trust: Trust,
    command: String,
    within: Duration,
    cancel: Cancel,
}

impl Job {
    /// One command on one host. Whoever does not want to wait any longer leaves nothing running there: the command ends with
    /// its connection.
    async fn run(self, target: Target, host: Host, lane: Lane) -> HostReport {
        let begun = Instant::now();
        tokio::select! {
            biased;
            report = self.follow(&target, &host, lane) => report,
            () = self.cancel.wait(Level::Abandon) => HostReport {
                host: host.clone(),
                result: HostResult::Failed,
                stage: Some("command".to_owned()),
                cause: Some("stopped on request; the host was told to end the command".to_owned()),
                exit_status: None,
                output: String::new(),
                took: begun.elapsed(),
            },
        }
    }

    async fn follow(&self, target: &Target, host: &Host, mut lane: Lane) -> HostReport {
        let (begun, host) = (Instant::now(), host.clone());
        let session = match self.reach.ssh.connect(target, &self.trust).await {
            Ok(session) => session,
            Err(fault) => return fault.host_report(host, begun.elapsed()),
        };
        lane.connected().await;
        let limits = Limits { timeout: self.within, max_output: MAX_OUTPUT };
        match session.exec_tied(&self.command, limits).await {
            Ok(execution) => {
                let mut said = execution.stdout.clone();
                said.extend_from_slice(&execution.stderr);
                let output = output::sanitise(&said, output::Bounds::default());
                let (result, exit_status, cause) = match &execution.status {
                    Status::Exit(0) => (HostResult::Ok, Some(0), None),
                    Status::Exit(code) => (HostResult::Failed, Some(*code), Some(format!("exit {code}"))),
                    Status::Signal(name) => (HostResult::Failed, None, Some(format!("signal {name}"))),
                };
                let stage = cause.as_ref().map(|_| "command".to_owned());
                HostReport { host, result, stage, cause, exit_status, output, took: begun.elapsed() }
            }
            Err(fault) => fault.host_report(host, begun.elapsed()),
        }
    }
}
