//! `push` and `exec`: many hosts at once, results per host.

use super::Told;
use super::campaign::{Held, Order};
use super::context::{Context, state};
use crate::cli::request::{Exec, HostPick, MaxFail as CliMaxFail, Push, Target as Picks};
use crate::engine::failure::Failure;
use crate::engine::fanout::{Lane, Lanes, fan_out};
use crate::event::{Event, Sink, Stamped};
use crate::exit::Exit;
use crate::journal::FleetDir;
use crate::journal::History;
use crate::model::{Address, Host, HostReport, HostResult, Instance, InstanceState, shell_word};
use crate::plan::waves::{MaxFail, Waves};
use crate::plan::{push, slots};
use crate::report::answer::{DRY_RUN, Executed, HostOutput};
use crate::report::{JunitReport, Summary, failures};
use crate::spec::Need;
use crate::spec::fleet::Connect;
use crate::ssh::console::learn_from_console;
use crate::ssh::{HostKeys, Identities, Input, Limits, Ssh, Status, Target, Trust, UserKnownHosts, output};
use crate::steps::{Options, PushOrder, Pushed, Reach, past};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The verdict when there is no host to work on.
const NOTHING: &str = "nothing to do";
/// A command on every host may take so long, wall time.
const COMMAND: Limits = Limits { timeout: Duration::from_hours(1), max_output: 64 * 1024 };

impl Context {
    pub(super) async fn push(&self, wanted: Push) -> Result<Exit, Failure> {
        let held = self.hold("push").await?;
        let told = self.push_held(&held, &wanted).await?;
        self.tell(told)
    }

    /// Pushes under a claim that is held already.
    pub(super) async fn push_held(&self, held: &Held, wanted: &Push) -> Result<Told<Summary>, Failure> {
        self.need(Need::Release)?;
        let Some(release) = &self.fleet.release else {
            return Err(Failure::new(Exit::Usage, "push: the spec has no `release` section"));
        };
        let bytes = std::fs::read(&release.from).map_err(|e| {
            Failure::to(Exit::Usage, format!("read release {}: {e}", release.from.display()))
                .hint("build it, or correct `release.from` in the spec")
        })?;
        let hosts = self.pick(&held.state, &wanted.target).await?;
        if hosts.is_empty() {
            self.events.note("no host is running: nothing to push to");
            return Ok(Told::good(self.tally.summary(NOTHING)));
        }
        let digest = data_encoding::HEXLOWER.encode(&Sha256::digest(&bytes));
        let order = PushOrder {
            canary: usize::try_from(wanted.canary.unwrap_or(release.canary)).unwrap_or(1),
            max_fail: wanted.target.max_fail.map_or(MaxFail::Percent(release.max_fail_percent), max_fail),
            force: wanted.force,
            release: bytes.into(),
            hosts,
        };
        let n = order.hosts.len();
        let arguments = format!("{wanted:?} {digest}");
        let options = Options { push: Some(order), ..Options::default() };
        let ran = self
            .run(held, Order { verb: "push", arguments, options }, async |look| {
                Ok(push::plan(&self.fleet, n, &digest, look.request))
            })
            .await?;
        let pushed = ran
            .journal
            .and_then(|journal| journal.with_fold(|fold| fold.steps.get("push").cloned()))
            .and_then(|output| serde_json::from_value::<Pushed>(output).ok())
            .ok_or_else(|| Failure::to(Exit::Bug, "read what the push came to"))?;
        let failure = self.finish("push", &wanted.target, &pushed)?;
        let answer = Summary {
            push: pushed.reports.iter().map(Into::into).collect(),
            api_calls: self.calls(),
            ..self.tally.summary(verdict(&pushed))
        };
        Ok(Told { answer, failure })
    }

