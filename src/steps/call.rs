//! One mutating call, from intent to outcome, however often the process dies in between.

use super::Steps;
use crate::engine::failure::Failure;
use crate::engine::retry::{Policy, retry};
use crate::exit::Exit;
use crate::gate::FRESH;
use crate::journal::log::REPLAY_LIMIT;
use crate::journal::{Draft, IntentState, JournalError, Outcome, Permit};
use crate::model::{Fault, FaultKind};
use jiff::SignedDuration;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::cell::Cell;

/// How a call may be sent again while nobody knows whether it was carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Repeat {
    /// The same bytes and token, or an action that is idempotent by nature: AWS carries it out once.
    Safe,
    /// No token: the step looks for what the call may have made before anything else.
    LookFirst,
}

impl Steps {
    /// Makes the step's mutating call, or goes on with the one that an earlier process wrote down.
    ///
    /// The last intent of `step` decides: done before, its stored result is given back and nothing is sent; open, the
    /// stored bytes are sent again (when that is safe and young enough); else a new draft is made and written down first.
    pub(super) async fn mutate<T, D, S>(
        &self,
        step: &str,
        what: &str,
        repeat: Repeat,
        draft: D,
        send: S,
    ) -> Result<T, Failure>
    where
        T: Serialize + DeserializeOwned,
        D: AsyncFn() -> Result<Draft, Fault>,
        S: AsyncFn(&Permit) -> Result<(Vec<String>, T), Fault>,
    {
        let permit = match self.last_intent(step) {
            Some(IntentState { outcome: Some(Outcome::Done { data, .. }), .. }) => {
                return serde_json::from_value(data)
                    .map_err(|e| Failure::to(Exit::State, format!("read the stored outcome of step {step}: {e}")));
            }
            Some(intent) if intent.open() && repeat == Repeat::Safe => {
                self.events.note(format!("{what}: sending the stored {} again under its token", intent.call.action));
                let permit = self.journal.reopen(intent.id, self.clock.now()).map_err(state)?;
                permit.ok_or_else(|| too_old(what))?
            }
            Some(_) | None => {
                let call = draft().await.map_err(|fault| Failure::call(format!("prepare to {what}"), fault))?;
                self.journal.intend(step, call, self.clock.now()).map_err(state)?
            }
        };
        self.deliver(what, repeat, self.policy, permit, send).await
    }

    /// Makes a mutating call that is idempotent by nature and was decided just now: always a new draft, never a stored one.
    pub(super) async fn change<T, D, S>(&self, step: &str, what: &str, draft: D, send: S) -> Result<T, Failure>
    where
        T: Serialize,
        D: AsyncFn() -> Result<Draft, Fault>,
        S: AsyncFn(&Permit) -> Result<(Vec<String>, T), Fault>,
    {
        let call = draft().await.map_err(|fault| Failure::call(format!("prepare to {what}"), fault))?;
        let permit = self.journal.intend(step, call, self.clock.now()).map_err(state)?;
        self.deliver(what, Repeat::Safe, self.policy, permit, send).await
    }

    /// As [`Steps::change`] for a call that ends what the gate let through: not repeated longer than the gate's facts hold.
    /// `None` when AWS did not take it in that time: look and decide again.
    pub(super) async fn end_owned<D, S>(
        &self,
        step: &str,
        what: &str,
        draft: D,
        send: S,
    ) -> Result<Option<usize>, Failure>
    where
        D: AsyncFn() -> Result<Draft, Fault>,
        S: AsyncFn(&Permit) -> Result<Vec<String>, Fault>,
    {
        let call = draft().await.map_err(|fault| Failure::call(format!("prepare to {what}"), fault))?;
        let permit = self.journal.intend(step, call, self.clock.now()).map_err(state)?;
        let policy = Policy { budget: FRESH.unsigned_abs().min(self.policy.budget), ..self.policy };
        let send = async |permit: &Permit| {
            let ids = send(permit).await?;
            let ended = ids.len();
            Ok((ids, ended))
        };
        match self.deliver(what, Repeat::Safe, policy, permit, send).await {
            Ok(ended) => Ok(Some(ended)),
            // What is busy may have got another owner: the caller knows what that means.
            Err(failure) => match failure.fault.as_ref().map(|fault| fault.kind) {
                Some(kind) if kind.retryable() && kind != FaultKind::Busy => Ok(None),
                Some(_) | None => Err(failure),
            },
        }
    }

    /// The step's last intent, when its outcome is unknown and it is too old to be sent again: only what is there tells
    /// what came of it.
    pub(super) fn forgotten(&self, step: &str, limit: SignedDuration) -> Option<IntentState> {
        let old = |intent: &IntentState| self.clock.now().duration_since(intent.at).abs() > limit.min(REPLAY_LIMIT);
        self.last_intent(step).filter(|intent| intent.open() && old(intent))
    }

