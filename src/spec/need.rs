//! What a verb needs of a spec: only the four first keys are always required.

use super::fleet::Fleet;
use super::problem::{Problem, Problems};
use std::path::Path;

/// Something that a verb can't do without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// `template:`, to verify and bake.
    Template,
    /// `template.verify:`, to verify.
    Verify,
    /// `fleet:`, to launch.
    Hosts,
    /// `release:`, to push.
    Release,
    /// `worker:`, for the reboot proof and the canary.
    Worker,
    /// `queue:`, to feed and wait.
    Queue,
    /// `feed:`, to feed.
    Feed,
    /// `recycle:`, to recycle.
    Recycle,
}

impl Need {
    /// The key, what it is for, and an example of it.
    fn describe(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Template => (
                "template",
                "which instance is the template",
                "template:\n  instance: i-0123456789abcdef0\n  verify: playbooks/verify.yaml",
            ),
            Self::Verify => (
                "template.verify",
                "which checks the template must pass",
                "template:\n  instance: i-0123456789abcdef0\n  verify: playbooks/verify.yaml",
            ),
            Self::Hosts => ("fleet", "what to launch", "fleet:\n  size: 8\n  spot: 75%"),
            Self::Release => (
                "release",
                "what to push to the hosts",
                "release:\n  from: build/worker.tar.gz\n  playbook: playbooks/deploy.yaml",
            ),
            Self::Worker => (
                "worker",
                "which process does the work",
                "worker:\n  service: crawl-worker\n  process: crawl.py --queue",
            ),
            Self::Queue => (
                "queue",
                "where the items wait",
                "queue:\n  url: https://sqs.us-east-1.amazonaws.com/123456789012/crawl\n  dead_letter: crawl-dead",
            ),
            Self::Recycle => (
                "recycle",
                "which group's hosts are replaced, and when",
                "recycle:\n  group: api-prod\n  windows:\n    - {at: \"0 0 * * *\", zone: Australia/Brisbane, surge: 1, for: 1h}",
            ),
            Self::Feed => ("feed", "where the items come from", "feed:\n  from: {lines: items.txt}\n  rate: 3/s"),
        }
    }

    fn is_met(self, fleet: &Fleet) -> bool {
        match self {
            Self::Template => fleet.template.is_some(),
            Self::Verify => fleet.template.as_ref().is_some_and(|t| t.verify.is_some()),
            Self::Hosts => fleet.fleet.is_some(),
            Self::Release => fleet.release.is_some(),
            Self::Worker => fleet.worker.is_some(),
            Self::Queue => fleet.queue.is_some(),
            Self::Feed => fleet.feed.is_some(),
            Self::Recycle => fleet.recycle.is_some(),
        }
    }
}

/// Names every need that the spec does not meet, each with an example of what to add.
pub fn require(fleet: &Fleet, needs: &[Need]) -> Result<(), Problems> {
    let mut problems = Problems::default();
    for need in needs.iter().filter(|need| !need.is_met(fleet)) {
        let (key, what, example) = need.describe();
        let message = format!("`{key}` is missing: it says {what}");
        let file = Path::new(&fleet.file).to_string_lossy();
        problems.push(Problem::of_file(&file, "missing-section", message, Some(format!("for example\n{example}"))));
    }
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}
