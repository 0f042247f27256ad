//! The plan of `recycle now --instance-refresh`: Auto Scaling itself replaces the hosts of the fleet's own group, within the
//! bounds that its preferences set.

use super::{Action, Plan, Step, Until};
use crate::model::{Group, Instance, Refresh, RefreshPreferences, count};
use crate::spec::Fleet;
use crate::spec::fleet::{GroupSpec, HostsSpec};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What the refresh step is called.
pub const STEP: &str = "refresh";

/// Clocks here and at AWS may be apart by so much: a refresh that began so much before it was asked for may be ours.
const APART: SignedDuration = SignedDuration::from_secs(60);

/// The largest `MaxHealthyPercentage` (RefreshPreferences, API reference: 100 to 200).
const MOST: u32 = 200;

/// What the refresh is asked for: never fewer in service than the group wants, and no more than `surge` beside them. What is
/// on its way out does not count for AWS.
pub fn preferences(spec: &GroupSpec, desired: u32, surge: u32, skip_matching: bool) -> RefreshPreferences {
    RefreshPreferences {
        min_healthy: 100,
        // Rounded down: never more than was asked for. At 100 AWS launches one before it ends one.
        max_healthy: (100 + surge.saturating_mul(100) / desired.max(1)).min(MOST),
        warmup: u32::try_from(spec.grace.as_secs()).unwrap_or(u32::MAX),
        skip_matching,
    }
}

/// Plans the refresh of a group that then launches as `follow` has it; nothing where the group wants no host.
pub fn plan(
    fleet: &Fleet,
    hosts: &HostsSpec,
    (group, preferences): (&Group, RefreshPreferences),
    live: &[Instance],
    (until, follow): (Until, (Vec<Step>, Vec<String>)),
    request: String,
) -> Plan {
    let mut plan = Plan::new("recycle now", fleet.key(), request);
    let size = group.desired;
    if size == 0 {
        plan.notes.push(format!("{} wants no host: none has to go", group.name));
        return plan;
    }
    (plan.steps, plan.notes) = follow;
    let (placed, aside): (Vec<_>, Vec<_>) = live.iter().partition(|host| host.has_place());
    let ids = |hosts: Vec<&Instance>| hosts.into_iter().map(|host| host.id.clone()).collect();
    let name = group.name.clone();
    plan.steps.extend([
        Step::new(
            STEP,
            format!("Auto Scaling replaces the hosts of {name}"),
            Action::Refresh { group: name.clone(), preferences },
        ),
        Step::new(
            "accept",
            format!("wait until all {size} are in service"),
            Action::InService {
                group: name.clone(),
                size,
                min: size,
                within_seconds: i64::try_from(hosts.accept_within.as_secs()).unwrap_or(i64::MAX),
                abort: false,
            },
        ),
        Step::new(
            "settle",
            format!("see {} up", count(size, "host")),
            Action::Settle { until, existing: ids(placed), aside: ids(aside), awaited: Vec::new() },
        ),
    ]);
    plan.notes.push(if fleet.worker.is_some() {
        format!(
            "what ends drains by its host unit, within `fleet.group.drain_within`; Auto Scaling waits {} s for each new host \
             and asks for nothing else",
            preferences.warmup
        )
    } else {
        format!(
            "Auto Scaling drains nothing, and waits {} s for each new host without asking whether it works",
            preferences.warmup
        )
    });
    plan
}

/// Which of a group's refreshes this step is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whose<'r> {
    /// This step began it, or an earlier run did and it goes on.
    Ours(&'r Refresh),
    /// Somebody else's is under way, or one of ours that was asked for something else.
    Foreign(&'r Refresh),
    /// There is none: begin one.
    Nobodys,
    /// This step began the one with this id, and no look shows it yet.
    Unseen(String),
}

/// What a refresh is to bring about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// How.
    pub preferences: RefreshPreferences,
    /// What the group launches: a name of [`super::launch::epoch_name`].
    pub onto: String,
}

/// What a run here asked for: written down before the call is made, and again once its id is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// What the group launched then, as in [`Wish`].
    pub onto: String,
    /// When it was asked for first.
    pub since: Timestamp,
    /// What came of it.
    pub id: Option<String>,
}

/// What journals here know of instance refreshes of the group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// What this step asked for last.
    pub mine: Option<Asked>,
    /// Ids of all that any run here asked for or attached to, and onto what each brings the hosts where that was written down.
    pub all: BTreeMap<String, Option<String>>,
}

