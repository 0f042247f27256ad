//! Live progress on a terminal; the only user of indicatif.
//!
//! Bars show what is going on, above them stays one line for what is over. Every lasting line is written while the bars
//! are taken away, so the two never interleave. Nothing is drawn in the first 250 ms: a fast verb shows no bars at all.

use super::story::{self, Level, Line, Mark, Story};
use super::{Out, Style, Verbosity, count, escape};
use crate::event::{Event, Sink, Stamped};
use crate::model::HostResult;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// How long a run must take before bars are drawn.
const PATIENCE: Duration = Duration::from_millis(250);

/// Redraw of spinners; indicatif itself draws at most 20 times a second.
const TICK: Duration = Duration::from_millis(100);

/// Draws bars and writes lasting lines.
pub struct Terminal {
    multi: MultiProgress,
    state: Mutex<State>,
    verbosity: Verbosity,
    style: Style,
    patience: Duration,
    target: fn() -> ProgressDrawTarget,
    over: Arc<(Mutex<bool>, Condvar)>,
}

/// What is on the screen.
struct State {
    story: Story,
    out: Out,
    waking: bool,
    steps: HashMap<String, ProgressBar>,
    hosts: Option<Hosts>,
    feed: Option<ProgressBar>,
    queue: Option<(ProgressBar, u64)>,
}

/// The bar of a push or exec.
struct Hosts {
    bar: ProgressBar,
    started: u64,
    results: Vec<HostResult>,
}

impl Terminal {
    /// Bars and lines on stderr.
    pub fn stderr(verbosity: Verbosity, style: Style) -> Self {
        Self::new(Box::new(std::io::stderr()), ProgressDrawTarget::stderr, PATIENCE, verbosity, style)
    }

    /// Lines on `out`, bars on `target` once `patience` is over.
    fn new(
        out: Out,
        target: fn() -> ProgressDrawTarget,
        patience: Duration,
        verbosity: Verbosity,
        style: Style,
    ) -> Self {
        let state = State {
            story: Story::default(),
            out,
            waking: false,
            steps: HashMap::new(),
            hosts: None,
            feed: None,
            queue: None,
        };
        Self {
            multi: MultiProgress::with_draw_target(ProgressDrawTarget::hidden()),
            state: Mutex::new(state),
            verbosity,
            style,
            patience,
            target,
            over: Arc::default(),
        }
    }

    /// Shows the bars after a while, unless the run is over by then.
    fn wake(&self) {
        let (multi, over) = (self.multi.clone(), Arc::clone(&self.over));
        let (patience, target) = (self.patience, self.target);
        let show = move || {
            let (over, ended) = &*over;
            let guard = over.lock().unwrap_or_else(PoisonError::into_inner);
            let waited = ended.wait_timeout_while(guard, patience, |over| !*over);
            if !*waited.unwrap_or_else(PoisonError::into_inner).0 {
                multi.set_draw_target(target());
            }
        };
        if self.patience.is_zero() {
            show();
        } else {
            std::thread::spawn(show);
        }
    }

    /// Ends the drawing for good.
    fn finish(&self, state: &mut State) {
        *self.over.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.over.1.notify_all();
        let steps = state.steps.drain().map(|(_, bar)| bar);
        let hosts = state.hosts.take().map(|hosts| hosts.bar);
        let queue = state.queue.take().map(|(bar, _)| bar);
        for bar in steps.chain(hosts).chain(state.feed.take()).chain(queue) {
            self.remove(&bar);
        }
        self.multi.clear().unwrap_or_default();
    }

    /// A new bar: a spinner until its length is known.
    fn add(&self, text: String) -> ProgressBar {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        bar.set_style(style("{spinner} {wide_msg}"));
        bar.set_message(text);
        let bar = self.multi.add(bar);
        bar.enable_steady_tick(TICK);
        bar
    }

    /// Takes a bar off the screen.
    fn remove(&self, bar: &ProgressBar) {
        bar.finish_and_clear();
        self.multi.remove(bar);
    }

    /// Brings the bars to where this event leaves them.
    fn draw(&self, state: &mut State, event: &Event) {
        match event {
            Event::StepStarted { step, title } => {
                let bar = self.add(escape::line(title).into_owned());
                bar.set_prefix(escape::line(title).into_owned());
                state.steps.insert(step.clone(), bar);
            }
            Event::StepProgress { step, done, total, note } => {
                if let Some(bar) = state.steps.get(step) {
                    measure(bar, *done, *total);
                    let colon = if note.is_empty() { "" } else { ": " };
                    bar.set_message(format!("{}{colon}{}", bar.prefix(), escape::line(note)));
                }
            }
            Event::StepFinished { step, .. } => {
                if let Some(bar) = state.steps.remove(step) {
                    self.remove(&bar);
                }
                if state.hosts.as_ref().is_some_and(Hosts::all_in)
                    && let Some(hosts) = state.hosts.take()
                {
                    self.remove(&hosts.bar);
                }
            }
            Event::HostStarted { .. } | Event::HostFinished { .. } => {
                let hosts = state.hosts.get_or_insert_with(|| Hosts {
                    bar: self.add("hosts".to_owned()),
                    started: 0,
                    results: Vec::new(),
                });
                match event {
                    Event::HostFinished { report } => hosts.results.push(report.result),
                    _ => hosts.started += 1,
                }
                measure(&hosts.bar, hosts.results.len() as u64, Some(hosts.started));
                hosts.bar.set_message(hosts.tell());
            }
            Event::Sampled { sample, outlook, eta, to_finish } => {
                let (bar, most) = state.queue.get_or_insert_with(|| (self.add("queue".to_owned()), 0));
                if let Some(left) = sample.remaining() {
                    *most = (*most).max(left);
                    measure(bar, *most - left, Some(*most));
                }
                let left = story::left(*eta, *to_finish);
                bar.set_message(format!("{}; {}{left}", story::sample(sample), escape::line(outlook)));
            }
            Event::Fed { sent, total } => {
                let bar = state.feed.get_or_insert_with(|| self.add("feed".to_owned()));
                measure(bar, *sent, Some(*total));
                if sent == total
                    && let Some(bar) = state.feed.take()
                {
                    self.remove(&bar);
                }
            }
            Event::RunStarted { .. } => {
                if !std::mem::replace(&mut state.waking, true) {
                    self.wake();
                }
            }
            Event::RunFinished { .. } => self.finish(state),
            Event::Retrying { .. } | Event::Capacity { .. } | Event::Warning { .. } | Event::Note { .. } => {}
        }
    }

