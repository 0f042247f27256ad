//! Instance refreshes of the fleet's own group: begun, and looked at.

use super::Clients;
use super::convert::{instant, need, read};
use super::exact::{capture, invalid, send};
use crate::gate::OwnedGroup;
use crate::journal::{Draft, Permit};
use crate::model::{Fault, Refresh, RefreshPreferences};
use aws_sdk_autoscaling::types::{
    InstanceRefresh, RefreshPreferences as SdkPreferences, ScaleInProtectedInstances, StandbyInstances,
};

/// The call that begins one.
pub const START: &str = "StartInstanceRefresh";
const DESCRIBE: &str = "DescribeInstanceRefreshes";

/// Refreshes in one answer: the default of `MaxRecords`, of at most 100 (DescribeInstanceRefreshes, API reference).
const NEWEST: i32 = 50;

impl Clients {
    /// Drafts an instance refresh from what the group launches now. It has no ClientToken; a group has one at a time, so that
    /// the same call again is refused while it lasts. What is protected from scale in, or in standby, is left alone.
    pub async fn draft_refresh(&self, group: &OwnedGroup, preferences: &RefreshPreferences) -> Result<Draft, Fault> {
        let number = |n: u32| i32::try_from(n).map_err(|_| invalid(START, &format!("a preference of {n}")));
        let asked = SdkPreferences::builder()
            .min_healthy_percentage(number(preferences.min_healthy)?)
            .max_healthy_percentage(number(preferences.max_healthy)?)
            .instance_warmup(number(preferences.warmup)?)
            .skip_matching(preferences.skip_matching)
            .scale_in_protected_instances(ScaleInProtectedInstances::Ignore)
            .standby_instances(StandbyInstances::Ignore);
        let call = self.autoscaling().start_instance_refresh().auto_scaling_group_name(group.name());
        let call = call.preferences(asked.build());
        capture(START, None, |hook| call.customize().interceptor(hook).send()).await
    }

    /// Begins the drafted refresh; its id.
    pub async fn start_refresh(&self, permit: &Permit) -> Result<String, Fault> {
        let call = self.autoscaling().start_instance_refresh().customize();
        let answer = send(START, permit, |hook| call.interceptor(hook).send()).await?;
        need(START, "instance refresh id", answer.instance_refresh_id)
    }

    /// A group's newest instance refreshes, newest first, at most 50.
    pub async fn refreshes(&self, name: &str) -> Result<Vec<Refresh>, Fault> {
        let call = self.autoscaling().describe_instance_refreshes().auto_scaling_group_name(name).max_records(NEWEST);
        let raw = read(DESCRIBE, call.send()).await?.instance_refreshes.unwrap_or_default();
        raw.into_iter().map(refresh).collect()
    }
}

fn refresh(raw: InstanceRefresh) -> Result<Refresh, Fault> {
    Ok(Refresh {
        preferences: raw.preferences.as_ref().and_then(preferences),
        status: need(DESCRIBE, "status", raw.status)?.as_str().to_owned(),
        reason: raw.status_reason.filter(|reason| !reason.is_empty()),
        started: raw.start_time.as_ref().and_then(instant),
        percent: raw.percentage_complete.and_then(|percent| u32::try_from(percent).ok()).unwrap_or(0),
        id: need(DESCRIBE, "instance refresh id", raw.instance_refresh_id)?,
    })
}

fn preferences(raw: &SdkPreferences) -> Option<RefreshPreferences> {
    let number = |n: Option<i32>| u32::try_from(n?).ok();
    let spares = raw.scale_in_protected_instances == Some(ScaleInProtectedInstances::Ignore)
        && raw.standby_instances == Some(StandbyInstances::Ignore);
    Some(RefreshPreferences {
        min_healthy: number(raw.min_healthy_percentage)?,
        max_healthy: number(raw.max_healthy_percentage)?,
        warmup: number(raw.instance_warmup)?,
        skip_matching: raw.skip_matching.unwrap_or(false),
    })
    .filter(|_| spares)
}