/// Tells whose refresh is there, newest first as AWS lists them. Refreshes bear no tags, and AWS does not tell what one brings
/// the hosts to: one whose call was never answered is known by its preferences and by when it began, and one of an earlier
/// launch template version is another one's.
pub fn whose<'r>(seen: &'r [Refresh], known: &Known, wish: &Wish) -> Whose<'r> {
    let same = |one: &Refresh| one.preferences.as_ref() == Some(&wish.preferences);
    let mine = known.mine.as_ref().filter(|asked| asked.onto == wish.onto);
    if let Some(id) = mine.and_then(|asked| asked.id.as_ref()) {
        return seen.iter().find(|one| one.id == *id).map_or_else(|| Whose::Unseen(id.clone()), Whose::Ours);
    }
    let asked = |one: &&Refresh| {
        let since = mine.zip(one.started).is_some_and(|(asked, began)| began >= asked.since - APART);
        since && same(one) && !known.all.contains_key(&one.id)
    };
    if let Some(one) = seen.iter().find(asked) {
        return Whose::Ours(one);
    }
    match seen.iter().find(|one| !one.over()) {
        Some(one) if same(one) && known.all.get(&one.id) == Some(&Some(wish.onto.clone())) => Whose::Ours(one),
        Some(one) => Whose::Foreign(one),
        None => Whose::Nobodys,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PREFERENCES: RefreshPreferences =
        RefreshPreferences { min_healthy: 100, max_healthy: 125, warmup: 60, skip_matching: false };

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn one(id: &str, status: &str, started: i64, preferences: RefreshPreferences) -> Refresh {
        let preferences = Some(preferences);
        Refresh {
            id: id.into(),
            status: status.into(),
            reason: None,
            started: Some(at(started)),
            percent: 0,
            preferences,
        }
    }

    #[test]
    fn a_refresh_is_ours_by_its_id_or_by_what_was_asked_and_when() {
        let other = RefreshPreferences { max_healthy: 150, ..PREFERENCES };
        let seen = [one("b", "InProgress", 100, PREFERENCES), one("a", "Successful", 0, PREFERENCES)];
        let wish = Wish { preferences: PREFERENCES, onto: "lt-1:2".to_owned() };
        let known = |mine: Option<&str>, asked: Option<i64>, all: &[&str]| Known {
            mine: asked.map(|second| Asked { onto: wish.onto.clone(), since: at(second), id: mine.map(str::to_owned) }),
            all: all.iter().map(|id| ((*id).to_owned(), Some(wish.onto.clone()))).collect(),
        };
        let told = |known: &Known, seen: &[Refresh]| match whose(seen, known, &wish) {
            Whose::Ours(one) => format!("ours {}", one.id),
            Whose::Foreign(one) => format!("foreign {}", one.id),
            Whose::Nobodys => "nobodys".to_owned(),
            Whose::Unseen(id) => format!("unseen {id}"),
        };
        for (known, told_as) in [
            (known(None, None, &[]), "foreign b"),
            // An earlier run of ours began it.
            (known(None, None, &["b"]), "ours b"),
            // The call was never answered; the clocks are apart.
            (known(None, Some(130), &["a"]), "ours b"),
            (known(None, Some(161), &["a"]), "foreign b"),
            // Its own, over by now.
            (known(Some("a"), Some(0), &["a"]), "ours a"),
            (known(Some("c"), Some(0), &["c"]), "unseen c"),
        ] {
            assert_eq!(told(&known, &seen), told_as, "{known:?}");
        }
        assert_eq!(told(&known(None, Some(100), &[]), &[one("b", "InProgress", 100, other)]), "foreign b");
        assert_eq!(
            told(&known(None, None, &["b"]), &[one("b", "InProgress", 100, other)]),
            "foreign b",
            "asked for else"
        );
        assert_eq!(told(&known(None, None, &[]), &seen[1..]), "nobodys");
        // Another run's is not taken for the one that this step asked for.
        assert_eq!(told(&known(None, Some(0), &["a"]), &seen[1..]), "nobodys");
        assert_eq!(told(&known(None, Some(0), &[]), &seen[1..]), "ours a", "it was over before anybody looked");

        // Whatever it is known by: what brings the hosts to an earlier version does not do what is wanted now.
        let older = |known: Known| Known {
            mine: known.mine.map(|asked| Asked { onto: "lt-1:1".to_owned(), ..asked }),
            all: known.all.into_keys().map(|id| (id, Some("lt-1:1".to_owned()))).collect(),
        };
        for (known, told_as) in [
            (known(None, None, &["b"]), "foreign b"),
            (known(Some("b"), Some(90), &["b"]), "foreign b"),
            (known(None, Some(90), &[]), "foreign b"),
        ] {
            assert_eq!(told(&older(known), &seen), told_as);
        }
        assert_eq!(told(&older(known(Some("a"), Some(0), &["a"])), &seen[1..]), "nobodys", "another one is begun");
        let untold = Known { mine: None, all: BTreeMap::from([("b".to_owned(), None)]) };
        assert_eq!(told(&untold, &seen), "foreign b");
    }

    #[test]
    fn no_more_than_the_surge_and_no_fewer_than_the_size() {
        let spec = crate::spec::testing::of_file("tests/specs/it/group.yaml").fleet.unwrap().group.unwrap();
        let bounds = |desired, surge| {
            let preferences = preferences(&spec, desired, surge, false);
            (preferences.min_healthy, preferences.max_healthy)
        };
        for (desired, surge, most) in [(4, 1, 125), (3, 1, 133), (3, 2, 166), (1, 1, 200), (500, 1, 100), (2, 9, 200)] {
            assert_eq!(bounds(desired, surge), (100, most), "{surge} beside {desired}");
        }
    }
}
