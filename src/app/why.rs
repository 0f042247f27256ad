//! `status --why HOST`: one host closely. Changes nothing in the account.

use super::Told;
use super::context::{Context, state};
use crate::cli::request::{HostName, HostPick};
use crate::engine::failure::Failure;
use crate::exit::Exit;
use crate::journal::History;
use crate::model::{Host, Instance, InstanceId, InstanceState, Mark, Survey, shell_word, tags};
use crate::plan::boot::{BootFacts, boot};
use crate::plan::slots;
use crate::report::answer::Why;
use crate::ssh::output::{self, Bounds};
use crate::ssh::{Input, Limits, Target};
use crate::steps::past;
use crate::survey::For;
use std::collections::BTreeMap;
use std::time::Duration;

/// What is kept of the console's end.
const CONSOLE: Bounds = Bounds { line: 500, total: 4 * 1024 };
/// What the host is asked.
const LIMITS: Limits = Limits { timeout: Duration::from_secs(15), max_output: 4096 };

impl Context {
    pub(super) async fn why(&self, name: &HostName) -> Result<Exit, Failure> {
        let clients = self.clients().await?;
        let survey = self.own_survey(For::Telling).await?;
        let history = History::read(&self.state_dir()?).map_err(state)?;
        let live: Vec<Instance> = survey.instances.iter().filter(|i| i.state.live()).cloned().collect();
        let known = past::slots(&history);
        let slots = slots::assign(&known, &live);
        let (instance, slot) =
            self.meant(name, &survey, &slots, &known).ok_or_else(|| missing(name, &past::unseen(&history, &survey)))?;
        let what = format!("read the console of {}", instance.id);
        let console = self.read(&what, async || clients.console(&instance.id).await).await;
        let console = console.unwrap_or_else(|failure| {
            self.events.warn(failure.to_string());
            String::new()
        });
        let host = self.host(instance, slot.unwrap_or_default());
        let facts = self.facts(instance, host.as_ref(), !console.trim().is_empty()).await?;
        let (boot, waiting_for) = boot(&facts);
        self.tell(Told::good(Why {
            host: instance.id.to_string(),
            slot,
            state: instance.state.to_string(),
            reason: instance.state_reason.clone(),
            instance_type: instance.instance_type.clone(),
            market: instance.market.to_string(),
            zone: instance.zone.to_string(),
            address: host.map(|host| host.address.host),
            launched: instance.launched,
            age_seconds: survey.at.duration_since(instance.launched).as_secs(),
            expires: instance.tags.get(tags::EXPIRES).map(str::to_owned),
            quarantined: instance.marked(Mark::Quarantine).map(str::to_owned),
            boot,
            waiting_for: waiting_for.filter(|_| instance.marked(Mark::Quarantine).is_none()),
            console: output::sanitise(console.as_bytes(), CONSOLE),
            api_calls: self.calls(),
        }))
    }

    /// The instance that is meant. A slot means who fills it now, else who filled it last.
    pub(super) fn meant<'a>(
        &self,
        name: &HostName,
        survey: &'a Survey,
        slots: &BTreeMap<InstanceId, u32>,
        known: &BTreeMap<InstanceId, u32>,
    ) -> Option<(&'a Instance, Option<u32>)> {
        let by = |is: &dyn Fn(&Instance) -> bool| survey.instances.iter().find(|instance| is(instance));
        let found = match name {
            HostName::Pick(HostPick::Id(id)) => by(&|instance| instance.id == *id),
            HostName::Pick(HostPick::Slot(slot)) => by(&|instance| slots.get(&instance.id) == Some(slot))
                .or_else(|| by(&|instance| known.get(&instance.id) == Some(slot))),
            HostName::Address(address) => {
                by(&|instance| self.host(instance, 0).is_some_and(|host| host.address.host.parse() == Ok(*address)))
            }
        };
        found.map(|instance| (instance, slots.get(&instance.id).or_else(|| known.get(&instance.id)).copied()))
    }

    /// Asks the host itself, as far as it can be asked.
    async fn facts(&self, instance: &Instance, host: Option<&Host>, console: bool) -> Result<BootFacts, Failure> {
        let service = self.fleet.worker.as_ref().map(|worker| worker.service.clone());
        let mut facts = BootFacts {
            state: instance.state,
            reason: instance.state_reason.clone(),
            addressed: host.is_some(),
            console,
            key_known: false,
            login: None,
            worker: service.clone().map(|service| (service, None)),
        };
        let Some(host) = host.filter(|_| instance.state == InstanceState::Running) else { return Ok(facts) };
        let dir = self.state_dir()?;
        let reach = self.reach(&dir)?;
        self.learn_all(&reach, &dir, std::slice::from_ref(host)).await?;
        facts.key_known = reach.keys.knows(&host.id);
        if !facts.key_known {
            return Ok(facts);
        }
        let session = match reach.ssh.connect(&Target::of(host), &reach.trust).await {
            Ok(session) => session,
            Err(fault) => {
                facts.login = Some(Err(format!("{}: {}", fault.stage, fault.message)));
                return Ok(facts);
            }
        };
        facts.login = Some(Ok(()));
        if let Some(service) = service {
            let command = format!("systemctl is-active {}", shell_word(&service));
            let asked = match session.exec(&command, Input::Empty, LIMITS).await {
                Ok(done) if done.success() => Ok(()),
                Ok(done) => Err(output::line(String::from_utf8_lossy(&done.stdout).trim())),
                Err(fault) => Err(fault.message),
            };
            facts.worker = Some((service, Some(asked)));
        }
        session.close().await;
        Ok(facts)
    }
}

pub(super) fn missing(name: &HostName, unseen: &BTreeMap<InstanceId, jiff::Timestamp>) -> Failure {
    let text = match name {
        HostName::Pick(HostPick::Id(id)) => {
            if let Some(at) = unseen.get(id) {
                return Failure::to(
                    Exit::Unavailable,
                    format!("see {id}: EC2 gave it out at {at} and does not show it yet"),
                )
                .hint("what is new can be invisible for about five minutes: try again then");
            }
            id.to_string()
        }
        HostName::Pick(HostPick::Slot(slot)) => format!("slot {slot}"),
        HostName::Address(address) => address.to_string(),
    };
    Failure::to(Exit::Usage, format!("find {text} in this fleet"))
        .hint("fleetwright status     # lists ids, slots and addresses")
}
