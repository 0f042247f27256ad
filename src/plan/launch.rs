//! The plan of `launch`: from what is there to N hosts.

use super::birth::{Birth, epoch_step, expires, settings, template};
use super::estimate::{self, Job, estimate};
use super::group;
use super::ladder::Dry;
use super::rates::Rates;
use super::token::digest;
use super::{Action, Ladder, Plan, Step, Unplannable, Until};
use crate::exit::Exit;
use crate::model::{
    Image, ImageState, Instance, InstanceId, InstanceState, Market, Offers, Survey, Tags, TemplateRequest,
    TemplateVersion, count, tags,
};
use crate::spec::fleet::{Connect, HostsSpec, Otherwise, SharedState, Worker};
use crate::spec::image::ImageSpec;
use crate::spec::{Fleet, spell};
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// All that a launch is planned from.
#[derive(Clone, Debug)]
pub struct Input<'a> {
    /// What its hosts are born from.
    pub birth: Birth<'a>,
    /// How long the job takes, as far as it is known before.
    pub job: Job,
    /// Hosts wanted in all.
    pub size: u32,
    /// How far new hosts are waited for.
    pub until: Until,
    /// Hosts that our journals launched within the last five minutes and that the survey does not show yet: absence
    /// proves nothing that early (EC2's guide on eventual consistency).
    pub unseen: Vec<InstanceId>,
    /// Hosts that our journals launched and never saw come up.
    pub unsettled: BTreeSet<InstanceId>,
    /// Launch requests that our journals know per epoch.
    pub attempts: &'a BTreeMap<String, u32>,
    /// Pools that our journals found without room within the last minutes.
    pub dry: Vec<Dry>,
    /// Digest of spec, verb and arguments.
    pub request: String,
    /// World time.
    pub now: Timestamp,
}

/// Name of a fleet's launch template.
pub fn template_name(fleet: &str) -> String {
    crate::model::group::of_fleet(fleet)
}

/// What a version of the launch template is described by: what it is made from.
pub fn description(fleet: &Fleet, image: &Image) -> String {
    format!("fleetwright {}", digest(&[&fleet.digest, image.id.as_str()]))
}

/// Name of an epoch: launch template and version.
pub fn epoch_name(template: &str, version: i64) -> String {
    format!("{template}:{version}")
}

/// The version that a launch of this spec and image would use again: ours by description, with at least nine tenths
/// of its hosts' life left.
pub fn reusable<'a>(
    survey: &'a Survey,
    description: &str,
    expires: SignedDuration,
    now: Timestamp,
) -> Option<&'a TemplateVersion> {
    let template = survey.launch_template.as_ref()?;
    template.versions.iter().rev().find(|version| {
        let until = version.instance_tags.get(tags::EXPIRES).and_then(|text| text.parse::<Timestamp>().ok());
        // Hosts of a group end with it: their version names no end.
        version.description.as_deref() == Some(description)
            && until.is_none_or(|until| until.duration_since(now) >= expires - expires / 10)
    })
}

