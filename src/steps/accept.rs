//! Accepting what the ladder brought: enough, fewer but worth keeping, or too few and ended again.

use super::Steps;
use crate::engine::failure::Failure;
use crate::engine::run::Done;
use crate::exit::Exit;
use crate::model::{FaultKind, Residue, Thing, count};
use crate::plan::ladder::{self, RungOutcome};
use crate::plan::shortfall;
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
            return Ok(Done::warning(output, format!("{said}; {min} are enough")));
        }
        let had = if got == 0 { "none".to_owned() } else { format!("only {got}") };
        let short = format!("get {min} of {}: {had} could be had{why}", count(wanted, "host"));
        if ids.is_empty() {
            return Err(self.too_few(&outcomes, short));
        }
        if abort {
            self.end_instances("accept", &ids).await?;
            return Err(self.too_few(&outcomes, format!("{short}; ended again, nothing is left")));
        }
        let things = ids.iter().map(|id| Thing { kind: "instance".to_owned(), id: id.to_string() }).collect();
        Err(Failure::to(Exit::Capacity, format!("{short}; they are kept"))
            .leaving(Residue::Remaining(things))
            .hint(
                "fleetwright launch     # asks for the missing ones again, dry pools three minutes after they said no",
            )
            .hint("fleetwright down       # ends what is there"))
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
