//! What a campaign came to: one object for programs, one page for people.

use super::answer::{Answer, Spent};
use super::table::{self, Column};
use super::{count, escape, failures, span};
use crate::event::{Event, Sink, Stamped};
use crate::model::{HostReport, HostResult, Money, Sample};
use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Above so many hosts only those that did not come out well are listed for people.
const LISTED: usize = 40;

/// What `-o json` prints for `push`, `wait`, `up` and `rehearse`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Summary {
    /// The run's id; of several runs, the first one's.
    pub run: String,
    /// How it came out, in one word: `done`, `partial`, `done-with-failures`, `stalled`, `unaccounted`, `deadline`, `blind`;
    /// `nothing to do`; `not as foretold` of a rehearsal.
    pub verdict: String,
    /// The verdict in a few words for people, where one word is not enough.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outlook: Option<String>,
    /// Hosts of the fleet; absent where the verb has none.
    pub hosts: Option<HostCounts>,
    /// Every host of a push, by slot.
    pub push: Vec<PushResult>,
    /// Items; absent where the verb has no queue.
    pub items: Option<ItemCounts>,
    /// Records recomputed from outside; absent where there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub records: Option<RecordCounts>,
    /// World seconds from start to end.
    pub world_seconds: i64,
    /// Dollars, where all of it is known.
    pub cost_usd: Option<f64>,
    /// The money in full; absent where the verb launches and watches nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<Spent>,
    /// Calls to AWS by action.
    pub api_calls: BTreeMap<String, u64>,
    /// What was broken on purpose and what stood in for what; of a rehearsal only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rehearsal: Option<Rehearsed>,
}

/// What a rehearsal did beyond the campaign.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Rehearsed {
    /// Hosts that were broken on purpose, and what push had to call them.
    pub broken: BTreeMap<String, String>,
    /// Hosts whose worker was killed in the middle of an item.
    pub killed: Vec<String>,
    /// Items that came back after their worker died.
    pub redelivered: u64,
    /// What stood in for things that can't be had on a laptop.
    pub replaced: Vec<String>,
    /// What each webhook of `notify` was told: the rehearsal cloud took it in place of those who would hear it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notified: Vec<String>,
    /// What did not go as foretold; empty when all did.
    pub surprises: Vec<String>,
}

/// Hosts of the fleet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HostCounts {
    /// As the spec asked.
    pub wanted: u32,
    /// Came up as asked.
    pub ready: u32,
    /// Taken back by EC2, or died.
    pub interrupted: u32,
    /// Ended by us.
    pub terminated: u32,
}

/// One host of a push.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PushResult {
    /// The instance id.
    pub host: String,
    /// Its slot.
    pub slot: u32,
    /// How it came out.
    pub result: HostResult,
    /// `stage: cause`, where it did not come out well.
    pub reason: Option<String>,
}

/// Items of the job. Unknown is `None`, never 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ItemCounts {
    /// Confirmed by the queue.
    pub fed: Option<u64>,
    /// Completed.
    pub ok: Option<u64>,
    /// Given up on.
    pub failed: Option<u64>,
    /// Neither completed nor given up on, although the queue is empty.
    pub unaccounted: Option<u64>,
}

/// Records that the items should have left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RecordCounts {
    /// One for each item.
    pub expected: u64,
    /// Equal to what was recomputed.
    pub equal: u64,
}

impl From<&HostReport> for PushResult {
    fn from(report: &HostReport) -> Self {
        let reason = failures::why(report);
        Self { host: report.host.id.to_string(), slot: report.host.slot, result: report.result, reason }
    }
}

