//! `launch`: the fleet has N hosts, or the shortfall named.

use super::Told;
use super::campaign::{Look, Order};
use super::context::Context;
use super::hold::Held;
use super::watch::Watch;
use crate::cli::request::{Launch, Until as CliUntil};
use crate::engine::failure::Failure;
use crate::exit::Exit;
use crate::gate::Reason;
use crate::journal::{FleetDir, History};
use crate::model::{Image, ImageId, ImageState, Instance, Survey, count, tags};
use crate::plan::bake::to_come;
use crate::plan::birth::{Birth, follow};
use crate::plan::group::ours;
use crate::plan::launch::{Input, check_attested, choose_image, plan};
use crate::plan::{Action, Plan, Step, Until};
use crate::report::answer::{Launched, LiveHosts};
use crate::spec::fleet::HostsSpec;
use crate::spec::{Need, require};
use crate::steps::carry::carried;
use crate::steps::{Options, TAG_OFF, past};
use crate::survey;
use std::path::PathBuf;
use std::sync::PoisonError;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Hosts that end again during a launch are replaced so often; then the operator has to look.
const ROUNDS: usize = 3;
/// Between two looks at a host whose group's name is not there yet.
const LOOK: Duration = Duration::from_secs(10);

impl Context {
    pub(super) async fn launch(&self, launch: Launch) -> Result<Exit, Failure> {
        let held = self.hold("launch").await?;
        self.adopt_first(&held, launch.adopt).await?;
        let answer = self.launch_held(&held, &launch).await?;
        if !launch.watch || self.global.dry_run {
            return self.tell(Told::good(answer));
        }
        let watch = Watch { held: Some(&held), size: Some(answer.hosts.wanted) };
        let watched = self.watch(&watch, &CancellationToken::new()).await?;
        let (exit, why) = watched.stopped.unwrap_or((Exit::Partial, String::new()));
        let failure = Failure::to(exit, format!("keep the fleet at its size: {why}"))
            .hint("fleetwright status     # what is there, and why hosts ended");
        self.tell(Told { answer: self.launched(&held, &launch).await?, failure: Some(failure) })
    }

    /// Launches under a claim that is held already.
    pub(super) async fn launch_held(&self, held: &Held, launch: &Launch) -> Result<Launched, Failure> {
        self.need(Need::Hosts)?;
        Self::check_shrinking(held)?;
        if !launch.keep {
            self.finish_replacement(held).await?;
        }
        for _ in 0..ROUNDS {
            let order = self.launch_order(launch);
            let ran = self.run(held, order, async |look| self.plan_launch(look, launch).await).await?;
            if ran.run.is_none() {
                return self.launched(held, launch).await;
            }
            let dead = ran.journal.is_some_and(|journal| {
                journal.with_fold(|fold| {
                    fold.steps
                        .get("settle")
                        .and_then(|output| output.get("dead"))
                        .and_then(|dead| dead.as_object())
                        .is_some_and(|dead| !dead.is_empty())
                })
            });
            if !dead {
                return self.launched(held, launch).await;
            }
            if self.applied.is_some() {
                return Err(Failure::to(
                    Exit::Partial,
                    "keep the fleet at its size: hosts ended again, and the plan is done",
                )
                .hint("fleetwright launch     # brings what is missing"));
            }
        }
        Err(Failure::to(Exit::Partial, format!("keep the fleet at its size: hosts ended again in {ROUNDS} rounds"))
            .hint("fleetwright status     # what is there, and why hosts ended"))
    }

