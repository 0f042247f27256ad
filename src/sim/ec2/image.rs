//! DescribeImages, DescribeImageAttribute, DeregisterImage.

use super::filter::Filters;
use super::network::done;
use super::page::{Bounds, page};
use super::params::invalid;
use super::records::{Image, Making};
use super::{Ask, Ec2, ids, when, write_tags};
use crate::sim::api::{ApiError, Handled, Reply};
use crate::sim::xml::Xml;

/// The account that Amazon's own Linux images belong to.
pub(super) const AMAZON: &str = "137112412989";

const KNOWN: [&str; 24] = [
    "architecture",
    "block-device-mapping.delete-on-termination",
    "block-device-mapping.device-name",
    "block-device-mapping.encrypted",
    "block-device-mapping.snapshot-id",
    "block-device-mapping.volume-size",
    "block-device-mapping.volume-type",
    "creation-date",
    "description",
    "ena-support",
    "hypervisor",
    "image-id",
    "image-type",
    "is-public",
    "name",
    "owner-alias",
    "owner-id",
    "root-device-name",
    "root-device-type",
    "source-instance-id",
    "state",
    "state-reason-code",
    "virtualization-type",
    "tag",
];

fn state(image: &Image) -> &'static str {
    match image.made {
        Making::Pending => "pending",
        Making::Done if image.disabled => "disabled",
        Making::Done => "available",
        Making::Failed => "failed",
    }
}

/// StateReason of a failed image.
const FAILED: (&str, &str) = ("Client.InternalError", "Client.InternalError: Client error on image creation");

fn facts(image: &Image, name: &str) -> Vec<String> {
    let each = |fact: fn(&super::records::ImageDevice) -> String| image.devices.iter().map(fact).collect();
    match name {
        "architecture" => vec![image.architecture.clone()],
        "block-device-mapping.delete-on-termination" => each(|device| device.ends.to_string()),
        "block-device-mapping.device-name" => each(|device| device.device.clone()),
        "block-device-mapping.encrypted" => each(|device| device.encrypted.to_string()),
        "block-device-mapping.snapshot-id" => each(|device| device.snapshot.clone().unwrap_or_default()),
        "block-device-mapping.volume-size" => each(|device| device.size.to_string()),
        "block-device-mapping.volume-type" => each(|device| device.kind.clone()),
        "creation-date" => vec![when(image.created)],
        "description" => image.description.clone().into_iter().collect(),
        "ena-support" => vec!["true".to_owned()],
        "hypervisor" => vec!["xen".to_owned()],
        "image-id" => vec![image.id.clone()],
        "image-type" => vec!["machine".to_owned()],
        "is-public" => vec![image.public.to_string()],
        "name" => vec![image.name.clone()],
        "owner-alias" => alias(image).map(str::to_owned).into_iter().collect(),
        "owner-id" => vec![owner_id(image).to_owned()],
        "root-device-name" => vec![image.root_device.clone()],
        "root-device-type" => vec!["ebs".to_owned()],
        "source-instance-id" => image.source.clone().into_iter().collect(),
        "state" => vec![state(image).to_owned()],
        "state-reason-code" if image.made == Making::Failed => vec![FAILED.0.to_owned()],
        "virtualization-type" => vec!["hvm".to_owned()],
        _ => Vec::new(),
    }
}

fn alias(image: &Image) -> Option<&'static str> {
    (image.owner == "amazon" || image.owner == AMAZON).then_some("amazon")
}

fn owner_id(image: &Image) -> &str {
    if image.owner == "amazon" { AMAZON } else { &image.owner }
}

/// One image, as DescribeImages gives it.
fn write_image(xml: &mut Xml, image: &Image) {
    xml.text("imageId", &image.id)
        .text("imageLocation", format!("{}/{}", owner_id(image), image.name))
        .text("imageState", state(image))
        .text("imageOwnerId", owner_id(image))
        .opt("imageOwnerAlias", alias(image))
        .text("creationDate", when(image.created))
        .text("isPublic", image.public)
        .text("architecture", &image.architecture)
        .text("imageType", "machine")
        .text("platformDetails", "Linux/UNIX")
        .text("usageOperation", "RunInstances")
        .text("name", &image.name)
        .opt("description", image.description.as_ref())
        .text("rootDeviceType", "ebs")
        .text("rootDeviceName", &image.root_device)
        .text("virtualizationType", "hvm")
        .text("hypervisor", "xen")
        .text("enaSupport", true)
        .opt("sourceInstanceId", image.source.as_ref())
        .opt("sourceImageId", image.source_image.as_ref().map(|(id, _)| id))
        .opt("sourceImageRegion", image.source_image.as_ref().map(|(_, region)| region))
        .opt("lastLaunchedTime", image.last_launched.map(when))
        .opt("deprecationTime", image.deprecated.map(when));
    if image.made == Making::Failed {
        xml.open("stateReason", |xml| {
            xml.text("code", FAILED.0).text("message", FAILED.1);
        });
    }
    xml.list("blockDeviceMapping", &image.devices, |xml, device| {
        xml.text("deviceName", &device.device).open("ebs", |xml| {
            xml.opt("snapshotId", device.snapshot.as_ref())
                .text("volumeSize", device.size)
                .text("deleteOnTermination", device.ends)
                .text("volumeType", &device.kind)
                .opt("iops", device.iops)
                .opt("throughput", device.throughput)
                .text("encrypted", device.encrypted);
        });
    });
    write_tags(xml, &image.tags);
}

