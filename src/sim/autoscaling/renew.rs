//! What an instance refresh does: it replaces the members of a group within the bounds that its preferences set.
//!
//! Bounds are percentages of the desired capacity. With a largest percentage given, an instance more is launched before one
//! is ended where the two bounds leave no other way; without one, an instance is ended and its replacement launched at once.

use super::AutoScaling;
use super::records::{Group, Life, Member, Refresh, Spare};
use crate::sim::ec2::Ec2;
use crate::sim::ec2::params::Node;
use jiff::{SignedDuration, Timestamp};

/// A refresh that gets no further for so long fails.
const STALL: SignedDuration = SignedDuration::from_hours(1);

impl AutoScaling {
    /// Brings the group's refresh up to now, where one is under way: what it ends goes here, what it launches is launched like
    /// all that the group has too few of.
    pub(super) fn renew(&mut self, place: usize, now: Timestamp, ec2: &mut Ec2) {
        let group = &self.groups[place];
        let Some(mut refresh) = group.refresh().cloned().filter(|_| !group.deleting) else { return };
        refresh.due = None;
        match refresh.status {
            "Pending" => {
                let template = &group.template;
                let named = [("LaunchTemplateId", template.id.as_str()), ("Version", template.version.as_str())];
                let current = ec2.template_for_group(&Node::from_pairs(named)).ok();
                begin(&mut refresh, group, current.as_ref(), now);
            }
            "Cancelling"
                if group.members.iter().all(|member| matches!(member.life, Life::InService | Life::Standby)) =>
            {
                refresh.end("Cancelled", None, now);
            }
            _ => {}
        }
        if refresh.status == "InProgress"
            && ["InstanceRefresh", "Launch", "Terminate"].iter().all(|one| group.runs(one))
        {
            for id in turn(&mut refresh, group, now) {
                let cause = format!("an instance refresh replaced an instance. {id} was selected for termination");
                self.leave(place, &id, &cause, now, ec2);
            }
        }
        if let Some(mine) = self.groups[place].refreshes.last_mut() {
            *mine = refresh;
        }
    }
}

/// Which members it is going to replace.
fn begin(refresh: &mut Refresh, group: &Group, current: Option<&(String, String, u64)>, now: Timestamp) {
    let kinds = group.mixed.as_ref().map(|mixed| mixed.kinds.as_slice()).unwrap_or_default();
    let matches =
        |member: &Member| Some(&member.template) == current && (kinds.is_empty() || kinds.contains(&member.kind));
    let wish = &refresh.preferences;
    let stays = |member: &Member| wish.skip_matching && matches(member) || wish.of(member) == Some(Spare::Ignore);
    let mut old: Vec<&Member> = group.staying().filter(|member| !stays(member)).collect();
    old.sort_by_key(|member| (member.launched, member.id.clone()));
    refresh.old = old.into_iter().map(|member| member.id.clone()).collect();
    refresh.total = u32::try_from(refresh.old.len()).unwrap_or(u32::MAX);
    (refresh.left, refresh.moved, refresh.status) = (refresh.total, now, "InProgress");
}

