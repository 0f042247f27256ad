//! What groups do by themselves: launch up to the desired capacity, replace what is not healthy, even out the zones,
//! end what is too many.

use super::AutoScaling;
use super::ask::when;
use super::balance::{Facts, emptiest_first, first_to_go, imbalance};
use super::records::{Activity, Group, Life, Member};
use crate::sim::api::ApiError;
use crate::sim::ec2::Ec2;
use crate::sim::faults::Control;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;

/// How long a group waits after a launch that failed. AWS says no number; a minute keeps the log readable.
const RETRY: SignedDuration = SignedDuration::from_secs(60);

impl AutoScaling {
    /// When a group does something next that no change of an instance brings about.
    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        let holds = self.groups.iter().flat_map(|group| group.members.iter().filter_map(|member| member.deadline));
        let retries = self.groups.iter().filter_map(|group| group.retry);
        let refreshes = self.groups.iter().filter_map(|group| group.refresh()?.due);
        holds.chain(retries).chain(refreshes).chain(self.next_action()).min()
    }

    /// Brings every group up to now.
    pub(crate) fn advance(&mut self, now: Timestamp, ec2: &mut Ec2, control: &Control) {
        self.run_actions(now);
        for place in 0..self.groups.len() {
            self.follow(place, now, ec2);
            self.replace(place, now, ec2);
            self.renew(place, now, ec2);
            self.size(place, now, ec2, control);
        }
        self.groups.retain(|group| !(group.deleting && group.members.is_empty()));
    }

    /// Takes over what EC2 did and what hooks came to.
    fn follow(&mut self, place: usize, now: Timestamp, ec2: &mut Ec2) {
        let launching = self.groups[place].hold(false);
        let checks = self.groups[place].runs("HealthCheck");
        let (mut done, mut gone) = (Vec::new(), Vec::new());
        let group = &mut self.groups[place];
        if group.retry.is_some_and(|at| at <= now) {
            group.retry = None;
        }
        for member in &mut group.members {
            let seen = ec2.seen_by_group(&member.id);
            let (state, live) = seen.map_or(("terminated", false), |seen| (seen.state, seen.live));
            let over = member.deadline.is_some_and(|at| at <= now);
            if over {
                member.deadline = None;
            }
            match member.life {
                Life::Pending if state == "running" => match launching {
                    Some((seconds, _)) => {
                        member.life = Life::PendingWait;
                        member.deadline = now.checked_add(SignedDuration::from_secs(seconds)).ok();
                    }
                    None => member.life = Life::InService,
                },
                Life::PendingWait if over && member.healthy => match launching {
                    Some((_, true)) => member.healthy = false,
                    Some((_, false)) | None => member.life = Life::InService,
                },
                Life::TerminatingWait if over || !live => member.life = Life::Terminating,
                Life::Pending
                | Life::PendingWait
                | Life::InService
                | Life::Standby
                | Life::TerminatingWait
                | Life::Terminating => {}
            }
            if member.life == Life::InService {
                member.serving.get_or_insert(now);
            }
            if member.life == Life::InService && !member.activity.is_empty() {
                done.push(std::mem::take(&mut member.activity));
            }
            // "Amazon EC2 status checks": anything but running is not healthy.
            if checks && member.life.counts() && (!live || member.life == Life::InService && state != "running") {
                member.healthy = false;
            }
            if member.life == Life::Terminating {
                if state == "terminated" {
                    gone.push(member.id.clone());
                    done.push(std::mem::take(&mut member.activity));
                } else if live {
                    ec2.end_for_group(&member.id);
                }
            }
        }
        group.members.retain(|member| !gone.contains(&member.id));
        if group
            .evening
            .as_ref()
            .is_some_and(|id| !group.active().any(|member| member.id == *id && member.life == Life::Pending))
        {
            group.evening = None;
        }
        for activity in done {
            self.finish(&activity, "Successful", None, now);
        }
    }

    /// What is not healthy goes, whatever protects it from scale in; the next look launches anew. With a maintenance policy
    /// of 100 % or more the new one comes first.
    fn replace(&mut self, place: usize, now: Timestamp, ec2: &mut Ec2) {
        let group = &self.groups[place];
        if group.deleting || !group.runs("ReplaceUnhealthy") || !group.runs("Terminate") {
            return;
        }
        let sick: Vec<String> =
            group.active().filter(|member| !member.healthy).map(|member| member.id.clone()).collect();
        for id in sick {
            self.leave(place, &id, "an instance was taken out of service in response to an EC2 health check", now, ec2);
        }
    }

    /// Launches and ends until the group has its desired capacity, then looks at the zones.
    fn size(&mut self, place: usize, now: Timestamp, ec2: &mut Ec2, control: &Control) {
        loop {
            let group = &self.groups[place];
            let (have, want) = (group.size(), group.wanted());
            let waits = group.deleting || group.retry.is_some();
            if have < want && group.runs("Launch") && !waits {
                let zones = emptiest_first(group);
                if self.launch(place, &zones, &self.groups[place].cause.clone(), now, ec2, control).is_none() {
                    return;
                }
            } else if have > want && group.runs("Terminate") && group.evening.is_none() {
                let price = |kind: &str| ec2.spot_price(kind);
                let facts = Facts { now, seed: self.seed, spot_price: &price };
                let Some(id) = first_to_go(group, &facts) else { return };
                let cause = format!("{}. {id} was selected for termination", group.cause);
                self.leave(place, &id, &cause, now, ec2);
            } else {
                break;
            }
        }
        let group = &self.groups[place];
        let settled = group.refresh().is_none()
            && group.size() == group.desired
            && group.active().all(|member| member.life == Life::InService);
        let free = |zone: &&str| group.active().any(|member| member.zone == **zone && !member.protected);
        let even = imbalance(group, &free) < 2;
        let may = ["AZRebalance", "Launch", "Terminate"].iter().all(|process| group.runs(process));
        if settled && !even && may && group.evening.is_none() && group.retry.is_none() {
            // "Amazon EC2 Auto Scaling launches new instances before terminating the old ones".
            let zones = emptiest_first(group)[..1].to_vec();
            let cause = "instances were launched to balance instances in zones";
            let made = self.launch(place, &zones, cause, now, ec2, control);
            self.groups[place].evening = made;
        }
    }

    /// Launches one instance in the first zone, and of the first type, that has room.
    fn launch(
        &mut self,
        place: usize,
        zones: &[String],
        cause: &str,
        now: Timestamp,
        ec2: &mut Ec2,
        control: &Control,
    ) -> Option<String> {
        let cause = format!("At {} {cause}.", when(now));
        let activity = self.begin(&self.groups[place].name.clone(), "Launching a new EC2 instance", &cause, now);
        let spot = next_is_spot(&self.groups[place]);
        if let Some(zone) = zones.first()
            && let Some(one) = self.activities.last_mut()
        {
            let subnet = self.groups[place].subnets.iter().find(|(_, of)| of == zone).map(|(id, _)| id.as_str());
            one.details = details(subnet.unwrap_or_default(), zone);
        }
        match attempt(&self.groups[place], zones, spot, ec2, control) {
            Ok(mut member) => {
                member.activity.clone_from(&activity);
                member.launched = now;
                let id = member.id.clone();
                self.describe_activity(&activity, format!("Launching a new EC2 instance: {id}"));
                self.groups[place].members.push(member);
                Some(id)
            }
            Err(error) => {
                let said = error.message.trim_end_matches('.');
                // With a mixed instances policy the market and the code stand before EC2's words.
                let why = match (&self.groups[place].mixed, spot) {
                    (None, _) => format!("{said}. Launching EC2 instance failed."),
                    (Some(_), true) => {
                        format!(
                            "Could not launch Spot Instances. {} - {said}. Launching EC2 instance failed.",
                            error.code
                        )
                    }
                    (Some(_), false) => format!(
                        "Could not launch On-Demand Instances. {} - {said}. Launching EC2 instance failed.",
                        error.code
                    ),
                };
                self.describe_activity(&activity, format!("Launching a new EC2 instance.  Status Reason: {why}"));
                self.finish(&activity, "Failed", Some(why), now);
                self.groups[place].retry = now.checked_add(RETRY).ok();
                None
            }
        }
    }

    /// Sends a member on its way out; the id of the activity.
    pub(super) fn leave(&mut self, place: usize, id: &str, cause: &str, now: Timestamp, ec2: &mut Ec2) -> String {
        let group = &self.groups[place];
        let (name, hold) = (group.name.clone(), group.hold(true));
        let cause = format!("At {} {cause}.", when(now));
        let activity = self.begin(&name, &format!("Terminating EC2 instance: {id}"), &cause, now);
        let alive = ec2.seen_by_group(id).is_some_and(|seen| seen.live);
        let mut left = None;
        if let Some(member) = self.groups[place].member(id) {
            left = Some(std::mem::replace(&mut member.activity, activity.clone()));
            if let Some((seconds, _)) = hold.filter(|_| alive) {
                member.life = Life::TerminatingWait;
                member.deadline = now.checked_add(SignedDuration::from_secs(seconds)).ok();
            } else {
                (member.life, member.deadline) = (Life::Terminating, None);
                ec2.end_for_group(id);
            }
        }
        if let Some(left) = left.filter(|left| !left.is_empty()) {
            self.finish(&left, "Cancelled", None, now);
        }
        activity
    }

    pub(super) fn begin(&mut self, group: &str, description: &str, cause: &str, now: Timestamp) -> String {
        let id = self.uuid();
        self.activities.push(Activity {
            id: id.clone(),
            group: group.to_owned(),
            description: description.to_owned(),
            cause: cause.to_owned(),
            started: now,
            ended: None,
            status: "InProgress",
            message: None,
            details: "{}".to_owned(),
        });
        id
    }

    pub(super) fn finish(&mut self, id: &str, status: &'static str, message: Option<String>, now: Timestamp) {
        if let Some(activity) = self.activities.iter_mut().rev().find(|one| one.id == id) {
            (activity.status, activity.message, activity.ended) = (status, message, Some(now));
        }
    }

    fn describe_activity(&mut self, id: &str, description: String) {
        if let Some(activity) = self.activities.iter_mut().rev().find(|one| one.id == id) {
            activity.description = description;
        }
    }
}

