//! `push`: a release to many hosts at once, results per host; and what `exec` shares with it.

use super::Told;
use super::campaign::Order;
use super::context::{Context, state};
use super::hold::Held;
use super::others::asks_aws;
use crate::cli::request::{HostPick, MaxFail as CliMaxFail, Push, Target as Picks};
use crate::engine::failure::Failure;
use crate::exit::Exit;
use crate::gate::Reason;
use crate::journal::FleetDir;
use crate::journal::History;
use crate::model::{Host, Instance, InstanceId, InstanceState, Survey, count, tags};
use crate::plan::group::ours;
use crate::plan::waves::MaxFail;
use crate::plan::{push, slots};
use crate::report::{Summary, failures, junit};
use crate::spec::Need;
use crate::ssh::{HostKeys, Identities, Ssh, Trust, UserKnownHosts};
use crate::steps::{Options, PushOrder, Pushed, Reach, past};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The verdict when there is no host to work on.
pub(super) const NOTHING: &str = "nothing to do";

/// Most hosts that a hint names.
const MOST_SHOWN: usize = 8;

impl Context {
    pub(super) async fn push(&self, wanted: Push) -> Result<Exit, Failure> {
        let asks = self.others(&wanted.target).is_none_or(asks_aws);
        let held = if asks { self.hold("push").await? } else { self.hold_foreign("push").await? };
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
            if self.planning() {
                self.nothing("push", "no host is running: nothing to push to".to_owned());
            }
            let failure = Some(self.no_host(&wanted.target)).filter(|_| !self.planning());
            return Ok(Told { answer: self.tally.summary(NOTHING), failure });
        }
        if !self.planning() && self.others(&wanted.target).is_some_and(asks_aws) {
            self.learn_others(&self.reach(&held.state)?, &held.state, &hosts).await?;
        }
        let digest = data_encoding::HEXLOWER.encode(&Sha256::digest(&bytes));
        let order = PushOrder {
            canary: usize::try_from(wanted.canary.unwrap_or(release.canary)).unwrap_or(1),
            max_fail: wanted.target.max_fail.map_or(MaxFail::Percent(release.max_fail_percent), max_fail),
            force: wanted.force,
            foreign: self.others(&wanted.target).is_some(),
            said: wanted.target.said.clone(),
            release: bytes.into(),
            hosts,
        };
        let n = order.hosts.len() + coming;
        let arguments = format!("{wanted:?} {digest}");
        let options = Options { push: Some(order), ..Options::default() };
        let ran = self
            .run(held, Order { verb: "push", arguments, options }, async |look| {
                let mut plan = push::plan(&self.fleet, n, &digest, look.request);
                plan.notes.extend(self.not_for_the_group(look.survey)?);
                Ok(plan)
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

    /// What hosts that the fleet's group launches by itself are born without.
    fn not_for_the_group(&self, survey: &Survey) -> Result<Option<String>, Failure> {
        let Some(group) = ours(&self.fleet, survey) else { return Ok(None) };
        let versions = survey.launch_template.iter().flat_map(|template| &template.versions);
        let mut launched = versions.filter(|one| u64::try_from(one.number).ok() == group.version);
        let born = launched.next().and_then(|version| version.instance_tags.get(tags::RELEASE));
        let has_it = born.is_some() && born == self.release_digest()?.as_deref();
        Ok((!has_it).then(|| {
            format!(
                "what {} launches later is born from an image without this release: `fleetwright verify` and `bake` give it \
                 one that has it",
                group.name
            )
        }))
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
        if let Some(again) = failures::rerun(&format!("{verb}{}", target.said), &pushed.reports) {
            failure = failure.hint(again);
        }
        Ok(Some(failure))
    }

    /// Nobody to work on: a script that goes on after that would take silence for success.
    pub(super) fn no_host(&self, target: &Picks) -> Failure {
        match self.others(target) {
            None => Failure::to(Exit::Usage, format!("find a host of {}: none is running", self.fleet.name))
                .hint("fleetwright launch     # brings the fleet up")
                .hint("fleetwright status     # lists the hosts there are"),
            Some(others) => {
                let named: Vec<String> = others.iter().map(|other| other.which.to_string()).collect();
                let place = if asks_aws(others) { format!(" in {}", self.fleet.region) } else { String::new() };
                let what = format!("find a machine by {}: none is running{place}", named.join(", "));
                Failure::to(Exit::Usage, what).hint("key and value count as they are written, capitals too")
            }
        }
    }

    /// Running hosts in slot order, as far as they were asked for; one in quarantine only by its name.
    pub(super) async fn pick(&self, dir: &FleetDir, target: &Picks) -> Result<Vec<Host>, Failure> {
        let others = self.others(target);
        let (mut hosts, aside) = match others {
            Some(others) => self.find_others(others).await?,
            None => self.running(dir).await?,
        };
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
            let shown = hosts.iter().take(MOST_SHOWN).map(|host| format!("{} ({})", host.id, host.slot));
            let dots = (hosts.len() > MOST_SHOWN).then(|| format!("and {} more", hosts.len() - MOST_SHOWN));
            let shown = shown.chain(dots).collect::<Vec<_>>().join(", ");
            let failure = Failure::to(Exit::Usage, format!("find {} among the running hosts", lacking.join(", ")));
            return Err(match others {
                Some(_) => failure.hint(format!("--only takes names and numbers of these: {shown}")),
                None => failure.hint("fleetwright status     # lists ids and slots"),
            });
        }
        hosts.retain(|host| target.only.iter().any(|pick| named(host, pick)));
        Ok(hosts)
    }

    /// The fleet's running hosts in slot order, and which of them are in quarantine.
    pub(super) async fn running(&self, dir: &FleetDir) -> Result<(Vec<Host>, BTreeSet<InstanceId>), Failure> {
        let clients = self.clients().await?;
        let all =
            self.read("list this fleet's hosts", async || clients.instances_of_fleet(&self.fleet.name).await).await?;
        let history = History::read(dir).map_err(state)?;
        let disguised = past::disguised(&history, &self.fleet.name);
        let mut live: Vec<Instance> = all.into_iter().filter(|i| i.state == InstanceState::Running).collect();
        for host in live.extract_if(.., |host| disguised(host)) {
            self.events.warn(format!("host {} is left out: {}", host.id, Reason::Copied));
        }
        let aside = live.iter().filter(|i| !i.counts()).map(|i| i.id.clone()).collect();
        let slots = slots::assign(&past::slots(&history), &live);
        let mut hosts: Vec<Host> =
            live.iter().filter_map(|instance| self.host_or_note(instance, *slots.get(&instance.id)?)).collect();
        hosts.sort_by_key(|host| host.slot);
        Ok((hosts, aside))
    }

    /// An instance as a host; none while EC2 has not told its address.
    pub(super) fn host(&self, instance: &Instance, slot: u32) -> Option<Host> {
        let address = self.fleet.ssh.address(instance)?;
        Some(Host { slot, id: instance.id.clone(), address, user: self.fleet.ssh.user.clone() })
    }

    /// The same; one without an address is told, since it is left out.
    pub(super) fn host_or_note(&self, instance: &Instance, slot: u32) -> Option<Host> {
        let host = self.host(instance, slot);
        if host.is_none() {
            let why = "has no address of the kind that `ssh.connect` asks for, and is left out";
            self.events.warn(format!("{} is running but {why}", instance.id));
        }
        host
    }

    /// The SSH side of a run.
    pub(super) fn reach(&self, dir: &FleetDir) -> Result<Reach, Failure> {
        let home = std::env::var_os("HOME").map(PathBuf::from);
        crate::ssh::raise_open_files()
            .map_err(|e| Failure::to(Exit::State, format!("raise the limit of open files: {e}")))?;
        let identities = Identities::load(&self.fleet.ssh.identity, home.as_deref(), std::env::var_os("SSH_AUTH_SOCK"));
        let keys = HostKeys::open(dir.path().join("known_hosts"))
            .map_err(|error| Failure::to(Exit::State, &error).hint(error.hint()))?;
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
        Ok(Reach {
            ssh: Arc::new(Ssh::new(identities, self.fleet.ssh.timeout)),
            keys,
            trust: pinned.clone(),
            others_trust: pinned.or_user(user),
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