/// Plans a launch. An empty plan means that nothing is missing.
///
/// # Errors
///
/// When spec and account can't be brought together: every reason names what to change.
pub fn plan(input: &Input<'_>) -> Result<Plan, Unplannable> {
    let Birth { fleet, hosts, survey, image, offers, .. } = &input.birth;
    if image.state != ImageState::Available {
        return Err(Unplannable::new(
            Exit::Refused,
            format!("image {} is {}, not available", image.id, image.state.as_str()),
            "fleetwright bake",
        ));
    }
    let there: Vec<_> = survey.instances.iter().filter(|instance| instance.state.live()).collect();
    let live: Vec<_> = there.iter().filter(|instance| instance.counts()).collect();
    let have = match group::of(hosts, survey)? {
        None => u32::try_from(live.len() + input.unseen.len()).unwrap_or(u32::MAX),
        Some(group) => {
            let placed = there.iter().filter(|host| host.has_place()).count();
            group.map_or(0, |group| group.desired.min(u32::try_from(placed).unwrap_or(u32::MAX)))
        }
    };
    let mut plan = Plan::new("launch", fleet.key(), input.request.clone());
    let (placed, aside): (Vec<&&Instance>, Vec<&&Instance>) = there.iter().partition(|host| host.has_place());
    let aside: Vec<InstanceId> = aside.iter().map(|host| host.id.clone()).collect();
    if !aside.is_empty() {
        plan.notes.push(format!("in quarantine or standby and not counted: {}", count(aside.len(), "host")));
    }
    for host in placed.iter().filter(|host| matches!(host.state, InstanceState::Stopped | InstanceState::Stopping)) {
        let (id, state) = (&host.id, host.state);
        plan.notes.push(format!(
            "{id} is {state}: it has its place and does nothing; start it, or `fleetwright down --only {id}`"
        ));
    }
    let (awaited, existing): (Vec<InstanceId>, Vec<InstanceId>) = placed
        .iter()
        .map(|host| host.id.clone())
        .chain(input.unseen.iter().cloned())
        .partition(|id| input.unsettled.contains(id) && !there.iter().any(|host| host.id == *id && !host.counts()));
    if !awaited.is_empty() {
        let hosts = count(awaited.len(), "host");
        plan.notes.push(format!("{hosts} of an earlier launch have not come up yet: they are waited for"));
    }
    let some = !awaited.is_empty();
    let settle =
        Step::new("settle", settle_title(input.until), Action::Settle { until: input.until, existing, aside, awaited });
    if have > input.size {
        plan.notes.push(format!(
            "{have} hosts are there, {0} are wanted: launch never ends hosts, `fleetwright scale {0}` does",
            input.size
        ));
    }
    if let Some(group) = survey.group.as_deref().filter(|group| group.desired > have.max(input.size)) {
        plan.notes.push(format!(
            "{} asks for {} hosts; `fleetwright scale {}` lets it ask for no more",
            group.name, group.desired, input.size
        ));
    }
    if have >= input.size && hosts.group.is_none() {
        plan.steps.extend(some.then_some(settle));
        return Ok(plan);
    }
    let missing = input.size.saturating_sub(have);
    let settings = settings(&input.birth)?;
    plan.notes.extend(without_ipv4(fleet, survey, &settings.subnets)?);
    let expires = expires(hosts);
    let wanted = template(&input.birth, &settings);
    let grouped =
        hosts.group.as_ref().map(|spec| group::request(fleet, (hosts, spec), &settings.types, &settings.subnets));
    let epoch = reusable(survey, &wanted.description, expires, input.now);
    if missing == 0 && grouped.as_ref().is_some_and(|wanted| group::is_as_wanted(survey, wanted, epoch)) {
        plan.steps.extend(some.then_some(settle));
        return Ok(plan);
    }
    let first_attempt = epoch
        .zip(survey.launch_template.as_ref())
        .and_then(|(version, template)| input.attempts.get(&epoch_name(template.id.as_str(), version.number)).copied())
        .unwrap_or(0);
    let live_spot = live.iter().filter(|instance| instance.market == Market::Spot).count();
    let spot_wanted = input.size * u32::from(hosts.spot_percent) / 100;
    let live_on_demand = live.len() - live_spot;
    let floor = hosts.on_demand.saturating_sub(u32::try_from(live_on_demand).unwrap_or(u32::MAX)).min(missing);
    let spot = spot_wanted.saturating_sub(u32::try_from(live_spot).unwrap_or(u32::MAX)).min(missing - floor);
    let ladder = Ladder {
        spot,
        on_demand: missing - spot,
        fallback: hosts.fallback_on_demand,
        types: settings.types.clone(),
        subnets: settings.subnets,
        max_price: hosts.max_price.map(|price| format!("{}", price.dollars())),
        within_seconds: i64::try_from(hosts.accept_within.as_secs()).unwrap_or(i64::MAX),
        first_attempt,
        zones: survey.subnets.iter().map(|subnet| (subnet.id.clone(), subnet.zone.clone())).collect(),
        dry: input.dry.clone(),
    };
    plan.estimate = offers.filter(|_| missing > 0).map(|offers| {
        let rates = rates(offers, hosts, survey, Some(image));
        let zones: Vec<_> = survey
            .subnets
            .iter()
            .filter(|subnet| ladder.subnets.contains(&subnet.id))
            .map(|subnet| subnet.zone.clone())
            .collect();
        Box::new(estimate(&estimate::Input {
            spot: ladder.spot,
            on_demand: ladder.on_demand,
            fallback: ladder.fallback,
            types: &ladder.types,
            zones: &zones,
            max_price: hosts.max_price,
            rates,
            expires: expires.as_secs(),
            consoles: input.until > Until::Running,
            job: input.job,
        }))
    });
    plan.steps = vec![epoch_step(&input.birth, wanted, None)];
    match grouped {
        None => {
            let min = hosts.accept_min.min(input.size).saturating_sub(have);
            plan.steps.push(Step::new("capacity", count(missing, "new host"), Action::Capacity(ladder)));
            plan.steps.push(Step::new(
                "accept",
                format!("accept {min} or more of {missing}"),
                Action::Accept { min, wanted: missing, abort: hosts.otherwise == Otherwise::Abort },
            ));
        }
        Some(wanted) => {
            plan.notes.extend(survey.group.iter().flat_map(|group| group::notes(group, survey.hook.as_ref(), &wanted)));
            // Too few are ended again only where all of them are new.
            let abort = hosts.otherwise == Otherwise::Abort && there.is_empty();
            plan.steps.extend(group::steps(hosts, &wanted, input.size.max(have), abort));
        }
    }
    plan.steps.push(settle);
    if let Some(worker) = &fleet.worker {
        let Worker { service, restart_every, logs_to, .. } = worker;
        let every = restart_every.map(spell);
        plan.notes.extend(
            every.map(|every| format!("on each host {service} is restarted before it has been up for {every}")),
        );
        plan.notes.extend(logs_to.as_ref().map(|SharedState { bucket, prefix }| {
            format!(
                "before a host that was drained ends, the journal of {service} goes to s3://{bucket}/{prefix}{}",
                fleet.name
            )
        }));
    }
    Ok(plan)
}