/// Whether the next instance is a spot one.
fn next_is_spot(group: &Group) -> bool {
    group.mixed.as_ref().is_some_and(|mixed| {
        let on_demand = u32::try_from(group.active().filter(|member| !member.spot).count()).unwrap_or(u32::MAX);
        on_demand >= mixed.on_demand_of(group.size() + 1)
    })
}

/// What an activity's details say, as JSON.
fn details(subnet: &str, zone: &str) -> String {
    serde_json::json!({ "Subnet ID": subnet, "Availability Zone": zone }).to_string()
}

/// One launch: each zone's subnets, each type in turn, until one has room; the last refusal if none has.
fn attempt(group: &Group, zones: &[String], spot: bool, ec2: &mut Ec2, control: &Control) -> Result<Member, ApiError> {
    let named = crate::sim::ec2::params::Node::from_pairs([
        ("LaunchTemplateId", group.template.id.as_str()),
        ("Version", group.template.version.as_str()),
    ]);
    let template = ec2.template_for_group(&named)?;
    let mut kinds: Vec<Option<String>> =
        group.mixed.iter().flat_map(|mixed| mixed.kinds.iter().cloned().map(Some)).collect();
    if kinds.is_empty() {
        kinds.push(None);
    }
    if spot && group.mixed.as_ref().is_some_and(|mixed| mixed.spot != "capacity-optimized-prioritized") {
        kinds.sort_by_key(|kind| kind.as_ref().map(|kind| ec2.spot_price(kind)));
    }
    let stamp = BTreeMap::from([
        ("aws:autoscaling:groupName".to_owned(), group.name.clone()),
        ("aws:ec2launchtemplate:id".to_owned(), template.0.clone()),
        ("aws:ec2launchtemplate:version".to_owned(), template.2.to_string()),
    ]);
    let mut refusal = ApiError::new("ValidationError", "The group has no subnet");
    for zone in zones {
        for (subnet, _) in group.subnets.iter().filter(|(_, of)| of == zone) {
            for kind in &kinds {
                let pairs = parameters(group, &template, subnet, kind.as_deref(), spot);
                match ec2.launch_for_group(&pairs, stamp.clone(), control) {
                    Ok(id) => return Ok(member(group, id, template, ec2)),
                    Err(error) => refusal = error,
                }
            }
        }
    }
    Err(refusal)
}

