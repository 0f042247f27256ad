//! Turns events into words: the one place that decides how each is said to people, on a terminal or without one.

use super::failures::{self, Cause};
use super::{count, escape, span};
use crate::event::{Event, Stamped, StepEnd};
use crate::model::{Cost, FaultKind, HostReport, Sample};
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeSet, HashMap};

/// How much is said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verbosity {
    /// Failures and warnings.
    Quiet,
    /// One line per state change.
    #[default]
    Normal,
    /// Timestamps and every detail.
    Verbose,
}

/// Who gets to see a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    /// With `-v` only.
    Detail,
    /// Where there are no bars that show the same.
    Passing,
    /// Everybody but with `-q`.
    Lasting,
    /// Everybody.
    Alert,
}

/// How a line is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// Neither good nor bad.
    Plain,
    /// Went well.
    Good,
    /// Needs a look.
    Warn,
    /// Went wrong.
    Bad,
    /// What to type next.
    Hint,
}

/// One thing said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// Stable first word, for example `done`; empty on lines that go on from the one before.
    pub(super) word: &'static str,
    /// The rest, safe to print.
    pub(super) text: String,
    /// How it is meant.
    pub(super) mark: Mark,
    /// Who gets to see it.
    pub(super) level: Level,
}

/// What has to be remembered to tell the next event.
#[derive(Debug, Default)]
pub(super) struct Story {
    verb: String,
    steps: HashMap<String, (String, Timestamp)>,
    reports: Vec<HostReport>,
    causes: BTreeSet<Cause>,
    outlook: String,
    most: u64,
    sampled: Option<u64>,
    fed: Option<u64>,
}

/// `; 14m left, about $0.35 to finish`: as far as it can be told.
pub(super) fn left(eta: Option<SignedDuration>, to_finish: Option<Cost>) -> String {
    let eta = eta.map(|eta| format!("; {} left", span(eta))).unwrap_or_default();
    let known = to_finish.filter(|cost| cost.micro_usd.is_some());
    eta + &known.map(|cost| format!(", about {cost} to finish")).unwrap_or_default()
}

/// `355 waiting, 8 in flight, 0 delayed, ? dead`: unknown is never shown as zero.
pub(super) fn sample(sample: &Sample) -> String {
    let show = |n: Option<u64>| n.map_or_else(|| "?".to_owned(), |n| n.to_string());
    format!(
        "{} waiting, {} in flight, {} delayed, {} dead",
        show(sample.waiting),
        show(sample.in_flight),
        show(sample.delayed),
        show(sample.dead)
    )
}

/// Which tenth of the way has been reached.
fn tenth(done: u64, total: u64) -> u64 {
    u64::try_from(u128::from(done) * 10 / u128::from(total.max(1))).unwrap_or(u64::MAX)
}

/// Text from outside, in one line.
fn safe(text: &str) -> String {
    escape::line(text).into_owned()
}

