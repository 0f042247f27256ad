//! `recycle preview`: the next openings of every window, and what each of them does to the group's hosts.

use super::foretell::{self, Candidate, Fate, Who};
use super::others::{Others, unlike};
use super::{Facts, meeting, raised, warnings};
use crate::model::shell_word;
use crate::spec::nights::{APART, Opening, oddity, openings};
use crate::spec::{Fleet, Raise, Recycle, Window};
use crate::time::cron::Firing;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeSet;

/// One opening of a window.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Night {
    /// The window's line in the spec.
    pub line: u32,
    /// When it opens; AWS may be two minutes late.
    pub opens: Timestamp,
    /// When it closes.
    pub closes: Option<Timestamp>,
    /// Its time zone.
    pub zone: String,
    /// When it opens by the clocks of that zone.
    pub opens_local: String,
    /// When it closes by the clocks of that zone.
    pub closes_local: Option<String>,
    /// What a change of the zone's clocks does to it.
    pub notes: Vec<String>,
    /// Hosts that it ends; `new` is one that a window brings. More than `surge` of them: nobody but AWS knows which.
    pub ends: Vec<String>,
    /// Whether these are exactly the ones.
    pub certain: bool,
    /// Why it can't be said, where it can't.
    pub unknown: Option<String>,
}

/// What comes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Preview {
    /// In their order.
    pub nights: Vec<Night>,
    /// What the operator should know.
    pub warnings: Vec<String>,
    /// Commands that would avoid it.
    pub settings: Vec<String>,
}

/// Looks so far ahead.
pub fn preview(fleet: &Fleet, recycle: &Recycle, facts: &Facts<'_>, ahead: SignedDuration) -> Preview {
    let until = facts.now.checked_add(ahead).unwrap_or(Timestamp::MAX);
    let mut preview = Preview { warnings: warnings(facts), ..Preview::default() };
    preview.warnings.extend(facts.ends_before(until));
    let until = facts.end().map_or(until, |end| until.min(end));
    let mut hosts: Result<Vec<Candidate>, String> = match (raised(recycle, facts), foretell::hosts(facts.group)) {
        (Raise::Desired, hosts) => hosts,
        (Raise::Min, _) => {
            Err("a lower least size ends no host: that is for whatever scales the group, when it sees fit".to_owned())
        }
    };
    if let Some((window, meets)) = meeting(recycle, facts.now) {
        preview
            .warnings
            .push(format!("`recycle apply` refuses these windows: that in line {} {meets}; {APART}", window.line));
        hosts = Err("these windows meet".to_owned());
    } else {
        preview.warnings.extend(unlike(fleet, recycle, facts));
    }
    let others = Others::new(fleet, facts);
    let (mut warned, mut since) = (BTreeSet::new(), facts.now);
    let mut kills_new = Vec::new();
    for (night, opening) in openings(&recycle.windows, facts.now).take_while(|one| one.opens.at <= until).enumerate() {
        let Some(window) = recycle.windows.get(opening.window) else { continue };
        let zone = TimeZone::get(&window.zone).unwrap_or(TimeZone::UTC);
        let local = |firing: &Firing| firing.at.to_zoned(zone.clone()).strftime("%a %Y-%m-%d %H:%M %Z").to_string();
        let closes = opening.closes.as_ref().map(|closes| closes.at);
        let clash = closes.and_then(|closes| others.clash(window, since, (opening.opens.at, closes)));
        since = closes.unwrap_or(since);
        if let Some(clash) = clash.as_ref().filter(|clash| warned.insert(clash.name.clone())) {
            preview.warnings.push(clash.warning.clone());
        }
        let at_once = opening.at_once.then(|| AT_ONCE.to_owned());
        if let Some(why) = at_once.or(clash.map(|clash| clash.why)) {
            hosts = hosts.and(Err(why));
        }
        let fate = match (&hosts, &opening.closes) {
            (Ok(now), Some(closes)) => {
                let times = (opening.opens.at, closes.at);
                let (fate, after) = foretell::window(facts.group, now, night, window.surge, times);
                let next = after.ok_or_else(|| "it depends on which host the windows before it end".to_owned());
                hosts = match &fate {
                    Fate::Unknown(why) => Err(why.clone()),
                    Fate::Nobody | Fate::Dies(_) => next,
                };
                fate
            }
            (Err(why), _) => Fate::Unknown(why.clone()),
            (Ok(_), None) => Fate::Unknown("it never closes".to_owned()),
        };
        kills_new.push(fresh(&fate, night));
        let (ends, certain, unknown) = told(fate, window.surge);
        if ends.is_empty() && unknown.is_none() {
            preview.warnings.push(format!(
                "the window at {} ends nobody, since every host is protected from scale in: the group keeps its new hosts",
                opening.opens.at
            ));
        }
        preview.nights.push(Night {
            line: window.line,
            opens: opening.opens.at,
            closes,
            zone: window.zone.clone(),
            opens_local: local(&opening.opens),
            closes_local: opening.closes.as_ref().map(local),
            notes: notes(window, &opening),
            ends,
            certain,
            unknown,
        });
    }
    advise(facts, &kills_new, &mut preview);
    preview
}

