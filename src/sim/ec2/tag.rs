//! Tags: in create calls, CreateTags, DeleteTags, DescribeTags.

use super::filter::Filters;
use super::network::done;
use super::page::{Bounds, page};
use super::params::{Node, invalid, missing};
use super::power::ok;
use super::records::{State, Tags};
use super::visible::Eye;
use super::{Ask, Ec2, ids};
use crate::sim::api::{ApiError, Handled};
use crate::sim::xml::Xml;
use std::collections::BTreeMap;

/// Tags by resource type, from `TagSpecification`.
pub(super) type Specifications = BTreeMap<String, Tags>;

/// User tags that a resource can have; AWS's own (`aws:`) do not count.
const MOST: usize = 50;

/// Reads a `TagSpecification` list; a later value wins over an earlier one of the same key.
pub(super) fn specifications(node: &Node, kinds: &[&str]) -> Result<Specifications, ApiError> {
    let mut tags = Specifications::new();
    for one in node.list("TagSpecification") {
        let kind = one.need("ResourceType")?;
        if !kinds.contains(&kind) {
            return Err(invalid(format!("'{kind}' is not a valid taggable resource type for this operation.")));
        }
        tags.entry(kind.to_owned()).or_default().extend(read(one)?);
    }
    for tags in tags.values() {
        few(tags)?;
    }
    Ok(tags)
}

/// Reads a `Tag` list.
fn read(node: &Node) -> Result<Tags, ApiError> {
    let mut tags = Tags::new();
    for tag in node.list("Tag") {
        let key = tag.raw("Key").ok_or_else(|| missing("Tag.Key"))?;
        let value = tag.raw("Value").unwrap_or_default();
        if key.is_empty() || key.chars().count() > 127 {
            return Err(invalid(format!("Tag key '{key}' must be 1 to 127 characters long")));
        }
        if value.chars().count() > 255 {
            return Err(invalid(format!("Tag value for '{key}' exceeds the maximum length of 255 characters")));
        }
        if key.to_ascii_lowercase().starts_with("aws:") {
            return Err(invalid("Tag keys starting with 'aws:' are reserved for internal use"));
        }
        tags.insert(key.to_owned(), value.to_owned());
    }
    Ok(tags)
}

fn few(tags: &Tags) -> Result<(), ApiError> {
    if tags.keys().filter(|key| !key.starts_with("aws:")).count() > MOST {
        return Err(ApiError::new("TagLimitExceeded", format!("The maximum number of Tags for a resource is {MOST}.")));
    }
    Ok(())
}

/// A resource's kind in DescribeTags, by the start of its id.
fn kind(id: &str) -> Option<(&'static str, &'static str)> {
    let kinds = [
        ("i", "instance"),
        ("vol", "volume"),
        ("ami", "image"),
        ("snap", "snapshot"),
        ("lt", "launch-template"),
        ("fleet", "fleet"),
        ("subnet", "subnet"),
        ("sg", "security-group"),
        ("vpc", "vpc"),
        ("key", "key-pair"),
        ("eni", "network-interface"),
        ("sir", "spot-instances-request"),
    ];
    let prefix = id.split_once('-')?.0;
    kinds.into_iter().find(|(known, _)| *known == prefix)
}

impl Ec2 {
    /// Every tag of every resource id, or nothing.
    pub(super) fn create_tags(&mut self, ask: &Ask) -> Handled {
        let tags = read(&ask.params)?;
        if tags.is_empty() {
            return Err(missing("Tag"));
        }
        let resources = self.resources(ask)?;
        for id in &resources {
            let mut all = self.tags(id, None).unwrap_or_default();
            all.extend(tags.clone());
            few(&all)?;
        }
        for id in &resources {
            self.change_tags(id, ask, |all| all.extend(tags.clone()));
        }
        Ok(ok())
    }

    /// A key without a value goes whatever its value; with one, only if the value is the same; no key at all means all.
    pub(super) fn delete_tags(&mut self, ask: &Ask) -> Handled {
        let resources = self.resources(ask)?;
        let mut named = Vec::new();
        for tag in ask.params.list("Tag") {
            named.push((tag.need("Key")?.to_owned(), tag.raw("Value").map(str::to_owned)));
        }
        for id in &resources {
            self.change_tags(id, ask, |all| {
                all.retain(|key, value| {
                    let goes = named.is_empty()
                        || named.iter().any(|(k, v)| k == key && v.as_ref().is_none_or(|v| v == value));
                    !goes || key.starts_with("aws:")
                });
            });
        }
        Ok(ok())
    }

    fn resources(&self, ask: &Ask) -> Result<Vec<String>, ApiError> {
        let ids = ask.params.texts("ResourceId");
        if ids.is_empty() {
            return Err(missing("ResourceId"));
        }
        if ids.len() > 1000 {
            return Err(invalid("At most 1000 resources can be tagged in one call"));
        }
        for id in &ids {
            let (prefix, _) =
                kind(id).ok_or_else(|| ApiError::new("InvalidID", format!("The ID '{id}' is not valid")))?;
            let visible = match prefix {
                "i" => self.visible(id, ask).is_some(),
                _ => self.tags(id, Some(&ask.eye)).is_some(),
            };
            if !visible {
                return Err(ids::unknown(prefix, id));
            }
        }
        Ok(ids)
    }

