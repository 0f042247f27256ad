//! What a preview shows of windows, and what it warns of.

use super::*;

/// A fleet's own group goes to zero: what would come after that is no night.
#[test]
fn a_preview_ends_when_the_group_does() {
    let (fleet, recycle) = fleet(vec![window_of("0 0 * * *", "0 1 * * *", 1, 7)]);
    let own = Group { policies: vec!["OldestInstance".to_owned()], ..group(1, 9, 3) };
    let now: Timestamp = NOON.parse().unwrap();
    let told = |hours: i64| {
        let end = crate::plan::group::deadman(now + SignedDuration::from_hours(hours));
        let actions = [end];
        let facts = facts(&own, &actions, &[], NOON);
        let told = preview::preview(&fleet, &recycle, &facts, SignedDuration::from_hours(96));
        let wanted = wanted(&fleet, &recycle, &facts).unwrap();
        let plan = plan(&fleet, "recycle apply", &facts, &wanted, String::new()).unwrap();
        let noted = plan.notes.iter().any(|note| note.contains("no window opens after that"));
        (told.nights.len(), told.warnings.iter().any(|warning| warning.contains("goes to zero at")), noted)
    };
    assert_eq!([told(1), told(10), told(200)], [(0, true, true), (1, true, false), (4, false, false)]);
}

/// Windows that `apply` refuses are not foretold as if they came.
#[test]
fn a_preview_says_that_windows_meet() {
    let meeting = vec![window_of("0 0 * * *", "0 1 * * *", 1, 7), window_of("0 1 * * *", "0 2 * * *", 1, 9)];
    let (fleet, recycle) = fleet(meeting);
    let own = Group { policies: vec!["OldestInstance".to_owned()], ..group(1, 9, 3) };
    let told = preview::preview(&fleet, &recycle, &facts(&own, &[], &[], NOON), SignedDuration::from_hours(24));
    assert!(told.nights.iter().all(|night| night.unknown.as_deref() == Some("these windows meet")), "{told:?}");
    let warning = told.warnings.first().expect("a warning");
    assert!(warning.starts_with("`recycle apply` refuses these windows: that in line 9 opens at "), "{warning}");
    assert!(warning.contains("; the one in line 7 is open until "), "{warning}");
}

/// A group whose newest host goes by policy is recycled by nobody, and the preview says what to change.
#[test]
fn a_preview_warns_where_the_new_host_dies() {
    let (fleet, recycle) = fleet(vec![window_of("0 0 * * *", "0 1 * * *", 1, 7)]);
    let applied = wanted(&fleet, &recycle, &facts(&group(1, 9, 3), &[], &[], NOON)).unwrap();
    let now: Timestamp = NOON.parse().unwrap();
    let member = |n: i64| GroupMember {
        launched: Some(now - SignedDuration::from_hours(n)),
        ..GroupMember::sample(&format!("i-{n}"))
    };
    let mut own = Group { members: vec![member(3), member(2), member(1)], ..group(1, 9, 3) };
    let ends = |group: &Group| {
        let facts = facts(group, &applied, &[], NOON);
        let told = preview::preview(&fleet, &recycle, &facts, SignedDuration::from_hours(96));
        let nights: Vec<String> = told.nights.iter().map(|night| night.ends.join(" ")).collect();
        (nights, told)
    };
    own.policies = vec!["NewestInstance".to_owned()];
    let (nights, told) = ends(&own);
    assert_eq!(nights, ["new"; 4]);
    assert!(told.warnings.iter().any(|warning| warning.starts_with("4 of these windows end the new host")), "{told:?}");
    assert_eq!(
        told.settings,
        [
            "aws autoscaling update-auto-scaling-group --auto-scaling-group-name web --termination-policies OldestInstance Default"
        ]
    );
    own.policies = vec!["OldestInstance".to_owned()];
    let (nights, told) = ends(&own);
    assert_eq!(nights, ["i-3", "i-2", "i-1", "new"], "from the fourth night on those that the first ones brought");
    assert!(told.warnings.is_empty() && told.settings.is_empty(), "{told:?}");
    assert_eq!(told.nights[0].opens_local, "Mon 2026-03-02 00:00 AEST");
    own.members[0].protected = true;
    own.members[1].protected = true;
    own.members[2].protected = true;
    let (nights, told) = ends(&own);
    assert_eq!(nights, ["new"; 4], "all others are protected");
    assert!(told.settings[0].contains("--no-protected-from-scale-in --instance-ids i-3 i-2 i-1"), "{told:?}");
    own.policies = vec!["arn:aws:lambda:us-east-1:123456789012:function:choose".to_owned()];
    let (_, told) = ends(&own);
    assert!(told.nights.iter().all(|night| night.unknown.as_deref().is_some_and(|why| why.contains("Lambda"))));
}

