//! `bake`: an image of the verified template.

use super::Told;
use super::build::After;
use super::campaign::Order;
use super::context::{Context, state};
use super::hold::Held;
use crate::cli::request::{Bake, Verify};
use crate::engine::failure::Failure;
use crate::exit::Exit;
use crate::journal::{FleetDir, Fold, History};
use crate::model::{Image, ImageId, Region, Survey, tags};
use crate::plan::Plan;
use crate::plan::bake::{Input, made, maker, plan};
use crate::plan::group::ours;
use crate::plan::launch::check_attested;
use crate::plan::token::digest;
use crate::report::answer::Baked;
use crate::spec::Need;
use crate::steps::{Attestation, Made, Options};
use jiff::SignedDuration;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// A verification older than this says little about the template as it is now.
const FRESH: SignedDuration = SignedDuration::from_hours(24);
/// What a group's new image does not do.
const STAY: &str = "the group's hosts stay as they are; `fleetwright recycle now` replaces them";

impl Context {
    pub(super) async fn bake(&self, wanted: Bake) -> Result<Exit, Failure> {
        let held = self.hold("bake").await?;
        let answer = self.bake_held(&held, wanted).await?;
        self.tell(Told::good(answer))
    }

    /// Bakes under a claim that is held already.
    pub(super) async fn bake_held(&self, held: &Held, wanted: Bake) -> Result<Baked, Failure> {
        self.need(Need::Template)?;
        Box::pin(Box::pin(self.based()).await?.bake_based(held, wanted)).await
    }

    /// Bakes, the base image known.
    async fn bake_based(&self, held: &Held, wanted: Bake) -> Result<Baked, Failure> {
        let release = self.release_digest()?;
        if let Some(image) = Box::pin(self.earlier_bake(held, wanted, release.as_deref())).await? {
            return Ok(image);
        }
        if wanted.if_changed
            && let Some((image, copies)) = self.same_image(release.as_deref()).await?
        {
            if !wanted.keep {
                Box::pin(self.end_template(false, true)).await?;
            }
            self.group_has(held, wanted, &image).await?;
            return Ok(self.baked(&image.id, copies));
        }
        let after = After::unless(wanted.keep, After::Ends);
        self.with_template(held, after, async |there: &Self| there.bake_template(held, wanted, release).await).await
    }

    /// Bakes a template that is there; one that was built is verified first.
    async fn bake_template(&self, held: &Held, wanted: Bake, release: Option<String>) -> Result<Baked, Failure> {
        let Some(template) = self.fleet.template.clone() else {
            return Err(Failure::new(Exit::Usage, "bake: the spec has no `template` section"));
        };
        let (instance, made_of) = (template.id(), self.made_of());
        let attested = || self.attestation(&held.state, instance.as_str());
        if made_of.is_some() && !wanted.unverified && !wanted.no_login && attested()?.is_none() {
            self.part(Box::pin(self.verify_held(held, Verify::default()))).await?;
        }
        let attestation = match attested()? {
            Some(attestation) => Some(attestation.digest),
            None if wanted.unverified || wanted.no_login => None,
            None if self.planned("verify").is_some() => None,
            None => {
                return Err(Failure::to(
                    Exit::Refused,
                    format!("bake {instance}: no verification of the last 24 h stands behind it"),
                )
                .hint("fleetwright verify")
                .hint("or bake it all the same with --unverified; launch will want --unattested then"));
            }
        };
        if wanted.no_login {
            self.events.warn(format!(
                "nobody logs in to {instance}: keys and credentials on its disk are copied to every host"
            ));
        }
        let order = self.bake_order(wanted);
        self.settle_others(held, &order).await?;
        let ran = self
            .run(held, order, async |look| {
                let mut plan = plan(&Input {
                    fleet: &self.fleet,
                    template: &template,
                    run: &look.run.to_string(),
                    run_short: &look.run.short(),
                    attestation: attestation.as_deref(),
                    release: release.as_deref(),
                    build: made_of.as_deref(),
                    login: !wanted.no_login,
                    no_reboot: wanted.no_reboot,
                    request: look.request,
                });
                self.to_the_group(&mut plan, look.survey, attestation.is_some()).await?;
                Ok(plan)
            })
            .await?;
        let baked = ran.journal.and_then(|journal| journal.with_fold(|fold| self.baked_by(fold)));
        baked.ok_or_else(|| Failure::to(Exit::Bug, "find the image that was made"))
    }

