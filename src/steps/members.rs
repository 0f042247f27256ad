//! Members of the fleet's group that a change of it would end and must not: what a person keeps, and what is not ours. Auto
//! Scaling goes by its own protection alone.

use super::Steps;
use crate::aws::Clients;
use crate::engine::failure::Failure;
use crate::engine::tools::Tools;
use crate::exit::Exit;
use crate::model::{FaultKind, Group, Instance, InstanceId, Mark, tags};
use crate::plan::CONSISTENT;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::{JoinSet, LocalSet};

/// Hosts that EC2 is asked about at once: each answer takes it some tens of milliseconds, and a fleet may have a thousand.
const AT_ONCE: usize = 16;
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

/// The refusal to count the hosts of a group, or to change it, because of these, and what to do about them.
pub fn foreign_members(group: &str, ids: &[InstanceId]) -> Failure {
    let foreign: Vec<String> = ids.iter().map(|id| format!("{id} (not this fleet's)")).collect();
    let why = format!("count the hosts of the group {group}: in it there is {}", foreign.join(", "));
    detach(Failure::to(Exit::Refused, why), group, ids)
}

fn detach(failure: Failure, group: &str, foreign: &[InstanceId]) -> Failure {
    match foreign.first() {
        Some(id) => failure.hint(format!(
            "aws autoscaling detach-instances --should-decrement-desired-capacity --auto-scaling-group-name {group} \
             --instance-ids {id}     # gives it back to whoever attached it"
        )),
        None => failure,
    }
}

impl Spared {
    /// The refusal to end them, and what to do about them.
    pub(super) fn refusal(&self, group: &str) -> Failure {
        let kept = self.kept.iter().map(|(id, how)| format!("{id} ({how})"));
        let all: Vec<String> = kept.chain(self.foreign.iter().map(|id| format!("{id} (not this fleet's)"))).collect();
        let why = format!("change the group {group}: it would end {}", all.join(", "));
        let mut failure = Failure::to(Exit::Refused, why);
        if let Some((id, _)) = self.kept.first() {
            failure = failure.hint(format!("fleetwright protect {id}     # lets Auto Scaling keep it, too"));
        }
        detach(failure, group, &self.foreign)
    }
}

/// How a person keeps a host of ours, by these marks.
fn marked(host: &Instance, marks: &[Mark]) -> Option<&'static str> {
    marks.iter().find(|mark| host.marked(**mark).is_some()).map(|mark| mark.key())
}

async fn guarded(tools: &Tools, clients: &Clients, id: &InstanceId) -> Result<bool, Failure> {
    let look = async || match clients.termination_protected(id).await {
        Err(fault) if fault.kind == FaultKind::Gone => Ok(false),
        told => told,
    };
    tools.read(&format!("read whether {id} is protected"), look).await
}

/// Whether each of these has EC2's own termination protection; what is gone has none. No list tells it.
///
/// # Errors
///
/// Of the read that failed; nothing was changed.
pub async fn all_guarded(
    tools: &Tools,
    clients: &Arc<Clients>,
    ids: &[InstanceId],
) -> Result<BTreeMap<InstanceId, bool>, Failure> {
    let mut told = BTreeMap::new();
    for some in ids.chunks(AT_ONCE) {
        let (here, mut asked) = (LocalSet::new(), JoinSet::new());
        for id in some.iter().cloned() {
            let (tools, clients) = (tools.clone(), Arc::clone(clients));
            asked.spawn_local_on(async move { (guarded(&tools, &clients, &id).await, id) }, &here);
        }
        for (on, id) in here.run_until(asked.join_all()).await {
            told.insert(id, on?);
        }
    }
    Ok(told)
}

impl Steps {
    /// Whether EC2's own termination protection is on; what is gone has none. Auto Scaling does not heed it.
    pub(super) async fn guarded(&self, id: &InstanceId) -> Result<bool, Failure> {
        guarded(&self.tools, &self.clients, id).await
    }

    /// The same of each of these: no list tells it.
    pub(super) async fn all_guarded(&self, ids: &[InstanceId]) -> Result<BTreeMap<InstanceId, bool>, Failure> {
        all_guarded(&self.tools, &self.clients, ids).await
    }

    /// Members that Auto Scaling does not protect and that must not be ended by it. What EC2 was asked of a member before is not
    /// asked again.
    pub(super) async fn spared(
        &self,
        group: &Group,
        marks: &[Mark],
        guarded: &mut BTreeMap<InstanceId, bool>,
    ) -> Result<Spared, Failure> {
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
        let unmarked = ours.iter().filter(|host| marked(host, marks).is_none()).map(|host| host.id.clone());
        let unasked: Vec<InstanceId> = unmarked.filter(|id| !guarded.contains_key(id)).collect();
        guarded.extend(self.all_guarded(&unasked).await?);
        for host in ours {
            let by_ec2 = guarded.get(&host.id).is_some_and(|on| *on).then_some("EC2's termination protection");
            spared.kept.extend(marked(host, marks).or(by_ec2).map(|how| (host.id.clone(), how)));
        }
        Ok(spared)
    }
}
