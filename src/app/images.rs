//! `images`: this fleet's images, who needs them, how two of them differ, and the end of those that nobody needs.

use super::Told;
use super::campaign::Order;
use super::context::{Context, state};
use crate::cli::request::Images;
use crate::engine::failure::Failure;
use crate::exit::Exit;
use crate::journal::{History, IntentState, Journal, Outcome};
use crate::model::{Image, ImageId, Survey, tags};
use crate::plan::images::{Fate, Seen, fates, plan, users};
use crate::report::answer::{Difference, ImageDiff, ImagePage, ImageRow, ImageUse, Pruned};
use crate::steps::{Attestation, Options, leftovers, past};
use crate::survey::{For, Look};
use std::collections::{BTreeMap, BTreeSet};

impl Context {
    pub(super) async fn images(&self, wanted: Images) -> Result<Exit, Failure> {
        match wanted {
            Images::List => self.list_images().await,
            Images::Prune { adopt } => self.prune_images(adopt).await,
            Images::Diff { from, to } => self.diff_images(&from, to.as_deref()).await,
        }
    }

    async fn list_images(&self) -> Result<Exit, Failure> {
        let survey = self.own_survey(For::Planning).await?;
        let keep = self.fleet.image.keep;
        let seen = self.every_region(survey).await?;
        let row = |survey: &Survey, image: &Image, fate: Fate| {
            let users = users(survey, image);
            let tag = |key| image.tags.get(key).map(str::to_owned);
            ImageRow {
                id: image.id.to_string(),
                region: survey.region.to_string(),
                name: image.name.clone(),
                state: image.state.as_str().to_owned(),
                created: image.created,
                release: tag(tags::RELEASE),
                attested: image.tags.get(tags::ATTESTATION).is_some(),
                run: tag(tags::RUN),
                gib: image.gib,
                snapshots: image.snapshots.iter().map(ToString::to_string).collect(),
                usage: match fate {
                    Fate::Used => ImageUse::Used,
                    Fate::Protected => ImageUse::Protected,
                    Fate::Kept => ImageUse::Kept,
                    Fate::Surplus => ImageUse::Surplus,
                },
                hosts: users.hosts,
                template_versions: users.versions,
            }
        };
        let rows = |survey: &Survey| -> Vec<ImageRow> {
            let fates = fates(survey, keep);
            survey.images.iter().zip(fates).map(|(image, fate)| row(survey, image, fate)).collect()
        };
        let answer = ImagePage {
            fleet: self.fleet.name.to_string(),
            keep,
            images: seen.iter().flat_map(|Seen { survey, .. }| rows(survey)).collect(),
            loose_snapshots: seen.iter().flat_map(|seen| seen.loose.clone()).collect(),
            api_calls: self.calls(),
        };
        self.tell(Told::good(answer))
    }

    /// The images of the fleet's own region and of every other that may have copies of them, each with the snapshots that
    /// no image holds.
    pub(super) async fn every_region(&self, own: Survey) -> Result<Vec<Seen>, Failure> {
        let clients = self.clients().await?;
        let history = History::read(&self.state_dir()?).map_err(state)?;
        let mut surveys = vec![own];
        for region in past::copied_to(&history, &self.fleet) {
            let (clients, fleet) = (clients.in_region(&region), self.fleet.abroad(&region));
            let (look, what) = (Look::default(), format!("look for copies in {region}"));
            let read = async || look.at(&clients, &fleet, &*self.clock, For::Planning).await;
            surveys.push(self.read(&what, read).await?);
        }
        let mut seen = Vec::new();
        for survey in surveys {
            let clients = clients.in_region(&survey.region);
            let what = "list this fleet's snapshots";
            let snapshots = self.read(what, async || clients.snapshots_of_fleet(&self.fleet.name).await).await?;
            let loose = leftovers::loose(snapshots, &survey.images);
            let loose = loose.iter().map(|snapshot| snapshot.id.to_string()).collect();
            seen.push(Seen { survey, loose });
        }
        Ok(seen)
    }

    /// This fleet's images in its own region, newest first.
    pub(super) async fn own_images(&self) -> Result<Vec<Image>, Failure> {
        let clients = self.clients().await?;
        self.read("list this fleet's images", async || clients.images_of_fleet(&self.fleet.name).await).await
    }

