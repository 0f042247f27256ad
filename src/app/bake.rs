//! `bake`: an image of the verified template.

use super::Told;
use super::campaign::{Held, Order};
use super::context::{Context, state};
use crate::cli::request::Bake;
use crate::engine::failure::Failure;
use crate::exit::Exit;
use crate::journal::FleetDir;
use crate::journal::History;
use crate::model::{ImageState, tags};
use crate::plan::bake::{Input, plan};
use crate::plan::token::digest;
use crate::report::answer::Baked;
use crate::spec::Need;
use crate::steps::{Attestation, Made, Options};
use jiff::SignedDuration;
use sha2::{Digest, Sha256};

/// A verification older than this says little about the template as it is now.
const FRESH: SignedDuration = SignedDuration::from_hours(24);

impl Context {
    pub(super) async fn bake(&self, wanted: Bake) -> Result<Exit, Failure> {
        let held = self.hold("bake").await?;
        let answer = self.bake_held(&held, wanted).await?;
        self.tell(Told::good(answer))
    }

    /// Bakes under a claim that is held already.
    pub(super) async fn bake_held(&self, held: &Held, wanted: Bake) -> Result<Baked, Failure> {
        self.need(Need::Template)?;
        let Some(template) = self.fleet.template.clone() else {
            return Err(Failure::new(Exit::Usage, "bake: the spec has no `template` section"));
        };
        let release = self.release_digest()?;
        if wanted.if_changed
            && let Some(image) = self.same_image(release.as_deref()).await?
        {
            self.nothing("bake", format!("image {image} has the same release and playbooks"));
            return Ok(self.baked(&image));
        }
        let attestation = match self.attestation(&held.state, template.instance.as_str())? {
            Some(attestation) => Some(attestation.digest),
            None if wanted.unverified || wanted.no_login => None,
            None if self.planned("verify").is_some() => None,
            None => {
                return Err(Failure::to(
                    Exit::Refused,
                    format!("bake {}: no verification of the last 24 h stands behind it", template.instance),
                )
                .hint("fleetwright verify")
                .hint("or bake it all the same with --unverified; launch will want --unattested then"));
            }
        };
        if wanted.no_login {
            self.events.warn(format!(
                "nobody logs in to {}: keys and credentials on its disk are copied to every host",
                template.instance
            ));
        }
        let order = Order { verb: "bake", arguments: format!("{wanted:?}"), options: Options::default() };
        let ran = self
            .run(held, order, async |look| {
                let mut plan = plan(&Input {
                    fleet: &self.fleet,
                    template: &template,
                    run: &look.run.to_string(),
                    run_short: &look.run.short(),
                    attestation: attestation.as_deref(),
                    release: release.as_deref(),
                    login: !wanted.no_login,
                    no_reboot: wanted.no_reboot,
                    request: look.request,
                });
                if let Some(group) = &look.survey.group {
                    plan.notes.push(format!(
                        "{} is not touched: hosts that it launches by itself are born from the image it has, until \
                         `fleetwright launch` gives it this one; `fleetwright recycle now` also replaces those there are",
                        group.name
                    ));
                }
                Ok(plan)
            })
            .await?;
        let made = ran
            .journal
            .and_then(|journal| journal.with_fold(|fold| fold.steps.get("image").cloned()))
            .and_then(|output| serde_json::from_value::<Made>(output).ok());
        match made {
            Some(made) => Ok(self.baked(made.image.as_str())),
            None => Err(Failure::to(Exit::Bug, "find the image that was made")),
        }
    }

    fn baked(&self, image: &str) -> Baked {
        Baked { image: image.to_owned(), api_calls: self.calls() }
    }

    /// The newest available image, when it was made of the same release and playbooks.
    async fn same_image(&self, release: Option<&str>) -> Result<Option<String>, Failure> {
        let clients = self.clients().await?;
        let mut images =
            self.read("list this fleet's images", async || clients.images_of_fleet(&self.fleet.name).await).await?;
        images.sort_by(|a, b| b.created.cmp(&a.created).then_with(|| b.name.cmp(&a.name)));
        let newest = images.into_iter().find(|image| image.state == ImageState::Available);
        Ok(newest.filter(|image| image.tags.get(tags::RELEASE) == release).map(|image| image.id.to_string()))
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
