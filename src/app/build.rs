//! The template that is built: launched where it is not there, provisioned, worked on, and ended. It is the one host of a fleet
//! of its own, so that launching, ending and taking over are what they are for any fleet.

use super::campaign::{Look, Order};
use super::context::{Context, state};
use super::hold::Held;
use super::shared::blocking;
use crate::cli::request::{Down, Launch};
use crate::engine::failure::Failure;
use crate::exit::Exit;
use crate::journal::FleetDir;
use crate::model::{Host, InstanceId, shell_word};
use crate::plan::build;
use crate::spec::Fleet;
use crate::spec::build::Build;
use crate::steps::{Options, past};
use crate::survey::For;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

/// What becomes of a built template after work that ended well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    /// It stays: more is to be done with it.
    Stays,
    /// It ends: its image is there.
    Ends,
    /// It stays whatever comes: `--keep-template`.
    Kept,
}

impl After {
    /// `--keep-template` before all.
    pub(super) fn unless(keep: bool, otherwise: Self) -> Self {
        if keep { Self::Kept } else { otherwise }
    }
}

impl Context {
    /// Digest of what the template is built of; none where it is named.
    pub(super) fn made_of(&self) -> Option<String> {
        let playbook = self.provision.as_deref().map(|playbook| playbook.digest.as_str()).unwrap_or_default();
        Some(build::digest_of(&self.fleet, self.fleet.build()?, playbook))
    }

    /// Where the runs are that launch and end the template, where the spec builds one or did.
    pub(super) fn builder_dir(&self) -> Result<Option<FleetDir>, Failure> {
        let dir = self.dir_of(&build::key(&self.fleet.key()))?;
        let used = self.fleet.build().is_some() || !dir.runs().map_err(state)?.is_empty();
        Ok(used.then_some(dir))
    }

    /// Fetches what other machines wrote of a template that was built, whether or not the spec still builds one.
    pub(super) async fn fetch_builder(&self) -> Result<(), Failure> {
        if self.fleet.state.is_none() {
            return Ok(());
        }
        let dir = self.dir_of(&build::key(&self.fleet.key()))?;
        blocking(move || dir.fetch()).await?.map_err(state)
    }

    /// The same program about the fleet whose one host is the template.
    async fn builder(&self, fleet: Fleet) -> Result<Self, Failure> {
        let mut builder = self.about(Arc::new(fleet));
        builder.standing = false.into();
        // What was begun with another base image or playbook is never gone on with.
        builder.global.replan = true;
        builder.fetch().await?;
        Ok(builder)
    }

    /// Does `work` with a template that is there: the one that the spec names, or one that is built first. That one is ended
    /// after work that failed for good, and as `after` says after work that did not.
    pub(super) async fn with_template<T>(
        &self,
        held: &Held,
        after: After,
        work: impl AsyncFnOnce(&Self) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let (Some(wanted), Some(made_of)) = (self.fleet.build(), self.made_of()) else {
            return Box::pin(work(self)).await;
        };
        let builder = Box::pin(self.builder(build::builder(&self.fleet, wanted, &made_of))).await?;
        let builder_held = Box::pin(builder.hold("build")).await?;
        let id = match Box::pin(builder.launch_template(&builder_held, wanted, &made_of)).await {
            Ok(id) => id,
            Err(failure) => return Err(failure.hint("fleetwright down     # ends what there is of the template")),
        };
        let mut entrance = None;
        let worked = async {
            let there = Box::pin(self.at_template(held, id.clone(), &mut entrance)).await?;
            Box::pin(there.provisioned(held, wanted, &made_of)).await?;
            Box::pin(work(&there)).await
        };
        let worked = Box::pin(worked).await;
        if self.planning() {
            if after == After::Ends {
                self.part(Box::pin(builder.down_held(&builder_held, Down::default()))).await?;
                self.note_on_last("when the image is there, or a step before it said no; --keep-template leaves it");
            } else {
                self.note_on_last("the template is left running: `bake` ends it, and so does `fleetwright down`");
            }
            return worked;
        }
        let name = id.as_ref().map_or("the template", InstanceId::as_str);
        let enter = entrance.and_then(|host| {
            let words = self.openssh(&held.state).ok()?.arguments(&host).ok()?;
            let words: Vec<_> = words.iter().map(|word| shell_word(word)).collect();
            Some(format!("ssh {}     # {name}, as it is", words.join(" ")))
        });
        let (ends, worked) = match worked {
            Ok(done) => (after == After::Ends, Ok(done)),
            // What can be gone on with goes on with this template.
            Err(failure) if matches!(failure.exit, Exit::Partial | Exit::Refused) && after != After::Kept => {
                (true, Err(failure))
            }
            Err(failure) => {
                let failure = failure.hint("fleetwright down     # ends the template that was built, too");
                (false, Err(enter.into_iter().fold(failure, Failure::hint)))
            }
        };
        if !ends {
            if worked.is_ok() {
                self.events.note(format!("{name} is left running; `bake` ends it, and so does `fleetwright down`"));
            }
            return worked;
        }
        // That it ends was said before it was launched.
        builder.standing.store(true, Ordering::Relaxed);
        let ended = Box::pin(builder.down_held(&builder_held, Down::default())).await;
        match (worked, ended) {
            (Ok(done), Ok(_)) => Ok(done),
            (Ok(_), Err(failure)) => Err(failure),
            (Err(failure), Ok(_)) => {
                let again = format!(
                    "fleetwright verify --keep-template     # {name} was ended: builds one that is left for a look"
                );
                Err(failure.hint(again))
            }
            (Err(failure), Err(left)) => {
                self.events.warn(left.to_string());
                Err(failure.hint("fleetwright down     # ends the template that was built, too"))
            }
        }
    }

