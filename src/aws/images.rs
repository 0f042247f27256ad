//! Images: looked up, made, deregistered with their snapshots.

use super::Clients;
use super::convert::{birth_tags, filter, need, pages, read, tags};
use super::exact::{capture, invalid, send};
use crate::gate::OwnedIds;
use crate::journal::{Draft, Permit};
use crate::model::{
    CopyRequest, Fault, FleetName, Image, ImageId, ImageRequest, ImageState, InstanceId, Region, tags as keys,
};
use aws_sdk_ec2::types::{Filter, ImageAttributeName, PermissionGroup, ResourceType};
use jiff::Timestamp;

const DESCRIBE: &str = "DescribeImages";
const CREATE: &str = "CreateImage";
const COPY: &str = "CopyImage";
const DEREGISTER: &str = "DeregisterImage";

impl Clients {
    /// Our account's images with the fleet's tag, newest first, those that are disabled among them.
    pub async fn images_of_fleet(&self, fleet: &FleetName) -> Result<Vec<Image>, Fault> {
        let mut images = self.images(self.of_fleet(fleet), true).await?;
        images.sort_by(|a, b| (b.created, &b.id).cmp(&(a.created, &a.id)));
        Ok(images)
    }

    /// One image of any owner, absent if AWS does not know it.
    pub async fn image(&self, id: &ImageId) -> Result<Option<Image>, Fault> {
        Ok(self.images(vec![filter("image-id", [id.as_str()])], false).await?.into_iter().find(|image| image.id == *id))
    }

    /// Our own account's image of this name: a name alone could be a stranger's.
    pub async fn image_by_name(&self, name: &str) -> Result<Option<Image>, Fault> {
        Ok(self.images(vec![filter("name", [name])], true).await?.into_iter().find(|image| image.name == name))
    }

    /// Images of an owner's that bear a name, in which `*` and `?` stand for others, each with when it is deprecated; those
    /// of another architecture apart. Who owns them is told by EC2: `self`, `amazon`, an account. Those that are deprecated,
    /// disabled or not there yet are among them only where `all` are asked for; our own that are deprecated always are.
    pub async fn images_named(
        &self,
        owner: &str,
        name: &str,
        architecture: Option<&str>,
        all: bool,
    ) -> Result<Vec<(Image, Option<Timestamp>)>, Fault> {
        let mut filters = vec![filter("name", [name]), filter("image-type", ["machine"])];
        filters.extend(architecture.map(|one| filter("architecture", [one])));
        if !all {
            filters.push(filter("state", ["available"]));
        }
        let raw = pages(DESCRIBE, |token| {
            let call = self.ec2().describe_images().owners(owner).set_filters(Some(filters.clone())).max_results(1000);
            let call = call.set_next_token(token).include_deprecated(all).include_disabled(all);
            async {
                let answer = read(DESCRIBE, call.send()).await?;
                Ok((answer.images.unwrap_or_default(), answer.next_token))
            }
        });
        let dated = |raw: aws_sdk_ec2::types::Image| {
            let deprecated = raw.deprecation_time().and_then(|text| text.parse().ok());
            Ok((image(raw)?, deprecated))
        };
        raw.await?.into_iter().map(dated).collect()
    }

    /// What tells a fleet's images and snapshots: its tag, and in another region than its own that they are copies.
    pub(super) fn of_fleet(&self, fleet: &FleetName) -> Vec<Filter> {
        let tagged = |key: &str, value: &str| filter(&format!("tag:{key}"), [value]);
        let copied = self.home().map(|home| tagged(keys::COPIED_FROM, home.as_str()));
        std::iter::once(tagged(keys::FLEET, fleet.as_str())).chain(copied).collect()
    }

    async fn images(&self, filters: Vec<Filter>, own: bool) -> Result<Vec<Image>, Fault> {
        let raw = pages(DESCRIBE, |token| {
            let call = self.ec2().describe_images().set_filters(Some(filters.clone())).max_results(1000);
            // What is deprecated can be launched by its id, and a filter by id does not name it; what is disabled is paid for,
            // and holds its snapshots, too.
            let call = call.set_next_token(token).include_deprecated(true).include_disabled(true);
            let call = if own { call.owners("self") } else { call };
            async {
                let answer = read(DESCRIBE, call.send()).await?;
                Ok((answer.images.unwrap_or_default(), answer.next_token))
            }
        });
        raw.await?.into_iter().map(image).collect()
    }

    /// Whether every AWS account may launch this image.
    pub async fn launch_permissions_public(&self, image: &ImageId) -> Result<bool, Fault> {
        const ACTION: &str = "DescribeImageAttribute";
        let attribute = ImageAttributeName::LaunchPermission;
        let call = self.ec2().describe_image_attribute().image_id(image.as_str()).attribute(attribute);
        let answer = read(ACTION, call.send()).await?;
        Ok(answer.launch_permissions().iter().any(|permission| permission.group == Some(PermissionGroup::All)))
    }

