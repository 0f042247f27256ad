//! CopyImage: into the region of the call, from the region that it names.

use super::agenda::Due;
use super::create_image::image_name;
use super::params::invalid;
use super::records::{Image, ImageDevice, Making, Snapshot};
use super::spec::tags_for;
use super::tag::{Specifications, specifications};
use super::tokens::{self, TokenKey};
use super::visible::Eye;
use super::{Ask, Ec2, Offered, ids};
use crate::sim::api::{ApiError, Call, Handled, Payload, Reply};
use crate::sim::draw::number;
use crate::sim::kms;
use crate::sim::partition;
use crate::sim::xml::Xml;
use jiff::{SignedDuration, Timestamp};

/// The volume that EC2 names for the snapshots of a copy.
const NO_VOLUME: &str = "vol-ffffffff";

/// The region that a CopyImage copies from; none for other calls.
pub(crate) fn source_region(call: &Call) -> Option<&str> {
    let ("CopyImage", Payload::Query(_)) = (call.action.as_str(), &call.payload) else { return None };
    parameter(call, "SourceRegion")
}

fn parameter<'c>(call: &'c Call, wanted: &str) -> Option<&'c str> {
    let Payload::Query(pairs) = &call.payload else { return None };
    pairs.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str())
}

impl Ec2 {
    /// The image that a CopyImage names, if this region is the one that it copies from and shows it to the caller.
    pub(crate) fn offer(&self, call: &Call) -> Option<Offered> {
        source_region(call).filter(|region| *region == self.region)?;
        let (principal, lag) = (call.principal.clone(), self.control.lag_seconds);
        let eye = Eye { seed: self.seed, principal, now: call.now, lag };
        let id = parameter(call, "SourceImageId")?;
        self.images.seen(id, &eye).and_then(|_| self.images.get(id)).cloned().map(Offered)
    }

    /// Makes a copy, with snapshots of its own. Unlike CreateImage it takes a token, and a name that is in use (as
    /// hashicorp/packer#2123 found).
    pub(super) fn copy_image(&mut self, ask: &Ask) -> Handled {
        let region = ask.params.need("SourceRegion")?.to_owned();
        let source = ask.params.need("SourceImageId")?;
        let name = image_name(ask.params.need("Name")?)?;
        let tags = specifications(&ask.params, &["image", "snapshot"])?;
        if !partition::is_region(&region) || partition::of(&region) != partition::of(&self.region) {
            return Err(invalid(format!("Invalid source region: {region}")));
        }
        let token = ask.params.string("ClientToken");
        if let Some(token) = &token {
            tokens::check(token)?;
        }
        let key = token.map(|token| TokenKey { action: "CopyImage".to_owned(), token, zone: None });
        if let Some(key) = &key
            && let Some([id, ..]) = self.tokens.earlier(key, ask.pairs, ask.now)?
        {
            return Ok(Reply { body: answer(id), ..Reply::default() });
        }
        let source = ask.offered.clone().ok_or_else(|| ids::unknown("ami", source))?;
        if source.made != Making::Done || source.disabled {
            let message = format!("The specified AMI {} is not available to be copied", source.id);
            return Err(ApiError::new("InvalidAMIID.Unavailable", message));
        }
        let (encrypt, doomed) = self.encryption(ask, &source)?;
        let made =
            self.insert_copy(ask, name, (&source, region), &encrypt, doomed || self.control.image_fails, &tags)?;
        if let Some(key) = key {
            self.tokens.spend(key, ask.pairs, made.clone(), ask.now);
        }
        Ok(Reply { body: answer(&made[0]), made, ..Reply::default() })
    }

    /// The key of each device, and whether it will turn out that there is no such key: KMS is asked after the answer.
    fn encryption(&self, ask: &Ask, source: &Image) -> Result<(Vec<Option<String>>, bool), ApiError> {
        let (asked, key) = (ask.params.flag("Encrypted")?, ask.params.text("KmsKeyId"));
        let combination = |message: &str| Err(ApiError::new("InvalidParameterCombination", message));
        if key.is_some() && asked != Some(true) {
            return combination("KmsKeyId is only allowed with Encrypted=true");
        }
        if asked == Some(false) && source.devices.iter().any(|device| device.encrypted) {
            return combination("An encrypted snapshot cannot be copied to an unencrypted one");
        }
        let usable = |key: &str| kms::usable(&self.control.account, &self.account, &self.region, key);
        let default = self.control.account.ebs_default_key.as_deref().unwrap_or(kms::EBS_ALIAS);
        let mut doomed = false;
        let mut key_of = |device: &ImageDevice| {
            // Keys don't leave their region: what was encrypted there is encrypted here by the key named, or the default.
            let wanted = (device.encrypted || asked == Some(true)).then(|| key.unwrap_or(default))?;
            let found = usable(wanted);
            doomed |= found.is_none();
            Some(found.unwrap_or_else(|| wanted.to_owned()))
        };
        let keys = source.devices.iter().map(&mut key_of).collect();
        Ok((keys, doomed))
    }