    /// What a launch is asked for.
    pub(super) fn launch_order(&self, launch: &Launch) -> Order<'static> {
        // The size is no part of the spec's digest, but a plan for another size is another plan.
        let hosts = self.fleet.fleet.as_ref();
        let asked = Launch { watch: false, ..launch.clone() };
        let arguments = format!("{asked:?} {:?}", hosts.map(|hosts| (hosts.size, hosts.accept_min)));
        Order { verb: "launch", arguments, options: Options::default() }
    }

    /// Goes on with a replacement that was cut short: what it asked for may be there already, and comes first.
    pub(super) async fn finish_replacement(&self, held: &Held) -> Result<(), Failure> {
        let history = Self::whole_history(&held.state)?;
        let run = history.unfinished().find_map(|past| {
            let begun = past.fold.begun.as_ref().filter(|begun| begun.verb == "launch")?;
            past::gives_way(begun).then(|| begun.run.clone())
        });
        let Some(run) = run else { return Ok(()) };
        let launch = Launch { keep: true, ..Launch::default() };
        let order = Order { verb: "launch", arguments: String::new(), options: Options::default() };
        self.going_on(run, async || self.run(held, order, async |look| self.plan_launch(look, &launch).await).await)
            .await?;
        Ok(())
    }

    /// Does `work` with this run as the one that is gone on with, whatever its arguments were.
    pub(super) async fn going_on<T>(&self, run: String, work: impl AsyncFnOnce() -> T) -> T {
        let set = |run| std::mem::replace(&mut *self.resuming.lock().unwrap_or_else(PoisonError::into_inner), run);
        let before = set(Some(run));
        let done = Box::pin(work()).await;
        set(before);
        done
    }

    /// Plans a launch from a look at the account.
    pub(super) async fn plan_launch(&self, look: Look<'_>, launch: &Launch) -> Result<Plan, Failure> {
        let Some(hosts) = &self.fleet.fleet else {
            return Err(Failure::new(Exit::Usage, "launch: the spec has no `fleet` section"));
        };
        let history = Self::whole_history(look.state)?;
        let survey = past::without_ended(self.certain(look.survey, &history).await?, &history);
        self.check_strangers(&survey, &history)?;
        self.check_members(&survey).await?;
        let named;
        let image = match (&launch.image, self.planned("bake")) {
            (Some(id), _) => {
                named = self.named_image(id).await?;
                check_attested(&named, launch.unattested)?;
                &named
            }
            (None, Some(bake)) => {
                named = self.image_to_come(&bake, survey.template.as_ref());
                &named
            }
            (None, None) => choose_image(&survey.images, &self.fleet.image, launch.unattested)?,
        };
        if let (Some(then), Some(now)) = (image.tags.get(tags::RELEASE), self.release_digest()?)
            && then != now
        {
            self.events.warn(format!(
                "image {} was verified with another release or playbook than the spec names now: `push` brings the release, \
                 `fleetwright verify` and `bake` make an image of today's",
                image.id
            ));
        }
        let user_data = user_data(hosts)?;
        let drain = self.drain.as_ref().map(|playbook| carried(&self.fleet, playbook)).transpose()?;
        let offers = self.offers(hosts, &survey, image.architecture.as_deref()).await?;
        let now = self.clock.now();
        let mut plan = plan(&Input {
            birth: Birth {
                fleet: &self.fleet,
                hosts,
                survey: &survey,
                offers: offers.as_ref(),
                image,
                user_data: user_data.as_deref(),
                drain: drain.as_deref(),
            },
            job: self.job(),
            size: launch.n.unwrap_or(hosts.size),
            until: match launch.until {
                CliUntil::Running => Until::Running,
                CliUntil::Ssh => Until::Ssh,
                CliUntil::Ready => Until::Ready,
            },
            unseen: past::unseen(&history, &survey).into_keys().collect(),
            unsettled: past::unsettled(&history, &survey.instances),
            attempts: &past::attempts(&history),
            dry: past::dry(&history, now),
            request: look.request,
            now,
        })?;
        if launch.keep {
            for step in &mut plan.steps {
                match &mut step.action {
                    Action::Accept { min, .. } => *min = 0,
                    Action::InService { min, abort, .. } => (*min, *abort) = (0, false),
                    _ => {}
                }
            }
            plan.notes.push(past::GIVES_WAY.to_owned());
        } else {
            // A replacement makes the fleet no larger, and whoever watches asks for the budget before it.
            self.check_launch_budget(&survey, &history, plan.estimate.as_deref()).await?;
            plan = self.with_windows(plan, survey.group.as_deref()).await?;
        }
        Ok(plan)
    }

    /// The steps after which the fleet's group launches from this image, or from the one that the step `of` leaves.
    pub(super) async fn followed(
        &self,
        survey: &Survey,
        image: &Image,
        of: Option<&str>,
    ) -> Result<(Vec<Step>, Vec<String>), Failure> {
        let Some(hosts) = self.fleet.fleet.as_ref().filter(|_| ours(&self.fleet, survey).is_some()) else {
            return Ok((Vec::new(), Vec::new()));
        };
        let user_data = user_data(hosts)?;
        let drain = self.drain.as_ref().map(|playbook| carried(&self.fleet, playbook)).transpose()?;
        let offers = self.offers(hosts, survey, image.architecture.as_deref()).await?;
        let (offers, user_data, drain) = (offers.as_ref(), user_data.as_deref(), drain.as_deref());
        let birth = Birth { fleet: &self.fleet, hosts, survey, offers, image, user_data, drain };
        Ok(follow(&birth, of, self.clock.now())?)
    }

    /// The image that a planned bake would make.
    pub(super) fn image_to_come(&self, bake: &Plan, template: Option<&Instance>) -> Image {
        let (name, tags) = to_come(bake).unwrap_or_default();
        Image {
            id: ImageId::new("the one that bake makes"),
            name,
            owner: self.fleet.account.to_string(),
            state: ImageState::Available,
            state_reason: None,
            created: None,
            architecture: template.and_then(|instance| instance.architecture.clone()),
            root_device: None,
            root_gib: None,
            snapshots: Vec::new(),
            gib: 0,
            template: template.map(|instance| instance.id.clone()),
            base: template.map(|instance| instance.image.clone()),
            tags,
        }
    }

    /// The survey, or a later one: while nobody knows whether a teardown that was cut short ended hosts, a look may still
    /// show them as living; and of a host that the fleet's group launched moments ago it may not show yet that this did.
    pub(super) async fn certain(&self, survey: &Survey, history: &History) -> Result<Survey, Failure> {
        let mut survey = survey.clone();
        if let Some(until) = past::doubtful_until(history, survey.at) {
            self.events.note(format!(
                "a teardown was cut short: waiting until {until}, when all that it ended is seen as ended"
            ));
            self.pause_until(until).await?;
            survey = self.survey().await?;
        }
        let disguised = past::disguised(history, &self.fleet.name);
        let mut told = false;
        while ours(&self.fleet, &survey).is_some() {
            let unsure = |host: &&Instance| host.state.live() && disguised(host) && past::young(host, survey.at);
            let Some(host) = survey.instances.iter().find(unsure) else { break };
            if !std::mem::replace(&mut told, true) {
                self.events.note(format!("waiting until AWS shows which group launched {}", host.id));
            }
            self.pause(LOOK).await?;
            survey = self.survey().await?;
        }
        Ok(survey)
    }

    pub(super) async fn named_image(&self, id: &str) -> Result<Image, Failure> {
        let clients = self.clients().await?;
        let image = ImageId::new(id);
        let found = self.read(&format!("look at image {id}"), async || clients.image(&image).await).await?;
        found.ok_or_else(|| {
            let hint = if id.starts_with("ami-") {
                "fleetwright images list     # lists this fleet's images"
            } else {
                "--image takes an id: fleetwright images list     # ids and names of this fleet's images"
            };
            Failure::to(Exit::Usage, format!("find an image of the id {id} in {}", self.fleet.region)).hint(hint)
        })
    }

    /// Hosts with our tags that no journal here knows belong to another machine's campaign until somebody says otherwise.
    pub(super) fn check_strangers(&self, survey: &Survey, history: &History) -> Result<(), Failure> {
        let known = past::known_intents(history);
        let disguised = past::disguised(history, &self.fleet.name);
        let live = || survey.instances.iter().filter(|i| i.state.live());
        let copied: Vec<&str> = live().filter(|i| disguised(i)).map(|i| i.id.as_str()).collect();
        if !copied.is_empty() {
            let (hosts, list) = (count(copied.len(), "host"), copied.join(", "));
            return Err(Failure::new(Exit::Refused, format!("{hosts} in disguise, {list}: {}", Reason::Copied))
                .hint(TAG_OFF)
                .hint("fleetwright adopt     # when they are yours all the same; then again"));
        }
        // Another machine's hosts of the same epoch carry tokens that this machine would make as well: they converge. Only
        // without any launch in a journal here is the question not asked.
        if known.iter().any(|intent| intent.starts_with("fw")) { Self::check_known(survey, history) } else { Ok(()) }
    }

    /// Refuses where no journal here knows a host: what is launched in its place would come, and it would not go.
    pub(super) fn check_known(survey: &Survey, history: &History) -> Result<(), Failure> {
        let known = past::known_intents(history);
        let knows = |host: &Instance| host.tags.get(tags::INTENT).is_some_and(|intent| known.contains(intent));
        let live = survey.instances.iter().filter(|host| host.state.live());
        let strangers: Vec<&Instance> = live.filter(|host| !knows(host)).collect();
        let listed = |hosts: &[&Instance]| {
            let ids: Vec<&str> = hosts.iter().map(|host| host.id.as_str()).collect();
            (count(ids.len(), "host"), ids.join(", "))
        };
        // Somebody launched them with our launch template, or tagged them: `adopt` has nothing to know them by.
        let by_hand = |host: &&Instance| host.tags.get(tags::INTENT).is_none();
        let by_hand: Vec<&Instance> = strangers.iter().copied().filter(by_hand).collect();
        if let Some(first) = by_hand.first() {
            let (hosts, list) = listed(&by_hand);
            let why =
                format!("{hosts} with the tag of this fleet and no {}, by which ours are known: {list}", tags::INTENT);
            return Err(Failure::new(Exit::Refused, why)
                .hint(TAG_OFF)
                .hint(format!("aws ec2 terminate-instances --instance-ids {}     # where it is to go", first.id)));
        }
        if strangers.is_empty() {
            return Ok(());
        }
        let (hosts, list) = listed(&strangers);
        Err(Failure::new(Exit::Refused, format!("no journal here knows {hosts} of this fleet: {list}"))
            .hint("run it on the machine that launched them, or take them over:")
            .hint("fleetwright adopt     # then again"))
    }

    /// Refuses to count hosts of which some are drained and about to end.
    fn check_shrinking(held: &Held) -> Result<(), Failure> {
        let history = Self::whole_history(&held.state)?;
        let shrinking = history.unfinished().find(|past| past.fold.begun.as_ref().is_some_and(|b| b.verb == "scale"));
        shrinking.map_or(Ok(()), |past| {
            let run = past.dir.run();
            Err(Failure::new(
                Exit::Refused,
                format!("run {run} of scale is unfinished: hosts that it drained still count, and do nothing"),
            )
            .hint(format!("fleetwright resume {run}     # ends them; then launch")))
        })
    }

    async fn launched(&self, held: &Held, launch: &Launch) -> Result<Launched, Failure> {
        let live = self.live_hosts(&held.state).await?;
        let wanted = launch.n.or_else(|| self.fleet.fleet.as_ref().map(|hosts| hosts.size)).unwrap_or(0);
        let hosts = LiveHosts { wanted, live };
        Ok(Launched { fleet: self.fleet.name.to_string(), hosts, api_calls: self.calls() })
    }

    /// How many hosts take a place: without what a call of ours has ended, and with what one has launched and no look shows yet.
    pub(super) async fn live_hosts(&self, state: &FleetDir) -> Result<usize, Failure> {
        let clients = self.clients().await?;
        let look = async || survey::hosts(&clients, &self.fleet).await;
        let (mut instances, group) = self.read("look at the fleet", look).await?;
        survey::as_members(&mut instances, group.as_ref());
        let seen = Survey::untaken(self.clock.now(), self.fleet.account.clone(), self.fleet.region.clone());
        let history = Self::whole_history(state)?;
        let seen = past::without_ended(Survey { instances, ..seen }, &history);
        let unseen = past::unseen(&history, &seen).len();
        Ok(seen.instances.iter().filter(|host| host.has_place()).count() + unseen)
    }

    /// Refuses a spec that lacks what a verb needs, each lack with an example.
    pub(super) fn need(&self, need: Need) -> Result<(), Failure> {
        require(&self.fleet, &[need]).map_err(|problems| {
            super::context::talk(&problems.render(false));
            Failure::to(Exit::Usage, format!("read {}: {}", self.fleet.file.display(), problems.summary()))
        })
    }
}

/// The spec's own user data.
fn user_data(hosts: &HostsSpec) -> Result<Option<Vec<u8>>, Failure> {
    let read = |path: &PathBuf| {
        std::fs::read(path).map_err(|e| Failure::to(Exit::Usage, format!("read user data {}: {e}", path.display())))
    };
    hosts.user_data.as_ref().map(read).transpose()
}
