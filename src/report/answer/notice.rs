//! What a webhook is told of the end of a verb: a text that chats show, and the same as fields for programs.

use super::super::summary::dollars;
use super::Answer;
use crate::exit::Exit;
use crate::model::Occasion;
use crate::report::escape;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Most characters of a text that came from elsewhere.
const LONGEST: usize = 1000;

/// What is posted, as JSON.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Notice {
    /// All of it in a few lines: what Slack and others that take its messages show. `&`, `<` and `>` are written as Slack wants
    /// them, so that no text from elsewhere calls anybody.
    pub text: String,
    /// What this is told for.
    pub event: Occasion,
    /// When, world time.
    pub at: Timestamp,
    /// The fleet's name.
    pub fleet: String,
    /// Its account.
    pub account: String,
    /// Its region.
    pub region: String,
    /// The verb, for example `recycle now`.
    pub verb: String,
    /// The exit code that it ends with.
    pub exit: u8,
    /// The run's id, of several the first one's; none where none was begun.
    pub run: Option<String>,
    /// The verdict's word as the answer has it; none of verbs that judge no job.
    pub verdict: Option<String>,
    /// How it came out, in one line.
    pub message: String,
    /// The hosts as the answer counts them, by what they are: `wanted`, `live`, `ready`, `terminated` ..
    pub hosts: Option<BTreeMap<String, Option<u64>>>,
    /// The items as the answer counts them: `fed`, `ok`, `failed`, `unaccounted`; unknown is `null`, never 0.
    pub items: Option<BTreeMap<String, Option<u64>>>,
    /// Dollars, where all of it is known.
    pub cost_usd: Option<f64>,
    /// What to type or to do next, the first first.
    pub next: Vec<String>,
}

/// What is known when a verb ends.
#[derive(Clone, Debug)]
pub struct Told<'a> {
    /// What it is told for.
    pub event: Occasion,
    /// World time.
    pub at: Timestamp,
    /// Name, account and region of the fleet.
    pub fleet: [String; 3],
    /// The verb.
    pub verb: &'a str,
    /// How the process ends.
    pub exit: Exit,
    /// The run's id.
    pub run: Option<String>,
    /// Why it failed; none when it did not.
    pub message: Option<String>,
    /// The answer as a page and as an object; none where there is none.
    pub answer: Option<(&'a str, &'a Value)>,
    /// What to type next.
    pub next: Vec<String>,
}

/// What an end is told for; none where nothing came to an end.
pub fn occasion(exit: Exit, verdict: Option<&str>, begun: bool) -> Option<Occasion> {
    Some(match exit {
        Exit::Done => Occasion::Done,
        Exit::Partial => Occasion::Partial,
        Exit::Capacity => Occasion::Capacity,
        Exit::Residue => Occasion::Residue,
        Exit::Stalled => Occasion::Stalled,
        Exit::Deadline if verdict == Some("budget") => Occasion::Budget,
        Exit::Deadline => Occasion::Deadline,
        Exit::Unaccounted => Occasion::Unaccounted,
        Exit::Interrupted | Exit::Terminated => Occasion::Interrupted,
        // Whoever typed it reads it; nothing was begun.
        Exit::Usage if !begun => return None,
        // Another run is at it, and tells of its own end.
        Exit::Locked | Exit::Changes => return None,
        Exit::Bug
        | Exit::Usage
        | Exit::Denied
        | Exit::Unavailable
        | Exit::Refused
        | Exit::State
        | Exit::ItemsFailed => Occasion::Failed,
    })
}

impl Notice {
    /// Puts it into words.
    pub fn new(told: Told<'_>) -> Self {
        let Told { event, at, fleet: [fleet, account, region], verb, exit, run, message, answer, next } = told;
        let (page, answer) = answer.unwrap_or(("", &Value::Null));
        let text = |field: &str| answer[field].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        let counts = |field: &str| serde_json::from_value(answer[field].clone()).ok();
        let outlook = || text("outlook").or_else(|| page.lines().next().map(str::to_owned));
        let message = short(&message.or_else(outlook).unwrap_or_else(|| "done".to_owned()));
        let mut notice = Self {
            text: String::new(),
            event,
            at,
            fleet,
            account,
            region,
            verb: verb.to_owned(),
            exit: exit.code(),
            run: run.or_else(|| text("run")),
            verdict: text("verdict"),
            message,
            hosts: counts("hosts"),
            items: counts("items"),
            cost_usd: answer["cost_usd"].as_f64(),
            next: next.iter().map(|hint| short(hint)).collect(),
        };
        notice.text = slack(&notice.words());
        notice
    }