    /// Image and snapshots, done one to two minutes later.
    fn insert_copy(
        &mut self,
        ask: &Ask,
        name: String,
        (source, region): (&Image, String),
        keys: &[Option<String>],
        doomed: bool,
        tags: &Specifications,
    ) -> Result<Vec<String>, ApiError> {
        let id = self.ids.long("ami");
        let seconds = 60 + i64::try_from(number(self.seed, &["copy", &id]) % 61).unwrap_or_default();
        let due = |seconds: i64| ask.now.saturating_add(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX);
        let mut made = vec![id.clone()];
        let mut devices = source.devices.clone();
        for (device, key) in devices.iter_mut().zip(keys) {
            let snapshot = self.ids.long("snap");
            let from = device.snapshot.replace(snapshot.clone()).unwrap_or_default();
            (device.encrypted, device.key) = (key.is_some(), key.clone());
            let what =
                format!("Copied for DestinationAmi {id} from SourceAmi {} for SourceSnapshot {from}.", source.id);
            self.snapshots.insert(
                &snapshot,
                ask.now,
                Snapshot {
                    id: snapshot.clone(),
                    volume: NO_VOLUME.to_owned(),
                    size: device.size,
                    owner: self.account.clone(),
                    description: what,
                    encrypted: device.encrypted,
                    started: ask.now,
                    due: due(seconds - 5),
                    made: Making::Pending,
                    image: id.clone(),
                    tags: tags_for(tags, "snapshot"),
                },
            );
            self.agenda.set(due(seconds - 5), Due::Snapshot(snapshot.clone()));
            made.push(snapshot);
        }
        let mut own =
            if ask.params.flag("CopyImageTags")? == Some(true) { source.tags.clone() } else { <_>::default() };
        own.extend(tags_for(tags, "image"));
        let copy = Image {
            id: id.clone(),
            name,
            description: ask.params.string("Description"),
            owner: self.account.clone(),
            made: Making::Pending,
            doomed,
            created: ask.now,
            deprecated: None,
            disabled: false,
            public: false,
            devices,
            source: None,
            source_image: Some((source.id.clone(), region)),
            last_launched: None,
            tags: own,
            ..source.clone()
        };
        self.images.insert(&id, ask.now, copy);
        self.agenda.set(due(seconds), Due::Image(id));
        Ok(made)
    }
}

fn answer(id: &str) -> String {
    let mut xml = Xml::new();
    xml.text("imageId", id);
    xml.finish()
}

#[cfg(test)]
mod tests {
    use super::super::testing::{TEMPLATE, World, run, texts};
    use crate::sim::account::Key;

    const KEY: &str = "1234abcd-12ab-34cd-56ef-1234567890ab";

    /// A world with an available image, and its id.
    fn baked() -> (World, String) {
        let mut world = World::new();
        let aliases = vec!["alias/fleet".to_owned()];
        let state = "Enabled".to_owned();
        let key = Key { id: KEY.to_owned(), aliases, regions: Vec::new(), state, grants: Vec::new() };
        world.control.account.keys = vec![key];
        let asked = [
            ("InstanceId", TEMPLATE),
            ("Name", "crawl-1"),
            ("TagSpecification.1.ResourceType", "image"),
            ("TagSpecification.1.Tag.1.Key", "run"),
            ("TagSpecification.1.Tag.1.Value", "r1"),
        ];
        let image = texts(&world.ok("CreateImage", &asked), "imageId").remove(0);
        (world, image)
    }

