//! `up`: verify, bake, launch, push, feed, wait, down when done. Each part finds out by itself what is done already.

use super::Told;
use super::context::Context;
use super::hold::Held;
use super::wait::BUDGET;
use super::watch::Watch;
use crate::cli::request::{Bake, Down, Launch, Push, Up, Verb, Verify};
use crate::engine::failure::Failure;
use crate::exit::Exit;
use crate::plan::Plan;
use crate::report::answer::LiveHosts;
use crate::report::{HostCounts, Summary};
use crate::spec::Need;
use jiff::SignedDuration;

impl Context {
    pub(super) async fn up(&self, wanted: Up) -> Result<Exit, Failure> {
        let held = self.hold("up").await?.of_campaign();
        let told = Box::pin(self.up_held(&held, wanted)).await?;
        self.campaign_over.get_or_init(|| held);
        self.tell(told)
    }

    /// The whole campaign under one claim, and what all of it came to.
    async fn up_held(&self, held: &Held, wanted: Up) -> Result<Told<Summary>, Failure> {
        self.need(Need::Hosts)?;
        if Self::teardown_begun(held)? {
            return Box::pin(self.finish_teardown(held)).await;
        }
        if let Some(instance) = self.fleet.template_instance() {
            if self.attestation(&held.state, instance.as_str())?.is_none() {
                self.part(Box::pin(self.verify_held(held, Verify::default()))).await?;
            } else {
                self.nothing("verify", format!("{instance} passed the same verification within the last 24 h"));
            }
        }
        if self.fleet.template.is_some() {
            self.part(Box::pin(self.bake_held(held, Bake { if_changed: true, ..Bake::default() }))).await?;
        }
        let launched = self.part(Box::pin(self.launch_held(held, &Launch::default()))).await?;
        let launched = launched.map_or(LiveHosts { wanted: 0, live: 0 }, |launched| launched.hosts);
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let mut hosts = HostCounts { wanted: launched.wanted, ready: count(launched.live), ..HostCounts::default() };
        if self.has(Need::Release) {
            let pushed = self.part(Box::pin(self.push_held(held, &Push::default()))).await?;
            if let Some(pushed) = pushed.filter(|pushed| pushed.failure.is_some()) {
                return Ok(self.campaign(pushed, hosts));
            }
        }
        if self.has(Need::Feed) {
            self.part(Box::pin(self.feed_held(held))).await?;
        }
        if !self.has(Need::Queue) {
            let why = "the spec names no queue: the fleet is up, and nobody can tell when its job is done";
            self.nothing("wait", why.to_owned());
            return Ok(self.campaign(Told::good(self.tally.summary("up")), hosts));
        }
        if self.planning() {
            Box::pin(self.plan_the_end(held, wanted)).await?;
            return Ok(self.campaign(Told::good(self.tally.summary("planned")), hosts));
        }
        let kept = |failure: Failure| failure.hint("the fleet is kept, since its job is not done");
        let watch = Watch { held: Some(held), size: None };
        let (mut waited, lost) = self.waited(Some(watch)).await.map_err(kept)?;
        let live = self.live_hosts(&held.state).await?;
        hosts.interrupted = hosts.ready.saturating_sub(count(live)).max(count(lost));
        let ends = waited.answer.verdict == BUDGET && self.fleet.budget.is_some_and(|budget| budget.down);
        if let Some(mut failure) = waited.failure.take_if(|_| ends) {
            self.down_held(held, Down::default()).await?;
            hosts.terminated = count(live);
            // What ends the fleet is no advice any more.
            failure.hints.retain(|hint| !hint.starts_with("fleetwright down"));
            let failure =
                failure.hint("the fleet is ended, as `budget.then` says; items that are left stay in the queue");
            return Ok(self.campaign(Told { failure: Some(failure), ..waited }, hosts));
        }
        if let Some(failure) = waited.failure {
            return Ok(self.campaign(Told { failure: Some(kept(failure)), ..waited }, hosts));
        }
        if wanted.keep {
            self.events.note("the fleet is kept; fleetwright down ends it");
        } else {
            self.down_held(held, Down::default()).await?;
            hosts.terminated = count(live);
        }
        Ok(self.campaign(waited, hosts))
    }

    /// Whether an `up` was stopped in the teardown at its end. One that somebody began by `down` says nothing about a job.
    fn teardown_begun(held: &Held) -> Result<bool, Failure> {
        let history = Self::whole_history(&held.state)?;
        let last = history.unfinished().next().and_then(|past| past.fold.begun.as_ref());
        Ok(last.filter(|begun| begun.verb == "down").is_some_and(|begun| {
            let words = serde_json::from_value(begun.plan.clone()).map(|plan: Plan| plan.arguments).unwrap_or_default();
            let words = std::iter::once("fleetwright".to_owned()).chain(words);
            crate::cli::parse(words).is_ok_and(|request| matches!(request.verb, Verb::Up(_)))
        }))
    }

    /// Goes on with the end of a campaign whose job is over: nothing is launched for it again.
    async fn finish_teardown(&self, held: &Held) -> Result<Told<Summary>, Failure> {
        self.events.note("the campaign came to its end, and its teardown was cut short: the rest is ended");
        let live = u32::try_from(self.live_hosts(&held.state).await?).unwrap_or(u32::MAX);
        self.part(Box::pin(self.down_held(held, Down::default()))).await?;
        let hosts = HostCounts { terminated: live, ..HostCounts::default() };
        Ok(self.campaign(Told::good(self.tally.summary("done")), hosts))
    }

    /// What comes after the job, as far as it can be planned before it.
    async fn plan_the_end(&self, held: &Held, wanted: Up) -> Result<(), Failure> {
        let deadline = self.fleet.done.deadline.and_then(|deadline| SignedDuration::try_from(deadline).ok());
        let deadline = deadline.map(|deadline| format!(", at most {} after it was fed", crate::report::span(deadline)));
        let after = format!("when the job is done{}", deadline.unwrap_or_default());
        if wanted.keep {
            self.nothing("down", format!("the fleet is kept {after}; fleetwright down ends it"));
            return Ok(());
        }
        self.part(Box::pin(self.down_held(held, Down::default()))).await?;
        self.note_on_last(&format!("{after}; a job that does not end well keeps its fleet"));
        Ok(())
    }

    /// The answer of a part, with what the whole campaign adds to it.
    fn campaign(&self, part: Told<Summary>, hosts: HostCounts) -> Told<Summary> {
        let whole = self.tally.summary(part.answer.verdict.clone());
        let answer = Summary { hosts: Some(hosts), api_calls: self.calls(), ..part.answer };
        Told { answer: Summary { world_seconds: whole.world_seconds, push: whole.push, ..answer }, ..part }
    }
}
