//! When windows open and close, which of them meet, and what the zone's clock does to them.

use super::fleet::Window;
use crate::time::cron::{self, Cron, Firing, Shift};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use std::collections::VecDeque;

/// AWS runs an action at most so much late (Auto Scaling user guide, scheduled scaling).
pub const LATE: SignedDuration = SignedDuration::from_mins(2);

/// What mends windows that meet.
pub const APART: &str = "leave more than two minutes between windows: AWS may be so late";

/// How far ahead windows are held against each other: a month and its weekdays have met by then.
const AHEAD: SignedDuration = SignedDuration::from_hours(24 * 62);

/// Firings that are looked for at once, since every search looks at whole days.
const BATCH: usize = 16;

/// One opening of a window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opening {
    /// Which window of the spec, from 0.
    pub window: usize,
    /// When it opens.
    pub opens: Firing,
    /// When it closes.
    pub closes: Option<Firing>,
    /// Whether the window's other action comes at the very moment at which it opens.
    pub at_once: bool,
}

/// All openings of all windows after an instant, in their order.
pub fn openings(windows: &[Window], after: Timestamp) -> impl Iterator<Item = Opening> {
    let mut windows: Vec<_> = windows
        .iter()
        .enumerate()
        .filter_map(|(place, window)| Some(Nights::new(place, window, after)?.peekable()))
        .collect();
    std::iter::from_fn(move || {
        let first = windows.iter_mut().filter_map(|nights| nights.peek().map(|one| one.opens.at)).min()?;
        windows.iter_mut().find_map(|nights| nights.next_if(|one| one.opens.at == first))
    })
}

/// Two windows that meet: the one's end would undo the other's beginning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meeting {
    /// The window that is open, from 0.
    pub first: usize,
    /// Until when.
    pub until: Timestamp,
    /// The window that opens before that, or too short a time after it.
    pub second: usize,
    /// When it does.
    pub opens: Timestamp,
}

/// The first two windows that meet within two months after an instant.
pub fn meeting(windows: &[Window], after: Timestamp) -> Option<Meeting> {
    let horizon = after.checked_add(AHEAD).unwrap_or(Timestamp::MAX);
    let mut before: Option<(usize, Timestamp)> = None;
    for Opening { window, opens, closes, .. } in openings(windows, after).take_while(|one| one.opens.at <= horizon) {
        let meets = |(first, until): &(usize, Timestamp)| {
            opens.at <= until.checked_add(LATE).unwrap_or(*until) && *first != window
        };
        if let Some((first, until)) = before.filter(meets) {
            return Some(Meeting { first, until, second: window, opens: opens.at });
        }
        before = Some((window, closes.map_or(opens.at, |closes| closes.at)));
    }
    None
}

/// The openings of one window.
struct Nights {
    place: usize,
    open: Firings,
    close: Firings,
}

impl Nights {
    /// None for a window that no checked spec has.
    fn new(place: usize, window: &Window, after: Timestamp) -> Option<Self> {
        let zone = TimeZone::get(&window.zone).ok()?;
        let firings = |text| {
            Some(Firings { cron: cron::parse(text).ok()?, zone: zone.clone(), last: after, ready: VecDeque::new() })
        };
        Some(Self { place, open: firings(&window.at)?, close: firings(&window.until)? })
    }
}

impl Iterator for Nights {
    type Item = Opening;

    fn next(&mut self) -> Option<Opening> {
        let opens = self.open.next()?;
        let mut at_once = false;
        while let Some(closes) = self.close.peek().map(|closes| closes.at).filter(|at| *at <= opens.at) {
            at_once = closes == opens.at;
            self.close.next();
        }
        // The next opening may come before the end of this one, on a night that the clock makes shorter.
        Some(Opening { window: self.place, closes: self.close.peek().cloned(), opens, at_once })
    }
}

/// The firings of one recurrence.
struct Firings {
    cron: Cron,
    zone: TimeZone,
    last: Timestamp,
    ready: VecDeque<Firing>,
}

impl Firings {
    fn peek(&mut self) -> Option<&Firing> {
        if self.ready.is_empty() {
            self.ready = self.cron.after(self.last, &self.zone).take(BATCH).collect();
            self.last = self.ready.back()?.at;
        }
        self.ready.front()
    }
}

impl Iterator for Firings {
    type Item = Firing;

    fn next(&mut self) -> Option<Firing> {
        self.peek()?;
        self.ready.pop_front()
    }
}

/// What is odd about a firing, in words.
pub fn oddity(what: &str, firing: &Firing, zone: &str) -> Option<String> {
    let wall = firing.wall.strftime("%H:%M");
    match firing.shift {
        Shift::Plain => None,
        Shift::Gap => Some(format!(
            "{wall} does not exist in {zone} that night: AWS does not say what it does then; {what} at the end of the gap is \
             usual"
        )),
        Shift::First => Some(format!(
            "{wall} comes twice in {zone} that night: AWS does not say which; {what} the first time only is usual"
        )),
        Shift::Second => Some(format!("{wall} comes twice in {zone} that night: this is the second time")),
    }
}
