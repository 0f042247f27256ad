//! DescribeVolumes, DeleteVolume.

use super::filter::Filters;
use super::network::done;
use super::page::{Bounds, page};
use super::power::ok;
use super::records::Volume;
use super::{Ask, Ec2, ids, when, write_tags};
use crate::sim::api::{ApiError, Handled, Reply};
use crate::sim::xml::Xml;

const KNOWN: [&str; 14] = [
    "volume-id",
    "status",
    "size",
    "volume-type",
    "encrypted",
    "snapshot-id",
    "availability-zone",
    "create-time",
    "attachment.instance-id",
    "attachment.device",
    "attachment.delete-on-termination",
    "attachment.status",
    "attachment.attach-time",
    "tag",
];

fn status(volume: &Volume) -> &'static str {
    if volume.attached.is_some() { "in-use" } else { "available" }
}

fn facts(volume: &Volume, name: &str) -> Vec<String> {
    let attached = volume.attached.as_ref();
    match name {
        "volume-id" => vec![volume.id.clone()],
        "status" => vec![status(volume).to_owned()],
        "size" => vec![volume.size.to_string()],
        "volume-type" => vec![volume.kind.clone()],
        "encrypted" => vec![volume.encrypted.to_string()],
        "snapshot-id" => volume.snapshot.clone().into_iter().collect(),
        "availability-zone" => vec![volume.zone.clone()],
        "create-time" => vec![when(volume.created)],
        "attachment.instance-id" => attached.map(|(instance, ..)| instance.clone()).into_iter().collect(),
        "attachment.device" => attached.map(|(_, device, ..)| device.clone()).into_iter().collect(),
        "attachment.delete-on-termination" => attached.map(|(_, _, ends, _)| ends.to_string()).into_iter().collect(),
        "attachment.status" => attached.map(|_| "attached".to_owned()).into_iter().collect(),
        _ => attached.map(|(.., at)| when(*at)).into_iter().collect(),
    }
}

impl Ec2 {
    /// DescribeVolumes.
    pub(super) fn describe_volumes(&self, ask: &Ask) -> Handled {
        let filters = Filters::read(&ask.params, &KNOWN)?;
        let wanted = ask.wanted("VolumeId", "vol", |id| self.volumes.seen(id, &ask.eye).is_some())?;
        ask.not_paged(&wanted, "volumesSet")?;
        let found = self
            .volumes
            .all_seen(&ask.eye)
            .filter(|(_, volume)| wanted.takes(&volume.id) && filters.pass(&volume.tags, |name| facts(volume, name)));
        let page = page(&ask.params, "DescribeVolumes", Bounds(5, 1000), found)?;
        let mut xml = Xml::new();
        xml.list("volumeSet", &page.items, |xml, volume| {
            xml.text("volumeId", &volume.id)
                .text("size", volume.size)
                .text("snapshotId", volume.snapshot.as_deref().unwrap_or_default())
                .text("availabilityZone", &volume.zone)
                .text("status", status(volume))
                .text("createTime", when(volume.created))
                .text("volumeType", &volume.kind)
                .opt("iops", volume.iops)
                .opt("throughput", volume.throughput)
                .text("encrypted", volume.encrypted)
                .opt("kmsKeyId", volume.key.as_ref())
                .text("multiAttachEnabled", false)
                .list("attachmentSet", &volume.attached, |xml, (instance, device, ends, at)| {
                    xml.text("volumeId", &volume.id)
                        .text("instanceId", instance)
                        .text("device", device)
                        .text("status", "attached")
                        .text("attachTime", when(*at))
                        .text("deleteOnTermination", ends);
                });
            write_tags(xml, &volume.tags);
        });
        Ok(done(xml, page.next))
    }

    /// Only a volume that no instance holds can go.
    pub(super) fn delete_volume(&mut self, ask: &Ask) -> Handled {
        let id = ask.params.need("VolumeId")?;
        let seen = self.volumes.seen(id, &ask.eye).and_then(|_| self.volumes.get(id));
        let volume = seen.ok_or_else(|| ids::unknown("vol", id))?;
        if let Some((instance, ..)) = &volume.attached {
            return Err(ApiError::new("VolumeInUse", format!("Volume {id} is currently attached to {instance}")));
        }
        self.volumes.remove(id, ask.now);
        Ok(Reply { ended: vec![id.to_owned()], ..ok() })
    }
}