/// One look: which members end now, and how many more than desired the group is to have.
fn turn(refresh: &mut Refresh, group: &Group, now: Timestamp) -> Vec<String> {
    let desired = group.desired;
    let (begun, old, wish) = (refresh.started, refresh.old.clone(), refresh.preferences.clone());
    let warmup = SignedDuration::from_secs(wish.warmup.into());
    let warm = |member: &Member| member.serving.and_then(|since| since.checked_add(warmup).ok());
    let fresh = |member: &Member| member.launched >= begun && !old.contains(&member.id);
    let ready = |member: &Member| {
        member.life == Life::InService && member.healthy && (!fresh(member) || warm(member).is_some_and(|at| at <= now))
    };
    let updated = number(group.active().filter(|member| fresh(member) && ready(member)).count()).min(refresh.total);
    let spared = |member: &Member| wish.of(member) == Some(Spare::Ignore);
    let there = |id: &String| group.staying().find(|member| member.id == *id && !spared(member));
    let to_go: Vec<&Member> = old.iter().filter_map(there).collect();
    let (held, to_go): (Vec<&Member>, Vec<&Member>) =
        to_go.into_iter().partition(|member| wish.of(member) == Some(Spare::Wait));
    let reason = held.first().map(|member| match member.life {
        Life::Standby => format!("Waiting for {} to leave Standby.", member.id),
        _ => format!("Waiting for scale-in protection to be removed from {}.", member.id),
    });
    // One in standby is no part of what the bounds count.
    let (aside, going): (Vec<&Member>, Vec<&Member>) =
        to_go.into_iter().partition(|member| member.life == Life::Standby);

    let share = |percent: u32, up: bool| {
        let product = u64::from(desired) * u64::from(percent);
        let whole = if up { product.div_ceil(100) } else { product / 100 };
        u32::try_from(whole).unwrap_or(u32::MAX)
    };
    let mut least = share(wish.least, true);
    let mut most = wish.most.map_or(desired, |most| share(most, false));
    if most <= desired && least >= desired {
        // No way between the two bounds.
        match wish.most {
            Some(_) => most = desired + 1,
            None => least = desired.saturating_sub(1),
        }
    }
    let turns = number(going.len());
    let left = turns + number(held.len() + aside.len());
    let mut extra = refresh.extra.min(turns);
    let mut serving = number(group.active().filter(|member| ready(member)).count());
    let mut ended: Vec<String> = aside.into_iter().map(|member| member.id.clone()).collect();
    let before = ended.len();
    for member in going {
        let counted = u32::from(ready(member));
        if serving.saturating_sub(counted) < least && counted > 0 || extra == 0 && least >= desired {
            break;
        }
        serving -= counted;
        extra = extra.saturating_sub(1);
        ended.push(member.id.clone());
    }
    let remain = turns - number(ended.len() - before);
    extra = extra.max(remain.min(most.saturating_sub(desired)));

    if (left, updated, extra) != (refresh.left, refresh.updated, refresh.extra) || !ended.is_empty() {
        refresh.moved = now;
    }
    refresh.left = left - number(ended.len());
    (refresh.updated, refresh.extra, refresh.reason) = (updated, extra, reason);
    let out = |id: &String| !group.members.iter().any(|member| member.id == *id && !spared(member));
    let stalled = refresh.moved.checked_add(STALL).ok();
    if left == 0 && old.iter().all(out) && group.size() == desired && serving == desired {
        refresh.end("Successful", None, now);
    } else if stalled.is_some_and(|at| at <= now) {
        let why =
            refresh.reason.take().unwrap_or_else(|| "Instances did not become healthy within an hour.".to_owned());
        refresh.end("Failed", Some(why), now);
    } else {
        let warming = group.active().filter(|member| fresh(member)).filter_map(warm).filter(|at| *at > now).min();
        refresh.due = warming.into_iter().chain(stalled).min();
    }
    ended
}

