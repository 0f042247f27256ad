//! Scheduled actions on a group: put and deleted in batches, ours alone, and looked at before and after.

use super::Steps;
use crate::aws::{ACTIONS_AT_ONCE, Refused};
use crate::engine::failure::Failure;
use crate::engine::run::Done;
use crate::exit::Exit;
use crate::gate::{ConsentFacts, ConsentedGroup, Reason, consent};
use crate::model::{Group, ScheduledAction};
use crate::plan::recycle::open::closes_first;
use crate::plan::recycle::{Difference, Facts, difference};
use serde_json::json;

impl Steps {
    /// Re-reads the group and asks the gate.
    async fn consented(&self, name: &str) -> Result<(ConsentedGroup, Group), Failure> {
        let (look, change) = (format!("look at the group {name}"), format!("change scheduled actions of {name}"));
        let named = self.fleet.recycle.as_ref().map_or("", |recycle| recycle.group.as_str());
        self.afresh(&change, async |read_at| {
            let found = self.read(&look, async || self.clients.group(name).await).await?;
            let group =
                found.ok_or_else(|| Failure::to(Exit::Refused, format!("find the group {name}: it is gone")))?;
            match consent(&ConsentFacts { look: self.group_look(&group, read_at), named }) {
                Ok(consented) => Ok(Some((consented, group))),
                Err(refusal) if refusal.reason == Reason::Stale => Ok(None),
                Err(refusal) => Err(Failure::to(Exit::Refused, format!("{change}: {}", refusal.reason))),
            }
        })
        .await
    }

    async fn actions_of(&self, group: &ConsentedGroup) -> Result<Vec<ScheduledAction>, Failure> {
        let what = format!("list the scheduled actions of {}", group.name());
        self.read(&what, async || self.clients.scheduled_actions(group.name()).await).await
    }

    /// Deletes those of these actions that are there.
    pub(super) async fn unschedule(&self, step: &str, group: &str, names: &[String]) -> Result<Done, Failure> {
        let (group, found) = self.consented(group).await?;
        let there = self.actions_of(&group).await?;
        // A window may have opened since the plan was made.
        let facts = Facts { group: &found, actions: &there, scaling: &[], now: self.clock.now() };
        closes_first(&self.fleet, &self.plan.verb, &facts, &Difference { delete: names.to_vec(), put: Vec::new() })?;
        let left: Vec<String> =
            there.into_iter().map(|action| action.name).filter(|name| names.contains(name)).collect();
        let mut refused = Vec::new();
        for chunk in left.chunks(ACTIONS_AT_ONCE) {
            let failed: Vec<Refused> = self
                .change(
                    step,
                    "delete scheduled actions",
                    async || self.clients.draft_delete_actions(&group, chunk).await,
                    async |permit| self.clients.delete_actions(permit).await.map(|failed| (chunk.to_vec(), failed)),
                )
                .await?;
            refused.extend(failed);
        }
        // What was gone before it could be deleted is gone.
        if !refused.is_empty() {
            let there = self.actions_of(&group).await?;
            refused.retain(|item| there.iter().any(|action| action.name == item.name));
        }
        told(&refused, "delete", names.len())?;
        Ok(Done::new(json!({"deleted": names}), format!("{} scheduled actions deleted", left.len())))
    }

    /// Puts those of these actions that are not there as they should be.
    pub(super) async fn schedule(&self, step: &str, group: &str, actions: &[ScheduledAction]) -> Result<Done, Failure> {
        let (group, _) = self.consented(group).await?;
        let there = self.actions_of(&group).await?;
        let left = difference(group.prefix(), actions, &there).put;
        let mut refused = Vec::new();
        for chunk in left.chunks(ACTIONS_AT_ONCE) {
            let names: Vec<String> = chunk.iter().map(|action| action.name.clone()).collect();
            let failed: Vec<Refused> = self
                .change(
                    step,
                    "put scheduled actions",
                    async || self.clients.draft_put_actions(&group, chunk).await,
                    async |permit| self.clients.put_actions(permit).await.map(|failed| (names.clone(), failed)),
                )
                .await?;
            refused.extend(failed);
        }
        told(&refused, "put", actions.len())?;
        Ok(Done::new(json!({"put": actions}), format!("{} scheduled actions put", left.len())))
    }
}

/// The items that AWS did not take, as one failure.
fn told(refused: &[Refused], doing: &str, of: usize) -> Result<(), Failure> {
    if refused.is_empty() {
        return Ok(());
    }
    let all: Vec<String> =
        refused.iter().map(|item| format!("{} ({}: {})", item.name, item.code, item.message)).collect();
    Err(Failure::to(Exit::Partial, format!("{doing} {} of {of} scheduled actions: {}", refused.len(), all.join("; ")))
        .hint("the others are done; the same command again tries these once more"))
}