    /// For people: who, what and how; then the counts; then what to type.
    fn words(&self) -> String {
        let Self { event, fleet, verb, message, .. } = self;
        let word = event.word();
        // A verdict begins with its own word.
        let how = message.strip_prefix(word).and_then(|rest| rest.strip_prefix(": ")).unwrap_or(message);
        let how = if how == word { String::new() } else { format!(": {how}") };
        let mut text = format!("{fleet} in {}: {verb} {word}{how}", self.region);
        let counts = |what: &str, counts: &BTreeMap<String, Option<u64>>| {
            let known = counts.iter().filter_map(|(name, n)| n.map(|n| format!("{n} {name}")));
            let known = known.collect::<Vec<_>>().join(", ");
            if known.is_empty() { None } else { Some(format!("{what}: {known}")) }
        };
        let lines = [
            self.hosts.as_ref().and_then(|hosts| counts("hosts", hosts)),
            self.items.as_ref().and_then(|items| counts("items", items)),
            self.cost_usd.map(|usd| format!("cost: {}", dollars(usd))),
            self.next.first().map(|next| format!("next: {next}")),
        ];
        for line in lines.into_iter().flatten() {
            let _infallible = write!(text, "\n{line}");
        }
        text
    }
}

impl Answer for Notice {
    fn page(&self, _: Option<u16>) -> String {
        format!("{}\n", self.text)
    }
}

/// One line from elsewhere, harmless and of bounded length.
fn short(text: &str) -> String {
    let line: String = text.trim().chars().take(LONGEST).collect();
    escape::line(&line).into_owned()
}

/// As Slack wants what is no markup of its own: <https://docs.slack.dev/messaging/formatting-message-text#escaping>.
fn slack(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn told<'a>(message: Option<&str>, exit: Exit, answer: Option<(&'a str, &'a Value)>) -> Told<'a> {
        let verdict = answer.and_then(|(_, answer)| answer["verdict"].as_str());
        Told {
            event: occasion(exit, verdict, true).unwrap(),
            at: "2026-03-01T00:00:00Z".parse().unwrap(),
            fleet: ["crawl", "123456789012", "us-east-1"].map(str::to_owned),
            verb: "up",
            exit,
            run: Some("0198".to_owned()),
            message: message.map(str::to_owned),
            answer,
            next: vec!["fleetwright status     # hosts and queue".to_owned()],
        }
    }

    #[test]
    fn a_job_that_is_done_and_one_that_is_not() {
        let done = json!({
            "run": "0198", "verdict": "done", "outlook": "all 500 items are completed",
            "hosts": {"wanted": 40, "ready": 40, "interrupted": 1, "terminated": 40},
            "items": {"fed": 500, "ok": 500, "failed": 0, "unaccounted": null}, "cost_usd": 3.2,
        });
        let notice = Notice::new(Told { next: Vec::new(), ..told(None, Exit::Done, Some(("run  0198\n", &done))) });
        insta::assert_snapshot!(notice.text, @r"
        crawl in us-east-1: up done: all 500 items are completed
        hosts: 1 interrupted, 40 ready, 40 terminated, 40 wanted
        items: 0 failed, 500 fed, 500 ok
        cost: $3.20
        ");
        assert_eq!((notice.exit, notice.verdict.as_deref()), (0, Some("done")));
        assert_eq!(notice.items.unwrap()["unaccounted"], None, "unknown is not 0");
        let message = "stalled: nothing got on for 15m <!channel>\u{1b}[2J";
        let stalled = Notice::new(told(Some(message), Exit::Stalled, None));
        insta::assert_snapshot!(stalled.text, @r"
        crawl in us-east-1: up stalled: nothing got on for 15m &lt;!channel&gt;\x1b[2J
        next: fleetwright status     # hosts and queue
        ");
        assert!(stalled.hosts.is_none() && stalled.cost_usd.is_none());
        let launched = json!({"fleet": "crawl", "hosts": {"wanted": 3, "live": 3}});
        let notice = Notice::new(told(None, Exit::Done, Some(("3 of 3 hosts\n", &launched))));
        assert_eq!(notice.message, "3 of 3 hosts");
        assert!(Notice::new(told(Some(&"x".repeat(9000)), Exit::Bug, None)).text.len() < 1200);
    }

    #[test]
    fn each_exit_code_has_its_occasion_or_none() {
        let of = |exit| occasion(exit, None, true);
        assert_eq!(occasion(Exit::Deadline, Some("budget"), true), Some(Occasion::Budget));
        assert_eq!(of(Exit::Deadline), Some(Occasion::Deadline));
        assert_eq!((of(Exit::Usage), occasion(Exit::Usage, None, false)), (Some(Occasion::Failed), None));
        assert_eq!((of(Exit::Locked), of(Exit::Changes)), (None, None));
        let mut reached: Vec<Occasion> = Exit::ALL.into_iter().filter_map(of).chain([Occasion::Budget]).collect();
        reached.sort_unstable();
        reached.dedup();
        assert_eq!(reached.len(), Occasion::ALL.len(), "an occasion that no end has: {reached:?}");
    }
}
