//! Consumers of events, and how answers are printed: stdout is data, stderr is talk.
//!
//! [`Terminal`] and [`Lines`] tell the run to people in the same words; [`Jsonl`] tells it to programs and to
//! the run directory; [`Tally`] collects it for the end. [`junit`] and [`failures`] tell how hosts came out, [`answer`] what
//! each verb prints on standard output.

pub mod answer;
pub mod color;
pub mod escape;
pub mod failures;
mod jsonl;
pub mod junit;
mod lines;
pub mod output;
mod prose;
mod story;
mod summary;
pub mod table;
mod terminal;

pub(crate) use crate::model::count;
pub use answer::{Answer, SCHEMA_VERSION};
pub use color::{Style, When};
pub use jsonl::Jsonl;
pub use lines::Lines;
pub use output::Format;
pub use story::Verbosity;
pub use summary::{HostCounts, ItemCounts, PushResult, RecordCounts, Rehearsed, Summary, Tally};
pub use terminal::Terminal;

use crate::event::{Sink, Stamped};
use std::io::Write;
use std::sync::Arc;

/// Where a display writes to.
pub type Out = Box<dyn Write + Send>;

/// A collector is read after the run, so it is shared with the sinks.
impl<T: Sink> Sink for Arc<T> {
    fn emit(&self, event: &Stamped) {
        T::emit(self, event);
    }
}

/// World time for people: `0.4s`, `12s`, `1m20s`, `2h05m`.
pub fn span(span: jiff::SignedDuration) -> String {
    let seconds = span.as_secs().max(0);
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, 0..=9) => format!("{:.1}s", span.as_secs_f64().max(0.0)),
        (0, 0, s) => format!("{s}s"),
        (0, m, s) => format!("{m}m{s:02}s"),
        (h, m, _) => format!("{h}h{m:02}m"),
    }
}

#[cfg(test)]
pub(crate) mod testing;
