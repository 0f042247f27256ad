//! What is foretold against what the rehearsal cloud does, over random groups; and what is put on a group.
//!
//! The two are written apart from AWS's text ("Configure termination policies for Amazon EC2 Auto Scaling"). Where they could
//! differ, the sentence that decides is quoted at the check below.

use super::foretell::{Candidate, Fate, Who, hosts, window};
use super::*;
use crate::model::{GroupMember, InstanceId, Market, Mixed, TemplateId};
use crate::sim::autoscaling::testing::Cloud;
use crate::sim::draw::number;
use jiff::SignedDuration;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

mod previews;

const WEB: (&str, &str) = ("AutoScalingGroupName", "web");

/// Numbers of one random group.
struct Dice(u64, u64);

impl Dice {
    fn below(&mut self, most: u64) -> u64 {
        self.1 += 1;
        number(self.0, &["dice", &self.1.to_string()]) % most
    }
}

/// The group as the ground truth has it, in the words of the planner.
fn read(cloud: &Cloud, mixed: Option<Mixed>, version: Option<u64>, zones: &[String]) -> Group {
    let web = cloud.web();
    let number = |value: &Value| u32::try_from(value.as_u64().unwrap()).unwrap();
    let members = web["instances"].as_array().unwrap().iter().map(|one| GroupMember {
        id: InstanceId::from(one["id"].as_str().unwrap()),
        zone: one["zone"].as_str().unwrap().to_owned(),
        instance_type: one["type"].as_str().unwrap().to_owned(),
        state: one["state"].as_str().unwrap().to_owned(),
        healthy: one["healthy"] == true,
        protected: one["protected"] == true,
        template: Some((TemplateId::from("lt-1"), one["template_version"].as_u64().unwrap())),
        launched: Some(one["launched"].as_str().unwrap().parse().unwrap()),
        market: if one["spot"] == true { Market::Spot } else { Market::OnDemand },
    });
    let words = |value: &Value| -> Vec<String> {
        value.as_array().unwrap().iter().map(|word| word.as_str().unwrap().to_owned()).collect()
    };
    Group {
        min: number(&web["min"]),
        max: number(&web["max"]),
        desired: number(&web["desired"]),
        zones: zones.to_vec(),
        policies: words(&web["termination_policies"]),
        members: members.collect(),
        suspended: words(&web["suspended"]),
        template: Some(TemplateId::from("lt-1")),
        version,
        mixed,
        ..Group::sample("web")
    }
}

fn ids(members: &[Value]) -> BTreeSet<String> {
    members.iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect()
}

