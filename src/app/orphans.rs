//! `orphans`: what is ours, past its end and nobody's, in the whole account; `--reap` ends it, each fleet's under its claim.

use super::campaign::Order;
use super::context::{Context, state, talk};
use super::{Told, images};
use crate::cli::request::Orphans;
use crate::engine::failure::Failure;
use crate::exit::Exit;
use crate::journal::{FleetDir, History, PastRun};
use crate::model::{FleetKey, FleetName, Ours, count};
use crate::plan::build::with_builder;
use crate::plan::orphans::{self, Fate, PAUSE};
use crate::report::Answer;
use crate::report::answer::{OrphanLine, OrphanPage, Spared};
use crate::spec::Fleet;
use crate::steps::Options;
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What runs of a reap are called.
const VERB: &str = "orphans";

/// What one look found.
struct Found {
    seen: usize,
    orphans: Vec<Ours>,
    spared: Spared,
}

impl Context {
    pub(super) async fn orphans(&self, wanted: Orphans) -> Result<Exit, Failure> {
        self.check_account().await?;
        let fleet = wanted.fleet.as_ref();
        let found = self.look_for_orphans(fleet).await?;
        let endable = orphans::endable(&found.orphans);
        // A reap that was killed at its end left nothing to be found, and is finished all the same.
        let mut fleets: BTreeMap<FleetName, Vec<Ours>> = BTreeMap::new();
        for name in [Some(&self.fleet.name), fleet].into_iter().flatten().flat_map(with_builder) {
            if wanted.reap && self.reaps_unfinished(&name)? {
                fleets.insert(name, Vec::new());
            }
        }
        if !wanted.reap || self.global.dry_run || endable.is_empty() && fleets.is_empty() {
            return self.tell_orphans(&found, BTreeSet::new(), None);
        }
        if !endable.is_empty() {
            orphans::brake(endable.len(), found.seen, wanted.max)?;
            if !self.global.yes {
                talk(&page(self, &found, BTreeSet::new()).page(None));
            }
            let question = format!("End {} after a second look in {} minutes?", n(endable.len()), PAUSE.as_mins());
            self.agree(&question).await?;
        }
        let second = self.clock.now() + PAUSE;
        for thing in found.orphans.iter().filter(|thing| endable.iter().any(|one| one.fleet() == thing.fleet())) {
            fleets.entry(FleetName::new(thing.fleet())).or_default().push(thing.clone());
        }
        let (mut ended, mut failure) = (BTreeSet::new(), None);
        for (name, things) in fleets {
            match self.of(name).reap(&things, second).await {
                Ok(ids) => ended.extend(ids),
                // What one fleet can't end (another's policy, a claim taken meanwhile) keeps no other.
                Err(one) if one.exit != Exit::Interrupted && one.exit != Exit::Terminated => {
                    self.events.warn(one.to_string());
                    failure.get_or_insert(one);
                }
                Err(stopped) => return Err(stopped),
            }
        }
        let mut found = self.look_for_orphans(fleet).await?;
        // What was ended a moment ago may still be shown.
        found.orphans.retain(|thing| !ended.contains(&thing.id));
        self.tell_orphans(&found, ended, failure)
    }

    /// The same program for another fleet of the same account and region: its state, its claim, its tags.
    fn of(&self, name: FleetName) -> Self {
        let fleet = Fleet { name, digest: String::new(), ..(*self.fleet).clone() };
        self.about(Arc::new(fleet))
    }

    /// Ends this fleet's orphans; the ids of what it ended.
    async fn reap(&self, things: &[Ours], second: Timestamp) -> Result<BTreeSet<String>, Failure> {
        let held = self.hold("orphans --reap").await?;
        let order = Order { verb: VERB, arguments: String::new(), options: Options::default() };
        let planner =
            async |look: super::campaign::Look<'_>| Ok(orphans::plan(self.fleet.key(), things, second, look.request));
        let ran = Box::pin(self.run(&held, order, planner)).await?;
        Ok(images::ended_by(ran.journal.as_deref()))
    }

