//! Copies of an image: encrypted, or in another region; the end of what was only there to be copied, and of a failed copy.

use super::Steps;
use super::call::Repeat;
use super::image::Made;
use crate::engine::failure::Failure;
use crate::engine::run::Done;
use crate::exit::Exit;
use crate::journal::log::REPLAY_LIMIT;
use crate::model::{CopyRequest, FaultKind, ImageId, Region, Residue, Thing};
use serde_json::json;
use std::sync::Arc;

impl Steps {
    /// The same steps in another region, where the fleet has nothing but copies of its images.
    pub(super) fn at(&self, region: &Region) -> Self {
        if *region == self.fleet.region {
            return self.clone();
        }
        let clients = Arc::new(self.clients.in_region(region));
        Self { fleet: Arc::new(self.fleet.abroad(region)), clients, ..self.clone() }
    }

    /// CopyImage has a ClientToken. One that is too old to be sent again has made what bears the name, or nothing.
    pub(super) async fn copy_image(&self, step: &str, request: &CopyRequest) -> Result<Done, Failure> {
        let there = self.at(&request.region);
        let source: Made = self.output_of(&request.of)?;
        let old = there.forgotten(step, REPLAY_LIMIT).is_some();
        if old && let Some(done) = there.settle_image(step, &request.name, &request.tags).await? {
            return Ok(done);
        }
        let what = format!("copy image {} to {}", source.image, request.region);
        let made: Result<Made, Failure> = there
            .mutate(
                step,
                &what,
                if old { Repeat::LookFirst } else { Repeat::Safe },
                async || there.clients.draft_copy(request, &self.fleet.region, &source.image).await,
                async |permit| {
                    let image = there.clients.copy_image(permit).await?;
                    Ok((vec![image.to_string()], Made { image }))
                },
            )
            .await;
        let made = made.map_err(|failure| {
            let gone = failure.fault.as_ref().is_some_and(|fault| fault.kind == FaultKind::Gone);
            let failure = self.draft_named(failure, &request.region, &source.image);
            // Somebody ended it since: the same command makes another.
            if gone {
                Failure { exit: Exit::Partial, ..failure }.hint("fleetwright bake     # makes another")
            } else {
                failure
            }
        })?;
        let detail = format!("image {} in {}", made.image, request.region);
        Ok(Done::new(super::output(&made)?, detail))
    }

    /// Waits until a copy can be launched. One that failed is ended, with what was only there to be copied.
    pub(super) async fn copied(&self, step: &str, of: &str, region: &Region) -> Result<Done, Failure> {
        let there = self.at(region);
        let made: Made = self.output_of(of)?;
        let source: Made = self.output_of("image")?;
        let (failure, failed) = match there.launchable(step, &made.image).await {
            Ok(image) => {
                let detail = format!("{} ({}) in {region}", image.id, image.name);
                return Ok(Done::new(super::output(&made)?, detail));
            }
            Err(why) => why,
        };
        if !failed {
            let failure = failure.hint("fleetwright bake     # goes on waiting");
            return Err(self.draft_named(failure, region, &source.image));
        }
        let mut ended = there.end_image(step, &made.image, &self.run.to_string()).await;
        let draft = *region == self.fleet.region;
        if draft && ended.is_ok() {
            ended = self.end_image(step, &source.image, &self.run.to_string()).await;
        }
        let failure = failure.hint(
            "does the key exist in that region, enabled, and may these credentials use it? fleetwright doctor tells",
        );
        match ended {
            Ok(_) if draft => Err(failure.hint("fleetwright bake     # nothing is left of this one: it makes another")),
            Ok(_) => {
                let home = &self.fleet.region;
                Err(failure.hint(format!("fleetwright bake     # makes another; that in {home} is good and stays")))
            }
            Err(why) => {
                let mut left = vec![image(&made.image)];
                left.extend(draft.then(|| image(&source.image)));
                Err(Failure { exit: Exit::Residue, ..failure }
                    .leaving(Residue::Remaining(left))
                    .hint(format!("it could not be ended: {why}"))
                    .hint("fleetwright images prune     # tries again"))
            }
        }
    }

    /// Ends the image that was only there to be copied.
    pub(super) async fn draft_gone(&self, step: &str, of: &str) -> Result<Done, Failure> {
        let made: Made = self.output_of(of)?;
        let ended = self
            .end_image(step, &made.image, &self.run.to_string())
            .await
            .map_err(|failure| self.draft_named(failure, &self.fleet.region, &made.image))?;
        Ok(Done::new(json!({ "n": ended }), format!("image {} is gone", made.image)))
    }

    /// Names what goes on to be billed while an encrypted copy is not there.
    fn draft_named(&self, failure: Failure, region: &Region, source: &ImageId) -> Failure {
        if *region == self.fleet.region { failure.leaving(Residue::Remaining(vec![image(source)])) } else { failure }
    }
}

fn image(id: &ImageId) -> Thing {
    Thing { kind: "image".to_owned(), id: id.to_string() }
}
