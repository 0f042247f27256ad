//! The course of one call: audit, gates, faults, carrying out, answer.

use super::super::api::{ApiError, Call, Handled};
use super::super::draw;
use super::super::faults::{Effect, Point};
use super::super::world::{Attempt, World};
use super::answer::{Answer, wrap};
use super::request;
use hyper::Response;
use hyper::header::USER_AGENT;
use hyper::http::request::Parts;
use jiff::SignedDuration;
use std::sync::Arc;
use std::time::Duration;

/// How the course of a call ends for its connection.
pub(super) enum End {
    /// With an answer, whole or broken.
    Answer(Box<Response<Answer>>),
    /// With a reset.
    Reset,
}

/// Takes one request through. Dropping the future means that the client has gone: what was not carried out by then
/// never is, but for a late commit, and what was carried out stays.
pub(super) async fn run(world: &Arc<World>, head: &Parts, body: &[u8]) -> End {
    let request_id = world.request_id();
    let asked = match request::read(world.region(), head, body) {
        Ok(asked) => asked,
        Err((style, error)) => return End::Answer(Box::new(wrap(style, "", &request_id, &Err(error), None))),
    };
    let style = asked.style;
    let mut call = Call {
        service: asked.service,
        region: asked.region,
        action: asked.action,
        payload: asked.payload,
        principal: asked.principal,
        now: world.clock.now(),
        request_id,
    };
    let agent = head.headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
    let seq = world.audit(|audit| audit.arrive(&call, agent, draw::sha256_hex(body)));
    let mut tickets = world.gates.arrive(&call.action, &call.request_id, &call.principal);
    let fault = world.meet(&call);
    if let Some(fault) = &fault {
        world.audit(|audit| audit.fill(seq, &call.request_id, |entry| entry.fault = Some(fault.name())));
    }
    let effect_at = |point| fault.as_ref().filter(|fault| fault.point == point).map(|fault| &fault.effect);

    for ticket in &mut tickets {
        ticket.pass(Point::BeforeCommit).await;
    }
    let handled = match effect_at(Point::BeforeCommit) {
        Some(Effect::Error(error)) => Err(ApiError::new(&error.code, error.message.clone()).with_status(error.status)),
        Some(Effect::Reset) => return End::Reset,
        Some(Effect::Hang) => std::future::pending().await,
        Some(Effect::LateCommit { seconds }) => {
            commit_late(world, call, seq, *seconds);
            return End::Reset;
        }
        Some(Effect::Delay { seconds }) => {
            wall(*seconds).await;
            carry_out(world, &mut call, seq).await
        }
        // A script that cuts before there is an answer is refused when it is given.
        Some(Effect::Cut | Effect::CutClean | Effect::Garble) | None => carry_out(world, &mut call, seq).await,
    };
    for ticket in &mut tickets {
        ticket.pass(Point::AfterCommit).await;
    }
    let effect = effect_at(Point::AfterCommit);
    let handled = match effect {
        Some(Effect::Error(error)) => Err(ApiError::new(&error.code, error.message.clone()).with_status(error.status)),
        Some(Effect::Reset) => return End::Reset,
        Some(Effect::Hang) => std::future::pending().await,
        Some(Effect::Delay { seconds }) => {
            wall(*seconds).await;
            handled
        }
        Some(Effect::Cut | Effect::CutClean | Effect::Garble | Effect::LateCommit { .. }) | None => handled,
    };
    let answered = !matches!(effect, Some(Effect::Cut | Effect::CutClean | Effect::Garble));
    world.audit(|audit| {
        audit.fill(seq, &call.request_id, |entry| {
            entry.answered = answered;
            entry.status = Some(handled.as_ref().map_or_else(|error| error.status, |_| 200));
            entry.error = handled.as_ref().err().map(|error| error.code.clone());
        });
    });
    End::Answer(Box::new(wrap(style, &call.action, &call.request_id, &handled, effect)))
}

/// Carries a call out; a receive waits for messages on world time, as long as it asked to, without any lock.
async fn carry_out(world: &World, call: &mut Call, seq: u64) -> Handled {
    let began = world.clock.now();
    let mut changes = world.queue_changes();
    loop {
        // Seen before the look, so that a message sent during it wakes.
        changes.mark_unchanged();
        match world.attempt(call, seq, began) {
            Attempt::Done(handled) => return handled,
            Attempt::Again(at) => {
                tokio::select! {
                    () = world.clock.sleep_until(at) => {}
                    _changed = changes.changed() => {}
                }
            }
        }
    }
}

/// Carries a call out when its client has long given up.
fn commit_late(world: &Arc<World>, mut call: Call, seq: u64, seconds: f64) {
    let world = Arc::clone(world);
    tokio::spawn(async move {
        let span = SignedDuration::try_from_secs_f64(seconds).unwrap_or_default();
        let at = call.now.saturating_add(span).unwrap_or(call.now);
        world.clock.sleep_until(at).await;
        let handled = carry_out(&world, &mut call, seq).await;
        world.audit(|audit| {
            audit.fill(seq, &call.request_id, |entry| {
                entry.status = Some(handled.as_ref().map_or_else(|error| error.status, |_| 200));
                entry.error = handled.as_ref().err().map(|error| error.code.clone());
            });
        });
    });
}

async fn wall(seconds: f64) {
    tokio::time::sleep(Duration::try_from_secs_f64(seconds).unwrap_or_default()).await;
}
