//! One read-only look at the account.

mod doctor;
pub mod offers;

pub use doctor::examine;

use crate::aws::Clients;
use crate::model::{Fault, InstanceId, SubnetId, Survey};
use crate::plan::launch::template_name;
use crate::spec::Fleet;
use crate::time::Clock;

/// Looks at everything that planning rests on: template instance, hosts, launch template, images, subnets.
///
/// # Errors
///
/// The first read that failed; nothing was changed.
pub async fn look(clients: &Clients, fleet: &Fleet, clock: &dyn Clock) -> Result<Survey, Fault> {
    let caller = clients.caller().await?;
    let template = match &fleet.template {
        Some(template) => clients.instance(&template.instance).await?,
        None => None,
    };
    let instances = clients.instances_of_fleet(&fleet.name).await?;
    let launch_template = clients.launch_template(&template_name(fleet.name.as_str())).await?;
    let mut images = clients.images_of_fleet(&fleet.name).await?;
    images.sort_by(|a, b| b.created.cmp(&a.created).then_with(|| b.name.cmp(&a.name)));
    let named = fleet.fleet.as_ref().map(|hosts| hosts.subnets.clone()).unwrap_or_default();
    let wanted: Vec<SubnetId> =
        if named.is_empty() { template.iter().filter_map(|instance| instance.subnet.clone()).collect() } else { named };
    let subnets = if wanted.is_empty() { Vec::new() } else { clients.subnets(&wanted).await? };
    Ok(Survey {
        at: clock.now(),
        account: caller.account,
        region: fleet.region.clone(),
        template,
        instances,
        launch_template,
        images,
        subnets,
    })
}

/// Ids of live hosts, sorted.
pub fn live(survey: &Survey) -> Vec<InstanceId> {
    let mut ids: Vec<_> = survey.instances.iter().filter(|i| i.state.live()).map(|i| i.id.clone()).collect();
    ids.sort();
    ids
}
