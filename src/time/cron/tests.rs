//! The five fields against croner, which reads them by itself, and the nights on which clocks change.

use super::*;
use croner::parser::{CronParser, Seconds, Year};
use proptest::prelude::*;

fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).unwrap()
}

fn firings(line: &str, name: &str, from: &str, count: usize) -> Vec<(String, Shift)> {
    let cron = parse(line).unwrap();
    let zone = zone(name);
    let after = cron.after(from.parse().unwrap(), &zone);
    after.take(count).map(|firing| (firing.at.to_string(), firing.shift)).collect()
}

fn times(line: &str, name: &str, from: &str, count: usize) -> Vec<String> {
    firings(line, name, from, count).into_iter().map(|(at, _)| at).collect()
}

#[test]
fn what_aws_refuses_is_refused_by_field() {
    for (line, says) in [
        ("", "it has 0 fields; Auto Scaling takes five: minute, hour, day, month, day of the week"),
        ("0 0 0 * * *", "it has 6 fields; Auto Scaling takes five: minute, hour, day, month, day of the week"),
        ("@daily", "it is a nickname; write out its five fields, as `0 0 * * *` for @daily"),
        ("60 0 * * *", "minute is 60; it goes from 0 to 59"),
        ("0 24 * * *", "hour is 24; it goes from 0 to 23"),
        ("0 0 0 * *", "day of the month is 0; it goes from 1 to 31"),
        ("0 0 * 13 *", "month is 13; it goes from 1 to 12"),
        ("0 0 * * 8", "day of the week is 8; it goes from 0 to 7"),
        ("0 0 ? * *", "day of the month is `?`, which Auto Scaling's crontab does not know: write `*`"),
        ("0 0 L * *", "day of the month is `L`; `L`, `W` and `#` are not in crontab"),
        ("0 0 * * mon#2", "day of the week is `mon#2`; `L`, `W` and `#` are not in crontab"),
        ("0 5-2 * * *", "hour has the range `5-2`, which ends before it begins: write `5-23,0-2`"),
        (
            "0 22 * * FRI-MON",
            "day of the week has the range `FRI-MON`, which ends before it begins: write `fri-sat,sun-mon`",
        ),
        ("0 22-2/2 * * *", "hour has the range `22-2`, which ends before it begins"),
        ("0 0 * * 7-2", "day of the week has the range `7-2`, which ends before it begins: write `sun-tue`"),
        ("0 0 1 dec-jan *", "month has the range `dec-jan`, which ends before it begins: write `dec,jan`"),
        ("*/0 0 * * *", "minute has the step of `*/0`, which is no number of 1 or more"),
        ("5/10 0 * * *", "minute has `5/10`: a step needs a range, as `5-59/10`"),
        ("0, 0 * * *", "minute has an empty part"),
        ("0 0 * * monday", "day of the week has `monday`; names have three letters: write `mon`"),
        ("+5 0 * * *", "minute has `+5`, which is no number"),
        (
            "0 0 */2 * mon",
            "it has `*/2` for days and `mon` for weekdays: crons disagree whether one or both must match; write the days out",
        ),
        ("0 0 30 2 *", "it never comes: there is no such day"),
    ] {
        assert_eq!(parse(line).unwrap_err().to_string(), says, "{line:?}");
    }
}

#[test]
fn either_day_field_is_enough_when_both_are_said() {
    let from = "2026-03-01T00:00:00Z";
    assert_eq!(
        times("0 0 13 * fri", "UTC", from, 3),
        ["2026-03-06T00:00:00Z", "2026-03-13T00:00:00Z", "2026-03-20T00:00:00Z"]
    );
    assert_eq!(times("0 0 29 2 *", "UTC", from, 2), ["2028-02-29T00:00:00Z", "2032-02-29T00:00:00Z"]);
    assert_eq!(times("0 0 * * 7", "UTC", from, 1), ["2026-03-08T00:00:00Z"]);
    assert_eq!(times("0 0 31 2 sun", "UTC", "2026-01-31T00:00:00Z", 1), ["2026-02-01T00:00:00Z"]);
}

