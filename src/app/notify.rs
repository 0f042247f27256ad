//! Tells those whom the spec names how a verb ended. Nothing that goes wrong here changes how it did.

use super::campaign::RENEW;
use super::context::{Context, talk};
use crate::aws;
use crate::cli::Verb;
use crate::cli::request::Recycle;
use crate::engine::failure::Failure;
use crate::exit::Exit;
use crate::report::answer::{Notice, Told, occasion, value};
use serde_json::Value;
use tokio::task::JoinSet;

/// An answer that is not printed yet.
pub(super) struct Answered {
    /// As it will be printed.
    pub(super) text: Vec<u8>,
    /// As a page.
    pub(super) page: String,
    /// As an object.
    pub(super) value: Value,
}

/// The verbs whose ends are told, by their names: those that make, use or end a fleet, and may take long.
pub(super) fn told_of(verb: &Verb) -> Option<&'static str> {
    Some(match verb {
        Verb::Verify(_) => "verify",
        Verb::Bake(_) => "bake",
        Verb::Launch(_) => "launch",
        Verb::Scale(_) => "scale",
        Verb::Push(_) => "push",
        Verb::Feed => "feed",
        Verb::Wait(_) => "wait",
        Verb::Up(_) => "up",
        Verb::Resume(_) => "resume",
        Verb::Renew(_) => RENEW,
        Verb::Down(_) => "down",
        Verb::Init(_)
        | Verb::Validate
        | Verb::Explain(_)
        | Verb::Schema(_)
        | Verb::Completions(_)
        | Verb::Man(_)
        | Verb::Plan(_)
        | Verb::Apply(_)
        | Verb::Rehearse(_)
        | Verb::SimServe(_)
        | Verb::Status
        | Verb::Doctor
        | Verb::Why(_)
        | Verb::Exec(_)
        | Verb::Rein(_)
        | Verb::Work(_)
        | Verb::Runs(_)
        | Verb::Diff(_)
        | Verb::Images(_)
        | Verb::Inventory(_)
        | Verb::Ssh(_)
        | Verb::Logs(_)
        | Verb::Extend(_)
        | Verb::Mark(_)
        | Verb::Recycle(Recycle::Apply | Recycle::List | Recycle::Preview { .. } | Recycle::Remove)
        | Verb::Orphans(_)
        | Verb::Adopt => return None,
    })
}

impl Context {
    /// Posts how a verb ended to everybody who wants to hear of it, all at once. Bounded in time; the address is read here and
    /// nowhere kept.
    pub(super) async fn notify(&self, verb: &'static str, ended: &Result<Exit, Failure>, answered: Option<&Answered>) {
        if self.fleet.notify.is_empty() || self.planning() {
            return;
        }
        let (exit, failure) = match ended {
            Ok(exit) => (*exit, None),
            Err(failure) => (failure.exit, Some(failure)),
        };
        let summary = self.tally.summary("");
        let run = Some(summary.run).filter(|run| !run.is_empty());
        let verdict = answered.and_then(|answered| answered.value["verdict"].as_str());
        let Some(event) = occasion(exit, verdict, run.is_some()) else { return };
        let notice = Notice::new(Told {
            event,
            at: self.clock.now(),
            fleet: [self.fleet.name.to_string(), self.fleet.account.to_string(), self.fleet.region.to_string()],
            verb,
            exit,
            run,
            message: failure.map(ToString::to_string),
            answer: answered.map(|answered| (answered.page.as_str(), &answered.value)),
            next: failure.map(|failure| failure.hints.clone()).unwrap_or_default(),
        });
        let Ok(body) = value(&notice).map(|value| value.to_string()) else { return };
        let mut calls = JoinSet::new();
        for receiver in self.fleet.notify.iter().filter(|receiver| receiver.events.contains(&event)) {
            let name = receiver.webhook.clone();
            match receiver.address(|name| std::env::var(name).ok()) {
                Ok(address) => {
                    let body = body.clone();
                    calls.spawn(async move { (name, aws::tell(&address, &body).await) });
                }
                Err(why) => untold(&name, event.word(), why),
            }
        }
        while let Some(called) = calls.join_next().await {
            if let Ok((name, Err(why))) = called {
                untold(&name, event.word(), &why);
            }
        }
    }
}

/// Says that nobody heard of it. The run's events are over, and the address is never shown.
fn untold(name: &str, event: &str, why: &str) {
    talk(&format!("warning   the webhook ${{{name}}} was not told of `{event}`: {why}\n"));
}
