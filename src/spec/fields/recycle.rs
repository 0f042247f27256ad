//! `recycle:` scheduled replacement of a group's hosts.

use super::Field;
use super::kind::{Kind, SECTION, duration, list, text, whole, word};

const SCHEDULED: &str = "https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-scheduled-scaling.html";

/// What a spec must say besides `recycle.group` when it says nothing else.
pub(super) const ALONE: &[&str] = &["recycle", "account", "region"];

pub(super) const FIELDS: &[Field] = &[
    Field::new(
        "recycle",
        SECTION,
        "{group: api-prod, windows: [{at: \"0 0 * * *\", zone: Australia/Brisbane, for: 1h}]}",
        "Replaces hosts on schedule: an Auto Scaling group gets some more hosts for a while and loses as many again. \
         With `group`, `account` and `region` it needs nothing else in the spec.",
    ),
    Field::new(
        "recycle.group",
        word("name of an Auto Scaling group, without `:`", "^[^:\\n\\r]+$", 1, 255),
        "api-prod",
        "The group. It may be one that fleetwright did not make: then only the scheduled actions that fleetwright itself \
         has put on it are ever changed. On the fleet's own group `launch` and `scale` keep the windows at its size.",
    )
    .absent("the fleet's own group; there must be one, by `fleet.mode: auto-scaling-group`"),
    Field::new(
        "recycle.raise",
        Kind::Choice(&[
            ("desired", "the desired capacity goes up and down in absolute numbers"),
            ("min", "the least size goes up and down, so that what scaling did stays"),
        ]),
        "min",
        "What a window changes. A group with scaling policies is always recycled by its least size.",
    )
    .absent("`min` where the group has scaling policies, else `desired`"),
    Field::new(
        "recycle.windows",
        list(&SECTION, 62),
        "[{at: \"0 0 * * *\", zone: Australia/Brisbane, surge: 1, for: 1h}]",
        "When it happens. Each window is two scheduled actions, and AWS allows 125 on a group.",
    )
    .required()
    .source(SCHEDULED),
    Field::new(
        "recycle.windows.at",
        text("five cron fields: minute, hour, day, month, day of the week", r"^\s*\S+(\s+\S+){4}\s*$"),
        "\"0 0 * * *\"",
        "When the window opens, as in crontab(5). The end is written as cron, too, so that a window which crosses midnight \
         can't be bound to days of the month.",
    )
    .required()
    .source("https://man7.org/linux/man-pages/man5/crontab.5.html"),
    Field::new(
        "recycle.windows.zone",
        text("canonical name of an IANA time zone", "^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*$"),
        "Australia/Brisbane",
        "The time zone of `at`, by its canonical name (`America/New_York`, not `US/Eastern`), since AWS documents that it takes \
         no other; AWS follows its summer time.",
    )
    .default("Etc/UTC")
    .source("https://www.iana.org/time-zones"),
    Field::new("recycle.windows.surge", whole(1, 1000), "1", "How many hosts more there are while the window is open.")
        .counts("hosts")
        .default("1"),
    Field::new(
        "recycle.windows.for",
        duration(300, 604_800),
        "1h",
        "How long the window is open, in whole minutes; the new hosts must be ready by then. AWS may open and close it up \
         to two minutes late.",
    )
    .default("1h"),
];
