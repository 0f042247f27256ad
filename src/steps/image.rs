//! The image: created once under its deterministic name, or adopted when an earlier try made it.

use super::Steps;
use super::call::{Repeat, state};
use crate::engine::failure::Failure;
use crate::engine::run::Done;
use crate::engine::tools::Until;
use crate::engine::wait::Seen;
use crate::exit::Exit;
use crate::journal::{Fold, IntentState, Outcome};
use crate::model::{Fault, FaultKind, Image, ImageId, ImageRequest, ImageState, Residue, Tags, Thing, tags};
use crate::plan::CONSISTENT;
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use std::cell::Cell;

/// What the step leaves for later ones.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Made {
    /// The image.
    pub image: ImageId,
}

/// How long an image may stay pending: the EC2 guide says "sometimes up to 24 hours"; a terminal is not watched so long, and
/// the same command goes on where it stopped.
const PATIENCE: SignedDuration = SignedDuration::from_hours(2);

impl Steps {
    /// CreateImage has no ClientToken: its key is the name. Looks first, creates next, adopts a duplicate that is ours.
    pub(super) async fn make_image(&self, step: &str, request: &ImageRequest) -> Result<Done, Failure> {
        if let Some(done) = self.settle_image(step, &request.name, &request.tags).await? {
            return Ok(done);
        }
        if let Some(image) = self.image_named(&request.name, &request.tags).await? {
            return self.adopted(step, &image);
        }
        let what = format!("create image {} of {}", request.name, request.instance);
        let made: Result<Made, Failure> = self
            .mutate(
                step,
                &what,
                Repeat::LookFirst,
                async || self.clients.draft_image(request).await,
                async |permit| {
                    let image = self.clients.create_image(permit).await?;
                    Ok((vec![image.to_string()], Made { image }))
                },
            )
            .await;
        match made {
            Ok(made) => {
                let detail = format!("image {}", made.image);
                Ok(Done::new(super::output(&made)?, detail))
            }
            Err(failure) => {
                let found = match failure.fault.as_ref().map(|fault| fault.kind) {
                    Some(FaultKind::Exists) => {
                        let there = self.image_after_unknown(&request.name, &request.tags).await?;
                        there.map(|image| self.adopted(step, &image)).transpose()?
                    }
                    Some(kind) if kind.outcome_unknown() => {
                        self.settle_image(step, &request.name, &request.tags).await?
                    }
                    Some(_) | None => None,
                };
                found.ok_or(failure)
            }
        }
    }

    /// Finds out how the step's calls of unknown outcome came out: the image that bears the name, or nothing.
    pub(super) async fn settle_image(&self, step: &str, name: &str, tags: &Tags) -> Result<Option<Done>, Failure> {
        let open: Vec<_> =
            self.journal.with_fold(|fold| fold.of_step(step).filter(|one| one.open()).cloned().collect());
        if open.is_empty() {
            return Ok(None);
        }
        if let Some(image) = self.image_after_unknown(name, tags).await? {
            return self.adopted(step, &image).map(Some);
        }
        for intent in open {
            self.journal.settle(intent.id, Outcome::Failed(absent(&intent, name)), self.clock.now()).map_err(state)?;
        }
        Ok(None)
    }

    /// Looks for the image for as long as a fresh one may be invisible.
    async fn image_after_unknown(&self, name: &str, tags: &Tags) -> Result<Option<Image>, Failure> {
        let deadline = self.clock.now() + CONSISTENT;
        loop {
            if let Some(image) = self.image_named(name, tags).await? {
                return Ok(Some(image));
            }
            if self.clock.now() >= deadline {
                return Ok(None);
            }
            self.pause(std::time::Duration::from_secs(10)).await?;
        }
    }

