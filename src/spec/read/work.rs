//! `release:`, `worker:`, `queue:`, `feed:` and `done:` the job itself.

use super::{DAY, SECOND, number, span};
use crate::model::{AccountId, HOST_UNIT, Region};
use crate::spec::check::Check;
use crate::spec::fleet::{Budget, Counts, Done, Feed, FeedSource, Hold, Ledger, Probe, Queue, Release, Worker};
use crate::spec::playbook::FACTS;
use crate::spec::problem::{self, quote};
use crate::spec::section::{Field, Section, not_yet};
use crate::spec::tree::Kind;
use crate::spec::words::{Meant, meant};
use crate::spec::{aws, template, value};
use crate::time::tempo::Tempo;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

pub(super) fn release(check: &mut Check<'_>, field: &Field<'_>) -> Option<Release> {
    let mut s = check.section(field, "`release: {from: build/worker.tar.gz, playbook: playbooks/deploy.yaml}`")?;
    let from = s.need("from", "build/worker.tar.gz").and_then(|f| {
        let path = check.path(&f, true)?;
        missing_input(check, &f, &path, FILE, "build it before `push`");
        Some(path)
    });
    let playbook = s.need("playbook", "playbooks/deploy.yaml").and_then(|f| check.file(&f, false));
    let max_fail_percent = s.get("max_fail").and_then(|f| check.parsed(&f, value::percent)).unwrap_or(0);
    let canary = number(&mut s, check, "canary", (0, 1000), 1);
    let vars = s.get("vars").map(|f| vars(check, &f)).unwrap_or_default();
    s.close(check, &[]);
    Some(Release { from: from?, playbook: playbook?, max_fail_percent, canary, vars })
}

/// Names and values for templates.
pub(crate) fn vars(check: &mut Check<'_>, field: &Field<'_>) -> BTreeMap<String, String> {
    let Some(section) = check.section(field, "`vars: {workers: 4}`") else { return BTreeMap::new() };
    let mut out = BTreeMap::new();
    for (key, field) in section.fields() {
        let good = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if !key.text.starts_with(|c: char| good(c) && !c.is_ascii_digit()) || !key.text.chars().all(good) {
            let message = format!("a variable's name must be letters, digits and `_`, not {}", quote(&key.text));
            check.error(key.span, "bad-value", message);
        } else if FACTS.contains(&key.text.as_str()) {
            let message = format!("the variable {} has the name of a fact that every playbook knows", quote(&key.text));
            check.error_with(key.span, "conflict", message, Some(format!("rename it; facts are {}", FACTS.join(", "))));
        } else if let Some(text) = check.text_of(&field) {
            out.insert(key.text.clone(), text.to_owned());
        }
    }
    out
}