impl Answer for Summary {
    fn page(&self, width: Option<u16>) -> String {
        let colon = if self.outlook.is_some() { ": " } else { "" };
        let verdict = format!("{}{colon}{}", self.verdict, self.outlook.as_deref().unwrap_or_default());
        let mut rows = vec![("run", self.run.clone()), ("verdict", verdict)];
        rows.retain(|(_, text)| !text.is_empty());
        if let Some(hosts) = &self.hosts {
            let HostCounts { wanted, ready, interrupted, terminated } = hosts;
            let text = format!("{wanted} wanted, {ready} ready, {interrupted} interrupted, {terminated} terminated");
            rows.push(("hosts", text));
        }
        if !self.push.is_empty() {
            let mut results: BTreeMap<HostResult, u64> = BTreeMap::new();
            self.push.iter().for_each(|host| *results.entry(host.result).or_default() += 1);
            let text: Vec<String> = results.iter().map(|(result, n)| format!("{n} {result}")).collect();
            rows.push(("push", text.join(", ")));
        }
        if let Some(items) = &self.items {
            let show = |n: Option<u64>| n.map_or_else(|| "?".to_owned(), |n| n.to_string());
            let ItemCounts { fed, ok, failed, unaccounted } = items;
            let (fed, ok, failed, lost) = (show(*fed), show(*ok), show(*failed), show(*unaccounted));
            rows.push(("items", format!("{fed} fed, {ok} ok, {failed} failed, {lost} unaccounted")));
        }
        if let Some(RecordCounts { expected, equal }) = &self.records {
            rows.push(("records", format!("{equal} of {expected} equal")));
        }
        rows.push(("time", span(SignedDuration::from_secs(self.world_seconds))));
        if let Some(cost) = &self.cost {
            rows.push(("cost", cost.line()));
        } else if let Some(cost) = self.cost_usd {
            rows.push(("cost", dollars(cost)));
        }
        if !self.api_calls.is_empty() {
            let all = count(self.api_calls.values().sum::<u64>(), "call");
            let each: Vec<String> = self.api_calls.iter().map(|(action, n)| format!("{action} {n}")).collect();
            rows.push(("api", format!("{all}: {}", each.join(", "))));
        }
        let rows: Vec<Vec<String>> = rows.into_iter().map(|(name, text)| vec![name.to_owned(), text]).collect();
        let mut page = table::render(&[Column::keep(""), Column::wrap("")], &rows, width);
        let all = self.push.len() <= LISTED;
        let listed: Vec<Vec<String>> = self
            .push
            .iter()
            .filter(|host| all || !host.result.good())
            .map(|host| {
                let reason = host.reason.clone().unwrap_or_default();
                vec![format!("#{}", host.slot), host.host.clone(), host.result.to_string(), reason]
            })
            .collect();
        if !listed.is_empty() {
            let columns = ["slot", "host", "result"].map(Column::keep);
            let columns = [columns.as_slice(), &[Column::wrap("reason")]].concat();
            page.push('\n');
            page.push_str(&table::render(&columns, &listed, width));
        }
        if let Some(rehearsed) = &self.rehearsal {
            page.push_str(&rehearsed.page());
        }
        page
    }
}

impl Rehearsed {
    fn page(&self) -> String {
        let broken =
            self.broken.iter().map(|(id, how)| format!("broken on purpose: {id}, so that push finds it {how}"));
        let back = count(self.redelivered, "item");
        let killed =
            self.killed.iter().map(|id| format!("worker killed in the middle of an item: {id}; {back} came back"));
        let replaced = self.replaced.iter().map(|line| format!("stand-in: {line}"));
        let notified = self.notified.iter().map(|line| format!("notified: {line}"));
        let surprises = self.surprises.iter().map(|line| format!("not as foretold: {line}"));
        let lines = broken.chain(killed).chain(replaced).chain(notified).chain(surprises);
        lines.flat_map(|line| [escape::line(&line).into_owned(), "\n".to_owned()]).collect()
    }
}

/// The same form as everywhere else.
#[expect(clippy::cast_possible_truncation, reason = "a float to integer cast saturates")]
pub(super) fn dollars(amount: f64) -> String {
    Money::from_micros((amount * 1e6).round() as i64).to_string()
}

/// Collects from events what a summary needs.
#[derive(Debug, Default)]
pub struct Tally {
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    run: String,
    started: Option<Timestamp>,
    last: Option<Timestamp>,
    hosts: BTreeMap<u32, HostReport>,
    fed: Option<u64>,
    sample: Option<Sample>,
    cost: Option<Money>,
}

impl Tally {
    /// The hosts of pushes so far, by slot; of a slot that was worked on twice, the last.
    pub fn hosts(&self) -> Vec<HostReport> {
        self.lock().hosts.values().cloned().collect()
    }

