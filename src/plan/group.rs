//! The fleet's own Auto Scaling group: what it should be, where it differs from that, and the steps of a launch into it.
//!
//! The group is made empty. Its dead-man's switch comes next and its size last, so that no kill in between leaves hosts
//! without an end.

use super::launch::template_name;
use super::token::token;
use super::{Action, Deadline, Step, Unplannable};
use crate::exit::Exit;
use crate::model::{
    Group, GroupRequest, Hook, Instance, LaunchTemplate, ScheduledAction, SubnetId, Survey, TemplateId,
    TemplateVersion, count, tags,
};
use crate::spec::Fleet;
use crate::spec::fleet::{GroupSpec, HostsSpec};
use jiff::{SignedDuration, Timestamp};
use std::time::Duration;

/// The scheduled action that takes the group to zero. No name of a window is like it: those begin with the fleet's prefix,
/// which ends with a dot.
pub const DEADMAN: &str = "fleetwright-expires";

/// Processes without which a group does not do what a launch or a `scale` wants.
const NEEDED: [&str; 3] = ["Launch", "Terminate", "ScheduledActions"];

/// Name of a fleet's group.
pub fn group_name(fleet: &str) -> String {
    template_name(fleet)
}

/// What the hosts of a fleet's group are known by: the group has no ClientToken, and is the same on every machine.
pub fn intent(fleet: &Fleet) -> String {
    token(&fleet.key(), &["group"])
}

/// What the group should be.
pub fn request(
    fleet: &Fleet,
    (hosts, spec): (&HostsSpec, &GroupSpec),
    types: &[String],
    subnets: &[SubnetId],
) -> GroupRequest {
    GroupRequest {
        name: group_name(fleet.name.as_str()),
        subnets: subnets.to_vec(),
        types: types.to_vec(),
        base: hosts.on_demand,
        percent: u32::from(100 - hosts.spot_percent.min(100)),
        max_price: hosts.max_price.map(|price| format!("{}", price.dollars())).filter(|_| hosts.spot_percent > 0),
        grace: seconds(spec.grace),
        rebalance: spec.rebalance,
        hook: fleet.worker.as_ref().map(|_| Hook::drain(seconds(spec.drain_within))),
        tags: fleet.tags.clone().with(tags::FLEET, fleet.name.as_str()).with(tags::INTENT, intent(fleet)),
    }
}

fn seconds(span: Duration) -> u32 {
    u32::try_from(span.as_secs()).unwrap_or(u32::MAX)
}

/// Whether hosts that Auto Scaling ends are not held as they should be. A hook that nobody wants any more does no harm.
pub fn hook_differs(hook: Option<&Hook>, wanted: &GroupRequest) -> bool {
    wanted.hook.is_some() && wanted.hook.as_ref() != hook
}

/// What of the group is not as it should be, in words; its hook apart.
pub fn differences(group: &Group, wanted: &GroupRequest) -> Vec<&'static str> {
    let mixed = group.mixed.as_ref();
    let mut subnets = (group.subnets.clone(), wanted.subnets.clone());
    subnets.0.sort();
    subnets.1.sort();
    let checks = [
        (subnets.0 == subnets.1, "subnets"),
        (mixed.is_some_and(|mixed| mixed.types == wanted.types && !mixed.weighted), "types"),
        (mixed.is_some_and(|mixed| (mixed.base, mixed.percent) == (wanted.base, wanted.percent)), "share of spot"),
        (mixed.is_some_and(|mixed| mixed.spot == "price-capacity-optimized"), "choice of spot pools"),
        (mixed.is_some_and(|mixed| mixed.on_demand == "prioritized"), "choice of on-demand types"),
        (mixed.is_some_and(|mixed| mixed.max_price == wanted.max_price), "max_price"),
        (group.grace == wanted.grace, "grace"),
        (group.rebalance == wanted.rebalance, "rebalance"),
    ];
    checks.into_iter().filter(|(same, _)| !same).map(|(_, what)| what).collect()
}