    /// CopyImage of `image` with `more`.
    fn asked<'a>(image: &'a str, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
        [&[("SourceRegion", "us-east-1"), ("SourceImageId", image), ("Name", "copy")], more].concat()
    }

    #[test]
    fn a_copy_is_encrypted_and_boots_what_its_source_was() {
        let (mut world, image) = baked();
        let encrypt = [("Encrypted", "true"), ("KmsKeyId", "alias/fleet"), ("ClientToken", "t-1")];
        assert_eq!(
            world.fails("CopyImage", &asked(&image, &encrypt)).code,
            "InvalidAMIID.Unavailable",
            "it is pending"
        );
        world.pass(90);
        let copy = texts(&world.ok("CopyImage", &asked(&image, &encrypt)), "imageId").remove(0);
        assert_eq!(texts(&world.ok("CopyImage", &asked(&image, &encrypt)), "imageId"), [copy.as_str()], "one token");
        let other = [("Name", "another"), ("ClientToken", "t-1")];
        assert_eq!(world.fails("CopyImage", &asked(&image, &other)).code, "IdempotentParameterMismatch");
        let twin = texts(&world.ok("CopyImage", &asked(&image, &[])), "imageId").remove(0);
        assert_ne!(twin, copy, "a name may be used twice");
        assert!(world.ok("DescribeImages", &[("ImageId.1", &copy)]).contains("<imageState>pending</imageState>"));
        world.pass(121);
        let seen = world.ok("DescribeImages", &[("ImageId.1", &copy)]);
        assert!(seen.contains("<imageState>available</imageState>"), "{seen}");
        assert!(seen.contains("<encrypted>true</encrypted>") && !seen.contains("<key>run</key>"), "{seen}");
        assert!(
            seen.contains(&format!("<sourceImageId>{image}</sourceImageId>")) && !seen.contains("sourceInstanceId")
        );
        // The token outlives what was copied.
        world.ok("DeregisterImage", &[("ImageId", &image), ("DeleteAssociatedSnapshots", "true")]);
        assert_eq!(texts(&world.ok("CopyImage", &asked(&image, &encrypt)), "imageId"), [copy.as_str()]);
        assert_eq!(world.fails("CopyImage", &asked(&image, &[])).code, "InvalidAMIID.NotFound");
        assert!(!world.hosts.about(&image).contains(&format!("forget {image}")), "its copies boot from it");
        let host = world.run(&run(&[("ImageId", &copy)])).remove(0);
        let volumes =
            world.ok("DescribeVolumes", &[("Filter.1.Name", "attachment.instance-id"), ("Filter.1.Value.1", &host)]);
        assert!(
            volumes.contains(&format!("<kmsKeyId>arn:aws:kms:us-east-1:123456789012:key/{KEY}</kmsKeyId>")),
            "{volumes}"
        );
        for image in [&copy, &twin] {
            world.ok("DeregisterImage", &[("ImageId", image), ("DeleteAssociatedSnapshots", "true")]);
        }
        assert!(world.hosts.about(&image).contains(&format!("forget {image}")));
    }

    #[test]
    fn what_makes_no_sense_is_refused_and_a_key_that_is_none_is_found_out_later() {
        let (mut world, image) = baked();
        world.pass(90);
        for (more, code) in [
            (&[("KmsKeyId", "alias/fleet")][..], "InvalidParameterCombination"),
            (&[("TagSpecification.1.ResourceType", "instance")], "InvalidParameterValue"),
            (&[("ClientToken", "\u{fc}")], "InvalidParameterValue"),
        ] {
            assert_eq!(world.fails("CopyImage", &asked(&image, more)).code, code, "{more:?}");
        }
        let elsewhere = [("SourceRegion", "cn-north-1"), ("SourceImageId", image.as_str()), ("Name", "copy")];
        assert_eq!(world.fails("CopyImage", &elsewhere).code, "InvalidParameterValue", "another partition");
        let wrong = [("Encrypted", "true"), ("KmsKeyId", "alias/none")];
        let copy = texts(&world.ok("CopyImage", &asked(&image, &wrong)), "imageId").remove(0);
        world.pass(121);
        let seen = world.ok("DescribeImages", &[("ImageId.1", &copy)]);
        assert!(seen.contains("<imageState>failed</imageState>") && seen.contains("<stateReason>"), "{seen}");
        let tagged = texts(&world.ok("CopyImage", &asked(&image, &[("CopyImageTags", "true")])), "imageId").remove(0);
        assert!(world.ok("DescribeImages", &[("ImageId.1", &tagged)]).contains("<key>run</key>"));
    }
}
