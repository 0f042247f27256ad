//! Instance refreshes: StartInstanceRefresh, DescribeInstanceRefreshes, CancelInstanceRefresh.

use super::ask::{flag, invalid, list, need, page, texts, when, whole};
use super::records::{Group, Preferences, Refresh, Spare};
use super::{Ask, AutoScaling};
use crate::sim::api::{ApiError, Handled, Reply};
use crate::sim::ec2::params::Node;
use crate::sim::xml::Xml;

/// What of the preferences the rehearsal cloud does not do.
const UNKNOWN: [&str; 5] =
    ["AlarmSpecification", "AutoRollback", "BakeTime", "CheckpointDelay", "CheckpointPercentages"];

impl AutoScaling {
    pub(super) fn start_refresh(&mut self, ask: &mut Ask) -> Handled {
        let place = self.place(need(&ask.params, "AutoScalingGroupName")?)?;
        let unsupported =
            |what: &str| ApiError::new("UnsupportedOperation", format!("The rehearsal cloud knows no {what}"));
        match ask.params.text("Strategy") {
            None | Some("Rolling") => {}
            Some("ReplaceRootVolume") => return Err(unsupported("instance refresh that replaces root volumes")),
            Some(other) => return Err(invalid(format!("'{other}' is not a valid Strategy"))),
        }
        if ask.params.at("DesiredConfiguration").is_some() {
            return Err(unsupported("desired configuration of an instance refresh"));
        }
        let none = Node::default();
        let asked = ask.params.at("Preferences").unwrap_or(&none);
        if let Some(name) = UNKNOWN.into_iter().find(|name| asked.at(name).is_some()) {
            return Err(unsupported(&format!("{name} of an instance refresh")));
        }
        let preferences = preferences(asked, &self.groups[place])?;
        if self.groups[place].refresh().is_some() {
            return Err(ApiError::new(
                "InstanceRefreshInProgress",
                "An Instance Refresh is already in progress and blocks the execution of this Instance Refresh.",
            ));
        }
        let id = self.uuid();
        let group = &mut self.groups[place];
        let left = group.size();
        group.refreshes.push(Refresh {
            id: id.clone(),
            started: ask.now,
            ended: None,
            status: "Pending",
            reason: None,
            preferences,
            old: Vec::new(),
            total: left,
            left,
            updated: 0,
            extra: 0,
            moved: ask.now,
            due: Some(ask.now),
        });
        let mut xml = Xml::new();
        xml.text("InstanceRefreshId", &id);
        Ok(Reply { body: xml.finish(), made: vec![id], ..Reply::default() })
    }

    /// "This cancels only the refresh: it does not roll back what was replaced."
    pub(super) fn cancel_refresh(&mut self, ask: &mut Ask) -> Handled {
        let waits = flag(&ask.params, "WaitForTransitioningInstances")?.unwrap_or(true);
        let now = ask.now;
        let group = self.group(ask)?;
        let Some(refresh) = group.refreshes.last_mut().filter(|one| matches!(one.status, "Pending" | "InProgress"))
        else {
            return Err(ApiError::new(
                "ActiveInstanceRefreshNotFound",
                "No in progress or pending Instance Refresh found for Auto Scaling group.",
            ));
        };
        refresh.status = if waits { "Cancelling" } else { "Cancelled" };
        refresh.reason = Some("Cancelled due to user request.".to_owned());
        (refresh.ended, refresh.extra, refresh.due) = ((!waits).then_some(now), 0, waits.then_some(now));
        let mut xml = Xml::new();
        xml.text("InstanceRefreshId", &refresh.id);
        Ok(Reply { body: xml.finish(), ..Reply::default() })
    }

    pub(super) fn describe_refreshes(&mut self, ask: &mut Ask) -> Handled {
        let ids = texts(&ask.params, "InstanceRefreshIds");
        let group = &*self.group(ask)?;
        let found: Vec<&Refresh> =
            group.refreshes.iter().rev().filter(|one| ids.is_empty() || ids.contains(&one.id)).collect();
        let (found, next) = page(&ask.params, "DescribeInstanceRefreshes", (50, 100), found)?;
        let mut xml = Xml::new();
        list(&mut xml, "InstanceRefreshes", found, |xml, one| write(xml, &group.name, one));
        xml.opt("NextToken", next);
        Ok(Reply { body: xml.finish(), ..Reply::default() })
    }
}

fn write(xml: &mut Xml, group: &str, one: &Refresh) {
    xml.text("InstanceRefreshId", &one.id)
        .text("AutoScalingGroupName", group)
        .text("Status", one.status)
        .opt("StatusReason", one.reason.as_ref())
        .text("StartTime", when(one.started))
        .opt("EndTime", one.ended.map(when))
        .text("PercentageComplete", one.percent())
        .text("InstancesToUpdate", one.left)
        .text("Strategy", "Rolling")
        .open("Preferences", |xml| {
            let given = &one.preferences;
            xml.text("MinHealthyPercentage", given.least)
                .opt("MaxHealthyPercentage", given.most)
                .text("InstanceWarmup", given.warmup)
                .text("SkipMatching", given.skip_matching)
                .text("AutoRollback", false)
                .text("ScaleInProtectedInstances", given.protected.word("Refresh"))
                .text("StandbyInstances", given.standby.word("Terminate"));
        });
}

/// The preferences, what is left out as AWS's defaults have it.
fn preferences(asked: &Node, group: &Group) -> Result<Preferences, ApiError> {
    let within = |name: &str, bounds: std::ops::RangeInclusive<u32>| -> Result<Option<u32>, ApiError> {
        let given = whole(asked, name)?;
        match given.filter(|given| !bounds.contains(given)) {
            None => Ok(given),
            Some(given) => {
                let (least, most) = bounds.into_inner();
                Err(invalid(format!("{name} must be between {least} and {most}, not {given}")))
            }
        }
    };
    let spare = |name: &str, ends: &str| match asked.text(name) {
        None | Some("Wait") => Ok(Spare::Wait),
        Some("Ignore") => Ok(Spare::Ignore),
        Some(word) if word == ends => Ok(Spare::End),
        Some(other) => Err(invalid(format!("'{other}' is not a valid value of {name}"))),
    };
    let (least, most) = (within("MinHealthyPercentage", 0..=100)?, within("MaxHealthyPercentage", 100..=200)?);
    if most.is_some() && least.is_none() {
        return Err(invalid("You must specify MinHealthyPercentage when you specify MaxHealthyPercentage"));
    }
    if most.zip(least).is_some_and(|(most, least)| most - least > 100) {
        return Err(invalid(
            "The difference between MaxHealthyPercentage and MinHealthyPercentage cannot be greater than 100",
        ));
    }
    let policy = group.maintenance.filter(|_| least.is_none());
    Ok(Preferences {
        least: least.or(policy.map(|policy| policy.0)).unwrap_or(90),
        most: most.or(policy.map(|policy| policy.1)),
        warmup: whole(asked, "InstanceWarmup")?.unwrap_or(group.grace),
        skip_matching: flag(asked, "SkipMatching")?.unwrap_or(false),
        protected: spare("ScaleInProtectedInstances", "Refresh")?,
        standby: spare("StandbyInstances", "Terminate")?,
    })
}
