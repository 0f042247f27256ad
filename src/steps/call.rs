//! One mutating call, from intent to outcome, however often the process dies in between.

use super::Steps;
use crate::engine::failure::Failure;
use crate::engine::retry::retry;
use crate::exit::Exit;
use crate::journal::log::REPLAY_LIMIT;
use crate::journal::{Draft, IntentState, JournalError, Outcome, Permit};
use crate::model::{Fault, FaultKind};
use serde::Serialize;
use serde::de::DeserializeOwned;

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
        let last = self.journal.with_fold(|fold| fold.of_step(step).last().cloned());
        let permit = match last {
            Some(IntentState { outcome: Some(Outcome::Done { data, .. }), .. }) => {
                return serde_json::from_value(data)
                    .map_err(|e| Failure::to(Exit::State, format!("read the stored outcome of step {step}: {e}")));
            }
            Some(intent) if intent.open() && repeat == Repeat::Safe => {
                let age = self.clock.now().duration_since(intent.at);
                if age > REPLAY_LIMIT {
                    return Err(Failure::new(
                        Exit::Residue,
                        format!(
                            "{what}: its outcome is unknown and {} h old, too old to be sent again",
                            age.as_hours()
                        ),
                    )
                    .hint("fleetwright status     # what is there by its tags")
                    .hint("fleetwright down       # ends what is there"));
                }
                self.events.note(format!("{what}: sending the stored {} again under its token", intent.call.action));
                self.journal
                    .reopen(intent.id, self.clock.now())
                    .ok_or_else(|| Failure::new(Exit::State, format!("{what}: its stored call can't be sent again")))?
            }
            Some(_) | None => {
                let call = draft().await.map_err(|fault| Failure::call(format!("prepare to {what}"), fault))?;
                self.journal.intend(step, call, self.clock.now()).map_err(state)?
            }
        };
        self.deliver(what, repeat, permit, send).await
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
        self.deliver(what, Repeat::Safe, permit, send).await
    }

    /// Sends until the answer is definite or the patience is over; every answer is written down.
    async fn deliver<T, S>(&self, what: &str, repeat: Repeat, permit: Permit, send: S) -> Result<T, Failure>
    where
        T: Serialize,
        S: AsyncFn(&Permit) -> Result<(Vec<String>, T), Fault>,
    {
        let again = |kind: FaultKind| kind.retryable() && (!kind.outcome_unknown() || repeat == Repeat::Safe);
        let action = permit.call().action.clone();
        let sent = retry(self.context(), &action, &self.policy, again, || send(&permit)).await;
        let now = self.clock.now();
        match sent {
            Ok((ids, made)) => {
                let data = serde_json::to_value(&made)
                    .map_err(|e| Failure::to(Exit::Bug, format!("write down what {what} made: {e}")))?;
                self.journal.settle(permit.intent(), Outcome::Done { ids, data }, now).map_err(state)?;
                Ok(made)
            }
            Err(fault) => {
                let unknown = fault.kind.outcome_unknown();
                let outcome = if unknown { Outcome::Unknown(fault.clone()) } else { Outcome::Failed(fault.clone()) };
                self.journal.settle(permit.intent(), outcome, now).map_err(state)?;
                match self.stopped() {
                    Some(exit) => Err(Failure::interrupted(exit)),
                    None => Err(Self::refused(what, &permit, fault)),
                }
            }
        }
    }

    fn refused(what: &str, permit: &Permit, fault: Fault) -> Failure {
        if fault.kind == FaultKind::Invalid && fault.code == "IdempotentParameterMismatch" {
            let action = permit.call().action.clone();
            return Failure {
                exit: Exit::Refused,
                ..Failure::call(
                    format!("{what}: somebody sent {action} under the same token with other parameters"),
                    fault,
                )
            }
            .hint("fleetwright status     # another machine may be running this campaign");
        }
        Failure::call(what, fault)
    }
}

/// A journal failure: no further call may be made.
pub(super) fn state(error: impl Into<JournalError>) -> Failure {
    let error = error.into();
    let hint = error.hint();
    Failure::to(error.exit(), &error).hint(hint)
}
