//! What the fleet wants, as far as spec and facts tell, and which calls are asked about.

use crate::model::checkup::{Checkup, Trial, TrialLaunch};
use crate::model::{Image, Instance, Market, SubnetId, tags};
use crate::plan::launch::template_name;
use crate::spec::Fleet;

/// What the fleet wants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Types in order of preference: the spec's, else the template's; those that meet the requirements, where it has
    /// some.
    pub types: Vec<String>,
    /// Subnets: the spec's, else the template's.
    pub subnets: Vec<SubnetId>,
    /// Name or ARN of the instance profile: the spec's, else the template's.
    pub profile: Option<String>,
    /// What has an architecture, and which: the newest image, else the template.
    pub architecture: Option<(String, String)>,
    /// Hosts to come.
    pub missing: u32,
    /// Of these, spot.
    pub spot: u32,
    /// Of these, on demand.
    pub on_demand: u32,
    /// By how many the launch may fall short: `size` over `accept.min`.
    pub spare: u32,
}

/// The template instance, where it was seen.
fn template(checkup: &Checkup) -> Option<&Instance> {
    checkup.template.as_ref()?.as_ref().ok()?.as_ref()
}

/// The image that the template is built of, where it was seen.
fn base(checkup: &Checkup) -> Option<&Image> {
    checkup.base.as_ref()?.as_ref().ok()?.as_ref()
}

/// The newest image that can be launched.
fn image(checkup: &Checkup) -> Option<&Image> {
    let images = checkup.images.as_ref()?.as_ref().ok()?;
    images.iter().find(|image| image.launchable())
}

/// Hosts that live, where they were seen.
fn live(checkup: &Checkup) -> Vec<&Instance> {
    let hosts = checkup.hosts.as_ref().and_then(|hosts| hosts.as_ref().ok());
    hosts.into_iter().flatten().filter(|host| host.state.live()).collect()
}

/// What the fleet wants beyond what is there.
pub fn wanted(fleet: &Fleet, checkup: &Checkup) -> Wanted {
    let Some(hosts) = &fleet.fleet else { return Wanted::default() };
    let (template, live) = (template(checkup), live(checkup));
    let kind = || template.map(|instance| instance.instance_type.clone()).into_iter().collect();
    let subnet = || template.and_then(|instance| instance.subnet.clone()).into_iter().collect();
    let architecture = image(checkup)
        .and_then(|image| Some((format!("image {}", image.id), image.architecture.clone()?)))
        .or_else(|| template.and_then(|i| Some((format!("template {}", i.id), i.architecture.clone()?))))
        .or_else(|| base(checkup).and_then(|i| Some((format!("base image {}", i.id), i.architecture.clone()?))));
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let missing = hosts.size.saturating_sub(count(live.len()));
    let spot_now = count(live.iter().filter(|host| host.market == Market::Spot).count());
    let spot = (hosts.size.saturating_mul(u32::from(hosts.spot_percent)) / 100).saturating_sub(spot_now).min(missing);
    Wanted {
        types: match (&hosts.requirements, hosts.types.as_slice()) {
            (Some(_), _) => checkup.chosen.clone().and_then(Result::ok).unwrap_or_default(),
            (None, []) => kind(),
            (None, named) => named.to_vec(),
        },
        subnets: if hosts.subnets.is_empty() { subnet() } else { hosts.subnets.clone() },
        profile: hosts.instance_profile.clone().or_else(|| template.and_then(|i| i.instance_profile.clone())),
        architecture,
        missing,
        spot,
        on_demand: missing - spot,
        spare: hosts.size.saturating_sub(hosts.accept_min),
    }
}

/// Which calls are asked about: those that the spec needs and that can be asked about with what is there.
pub fn trials(fleet: &Fleet, checkup: &Checkup) -> Vec<Trial> {
    let mut trials = Vec::new();
    let made = checkup.launch_template.as_ref().and_then(|made| made.as_ref().ok()?.as_ref());
    let ours = fleet.tags.clone().with(tags::FLEET, fleet.name.as_str());
    let template = template(checkup);
    if fleet.fleet.is_some() {
        trials.push(match made {
            Some(made) => Trial::TemplateVersion(made.id.clone()),
            None => Trial::Template(template_name(fleet.name.as_str()), ours.clone()),
        });
        trials.extend(launch(fleet, checkup).map(|launch| Trial::Launch(Box::new(launch))));
    }
    if let (Some(hosts), Some(made)) = (&fleet.fleet, made) {
        let market = if hosts.spot_percent > 0 { Market::Spot } else { Market::OnDemand };
        trials.push(Trial::Fleet(made.id.clone(), market));
    }
    if let Some(instance) = template.filter(|_| fleet.template.is_some()) {
        trials.push(Trial::Image(instance.id.clone(), format!("{}-doctor", fleet.image.name), ours.clone()));
    }
    if fleet.fleet.is_some() {
        if let Some(host) = live(checkup).first() {
            trials.push(Trial::Extend(host.id.clone(), checkup.at.to_string()));
            trials.push(Trial::Terminate(host.id.clone()));
        }
        trials.extend(image(checkup).map(|image| Trial::Deregister(image.id.clone())));
        trials.extend(made.map(|made| Trial::DeleteTemplate(made.id.clone())));
    }
    trials
}

/// A launch like the fleet's own, with the newest image, else with the template's.
fn launch(fleet: &Fleet, checkup: &Checkup) -> Option<TrialLaunch> {
    let hosts = fleet.fleet.as_ref()?;
    let wanted = wanted(fleet, checkup);
    let template = template(checkup);
    let own = image(checkup).map(|image| image.id.clone());
    let groups = || template.map(|instance| instance.security_groups.clone()).unwrap_or_default();
    Some(TrialLaunch {
        own_image: own.is_some(),
        image: own
            .or_else(|| template.map(|instance| instance.image.clone()))
            .or_else(|| base(checkup).map(|image| image.id.clone()))?,
        instance_type: wanted.types.first().cloned().or_else(|| template.map(|i| i.instance_type.clone()))?,
        subnet: wanted.subnets.first()?.clone(),
        security_groups: if hosts.security_groups.is_empty() { groups() } else { hosts.security_groups.clone() },
        key_name: hosts.key_name.clone().or_else(|| template.and_then(|instance| instance.key_name.clone())),
        profile: wanted.profile,
        market: if hosts.spot_percent > 0 { Market::Spot } else { Market::OnDemand },
        tokens_required: hosts.metadata.tokens_required,
        hop_limit: hosts.metadata.hop_limit,
        tags: fleet.tags.clone().with(tags::FLEET, fleet.name.as_str()),
    })
}