/// One random group, one window on it; whether it was foretold to the host.
fn one(seed: u64) -> bool {
    let mut dice = Dice(seed, 0);
    let cloud = Cloud::new(seed, json!({}));
    let zones: Vec<&str> = ["a", "b", "c", "d"][..=usize::try_from(dice.below(4)).unwrap()].to_vec();
    let subnets = zones.iter().map(|zone| format!("subnet-{zone}")).collect::<Vec<_>>().join(",");
    let policy = ["OldestInstance", "NewestInstance", "Default", "OldestLaunchTemplate", "ClosestToNextInstanceHour"];
    let policy = policy[usize::try_from(dice.below(5)).unwrap()];
    let mut more = vec![("VPCZoneIdentifier", subnets.as_str()), ("TerminationPolicies.member.1", policy)];
    if policy == "OldestLaunchTemplate" && dice.below(2) == 0 {
        more.push(("TerminationPolicies.member.2", "OldestInstance"));
    }
    let mixed = (dice.below(4) == 0).then(|| Mixed {
        base: 1,
        percent: 50,
        types: vec!["m7i.large".to_owned()],
        on_demand: "prioritized".to_owned(),
        spot: "lowest-price".to_owned(),
        max_price: None,
        weighted: false,
    });
    if mixed.is_some() {
        more.extend([
            ("MixedInstancesPolicy.LaunchTemplate.LaunchTemplateSpecification.LaunchTemplateName", "pack"),
            ("MixedInstancesPolicy.LaunchTemplate.LaunchTemplateSpecification.Version", "$Latest"),
            ("MixedInstancesPolicy.LaunchTemplate.Overrides.member.1.InstanceType", "m7i.large"),
            ("MixedInstancesPolicy.InstancesDistribution.OnDemandBaseCapacity", "1"),
            ("MixedInstancesPolicy.InstancesDistribution.OnDemandPercentageAboveBaseCapacity", "50"),
        ]);
    }
    cloud.group("0", "30", "1", &more);
    if dice.below(3) == 0 {
        cloud.ok("SuspendProcesses", &[WEB, ("ScalingProcesses.member.1", "AZRebalance")]);
    }
    // A life: hosts come at odd times, some of a newer template, one may die.
    let size = 1 + dice.below(6);
    let mut latest = 1;
    for wanted in 1..=size {
        cloud.ok("SetDesiredCapacity", &[WEB, ("DesiredCapacity", &wanted.to_string())]);
        cloud.pass(60 + i64::try_from(dice.below(4000)).unwrap());
        if dice.below(4) == 0 {
            latest += 1;
            cloud.ec2(
                "CreateLaunchTemplateVersion",
                &[
                    ("LaunchTemplateName", "pack"),
                    ("SourceVersion", "1"),
                    ("LaunchTemplateData.InstanceType", "m7i.large"),
                ],
            );
        }
        let members = cloud.serving();
        if dice.below(6) == 0
            && let Some(one) = members.first()
        {
            cloud.kill(one["id"].as_str().unwrap());
            cloud.pass(200);
        }
    }
    for member in cloud.serving() {
        if dice.below(5) == 0 {
            let id = member["id"].as_str().unwrap();
            cloud.ok("SetInstanceProtection", &[WEB, ("InstanceIds.member.1", id), ("ProtectedFromScaleIn", "true")]);
        }
    }
    cloud.pass(400);
    let zones: Vec<String> = zones.iter().map(|zone| format!("us-east-1{zone}")).collect();
    // A group may name its version by a number; `$Latest` tells the planner nothing.
    let version = (dice.below(4) > 0).then_some(latest);
    let group = read(&cloud, mixed, version, &zones);
    let surge = 1 + dice.below(2);
    let open = 600 + i64::try_from(dice.below(7200)).unwrap();
    let before = ids(&cloud.serving());
    let opens = cloud.now();
    let closes = opens + SignedDuration::from_secs(open);
    let surge_word = u32::try_from(surge).unwrap();
    let (fate, after) = match hosts(&group) {
        Ok(now) => window(&group, &now, 0, surge_word, (opens, closes)),
        Err(why) => (Fate::Unknown(why), None),
    };
    // The window, as late as AWS may be.
    cloud.pass(i64::try_from(dice.below(121)).unwrap());
    cloud.ok("SetDesiredCapacity", &[WEB, ("DesiredCapacity", &(size + surge).to_string())]);
    cloud.pass(closes.duration_since(cloud.now()).as_secs() + i64::try_from(dice.below(121)).unwrap());
    let during = ids(&cloud.serving());
    cloud.ok("SetDesiredCapacity", &[WEB, ("DesiredCapacity", &size.to_string())]);
    cloud.pass(5);
    let left = ids(&cloud.serving());
    let dead: BTreeSet<Who> = during
        .difference(&left)
        .map(|id| if before.contains(id) { Who::Host(InstanceId::from(id.as_str())) } else { Who::New(0) })
        .collect();
    match fate {
        // "each scale-in event ... at least one instance that is not protected from scale in": with nobody to end, the group
        // keeps what it has.
        Fate::Nobody => assert!(dead.is_empty(), "seed {seed}: {dead:?} of {group:?}"),
        // "Maintaining Zonal balance takes precedence over the termination policy." / "it applies the termination policy
        // across all Zones": whoever went must be among those foretold, and a foretelling of as many as go is exact.
        Fate::Dies(told) => {
            assert!(dead.is_subset(&told), "seed {seed}: {dead:?} went, not of {told:?}\n{group:#?}");
            if let Some(after) = after {
                assert!(told.is_subset(&dead), "seed {seed}: {told:?} were foretold, {dead:?} went\n{group:#?}");
                let stays = |host: &Candidate| matches!(&host.who, Who::Host(id) if left.contains(id.as_str()));
                assert!(after.iter().all(|host| stays(host) || host.who == Who::New(0)), "seed {seed}");
                return true;
            }
        }
        Fate::Unknown(why) => {
            assert!(!why.is_empty());
        }
    }
    false
}

#[test]
fn hundreds_of_random_groups_end_as_foretold() {
    let exact = (0..400).filter(|seed| one(*seed)).count();
    assert!(exact > 60, "only {exact} of 400 were foretold to the host");
}

fn window_of(at: &str, until: &str, surge: u32, line: u32) -> Window {
    let (at, until, zone) = (at.to_owned(), until.to_owned(), "Australia/Brisbane".to_owned());
    Window { at, until, zone, surge, open: Duration::from_hours(1), line }
}

