//! A look for the base image that a spec means by owner and name.

use crate::aws::Clients;
use crate::model::{Fault, Image};
use crate::plan::Unplannable;
use crate::plan::base::newest;
use crate::spec::build::{BaseImage, Build};
use jiff::Timestamp;

/// The base image of a build, absent if AWS does not know the id; or why an owner and a name lead to none. Of those that a
/// name means, the ones that the instance type can't boot are none.
///
/// # Errors
///
/// When AWS can't be asked.
pub async fn base_image(
    clients: &Clients,
    build: &Build,
    now: Timestamp,
) -> Result<Result<Option<Image>, Unplannable>, Fault> {
    let (owner, name) = match &build.base_image {
        BaseImage::Newest { owner, name } => (owner, name),
        BaseImage::Named(id) | BaseImage::Found { id, .. } => return Ok(Ok(clients.image(id).await?)),
    };
    let types = clients.types_named(std::slice::from_ref(&build.instance_type)).await?;
    // A type with several boots images of each; an unknown one is refused when it is launched, in AWS's words.
    let known = types.first().map(|offer| offer.architectures.as_slice()).unwrap_or_default();
    let architecture = Some(known).filter(|known| known.len() == 1).and_then(|known| known.first());
    let architecture = architecture.map(String::as_str);
    let mut found = clients.images_named(owner, name, architecture, false).await?;
    if found.is_empty() {
        // Those that nobody should launch tell more than none does.
        found = clients.images_named(owner, name, architecture, true).await?;
    }
    Ok(newest(&found, &build.base_image, architecture, now).map(|image| Some(image.clone())))
}