/// The fleet's own group as it is there: by name and tag, and not on its way out.
pub fn ours<'s>(fleet: &Fleet, survey: &'s Survey) -> Option<&'s Group> {
    let ours = |group: &&Group| group.tags.get(tags::FLEET) == Some(fleet.name.as_str()) && group.status.is_none();
    survey.group.as_deref().filter(ours)
}

/// The fleet's group, where the spec wants one: none if it is not made yet.
///
/// # Errors
///
/// When hosts and spec don't go together: a foreign group of that name, hosts outside the group, a group where the spec wants
/// plain instances, a group that launches nothing.
pub fn of<'s>(hosts: &HostsSpec, survey: &'s Survey) -> Result<Option<Option<&'s Group>>, Unplannable> {
    let refused = |message: String, hint: &str| Err(Unplannable::new(Exit::Refused, message, hint));
    let group = survey.group.as_deref();
    if hosts.group.is_none() {
        return match group {
            Some(group) => refused(
                format!("the fleet has the Auto Scaling group {}, and the spec wants plain instances", group.name),
                "fleetwright down       # ends group and hosts; or write `mode: auto-scaling-group`",
            ),
            None => Ok(None),
        };
    }
    let ours = |instance: &&Instance| instance.group.as_deref() == group.map(|group| group.name.as_str());
    let outside = survey.instances.iter().filter(|host| host.state.live() && !(group.is_some() && ours(host))).count();
    if outside > 0 {
        return refused(
            format!("{} of this fleet outside its Auto Scaling group", there_are(outside)),
            "fleetwright down       # ends them; then launch the group",
        );
    }
    let Some(group) = group else { return Ok(Some(None)) };
    if let Some(status) = &group.status {
        return refused(
            format!("the group {} is on its way out: {status}", group.name),
            "the same command again in a minute",
        );
    }
    warm_pool(group)?;
    if group.suspended.iter().any(|process| process == "Launch") {
        let resume = format!("aws autoscaling resume-processes --auto-scaling-group-name {}", group.name);
        return refused(format!("the group {} launches nothing: its process Launch is suspended", group.name), &resume);
    }
    Ok(Some(Some(group)))
}

/// Refuses a group with a warm pool: its instances are in no list of the group's members, though they carry all tags.
///
/// # Errors
///
/// When it has one.
pub fn warm_pool(group: &Group) -> Result<(), Unplannable> {
    if !group.warm_pool {
        return Ok(());
    }
    let message = format!("the group {} has a warm pool, whose instances nobody here counts", group.name);
    Err(Unplannable::new(Exit::Refused, message, warm_pool_end(&group.name)))
}

/// The command that ends a group's warm pool.
pub fn warm_pool_end(group: &str) -> String {
    format!(
        "aws autoscaling delete-warm-pool --force-delete --auto-scaling-group-name {group}     # then the same again"
    )
}

fn there_are(n: usize) -> String {
    if n == 1 { "there is 1 host".to_owned() } else { format!("there are {n} hosts") }
}

/// Whether group and launch template are what the spec wants, so that only sizes can differ.
pub fn is_as_wanted(survey: &Survey, wanted: &GroupRequest, epoch: Option<&TemplateVersion>) -> bool {
    survey.group.as_deref().zip(epoch).zip(survey.launch_template.as_ref()).is_some_and(|((group, epoch), template)| {
        follows(group, &template.id, epoch.number)
            && differences(group, wanted).is_empty()
            && !hook_differs(survey.hook.as_ref(), wanted)
    })
}

/// Whether the group launches from this version.
pub fn follows(group: &Group, template: &TemplateId, version: i64) -> bool {
    group.template.as_ref() == Some(template) && group.version.and_then(|v| i64::try_from(v).ok()) == Some(version)
}

