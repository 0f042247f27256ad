//! The base image of a template that is built, found once for all that is done with it.

use super::context::Context;
use crate::engine::failure::Failure;
use crate::plan::base::with_base;
use crate::spec::build::BaseImage;
use crate::survey::base::base_image;
use std::sync::Arc;

impl Context {
    /// The same program with the base image by its id: the newest that there is now, where the spec means one by its name.
    pub(super) async fn based(&self) -> Result<Self, Failure> {
        let build = self.fleet.build().filter(|build| matches!(build.base_image, BaseImage::Newest { .. }));
        let Some(build) = build else { return Ok(self.with(Arc::clone(&self.fleet))) };
        let clients = self.clients().await?;
        let look = async || base_image(&clients, build, self.clock.now()).await;
        let Some(image) = self.read("look for the base image", look).await?? else {
            return Ok(self.with(Arc::clone(&self.fleet)));
        };
        let based = self.with(Arc::new(with_base(&self.fleet, build, &image)));
        if let Some(told) = based.fleet.build().and_then(|build| build.base_image.told()) {
            self.events.note(told);
        }
        Ok(based)
    }
}