    async fn prune_images(&self, adopt: bool) -> Result<Exit, Failure> {
        let held = self.hold("images prune").await?;
        self.adopt_first(&held, adopt).await?;
        let options = Options::default();
        let arguments = self.fleet.image.keep.to_string();
        let order = Order { verb: "images prune", arguments, options };
        let ran = self
            .run(&held, order, async |look| {
                Ok(plan(&self.fleet, &Box::pin(self.every_region(look.survey.clone())).await?, look.request))
            })
            .await?;
        let ended = ended_by(ran.journal.as_deref());
        let seen = Box::pin(self.every_region(Box::pin(self.look(For::Telling)).await?)).await?;
        let images = seen.iter().flat_map(|seen| &seen.survey.images).map(|image| image.id.to_string());
        self.tell(Told::good(Pruned {
            fleet: self.fleet.name.to_string(),
            // What was ended a moment ago may still be shown.
            images_kept: images.filter(|id| !ended.contains(id)).collect(),
            ended: ended.into_iter().collect(),
            api_calls: self.calls(),
        }))
    }

    async fn diff_images(&self, from: &str, to: Option<&str>) -> Result<Exit, Failure> {
        self.check_account().await?;
        let images = self.own_images().await?;
        let from = self.meant_image(&images, from).await?;
        let to = match to {
            Some(name) => self.meant_image(&images, name).await?,
            None => images.iter().find(|image| image.launchable()).cloned().ok_or_else(|| {
                Failure::to(Exit::Usage, "find another image: none of this fleet can be launched")
                    .hint("fleetwright bake     # makes one")
            })?,
        };
        let history = History::read(&self.state_dir()?).map_err(state)?;
        let playbook = |image: &Image| verified_with(&history, image);
        let (one, other) = (facts(&from, playbook(&from)), facts(&to, playbook(&to)));
        let known: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
        let differences = known
            .into_iter()
            .map(|fact| Difference { fact: fact.clone(), from: one.get(fact).cloned(), to: other.get(fact).cloned() })
            .filter(|difference| difference.from != difference.to);
        self.tell(Told::good(ImageDiff {
            from: from.id.to_string(),
            to: to.id.to_string(),
            differences: differences.collect(),
            api_calls: self.calls(),
        }))
    }

    /// The image of this id or name.
    async fn meant_image(&self, own: &[Image], name: &str) -> Result<Image, Failure> {
        if let Some(image) = own.iter().find(|image| image.id.as_str() == name || image.name == name) {
            return Ok(image.clone());
        }
        let clients = self.clients().await?;
        let found = if name.starts_with("ami-") {
            let id = ImageId::new(name);
            self.read(&format!("look at image {name}"), async || clients.image(&id).await).await?
        } else {
            None
        };
        found.ok_or_else(|| {
            Failure::to(Exit::Usage, format!("find image {name}: it is not in {}", self.fleet.region))
                .hint("fleetwright images list     # lists this fleet's images")
        })
    }
}

/// Ids of all that the calls of a run, which only ends things, ended.
pub(super) fn ended_by(journal: Option<&Journal>) -> BTreeSet<String> {
    let ids = |intent: &IntentState| match &intent.outcome {
        Some(Outcome::Done { ids, .. }) => ids.clone(),
        Some(Outcome::Failed(_) | Outcome::Unknown(_)) | None => Vec::new(),
    };
    journal.map(|journal| journal.with_fold(|fold| fold.intents.iter().flat_map(ids).collect())).unwrap_or_default()
}

/// Digest of the verify playbook that an image rests on, where a journal of this machine knows it.
fn verified_with(history: &History, image: &Image) -> Option<String> {
    let attestation = image.tags.get(tags::ATTESTATION)?;
    let scans = history.runs().filter_map(|past| past.fold.steps.get("scan")?.get("attestation").cloned());
    let known = scans.filter_map(|value| serde_json::from_value::<Attestation>(value).ok());
    known.into_iter().find(|known| known.digest == attestation)?.playbook
}

/// What is known of an image, in words that can be compared.
fn facts(image: &Image, playbook: Option<String>) -> BTreeMap<String, String> {
    let mut facts: BTreeMap<String, String> = image
        .tags
        .iter()
        .filter(|(key, _)| !key.starts_with(tags::PREFIX))
        .map(|(key, value)| (format!("tag {key}"), value.to_owned()))
        .collect();
    let tag = |key| image.tags.get(key).map(str::to_owned);
    let more = [
        ("name", Some(image.name.clone())),
        ("state", Some(image.state.as_str().to_owned())),
        ("created", image.created.map(|at| at.to_string())),
        ("owner", Some(image.owner.clone())),
        ("architecture", image.architecture.clone()),
        ("root device", image.root_device.clone()),
        ("size", Some(format!("{} GiB", image.gib))),
        ("template", image.template.as_ref().map(ToString::to_string)),
        ("base image", image.base.as_ref().map(ToString::to_string)),
        ("run", tag(tags::RUN)),
        ("release and playbooks", tag(tags::RELEASE)),
        ("attestation", tag(tags::ATTESTATION)),
        ("verify playbook", playbook),
    ];
    facts.extend(more.into_iter().filter_map(|(fact, value)| Some((fact.to_owned(), value?))));
    facts
}
