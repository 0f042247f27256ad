//! A playbook's tree to checked steps.

use super::action::action;
use super::{SECOND, number, span, work};
use crate::spec::check::Check;
use crate::spec::playbook::{Action, Command, Playbook, PutContent, Step, Text};
use crate::spec::problem::{printable, quote};
use crate::spec::section::{Field, Section};
use crate::spec::tree::{Kind, Node, Span};
use crate::spec::{digest, template, value};
use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;
use std::time::Duration;

/// Most steps of a playbook.
const MOST_STEPS: usize = 200;

/// Which playbook is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// `template.verify`: runs on the template, where there is no release.
    Verify,
    /// `release.playbook`.
    Deploy,
    /// `worker.drain`: runs on hosts that are about to end.
    Drain,
}

/// Reads the whole tree: `vars:` and `steps:`, or a bare list of steps.
pub(crate) fn playbook(
    check: &mut Check<'_>,
    role: Role,
    file: PathBuf,
    bytes: &[u8],
    root: &Node,
) -> Option<Playbook> {
    let start = Span { end: root.span.start, ..root.span };
    let top = Field { path: String::new(), key: start, node: root };
    let (vars, items) = match &root.kind {
        Kind::List(_) => (BTreeMap::new(), check.list(&Field { path: "steps".to_owned(), ..top })),
        Kind::Map(_) => {
            let mut s = check.section(&top, "`steps: [{check: test -x /usr/bin/python3}]`")?;
            let vars = s.get("vars").map(|f| work::vars(check, &f)).unwrap_or_default();
            let steps = s.need("steps", "[{check: test -x /usr/bin/python3}]").and_then(|f| check.list(&f));
            s.close(check, &[]);
            (vars, steps)
        }
        Kind::Scalar { .. } => {
            let help = Some("for example `steps: [{check: test -x /usr/bin/python3}]`");
            check.error_with(start, "wrong-type", "a playbook is a list of steps", help);
            return None;
        }
    };
    check.names.extend(vars.keys().cloned());
    let items = items?;
    if items.is_empty() || items.len() > MOST_STEPS {
        let message = format!("a playbook has 1 to {MOST_STEPS} steps, this one {}", items.len());
        check.error(start, "out-of-range", message);
        return None;
    }
    let mut names = Names::default();
    let steps: Vec<Option<Step>> = items.iter().map(|item| step(check, role, item, &mut names)).collect();
    let steps: Vec<Step> = steps.into_iter().collect::<Option<_>>()?;
    let mut parts = vec![bytes.to_vec()];
    for step in &steps {
        if let Action::Put { content: PutContent::File(path), .. } = &step.action {
            parts.push(std::fs::read(path).ok()?);
        }
    }
    let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
    Some(Playbook { file, digest: digest::hex(&parts), vars, steps })
}

/// The names given so far.
#[derive(Default)]
struct Names(HashSet<String>);

impl Names {
    /// A name of its own for a step that has none.
    fn free(&mut self, wish: &str) -> String {
        let mut name = wish.to_owned();
        let mut n = 2;
        while !self.0.insert(name.clone()) {
            name = format!("{wish} ({n})");
            n += 1;
        }
        name
    }
}

fn step(check: &mut Check<'_>, role: Role, field: &Field<'_>, names: &mut Names) -> Option<Step> {
    let example = match &field.node.kind {
        Kind::Scalar { text, .. } if !text.contains(['\n', '`']) && text.len() < 60 => {
            format!("`- run: {}`", printable(text))
        }
        Kind::Scalar { .. } | Kind::List(_) | Kind::Map(_) => "`- run: systemctl daemon-reload`".to_owned(),
    };
    let mut s = check.section(field, &example)?;
    let name = s.get("name").and_then(|f| {
        let name = check.parsed(&f, value::line(80))?;
        if !names.0.insert(name.clone()) {
            check.error(f.node.span, "duplicate-value", format!("a step before is named {} too", quote(&name)));
        }
        Some(name)
    });
    let timeout = span(&mut s, check, "timeout", (SECOND, 86_400 * SECOND), Duration::from_mins(5));
    let retries = number(&mut s, check, "retries", (0, 10), 0);
    let when = s.get("when").and_then(|f| condition(check, &f));
    let action = action(check, role, &mut s, field);
    s.close(check, &[]);
    let action = action?;
    let name = name.unwrap_or_else(|| names.free(&describe(&action)));
    Some(Step { name, timeout, retries, when, action })
}

/// `when`: a template, or one of the two words that it may come to.
fn condition(check: &mut Check<'_>, field: &Field<'_>) -> Option<Text> {
    let (text, _) = check.raw(field)?;
    if !template::check(check, field, text) || template::is_truth(text) {
        return Some(Text(text.to_owned()));
    }
    let help = match value::boolean(text.trim()) {
        Err(value::Wrong { help: Some(help), .. }) => help,
        Err(_) | Ok(_) if text.contains("{%") => "its branches can say `true`, `false` or a value".to_owned(),
        Err(_) | Ok(_) => {
            let bare = text.replace("{{", " ").replace("}}", " ");
            let words: Vec<&str> = bare.split_whitespace().collect();
            format!("write \"{{{{ {} }}}}\"", words.join(" "))
        }
    };
    let wrong = value::Wrong::bad("a template that comes to `true` or `false`").help(help);
    check.judged(field, Err(wrong))
}

/// A template text.
pub(super) fn text(check: &mut Check<'_>, field: &Field<'_>) -> Option<Text> {
    let (text, _) = check.raw(field)?;
    template::check(check, field, text);
    Some(Text(text.to_owned()))
}

/// A template text under a key that must be there.
pub(super) fn need_text(check: &mut Check<'_>, s: &mut Section<'_>, key: &'static str, example: &str) -> Option<Text> {
    s.need(key, example).and_then(|f| text(check, &f))
}

/// The action in a few words, for steps without a name.
fn describe(action: &Action) -> String {
    let command = |c: &Command| match c {
        Command::Shell(text) => text.0.clone(),
        Command::Words(words) => words.iter().map(|w| w.0.as_str()).collect::<Vec<_>>().join(" "),
    };
    let words = match action {
        Action::Put { to, .. } => format!("put {}", to.0),
        Action::Unpack { to } => format!("unpack {}", to.0),
        Action::Run(c) => format!("run {}", command(c)),
        Action::Link { at, .. } => format!("link {}", at.0),
        Action::Restart(service) => format!("restart {}", service.0),
        Action::Reboot { .. } => "reboot".to_owned(),
        Action::Check(c) => format!("check {}", command(c)),
    };
    let first = words.lines().next().unwrap_or_default().trim_end();
    let short: String = first.chars().take(60).collect();
    if short.len() < words.trim_end().len() { format!("{short}...") } else { short }
}