fn fleet(windows: Vec<Window>) -> (Fleet, Recycle) {
    let text = "version: 1\nname: api\naccount: \"123456789012\"\nregion: us-east-1\n";
    let mut fleet = crate::spec::testing::of_text(text);
    fleet.file = "fleet.yaml".into();
    let recycle = Recycle { group: "web".to_owned(), raise: None, windows };
    fleet.recycle = Some(recycle.clone());
    (fleet, recycle)
}

fn group(min: u32, max: u32, desired: u32) -> Group {
    Group {
        min,
        max,
        desired,
        zones: vec!["us-east-1a".to_owned()],
        policies: vec!["Default".to_owned()],
        ..Group::sample("web")
    }
}

/// Brisbane is at UTC+10 all year: midnight there is 14:00 UTC.
const NOON: &str = "2026-03-01T12:00:00Z";

fn facts<'a>(group: &'a Group, actions: &'a [ScheduledAction], scaling: &'a [String], now: &str) -> Facts<'a> {
    Facts { group, actions, scaling, now: now.parse().unwrap() }
}

fn sizes_of(action: &ScheduledAction) -> (Option<u32>, Option<u32>, Option<u32>) {
    (action.min, action.max, action.desired)
}

#[test]
fn only_what_must_change_is_sent_and_bounds_are_widened_in_the_same_action() {
    let (fleet, recycle) = fleet(vec![window_of("0 0 * * *", "0 1 * * *", 1, 7)]);
    let (roomy, tight) = (group(1, 9, 4), group(4, 4, 4));
    let two = wanted(&fleet, &recycle, &facts(&roomy, &[], &[], NOON)).unwrap();
    assert_eq!(two.iter().map(sizes_of).collect::<Vec<_>>(), [(None, None, Some(5)), (None, None, Some(4))]);
    assert!(
        two[0].name.starts_with("fleetwright-api.") && two[0].name.rsplit('.').next() == Some("open"),
        "{}",
        two[0].name
    );
    let two = wanted(&fleet, &recycle, &facts(&tight, &[], &[], NOON)).unwrap();
    assert_eq!(two.iter().map(sizes_of).collect::<Vec<_>>(), [(None, Some(5), Some(5)), (None, Some(4), Some(4))]);
    // Scaling policies of others: the least size moves, never the desired capacity.
    let policies = ["cpu".to_owned()];
    let two = wanted(&fleet, &recycle, &facts(&roomy, &[], &policies, NOON)).unwrap();
    assert_eq!(two.iter().map(sizes_of).collect::<Vec<_>>(), [(Some(2), None, None), (Some(1), None, None)]);
    let two = wanted(&fleet, &recycle, &facts(&tight, &[], &policies, NOON)).unwrap();
    assert_eq!(two.iter().map(sizes_of).collect::<Vec<_>>(), [(Some(5), Some(5), None), (Some(4), Some(4), None)]);
}

#[test]
fn an_open_window_is_not_taken_for_the_groups_own_size() {
    let (fleet, recycle) = fleet(vec![window_of("0 0 * * *", "0 1 * * *", 1, 7)]);
    let own = group(1, 4, 4);
    let actions = wanted(&fleet, &recycle, &facts(&own, &[], &[], NOON)).unwrap();
    let open = Group { desired: 5, max: 5, ..own.clone() };
    for (now, group, changes) in [
        ("2026-03-01T14:30:00Z", &open, 0),
        // Closed a minute ago: AWS may not have done it yet.
        ("2026-03-01T15:01:00Z", &open, 0),
        ("2026-03-01T15:01:00Z", &own, 0),
        ("2026-03-01T16:00:00Z", &own, 0),
        // The owner made it five, outside any window: five it is from now on.
        ("2026-03-01T16:00:00Z", &open, 2),
    ] {
        let again = wanted(&fleet, &recycle, &facts(group, &actions, &[], now)).unwrap();
        let found = difference("fleetwright-api.", &again, &actions);
        assert_eq!((found.put.len(), found.delete.len()), (changes, 0), "{now}: {found:?}");
    }
}

