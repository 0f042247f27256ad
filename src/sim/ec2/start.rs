//! What exists before the first call: images, the template instance, decoys.

use super::Ec2;
use super::launch::Birth;
use super::lifecycle::Cause;
use super::params::Node;
use super::records::{Group, Image, ImageDevice, Key, Making, Origin, Snapshot, State, Tags};
use super::visible::Eye;
use crate::sim::seed::{Seed, SeedImage, SeedTemplate, SeedType};
use jiff::Timestamp;

/// Size of the images' root devices, GiB, as Amazon Linux has it.
const ROOT: u32 = 8;

impl Ec2 {
    /// Fills the new world.
    pub(super) fn populate(&mut self, seed: &Seed, at: Timestamp) {
        for image in &seed.images {
            self.seed_image(image, at);
        }
        if let Some(template) = &seed.template {
            self.complete(template, at);
            self.seed_template(template, at);
        }
        if seed.decoys {
            self.decoys(seed, at);
        }
    }

    fn seed_image(&mut self, image: &SeedImage, at: Timestamp) {
        let snapshot = self.ids.long("snap");
        let own = image.owner == self.account;
        // Snapshots of other owners' images are theirs: this account sees their ids, no more.
        if own {
            let volume = self.ids.long("vol");
            self.snapshots.insert(
                &snapshot,
                at,
                Snapshot {
                    id: snapshot.clone(),
                    volume,
                    size: ROOT,
                    owner: image.owner.clone(),
                    description: format!("Root device of {}", image.name),
                    encrypted: false,
                    started: at,
                    due: at,
                    made: Making::Done,
                    image: image.id.clone(),
                    tags: Tags::new(),
                },
            );
        }
        let device = ImageDevice {
            device: "/dev/xvda".to_owned(),
            snapshot: Some(snapshot),
            size: ROOT,
            kind: "gp3".to_owned(),
            iops: Some(3000),
            throughput: Some(125),
            encrypted: false,
            key: None,
            ends: true,
        };
        self.images.insert(
            &image.id,
            at,
            Image {
                id: image.id.clone(),
                name: image.name.clone(),
                description: None,
                owner: image.owner.clone(),
                architecture: image.architecture.clone(),
                made: Making::Done,
                doomed: false,
                created: at,
                deprecated: None,
                disabled: false,
                public: !own,
                root_device: device.device.clone(),
                devices: vec![device],
                source: None,
                source_image: None,
                body: image.id.clone(),
                last_launched: None,
                tags: Tags::new(),
            },
        );
    }

    /// A template that names an image, type, key, profile or group which the seed does not list brings it along: a
    /// running instance proves that they exist.
    fn complete(&mut self, template: &SeedTemplate, at: Timestamp) {
        if self.images.get(&template.image).is_none() {
            let image = SeedImage {
                id: template.image.clone(),
                name: format!("base of {}", template.id),
                owner: self.account.clone(),
                architecture: "x86_64".to_owned(),
            };
            self.seed_image(&image, at);
        }
        if self.kind(&template.instance_type).is_err() {
            let architecture =
                self.images.get(&template.image).map_or("x86_64", |image| &image.architecture).to_owned();
            self.types.push(SeedType {
                name: template.instance_type.clone(),
                vcpus: 2,
                memory_mib: 8192,
                architecture,
                current: true,
                zones: Vec::new(),
                on_demand: "0".to_owned(),
                spot: "0".to_owned(),
            });
        }
        for id in &template.security_groups {
            if self.network.groups.get(id).is_none() {
                let name = id.strip_prefix("sg-").unwrap_or(id).to_owned();
                self.network.groups.insert(id, at, Group { id: id.clone(), name, tags: Tags::new() });
            }
        }
        if let Some(name) = &template.key_name
            && !self.network.keys.all().any(|key| key.name == *name)
        {
            let id = self.ids.long("key");
            let key = Key { id: id.clone(), name: name.clone(), public: String::new(), tags: Tags::new() };
            self.network.keys.insert(&id, at, key);
        }
        self.profiles.extend(template.instance_profile.clone().filter(|name| !self.profiles.contains(name)));
    }

    fn seed_template(&mut self, template: &SeedTemplate, at: Timestamp) {
        self.seed_instance(&template.id, template, &template.tags, Origin::Template, at);
    }

    /// An instance that is running already.
    pub(super) fn seed_instance(
        &mut self,
        id: &str,
        template: &SeedTemplate,
        tags: &Tags,
        origin: Origin,
        at: Timestamp,
    ) {
        let mut pairs = vec![("ImageId", template.image.as_str()), ("InstanceType", template.instance_type.as_str())];
        pairs.extend(template.key_name.as_deref().map(|name| ("KeyName", name)));
        pairs.extend(template.instance_profile.as_deref().map(|name| ("IamInstanceProfile.Name", name)));
        let groups: Vec<String> =
            (1..=template.security_groups.len()).map(|n| format!("SecurityGroupId.{n}")).collect();
        pairs.extend(groups.iter().map(String::as_str).zip(template.security_groups.iter().map(String::as_str)));
        let eye = Eye { seed: self.seed, principal: String::new(), now: at, lag: 0 };
        let subnet = self.network.subnets.get(&template.subnet).or_else(|| self.network.subnets.all().next()).cloned();
        let (Ok(mut spec), Some(subnet)) = (self.spec(&Node::from_pairs(pairs), &eye), subnet) else { return };
        spec.tags.insert("instance".to_owned(), tags.clone());
        let birth = Birth { reservation: self.ids.long("r"), token: None, fleet: None, origin, at };
        self.bear(id, &spec, &subnet, &birth, 0);
        self.enter(id, State::Running, at, &Cause::none());
    }
}
