//! One rung of the capacity ladder: one fleet request under one token.

use super::Steps;
use super::call::Repeat;
use super::epoch::Epoch;
use crate::aws::by_age;
use crate::engine::failure::Failure;
use crate::engine::run::Done;
use crate::event::{Event, StepEnd};
use crate::exit::Exit;
use crate::model::{Fault, FaultKind, FleetGiven, FleetRequest, Market, RefusedPool};
use crate::plan::Rung;
use crate::plan::ladder::{self, RungOutcome};
use crate::plan::launch::intent_tags;
use crate::plan::token::token;
use serde::{Deserialize, Serialize};

/// What a fleet request came to, as it is kept in the journal.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Brought {
    given: FleetGiven,
    ended: bool,
}

impl Steps {
    /// Asks for one rung's capacity. Answers that are no capacity are outcomes, not failures.
    pub(super) async fn climb(&self, step: &str, rung: &Rung) -> Result<Done, Failure> {
        if let Some(instant) = rung.not_before {
            self.pause_until(instant).await?;
        }
        let epoch: Epoch = self.output_of("epoch")?;
        let request = self.fleet_request(rung, &epoch);
        let brought: Brought = self
            .mutate(
                step,
                &rung.title(),
                Repeat::Safe,
                async || self.clients.draft_fleet(&request).await,
                async |permit| match self.clients.create_fleet(permit).await {
                    Ok(given) => {
                        let ids = given.hosts.iter().map(|host| host.id.to_string()).collect();
                        Ok((ids, Brought { given, ended: false }))
                    }
                    // The launch template was made moments ago: this reader may not see it, or its version, yet.
                    Err(fault) if fault.code.starts_with("InvalidLaunchTemplate") => Err(by_age(fault, true)),
                    Err(fault) => no_capacity(rung, &fault).map(|brought| (Vec::new(), brought)).ok_or(fault),
                },
            )
            .await?;
        let outcome = RungOutcome {
            spot: rung.spot,
            on_demand: rung.on_demand,
            hosts: brought.given.hosts,
            refused: brought.given.refused,
            ended: brought.ended,
            at: self.clock.now(),
        };
        self.tell(&outcome);
        if outcome.ended {
            self.events.warn(format!("{}: its hosts were launched before and have ended since", rung.title()));
        }
        let wanted = rung.spot + rung.on_demand;
        let got = outcome.hosts.len();
        let detail = format!("{got} of {wanted} hosts");
        let done = Done::new(super::output(&outcome)?, detail);
        if let Some(denied) = outcome.refused.iter().find(|pool| pool.kind == FaultKind::Denied && got == 0) {
            return Err(Failure::to(Exit::Denied, format!("{}: {} ({})", rung.title(), denied.code, denied.message)));
        }
        Ok(if got == usize::try_from(wanted).unwrap_or(usize::MAX) {
            done
        } else {
            Done { end: StepEnd::Warning, ..done }
        })
    }

    fn fleet_request(&self, rung: &Rung, epoch: &Epoch) -> FleetRequest {
        let pools = format!(
            "{} {}",
            rung.types.join(","),
            rung.subnets.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
        );
        let attempt = rung.attempt.to_string();
        let token = token(&self.fleet.key(), &[&epoch.name(), "capacity", &pools, "0", &attempt]);
        FleetRequest {
            host_tags: intent_tags(&token, &epoch.name()),
            token,
            template: epoch.template.clone(),
            version: epoch.version,
            spot: rung.spot,
            on_demand: rung.on_demand,
            types: rung.types.clone(),
            subnets: rung.subnets.clone(),
            max_price: rung.max_price.clone(),
        }
    }

    fn tell(&self, outcome: &RungOutcome) {
        for (market, wanted) in [(Market::Spot, outcome.spot), (Market::OnDemand, outcome.on_demand)] {
            if wanted == 0 {
                continue;
            }
            let got = outcome.hosts.iter().filter(|host| host.market == market).count();
            let refused = ladder::reasons(std::slice::from_ref(outcome))
                .into_iter()
                .filter(|reason| reason.starts_with(market.as_str()))
                .collect();
            let got = u32::try_from(got).unwrap_or(u32::MAX);
            self.events.emit(Event::Capacity { market, wanted, got, refused });
        }
    }
}

/// A whole request refused for want of capacity or quota, or whose hosts have ended since, is an outcome like any other.
fn no_capacity(rung: &Rung, fault: &Fault) -> Option<Brought> {
    let ended = match fault.kind {
        FaultKind::Capacity | FaultKind::Quota => false,
        FaultKind::Interrupted => true,
        FaultKind::Throttled
        | FaultKind::NotYetVisible
        | FaultKind::Gone
        | FaultKind::Exists
        | FaultKind::Denied
        | FaultKind::Invalid
        | FaultKind::Busy
        | FaultKind::Transport
        | FaultKind::Server => return None,
    };
    let pool = |market| RefusedPool {
        market,
        instance_type: None,
        subnet: None,
        kind: fault.kind,
        code: fault.code.clone(),
        message: fault.message.clone(),
    };
    let mut refused = Vec::new();
    if rung.spot > 0 {
        refused.push(pool(Market::Spot));
    }
    if rung.on_demand > 0 {
        refused.push(pool(Market::OnDemand));
    }
    Some(Brought { given: FleetGiven { fleet: String::new(), hosts: Vec::new(), refused }, ended })
}
