//! When windows open and close, and what the zone's clock does to them.

use crate::spec::{Recycle, Window};
use crate::time::cron::{self, Cron, Firing, Shift};
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// One opening of a window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opening {
    /// Which window of the spec, from 0.
    pub window: usize,
    /// When it opens.
    pub opens: Firing,
    /// When it closes.
    pub closes: Option<Firing>,
}

/// All openings of all windows after an instant, in their order.
pub fn openings(recycle: &Recycle, after: Timestamp) -> impl Iterator<Item = Opening> {
    let mut windows: Vec<_> = recycle
        .windows
        .iter()
        .enumerate()
        .filter_map(|(place, window)| Some(Nights::new(place, window, after)?.peekable()))
        .collect();
    std::iter::from_fn(move || {
        let first = windows.iter_mut().filter_map(|nights| nights.peek().map(|one| one.opens.at)).min()?;
        windows.iter_mut().find_map(|nights| nights.next_if(|one| one.opens.at == first))
    })
}

/// The openings of one window.
struct Nights {
    place: usize,
    open: Cron,
    close: Cron,
    zone: TimeZone,
    last: Timestamp,
}

impl Nights {
    /// None for a window that no checked spec has.
    fn new(place: usize, window: &Window, after: Timestamp) -> Option<Self> {
        let (open, close) = (cron::parse(&window.at).ok()?, cron::parse(&window.until).ok()?);
        Some(Self { place, open, close, zone: TimeZone::get(&window.zone).ok()?, last: after })
    }
}

impl Iterator for Nights {
    type Item = Opening;

    fn next(&mut self) -> Option<Opening> {
        let opens = self.open.after(self.last, &self.zone).next()?;
        self.last = opens.at;
        let closes = self.close.after(opens.at, &self.zone).next();
        Some(Opening { window: self.place, opens, closes })
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