impl Ec2 {
    /// DescribeImages: without ids and owners those that this account may launch.
    pub(super) fn describe_images(&self, ask: &Ask) -> Handled {
        let filters = Filters::read(&ask.params, &KNOWN)?;
        let wanted = ask.wanted("ImageId", "ami", |id| self.images.seen(id, &ask.eye).is_some())?;
        let owners = ask.params.texts("Owner");
        let users = ask.params.texts("ExecutableBy");
        let mut retired = Vec::new();
        for (_, image) in self.images.all_seen(&ask.eye) {
            if self.retired(image, ask)? {
                retired.push(image.id.clone());
            }
        }
        let found = self.images.all_seen(&ask.eye).filter(|(_, image)| {
            wanted.takes(&image.id)
                && !retired.contains(&image.id)
                && self.owned(&image.owner, &owners)
                && (users.is_empty()
                    || users.iter().any(|user| match user.as_str() {
                        "all" => image.public,
                        "self" => image.owner == self.account,
                        other => image.owner == other,
                    }))
                && filters.pass(&image.tags, |name| facts(image, name))
        });
        let page = page(&ask.params, "DescribeImages", Bounds(1, 1000), found)?;
        let mut xml = Xml::new();
        xml.list("imagesSet", &page.items, |xml, image| write_image(xml, image));
        Ok(done(xml, page.next))
    }

    /// Who may launch it, and what it says of itself.
    pub(super) fn describe_image_attribute(&self, ask: &Ask) -> Handled {
        let id = ask.params.need("ImageId")?;
        let image = self.images.seen(id, &ask.eye).ok_or_else(|| ids::unknown("ami", id))?;
        if image.owner != self.account {
            return Err(ApiError::new("AuthFailure", format!("Not authorized for image:{id}")));
        }
        let mut xml = Xml::new();
        xml.text("imageId", id);
        match ask.params.need("Attribute")? {
            "launchPermission" => {
                xml.list("launchPermission", image.public.then_some("all"), |xml, group| {
                    xml.text("group", group);
                });
            }
            "description" => {
                xml.open("description", |xml| {
                    xml.opt("value", image.description.as_ref());
                });
            }
            other => {
                return Err(invalid(format!("Value ({other}) for parameter attribute is invalid. Unknown attribute.")));
            }
        }
        Ok(Reply { body: xml.finish(), ..Reply::default() })
    }

    /// The image goes; its snapshots only when asked.
    pub(super) fn deregister_image(&mut self, ask: &Ask) -> Handled {
        let id = ask.params.need("ImageId")?.to_owned();
        let seen = self.images.seen(&id, &ask.eye).and_then(|_| self.images.get(&id));
        let image = seen.ok_or_else(|| ids::unknown("ami", &id))?;
        if image.owner != self.account {
            return Err(ApiError::new("AuthFailure", format!("Not authorized for image:{id}")));
        }
        let snapshots: Vec<String> = image.devices.iter().filter_map(|device| device.snapshot.clone()).collect();
        self.images.remove(&id, ask.now);
        let mut xml = Xml::new();
        xml.text("return", true);
        let mut ended = vec![id.clone()];
        if ask.params.flag("DeleteAssociatedSnapshots")?.unwrap_or(false) {
            xml.list("deleteSnapshotResultSet", &snapshots, |xml, snapshot| {
                let shared = self
                    .images
                    .all()
                    .any(|image| image.devices.iter().any(|device| device.snapshot.as_ref() == Some(snapshot)));
                let code = if shared || self.snapshots.get(snapshot).is_none() {
                    "skipped"
                } else {
                    self.snapshots.remove(snapshot, ask.now);
                    ended.push(snapshot.clone());
                    "success"
                };
                xml.text("snapshotId", snapshot).text("returnCode", code);
            });
        }
        self.forget_if_gone(&id);
        Ok(Reply { body: xml.finish(), ended, ..Reply::default() })
    }
}