/// The group goes by the actions that it has, whatever the spec says.
#[test]
fn a_preview_says_what_is_on_the_group_in_place_of_it() {
    let (fleet, recycle) = fleet(vec![window_of("0 0 * * *", "0 1 * * *", 1, 7)]);
    let own = group(1, 4, 4);
    let applied = wanted(&fleet, &recycle, &facts(&own, &[], &[], NOON)).unwrap();
    let warning = |group: &Group, actions: &[ScheduledAction], scaling: &[String]| {
        let facts = facts(group, actions, scaling, NOON);
        let told = preview::preview(&fleet, &recycle, &facts, SignedDuration::from_hours(24));
        told.warnings.into_iter().find(|warning| warning.contains("has not the scheduled actions of this spec"))
    };
    assert_eq!(warning(&own, &applied, &[]), None);
    assert!(warning(&own, &[], &[]).unwrap().ends_with("until then no window opens"));
    assert!(warning(&own, &applied[..1], &[]).unwrap().ends_with("until then some of them are missing"));
    // The owner made it smaller; and somebody scales it now, where windows should move its least size only.
    for (group, scaling) in [(group(1, 9, 2), vec![]), (own.clone(), vec!["cpu".to_owned()])] {
        let told = warning(&group, &applied, &scaling).unwrap();
        assert!(told.contains("max 5, desired 5") && told.contains("max 4, desired 4, while it has min 1"), "{told}");
    }
}

/// What others put on the group decides which hosts go, too.
#[test]
fn a_preview_sees_the_actions_of_others() {
    let (fleet, recycle) = fleet(vec![window_of("0 0 * * *", "0 1 * * *", 1, 7)]);
    let policies = vec!["OldestInstance".to_owned()];
    let own = Group {
        policies,
        members: vec![GroupMember { launched: NOON.parse().ok(), ..GroupMember::sample("i-1") }],
        ..group(0, 9, 1)
    };
    let applied = wanted(&fleet, &recycle, &facts(&own, &[], &[], NOON)).unwrap();
    let told = |recurrence: &str, (min, max, desired): (Option<u32>, Option<u32>, Option<u32>)| {
        let theirs = ScheduledAction {
            name: "theirs".to_owned(),
            recurrence: Some(recurrence.to_owned()),
            min,
            max,
            desired,
            ..applied[0].clone()
        };
        let actions = [applied.clone(), vec![theirs]].concat();
        let told =
            preview::preview(&fleet, &recycle, &facts(&own, &actions, &[], NOON), SignedDuration::from_hours(48));
        let unknown: Vec<Option<String>> = told.nights.into_iter().map(|night| night.unknown).collect();
        (unknown, told.warnings)
    };
    for (recurrence, sizes, when) in [
        ("30 0 * * *", (None, Some(1), None), "sets max 1 at 2026-03-01T14:30:00Z, while it is open"),
        ("30 0 * * *", (None, None, Some(1)), "sets desired 1 at 2026-03-01T14:30:00Z, while it is open"),
        ("2 1 * * *", (Some(2), None, None), "sets min 2 at 2026-03-01T15:02:00Z, while it is open"),
        ("0 23 * * *", (None, None, Some(0)), "sets desired 0 at 2026-03-01T13:00:00Z, before it opens"),
        ("0 23 * * *", (None, Some(1), None), "sets max 1 at 2026-03-01T13:00:00Z, before it opens"),
    ] {
        let (unknown, warnings) = told(recurrence, sizes);
        let why = format!("theirs of others {when}");
        assert_eq!(unknown, [Some(why.clone()), Some(why.clone())]);
        let [warning] = &warnings[..] else { panic!("{warnings:?}") };
        assert!(warning.starts_with(&format!("the window in line 7: {why}: ")), "{warning}");
    }
    // As the group is already; what leaves the window alone; and what is on another day.
    for (recurrence, sizes) in [
        ("0 23 * * *", (Some(1), Some(9), Some(1))),
        ("30 0 * * *", (Some(1), Some(2), Some(2))),
        ("30 0 * * thu", (None, None, Some(7))),
    ] {
        assert_eq!(told(recurrence, sizes), (vec![None, None], Vec::new()), "{recurrence} {sizes:?}");
    }
}

/// Clocks go from two to three that night, and a window from two to three is nothing.
#[test]
fn a_window_that_closes_when_it_opens_is_not_foretold() {
    let window = Window { zone: "America/New_York".to_owned(), ..window_of("0 2 * * *", "0 3 * * *", 1, 7) };
    let (fleet, recycle) = fleet(vec![window]);
    let own = group(1, 4, 4);
    let now = "2026-03-06T12:00:00Z";
    let applied = wanted(&fleet, &recycle, &facts(&own, &[], &[], now)).unwrap();
    let told = preview::preview(&fleet, &recycle, &facts(&own, &applied, &[], now), SignedDuration::from_hours(96));
    let notes: Vec<String> = told.nights.iter().map(|night| night.notes.join("\n")).collect();
    assert!(notes[0].is_empty() && notes[2].is_empty(), "{notes:?}");
    assert!(
        notes[1].contains("same moment") && notes[1].contains("is open until 2026-03-09T07:00:00Z; let it"),
        "{notes:?}"
    );
    assert!(!notes[1].contains("minutes"), "{notes:?}");
    // Open or not by then, five is not the group's own size.
    let open = Group { desired: 5, max: 5, ..own.clone() };
    let sized = |group| open::sizes(&fleet, &facts(group, &applied, &[], "2026-03-08T20:00:00Z"));
    assert_eq!(
        (sized(&open), sized(&own)),
        (Sizes { min: 1, max: 4, desired: 4 }, Sizes { min: 1, max: 4, desired: 4 })
    );
}