    /// One lasting line.
    fn render(&self, line: &Line) -> String {
        let text = &line.text;
        match line.mark {
            Mark::Plain => format!("  {text}\n"),
            Mark::Good => format!("{} {text}\n", self.style.good("✓")),
            Mark::Warn => format!("{} {text}\n", self.style.warning("!")),
            Mark::Bad => format!("{} {text}\n", self.style.bad("✗")),
            Mark::Hint => format!("  {} {text}\n", self.style.hint("Hint:")),
        }
    }
}

impl Hosts {
    /// Whether every host that was started has ended.
    fn all_in(&self) -> bool {
        self.results.len() as u64 >= self.started
    }

    /// `5 hosts: 2 ok, 1 failed, 2 running`
    fn tell(&self) -> String {
        let of = |wanted: fn(&HostResult) -> bool| self.results.iter().filter(|result| wanted(result)).count();
        let running = self.started.saturating_sub(self.results.len() as u64);
        let mut text = format!("{}: {} ok", count(self.started, "host"), of(|result| result.good()));
        for (word, n) in [
            ("failed", of(|result| matches!(result, HostResult::Failed | HostResult::Refused))),
            ("unreachable", of(|result| *result == HostResult::Unreachable)),
            ("skipped", of(|result| *result == HostResult::Skipped)),
        ] {
            if n > 0 {
                write!(text, ", {n} {word}").unwrap_or_default();
            }
        }
        if running > 0 {
            write!(text, ", {running} running").unwrap_or_default();
        }
        text
    }
}

/// A template that is part of this file and so always right; the fallback keeps a typo from being a panic.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}

/// Sets how far a bar is; the first total turns a spinner into a bar.
fn measure(bar: &ProgressBar, done: u64, total: Option<u64>) {
    if let Some(total) = total {
        if bar.length().is_none() {
            bar.set_style(style("{spinner} {bar:24} {pos}/{len} {wide_msg}"));
        }
        bar.set_length(total);
    }
    bar.set_position(done);
}

impl std::fmt::Debug for Terminal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Terminal").field("verbosity", &self.verbosity).finish_non_exhaustive()
    }
}

impl Sink for Terminal {
    fn emit(&self, event: &Stamped) {
        let least = match self.verbosity {
            Verbosity::Quiet => Level::Alert,
            Verbosity::Normal => Level::Lasting,
            Verbosity::Verbose => Level::Detail,
        };
        let mut guard = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let state = &mut *guard;
        self.draw(state, &event.event);
        let lines = state.story.tell(event);
        let text: String = lines.iter().filter(|line| line.level >= least).map(|line| self.render(line)).collect();
        if !text.is_empty() {
            let out = &mut state.out;
            // A terminal that went away is no reason to stop work.
            self.multi.suspend(|| out.write_all(text.as_bytes()).and_then(|()| out.flush())).unwrap_or_default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Shared, campaign};
    use super::*;
    use indicatif::TermLike;
    use std::io;

    /// Everything that bars wrote, whichever test they belong to: draw targets are made by a plain function.
    static DRAWN: Mutex<String> = Mutex::new(String::new());

    #[derive(Debug)]
    struct Screen;

    impl TermLike for Screen {
        fn width(&self) -> u16 {
            100
        }
        fn move_cursor_up(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_down(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_right(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_left(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn write_line(&self, text: &str) -> io::Result<()> {
            self.write_str(text)
        }
        fn write_str(&self, text: &str) -> io::Result<()> {
            DRAWN.lock().unwrap().push_str(text);
            Ok(())
        }
        fn clear_line(&self) -> io::Result<()> {
            Ok(())
        }
        fn flush(&self) -> io::Result<()> {
            Ok(())
        }
    }

    fn screen() -> ProgressDrawTarget {
        ProgressDrawTarget::term_like_with_hz(Box::new(Screen), 255)
    }

    fn told(patience: Duration) -> String {
        let out = Shared::default();
        let terminal = Terminal::new(out.boxed(), screen, patience, Verbosity::Normal, Style::default());
        for event in campaign() {
            terminal.emit(&event);
            // Bars are drawn at most 255 times a second here: each event gets its turn.
            std::thread::sleep(Duration::from_millis(5));
        }
        out.text()
    }

    #[test]
    fn a_push_on_a_terminal() {
        insta::assert_snapshot!(told(Duration::ZERO));
        let drawn = DRAWN.lock().unwrap().clone();
        for word in ["look at the account", "push release 1a2b", "5 hosts: 2 ok", "355 waiting, 8 in flight"] {
            assert!(drawn.contains(word), "{word} was never drawn: {drawn}");
        }
        assert!(!drawn.contains("such unit"), "output of hosts belongs into lasting lines");
    }

    #[test]
    fn lines_do_not_need_bars() {
        let before = told(Duration::from_hours(1));
        assert_eq!(before, told(Duration::ZERO));
    }
}