    /// Whether a call of the step was carried out, or may have been.
    pub(super) fn perhaps_made(&self, step: &str) -> bool {
        self.last_intent(step).is_some_and(|intent| !matches!(intent.outcome, Some(Outcome::Failed(_))))
    }

    fn last_intent(&self, step: &str) -> Option<IntentState> {
        self.journal.with_fold(|fold| fold.of_step(step).last().cloned())
    }

    /// Sends until the answer is definite or the patience is over. Every send is in the journal before it is made, every
    /// last answer after it.
    ///
    /// A definite error says only that *this* send was not carried out. Once an earlier one may have been, the call stays
    /// open under its token, whatever the error: a throttle or expired credentials prove nothing about the past.
    async fn deliver<T, S>(
        &self,
        what: &str,
        repeat: Repeat,
        policy: Policy,
        permit: Permit,
        send: S,
    ) -> Result<T, Failure>
    where
        T: Serialize,
        S: AsyncFn(&Permit) -> Result<(Vec<String>, T), Fault>,
    {
        let again = |kind: FaultKind| kind.retryable() && (!kind.outcome_unknown() || repeat == Repeat::Safe);
        let (intent, call) = (permit.intent(), permit.call().clone());
        let perhaps_made = Cell::new(permit.replayed());
        let first = Cell::new(Some(permit));
        let request = Cell::new(None);
        let sent = retry(self.context(), &call.action, &policy, again, async || {
            let permit = match first.take() {
                Some(permit) => permit,
                None => match self.journal.reopen(intent, self.clock.now()) {
                    Ok(Some(permit)) => permit,
                    Ok(None) => return Ok(Err(too_old(what))),
                    Err(error) => return Ok(Err(state(error))),
                },
            };
            let answer = send(&permit).await;
            request.set(permit.request_id().map(str::to_owned));
            if answer.as_ref().is_err_and(|fault| fault.kind.outcome_unknown()) {
                perhaps_made.set(true);
            }
            answer.map(Ok)
        })
        .await;
        let now = self.clock.now();
        match sent {
            Ok(Err(failure)) => Err(failure),
            Ok(Ok((ids, made))) => {
                let data = serde_json::to_value(&made)
                    .map_err(|e| Failure::to(Exit::Bug, format!("write down what {what} made: {e}")))?;
                self.journal
                    .settle(intent, Outcome::Done { ids, data, request_id: request.take() }, now)
                    .map_err(state)?;
                Ok(made)
            }
            Err(fault) => {
                let unknown =
                    fault.kind.outcome_unknown() || call.token.is_some() && perhaps_made.get() && !disproves(&fault);
                let outcome = if unknown { Outcome::Unknown(fault.clone()) } else { Outcome::Failed(fault.clone()) };
                self.journal.settle(intent, outcome, now).map_err(state)?;
                match self.stopped() {
                    Some(exit) => Err(Failure::interrupted(exit)),
                    None => Err(Self::refused(what, &call.action, fault, unknown)),
                }
            }
        }
    }

    fn refused(what: &str, action: &str, fault: Fault, unknown: bool) -> Failure {
        if mismatch(&fault) {
            return Failure {
                exit: Exit::Refused,
                ..Failure::call(
                    format!("{what}: somebody sent {action} under the same token with other parameters"),
                    fault,
                )
            }
            .hint("fleetwright status     # another machine may be running this campaign");
        }
        // A fault of unknown outcome says so itself.
        let unsaid = unknown && !fault.kind.outcome_unknown();
        let failure = Failure::call(what, fault);
        if unsaid { failure.hint("it may have been carried out all the same: the next run finds out") } else { failure }
    }
}

/// The token was used before with other parameters.
pub(super) fn mismatch(fault: &Fault) -> bool {
    fault.kind == FaultKind::Invalid && fault.code == "IdempotentParameterMismatch"
}

/// Whether an error shows that no earlier send of the same bytes was carried out either: name or token are somebody
/// else's.
fn disproves(fault: &Fault) -> bool {
    fault.kind == FaultKind::Exists || mismatch(fault)
}

fn too_old(what: &str) -> Failure {
    let hours = REPLAY_LIMIT.as_hours();
    Failure::new(
        Exit::Residue,
        format!("{what}: its outcome is unknown and more than {hours} h old: it is not sent again"),
    )
    .hint("fleetwright status     # what is there by its tags")
    .hint("fleetwright down       # ends what is there")
}

/// A journal failure: no further call may be made.
pub(super) fn state(error: impl Into<JournalError>) -> Failure {
    Failure::state(error)
}