fn member(group: &Group, id: String, template: (String, String, u64), ec2: &Ec2) -> Member {
    let seen = ec2.seen_by_group(&id);
    let (zone, kind, spot) = seen.map(|seen| (seen.zone, seen.kind, seen.spot)).unwrap_or_default();
    Member {
        id,
        zone,
        kind,
        spot,
        template,
        life: Life::Pending,
        healthy: true,
        protected: group.protect_new,
        launched: Timestamp::UNIX_EPOCH,
        serving: None,
        deadline: None,
        activity: String::new(),
    }
}

/// RunInstances' parameters.
fn parameters(
    group: &Group,
    template: &(String, String, u64),
    subnet: &str,
    kind: Option<&str>,
    spot: bool,
) -> Vec<(String, String)> {
    let mut pairs = vec![
        ("LaunchTemplate.LaunchTemplateId".to_owned(), template.0.clone()),
        ("LaunchTemplate.Version".to_owned(), template.2.to_string()),
        ("SubnetId".to_owned(), subnet.to_owned()),
        ("MinCount".to_owned(), "1".to_owned()),
        ("MaxCount".to_owned(), "1".to_owned()),
    ];
    pairs.extend(kind.map(|kind| ("InstanceType".to_owned(), kind.to_owned())));
    if spot {
        pairs.push(("InstanceMarketOptions.MarketType".to_owned(), "spot".to_owned()));
    }
    let tags: Vec<_> = group.tags.iter().filter(|tag| tag.propagate).collect();
    if !tags.is_empty() {
        pairs.push(("TagSpecification.1.ResourceType".to_owned(), "instance".to_owned()));
    }
    for (n, tag) in tags.into_iter().enumerate() {
        let at = format!("TagSpecification.1.Tag.{}", n + 1);
        pairs.push((format!("{at}.Key"), tag.key.clone()));
        pairs.push((format!("{at}.Value"), tag.value.clone()));
    }
    pairs
}
