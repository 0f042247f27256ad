//! Accepting what the ladder brought: enough, fewer but worth keeping, or too few and ended again.

use super::Steps;
use crate::engine::failure::Failure;
use crate::engine::run::Done;
use crate::exit::Exit;
use crate::model::{FaultKind, InstanceId, Market, Residue, Thing, count};
use crate::plan::ladder::{self, RungOutcome};
use crate::plan::{Action, Step, shortfall};
use serde_json::json;

impl Steps {
    /// Weighs the launch against the spec's `accept`.
    pub(super) async fn accept(&self, min: u32, wanted: u32, abort: bool) -> Result<Done, Failure> {
        let outcomes = self.rungs();
        let ids = ladder::launched(&outcomes);
        let got = u32::try_from(ids.len()).unwrap_or(u32::MAX);
        let said = self.plan.ladder().map(|(_, ladder)| ladder.shortfall(&outcomes, self.clock.now(), None));
        let reasons = ladder::reasons(&outcomes);
        let output = json!({ "got": got, "wanted": wanted });
        if got >= wanted {
            return Ok(Done::new(
                output,
                if wanted == 1 { "the one host".to_owned() } else { format!("all {wanted} hosts") },
            ));
        }
        let why = if reasons.is_empty() { String::new() } else { format!(": {}", reasons.join("; ")) };
        if got >= min {
            let said = said.unwrap_or_else(|| format!("{got}/{wanted}{why}"));
            let on_demand = self.on_demand(&outcomes);
            return Ok(Done::warning(output, format!("{said}{on_demand}; {min} are enough")));
        }
        let others = self.others();
        let had = if got == 0 { "none".to_owned() } else { format!("only {got}") };
        let short = format!("get {min} of {}: {had} could be had{why}", count(wanted, "host"));
        let things = |hosts: &[InstanceId]| -> Vec<Thing> {
            hosts.iter().map(|id| Thing { kind: "instance".to_owned(), id: id.to_string() }).collect()
        };
        let before = |failure: Failure| match others.as_slice() {
            [] => failure,
            others => failure
                .leaving(Residue::Remaining(things(others)))
                .hint("fleetwright down       # ends what was there before"),
        };
        if ids.is_empty() {
            return Err(before(self.too_few(&outcomes, short)));
        }
        if abort {
            self.end_instances("accept", &ids).await?;
            let left = if others.is_empty() { "nothing is left" } else { "none of the new ones is left" };
            return Err(before(self.too_few(&outcomes, format!("{short}; ended again, {left}"))));
        }
        let kept = [ids, others].concat();
        Err(Failure::to(Exit::Capacity, format!("{short}; they are kept"))
            .leaving(Residue::Remaining(things(&kept)))
            .hint("the same command again asks for the missing ones, dry pools three minutes after they said no")
            .hint("fleetwright down       # ends what is there"))
    }

    /// Hosts that were there before this launch.
    fn others(&self) -> Vec<InstanceId> {
        let there = |step: &Step| match &step.action {
            Action::Settle { existing, aside, .. } => Some([existing.as_slice(), aside].concat()),
            _ => None,
        };
        self.plan.steps.iter().find_map(there).unwrap_or_default()
    }

    /// What is said where fewer on-demand hosts came than were asked for: spot took none of their places.
    fn on_demand(&self, outcomes: &[RungOutcome]) -> String {
        let hosts = outcomes.iter().flat_map(|outcome| &outcome.hosts);
        let have = hosts.filter(|host| host.market == Market::OnDemand).count();
        match self.plan.ladder() {
            Some((_, ladder)) if u32::try_from(have).is_ok_and(|have| have < ladder.on_demand) => {
                format!(", {have} of {} on-demand", ladder.on_demand)
            }
            _ => String::new(),
        }
    }

    /// Too few hosts: for want of room, or because AWS will never take what was asked.
    fn too_few(&self, outcomes: &[RungOutcome], short: String) -> Failure {
        let mut pools = outcomes.iter().flat_map(|outcome| &outcome.refused);
        let hopeless = pools.find(|pool| matches!(pool.kind, FaultKind::Invalid | FaultKind::Gone | FaultKind::Denied));
        match hopeless {
            Some(pool) => Failure::to(Exit::Capacity, short)
                .hint(format!("{} is no want of room: {}", pool.code, pool.message))
                .hint(format!("correct `fleet` in {}, then run it again", self.fleet.file.display())),
            None => shortfall::fixes(outcomes).into_iter().fold(Failure::to(Exit::Capacity, short), Failure::hint),
        }
    }
}