    /// The tags of anything: as a reader sees them, or in truth.
    fn tags(&self, id: &str, eye: Option<&Eye>) -> Option<Tags> {
        macro_rules! of {
            ($store:expr) => {
                match eye {
                    Some(eye) => $store.seen(id, eye),
                    None => $store.get(id),
                }
                .map(|found| found.tags.clone())
            };
        }
        match kind(id)?.0 {
            "i" => of!(self.instances),
            "vol" => of!(self.volumes),
            "ami" => of!(self.images),
            "snap" => of!(self.snapshots),
            "lt" => of!(self.templates),
            "fleet" => of!(self.fleets),
            "subnet" => of!(self.network.subnets),
            "sg" => of!(self.network.groups),
            "key" => of!(self.network.keys),
            "vpc" => self.network.vpc_tags.get(id).cloned(),
            "eni" => self.instances.all().find(|one| one.interface.id == id).map(|one| one.interface.tags.clone()),
            _ => self.by_spot_request(id).map(|instance| instance.spot_tags.clone()),
        }
    }

    fn by_spot_request(&self, id: &str) -> Option<&super::records::Instance> {
        self.instances.all().find(|instance| instance.spot_request.as_deref() == Some(id))
    }

    fn change_tags(&mut self, id: &str, ask: &Ask, change: impl FnOnce(&mut Tags)) {
        let at = ask.now;
        match kind(id).map(|(prefix, _)| prefix) {
            Some("i") => self.instances.change(id, at, |found| change(&mut found.tags)),
            Some("vol") => self.volumes.change(id, at, |found| change(&mut found.tags)),
            Some("ami") => self.images.change(id, at, |found| change(&mut found.tags)),
            Some("snap") => self.snapshots.change(id, at, |found| change(&mut found.tags)),
            Some("lt") => self.templates.change(id, at, |found| change(&mut found.tags)),
            Some("fleet") => self.fleets.change(id, at, |found| change(&mut found.tags)),
            Some("subnet") => self.network.subnets.change(id, at, |found| change(&mut found.tags)),
            Some("sg") => self.network.groups.change(id, at, |found| change(&mut found.tags)),
            Some("key") => self.network.keys.change(id, at, |found| change(&mut found.tags)),
            Some("vpc") => self.network.vpc_tags.change(id, at, change),
            Some("eni") => {
                let instance = self.instances.all().find(|one| one.interface.id == id).map(|one| one.id.clone());
                if let Some(instance) = instance {
                    self.instances.change(&instance, at, |found| change(&mut found.interface.tags));
                }
            }
            Some(_) => {
                if let Some(instance) = self.by_spot_request(id).map(|one| one.id.clone()) {
                    self.instances.change(&instance, at, |found| change(&mut found.spot_tags));
                }
            }
            None => {}
        }
    }

    /// DescribeTags.
    pub(super) fn describe_tags(&self, ask: &Ask) -> Handled {
        let filters = Filters::read(&ask.params, &["key", "value", "resource-id", "resource-type", "tag"])?;
        let mut all: Vec<(String, Tags)> = Vec::new();
        for (_, found) in self.visible_instances(ask) {
            all.push((found.id.clone(), found.tags.clone()));
            // Interfaces made by a launch are deleted on termination (NetworkInterfaceAttachment, DeleteOnTermination).
            if found.state != State::Terminated {
                all.push((found.interface.id.clone(), found.interface.tags.clone()));
            }
            all.extend(found.spot_request.clone().map(|id| (id, found.spot_tags.clone())));
        }
        macro_rules! add {
            ($store:expr) => {
                all.extend($store.all_seen(&ask.eye).map(|(_, found)| (found.id.clone(), found.tags.clone())));
            };
        }
        add!(self.volumes);
        add!(self.images);
        add!(self.snapshots);
        add!(self.templates);
        add!(self.fleets);
        add!(self.network.subnets);
        add!(self.network.groups);
        add!(self.network.keys);
        all.extend(self.network.vpc_tags.all_seen(&ask.eye).map(|(_, tags)| (self.network.vpc.clone(), tags.clone())));
        let rows = all.iter().flat_map(|(id, tags)| {
            let kind = kind(id).map_or("", |(_, word)| word);
            tags.iter().map(move |(key, value)| (id, kind, key, value))
        });
        let found = rows.enumerate().filter(|(_, (id, kind, key, value))| {
            let tag = Tags::from([((*key).clone(), (*value).clone())]);
            filters.pass(&tag, |name| {
                vec![match name {
                    "key" => (*key).clone(),
                    "value" => (*value).clone(),
                    "resource-id" => (*id).clone(),
                    _ => (*kind).to_owned(),
                }]
            })
        });
        let page = page(&ask.params, "DescribeTags", Bounds(5, 1000), found)?;
        let mut xml = Xml::new();
        xml.list("tagSet", page.items, |xml, (id, kind, key, value)| {
            xml.text("resourceId", id).text("resourceType", kind).text("key", key).text("value", value);
        });
        Ok(done(xml, page.next))
    }
}
