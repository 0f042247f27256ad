//! One line per state change, in stable words, for logs and pipes.

use super::story::{Level, Mark, Story};
use super::{Out, Style, Verbosity};
use crate::event::{Sink, Stamped};
use std::sync::{Mutex, PoisonError};

/// Writes lines to stderr. A writer that fails is ignored: work goes on.
pub struct Lines {
    state: Mutex<(Story, Out)>,
    verbosity: Verbosity,
    style: Style,
}

impl Lines {
    /// Writes to this; with [`Verbosity::Verbose`] each line starts with its world time.
    pub fn new(out: Out, verbosity: Verbosity, style: Style) -> Self {
        Self { state: Mutex::new((Story::default(), out)), verbosity, style }
    }
}

impl std::fmt::Debug for Lines {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lines").field("verbosity", &self.verbosity).finish_non_exhaustive()
    }
}

impl Sink for Lines {
    fn emit(&self, event: &Stamped) {
        let least = match self.verbosity {
            Verbosity::Quiet => Level::Alert,
            Verbosity::Normal => Level::Passing,
            Verbosity::Verbose => Level::Detail,
        };
        let mut guard = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (story, out) = &mut *guard;
        let mut text = String::new();
        for line in story.tell(event).into_iter().filter(|line| line.level >= least) {
            if self.verbosity == Verbosity::Verbose {
                let at = event.at.strftime("%Y-%m-%dT%H:%M:%SZ ").to_string();
                text.push_str(&self.style.faint(&at));
            }
            let word = format!("{:<9}", line.word);
            text.push_str(&match line.mark {
                Mark::Plain => word,
                Mark::Good => self.style.good(&word),
                Mark::Warn => self.style.warning(&word),
                Mark::Bad => self.style.bad(&word),
                Mark::Hint => self.style.hint(&word),
            });
            text.push(' ');
            text.push_str(&line.text);
            text.push('\n');
        }
        if !text.is_empty() {
            // Nobody reads stderr any more: that is no reason to stop work.
            out.write_all(text.as_bytes()).and_then(|()| out.flush()).unwrap_or_default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Shared, play};
    use super::*;

    fn told(verbosity: Verbosity) -> String {
        let out = Shared::default();
        let sink = Lines::new(out.boxed(), verbosity, Style::default());
        play(&sink);
        out.text()
    }

    #[test]
    fn a_push_in_lines() {
        insta::assert_snapshot!(told(Verbosity::Normal));
    }

    #[test]
    fn quiet_tells_what_failed() {
        insta::assert_snapshot!(told(Verbosity::Quiet));
    }

    #[test]
    fn verbose_adds_time_and_detail() {
        let text = told(Verbosity::Verbose);
        assert!(text.lines().all(|line| line.starts_with("2026-03-01T00:")), "{text}");
        assert!(text.contains("2026-03-01T00:00:07Z host      #0 i-00000000000000000 started\n"), "{text}");
        assert!(text.contains("2026-03-01T00:00:09Z step      push release 1a2b: wave 2\n"), "{text}");
    }

    #[test]
    fn a_reader_that_went_away_does_not_stop_work() {
        let out = Shared::failing_after(0);
        let sink = Lines::new(out.boxed(), Verbosity::Normal, Style::default());
        play(&sink);
        assert!(out.attempts() > 1);
    }
}