#[test]
fn nights_on_which_the_clock_changes_are_marked() {
    // New York skips 02:00 to 03:00 on 8 March 2026 and has 01:00 to 02:00 twice on 1 November.
    let spring = firings("30 2 * * *", "America/New_York", "2026-03-07T12:00:00Z", 2);
    assert_eq!(spring, [("2026-03-08T07:00:00Z".into(), Shift::Gap), ("2026-03-09T06:30:00Z".into(), Shift::Plain)]);
    let autumn = firings("30 1 * * *", "America/New_York", "2026-10-31T12:00:00Z", 2);
    assert_eq!(autumn, [("2026-11-01T05:30:00Z".into(), Shift::First), ("2026-11-02T06:30:00Z".into(), Shift::Plain)]);
    let every = firings("*/30 * * * *", "America/New_York", "2026-11-01T04:45:00Z", 5);
    assert_eq!(every.iter().filter(|(_, shift)| *shift == Shift::Second).count(), 2, "{every:?}");
    assert!(times("*/30 * * * *", "America/New_York", "2026-03-08T06:45:00Z", 1) == ["2026-03-08T07:00:00Z"]);
    // Lord Howe moves by half an hour.
    let howe = firings("15 2 * * *", "Australia/Lord_Howe", "2026-10-03T00:00:00Z", 1);
    assert_eq!(howe, [("2026-10-03T15:30:00Z".into(), Shift::Gap)]);
    // Cairo begins its summer at midnight, so that a nightly job at 00:00 meets the gap.
    let cairo = firings("0 0 * * *", "Africa/Cairo", "2026-04-23T00:00:00Z", 1);
    assert_eq!(cairo, [("2026-04-23T22:00:00Z".into(), Shift::Gap)]);
    // Nuuk skips the last hour of a Saturday: the night's firing comes at the first moment of the day after it.
    let nuuk = firings("0 23 * * *", "America/Nuuk", "2027-03-27T12:00:00Z", 2);
    assert_eq!(nuuk, [("2027-03-28T01:00:00Z".into(), Shift::Gap), ("2027-03-29T00:00:00Z".into(), Shift::Plain)]);
    assert_eq!(times("0 23 * * sat", "America/Nuuk", "2027-03-27T12:00:00Z", 1), ["2027-04-04T00:00:00Z"]);
    // Apia had no 30 December 2011 at all.
    assert_eq!(times("0 12 30 * *", "Pacific/Apia", "2011-12-01T00:00:00Z", 1), ["2012-01-29T22:00:00Z"]);
}

#[test]
fn an_end_is_written_as_cron_where_cron_can_say_it() {
    let minutes = |n: u64| std::time::Duration::from_mins(n);
    for (line, by, says) in [
        ("0 0 * * *", 60, "0 1 * * *"),
        ("30 23 * * *", 60, "30 0 * * *"),
        ("30 23 * * mon", 60, "30 0 * * 2"),
        ("0 22 * * 6,7", 180, "0 1 * * 0,1"),
        ("0 20-23 * * *", 120, "0 0,1,22,23 * * *"),
        ("45 */6 * * *", 30, "15 1,7,13,19 * * *"),
        ("0 * * * *", 30, "30 * * * *"),
        ("0,30 * * * *", 15, "15,45 * * * *"),
        ("0,45 * * * *", 20, "5,20 * * * *"),
        ("0 3 1 * *", 60, "0 4 1 * *"),
        ("0 3 * * 1-5", 2 * 1440, "0 3 * * 0,3,4,5,6"),
    ] {
        assert_eq!(shifted(line, minutes(by)).as_deref(), Ok(says), "{line} + {by}m");
    }
    for (line, by, why) in [
        ("0 23 1 * *", 60, Unshiftable::Days),
        ("0,45 3 * * *", 30, Unshiftable::Minutes),
        ("0 12,23 * * 1", 120, Unshiftable::Hours),
    ] {
        assert_eq!(shifted(line, minutes(by)), Err(why), "{line} + {by}m");
    }
}

proptest! {
    /// Each firing of the shifted line is one of the line itself, so much later.
    #[test]
    fn a_shifted_line_fires_so_much_later(
        minute in field(0, 59), hour in field(0, 23), weekday in field(0, 7), by in 1_u64..3_000, start in 1_577_836_800_i64..1_893_456_000,
    ) {
        let line = format!("{minute} {hour} * * {weekday}");
        if let Ok(later) = shifted(&line, std::time::Duration::from_mins(by)) {
            let shift = SignedDuration::from_mins(by.try_into().unwrap());
            let from = Timestamp::from_second(start).unwrap();
            let [line, later] = [&line, &later].map(|line| parse(line).unwrap());
            let expected: Vec<_> = line.after(from, &TimeZone::UTC).take(9).map(|firing| firing.at + shift).collect();
            let found: Vec<_> = later.after(from + shift, &TimeZone::UTC).take(9).map(|firing| firing.at).collect();
            prop_assert_eq!(found, expected);
        }
    }
}