    /// Items that the queue confirmed.
    pub fn fed(&self) -> Option<u64> {
        self.lock().fed
    }

    /// The last look at the queue.
    pub fn sample(&self) -> Option<Sample> {
        self.lock().sample.clone()
    }

    /// What events alone can tell; hosts, items, records and API calls are for the caller to add.
    pub fn summary(&self, verdict: impl Into<String>) -> Summary {
        let seen = self.lock();
        let world = seen.started.zip(seen.last).map(|(started, last)| last.duration_since(started).as_secs());
        Summary {
            run: seen.run.clone(),
            verdict: verdict.into(),
            outlook: None,
            hosts: None,
            push: seen.hosts.values().map(PushResult::from).collect(),
            items: None,
            records: None,
            world_seconds: world.unwrap_or(0),
            cost_usd: seen.cost.map(Money::dollars),
            cost: None,
            api_calls: BTreeMap::new(),
            rehearsal: None,
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sink for Tally {
    fn emit(&self, event: &Stamped) {
        let mut seen = self.lock();
        seen.last = Some(event.at);
        match &event.event {
            Event::RunStarted { run, .. } => {
                // A verb that runs others is one campaign, known by its first run.
                if seen.started.is_none() {
                    seen.run.clone_from(run);
                    seen.started = Some(event.at);
                }
            }
            Event::HostFinished { report } => {
                seen.hosts.insert(report.host.slot, report.clone());
            }
            Event::Fed { sent, .. } => seen.fed = Some(*sent),
            Event::Sampled { sample, .. } => seen.sample = Some(sample.clone()),
            Event::RunFinished { cost, .. } => seen.cost = *cost,
            Event::StepStarted { .. }
            | Event::StepProgress { .. }
            | Event::StepFinished { .. }
            | Event::Retrying { .. }
            | Event::Capacity { .. }
            | Event::HostStarted { .. }
            | Event::Warning { .. }
            | Event::Note { .. } => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::play;
    use super::*;

    fn summary() -> Summary {
        let tally = Tally::default();
        play(&tally);
        assert_eq!(tally.fed(), Some(400));
        assert!(tally.sample().unwrap().empty());
        let mut summary = tally.summary("partial");
        summary.hosts = Some(HostCounts { wanted: 5, ready: 5, interrupted: 1, terminated: 5 });
        summary.items = Some(ItemCounts { fed: Some(400), ok: Some(399), failed: Some(1), unaccounted: None });
        summary.records = Some(RecordCounts { expected: 399, equal: 399 });
        summary.api_calls = [("CreateFleet".to_owned(), 2), ("DescribeInstances".to_owned(), 31)].into();
        summary
    }

    #[test]
    fn the_page() {
        insta::assert_snapshot!(summary().page(None));
        let many = (0..100).map(|slot| PushResult { slot, ..summary().push[0].clone() });
        let crowd = Summary { push: many.chain([summary().push[4].clone()]).collect(), ..summary() };
        assert_eq!(crowd.page(None).matches('#').count(), 1, "of many hosts only the bad ones are listed");
    }

    #[test]
    fn the_object() {
        let json = super::super::answer::value(&summary()).unwrap();
        let keys: Vec<&str> = json.as_object().unwrap().keys().map(String::as_str).collect();
        let contract = [
            "schema_version",
            "run",
            "verdict",
            "hosts",
            "push",
            "items",
            "records",
            "world_seconds",
            "cost_usd",
            "api_calls",
        ];
        assert_eq!(keys, contract);
        insta::assert_snapshot!(json["push"][2], @r#"{"host":"i-00000000000000002","slot":2,"result":"unreachable","reason":"connect: timed out after 10s"}"#);
        assert_eq!(json["world_seconds"], 930);
        assert_eq!(json["cost_usd"], 0.41);
        assert_eq!(serde_json::from_value::<Summary>(json).unwrap(), summary());
        let bare = serde_json::to_value(Tally::default().summary("done")).unwrap();
        assert_eq!(bare.get("records"), None);
        assert_eq!(bare["items"], serde_json::Value::Null);
    }
}
