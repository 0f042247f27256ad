//! CreateImage.

use super::agenda::Due;
use super::devices::overlaid;
use super::params::invalid;
use super::records::{Image, ImageDevice, Instance, Making, Snapshot, State};
use super::spec::tags_for;
use super::tag::specifications;
use super::{Ask, Ec2};
use crate::sim::api::{ApiError, Handled, Reply};
use crate::sim::draw::number;
use crate::sim::hosts::Power;
use crate::sim::xml::Xml;
use jiff::{SignedDuration, Timestamp};

impl Ec2 {
    /// Takes an image of a running or stopped instance. The call has no token: the name, which no second image may have
    /// until the first is deregistered, is what makes it safe to repeat.
    pub(super) fn create_image(&mut self, ask: &Ask) -> Handled {
        let instance = self.named_one(ask)?;
        let name = image_name(ask.params.need("Name")?)?;
        let tags = specifications(&ask.params, &["image", "snapshot"])?;
        if let Some(taken) = self.images.all().find(|image| image.owner == self.account && image.name == name) {
            return Err(ApiError::new(
                "InvalidAMIName.Duplicate",
                format!("AMI name {name} is already in use by AMI {}", taken.id),
            ));
        }
        let running = match instance.state {
            State::Running => true,
            State::Stopped => false,
            State::Pending | State::Stopping | State::ShuttingDown | State::Terminated => {
                return Err(invalid("Instance is not in state 'running' or 'stopped'"));
            }
        };
        let mut devices = overlaid(&ask.params, self.devices_of(&instance))?;
        let reboots = !ask.params.flag("NoReboot")?.unwrap_or(false);
        let id = self.ids.long("ami");
        // About a minute: 45 to 75 seconds; its snapshots a little earlier.
        let seconds = 45 + i64::try_from(number(self.seed, &["image", &id]) % 31).unwrap_or_default();
        let due = |seconds: i64| ask.now.saturating_add(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX);
        let mut made = vec![id.clone()];
        for device in &mut devices {
            let snapshot = self.ids.long("snap");
            let volume = instance.devices.iter().find(|attached| attached.device == device.device);
            self.snapshots.insert(
                &snapshot,
                ask.now,
                Snapshot {
                    id: snapshot.clone(),
                    volume: volume.map(|attached| attached.volume.clone()).unwrap_or_default(),
                    size: device.size,
                    owner: self.account.clone(),
                    description: format!("Created by CreateImage({}) for {id}", instance.id),
                    encrypted: device.encrypted,
                    started: ask.now,
                    due: due(seconds - 5),
                    made: Making::Pending,
                    image: id.clone(),
                    tags: tags_for(&tags, "snapshot"),
                },
            );
            self.agenda.set(due(seconds - 5), Due::Snapshot(snapshot.clone()));
            made.push(snapshot.clone());
            device.snapshot = Some(snapshot);
        }
        self.images.insert(
            &id,
            ask.now,
            Image {
                id: id.clone(),
                name,
                description: ask.params.string("Description"),
                owner: self.account.clone(),
                architecture: instance.architecture.clone(),
                made: Making::Pending,
                doomed: self.control.image_fails,
                created: ask.now,
                deprecated: None,
                disabled: false,
                public: false,
                root_device: instance.root_device.clone(),
                devices,
                source: Some(instance.id.clone()),
                source_image: Some((instance.image.clone(), self.region.clone())),
                body: id.clone(),
                last_launched: None,
                tags: tags_for(&tags, "image"),
            },
        );
        self.agenda.set(due(seconds), Due::Image(id.clone()));
        // The reboot quiesces the file system: down, copied, up again. The state stays `running`, as at EC2.
        if running && reboots {
            self.power(&instance, Power::Off);
        }
        self.hosts.snapshot(&instance.id, &id);
        if running && reboots {
            self.power(&instance, Power::On);
        }
        let mut xml = Xml::new();
        xml.text("imageId", &id);
        Ok(Reply { body: xml.finish(), made, ..Reply::default() })
    }

    /// The instance's volumes as devices of an image.
    fn devices_of(&self, instance: &Instance) -> Vec<ImageDevice> {
        let each = instance.devices.iter().filter_map(|attached| {
            let volume = self.volumes.get(&attached.volume)?;
            Some(ImageDevice {
                device: attached.device.clone(),
                snapshot: None,
                size: volume.size,
                kind: volume.kind.clone(),
                iops: volume.iops,
                throughput: volume.throughput,
                encrypted: volume.encrypted,
                key: None,
                ends: attached.ends,
            })
        });
        each.collect()
    }
}

/// 3 to 128 characters of those that EC2 allows.
pub(super) fn image_name(name: &str) -> Result<String, ApiError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "()[] ./-'@_".contains(c);
    if !(3..=128).contains(&name.len()) || !name.chars().all(allowed) {
        return Err(ApiError::new(
            "InvalidAMIName.Malformed",
            "AMI names must be between 3 and 128 characters long, and may contain letters, numbers, '(', ')', '[', ']', \
             ' ', '.', '/', '-', ''', '@' and '_'",
        ));
    }
    if name.trim() != name {
        return Err(invalid("AMI names may not begin or end with a space"));
    }
    Ok(name.to_owned())
}