fn field(least: u8, most: u8) -> impl Strategy<Value = String> {
    let value = least..=most;
    let range = (least..=most, least..=most).prop_map(|(a, b)| (a.min(b), a.max(b)));
    prop_oneof![
        3 => Just("*".to_owned()),
        4 => value.clone().prop_map(|v| v.to_string()),
        1 => (1..=12_u8).prop_map(|step| format!("*/{step}")),
        1 => range.clone().prop_map(|(a, b)| format!("{a}-{b}")),
        1 => (range, 1..=9_u8).prop_map(|((a, b), step)| format!("{a}-{b}/{step}")),
        1 => proptest::collection::vec(value, 1..4).prop_map(|all| all.iter().map(u8::to_string).collect::<Vec<_>>().join(",")),
    ]
}

fn odd_zone() -> impl Strategy<Value = &'static str> {
    proptest::sample::select(vec![
        "UTC",
        "Australia/Lord_Howe",
        "Africa/Casablanca",
        "Africa/Cairo",
        "America/New_York",
        "Europe/London",
        "Australia/Brisbane",
        "America/St_Johns",
        "Asia/Gaza",
        "America/Havana",
        "Pacific/Chatham",
        "Europe/Dublin",
        "America/Sao_Paulo",
        "Asia/Kathmandu",
        "Antarctica/Troll",
        "America/Santiago",
    ])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    /// The same firings as croner's, over odd zones and their changes.
    #[test]
    fn croner_reads_the_same(
        minute in field(0, 59), hour in field(0, 23), day in field(1, 31), month in field(1, 12), weekday in field(0, 7),
        name in odd_zone(), start in 1_577_836_800_i64..1_893_456_000,
    ) {
        let line = format!("{minute} {hour} {day} {month} {weekday}");
        let from = Timestamp::from_second(start).unwrap();
        // `1-5/2` is a fixed time to cron(8), which asks for a star, and an interval to croner, which asks for a step: they
        // part on nights on which the clock changes.
        let stepped = [&minute, &hour].iter().any(|field| !field.starts_with('*') && field.contains('/'));
        let zone = zone(if stepped { "UTC" } else { name });
        let theirs = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build().parse(&line).unwrap();
        let Ok(ours) = parse(&line) else {
            // What crons read differently is refused, whatever this one makes of it.
            let odd = [&day, &weekday].iter().any(|field| field.starts_with("*/"));
            prop_assert!(odd || theirs.find_next_occurrence(&from.to_zoned(zone), false).is_err(), "{line}");
            return Ok(());
        };
        let mut expected: Vec<Timestamp> =
            theirs.iter_after(from.to_zoned(zone.clone())).take(12).map(|at| at.timestamp()).collect();
        // Of several fixed times croner leaves one out that falls into a gap; one alone it carries to the gap's end, as cron(8)
        // does all of them.
        let told = |firing: &Firing| firing.shift != Shift::Gap || expected.contains(&firing.at);
        let mut found: Vec<Timestamp> = ours.after(from, &zone).filter(told).take(12).map(|firing| firing.at).collect();
        // A range of minutes at fixed hours, half of it in a repeated half hour (Lord Howe): croner has the last of them twice,
        // cron(8) has no fixed time twice.
        let fixed = [&minute, &hour].iter().all(|field| !field.contains('*'));
        let twice = |at: &Timestamp| {
            let civil = at.to_zoned(zone.clone()).datetime();
            zone.to_ambiguous_timestamp(civil).earlier().is_ok_and(|earlier| earlier < *at)
        };
        expected.retain(|at| !fixed || found.contains(at) || !twice(at));
        // Neither looks ahead for ever: a 29 February on a Monday is decades away.
        let both = found.len().min(expected.len());
        prop_assert!(both >= 8 || found.len() == expected.len(), "{found:?} {expected:?}");
        found.truncate(both);
        expected.truncate(both);
        prop_assert_eq!(&found, &expected, "{} in {} after {}", line, name, from);
    }
}