    /// What a bake is asked for.
    pub(super) fn bake_order(&self, wanted: Bake) -> Order<'static> {
        // Other copies are another bake, though the hosts are the same.
        let regions = self.fleet.image.copy_to.iter().map(Region::as_str);
        let arguments = regions.fold(format!("{wanted:?}"), |all, region| format!("{all} {region}"));
        Order { verb: "bake", arguments, options: Options::default() }
    }

    /// What a bake has made, once it has.
    pub(super) fn baked_by(&self, fold: &Fold) -> Option<Baked> {
        let read = |output: &Value| serde_json::from_value::<Made>(output.clone()).ok();
        let regions = self.fleet.image.copy_to.iter().map(Region::to_string);
        let copies = regions.filter_map(|region| {
            let made = read(fold.steps.get(&format!("copy-{region}"))?)?;
            Some((region, made.image.to_string()))
        });
        Some(self.baked(&made(fold).and_then(read)?.image, copies.collect()))
    }

    /// Nothing is baked, since this image is what a bake would make: the fleet's own group launches from it all the same, as
    /// after that bake.
    async fn group_has(&self, held: &Held, wanted: Bake, image: &Image) -> Result<(), Failure> {
        let why = format!("image {} has the same release and playbooks", image.id);
        let grouped = self.fleet.fleet.as_ref().is_some_and(|hosts| hosts.group.is_some());
        let attested = check_attested(image, false).is_ok();
        if !grouped || !attested || self.followed(&self.survey().await?, image, None).await?.0.is_empty() {
            self.nothing("bake", why);
            return Ok(());
        }
        self.run(held, self.bake_order(wanted), async |look| {
            let (steps, mut notes) = self.followed(look.survey, image, None).await?;
            notes.push(why.clone());
            notes.extend((!steps.is_empty()).then(|| STAY.to_owned()));
            Ok(Plan { steps, notes, ..Plan::new("bake", self.fleet.key(), look.request) })
        })
        .await
        .map(drop)
    }

    /// Lets the fleet's own group launch from the image from then on, where a launch would.
    async fn to_the_group(&self, plan: &mut Plan, survey: &Survey, attested: bool) -> Result<(), Failure> {
        let Some(group) = ours(&self.fleet, survey) else { return Ok(()) };
        if !attested && self.planned("verify").is_none() {
            plan.notes.push(format!(
                "{} keeps the image that it has: this one carries no attestation; `fleetwright launch --unattested` gives it \
                 to hosts that are launched from then on",
                group.name
            ));
            return Ok(());
        }
        let image = self.image_to_come(plan, survey.template.as_ref());
        let (steps, notes) = self.followed(survey, &image, Some(maker(plan))).await?;
        plan.notes.extend((!steps.is_empty()).then(|| STAY.to_owned()));
        plan.steps.extend(steps);
        plan.notes.extend(notes);
        Ok(())
    }

    fn baked(&self, image: &ImageId, copies: BTreeMap<String, String>) -> Baked {
        Baked { image: image.to_string(), copies, api_calls: self.calls() }
    }

    /// The newest image that can be launched, when it was made of the same release and playbooks, is encrypted as the spec
    /// wants, and has every copy that it wants.
    async fn same_image(&self, release: Option<&str>) -> Result<Option<(Image, BTreeMap<String, String>)>, Failure> {
        let clients = self.clients().await?;
        let mut images =
            self.read("list this fleet's images", async || clients.images_of_fleet(&self.fleet.name).await).await?;
        images.sort_by(|a, b| b.created.cmp(&a.created).then_with(|| b.name.cmp(&a.name)));
        let made_of = self.made_of();
        let wanted = [
            (tags::RELEASE, release),
            (tags::KEY, self.fleet.image.kms_key.as_deref()),
            (tags::BUILD, made_of.as_deref()),
        ];
        let same = |image: &Image| wanted.iter().all(|(key, value)| image.tags.get(key) == *value);
        let Some(newest) = images.into_iter().find(Image::launchable).filter(same) else { return Ok(None) };
        let mut copies = BTreeMap::new();
        for region in &self.fleet.image.copy_to {
            let clients = clients.in_region(region);
            let look = async || clients.images_of_fleet(&self.fleet.name).await;
            let there = self.read(&format!("look for copies in {region}"), look).await?;
            let run = |image: &Image| image.tags.get(tags::RUN) == newest.tags.get(tags::RUN);
            let Some(copy) = there.into_iter().find(|image| image.launchable() && run(image)) else { return Ok(None) };
            copies.insert(region.to_string(), copy.id.to_string());
        }
        Ok(Some((newest, copies)))
    }

    /// Digest of release archive and playbooks; none when the spec names no release.
    pub(super) fn release_digest(&self) -> Result<Option<String>, Failure> {
        let Some(release) = &self.fleet.release else { return Ok(None) };
        let bytes = match std::fs::read(&release.from) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                return Err(Failure::to(Exit::Usage, format!("read release {}: {error}", release.from.display())));
            }
        };
        let archive = data_encoding::HEXLOWER.encode(&Sha256::digest(&bytes));
        let playbook = |playbook: &Option<std::sync::Arc<crate::spec::Playbook>>| {
            playbook.as_ref().map(|playbook| playbook.digest.clone()).unwrap_or_default()
        };
        Ok(Some(digest(&[&archive, &playbook(&self.deploy), &playbook(&self.verify)])))
    }

    /// The newest verification of this template that ended well, by the journals.
    pub(super) fn attestation(&self, dir: &FleetDir, template: &str) -> Result<Option<Attestation>, Failure> {
        let now = self.clock.now();
        let playbook = self.verify.as_ref().map(|playbook| playbook.digest.clone());
        let history = History::read(dir).map_err(state)?;
        let found = history
            .runs()
            .filter(|past| past.fold.ended == Some(Exit::Done))
            .filter(|past| {
                past.fold
                    .begun
                    .as_ref()
                    .is_some_and(|begun| begun.verb == "verify" && now.duration_since(begun.at) < FRESH)
            })
            .filter_map(|past| past.fold.steps.get("scan")?.get("attestation").cloned())
            .filter_map(|value| serde_json::from_value::<Attestation>(value).ok())
            .find(|attestation| attestation.instance == template && attestation.playbook == playbook);
        Ok(found)
    }
}