    pub(super) async fn exec(&self, wanted: Exec) -> Result<Exit, Failure> {
        self.check_account().await?;
        let dir = self.state_dir()?;
        let hosts = self.pick(&dir, &wanted.target).await?;
        let command = match wanted.command.as_slice() {
            [line] => line.clone(),
            words => words.iter().map(|word| shell_word(word)).collect::<Vec<_>>().join(" "),
        };
        if hosts.is_empty() {
            self.events.note("no host is running");
            return self.tell(Told::good(self.executed(NOTHING, command, &[])));
        }
        if self.global.dry_run {
            let reports: Vec<HostReport> = hosts.into_iter().map(skipped).collect();
            return self.tell(Told::good(self.executed(DRY_RUN, command, &reports)));
        }
        self.agree("exec", &format!("Run {command:?} on {} hosts?", hosts.len())).await?;
        let reach = self.reach(&dir)?;
        self.learn_all(&reach, &hosts).await?;
        let n = hosts.len();
        let waves = Waves::plan(n, 0, wanted.target.max_fail.map_or(MaxFail::Percent(100), max_fail));
        let lanes = Lanes::new(usize::try_from(self.fleet.ssh.parallel).unwrap_or(64));
        self.events.emit(Event::RunStarted {
            run: self.new_run().to_string(),
            verb: "exec".to_owned(),
            fleet: self.fleet.name.to_string(),
            resumed: false,
        });
        let user = self.fleet.ssh.user.clone();
        let done = fan_out(hosts, &waves, &lanes, self.cancel.stop_token(), &self.events, |host, lane| {
            one(reach.clone(), Target::of(&host, &user), host, lane, command.clone())
        })
        .await;
        let allowed = wanted.target.max_fail.map_or(0, |limit| max_fail(limit).allowed(n));
        let pushed = Pushed { stopped: done.stopped.is_some(), allowed, reports: done.reports };
        let failure = self.finish("exec", &wanted.target, &pushed)?;
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

    /// Writes what was asked for and tells what is wrong with the results, if anything.
    fn finish(&self, verb: &str, target: &Picks, pushed: &Pushed) -> Result<Option<Failure>, Failure> {
        let write = |path: &Path, result: std::io::Result<()>| {
            result.map_err(|e| Failure::to(Exit::State, format!("write {}: {e}", path.display())))
        };
        if let Some(path) = &target.failed_to {
            write(path, failures::write_failed_to(path, &pushed.reports))?;
        }
        if let Some(path) = &target.junit {
            let junit = JunitReport::default();
            for report in &pushed.reports {
                let event = Event::HostFinished { report: report.clone() };
                junit.emit(&Stamped { at: self.clock.now(), event });
            }
            write(path, junit.write(path))?;
        }
        if !pushed.failed() {
            return Ok(None);
        }
        let mut failure = Failure::new(
            Exit::Partial,
            format!("{verb} to {} hosts: {} came out bad, {} may", pushed.reports.len(), pushed.bad(), pushed.allowed),
        );
        if let Some(again) = failures::rerun(verb, &pushed.reports) {
            failure = failure.hint(again);
        }
        Ok(Some(failure))
    }

    /// Running hosts in slot order, as far as they were asked for.
    pub(super) async fn pick(&self, dir: &FleetDir, target: &Picks) -> Result<Vec<Host>, Failure> {
        let clients = self.clients().await?;
        let all =
            self.read("list this fleet's hosts", async || clients.instances_of_fleet(&self.fleet.name).await).await?;
        let live: Vec<Instance> = all.into_iter().filter(|i| i.state == InstanceState::Running).collect();
        let slots = slots::assign(&past::slots(&History::read(dir).map_err(state)?), &live);
        let mut hosts: Vec<Host> =
            live.iter().filter_map(|instance| self.host(instance, *slots.get(&instance.id)?)).collect();
        hosts.sort_by_key(|host| host.slot);
        if target.only.is_empty() {
            return Ok(hosts);
        }
        let named = |host: &Host, pick: &HostPick| match pick {
            HostPick::Id(id) => *id == host.id,
            HostPick::Slot(slot) => *slot == host.slot,
        };
        let lacking: Vec<String> = target
            .only
            .iter()
            .filter(|pick| !hosts.iter().any(|host| named(host, pick)))
            .map(|pick| match pick {
                HostPick::Id(id) => id.to_string(),
                HostPick::Slot(slot) => format!("slot {slot}"),
            })
            .collect();
        if !lacking.is_empty() {
            return Err(Failure::to(Exit::Usage, format!("find {} among the running hosts", lacking.join(", ")))
                .hint("fleetwright status     # lists ids and slots"));
        }
        hosts.retain(|host| target.only.iter().any(|pick| named(host, pick)));
        Ok(hosts)
    }

    /// An instance as a host; none while EC2 has not told its address.
    pub(super) fn host(&self, instance: &Instance, slot: u32) -> Option<Host> {
        let ip = match self.fleet.ssh.connect {
            Connect::Private => instance.private_ip.clone(),
            Connect::Public => instance.public_ip.clone(),
        };
        Some(Host { slot, id: instance.id.clone(), address: Address { host: ip?, port: self.fleet.ssh.port } })
    }

    /// The SSH side of a run.
    pub(super) fn reach(&self, dir: &FleetDir) -> Result<Reach, Failure> {
        let home = std::env::var_os("HOME").map(PathBuf::from);
        crate::ssh::raise_open_files()
            .map_err(|e| Failure::to(Exit::State, format!("raise the limit of open files: {e}")))?;
        let identities = Identities::load(&self.fleet.ssh.identity, home.as_deref(), std::env::var_os("SSH_AUTH_SOCK"));
        let keys = HostKeys::open(dir.path().join("known_hosts"))
            .map_err(|error| Failure::new(Exit::State, error.to_string()))?;
        let keys = Arc::new(keys);
        let files: Vec<PathBuf> = match &self.fleet.ssh.known_hosts {
            Some(file) => vec![file.clone()],
            None => home
                .map(|home| vec![home.join(".ssh/known_hosts"), PathBuf::from("/etc/ssh/ssh_known_hosts")])
                .unwrap_or_default(),
        };
        let paths: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();
        let user =
            UserKnownHosts::load(&paths).map_err(|e| Failure::to(Exit::Usage, format!("read known_hosts: {e}")))?;
        let trust = Trust::pinned(keys.clone());
        Ok(Reach {
            ssh: Arc::new(Ssh::new(identities, self.fleet.ssh.timeout)),
            keys,
            template_trust: trust.clone().or_user(Arc::new(user)),
            trust,
        })
    }

    async fn learn_all(&self, reach: &Reach, hosts: &[Host]) -> Result<(), Failure> {
        let clients = self.clients().await?;
        for host in hosts.iter().filter(|host| !reach.keys.knows(&host.id)) {
            let what = format!("read the console of {}", host.id);
            let console = self.read(&what, async || clients.console(&host.id).await).await?;
            let keys = learn_from_console(&console);
            if !keys.is_empty() {
                reach
                    .keys
                    .pin(&host.id, &keys)
                    .map_err(|error| Failure::to(Exit::State, format!("keep the host key of {}: {error}", host.id)))?;
            }
        }
        Ok(())
    }
}

fn max_fail(limit: CliMaxFail) -> MaxFail {
    match limit {
        CliMaxFail::Percent(percent) => MaxFail::Percent(percent),
        CliMaxFail::Hosts(hosts) => MaxFail::Count(usize::try_from(hosts).unwrap_or(usize::MAX)),
    }
}

/// One command on one host.
async fn one(reach: Reach, target: Target, host: Host, mut lane: Lane, command: String) -> HostReport {
    let begun = Instant::now();
    let session = match reach.ssh.connect(&target, &reach.trust).await {
        Ok(session) => session,
        Err(fault) => return fault.host_report(host, begun.elapsed()),
    };
    lane.connected().await;
    match session.exec(&command, Input::Empty, COMMAND).await {
        Ok(execution) => {
            let mut said = execution.stdout.clone();
            said.extend_from_slice(&execution.stderr);
            let text = output::sanitise(&said, output::Bounds::default());
            let (result, exit_status, cause) = match &execution.status {
                Status::Exit(0) => (HostResult::Ok, Some(0), None),
                Status::Exit(code) => (HostResult::Failed, Some(*code), Some(format!("exit {code}"))),
                Status::Signal(name) => (HostResult::Failed, None, Some(format!("signal {name}"))),
            };
            let stage = cause.as_ref().map(|_| "command".to_owned());
            HostReport { host, result, stage, cause, exit_status, output: text, took: begun.elapsed() }
        }
        Err(fault) => fault.host_report(host, begun.elapsed()),
    }
}

/// How a push or exec came out, in one word.
fn verdict(pushed: &Pushed) -> &'static str {
    if pushed.failed() { "partial" } else { "done" }
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
