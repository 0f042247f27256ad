//! The end of orphans: what two looks found to be one, through the gate, until a third sees none of it.

use super::Steps;
use super::adopt::Adopted;
use crate::engine::failure::Failure;
use crate::engine::run::Done;
use crate::exit::Exit;
use crate::model::group::KIND;
use crate::model::{Group, InstanceId, Residue, Thing};
use crate::plan::CONSISTENT;
use crate::plan::orphans::KINDS;
use serde_json::json;
use std::collections::BTreeSet;
use std::time::Duration;

/// Between two looks at what is on its way out.
const LOOK: Duration = Duration::from_secs(10);

impl Steps {
    /// Ends the orphans that the second look left: hosts first, then what they held, then what made them.
    pub(super) async fn reap(&self, step: &str) -> Result<Done, Failure> {
        let adopted: Adopted = self.output_of("adopt")?;
        let named = |id: &str| adopted.things.iter().any(|thing| thing.id == id);
        // Whoever goes on with this much later may find the fleet in use again.
        let hosts = self.orphans(|thing| thing.kind == "instance" && named(&thing.id)).await?;
        let hosts: BTreeSet<InstanceId> = hosts.iter().map(|thing| InstanceId::new(thing.id.as_str())).collect();
        let mut ended = 0;
        if !hosts.is_empty() {
            let (gone, kept) = self.end(step, Some(&hosts)).await?;
            ended += gone;
            for (id, reason) in kept {
                self.events.warn(format!("instance {id} is left alone: {reason}"));
            }
        }
        for kind in KINDS.into_iter().filter(|kind| !["instance", KIND].contains(kind)) {
            ended += self
                .afresh("end orphans", async |read_at| {
                    // What a host holds ends with it, or is Busy.
                    let still = self.orphans(|thing| thing.kind == kind && named(&thing.id)).await?;
                    let still: Vec<_> = still.iter().map(|thing| (thing.id.as_str(), &thing.tags)).collect();
                    self.delete_all(step, kind, &still, read_at).await
                })
                .await?;
        }
        for thing in adopted.things.iter().filter(|thing| thing.kind == KIND) {
            ended += self.reap_group(step, &thing.id).await?;
        }
        self.see_gone(&adopted.things).await?;
        Ok(Done::new(json!({ "n": ended }), format!("{ended} things are gone")))
    }

    /// Deletes a group whose end is over and that has no host; how many that were. No look at what is ours shows it any more:
    /// that finds it by its launch template, which is gone by now.
    async fn reap_group(&self, step: &str, name: &str) -> Result<usize, Failure> {
        let over = |group: &Group| group.tags.ends().is_some_and(|end| end <= self.clock.now());
        let Some(group) = self.group_now(name).await?.filter(|group| over(group) && group.members.is_empty()) else {
            return Ok(0);
        };
        self.delete_group(step, &group.name).await.map(|_| 1)
    }

    /// Waits until a look shows none of these as an orphan any more.
    async fn see_gone(&self, named: &BTreeSet<Thing>) -> Result<(), Failure> {
        let deadline = self.clock.now() + CONSISTENT;
        loop {
            let left = self.orphans(|thing| named.iter().any(|one| one.id == thing.id)).await?;
            if left.is_empty() {
                return Ok(());
            }
            if self.clock.now() > deadline {
                let things: Vec<Thing> =
                    left.into_iter().map(|thing| Thing { kind: thing.kind, id: thing.id }).collect();
                let list: Vec<String> = things.iter().map(ToString::to_string).collect();
                return Err(Failure::to(Exit::Residue, format!("end every orphan; still there: {}", list.join(", ")))
                    .leaving(Residue::Remaining(things))
                    .hint("fleetwright orphans --reap     # tries again"));
            }
            self.pause(LOOK).await?;
        }
    }
}
