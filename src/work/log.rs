//! What the worker says: one line for each item, in `key=value` pairs that grep and log collectors read.

use crate::aws::Received;
use crate::model::Fault;
use jiff::{SignedDuration, Timestamp};
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

/// Characters of an item that are shown.
const SHOWN: usize = 80;

/// Writes lines; a log that can't be written to does not stop work.
pub(super) struct Log<'a> {
    out: &'a mut (dyn Write + Send),
}

impl<'a> Log<'a> {
    /// Writes to this.
    pub(super) fn new(out: &'a mut (dyn Write + Send)) -> Self {
        Self { out }
    }

    /// One item is over.
    pub(super) fn item(&mut self, at: Timestamp, item: &Received, result: &str, took: SignedDuration) {
        let name = value(item.item.as_deref().unwrap_or(&item.body));
        let receives = item.receives;
        self.line(at, &format!("item={name} result={result} took={:.3}s receives={receives}", took.as_secs_f64()));
    }

    /// A call failed; what happens next.
    pub(super) fn fault(&mut self, at: Timestamp, fault: &Fault, next: &str) {
        self.line(at, &format!("call={} error={} next={}", fault.action, value(&fault.to_string()), value(next)));
    }

    /// Something that is no call happened; what happens next.
    pub(super) fn event(&mut self, at: Timestamp, what: &str, next: &str) {
        self.line(at, &format!("event={} next={}", value(what), value(next)));
    }

    fn line(&mut self, at: Timestamp, text: &str) {
        let line = format!("time={} {text}\n", at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ"));
        self.out.write_all(line.as_bytes()).and_then(|()| self.out.flush()).unwrap_or_default();
    }
}

/// How the command said no: `exit-3`, `signal-9`.
pub(super) fn ending(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit-{code}"),
        (None, Some(signal)) => format!("signal-{signal}"),
        (None, None) => "unknown".to_owned(),
    }
}

/// A value, cut and quoted where it has to be; everything that a terminal would act on is escaped.
fn value(text: &str) -> String {
    let shown: String = text.chars().take(SHOWN).collect();
    let more = if shown.len() < text.len() { "..." } else { "" };
    let plain = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '=' | '\\');
    if !shown.is_empty() && shown.chars().all(plain) { format!("{shown}{more}") } else { format!("{shown:?}{more}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_an_item() {
        let mut out = Vec::new();
        let mut log = Log::new(&mut out);
        let took = SignedDuration::from_millis(1234);
        let mut item =
            Received { item: Some("src/main.rs".into()), body: "b".into(), receipt: "r".into(), receives: 1 };
        log.item(Timestamp::UNIX_EPOCH, &item, "ok", took);
        item.item = None;
        item.body = "two words\n\x1b[2J\u{202e}".into();
        item.receives = 3;
        log.item(Timestamp::UNIX_EPOCH, &item, &ending(ExitStatus::from_raw(3 << 8)), took);
        item.body = "x".repeat(200);
        log.item(Timestamp::UNIX_EPOCH, &item, &ending(ExitStatus::from_raw(9)), took);
        let text = String::from_utf8(out).unwrap();
        let long = format!("item={}...", "x".repeat(80));
        insta::assert_snapshot!(text.replace(&long, "item=LONG"), @r#"
        time=1970-01-01T00:00:00.000Z item=src/main.rs result=ok took=1.234s receives=1
        time=1970-01-01T00:00:00.000Z item="two words\n\u{1b}[2J\u{202e}" result=exit-3 took=1.234s receives=3
        time=1970-01-01T00:00:00.000Z item=LONG result=signal-9 took=1.234s receives=3
        "#);
    }
}