/// Why nobody knows what comes of a window that closes when it opens.
const AT_ONCE: &str = "it opens and closes at the same moment, and AWS does not say which of the two it runs first";

/// What a change of the zone's clocks does to one opening.
fn notes(window: &Window, opening: &Opening) -> Vec<String> {
    let odd = oddity("opening", &opening.opens, &window.zone);
    let closes = opening.closes.as_ref();
    let odd_end = closes.and_then(|closes| oddity("closing", closes, &window.zone));
    let open = closes.map(|closes| closes.at.duration_since(opening.opens.at));
    let usual = SignedDuration::try_from(window.open).unwrap_or_default();
    let length = match (open, closes) {
        (Some(_), Some(closes)) if opening.at_once => Some(format!(
            "{AT_ONCE}: the window stays shut, or is open until {}; let it open and close at times that {} neither skips nor \
             repeats",
            closes.at, window.zone
        )),
        (Some(open), _) if open != usual => {
            Some(format!("it is open for {} minutes that night, not {}", open.as_mins(), usual.as_mins()))
        }
        _ => None,
    };
    odd.into_iter().chain(odd_end).chain(length).collect()
}

/// Whether a window ends what it has just brought: for certain, perhaps, or not at all.
fn fresh(fate: &Fate, night: usize) -> Option<bool> {
    let Fate::Dies(who) = fate else { return None };
    who.contains(&Who::New(night)).then_some(who.len() == 1)
}

fn told(fate: Fate, surge: u32) -> (Vec<String>, bool, Option<String>) {
    match fate {
        Fate::Unknown(why) => (Vec::new(), false, Some(why)),
        Fate::Nobody => (Vec::new(), true, None),
        Fate::Dies(who) => {
            let certain = u32::try_from(who.len()).is_ok_and(|count| count <= surge);
            let names: BTreeSet<String> = who
                .into_iter()
                .map(|who| match who {
                    Who::Host(id) => id.to_string(),
                    Who::New(_) => "new".to_owned(),
                })
                .collect();
            (names.into_iter().collect(), certain, None)
        }
    }
}

/// The warning where a window ends its own new host, and the setting that avoids it.
fn advise(facts: &Facts<'_>, kills_new: &[Option<bool>], preview: &mut Preview) {
    let surely = kills_new.iter().filter(|kills| **kills == Some(true)).count();
    let perhaps = kills_new.iter().filter(|kills| **kills == Some(false)).count();
    let group = facts.group;
    if surely + perhaps == 0 {
        return;
    }
    preview.warnings.push(if surely > 0 {
        format!("{surely} of these windows end the new host that they bring: nothing is recycled")
    } else {
        format!("{perhaps} of these windows may end the new host that they bring instead of an old one")
    });
    let name = shell_word(&group.name);
    if group.policies.first().map(String::as_str) != Some("OldestInstance") {
        preview.settings.push(format!(
            "aws autoscaling update-auto-scaling-group --auto-scaling-group-name {name} --termination-policies OldestInstance Default"
        ));
    }
    let protected: Vec<&str> =
        group.members.iter().filter(|member| member.protected).map(|member| member.id.as_str()).collect();
    if !protected.is_empty() {
        preview.settings.push(format!(
            "aws autoscaling set-instance-protection --auto-scaling-group-name {name} --no-protected-from-scale-in --instance-ids {}",
            protected.join(" ")
        ));
    }
}
