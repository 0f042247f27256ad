//! Machines that fleetwright did not launch, for `push` and `exec`: found, entered when their keys are known, never ended.

use super::context::Context;
use crate::cli::request::Target as Picks;
use crate::engine::failure::Failure;
use crate::exit::Exit;
use crate::journal::FleetDir;
use crate::model::{Address, Host, InstanceId, InstanceState};
use crate::spec::named::{ForeignHost, Which};
use crate::ssh::Target;
use crate::steps::Reach;
use std::collections::BTreeSet;

/// Whether some of them are known by what AWS says only.
pub(super) fn asks_aws(others: &[ForeignHost]) -> bool {
    others.iter().any(|other| matches!(other.which, Which::Tagged(_)))
}

impl Context {
    /// The machines that are meant in place of the fleet's hosts, where some are: those of the command line, else those of
    /// the spec.
    pub(super) fn others<'a>(&'a self, target: &'a Picks) -> Option<&'a [ForeignHost]> {
        [&target.others, &self.fleet.hosts].into_iter().find(|others| !others.is_empty()).map(Vec::as_slice)
    }

    /// The machines themselves, each once, and which of them are in quarantine. Those that AWS finds stand in the order of
    /// their launch and go by their ids.
    pub(super) async fn find_others(
        &self,
        others: &[ForeignHost],
    ) -> Result<(Vec<Host>, BTreeSet<InstanceId>), Failure> {
        let (mut hosts, mut aside): (Vec<Host>, BTreeSet<InstanceId>) = (Vec::new(), BTreeSet::new());
        for other in others {
            let user = other.user.clone().unwrap_or_else(|| self.fleet.ssh.user.clone());
            let port = other.port.unwrap_or(self.fleet.ssh.port);
            match &other.which {
                Which::At { name, address } => {
                    let address = Address { host: address.clone(), port };
                    hosts.push(Host { slot: 0, id: InstanceId::new(name), address, user });
                }
                Which::Tagged(tags) => {
                    let clients = self.clients().await?;
                    let what = format!("look for machines by {}", other.which);
                    let mut found = self.read(&what, async || clients.instances_with(tags).await).await?;
                    found.retain(|instance| instance.state == InstanceState::Running);
                    found.sort_by(|a, b| (a.launched, &a.id).cmp(&(b.launched, &b.id)));
                    aside.extend(found.iter().filter(|instance| !instance.counts()).map(|i| i.id.clone()));
                    for instance in found {
                        let Some(mut host) = self.host_or_note(&instance, 0) else { continue };
                        host.address.port = port;
                        hosts.push(Host { user: user.clone(), ..host });
                    }
                }
            }
        }
        let mut seen = BTreeSet::new();
        hosts.retain(|host| seen.insert(host.id.clone()));
        let mut places = BTreeSet::new();
        hosts.retain(|host| places.insert(host.address.to_string()));
        for (slot, host) in (0..).zip(&mut hosts) {
            host.slot = slot;
        }
        Ok((hosts, aside))
    }

    /// Pins the keys of machines that the user's known_hosts does not know, as far as their consoles show them. Whoever may
    /// not read consoles is told so: then only known_hosts counts.
    pub(super) async fn learn_others(&self, reach: &Reach, dir: &FleetDir, hosts: &[Host]) -> Result<(), Failure> {
        let strange: Vec<Host> =
            hosts.iter().filter(|host| !reach.others_trust.knows(&Target::of(host))).cloned().collect();
        match self.learn_all(reach, dir, &strange).await {
            Err(failure) if failure.exit == Exit::Denied => {
                self.events.warn(format!("{failure}; only machines whose keys are in known_hosts can be entered"));
                Ok(())
            }
            learnt => learnt,
        }
    }
}
