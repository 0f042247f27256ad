//! One read-only look at the account.

pub mod base;
mod doctor;
pub mod offers;

pub use doctor::examine;

use crate::aws::Clients;
use crate::model::{
    Caller, Fault, Group, GroupMember, Image, Instance, InstanceId, InstanceState, LaunchTemplate, Subnet, Survey, tags,
};
use crate::plan::build::with_builder;
use crate::plan::group::group_name;
use crate::plan::launch::template_name;
use crate::spec::Fleet;
use crate::time::Clock;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::OnceCell;

/// What a look is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum For {
    /// Planning: everything.
    Planning,
    /// Telling what is there: the launch template is not read, and absent.
    Telling,
}

/// How long what was read stays part of a look that is not whole yet. All of it is then read again.
const TOGETHER: SignedDuration = SignedDuration::from_secs(30);

/// A look that may need several tries: what was answered is not asked again, so that a day on which many calls fail does not
/// make all of them many times.
#[derive(Debug, Default)]
pub struct Look(Mutex<Option<Arc<Parts>>>);

/// What was answered so far.
#[derive(Debug)]
struct Parts {
    begun: Timestamp,
    caller: OnceCell<Caller>,
    instances: OnceCell<Vec<Instance>>,
    placed: OnceCell<(Option<Instance>, Vec<Subnet>)>,
    launch_template: OnceCell<Option<LaunchTemplate>>,
    images: OnceCell<Vec<Image>>,
}

impl Look {
    /// What was answered to tries that began within the last moments.
    fn parts(&self, now: Timestamp) -> Arc<Parts> {
        let mut parts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match parts.as_ref().filter(|parts| now.duration_since(parts.begun).abs() <= TOGETHER) {
            Some(parts) => Arc::clone(parts),
            None => Arc::clone(parts.insert(Arc::new(Parts {
                begun: now,
                caller: OnceCell::new(),
                instances: OnceCell::new(),
                placed: OnceCell::new(),
                launch_template: OnceCell::new(),
                images: OnceCell::new(),
            }))),
        }
    }

    /// Looks at template instance, hosts, launch template, images and subnets, side by side.
    ///
    /// # Errors
    ///
    /// Of the reads that failed always the same one, whichever was answered first; nothing was changed.
    pub async fn at(
        &self,
        clients: &Clients,
        fleet: &Fleet,
        clock: &dyn Clock,
        what_for: For,
    ) -> Result<Survey, Fault> {
        let parts = self.parts(clock.now());
        Box::pin(whole(&parts, clients, fleet, what_for)).await
    }
}

async fn whole(parts: &Parts, clients: &Clients, fleet: &Fleet, what_for: For) -> Result<Survey, Fault> {
    let name = template_name(fleet.name.as_str());
    let (template, names) = (|| clients.launch_template(&name), with_builder(&fleet.name));
    let (caller, instances, placed, launch_template, images) = tokio::join!(
        Box::pin(parts.caller.get_or_try_init(|| clients.caller())),
        Box::pin(parts.instances.get_or_try_init(|| clients.instances_of_fleets(&names))),
        Box::pin(parts.placed.get_or_try_init(|| placed(clients, fleet))),
        when(what_for == For::Planning, parts.launch_template.get_or_try_init(template)),
        Box::pin(parts.images.get_or_try_init(|| clients.images_of_fleet(&fleet.name))),
    );
    let own = |host: &Instance| host.tags.get(tags::FLEET) == Some(fleet.name.as_str());
    let (caller, (mut instances, built)) = (caller?, instances?.iter().cloned().partition::<Vec<_>, _>(own));
    let ((template, subnets), mut images) = (placed?.clone(), images?.clone());
    let launch_template = launch_template.transpose()?.cloned().flatten();
    let group = Box::pin(group(clients, fleet, &instances, launch_template.as_ref())).await?;
    let hook = match group.as_ref().filter(|_| what_for == For::Planning && fleet.worker.is_some()) {
        Some(group) => Box::pin(clients.drain_hook(&group.name)).await?,
        None => None,
    };
    as_members(&mut instances, group.as_ref());
    images.sort_by(|a, b| b.created.cmp(&a.created).then_with(|| b.name.cmp(&a.name)));
    Ok(Survey {
        at: parts.begun,
        account: caller.account.clone(),
        region: fleet.region.clone(),
        template,
        instances,
        built,
        launch_template,
        group: group.map(Box::new),
        hook,
        images,
        subnets,
    })
}