/// What closes an open window stays until AWS has run it, whatever becomes of the spec.
#[test]
fn no_change_leaves_a_window_open_for_good() {
    let window = |until: &str, surge: u32| fleet(vec![window_of("0 0 * * *", until, surge, 7)]);
    let (fleet, recycle) = window("0 1 * * *", 1);
    let own = group(1, 4, 4);
    let applied = wanted(&fleet, &recycle, &facts(&own, &[], &[], NOON)).unwrap();
    let open = Group { desired: 5, max: 5, ..own.clone() };
    for (now, group, until) in [
        (NOON, &own, None),
        // It opens any second.
        ("2026-03-01T14:01:00Z", &own, Some("2026-03-01T14:02:00Z")),
        ("2026-03-01T14:30:00Z", &open, Some("2026-03-01T15:02:00Z")),
        // Somebody closed it by hand.
        ("2026-03-01T14:30:00Z", &own, None),
        // AWS closes it any second, or has done so.
        ("2026-03-01T15:01:00Z", &open, Some("2026-03-01T15:02:00Z")),
        ("2026-03-01T15:01:00Z", &own, None),
        // AWS closed it, and the owner made it five.
        ("2026-03-01T16:00:00Z", &open, None),
    ] {
        let removed = plan(&fleet, "recycle remove", &facts(group, &applied, &[], now), &[], String::new());
        match (removed, until) {
            (Ok(plan), None) => assert_eq!(plan.steps.len(), 1, "{now}"),
            (Err(why), Some(until)) => {
                assert_eq!(why.exit, Exit::Refused);
                assert!(
                    why.hints[0].starts_with("fleetwright recycle remove ") && why.hints[0].ends_with(until),
                    "{why:?}"
                );
            }
            (other, _) => panic!("{now}: {other:?}"),
        }
    }
    let apply = |recycle: &Recycle, scaling: &[String]| {
        let facts = facts(&open, &applied, scaling, "2026-03-01T14:30:00Z");
        let wanted = wanted(&fleet, recycle, &facts).unwrap();
        plan(&fleet, "recycle apply", &facts, &wanted, String::new())
    };
    let why = apply(&window("0 2 * * *", 1).1, &[]).unwrap_err();
    assert!(why.message.contains("sets max 4, desired 4 again"), "{why:?}");
    assert!(why.hints[1].contains(" --auto-scaling-group-name web --max-size 4 --desired-capacity 4 "), "{why:?}");
    // One that would bring back the least size only.
    assert_eq!(apply(&recycle, &["cpu".to_owned()]).unwrap_err().exit, Exit::Refused);
    // One of the same times is put over the one that is there.
    let plan = apply(&window("0 1 * * *", 2).1, &[]).unwrap();
    let [Step { action: Action::Schedule { actions, .. }, .. }] = &plan.steps[..] else { panic!("{plan:?}") };
    assert_eq!(actions.iter().map(sizes_of).collect::<Vec<_>>(), [(None, Some(6), Some(6))], "it closes as it did");
}

/// A kill between the two calls loses no size: what can be put over the old action is never deleted first.
#[test]
fn a_later_end_is_put_in_place() {
    let (fleet, recycle) = fleet(vec![window_of("0 0 * * *", "0 1 * * *", 1, 7)]);
    let own = group(0, 4, 4);
    let ends = |at: Option<&str>| {
        let end = at.map(|at| crate::plan::group::deadman(at.parse().unwrap()));
        wanted(&fleet, &recycle, &facts(&own, end.as_slice(), &[], NOON)).unwrap()
    };
    let (never, early, late) = (ends(None), ends(Some("2026-03-01T20:00:00Z")), ends(Some("2026-03-02T20:00:00Z")));
    let changes = |wanted: &[ScheduledAction], have: &[ScheduledAction]| {
        let found = difference("fleetwright-api.", wanted, have);
        (found.delete.len(), found.put.len())
    };
    assert_eq!([changes(&late, &early), changes(&early, &never)], [(0, 2); 2]);
    // An end that is left out is not known to go.
    assert_eq!(changes(&never, &early), (2, 2));
}

#[test]
fn a_difference_touches_nothing_of_others() {
    let (fleet, recycle) = fleet(vec![window_of("0 0 * * *", "0 1 * * *", 1, 7)]);
    let own = group(1, 9, 4);
    let wanted_now = wanted(&fleet, &recycle, &facts(&own, &[], &[], NOON)).unwrap();
    let other = |name: &str| ScheduledAction { name: name.to_owned(), ..wanted_now[0].clone() };
    // Another fleet's, one that only looks alike, one made by hand, an old one of ours.
    let mut have =
        ["fleetwright-api-prod.x.open", "fleetwright-api", "nightly", "fleetwright-api.old.open"].map(other).to_vec();
    let found = difference("fleetwright-api.", &wanted_now, &have);
    assert_eq!((found.delete, found.put.len()), (vec!["fleetwright-api.old.open".to_owned()], 2));
    // A size that somebody changed is put again; a time that somebody changed goes first, since AWS would keep it.
    have = wanted_now.clone();
    have[0].desired = Some(9);
    have[1].recurrence = Some("0 9 * * *".to_owned());
    let found = difference("fleetwright-api.", &wanted_now, &have);
    assert_eq!((found.delete, found.put), (vec![wanted_now[1].name.clone()], wanted_now.clone()));
    have = wanted_now.clone();
    have[0].start = Some(NOON.parse().unwrap());
    assert_eq!(difference("fleetwright-api.", &wanted_now, &have), Difference::default());
}