    /// Drafts an image, with its tags and its snapshots' from birth.
    pub async fn draft_image(&self, request: &ImageRequest) -> Result<Draft, Fault> {
        let born = [ResourceType::Image, ResourceType::Snapshot].into_iter();
        let born: Vec<_> = born.filter_map(|kind| birth_tags(kind, &request.tags)).collect();
        let call = self
            .ec2()
            .create_image()
            .name(&request.name)
            .instance_id(request.instance.as_str())
            .description(&request.description)
            .no_reboot(request.no_reboot)
            .set_tag_specifications(Some(born).filter(|born| !born.is_empty()));
        capture(CREATE, None, |hook| call.customize().interceptor(hook).send()).await
    }

    /// Makes the drafted image. Has no ClientToken: a repeated call answers `Exists` once the first was carried out.
    pub async fn create_image(&self, permit: &Permit) -> Result<ImageId, Fault> {
        let call = self.ec2().create_image().customize();
        let answer = send(CREATE, permit, |hook| call.interceptor(hook).send()).await?;
        Ok(ImageId::new(need(CREATE, "image id", answer.image_id)?))
    }

    /// Drafts a copy of an image of the region `from`, with its tags and its snapshots' from birth; it is made in the
    /// region of these clients.
    pub async fn draft_copy(&self, request: &CopyRequest, from: &Region, source: &ImageId) -> Result<Draft, Fault> {
        let born = [ResourceType::Image, ResourceType::Snapshot].into_iter();
        let born: Vec<_> = born.filter_map(|kind| birth_tags(kind, &request.tags)).collect();
        let call = self
            .ec2()
            .copy_image()
            .name(&request.name)
            .description(&request.description)
            .source_region(from.as_str())
            .source_image_id(source.as_str())
            .client_token(&request.token)
            .set_encrypted(request.kms_key.is_some().then_some(true))
            .set_kms_key_id(request.kms_key.clone())
            .set_tag_specifications(Some(born).filter(|born| !born.is_empty()));
        capture(COPY, Some(&request.token), |hook| call.customize().interceptor(hook).send()).await
    }

    /// Makes the drafted copy.
    pub async fn copy_image(&self, permit: &Permit) -> Result<ImageId, Fault> {
        let call = self.ec2().copy_image().customize();
        let answer = send(COPY, permit, |hook| call.interceptor(hook).send()).await?;
        Ok(ImageId::new(need(COPY, "image id", answer.image_id)?))
    }

    /// Drafts the end of one image and of the snapshots that belong to no other.
    ///
    /// # Errors
    ///
    /// `Invalid` unless there is exactly one id.
    pub async fn draft_deregister(&self, image: &OwnedIds) -> Result<Draft, Fault> {
        let id = one(DEREGISTER, image)?;
        let call = self.ec2().deregister_image().image_id(id).delete_associated_snapshots(true);
        capture(DEREGISTER, None, |hook| call.customize().interceptor(hook).send()).await
    }

    /// Ends the drafted image. Snapshots that other images share stay; `Gone` when the image is ended already.
    pub async fn deregister(&self, permit: &Permit) -> Result<(), Fault> {
        let call = self.ec2().deregister_image().customize();
        send(DEREGISTER, permit, |hook| call.interceptor(hook).send()).await.map(drop)
    }
}

/// The single id of a call that takes one.
pub(super) fn one<'a>(action: &str, ids: &'a OwnedIds) -> Result<&'a str, Fault> {
    match ids.ids() {
        [id] => Ok(id),
        ids => Err(invalid(action, &format!("{} ids where one is needed", ids.len()))),
    }
}

/// The SDK's image as ours.
fn image(raw: aws_sdk_ec2::types::Image) -> Result<Image, Fault> {
    let snapshots = raw.block_device_mappings().iter().filter_map(|mapping| mapping.ebs()?.snapshot_id());
    let sizes = raw.block_device_mappings().iter().filter_map(|mapping| mapping.ebs()?.volume_size());
    let state = raw.state.as_ref().map_or("unknown", |state| state.as_str());
    let root = raw.block_device_mappings().iter().find(|mapping| mapping.device_name() == raw.root_device_name());
    let root_gib = root.and_then(|root| root.ebs()?.volume_size()).and_then(|gib| u32::try_from(gib).ok());
    Ok(Image {
        root_gib,
        state: match state {
            "pending" => ImageState::Pending,
            "available" => ImageState::Available,
            "failed" | "error" | "invalid" => ImageState::Failed,
            other => ImageState::Other(other.to_owned()),
        },
        snapshots: snapshots.map(Into::into).collect(),
        gib: sizes.filter_map(|size| u64::try_from(size).ok()).sum(),
        template: raw.source_instance_id.as_deref().map(InstanceId::new),
        base: raw.source_image_id.as_deref().map(ImageId::new),
        tags: tags(raw.tags()),
        state_reason: raw.state_reason.as_ref().and_then(|reason| reason.message()).map(str::to_owned),
        created: raw.creation_date.as_deref().and_then(|text| text.parse().ok()),
        architecture: raw.architecture.as_ref().map(|architecture| architecture.as_str().to_owned()),
        id: ImageId::new(need(DESCRIBE, "image id", raw.image_id)?),
        name: raw.name.unwrap_or_default(),
        owner: raw.owner_id.unwrap_or_default(),
        root_device: raw.root_device_name,
    })
}