fn number(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use crate::sim::autoscaling::testing::{Cloud, Pairs};
    use serde_json::json;
    use std::collections::BTreeSet;

    const WEB: (&str, &str) = ("AutoScalingGroupName", "web");

    fn cloud(desired: &str, more: Pairs) -> Cloud {
        let cloud = Cloud::new(7, json!({}));
        cloud.group("0", "9", desired, more);
        cloud.pass(60);
        cloud
    }

    fn start(cloud: &Cloud, preferences: Pairs) -> String {
        let named: Vec<(String, &str)> =
            preferences.iter().map(|(name, value)| (format!("Preferences.{name}"), *value)).collect();
        let pairs: Vec<(&str, &str)> =
            [WEB].into_iter().chain(named.iter().map(|(name, value)| (name.as_str(), *value))).collect();
        cloud.ok("StartInstanceRefresh", &pairs)
    }

    fn ids(cloud: &Cloud) -> BTreeSet<String> {
        cloud.serving().iter().map(|member| member["id"].as_str().unwrap().to_owned()).collect()
    }

    fn status(cloud: &Cloud) -> String {
        cloud.web()["refreshes"].as_array().unwrap().last().unwrap()["status"].as_str().unwrap().to_owned()
    }

    /// The fewest in service and the most that count, until the refresh is over; seconds that it took.
    fn watched(cloud: &Cloud) -> (usize, usize, i64) {
        let (mut least, mut most) = (usize::MAX, 0);
        for looks in 1..2_000 {
            cloud.pass(5);
            let members = cloud.web()["instances"].as_array().unwrap().clone();
            let counting = members.iter().filter(|member| !member["state"].as_str().unwrap().starts_with("Term"));
            (least, most) = (least.min(cloud.serving().len()), most.max(counting.count()));
            if !["Pending", "InProgress", "Cancelling"].contains(&status(cloud).as_str()) {
                return (least, most, 5 * looks);
            }
        }
        panic!("it never ended: {:#}", cloud.web());
    }

    #[test]
    fn every_member_gives_way_within_the_bounds() {
        // Desired 4; what is launched first is one more where the bounds leave no other way.
        for (preferences, least, most) in [
            (&[("MinHealthyPercentage", "100"), ("MaxHealthyPercentage", "125")][..], 4, 5),
            (&[("MinHealthyPercentage", "100"), ("MaxHealthyPercentage", "150")], 4, 6),
            (&[("MinHealthyPercentage", "100"), ("MaxHealthyPercentage", "100")], 4, 5),
            (&[("MinHealthyPercentage", "100")], 3, 4),
            (&[("MinHealthyPercentage", "50")], 2, 4),
            (&[("MinHealthyPercentage", "50"), ("MaxHealthyPercentage", "150")], 2, 6),
            (&[], 3, 4),
        ] {
            let cloud = cloud("4", &[]);
            let old = ids(&cloud);
            start(&cloud, &[preferences, &[("InstanceWarmup", "60")]].concat());
            let (fewest, more, seconds) = watched(&cloud);
            assert_eq!((status(&cloud).as_str(), fewest, more), ("Successful", least, most), "{preferences:?}");
            assert!(ids(&cloud).is_disjoint(&old) && ids(&cloud).len() == 4, "{preferences:?}");
            assert!(seconds >= 60, "warm-up: {seconds} s, {preferences:?}");
            let told = cloud.ok("DescribeInstanceRefreshes", &[WEB]);
            for part in ["<PercentageComplete>100<", "<InstancesToUpdate>0<", "<InstanceWarmup>60<", "<EndTime>"] {
                assert!(told.contains(part), "{part} in {told}");
            }
        }
    }

    #[test]
    fn what_matches_and_what_is_protected_stays() {
        let cloud = cloud("4", &[]);
        let old: Vec<String> = ids(&cloud).into_iter().collect();
        start(&cloud, &[("SkipMatching", "true")]);
        assert_eq!((watched(&cloud).0, status(&cloud).as_str()), (4, "Successful"));
        assert_eq!(ids(&cloud).into_iter().collect::<Vec<_>>(), old, "they are of the newest version");
        cloud.ec2(
            "CreateLaunchTemplateVersion",
            &[("LaunchTemplateName", "pack"), ("SourceVersion", "1"), ("LaunchTemplateData.InstanceType", "m7a.large")],
        );
        cloud.ok("SetInstanceProtection", &[WEB, ("InstanceIds.member.1", &old[0]), ("ProtectedFromScaleIn", "true")]);
        start(&cloud, &[("SkipMatching", "true"), ("ScaleInProtectedInstances", "Ignore")]);
        watched(&cloud);
        assert_eq!(status(&cloud), "Successful");
        let now = ids(&cloud);
        assert_eq!((now.len(), now.iter().filter(|id| old.contains(id)).collect::<Vec<_>>()), (4, vec![&old[0]]));

        // Nobody says what to do about it: an hour later it fails, and the rest is replaced.
        start(&cloud, &[("InstanceWarmup", "0")]);
        let (.., seconds) = watched(&cloud);
        assert!((status(&cloud).as_str(), seconds >= 3_600) == ("Failed", true), "{seconds}");
        assert!(cloud.ok("DescribeInstanceRefreshes", &[WEB]).contains(&format!("to be removed from {}", old[0])));
        start(&cloud, &[("ScaleInProtectedInstances", "Refresh")]);
        watched(&cloud);
        assert!(!ids(&cloud).contains(&old[0]));
    }

    #[test]
    fn one_at_a_time_with_preferences_that_make_sense_until_it_is_cancelled() {
        let cloud = cloud("2", &[]);
        for (name, value) in [
            ("MinHealthyPercentage", "101"),
            ("MaxHealthyPercentage", "99"),
            ("MaxHealthyPercentage", "150"),
            ("ScaleInProtectedInstances", "Terminate"),
            ("StandbyInstances", "Refresh"),
        ] {
            let name = format!("Preferences.{name}");
            assert_eq!(cloud.fails("StartInstanceRefresh", &[WEB, (&name, value)]).code, "ValidationError", "{name}");
        }
        let apart = [WEB, ("Preferences.MinHealthyPercentage", "50"), ("Preferences.MaxHealthyPercentage", "200")];
        assert!(cloud.fails("StartInstanceRefresh", &apart).message.contains("greater than 100"));
        let unknown = [WEB, ("Preferences.AutoRollback", "true")];
        assert_eq!(cloud.fails("StartInstanceRefresh", &unknown).code, "UnsupportedOperation");
        assert_eq!(cloud.fails("CancelInstanceRefresh", &[WEB]).code, "ActiveInstanceRefreshNotFound");

        let told = start(
            &cloud,
            &[("MinHealthyPercentage", "100"), ("MaxHealthyPercentage", "150"), ("InstanceWarmup", "600")],
        );
        assert_eq!(cloud.fails("StartInstanceRefresh", &[WEB]).code, "InstanceRefreshInProgress");
        cloud.pass(120);
        assert_eq!((cloud.serving().len(), status(&cloud).as_str()), (3, "InProgress"));
        assert_eq!(cloud.ok("CancelInstanceRefresh", &[WEB]), told, "its id");
        assert_eq!(cloud.fails("CancelInstanceRefresh", &[WEB]).code, "ActiveInstanceRefreshNotFound");
        cloud.pass(120);
        assert_eq!((cloud.serving().len(), status(&cloud).as_str()), (2, "Cancelled"));
    }

    #[test]
    fn what_is_in_standby_is_waited_for_ended_or_left_alone() {
        let aside = |cloud: &Cloud| {
            let id = ids(cloud).into_iter().next().unwrap();
            let one = ("InstanceIds.member.1", id.as_str());
            cloud.ok("EnterStandby", &[WEB, one, ("ShouldDecrementDesiredCapacity", "true")]);
            id
        };
        for (word, ends, there) in
            [("Ignore", "Successful", true), ("Terminate", "Successful", false), ("Wait", "Failed", true)]
        {
            let cloud = cloud("3", &[]);
            let (old, id) = (ids(&cloud), aside(&cloud));
            start(&cloud, &[("StandbyInstances", word), ("InstanceWarmup", "0")]);
            let (least, most, seconds) = watched(&cloud);
            assert_eq!((status(&cloud).as_str(), seconds >= 3_600), (ends, word == "Wait"), "{word}");
            assert!(least >= 1 && most <= 3, "{word}: {least} {most}");
            assert!(ids(&cloud).len() == 2 && ids(&cloud).is_disjoint(&old), "{word}");
            let members = cloud.web()["instances"].as_array().unwrap().clone();
            assert_eq!(members.iter().any(|member| member["id"] == id.as_str()), there, "{word}");
            assert_eq!(
                cloud.ok("DescribeInstanceRefreshes", &[WEB]).contains(&format!("{id} to leave Standby")),
                word == "Wait"
            );
        }
        // Back in service in time it is replaced like the others.
        let one_more = cloud("3", &[]);
        let (old, id) = (ids(&one_more), aside(&one_more));
        start(&one_more, &[("InstanceWarmup", "0")]);
        one_more.pass(1_800);
        one_more.ok("ExitStandby", &[WEB, ("InstanceIds.member.1", &id)]);
        watched(&one_more);
        assert_eq!((status(&one_more).as_str(), ids(&one_more).len()), ("Successful", 3));
        assert!(ids(&one_more).is_disjoint(&old));
        // One that is cancelled ends beside it.
        aside(&one_more);
        start(&one_more, &[("InstanceWarmup", "600")]);
        one_more.pass(60);
        one_more.ok("CancelInstanceRefresh", &[WEB]);
        one_more.pass(300);
        assert_eq!(status(&one_more), "Cancelled");
    }

    #[test]
    fn it_waits_for_what_drains() {
        let hook = [
            ("LifecycleHookSpecificationList.member.1.LifecycleHookName", "drain"),
            ("LifecycleHookSpecificationList.member.1.LifecycleTransition", "autoscaling:EC2_INSTANCE_TERMINATING"),
            ("LifecycleHookSpecificationList.member.1.HeartbeatTimeout", "900"),
        ];
        let cloud = cloud("1", &hook);
        start(&cloud, &[("MinHealthyPercentage", "100"), ("MaxHealthyPercentage", "200"), ("InstanceWarmup", "0")]);
        cloud.pass(600);
        assert_eq!((cloud.serving().len(), status(&cloud).as_str()), (1, "InProgress"), "the old one drains");
        watched(&cloud);
        assert_eq!(status(&cloud), "Successful");
    }
}
