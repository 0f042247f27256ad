//! Members of the fleet's group that a change of it would end and must not: what a person keeps, and what is not ours. Auto
//! Scaling goes by its own protection alone.

use super::Steps;
use crate::engine::failure::Failure;
use crate::model::{FaultKind, Group, Instance, InstanceId, Mark, tags};
use crate::plan::CONSISTENT;
use std::time::Duration;

/// Between two looks at a member whose tags are not there yet.
const LOOK: Duration = Duration::from_secs(10);

/// Members that Auto Scaling would end although they must stay.
#[derive(Clone, Debug, Default)]
pub(super) struct Spared {
    /// What a person keeps, with how.
    pub(super) kept: Vec<(InstanceId, &'static str)>,
    /// What does not carry this fleet's tag: somebody attached it to the group.
    pub(super) foreign: Vec<InstanceId>,
}

impl Spared {
    /// The refusal of the gate with the members that it is about, and what to do about them.
    pub(super) fn named(&self, mut failure: Failure, group: &str) -> Failure {
        if self.kept.is_empty() && self.foreign.is_empty() {
            return failure;
        }
        let kept = self.kept.iter().map(|(id, how)| format!("{id} ({how})"));
        let all: Vec<String> = kept.chain(self.foreign.iter().map(|id| format!("{id} (not this fleet's)"))).collect();
        failure.message = format!("{}: {}", failure.message, all.join(", "));
        failure.hints.clear();
        if let Some((id, _)) = self.kept.first() {
            failure = failure.hint(format!("fleetwright protect {id}     # lets Auto Scaling keep it, too"));
        }
        match self.foreign.first() {
            Some(id) => failure.hint(format!(
                "aws autoscaling detach-instances --should-decrement-desired-capacity --auto-scaling-group-name {group} \
                 --instance-ids {id}     # gives it back to whoever attached it"
            )),
            None => failure,
        }
    }
}

/// How a person keeps a host of ours, by these marks.
fn marked(host: &Instance, marks: &[Mark]) -> Option<&'static str> {
    marks.iter().find(|mark| host.marked(**mark).is_some()).map(|mark| mark.key())
}

impl Steps {
    /// Whether EC2's own termination protection is on; what is gone has none. Auto Scaling does not heed it.
    pub(super) async fn guarded(&self, id: &InstanceId) -> Result<bool, Failure> {
        let look = async || match self.clients.termination_protected(id).await {
            Err(fault) if fault.kind == FaultKind::Gone => Ok(false),
            told => told,
        };
        self.read(&format!("read whether {id} is protected"), look).await
    }

    /// Members that Auto Scaling does not protect and that must not be ended by it. EC2's protection is told by no list: each
    /// member is asked for by itself.
    pub(super) async fn spared(&self, group: &Group, marks: &[Mark]) -> Result<Spared, Failure> {
        let begun = self.clock.now();
        let free = group.members.iter().filter(|member| !member.protected && !member.leaves());
        let free: Vec<InstanceId> = free.map(|member| member.id.clone()).collect();
        if free.is_empty() {
            return Ok(Spared::default());
        }
        let ours = |host: &&Instance| host.tags.get(tags::FLEET) == Some(self.fleet.name.as_str());
        let seen = loop {
            let seen =
                self.read("look at the group's hosts", async || self.clients.instances_by_ids(&free).await).await?;
            // Tags lag like everything else: what was launched moments ago may be the group's own.
            let now = self.clock.now();
            let young = |host: &Instance| now.duration_since(host.launched) < CONSISTENT;
            let unsure = seen.iter().any(|host| host.state.live() && !ours(&host) && young(host));
            if !unsure || now.duration_since(begun) >= CONSISTENT {
                break seen;
            }
            self.pause(LOOK).await?;
        };
        let (ours, foreign): (Vec<&Instance>, Vec<&Instance>) =
            seen.iter().filter(|host| host.state.live()).partition(ours);
        let mut spared =
            Spared { foreign: foreign.into_iter().map(|host| host.id.clone()).collect(), ..Spared::default() };
        for host in ours {
            let how = match marked(host, marks) {
                None if self.guarded(&host.id).await? => Some("EC2's termination protection"),
                how => how,
            };
            spared.kept.extend(how.map(|how| (host.id.clone(), how)));
        }
        Ok(spared)
    }
}