#[test]
fn what_would_come_out_wrong_is_refused_with_its_line() {
    let own = group(1, 9, 4);
    let refused = |windows: Vec<Window>, actions: &[ScheduledAction], group: &Group| {
        let (fleet, recycle) = fleet(windows);
        wanted(&fleet, &recycle, &facts(group, actions, &[], NOON)).unwrap_err().message
    };
    let night = || window_of("0 0 * * *", "0 1 * * *", 1, 7);
    let message = refused(vec![night(), window_of("30 0 * * *", "30 2 * * *", 1, 8)], &[], &own);
    assert!(message.starts_with("fleet.yaml:8: this window opens at 2026-03-01T14:30:00Z"), "{message}");
    let message = refused(vec![night(), window_of("0 1 * * *", "0 2 * * *", 1, 9)], &[], &own);
    assert!(message.starts_with("fleet.yaml:9:"), "{message}");
    let foreign = |n: usize, start: &str| ScheduledAction {
        name: format!("x{n}"),
        recurrence: None,
        zone: None,
        start: Some(start.parse().unwrap()),
        end: None,
        min: None,
        max: None,
        desired: Some(1),
    };
    let message = refused(vec![night()], &[foreign(0, "2026-03-01T14:00:00Z")], &own);
    assert!(message.contains("fleet.yaml:7") && message.contains("x0"), "{message}");
    let many: Vec<_> = (0..124).map(|n| foreign(n, "2027-01-01T00:00:00Z")).collect();
    let message = refused(vec![night()], &many, &own);
    assert!(message.starts_with("fleet.yaml:7: no room") && message.contains("124 of others"), "{message}");
    let gone = Group { status: Some("Delete in progress".to_owned()), ..own.clone() };
    assert!(refused(vec![night()], &[], &gone).contains("on its way out"));
}

/// A window names sizes in absolute numbers, so that it must know what a launch or a `scale` made the fleet's own group.
#[test]
fn windows_on_our_own_group_follow_its_size_and_are_the_larger_at_every_moment() {
    let fleet = crate::spec::testing::of_file("tests/specs/it/group.yaml");
    let recycle = fleet.recycle.clone().unwrap();
    assert_eq!(recycle.group, "fleetwright-crew", "the fleet's own is meant where none is named");
    let own = Group { name: recycle.group.clone(), ..group(0, 4, 4) };
    let none = Facts { group: &own, actions: &[], scaling: &[], now: NOON.parse().unwrap() };
    let applied = wanted(&fleet, &recycle, &none).unwrap();
    let sized = |action: Action, actions: &[ScheduledAction]| {
        let mut plan = Plan::new("scale", fleet.key(), String::new());
        plan.steps = vec![Step::new("first", "", action)];
        follow(&mut plan, &fleet, &recycle, &Facts { actions, ..none });
        let steps = plan.steps.into_iter().map(|step| match step.action {
            Action::Schedule { actions, .. } => {
                format!("{:?}", actions.iter().map(|one| (one.desired, one.max)).collect::<Vec<_>>())
            }
            _ => step.id,
        });
        steps.collect::<Vec<_>>()
    };
    let group = || own.name.clone();
    let grown = || Action::GroupSize { group: group(), size: 8 };
    let windows = "[(Some(9), Some(9)), (Some(8), Some(8))]";
    assert_eq!(sized(grown(), &applied), [windows, "first"]);
    let shrunk = Action::End { hosts: Vec::new(), drained: false, left: 2, group: Some(group()) };
    assert_eq!(sized(shrunk, &applied), ["first", "[(Some(3), Some(3)), (Some(2), Some(2))]"]);
    assert_eq!(sized(Action::GroupSize { group: group(), size: 4 }, &applied), ["first"], "they are so already");
    assert_eq!(sized(grown(), &[]), ["first"], "nobody applied them");
}