    async fn image_named(&self, name: &str, wanted: &Tags) -> Result<Option<Image>, Failure> {
        let what = format!("look for image {name}");
        let image = self.read(&what, async || self.clients.image_by_name(name).await).await?;
        let ours = |image: &Image| {
            image.tags.get(tags::FLEET) == Some(self.fleet.name.as_str())
                && image.tags.get(tags::RUN) == wanted.get(tags::RUN)
        };
        match image {
            Some(image) if !ours(&image) => Err(Failure::new(
                Exit::Refused,
                format!("image name {name} is taken by {}, which this run did not make", image.id),
            )
            .hint("fleetwright bake     # a new run takes a new name")),
            image => Ok(image),
        }
    }

    /// The name is the run's own: whatever was tried under it made this image, or nothing.
    fn adopted(&self, step: &str, image: &Image) -> Result<Done, Failure> {
        self.events.note(format!("image {} was created by an earlier try", image.id));
        let made = super::output(&Made { image: image.id.clone() })?;
        let open = |fold: &Fold| fold.of_step(step).filter(|intent| intent.open()).map(|intent| intent.id).collect();
        let open: Vec<_> = self.journal.with_fold(open);
        for intent in open {
            let outcome = Outcome::Done { ids: vec![image.id.to_string()], data: made.clone(), request_id: None };
            self.journal.settle(intent, outcome, self.clock.now()).map_err(state)?;
        }
        Ok(Done::unchanged(made, format!("image {}", image.id)))
    }

    /// Waits until the image can be launched; one that failed is named with its reason and what it left.
    pub(super) async fn image_available(&self, step: &str) -> Result<Done, Failure> {
        let made: Made = self.output_of("image")?;
        let image = self.launchable(step, &made.image).await.map_err(|(failure, _)| {
            failure
                .leaving(Residue::Remaining(vec![Thing { kind: "image".to_owned(), id: made.image.to_string() }]))
                .hint("fleetwright bake              # goes on waiting, or makes another if this one failed")
                .hint("fleetwright down --images     # ends images beyond the newest that are kept")
        })?;
        if self
            .read("read launch permissions", async || self.clients.launch_permissions_public(&made.image).await)
            .await?
        {
            return Err(Failure::new(Exit::Refused, format!("image {} may be launched by anybody", made.image)).hint(
                format!("aws ec2 reset-image-attribute --image-id {} --attribute launchPermission", made.image),
            ));
        }
        Ok(Done::new(super::output(&made)?, format!("{} ({})", image.id, image.name)))
    }

    /// Waits until an image can be launched. With the failure comes whether it is the image's own, and final.
    pub(super) async fn launchable(&self, step: &str, id: &ImageId) -> Result<Image, (Failure, bool)> {
        let deadline = self.clock.now() + PATIENCE;
        let what = format!("image {id} to be available");
        let failed = Cell::new(false);
        self.until(Until { step: step.to_owned(), what, good: 3, deadline }, async || {
            Ok(match self.clients.image(id).await? {
                Some(image) => match &image.state {
                    ImageState::Available => Seen::Good(image),
                    ImageState::Pending => Seen::NotYet("pending".into()),
                    ImageState::Failed | ImageState::Other(_) => {
                        failed.set(true);
                        Seen::Never(format!(
                            "it is {}: {}",
                            image.state.as_str(),
                            image.state_reason.as_deref().unwrap_or("no reason given")
                        ))
                    }
                },
                None => Seen::NotYet("not visible yet".into()),
            })
        })
        .await
        .map_err(|failure| {
            // Nobody can go on with it: the same command makes another.
            let exit = if failed.get() { Exit::Partial } else { failure.exit };
            (Failure { exit, ..failure }, failed.get())
        })
    }
}

/// Why a call of unknown outcome counts as not carried out.
fn absent(intent: &IntentState, name: &str) -> Fault {
    Fault {
        kind: FaultKind::Gone,
        action: intent.call.action.clone(),
        code: "absent".to_owned(),
        message: format!("asked at {}, never answered, and {CONSISTENT:#} later no image {name} is there", intent.last),
        reason: "it was not carried out: it is made anew".to_owned(),
        request_id: None,
    }
}