impl Story {
    /// What there is to say about this event; nothing for most progress.
    pub(super) fn tell(&mut self, stamped: &Stamped) -> Vec<Line> {
        let say = |word, mark, level, text: String| vec![Line { word, text, mark, level }];
        match &stamped.event {
            Event::RunStarted { run, verb, fleet, resumed } => {
                self.verb.clone_from(verb);
                let how = if *resumed { ", going on where it stopped" } else { "" };
                let text = format!("{} {}: run {}{how}", safe(verb), safe(fleet), safe(run));
                say("run", Mark::Plain, Level::Lasting, text)
            }
            Event::StepStarted { step, title } => {
                self.steps.insert(step.clone(), (safe(title), stamped.at));
                say("start", Mark::Plain, Level::Passing, safe(title))
            }
            Event::StepProgress { note, .. } if note.is_empty() => Vec::new(),
            Event::StepProgress { step, note, .. } => {
                let title = self.steps.get(step).map_or(step.as_str(), |(title, _)| title);
                say("step", Mark::Plain, Level::Detail, format!("{}: {}", safe(title), safe(note)))
            }
            Event::StepFinished { step, end, detail } => vec![self.step_end(step, *end, detail, stamped.at)],
            Event::Retrying { fault, attempt, wait } => {
                let text = format!("{}; attempt {attempt} in {}", safe(&fault.to_string()), span(*wait));
                // One repetition is nothing special; a row of them is why nothing moves, and no bar shows that. Nor does it
                // help to read the same line each time: the second, fourth, eighth ... say that it goes on.
                let level = match attempt {
                    1 => Level::Passing,
                    more if more.is_power_of_two() => Level::Lasting,
                    _ => Level::Detail,
                };
                let mut lines = say("retry", Mark::Warn, level, text);
                // Said once, when it is more than a hiccup.
                if *attempt == 2 && fault.kind == FaultKind::Transport {
                    lines.extend(say("hint", Mark::Hint, level, safe(&fault.reason)));
                }
                lines
            }
            Event::Capacity { market, wanted, got, refused } => {
                let mark = if got < wanted { Mark::Warn } else { Mark::Good };
                let mut text = format!("{market}: {got} of {}", count(u64::from(*wanted), "host"));
                for reason in refused {
                    text.push_str("; ");
                    text.push_str(&escape::line(reason));
                }
                say("capacity", mark, Level::Lasting, text)
            }
            Event::HostStarted { host } => say("host", Mark::Plain, Level::Detail, format!("{host} started")),
            Event::HostFinished { report } => vec![self.host_end(report)],
            Event::Sampled { sample: seen, outlook, eta, to_finish } => {
                if !self.worth_saying(seen, outlook) {
                    return Vec::new();
                }
                let text = format!("{}; {}{}", sample(seen), safe(outlook), left(*eta, *to_finish));
                say("queue", Mark::Plain, Level::Passing, text)
            }
            Event::Fed { sent, total } => {
                let reached = tenth(*sent, *total);
                if self.fed.replace(reached) == Some(reached) && sent != total {
                    return Vec::new();
                }
                say("fed", Mark::Plain, Level::Passing, format!("{sent} of {}", count(*total, "item")))
            }
            Event::Warning { message, hints } => {
                let mut lines = say("warning", Mark::Warn, Level::Alert, safe(message));
                lines.extend(hints.iter().flat_map(|hint| say("hint", Mark::Hint, Level::Alert, safe(hint))));
                lines
            }
            Event::Note { message } => say("note", Mark::Plain, Level::Lasting, safe(message)),
            Event::RunFinished { exit, summary, cost } => {
                let mut lines = self.failures();
                let (mark, level) = match exit {
                    0 => (Mark::Good, Level::Lasting),
                    _ => (Mark::Bad, Level::Alert),
                };
                let cost = cost.map(|cost| format!(" ({cost} so far)")).unwrap_or_default();
                lines.extend(say("end", mark, level, format!("{}{cost}", safe(summary))));
                lines
            }
        }
    }

    /// A step's only end.
    fn step_end(&mut self, step: &str, end: StepEnd, detail: &str, at: Timestamp) -> Line {
        let (title, took) = match self.steps.remove(step) {
            Some((title, since)) => (title, format!(" ({})", span(at.duration_since(since)))),
            None => (safe(step), String::new()),
        };
        let (word, mark, level) = match end {
            StepEnd::Done => ("done", Mark::Good, Level::Lasting),
            StepEnd::Unchanged => ("unchanged", Mark::Good, Level::Lasting),
            StepEnd::Warning => ("warning", Mark::Warn, Level::Alert),
            StepEnd::Failed => ("failed", Mark::Bad, Level::Alert),
            StepEnd::Interrupted => ("stopped", Mark::Warn, Level::Alert),
        };
        let colon = if detail.is_empty() { "" } else { ": " };
        Line { word, text: format!("{title}{colon}{}{took}", escape::line(detail)), mark, level }
    }

    /// A host's only end: the first of each cause in full, the others in short.
    fn host_end(&mut self, report: &HostReport) -> Line {
        let host = &report.host;
        if report.result.good() {
            let took = span(jiff::SignedDuration::try_from(report.took).unwrap_or(jiff::SignedDuration::MAX));
            let text = format!("{host} {} ({took})", report.result);
            return Line { word: "host", text, mark: Mark::Good, level: Level::Passing };
        }
        self.reports.push(report.clone());
        let (text, level) = if self.causes.insert(Cause::of(report)) {
            (format!("{host} {}", failures::reason(report)), Level::Alert)
        } else {
            (format!("{host} {}", report.result), Level::Passing)
        };
        Line { word: "host", text, mark: Mark::Bad, level }
    }

    /// Whether a look at the queue shows something new: another outlook, or another tenth of the way.
    fn worth_saying(&mut self, sample: &Sample, outlook: &str) -> bool {
        let left = sample.remaining();
        self.most = self.most.max(left.unwrap_or(0));
        let reached = left.map(|left| tenth(self.most - left, self.most));
        let new = self.outlook != outlook || self.sampled != reached;
        outlook.clone_into(&mut self.outlook);
        self.sampled = reached;
        new
    }

    /// All failed hosts by cause, and the command that tries them again.
    fn failures(&mut self) -> Vec<Line> {
        let reports = std::mem::take(&mut self.reports);
        let told = failures::lines(&reports).into_iter().map(|text| {
            let goes_on = text.starts_with(' ');
            let (word, mark) = if goes_on { ("", Mark::Plain) } else { ("failed", Mark::Bad) };
            Line { word, text, mark, level: Level::Alert }
        });
        let again = failures::rerun(&self.verb, &reports).map(|text| Line {
            word: "hint",
            text,
            mark: Mark::Hint,
            level: Level::Alert,
        });
        told.chain(again).collect()
    }
}
