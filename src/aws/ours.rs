//! Everything that carries tags of ours, whatever it is and whichever fleet it belongs to: found by its tags alone.

use super::Clients;
use super::convert::{FILTER_VALUES, filter, need, pages, read};
use crate::model::group::{KIND as GROUP, of_fleet};
use crate::model::{Fault, FaultKind, FleetName, InstanceState, Ours, Tags, TemplateId, tags as keys};
use aws_sdk_ec2::types::{InstanceStateName, ResourceType};
use std::collections::BTreeMap;

const TAGS: &str = "DescribeTags";
const INSTANCES: &str = "DescribeInstances";

/// The tags that tell whose a thing is and how long it stays.
const TOLD: [&str; 5] = [keys::FLEET, keys::INTENT, keys::EXPIRES, keys::PROTECT, keys::GROUP];

impl Clients {
    /// Every EC2 resource that carries the tag of this fleet, or of any fleet, and the groups of those; instances that have
    /// ended are left out.
    ///
    /// Tags are asked for and not resources, so that no kind of thing can be forgotten. A group is known by its template, which
    /// outlives it.
    pub async fn ours(&self, fleet: Option<&FleetName>) -> Result<Vec<Ours>, Fault> {
        let mut found = self.tagged().await?;
        found.retain(|thing| match (thing.tags.get(keys::FLEET), fleet) {
            (Some(tag), Some(fleet)) => tag == fleet.as_str(),
            (Some(_), None) => true,
            (None, _) => false,
        });
        let ids: Vec<&str> = found.iter().filter(|thing| thing.kind == "instance").map(|thing| &*thing.id).collect();
        let held = self.held(&ids).await?;
        found.retain(|thing| thing.kind != "instance" || held.contains_key(&thing.id));
        let mut groups = Vec::new();
        for thing in &mut found {
            thing.host = held.get(&thing.id).cloned().flatten();
            if thing.kind != "launch-template" {
                continue;
            }
            let mut end = self.hosts_end(&TemplateId::new(&*thing.id)).await?;
            // Hosts without an end of their own are a group's, and end with it.
            if end.is_none()
                && let Some(group) = self.group_of(thing.fleet()).await?
            {
                end = group.tags.get(keys::EXPIRES).map(str::to_owned);
                groups.push(group);
            }
            thing.tags.0.extend(end.map(|end| (keys::EXPIRES.to_owned(), end)));
        }
        found.append(&mut groups);
        Ok(found)
    }

    /// Whether anything in EC2 carries the tag of this fleet, or did until moments ago.
    pub async fn any_of_fleet(&self, fleet: &FleetName) -> Result<bool, Fault> {
        let (key, value) = (filter("key", [keys::FLEET]), filter("value", [fleet.as_str()]));
        let rows = pages(TAGS, |token| {
            let call = self.ec2().describe_tags().filters(key.clone()).filters(value.clone());
            let call = call.max_results(1000).set_next_token(token);
            async {
                let answer = read(TAGS, call.send()).await?;
                Ok((answer.tags.unwrap_or_default(), answer.next_token))
            }
        });
        Ok(!rows.await?.is_empty())
    }

    /// A fleet's group as its tags tell it. Who may not look at groups has none.
    async fn group_of(&self, fleet: &str) -> Result<Option<Ours>, Fault> {
        let group = match self.group_alone(&of_fleet(fleet)).await {
            Err(fault) if fault.kind == FaultKind::Denied => None,
            found => found?,
        };
        Ok(group.filter(|group| group.tags.get(keys::FLEET) == Some(fleet)).map(|group| {
            let told = group.tags.iter().filter(|(key, _)| TOLD.contains(key));
            Ours { kind: GROUP.to_owned(), id: group.name.clone(), tags: told.collect(), host: None }
        }))
    }

    /// Everything that has any of the tags, in the order of ids.
    async fn tagged(&self) -> Result<Vec<Ours>, Fault> {
        let wanted = filter("key", TOLD);
        let rows = pages(TAGS, |token| {
            let call = self.ec2().describe_tags().filters(wanted.clone()).max_results(1000).set_next_token(token);
            async {
                let answer = read(TAGS, call.send()).await?;
                Ok((answer.tags.unwrap_or_default(), answer.next_token))
            }
        });
        let mut things: BTreeMap<String, Ours> = BTreeMap::new();
        for row in rows.await? {
            let id = need(TAGS, "resource id", row.resource_id)?;
            let kind = row.resource_type.as_ref().map(ResourceType::as_str).unwrap_or_default().to_owned();
            let new = || Ours { kind, id: id.clone(), tags: Tags::default(), host: None };
            let thing = things.entry(id.clone()).or_insert_with(new);
            let (key, value) = (row.key.unwrap_or_default(), row.value.unwrap_or_default());
            thing.tags.0.insert(key, value);
        }
        Ok(things.into_values().collect())
    }

    /// The instances among these that have not ended, by their ids, and their volumes and interfaces with the instance's.
    async fn held(&self, ids: &[&str]) -> Result<BTreeMap<String, Option<String>>, Fault> {
        let mut held = BTreeMap::new();
        for chunk in ids.chunks(FILTER_VALUES) {
            for instance in self.raw_instances(vec![filter("instance-id", chunk.iter().copied())]).await? {
                let state = instance.state.as_ref().and_then(|state| state.name()).map(InstanceStateName::as_str);
                if state == Some(InstanceState::Terminated.as_str()) {
                    continue;
                }
                let id = need(INSTANCES, "instance id", instance.instance_id.clone())?;
                let volumes = instance.block_device_mappings().iter().filter_map(|mapping| mapping.ebs()?.volume_id());
                let interfaces = instance.network_interfaces().iter().filter_map(|one| one.network_interface_id());
                held.extend(volumes.chain(interfaces).map(|part| (part.to_owned(), Some(id.clone()))));
                held.insert(id, None);
            }
        }
        Ok(held)
    }

    /// When the hosts of a launch template's newest version end themselves.
    async fn hosts_end(&self, template: &TemplateId) -> Result<Option<String>, Fault> {
        match self.versions(template).await {
            Ok(versions) => {
                let newest = versions.last().and_then(|version| version.instance_tags.get(keys::EXPIRES));
                Ok(newest.map(str::to_owned))
            }
            // Deleted between the two looks.
            Err(fault) if fault.kind == FaultKind::Gone => Ok(None),
            Err(fault) => Err(fault),
        }
    }
}
