//! Taking over: what carries this fleet's tags is written down, so that a journal knows it again.

use super::call::state;
use super::{Steps, past};
use crate::engine::failure::Failure;
use crate::engine::run::Done;
use crate::gate::Reason;
use crate::journal::History;
use crate::model::{Instance, InstanceId, Ours, Thing, tags};
use crate::plan::launch::{epoch_name, template_name};
use crate::plan::{orphans, slots};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What the step leaves: all that launches and bakes of a lost journal would have told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Adopted {
    /// When it was seen.
    pub at: Timestamp,
    /// What was taken over.
    pub things: BTreeSet<Thing>,
    /// The intents that these carry.
    pub intents: BTreeSet<String>,
    /// The slots of live hosts.
    pub slots: BTreeMap<InstanceId, u32>,
    /// By epoch, the number from which on its launch requests are numbered anew. Nobody knows how many there were, but never
    /// more than one a second: so it is the epoch's age in seconds, which no earlier adoption can have come to either.
    pub attempts: BTreeMap<String, u32>,
}

impl Steps {
    /// Looks at what carries this fleet's tags, not before `at`; of `named` only at what is an orphan.
    pub(super) async fn adopt(&self, at: Timestamp, named: Option<&BTreeSet<String>>) -> Result<Done, Failure> {
        self.pause_until(at).await?;
        let taken = match named {
            None => self.ours().await?,
            Some(named) => self.orphans(|thing| named.contains(&thing.id)).await?,
        };
        // Whatever of ours makes something writes its intent into the tags: by what else is the gate to know it again?
        let (taken, nobodys): (Vec<Ours>, Vec<Ours>) =
            taken.into_iter().partition(|thing| thing.tags.get(tags::INTENT).is_some());
        for thing in &nobodys {
            self.events.warn(format!(
                "{} {} is not taken over: it carries {} and no {}, by which it would be known again; take the tag off, or \
                 end it by hand",
                thing.kind,
                thing.id,
                tags::FLEET,
                tags::INTENT
            ));
        }
        let name = &self.fleet.name;
        let mut live =
            self.read("list this fleet's hosts", async || self.clients.instances_of_fleet(name).await).await?;
        let history = History::read(&self.state).map_err(state)?;
        let disguised = past::disguised(&history, name);
        // What nobody named is taken over by the name of the fleet alone, so that whoever asked for that must know of it.
        let whole = named.is_none();
        for host in live.iter().filter(|host| whole && host.state.live() && disguised(host)) {
            self.events.warn(format!("host {} is taken over, too: {}", host.id, Reason::Copied));
        }
        let takes = |host: &Instance| host.tags.get(tags::INTENT).is_some() && (whole || !disguised(host));
        live.retain(|host: &Instance| host.state.live() && takes(host));
        let template = template_name(name.as_str());
        let template =
            self.read("read the launch template", async || self.clients.launch_template(&template).await).await?;
        let now = self.clock.now();
        let attempts = template.iter().flat_map(|template| {
            template.versions.iter().map(|version| {
                let age = version.created.map_or(0, |made| now.duration_since(made).as_secs());
                (epoch_name(template.id.as_str(), version.number), u32::try_from(age).unwrap_or(0))
            })
        });
        let adopted = Adopted {
            at: now,
            intents: taken.iter().filter_map(|thing| thing.tags.get(tags::INTENT)).map(str::to_owned).collect(),
            slots: slots::assign(&past::slots(&history), &live),
            attempts: attempts.collect(),
            things: taken.into_iter().map(|thing| Thing { kind: thing.kind, id: thing.id }).collect(),
        };
        let told = match (adopted.things.len(), adopted.slots.len()) {
            (0, _) => "nothing is there".to_owned(),
            (things, hosts) => format!("{things} things of ours, {hosts} live hosts among them"),
        };
        Ok(Done::new(super::output(&adopted)?, told))
    }

    /// Everything that carries this fleet's tags.
    async fn ours(&self) -> Result<Vec<Ours>, Failure> {
        let name = &self.fleet.name;
        self.read("list what carries this fleet's tags", async || self.clients.ours(Some(name)).await).await
    }

    /// This fleet's orphans among what `which` takes. The claim on it is ours.
    pub(super) async fn orphans(&self, which: impl Fn(&Ours) -> bool) -> Result<Vec<Ours>, Failure> {
        let mut found = orphans::orphans(&self.ours().await?, &BTreeSet::new(), self.clock.now());
        found.retain(which);
        Ok(found)
    }
}