/// What an input must be.
type Wanted = (&'static str, fn(&Path) -> bool);
const FILE: Wanted = ("a file", Path::is_file);
const FOLDER: Wanted = ("a folder", Path::is_dir);

/// Warns about an input that may be made later.
fn missing_input(check: &mut Check<'_>, field: &Field<'_>, path: &Path, (wanted, good): Wanted, help: &str) {
    if !good(path) {
        let shown = match &field.node.kind {
            Kind::Scalar { text, .. } if text.contains("${") => text.clone(),
            Kind::Scalar { .. } | Kind::List(_) | Kind::Map(_) => path.to_string_lossy().into_owned(),
        };
        let found = [FILE, FOLDER].into_iter().find(|(_, is)| is(path)).map(|(what, _)| what);
        let (code, message) = match found.or_else(|| path.exists().then_some("neither file nor folder")) {
            Some(what) => ("bad-value", format!("`{}`: {} is {what}, not {wanted}", field.path, quote(&shown))),
            None => (problem::NO_FILE, format!("`{}`: there is no {} yet", field.path, quote(&shown))),
        };
        check.warn(field.node.span, code, message, help);
    }
}

pub(super) fn worker(check: &mut Check<'_>, field: &Field<'_>) -> Option<Worker> {
    let mut s = check.section(field, "`worker: {service: crawl-worker, process: crawl.py --queue}`")?;
    let unit = value::word("a systemd unit's name", 255, ":_.@-\\");
    let service = s.need("service", "crawl-worker").and_then(|f| check.parsed(&f, unit));
    let process = s.need("process", "crawl.py --queue").and_then(|f| check.parsed(&f, value::line(200)));
    if let Some(text) = process.as_deref().filter(|text| HOST_UNIT.contains(text)) {
        let message =
            format!("`worker.process`: {} is in the command line of fleetwright's own host unit too", quote(text));
        check.error_with(field.key, "bad-value", message, Some("name more of the worker's command line"));
    }
    let command = s.get("command").and_then(|f| {
        let (text, _) = check.raw(&f)?;
        template::check(check, &f, text);
        if !text.contains("queue_url") {
            let message =
                format!("`{}` does not use {{{{ queue_url }}}}, so it can't work on a queue of our choosing", f.path);
            check.error_with(f.node.span, "bad-value", message, Some("for example `worker --queue {{ queue_url }}`"));
        }
        Some(text.to_owned())
    });
    let drain = s.get("drain").and_then(|f| check.file(&f, false));
    let restart_every = s.get("restart_every").and_then(|f| check.parsed(&f, value::duration(600 * SECOND, 30 * DAY)));
    let logs_to = s.get("logs_to").and_then(|f| {
        let text = check.text_of(&f)?;
        check.judged(&f, aws::shared_state(text))
    });
    s.close(check, &[]);
    Some(Worker { service: service?, process: process?, command, drain, restart_every, logs_to })
}

/// Engines that are documented but not done by this version.
const ENGINES: &[&str] = &[
    "sidekiq",
    "resque",
    "redis",
    "rabbitmq",
    "amqp",
    "celery",
    "bullmq",
    "kafka",
    "sql",
    "postgres",
    "postgresql",
    "mysql",
    "http",
    "command",
    "script",
];

pub(super) fn queue(
    check: &mut Check<'_>,
    field: &Field<'_>,
    account: Option<&AccountId>,
    region: Option<&Region>,
) -> Option<Queue> {
    let example = "`queue: {url: \"https://sqs.us-east-1.amazonaws.com/123456789012/work\"}`";
    let mut s = check.section(field, example)?;
    if let Some(f) = s.get("engine") {
        let text = check.text_of(&f)?;
        if ENGINES.contains(&text) {
            not_yet(
                check,
                f.node.span,
                &format!("`queue.engine: {text}`"),
                "sqs is the only engine; without `queue`, verify, bake, launch, push, recycle and down work as ever",
            );
            return None;
        }
        check.judged(&f, value::choice(&[("sqs", ())])(text));
    }
    let url = s.need("url", "https://sqs.us-east-1.amazonaws.com/123456789012/work").and_then(|f| {
        let text = check.expanded(&f)?;
        let parts = check.judged(&f, aws::queue_url(&text))?;
        if let Some(account) = account.filter(|a| a.as_str() != parts.account) {
            let message = format!("`queue.url` is in account {}, but `account` is {account}", quote(&parts.account));
            check.error(f.node.span, "conflict", message);
        }
        if let Some((region, of_url)) = region.zip(parts.region).filter(|(r, of_url)| r.as_str() != of_url) {
            let message = format!("`queue.url` is in region {}, but `region` is {region}", quote(&of_url));
            check.error(f.node.span, "conflict", message);
        }
        Some((text, parts.name))
    });
    let dead_letter = s.get("dead_letter").and_then(|f| {
        let name = check.parsed(&f, aws::queue_name)?;
        if url.as_ref().is_some_and(|(_, queue)| *queue == name) {
            check.error(f.node.span, "conflict", "`queue.dead_letter` is the queue itself");
        }
        Some(name)
    });
    s.close(check, &[]);
    Some(Queue { url: url?.0, dead_letter })
}

pub(super) fn feed(check: &mut Check<'_>, field: &Field<'_>) -> Option<Feed> {
    let mut s = check.section(field, "`feed: {from: {lines: items.txt}}`")?;
    let from = s.need("from", "{lines: items.txt}").and_then(|f| source(check, &f));
    let rate = s.get("rate").and_then(|f| tempo(check, &f));
    let hold = s.get("hold_when").and_then(|f| hold(check, &f));
    s.close(check, &[("sink", "items go to the queue")]);
    Some(Feed { from: from?, rate, hold })
}

/// One rate, or two by the hour.
fn tempo(check: &mut Check<'_>, field: &Field<'_>) -> Option<Tempo> {
    if !matches!(field.node.kind, Kind::Map(_)) {
        return check.parsed(field, value::rate).map(Tempo::Steady);
    }
    let mut s = check.section(field, "`rate: 3/s`")?;
    let peak = s.need("peak", "3/s").and_then(|f| check.parsed(&f, value::rate));
    let off_peak = s.need("off_peak", "7.5/s").and_then(|f| check.parsed(&f, value::rate));
    let hours = s.need("peak_hours", HOURS).and_then(|f| check.parsed(&f, value::hours));
    s.close(check, &[]);
    Some(Tempo::Hourly { peak: peak?, off_peak: off_peak?, peak_hours: hours? })
}

const HOURS: &str = "\"Mon-Fri 05:00-18:00 America/Los_Angeles\"";

fn hold(check: &mut Check<'_>, field: &Field<'_>) -> Option<Hold> {
    let mut s = check.section(field, "`hold_when: {waiting: 10000}`")?;
    let waiting = s.get("waiting").and_then(|f| super::whole(check, &f, (1, 1_000_000_000)));
    let probe = s.get("probe");
    let slower = s.get("slower_than");
    let slower_than = slower.as_ref().and_then(|f| check.parsed(f, value::duration(SECOND, 600 * SECOND)));
    let given = waiting.is_some() || probe.is_some() || s.peek("waiting").is_some();
    if let (Some(f), None) = (&slower, &probe) {
        let message = format!("`{}` says how slow the probe may be, and there is no `probe`", f.path);
        check.error(f.key, "conflict", message);
    } else if !given {
        let message = format!("`{}` must have `waiting`, `probe` or both", field.path);
        check.error_with(field.key, "missing-key", message, Some("for example `hold_when: {waiting: 10000}`"));
    }
    let command = probe.and_then(|f| command(check, &f));
    s.close(check, &[]);
    let slower_than = slower_than.unwrap_or(60 * SECOND);
    Some(Hold { waiting: waiting.map(u64::from), probe: command.map(|command| Probe { command, slower_than }) })
}

const SOURCES: &[&str] = &["lines", "files", "run"];
const LATER_SOURCES: &[(&str, &str)] = &[
    ("id-range", "write the ids to a file and use `lines`"),
    ("sql", "write the query's result to a file and use `lines`"),
    ("s3-prefixes", "list the prefixes into a file and use `lines`"),
];

fn source(check: &mut Check<'_>, field: &Field<'_>) -> Option<FeedSource> {
    let mut s = check.section(field, "`from: {lines: items.txt}`")?;
    let lines = s.get("lines");
    let files = s.get("files");
    let run = s.get("run");
    let later = LATER_SOURCES.iter().any(|(key, _)| s.fields().any(|(k, _)| k.text == *key));
    let given = [&lines, &files, &run].into_iter().flatten().count();
    // A misspelt word is told as an unknown key below.
    let misspelt = given == 0 && s.fields().any(|(k, _)| meant(&field.path, &k.text, SOURCES) != Meant::Unknown);
    if given != 1 && !later && !misspelt {
        let message = format!("`{}` must have exactly one of `lines`, `files` and `run`", field.path);
        check.error_with(field.key, "conflict", message, Some("for example `from: {lines: items.txt}`"));
    }
    if let Some(on) = (run.is_none() && given == 1).then(|| s.get("on")).flatten() {
        let message = format!("`{}` says where a command runs, and there is no `run`", on.path);
        check.error_with(on.key, "conflict", message, Some("leave it out: files are read on this machine"));
    }
    let source = if let Some(f) = run {
        let command = on_template(check, &mut s, &f);
        command.map(FeedSource::Run)
    } else if let Some(f) = files {
        check.path(&f, true).map(|path| {
            missing_input(check, &f, &path, FOLDER, "it must be a folder by the time of `feed`");
            FeedSource::Files(path)
        })
    } else {
        lines.and_then(|f| {
            let path = check.path(&f, true)?;
            missing_input(check, &f, &path, FILE, "it must be a file by the time of `feed`");
            Some(FeedSource::Lines(path))
        })
    };
    s.close(check, LATER_SOURCES);
    source
}

/// The command of `{run: COMMAND, on: template}`; `on` is a key like any other here, not YAML 1.1's boolean.
fn on_template(check: &mut Check<'_>, s: &mut Section<'_>, run: &Field<'_>) -> Option<String> {
    let place = s.need("on", "template").and_then(|f| check.parsed(&f, value::choice(&[("template", ())])));
    let command = command(check, run)?;
    place.map(|()| command)
}

/// A command for the shell of the template.
fn command(check: &mut Check<'_>, field: &Field<'_>) -> Option<String> {
    let (text, _) = check.raw(field)?;
    if text.trim().is_empty() || text.len() > 4096 {
        check.error(field.node.span, "bad-value", format!("`{}` must be a command of at most 4096 bytes", field.path));
        return None;
    }
    Some(text.to_owned())
}

pub(super) fn budget(check: &mut Check<'_>, field: &Field<'_>) -> Option<Budget> {
    let mut s = check.section(field, "`budget: {stop_at: $50}`")?;
    let stop_at = s.need("stop_at", "$50").and_then(|f| check.parsed(&f, value::dollars));
    let words = value::choice(&[("keep", false), ("down", true)]);
    let down = s.get("then").and_then(|f| check.parsed(&f, words)).unwrap_or(false);
    s.close(check, &[]);
    Some(Budget { stop_at: stop_at?, down })
}

/// `expires` is how long hosts live at most, where there are any.
pub(super) fn done(check: &mut Check<'_>, field: Option<Field<'_>>, expires: Option<Duration>) -> Done {
    let minutes = Duration::from_mins;
    let mut out = Done {
        quiet: minutes(3),
        samples: 5,
        poll: 15 * SECOND,
        stalled_after: minutes(15),
        deadline: None,
        completed: None,
    };
    let Some(mut s) = field.and_then(|f| check.section(&f, "`done: {quiet: 3m, deadline: 10h}`")) else {
        return out;
    };
    let quiet = s.get("quiet").map(|f| f.key);
    out.quiet = span(&mut s, check, "quiet", (SECOND, DAY), out.quiet);
    out.samples = number(&mut s, check, "samples", (2, 1000), out.samples);
    let poll = s.get("poll").map(|f| f.key);
    out.poll = span(&mut s, check, "poll", (SECOND, 3600 * SECOND), out.poll);
    let stalled = s.get("stalled_after").map(|f| f.key);
    out.stalled_after = span(&mut s, check, "stalled_after", (10 * SECOND, 7 * DAY), out.stalled_after);
    if let Some(f) = s.get("deadline") {
        out.deadline = check.parsed(&f, value::duration(60 * SECOND, 30 * DAY));
        if out.deadline.is_some_and(|d| d <= out.quiet) {
            let message = "`done.deadline` comes before `done.quiet` is over, so the job could never be done";
            check.error(f.node.span, "conflict", message);
        }
        if let Some(expires) = expires.filter(|expires| out.deadline.is_some_and(|deadline| *expires < deadline)) {
            let message =
                format!("hosts end after {} (`fleet.expires`), before `done.deadline` is over", value::spell(expires));
            let help = "make `fleet.expires` longer, or `fleetwright extend` while the job runs";
            check.warn(f.node.span, "conflict", message, help);
        }
    }
    out.completed = s.get("completed").and_then(|f| {
        let mut s = check.section(&f, "`completed: {run: \"wc -l < /srv/done\", on: template}`")?;
        let run = s.need("run", "\"wc -l < /srv/done\"");
        let command = run.and_then(|run| on_template(check, &mut s, &run));
        let counts = s
            .get("counts")
            .and_then(|f| check.parsed(&f, value::choice(&[("new", Counts::New), ("all", Counts::All)])));
        s.close(check, &[]);
        Some(Ledger { command: command?, counts: counts.unwrap_or(Counts::New) })
    });
    // The samples must fit into the quiet time, else it would be over before they are taken.
    if let Some(key) = poll.or(quiet).filter(|_| out.poll.saturating_mul(out.samples.saturating_sub(1)) > out.quiet) {
        let message = format!(
            "{} samples {} apart do not fit into `done.quiet`, which is {}{}",
            out.samples,
            value::spell(out.poll),
            value::spell(out.quiet),
            if quiet.is_none() { " by default" } else { "" }
        );
        check.error_with(key, "conflict", message, Some("poll more often, or wait for a longer quiet time"));
    }
    if let Some(key) = stalled.filter(|_| out.stalled_after < out.poll.saturating_mul(2)) {
        let message = "`done.stalled_after` is shorter than two polls, so every job would look stalled";
        check.error(key, "conflict", message);
    }
    s.close(check, &[]);
    out
}
