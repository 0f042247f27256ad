//! What is asked before a host is counted or chosen: which hosts EC2 keeps, and which members of the fleet's group are not ours.

use super::context::Context;
use crate::engine::failure::Failure;
use crate::model::{Instance, InstanceId, Survey, tags};
use crate::plan::CONSISTENT;
use crate::plan::group::ours;
use crate::steps::{all_guarded, foreign_members, past};
use std::collections::BTreeSet;
use std::time::Duration;

/// Between two looks at a member whose tags are not there yet.
const LOOK: Duration = Duration::from_secs(10);

impl Context {
    /// Which of these hosts have EC2's termination protection; no list tells it.
    pub(super) async fn guarded(&self, ids: &[InstanceId]) -> Result<BTreeSet<InstanceId>, Failure> {
        let told = all_guarded(&self.tools, &self.clients().await?, ids).await?;
        Ok(told.into_iter().filter_map(|(id, on)| on.then_some(id)).collect())
    }

    /// Refuses to count the hosts of a group of ours with an instance in it that is not this fleet's: it has the place of one.
    pub(super) async fn check_members(&self, survey: &Survey) -> Result<(), Failure> {
        let Some(group) = ours(&self.fleet, survey) else { return Ok(()) };
        let known = |id: &InstanceId| survey.instances.iter().any(|host| host.id == *id);
        let others = group.members.iter().filter(|member| !member.leaves() && !known(&member.id));
        let others: Vec<InstanceId> = others.map(|member| member.id.clone()).collect();
        let (begun, clients) = (self.clock.now(), self.clients().await?);
        while !others.is_empty() {
            let now = self.clock.now();
            let what = format!("look at members of {}", group.name);
            let mut seen = self.read(&what, async || clients.instances_by_ids(&others).await).await?;
            seen.retain(|host| host.state.live() && host.tags.get(tags::FLEET) != Some(self.fleet.name.as_str()));
            // Tags lag like everything else: what was launched moments ago may be the group's own.
            let young = |host: &Instance| past::young(host, now);
            if seen.iter().any(young) && now.duration_since(begun) < CONSISTENT {
                self.pause(LOOK).await?;
                continue;
            }
            let foreign: Vec<InstanceId> = seen.into_iter().map(|host| host.id).collect();
            return if foreign.is_empty() { Ok(()) } else { Err(foreign_members(&group.name, &foreign)) };
        }
        Ok(())
    }
}
