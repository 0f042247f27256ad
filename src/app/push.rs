//! `push`: a release to many hosts at once, results per host; and what `exec` shares with it.

use super::Told;
use super::campaign::{Held, Order};
use super::context::{Context, state};
use crate::cli::request::{HostPick, MaxFail as CliMaxFail, Push, Target as Picks};
use crate::engine::failure::Failure;
use crate::exit::Exit;
use crate::journal::FleetDir;
use crate::journal::History;
use crate::model::{Host, Instance, InstanceId, InstanceState, count};
use crate::plan::waves::MaxFail;
use crate::plan::{push, slots};
use crate::report::{Summary, failures, junit};
use crate::spec::Need;
use crate::spec::fleet::ForeignHost;
use crate::ssh::{HostKeys, Identities, Ssh, Trust, UserKnownHosts};
use crate::steps::{Options, PushOrder, Pushed, Reach, past};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The verdict when there is no host to work on.
pub(super) const NOTHING: &str = "nothing to do";

impl Context {
    pub(super) async fn push(&self, wanted: Push) -> Result<Exit, Failure> {
        let held = if self.fleet.is_foreign() { self.hold_foreign("push")? } else { self.hold("push").await? };
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
        let coming = self.coming();
        if hosts.is_empty() && coming == 0 {
            self.nothing("push", "no host is running: nothing to push to".to_owned());
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
        let n = order.hosts.len() + coming;
        let arguments = format!("{wanted:?} {digest}");
        let options = Options { push: Some(order), ..Options::default() };
        let ran = self
            .run(held, Order { verb: "push", arguments, options }, async |look| {
                Ok(push::plan(&self.fleet, n, &digest, look.request))
            })
            .await?;
        let pushed = ran
            .journal
            .and_then(|journal| journal.with_fold(Pushed::of))
            .ok_or_else(|| Failure::to(Exit::Bug, "read what the push came to"))?;
        let failure = self.finish("push", &wanted.target, &pushed)?;
        let answer = Summary {
            push: pushed.reports.iter().map(Into::into).collect(),
            api_calls: self.calls(),
            ..self.tally.summary(verdict(&pushed))
        };
        Ok(Told { answer, failure })
    }

    /// Writes what was asked for and tells what is wrong with the results, if anything.
    pub(super) fn finish(&self, verb: &str, target: &Picks, pushed: &Pushed) -> Result<Option<Failure>, Failure> {
        let write = |path: &Path, result: std::io::Result<()>| {
            result.map_err(|e| Failure::to(Exit::State, format!("write {}: {e}", path.display())))
        };
        if let Some(path) = &target.failed_to {
            write(path, failures::write_failed_to(path, &pushed.reports))?;
        }
        if let Some(path) = &target.junit {
            write(path, junit::write(path, &format!("{verb} {}", self.fleet.name), &pushed.reports))?;
        }
        if !pushed.failed() {
            return Ok(None);
        }
        let mut failure = Failure::new(
            Exit::Partial,
            format!(
                "{verb} to {}: {} came out bad, {} may",
                count(pushed.reports.len(), "host"),
                pushed.bad(),
                pushed.allowed
            ),
        );
        if let Some(again) = failures::rerun(verb, &pushed.reports) {
            failure = failure.hint(again);
        }
        Ok(Some(failure))
    }

    /// Running hosts in slot order, as far as they were asked for; one in quarantine only by its name.
    pub(super) async fn pick(&self, dir: &FleetDir, target: &Picks) -> Result<Vec<Host>, Failure> {
        let (mut hosts, aside) =
            if self.fleet.is_foreign() { (self.foreign(), BTreeSet::new()) } else { self.running(dir).await? };
        if target.only.is_empty() {
            for host in hosts.extract_if(.., |host| aside.contains(&host.id)) {
                self.events.note(format!("{host} is in quarantine and left out; --only {} names it", host.id));
            }
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
            return Err(Failure::to(Exit::Usage, format!("find {} among the running hosts", lacking.join(", "))).hint(
                if self.fleet.is_foreign() {
                    "the names and numbers of `hosts` in the spec count"
                } else {
                    "fleetwright status     # lists ids and slots"
                },
            ));
        }
        hosts.retain(|host| target.only.iter().any(|pick| named(host, pick)));
        Ok(hosts)
    }

    /// The fleet's running hosts in slot order, and which of them are in quarantine.
    pub(super) async fn running(&self, dir: &FleetDir) -> Result<(Vec<Host>, BTreeSet<InstanceId>), Failure> {
        let clients = self.clients().await?;
        let all =
            self.read("list this fleet's hosts", async || clients.instances_of_fleet(&self.fleet.name).await).await?;
        let live: Vec<Instance> = all.into_iter().filter(|i| i.state == InstanceState::Running).collect();
        let aside = live.iter().filter(|i| !i.counts()).map(|i| i.id.clone()).collect();
        let slots = slots::assign(&past::slots(&History::read(dir).map_err(state)?), &live);
        let mut hosts: Vec<Host> =
            live.iter().filter_map(|instance| self.host(instance, *slots.get(&instance.id)?)).collect();
        hosts.sort_by_key(|host| host.slot);
        Ok((hosts, aside))
    }

    /// The spec's own list of machines, as written.
    fn foreign(&self) -> Vec<Host> {
        let host = |(slot, host): (u32, &ForeignHost)| Host {
            slot,
            id: InstanceId::new(&host.name),
            address: host.address.clone(),
            user: host.user.clone(),
        };
        (0..).zip(&self.fleet.hosts).map(host).collect()
    }

    /// An instance as a host; none while EC2 has not told its address.
    pub(super) fn host(&self, instance: &Instance, slot: u32) -> Option<Host> {
        let address = self.fleet.ssh.address(instance)?;
        Some(Host { slot, id: instance.id.clone(), address, user: self.fleet.ssh.user.clone() })
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
        let (pinned, user) = (Trust::pinned(keys.clone()), Arc::new(user));
        // Only the user knows foreign machines; a fleet's hosts are known by what their consoles said.
        let trust = if self.fleet.is_foreign() { Trust::default().or_user(user.clone()) } else { pinned.clone() };
        Ok(Reach {
            ssh: Arc::new(Ssh::new(identities, self.fleet.ssh.timeout)),
            keys,
            template_trust: pinned.or_user(user),
            trust,
        })
    }
}

/// The same as plans know it.
pub(super) fn max_fail(limit: CliMaxFail) -> MaxFail {
    match limit {
        CliMaxFail::Percent(percent) => MaxFail::Percent(percent),
        CliMaxFail::Hosts(hosts) => MaxFail::Count(usize::try_from(hosts).unwrap_or(usize::MAX)),
    }
}

/// How a push or exec came out, in one word.
pub(super) fn verdict(pushed: &Pushed) -> &'static str {
    if pushed.failed() { "partial" } else { "done" }
}
