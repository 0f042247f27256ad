//! One rung of the capacity ladder: one fleet request under one token.

use super::Steps;
use super::call::{Repeat, state};
use super::epoch::Epoch;
use crate::aws::by_age;
use crate::engine::failure::Failure;
use crate::engine::run::Done;
use crate::event::{Event, StepEnd};
use crate::exit::Exit;
use crate::journal::Outcome;
use crate::journal::log::REPLAY_LIMIT;
use crate::model::{Fault, FaultKind, FleetGiven, FleetRequest, GivenHost, Market, RefusedPool, count, tags};
use crate::plan::ladder::{self, RungOutcome};
use crate::plan::launch::intent_tags;
use crate::plan::token::token;
use crate::plan::{CONSISTENT, Rung};
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
            if let Some((_, ladder)) = self.plan.ladder()
                && instant > self.clock.now()
            {
                self.events.note(ladder.shortfall(&self.rungs(), self.clock.now(), Some(instant)));
            }
            self.pause_until(instant).await?;
        }
        let epoch: Epoch = self.output_of("epoch")?;
        let request = self.fleet_request(rung, &epoch);
        self.check_life(step, &epoch)?;
        self.settle_forgotten(step, &request.token, &rung.title()).await?;
        let begun = self.clock.now();
        let mut brought: Brought = self
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
                    // The launch template may have been made moments ago, so that this reader does not see it, or its
                    // version, yet; after a few minutes somebody has deleted it.
                    Err(fault) if fault.code.starts_with("InvalidLaunchTemplate") => {
                        Err(by_age(fault, self.clock.now().duration_since(begun) < CONSISTENT))
                    }
                    Err(fault) => no_capacity(rung, &fault).map(|brought| (Vec::new(), brought)).ok_or(fault),
                },
            )
            .await?;
        if brought.ended {
            self.events.warn(format!("{}: it was carried out before, and hosts of it have ended since", rung.title()));
            // Some of them, or all: tags tell, once whatever was launched before this answer is visible.
            self.pause_until(self.clock.now() + CONSISTENT).await?;
            brought.given.hosts = self.bearing(&request.token).await?;
        }
        let outcome = RungOutcome {
            spot: rung.spot,
            on_demand: rung.on_demand,
            hosts: brought.given.hosts,
            refused: brought.given.refused,
            ended: brought.ended,
            at: self.clock.now(),
        };
        self.tell(&outcome);
        let wanted = rung.spot + rung.on_demand;
        let got = outcome.hosts.len();
        let detail = format!("{got} of {}", count(wanted, "host"));
        let done = Done::new(super::output(&outcome)?, detail);
        if let Some(denied) = outcome.refused.iter().find(|pool| pool.kind == FaultKind::Denied && got == 0) {
            // The token is spent on this answer: once the permission is there, the next rung asks under the next.
            self.journal.step(step, done.output, self.clock.now()).map_err(state)?;
            return Err(Failure::to(Exit::Denied, format!("{}: {} ({})", rung.title(), denied.code, denied.message)));
        }
        Ok(if got == usize::try_from(wanted).unwrap_or(usize::MAX) {
            done
        } else {
            Done { end: StepEnd::Warning, ..done }
        })
    }

    /// A request whose outcome is unknown and that is too old to be sent again is settled by what bears its token.
    async fn settle_forgotten(&self, step: &str, token: &str, title: &str) -> Result<(), Failure> {
        let Some(old) = self.forgotten(step, REPLAY_LIMIT) else { return Ok(()) };
        let hosts = self.bearing(token).await?;
        self.events.note(format!(
            "{title}: asked at {} and never answered; {} live hosts bear its token, and it is not sent again",
            old.at,
            hosts.len()
        ));
        let ids = hosts.iter().map(|host| host.id.to_string()).collect();
        let brought = Brought { given: FleetGiven { fleet: String::new(), hosts, refused: Vec::new() }, ended: false };
        let data = super::output(&brought)?;
        self.journal.settle(old.id, Outcome::Done { ids, data, request_id: None }, self.clock.now()).map_err(state)
    }

    /// Live hosts that the request with this token brought, by their tags.
    async fn bearing(&self, token: &str) -> Result<Vec<GivenHost>, Failure> {
        let seen = self
            .read("look for hosts of this request", async || self.clients.instances_of_fleet(&self.fleet.name).await)
            .await?;
        let ours = seen.into_iter().filter(|i| i.state.live() && i.tags.get(tags::INTENT) == Some(token));
        let host = |i: crate::model::Instance| GivenHost {
            id: i.id,
            market: i.market,
            instance_type: i.instance_type,
            subnet: i.subnet,
            zone: Some(i.zone),
        };
        Ok(ours.map(host).collect())
    }

    /// Refuses to ask for hosts that would end themselves at once: their epoch was made too long ago.
    fn check_life(&self, step: &str, epoch: &Epoch) -> Result<(), Failure> {
        match epoch.expires {
            Some(expires) if expires <= self.clock.now() && !self.perhaps_made(step) => Err(Failure::new(
                Exit::Refused,
                format!("launch hosts of {}: they would end themselves at once, it expired at {expires}", epoch.name()),
            )
            .hint("fleetwright launch     # with a launch template of its own")),
            Some(_) | None => Ok(()),
        }
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
            without: rung.without.clone(),
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