/// The image that a host in another's place is born from: what the group launches, which a bake may have changed since; else
/// that of the newest host.
pub fn born_of(group: Option<&Group>, template: Option<&LaunchTemplate>, newest: Option<&Instance>) -> Option<String> {
    let launched = group.zip(template).and_then(|(group, template)| {
        template.versions.iter().find(|version| follows(group, &template.id, version.number))?.image.clone()
    });
    launched.or_else(|| newest.map(|host| host.image.to_string()))
}

/// What the operator should know before saying yes.
pub fn notes(group: &Group, hook: Option<&Hook>, wanted: &GroupRequest) -> Vec<String> {
    let mut notes = Vec::new();
    let mut changed = differences(group, wanted);
    changed.extend(hook_differs(hook, wanted).then_some("drain before the end"));
    if !changed.is_empty() {
        notes.push(format!("the group changes: {}; hosts that are there stay as they are", changed.join(", ")));
    }
    if !suspended(group).is_empty() {
        notes.push(format!("processes of the group are suspended: {}", suspended(group).join(", ")));
    }
    notes
}

/// Processes that are suspended and that matter here.
pub fn suspended(group: &Group) -> Vec<&str> {
    let needed = |process: &&str| NEEDED.contains(process);
    group.suspended.iter().map(String::as_str).filter(needed).collect()
}

/// The action that takes the group to zero at an instant.
#[must_use]
pub fn deadman(at: Timestamp) -> ScheduledAction {
    ScheduledAction {
        name: DEADMAN.to_owned(),
        recurrence: None,
        zone: None,
        start: Some(at),
        end: None,
        min: Some(0),
        max: Some(0),
        desired: Some(0),
    }
}

/// The steps between the launch template and the wait for the hosts' boot. With `abort`, too few hosts are ended again.
pub fn steps(hosts: &HostsSpec, wanted: &GroupRequest, size: u32, abort: bool) -> Vec<Step> {
    let group = wanted.name.clone();
    let expires = SignedDuration::try_from(hosts.expires).unwrap_or(SignedDuration::MAX);
    let min = hosts.accept_min.min(size);
    vec![
        Step::new("group", format!("Auto Scaling group {group}"), Action::Group(Box::new(wanted.clone()))),
        Step::new(
            "deadman",
            format!("a scheduled action of {group} to zero"),
            Action::GroupEnds { group: group.clone(), at: Deadline::In { seconds: expires.as_secs() } },
        ),
        Step::new(
            "size",
            format!("the group has {}", count(size, "host")),
            Action::GroupSize { group: group.clone(), size },
        ),
        Step::new(
            "accept",
            format!("wait until {min} or more of {size} are in service"),
            Action::InService {
                group,
                size,
                min,
                within_seconds: i64::try_from(hosts.accept_within.as_secs()).unwrap_or(i64::MAX),
                abort,
            },
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Tags;

    #[test]
    fn what_takes_a_hosts_place_is_born_as_the_group_launches_it_now() {
        let version = |number, image: &str| TemplateVersion {
            number,
            description: None,
            created: None,
            image: Some(image.to_owned()),
            instance_tags: Tags::default(),
        };
        let template = LaunchTemplate {
            id: "lt-1".into(),
            name: group_name("crew"),
            tags: Tags::default(),
            versions: vec![version(1, "ami-old"), version(2, "ami-baked")],
        };
        let group = |version| Group { template: Some("lt-1".into()), version, ..Group::sample("fleetwright-crew") };
        let host = Instance { image: "ami-old".into(), ..Instance::sample("i-1") };
        let born = |group: Option<&Group>| born_of(group, Some(&template), Some(&host));
        assert_eq!(born(Some(&group(Some(2)))).as_deref(), Some("ami-baked"));
        assert_eq!(born(Some(&group(Some(1)))).as_deref(), Some("ami-old"));
        assert_eq!(born(None).as_deref(), Some("ami-old"));
        assert_eq!(born(Some(&group(None))).as_deref(), Some("ami-old"));
        assert_eq!(born_of(None, None, None), None);
    }
}
