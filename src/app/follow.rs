//! `logs --follow`: what a worker writes from now on, until Ctrl-C; on the host it ends when nobody listens any more.

use super::context::Context;
use crate::cli::request::Logs as Wanted;
use crate::engine::failure::Failure;
use crate::exit::Exit;
use crate::model::shell_word;
use crate::report::Format;
use crate::ssh::output::{Bounds, sanitise};
use crate::ssh::{Limits, Stream, Target};
use std::io::Write;
use std::time::Duration;

/// The host ends it by itself after this time, should it never learn that we are gone.
const LONGEST: Duration = Duration::from_hours(7 * 24);
/// Most of one line that is shown, and most that is kept while its end is not there.
const LINE: Bounds = Bounds { line: 2000, total: 64 * 1024 };

impl Context {
    pub(super) async fn follow(&self, wanted: &Wanted) -> Result<Exit, Failure> {
        if self.global.output != Format::Table {
            return Err(Failure::to(Exit::Usage, "answer as data: what is followed has no end")
                .hint("without --follow, what is there already is data"));
        }
        let Some(worker) = &self.fleet.worker else {
            return Err(Failure::to(Exit::Usage, "follow the worker's journal: the spec names no `worker`")
                .hint("add `worker: {service: UNIT, ...}` to the spec"));
        };
        let host = self.running_host(&wanted.host).await?;
        let dir = self.state_dir()?;
        let reach = self.reach(&dir)?;
        self.learn_all(&reach, &dir, std::slice::from_ref(&host)).await?;
        let failed = |why: String| {
            Failure::to(Exit::Partial, format!("follow the journal of {host}: {why}"))
                .hint(format!("fleetwright status --why {}", host.slot))
        };
        let session = reach.ssh.connect(&Target::of(&host), &reach.trust).await.map_err(|e| failed(e.message))?;
        let unit = shell_word(&worker.service);
        let command = super::logs::as_root(&format!("journalctl --no-pager -f -n {} -u {unit}", wanted.lines));
        let (mut out, mut err) = (Lines::default(), Lines::default());
        let limits = Limits { timeout: LONGEST, max_output: LINE.total };
        let shown = session.exec_tied_with(&command, limits, |stream, bytes| match stream {
            Stream::Out => out.add(bytes, &mut std::io::stdout()),
            Stream::Err => err.add(bytes, &mut std::io::stderr()),
        });
        // The process ends with its connection, and the command on the host with that.
        let done = tokio::select! {
            done = shown => done.map_err(|fault| failed(fault.message))?,
            exit = self.stopping() => return Ok(exit),
        };
        out.rest(&mut std::io::stdout());
        err.rest(&mut std::io::stderr());
        Err(failed(format!("journalctl ended there ({})", done.status)))
    }
}

/// Puts pieces of output together to lines, so that one is shown whole or not yet.
#[derive(Default)]
struct Lines(Vec<u8>);

impl Lines {
    /// A reader that went away is none of our business: Ctrl-C ends us.
    fn add(&mut self, bytes: &[u8], to: &mut impl Write) {
        self.0.extend_from_slice(bytes);
        let end = self.0.iter().rposition(|byte| *byte == b'\n').map(|at| at + 1);
        // A line without end is shown in parts.
        let end = end.or_else(|| (self.0.len() > LINE.total).then_some(self.0.len()));
        if let Some(end) = end {
            let whole: Vec<u8> = self.0.drain(..end).collect();
            Self::show(&whole, to);
        }
    }

    fn rest(&mut self, to: &mut impl Write) {
        Self::show(&std::mem::take(&mut self.0), to);
    }

    fn show(bytes: &[u8], to: &mut impl Write) {
        to.write_all(sanitise(bytes, LINE).as_bytes()).and_then(|()| to.flush()).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_shown_whole_and_escaped() {
        let (mut lines, mut shown) = (Lines::default(), Vec::new());
        lines.add(b"one\ntw", &mut shown);
        assert_eq!(shown, b"one\n");
        lines.add(b"o \x1b[31m", &mut shown);
        assert_eq!(shown, b"one\n");
        lines.add(b"red\n", &mut shown);
        assert_eq!(shown, b"one\ntwo \\e[31mred\n");
        lines.add(&vec![b'x'; LINE.total + 1], &mut shown);
        assert!(
            shown.len() > 1000 && shown.len() < 10_000,
            "a line without end is neither kept for ever nor shown whole"
        );
        lines.add(b"end", &mut shown);
        lines.rest(&mut shown);
        assert!(shown.ends_with(b"end"));
    }
}