/// The fleet's hosts as EC2 has them, and its group: all that it takes to count the places that are taken.
///
/// # Errors
///
/// Of the read that failed; nothing was changed.
pub async fn hosts(clients: &Clients, fleet: &Fleet) -> Result<(Vec<Instance>, Option<Group>), Fault> {
    let instances = clients.instances_of_fleet(&fleet.name).await?;
    let group = Box::pin(group(clients, fleet, &instances, None)).await?;
    Ok((instances, group))
}

/// Lets hosts be what their group says of them. EC2 calls one running that somebody set aside, and one that drains before it
/// ends: neither takes a place, and nothing is to be begun on them.
pub fn as_members(instances: &mut [Instance], group: Option<&Group>) {
    let members = group.into_iter().flat_map(|group| &group.members);
    let members: BTreeMap<&InstanceId, &GroupMember> = members.map(|member| (&member.id, member)).collect();
    for host in instances {
        let Some(member) = members.get(&host.id) else { continue };
        host.standby = member.standby();
        if host.state == InstanceState::Running && member.ends() {
            host.state = InstanceState::ShuttingDown;
        }
    }
}

/// The template instance, and the subnets that hosts go to: where the spec names none, that of the template.
async fn placed(clients: &Clients, fleet: &Fleet) -> Result<(Option<Instance>, Vec<Subnet>), Fault> {
    let named = fleet.fleet.as_ref().map(|hosts| hosts.subnets.as_slice()).unwrap_or_default();
    let (template, subnets) = tokio::join!(
        async {
            match fleet.template_instance() {
                Some(id) => Box::pin(clients.instance(id)).await,
                None => Ok(None),
            }
        },
        when(!named.is_empty(), clients.subnets(named)),
    );
    let template = template?;
    let subnets = match (subnets, template.as_ref().and_then(|instance| instance.subnet.clone())) {
        (Some(subnets), _) => subnets?,
        (None, Some(own)) => Box::pin(clients.subnets(&[own])).await?,
        (None, None) => Vec::new(),
    };
    Ok((template, subnets))
}

/// A read that is made only where it is needed.
async fn when<T>(needed: bool, read: impl Future<Output = T>) -> Option<T> {
    if needed { Some(Box::pin(read).await) } else { None }
}

/// The fleet's own group: looked for where the spec wants one, a host says that it is in it, or the launch template has a
/// version whose hosts have no end of their own: only a group's have none, and a group without hosts outlives a changed spec.
async fn group(
    clients: &Clients,
    fleet: &Fleet,
    instances: &[Instance],
    template: Option<&LaunchTemplate>,
) -> Result<Option<Group>, Fault> {
    let name = group_name(fleet.name.as_str());
    let wanted = fleet.fleet.as_ref().is_some_and(|hosts| hosts.group.is_some());
    let in_it = |host: &Instance| host.state.live() && host.group.as_deref() == Some(&name);
    let mut versions = template.iter().flat_map(|template| &template.versions);
    let endless = versions.any(|version| version.instance_tags.ends().is_none());
    if wanted || endless || instances.iter().any(in_it) { clients.group_alone(&name).await } else { Ok(None) }
}

/// Ids of live hosts, sorted.
pub fn live(survey: &Survey) -> Vec<InstanceId> {
    let mut ids: Vec<_> = survey.instances.iter().filter(|i| i.state.live()).map(|i| i.id.clone()).collect();
    ids.sort();
    ids
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_its_group_sets_aside_or_drains_takes_no_place() {
        let in_group = Some("fleetwright-crew".to_owned());
        let ids = ["i-1", "i-2", "i-3", "i-4"];
        let mut hosts = ids.map(|id| Instance { group: in_group.clone(), ..Instance::sample(id) });
        let member = |id: &str, state: &str| GroupMember { state: state.to_owned(), ..GroupMember::sample(id) };
        let members = [member("i-2", "Standby"), member("i-3", "Terminating:Wait"), member("i-4", "Pending")];
        let group = Group { members: members.into(), ..Group::sample("fleetwright-crew") };
        let placed = |hosts: &[Instance]| hosts.iter().map(Instance::has_place).collect::<Vec<_>>();
        as_members(&mut hosts, None);
        assert_eq!(placed(&hosts), [true; 4], "EC2 alone calls all of them running");
        as_members(&mut hosts, Some(&group));
        assert_eq!(placed(&hosts), [true, false, false, true]);
    }
}