/// What a host of this spec costs, from this image or else from the fleet's newest.
pub fn rates<'a>(offers: &'a Offers, hosts: &HostsSpec, survey: &Survey, image: Option<&Image>) -> Rates<'a> {
    Rates {
        offers,
        root_gib: hosts.root.size_gib.or_else(|| image.or(survey.images.first())?.root_gib),
        addresses: survey.subnets.iter().any(|subnet| subnet.public_addresses),
    }
}

fn settle_title(until: Until) -> &'static str {
    match until {
        Until::Running => "wait until the hosts run",
        Until::Ssh => "wait until the hosts answer over SSH",
        Until::Ready => "wait until the hosts' workers are active",
    }
}

/// What a launch into subnets that have no IPv4 means; refused where SSH wants a public address, which is never IPv6.
fn without_ipv4(
    fleet: &Fleet,
    survey: &Survey,
    subnets: &[crate::model::SubnetId],
) -> Result<Option<String>, Unplannable> {
    let six = survey.subnets.iter().filter(|subnet| subnet.ipv6_only && subnets.contains(&subnet.id));
    let six: Vec<&str> = six.map(|subnet| subnet.id.as_str()).collect();
    if six.is_empty() {
        return Ok(None);
    }
    let found = format!("hosts in {} have no IPv4 address", six.join(", "));
    match fleet.ssh.connect {
        Connect::Private => Ok(Some(format!("{found}: SSH uses their IPv6 one, and their types must be Nitro ones"))),
        Connect::Public => Err(Unplannable::new(
            Exit::Usage,
            format!("{found}, so there is none for `ssh.connect: public`"),
            "set `ssh.connect: private`, which takes the IPv6 address, or name other subnets",
        )),
    }
}

/// The image that a launch uses when none is named: the newest available one of the fleet, encrypted as the spec wants.
///
/// # Errors
///
/// When there is none, or the newest is unattested and that was not allowed.
pub fn choose_image<'a>(images: &'a [Image], spec: &ImageSpec, unattested: bool) -> Result<&'a Image, Unplannable> {
    let key = spec.kms_key.as_deref();
    let fits = |image: &&Image| image.launchable() && (key.is_none() || image.tags.get(tags::KEY) == key);
    let Some(image) = images.iter().find(fits) else {
        let encrypted = key.map(|key| format!(" that `bake` encrypted with {key}")).unwrap_or_default();
        let message = format!("this fleet has no available image{encrypted}");
        let hints = ["fleetwright bake", "fleetwright launch --image ami-...     # one that is there already"];
        return Err(Unplannable { exit: Exit::Usage, message, hints: hints.map(str::to_owned).to_vec() });
    };
    check_attested(image, unattested)?;
    Ok(image)
}

/// Refuses an image that no verification stands behind, unless told otherwise.
///
/// # Errors
///
/// When it carries no attestation tag and `unattested` is not set.
pub fn check_attested(image: &Image, unattested: bool) -> Result<(), Unplannable> {
    if unattested || image.tags.get(tags::ATTESTATION).is_some() {
        return Ok(());
    }
    Err(Unplannable {
        exit: Exit::Refused,
        message: format!("image {} carries no attestation: nobody verified what it was made from", image.id),
        hints: vec![
            "fleetwright verify && fleetwright bake".to_owned(),
            "or launch it all the same with --unattested".to_owned(),
        ],
    })
}

/// Settles a template request against what is there: which template it goes onto and under which token.
///
/// The token of a version names the fleet, the template, the version before and the digest, so that two machines that start
/// the same thing get the same epoch. A template's first version converges by its unique name instead: its token may not
/// outlive the template, which `down` deletes and a later launch makes again.
#[must_use]
pub fn settled(
    wanted: &TemplateRequest,
    survey: &Survey,
    fleet: &Fleet,
    run: &str,
    expires: Option<Timestamp>,
) -> TemplateRequest {
    let mut request = wanted.clone();
    let key = fleet.key();
    if let Some(template) = &survey.launch_template {
        let newest = template.versions.iter().map(|v| v.number).max().unwrap_or(0).to_string();
        request.token = super::token::token(&key, &["version", template.id.as_str(), &newest, &request.description]);
        request.onto = Some(template.id.clone());
    } else {
        request.token = super::token::token(&key, &["template", run, &request.description]);
        request.template_tags = request.template_tags.with(tags::INTENT, &request.token);
    }
    if let Some(expires) = expires {
        request.host_tags = request.host_tags.with(tags::EXPIRES, expires.to_string());
    }
    request
}

/// Tags of one fleet request's hosts that the launch template can't carry.
pub fn intent_tags(token: &str, epoch: &str) -> Tags {
    Tags::default().with(tags::INTENT, token).with(tags::EPOCH, epoch)
}
