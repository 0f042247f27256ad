//! Accepting what the ladder brought: enough, fewer but worth keeping, or too few and ended again.

use super::Steps;
use crate::engine::failure::Failure;
use crate::engine::run::Done;
use crate::exit::Exit;
use crate::model::{Residue, Thing};
use crate::plan::ladder;
use serde_json::json;

impl Steps {
    /// Weighs the launch against the spec's `accept`.
    pub(super) async fn accept(&self, min: u32, wanted: u32, abort: bool) -> Result<Done, Failure> {
        let outcomes = self.rungs();
        let ids = ladder::launched(&outcomes);
        let got = u32::try_from(ids.len()).unwrap_or(u32::MAX);
        let reasons = ladder::reasons(&outcomes);
        let output = json!({ "got": got, "wanted": wanted });
        if got >= wanted {
            return Ok(Done::new(output, format!("all {wanted} hosts")));
        }
        let why = if reasons.is_empty() { String::new() } else { format!(": {}", reasons.join("; ")) };
        if got >= min {
            return Ok(Done::warning(output, format!("{got} of {wanted} hosts, {min} are enough{why}")));
        }
        let short = format!("get {min} of {wanted} hosts: only {got} could be had{why}");
        if abort {
            if !ids.is_empty() {
                self.end_instances("accept", &ids).await?;
            }
            return Err(Failure::new(Exit::Capacity, format!("{short}; ended them again")).hint(
                "name more types or subnets, lower `fleet.accept.min`, or ask AWS for a higher quota; then run it again",
            ));
        }
        let things = ids.iter().map(|id| Thing { kind: "instance".to_owned(), id: id.to_string() }).collect();
        Err(Failure::new(Exit::Capacity, format!("{short}; they are kept"))
            .leaving(Residue::Remaining(things))
            .hint("fleetwright launch     # asks for the missing ones again")
            .hint("fleetwright down       # ends what is there"))
    }
}
