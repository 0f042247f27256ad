//! Tags of groups.

use super::ask::{flag, invalid, list, members, need, page, texts};
use super::records::{Group, GroupTag};
use super::{Ask, AutoScaling};
use crate::sim::api::{ApiError, Handled, Reply};
use crate::sim::ec2::params::Node;
use crate::sim::xml::Xml;

/// Tags that a group can have.
const MOST: usize = 50;

/// Sets tags, a later one over an earlier one of the same key.
pub(super) fn put(group: &mut Group, tags: Vec<&Node>) -> Result<(), ApiError> {
    for node in tags {
        let key = need(node, "Key")?.to_owned();
        if key.chars().count() > 128 || key.to_ascii_lowercase().starts_with("aws:") {
            return Err(invalid(format!("'{key}' is no valid key for a tag")));
        }
        let value = node.raw("Value").unwrap_or_default().to_owned();
        let propagate = flag(node, "PropagateAtLaunch")?.unwrap_or(false);
        group.tags.retain(|tag| tag.key != key);
        group.tags.push(GroupTag { key, value, propagate });
    }
    group.tags.sort_by(|one, other| one.key.cmp(&other.key));
    if group.tags.len() > MOST {
        return Err(ApiError::new("LimitExceeded", format!("A group can have at most {MOST} tags")));
    }
    Ok(())
}

/// Writes one tag.
pub(super) fn write(xml: &mut Xml, group: &str, tag: &GroupTag) {
    xml.text("ResourceId", group)
        .text("ResourceType", "auto-scaling-group")
        .text("Key", &tag.key)
        .text("Value", &tag.value)
        .text("PropagateAtLaunch", tag.propagate);
}

impl AutoScaling {
    pub(super) fn create_tags(&mut self, ask: &mut Ask) -> Handled {
        for node in members(&ask.params, "Tags") {
            let place = self.place(need(node, "ResourceId")?)?;
            put(&mut self.groups[place], vec![node])?;
        }
        Ok(Reply::default())
    }

    pub(super) fn delete_tags(&mut self, ask: &mut Ask) -> Handled {
        for node in members(&ask.params, "Tags") {
            let place = self.place(need(node, "ResourceId")?)?;
            let key = need(node, "Key")?;
            self.groups[place].tags.retain(|tag| tag.key != key);
        }
        Ok(Reply::default())
    }

    pub(super) fn describe_tags(&mut self, ask: &mut Ask) -> Handled {
        let mut filters = Vec::new();
        for node in members(&ask.params, "Filters") {
            let name = need(node, "Name")?.to_owned();
            if !["auto-scaling-group", "key", "value", "propagate-at-launch"].contains(&name.as_str()) {
                return Err(invalid(format!("Filter type {name} is not correct")));
            }
            filters.push((name, texts(node, "Values")));
        }
        let passes = |group: &Group, tag: &GroupTag| {
            filters.iter().all(|(name, values)| {
                let fact = match name.as_str() {
                    "auto-scaling-group" => group.name.clone(),
                    "key" => tag.key.clone(),
                    "value" => tag.value.clone(),
                    _ => tag.propagate.to_string(),
                };
                values.contains(&fact)
            })
        };
        let found: Vec<(&Group, &GroupTag)> = self
            .groups
            .iter()
            .flat_map(|group| group.tags.iter().map(move |tag| (group, tag)))
            .filter(|(group, tag)| passes(group, tag))
            .collect();
        let (found, next) = page(&ask.params, "DescribeTags", (50, 100), found)?;
        let mut xml = Xml::new();
        list(&mut xml, "Tags", found, |xml, (group, tag)| write(xml, &group.name, tag));
        xml.opt("NextToken", next);
        Ok(Reply { body: xml.finish(), ..Reply::default() })
    }
}