    /// One look at all that carries tags of ours.
    async fn look_for_orphans(&self, fleet: Option<&FleetName>) -> Result<Found, Failure> {
        let clients = self.clients().await?;
        let mut things = self.read("list what carries tags of ours", async || clients.ours(None).await).await?;
        // A tag that can't be a fleet's name was put there by somebody else.
        let dirs: BTreeMap<FleetName, FleetDir> = things
            .iter()
            .map(|thing| FleetName::new(thing.fleet()))
            .collect::<BTreeSet<_>>()
            .into_iter()
            .filter_map(|name| Some((name.clone(), self.dir_named(name).ok()?)))
            .collect();
        things.retain(|thing| dirs.contains_key(&FleetName::new(thing.fleet())));
        let mut claimed = BTreeSet::new();
        for (name, dir) in dirs {
            if dir.holder().map_err(state)?.is_some() {
                claimed.insert(name);
            }
        }
        let fates = orphans::fates(&things, &claimed, self.clock.now());
        let many = |fate: Fate| fates.iter().filter(|one| **one == fate).count() as u64;
        let spared = Spared {
            running: many(Fate::Running),
            claimed: many(Fate::Claimed),
            protected: many(Fate::Protected),
            lasting: many(Fate::Lasting),
        };
        let seen = things.len();
        // Whoever names a fleet means the template that was built for it, too.
        let meant = fleet.map(with_builder);
        let of = |thing: &Ours, names: &[FleetName]| names.iter().any(|name| name.as_str() == thing.fleet());
        let named = |thing: &Ours| meant.as_ref().is_none_or(|names| of(thing, names));
        let orphan = |(thing, fate): &(Ours, Fate)| *fate == Fate::Orphan && named(thing);
        let orphans = things.into_iter().zip(fates).filter(orphan).map(|(thing, _)| thing).collect();
        Ok(Found { seen, orphans, spared })
    }

    /// Whether a reap of this fleet was cut short on this machine.
    fn reaps_unfinished(&self, name: &FleetName) -> Result<bool, Failure> {
        let history = History::read(&self.dir_named(name.clone())?).map_err(state)?;
        let reap = |past: &PastRun| past.fold.begun.as_ref().is_some_and(|begun| begun.verb == VERB);
        Ok(history.unfinished().any(reap))
    }

    fn dir_named(&self, name: FleetName) -> Result<FleetDir, Failure> {
        self.dir_of(&FleetKey { name, ..self.fleet.key() })
    }

    fn tell_orphans(&self, found: &Found, ended: BTreeSet<String>, failure: Option<Failure>) -> Result<Exit, Failure> {
        let left = found.orphans.len();
        let answer = page(self, found, ended);
        let failure = failure.or_else(|| {
            let told = format!("orphans: {} past their end and nobody's", n(left));
            let failure = Failure::new(Exit::Residue, told);
            (left > 0).then(|| failure.hint("fleetwright orphans --reap     # ends them after a second look"))
        });
        self.tell(Told { answer, failure })
    }
}

/// `3 things`
fn n(things: usize) -> String {
    count(things, "thing")
}

fn page(context: &Context, found: &Found, ended: BTreeSet<String>) -> OrphanPage {
    let line = |thing: &Ours| OrphanLine {
        kind: thing.kind.clone(),
        id: thing.id.clone(),
        fleet: thing.fleet().to_owned(),
        expired: thing.ends(),
    };
    OrphanPage {
        account: context.fleet.account.to_string(),
        region: context.fleet.region.to_string(),
        seen: found.seen as u64,
        orphans: found.orphans.iter().map(line).collect(),
        spared: found.spared,
        ended: ended.into_iter().collect(),
        api_calls: context.calls(),
    }
}
