//! The claim on a fleet: whose it is, and how long a campaign keeps its end open.

use super::context::{Context, again};
use super::shared::blocking;
use crate::engine::failure::Failure;
use crate::exit::Exit;
use crate::journal::{Claim, FleetDir, Holder, Journal};
use crate::model::AccountId;
use jiff::Timestamp;
use std::sync::{Arc, OnceLock};
use tokio_util::task::AbortOnDropHandle;

/// The claim on a fleet and what was checked under it.
pub(super) struct Held {
    /// Kept until the process ends; none while a verb is only planned, which changes nothing.
    claim: Option<Claim>,
    /// Renews the claim among machines.
    _keeper: Option<AbortOnDropHandle<()>>,
    /// Account of the credentials.
    pub(super) caller: AccountId,
    /// The fleet's state directory.
    pub(super) state: Arc<FleetDir>,
    /// The teardown at the end of a whole campaign, whose end is written down once the campaign's answer is out: whoever is
    /// killed before that is asked for the same campaign again, not for another. Empty where a verb is no campaign.
    last: Option<OnceLock<Arc<Journal>>>,
}

impl Held {
    /// Keeps the end of the campaign open until [`Held::answered`].
    pub(super) fn of_campaign(self) -> Self {
        Self { last: Some(OnceLock::new()), ..self }
    }

    /// Keeps a campaign's last run open; false where it is none, and ends as any other does.
    pub(super) fn keeps_open(&self, verb: &str, exit: Exit, journal: &Arc<Journal>) -> bool {
        let last = self.last.as_ref().filter(|_| verb == "down" && exit == Exit::Done);
        last.is_some_and(|last| last.set(Arc::clone(journal)).is_ok())
    }

    /// Writes down that the campaign came to its end, if it did.
    pub(super) fn answered(&self, at: Timestamp) -> Result<(), Failure> {
        match self.last.as_ref().and_then(OnceLock::get) {
            Some(journal) => journal.end(Exit::Done, at).map_err(super::context::state),
            None => Ok(()),
        }
    }

    /// The claim; nothing is begun without one.
    pub(super) fn claim(&self) -> Result<&Claim, Failure> {
        self.claim.as_ref().ok_or_else(|| Failure::to(Exit::Bug, "change something without a claim on the fleet"))
    }
}

impl Context {
    /// Claims the fleet and makes sure that the credentials belong to the account that the spec names.
    pub(super) async fn hold(&self, verb: &str) -> Result<Held, Failure> {
        if !self.planning() && self.in_ci && !self.global.local_state && self.fleet.state.is_none() {
            return Err(Failure::new(
                Exit::Refused,
                format!("{verb} in CI would keep its journal on this machine only, and lose it with the machine"),
            )
            .hint("state: s3://BUCKET/PREFIX in fleet.yaml     # keeps it where every machine finds it")
            .hint(format!("{}     # when this machine's disk outlives the job", again("--local-state"))));
        }
        if self.fleet.state.is_some() {
            // Not even the claim is written with the credentials of a wrong account.
            self.check_account().await?;
        }
        let (claim, keeper, state) = self.claim(verb).await?;
        let caller = self.check_account().await?;
        Ok(Held { claim, _keeper: keeper, caller, state, last: None })
    }

    /// Claims the state directory for a push to foreign machines: they belong to no account, and what they have is written
    /// down on them.
    pub(super) async fn hold_foreign(&self, verb: &str) -> Result<Held, Failure> {
        let (claim, keeper, state) = self.claim(verb).await?;
        Ok(Held { claim, _keeper: keeper, caller: self.fleet.account.clone(), state, last: None })
    }

    async fn claim(
        &self,
        verb: &str,
    ) -> Result<(Option<Claim>, Option<AbortOnDropHandle<()>>, Arc<FleetDir>), Failure> {
        let state = Arc::new(self.state_dir()?);
        if self.planning() {
            if let Some(holder) = state.holder().map_err(super::context::state)? {
                self.events.note(format!(
                    "`{}` (process {}) is at work on this fleet: what is shown may be done by then",
                    holder.verb, holder.pid
                ));
            }
            return Ok((None, None, state));
        }
        let holder =
            Holder { pid: std::process::id(), verb: verb.to_owned(), run: None, started: self.clock.now(), host: None };
        let dir = Arc::clone(&state);
        let claim = blocking(move || dir.claim(&holder)).await?;
        let claim = claim.map_err(|error| Failure::to(error.exit(), &error).hint(error.hint()))?;
        let keeper = claim.lease().map(|lease| self.lease_kept(Arc::clone(lease)));
        Ok((Some(claim), keeper, state))
    }
}
