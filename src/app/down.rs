//! `down`: nothing that costs money is left.

use super::Told;
use super::campaign::{Look, Order};
use super::context::{Context, state};
use super::hold::Held;
use crate::cli::request::Down;
use crate::engine::failure::Failure;
use crate::exit::Exit;
use crate::journal::History;
use crate::model::{InstanceState, Residue, Survey, Thing, count};
use crate::plan::down;
use crate::plan::verify::canary_queue;
use crate::report::answer::TornDown;
use crate::steps::{Options, past};
use crate::survey::For;
use std::time::Duration;

/// How long the look may take that a `down` without time left ends with, wall time.
const LAST_LOOK: Duration = Duration::from_secs(20);

impl Context {
    /// Whether anything that a teardown ends is seen or may still appear.
    pub(super) async fn anything(&self, look: &Look<'_>, history: &History, images: bool) -> Result<bool, Failure> {
        let Survey { instances, launch_template, group, .. } = look.survey;
        if instances.iter().any(|host| host.state != InstanceState::Terminated)
            || launch_template.is_some()
            || group.is_some()
            || images && !look.survey.images.is_empty()
            || history.unfinished().next().is_some()
            || !past::unseen(history, look.survey).is_empty()
        {
            return Ok(true);
        }
        let (clients, name) = (self.clients().await?, &self.fleet.name);
        let volumes = self.read("list this fleet's volumes", async || clients.volumes_of_fleet(name).await).await?;
        let prefix = canary_queue(name.as_str(), "");
        let queues = self.read("list queues of ours", async || clients.queues_with_prefix(&prefix).await).await?;
        if !volumes.is_empty() || !queues.is_empty() {
            return Ok(true);
        }
        if !images {
            return Ok(false);
        }
        let seen = Box::pin(self.every_region(look.survey.clone())).await?;
        Ok(seen.iter().any(|seen| !seen.survey.images.is_empty() || !seen.loose.is_empty()))
    }

    /// A `down` that ran out of time: what is still seen, and what that costs.
    pub(super) async fn cut_short(&self, after: &str) -> Failure {
        let again = "fleetwright down     # goes on; a longer --timeout gives it more time";
        let seen = tokio::time::timeout(LAST_LOOK, async {
            let survey = self.survey().await?;
            let history = History::read(&self.state_dir()?).map_err(state)?;
            let spent = self.spent(&survey, &history, &mut None).await;
            Ok::<_, Failure>((survey, spent))
        });
        let Ok(Ok((survey, spent))) = seen.await else {
            return Failure::to(Exit::Residue, format!("finish within --timeout {after}, or to see what remains"))
                .hint("fleetwright status     # lists what is there")
                .hint(again);
        };
        let thing = |kind: &str, id: String| Thing { kind: kind.to_owned(), id };
        let hosts = survey.instances.iter().chain(&survey.built).filter(|host| host.state != InstanceState::Terminated);
        let mut things: Vec<Thing> = hosts.map(|host| thing("instance", host.id.to_string())).collect();
        things.extend(survey.launch_template.iter().map(|made| thing("launch-template", made.id.to_string())));
        let failure = Failure::to(Exit::Residue, format!("finish within --timeout {after}"));
        let failure = failure.leaving(Residue::Unknown(things)).hint(again);
        match spent.hosts {
            0 => failure,
            hosts => failure.hint(format!("until then {}: {} an hour", count(hosts, "host"), spent.per_hour)),
        }
    }

    pub(super) async fn down(&self, wanted: Down) -> Result<Exit, Failure> {
        if !wanted.only.is_empty() {
            return self.down_only(&wanted.only, wanted.adopt, !wanted.no_drain).await;
        }
        let held = self.hold("down").await?;
        self.adopt_first(&held, wanted.adopt).await?;
        let adopt = wanted.adopt;
        let answer = self.part(self.down_held(&held, wanted)).await;
        // What the fleet can't end keeps a template that was built from its end no more than the other way round.
        let template = Box::pin(self.end_template(adopt, false)).await;
        match (answer, template) {
            (Ok(Some(answer)), Ok(())) => self.tell(Told::good(answer)),
            (Ok(None), Ok(())) => Ok(Exit::Done),
            (Err(failure), Err(other)) => {
                self.events.warn(other.to_string());
                Err(failure)
            }
            (Err(failure), Ok(())) | (Ok(_), Err(failure)) => Err(failure),
        }
    }

    /// Tears down under a claim that is held already.
    pub(super) async fn down_held(&self, held: &Held, wanted: Down) -> Result<TornDown, Failure> {
        let order = Order { verb: "down", arguments: format!("{wanted:?}"), options: Options::default() };
        self.run(held, order, async |look| {
            let history = Self::whole_history(look.state)?;
            let open = past::open_creation(&history);
            let there = self.coming() > 0 || self.anything(&look, &history, wanted.images).await?;
            let of_spec = self.fleet.fleet.as_ref().is_some_and(|hosts| hosts.group.is_some());
            let grouped = of_spec || look.survey.group.is_some();
            let copied_to = past::copied_to(&history, &self.fleet);
            let images = wanted.images.then_some(&copied_to);
            let now = self.clock.now();
            let mut plan = down::plan(&self.fleet, images, open, there, grouped, now, look.request);
            let live = crate::survey::live(look.survey).len();
            match self.coming() {
                0 if !there => plan.notes.push("nothing of this fleet is seen".to_owned()),
                0 => plan.notes.push(format!("now there: {}", count(live, "host"))),
                coming => plan.notes.push(format!("now there: {}; {coming} will be launched", count(live, "host"))),
            }
            if !wanted.images && !look.survey.images.is_empty() {
                plan.notes.push({
                    let images = count(look.survey.images.len(), "image");
                    format!("{images} not touched; --images ends those not in use")
                });
            }
            Ok(plan)
        })
        .await?;
        let seen = Box::pin(self.every_region(Box::pin(self.look(For::Telling)).await?)).await?;
        let images = seen.iter().flat_map(|seen| &seen.survey.images);
        Box::pin(self.tell_of_windows()).await;
        Ok(TornDown {
            fleet: self.fleet.name.to_string(),
            remaining: Vec::new(),
            images_kept: images.map(|image| image.id.to_string()).collect(),
            loose_snapshots: seen.iter().flat_map(|seen| seen.loose.clone()).collect(),
            api_calls: self.calls(),
        })
    }
}