    /// The builder's one host, launched where it is not there; none while that is only planned.
    async fn launch_template(&self, held: &Held, wanted: &Build, made_of: &str) -> Result<Option<InstanceId>, Failure> {
        let image = wanted.base_image.id().map(ToString::to_string);
        let launch = Launch { image, unattested: true, ..Launch::default() };
        let request = self.request(&self.launch_order(&launch));
        let survey = self.look(For::Telling).await?;
        let history = Self::whole_history(&held.state)?;
        let mut unfinished = history.unfinished().filter_map(|past| past.fold.begun.as_ref());
        let other = unfinished.any(|begun| begun.verb == "down" || begun.request != request);
        if other || survey.instances.iter().any(|host| build::is_stale(host, made_of)) {
            self.events.note("a template that was built of something else, or was about to end, is ended first");
            self.standing.store(true, Ordering::Relaxed);
            self.part(Box::pin(self.down_held(held, Down::default()))).await?;
            self.standing.store(false, Ordering::Relaxed);
            if self.planning() {
                self.nothing("launch", "another template is launched in its place".to_owned());
                return Ok(None);
            }
        }
        self.part(Box::pin(self.launch_held(held, &launch))).await?;
        let survey = self.look(For::Telling).await?;
        let history = Self::whole_history(&held.state)?;
        let seen = survey.instances.iter().find(|host| host.state.live()).map(|host| host.id.clone());
        let id = seen.or_else(|| past::unseen(&history, &survey).into_keys().next());
        if id.is_none() && !self.planning() {
            return Err(Failure::to(Exit::Unavailable, "find the template that was launched: it is gone again")
                .hint("the same command again launches another"));
        }
        Ok(id)
    }

    /// The same program with the template that was built, whose host key its console tells.
    async fn at_template(
        &self,
        held: &Held,
        id: Option<InstanceId>,
        entrance: &mut Option<Host>,
    ) -> Result<Self, Failure> {
        let mut there = self.with(Arc::new(build::with_template(&self.fleet, id.clone())));
        // What was begun on another template is never gone on with, whoever named it.
        (there.global.replan, there.resuming) = (true, Mutex::default());
        if let Some(id) = id.filter(|_| !self.planning()) {
            let clients = self.clients().await?;
            let what = format!("look at template {id}");
            let instance = self.read(&what, async || clients.instance(&id).await).await?;
            *entrance = instance.and_then(|instance| self.host(&instance, 0));
            let hosts: Vec<Host> = entrance.iter().cloned().collect();
            self.learn_all(&self.reach(&held.state)?, &held.state, &hosts).await?;
        }
        Ok(there)
    }

    /// Runs the playbook on the template, once.
    async fn provisioned(&self, held: &Held, wanted: &Build, made_of: &str) -> Result<(), Failure> {
        // The worker is what the playbook brings: whether it comes up is for `verify` to tell.
        let fleet = Fleet { worker: None, ..(*self.fleet).clone() };
        let mut bare = self.with(Arc::new(fleet));
        (bare.verify, bare.applied) = (self.provision.clone(), None);
        bare.standing = true.into();
        let order = || Order { verb: build::VERB, arguments: made_of.to_owned(), options: Options::default() };
        let request = bare.request(&order());
        let history = Self::whole_history(&held.state)?;
        let done = history.runs().any(|past| {
            let begun = past.fold.begun.as_ref().is_some_and(|begun| begun.request == request);
            begun && past.fold.ended == Some(Exit::Done)
        });
        if done {
            return Ok(());
        }
        let planner = async |look: Look<'_>| Ok(build::provision(&bare.fleet, &wanted.playbook, made_of, look.request));
        self.part(Box::pin(bare.run(held, order(), planner))).await?;
        Ok(())
    }

    /// Whether the end of the template was begun and not finished.
    pub(super) fn template_ending(&self) -> Result<bool, Failure> {
        let Some(dir) = self.builder_dir()? else { return Ok(false) };
        let history = Self::whole_history(&dir)?;
        let last = history.unfinished().next().and_then(|past| past.fold.begun.as_ref());
        Ok(last.is_some_and(|begun| begun.verb == "down"))
    }

    /// Ends a template that was built, where anything is left of one.
    pub(super) async fn end_template(&self, adopt: bool, asked: bool) -> Result<(), Failure> {
        let (clients, key) = (self.clients().await?, build::key(&self.fleet.key()));
        // A machine that lost its journals, and a spec that no longer builds one, say nothing about what is there.
        if self.builder_dir()?.is_none()
            && !self.read("look for a template that was built", async || clients.any_of_fleet(&key.name).await).await?
        {
            return Ok(());
        }
        let mut builder = Box::pin(self.builder(build::empty(&self.fleet))).await?;
        builder.standing = asked.into();
        let held = Box::pin(builder.hold("down")).await?;
        let survey = Box::pin(builder.survey()).await?;
        let history = Self::whole_history(&held.state)?;
        let look = Look { run: self.new_run(), survey: &survey, state: &held.state, request: String::new() };
        if Box::pin(builder.anything(&look, &history, false)).await? {
            builder.adopt_first(&held, adopt).await?;
            self.part(Box::pin(builder.down_held(&held, Down::default()))).await?;
        }
        Ok(())
    }

    /// The directories of this fleet's runs, and of those that launch and end its template where it is built.
    pub(super) fn dirs(&self) -> Result<Vec<FleetDir>, Failure> {
        Ok(std::iter::once(self.state_dir()?).chain(self.builder_dir()?).collect())
    }
}
