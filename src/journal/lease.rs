//! The claim on a fleet among machines: an object that says who holds the fleet and until when, replaced only by whoever read
//! its last version.

use super::depot::{Depot, DepotError, If, Team};
use super::lock::{ClaimError, Holder};
use crate::exit::Exit;
use crate::model::RunId;
use crate::time::SharedClock;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long a lease holds without being renewed.
const TERM: SignedDuration = SignedDuration::from_mins(5);
/// How often it is renewed: two renewals may fail before anybody can take it over.
pub const RENEWAL: Duration = Duration::from_secs(100);
/// By how much two machines' clocks may differ: nobody takes a lease over sooner than this after its end.
const SKEW: SignedDuration = SignedDuration::from_mins(1);
/// The object.
const NAME: &str = "lease.json";
/// How often it is tried to write it when others write it, too.
const TRIES: u32 = 4;

/// What the object says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Paper {
    /// The state directory that holds it, by its random name.
    machine: String,
    /// Who holds it; none once it was given back.
    holder: Option<Holder>,
    /// World time.
    until: Timestamp,
}

impl Paper {
    /// Whether it keeps others away.
    fn holds(&self, machine: &str, now: Timestamp) -> bool {
        // This machine's other processes are kept away by the lock in its state directory.
        self.holder.is_some() && self.machine != machine && now <= after(self.until, SKEW)
    }
}

fn after(time: Timestamp, span: SignedDuration) -> Timestamp {
    time.saturating_add(span).unwrap_or(Timestamp::MAX)
}

/// Who holds the fleet on another machine, if anybody does.
pub(super) fn holder(team: &Team, machine: &str) -> Result<Option<Holder>, DepotError> {
    let read = read(&*team.depot)?;
    Ok(read.filter(|(paper, _)| paper.holds(machine, team.clock.now())).and_then(|(paper, _)| paper.holder))
}

fn read(depot: &dyn Depot) -> Result<Option<(Paper, String)>, DepotError> {
    let Some(found) = depot.get(NAME)? else { return Ok(None) };
    let paper = serde_json::from_slice(&found.bytes).map_err(|error| DepotError {
        exit: Exit::State,
        message: format!("read {}: {error}", depot.place(NAME)),
        hint: "somebody else wrote it, or a newer fleetwright; when nobody is at work on the fleet it can be deleted"
            .to_owned(),
    })?;
    Ok(Some((paper, found.version)))
}

/// The fleet is ours among all machines until it is given back, lost, or not renewed.
#[derive(Debug)]
pub struct Lease {
    depot: Arc<dyn Depot>,
    clock: Clock,
    inner: Mutex<Inner>,
}

/// A clock without words of its own.
struct Clock(SharedClock);

impl std::fmt::Debug for Clock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Clock")
    }
}

#[derive(Debug)]
struct Inner {
    paper: Paper,
    version: String,
    /// Set for ever when another took it over, or when it was given back.
    over: Option<DepotError>,
}

impl Lease {
    /// Takes the lease, or says who has it.
    pub(super) fn take(team: &Team, machine: &str, holder: &Holder) -> Result<Self, ClaimError> {
        let holder = Holder { host: Some(team.host.clone()), ..holder.clone() };
        for _ in 0..TRIES {
            let found = read(&*team.depot).map_err(super::JournalError::from)?;
            let now = team.clock.now();
            let only = match found {
                None => If::New,
                Some((paper, _)) if paper.holds(machine, now) => {
                    return Err(ClaimError::Leased {
                        by: paper.holder,
                        until: after(paper.until, SKEW),
                        place: team.depot.place(NAME),
                    });
                }
                Some((_, version)) => If::Over(version),
            };
            let paper = Paper { machine: machine.to_owned(), holder: Some(holder.clone()), until: after(now, TERM) };
            // Another was faster, or this is our own write whose answer was lost: the next look tells.
            if let Some(version) = write(&*team.depot, &paper, &only).map_err(super::JournalError::from)? {
                let inner = Mutex::new(Inner { paper, version, over: None });
                return Ok(Self { depot: Arc::clone(&team.depot), clock: Clock(Arc::clone(&team.clock)), inner });
            }
        }
        Err(ClaimError::Leased { by: None, until: team.clock.now(), place: team.depot.place(NAME) })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells others which run the process is at.
    pub(super) fn at(&self, run: RunId) -> Result<(), DepotError> {
        let mut inner = self.lock();
        if let Some(holder) = &mut inner.paper.holder {
            holder.run = Some(run);
        }
        self.write(&mut inner)
    }

    /// Holds it for another term.
    ///
    /// # Errors
    ///
    /// Exit 7 when another machine took it over, which is for ever; else when it can't be written now.
    pub fn renew(&self) -> Result<(), DepotError> {
        self.write(&mut self.lock())
    }

    /// Makes sure that it is ours still, before something is changed. One that is about to end is renewed first: a machine
    /// that slept learns here that another went on without it.
    pub(super) fn check(&self) -> Result<(), DepotError> {
        let mut inner = self.lock();
        if let Some(over) = &inner.over {
            return Err(over.clone());
        }
        let left = inner.paper.until.duration_since(self.clock.0.now());
        if left < TERM / 3 { self.write(&mut inner) } else { Ok(()) }
    }

    fn write(&self, inner: &mut Inner) -> Result<(), DepotError> {
        for _ in 0..TRIES {
            if let Some(over) = &inner.over {
                return Err(over.clone());
            }
            let paper = Paper { until: after(self.clock.0.now(), TERM), ..inner.paper.clone() };
            if let Some(version) = write(&*self.depot, &paper, &If::Over(inner.version.clone()))? {
                (inner.paper, inner.version) = (paper, version);
                return Ok(());
            }
            match read(&*self.depot)? {
                // Our own write, whose answer was lost.
                Some((paper, version)) if same(&paper, &inner.paper) => inner.version = version,
                found => inner.over = Some(self.lost(found.and_then(|(paper, _)| paper.holder))),
            }
        }
        Err(DepotError {
            exit: Exit::Unavailable,
            message: format!("renew {}: it changes with every look", self.depot.place(NAME)),
            hint: "run the same command again".to_owned(),
        })
    }

    fn lost(&self, to: Option<Holder>) -> DepotError {
        let to = to.map_or_else(|| "another machine".to_owned(), |holder| holder.to_string());
        DepotError {
            exit: Exit::Locked,
            message: format!(
                "keep the claim on the fleet: {to} has taken over {}, which was not renewed in time",
                self.depot.place(NAME)
            ),
            hint: "nothing more was changed; the other goes on from what was saved".to_owned(),
        }
    }

    /// Nothing more is done under it, whoever has it: what became of a write is not known.
    pub(super) fn give_up(&self, error: &DepotError) {
        self.lock().over.get_or_insert_with(|| error.clone());
    }

    /// Gives it back; whoever could not be told takes it over after its term.
    pub(super) fn release(&self) {
        let mut inner = self.lock();
        if inner.over.is_some() {
            return;
        }
        let paper = Paper { holder: None, ..inner.paper.clone() };
        let released = write(&*self.depot, &paper, &If::Over(inner.version.clone()));
        tracing::debug!(?released, "lease given back");
        inner.over = Some(self.lost(None));
    }
}

/// Whether both are of the same process.
fn same(one: &Paper, other: &Paper) -> bool {
    let process = |paper: &Paper| paper.holder.as_ref().map(|holder| (holder.pid, holder.started));
    one.machine == other.machine && process(one) == process(other)
}

fn write(depot: &dyn Depot, paper: &Paper, only: &If) -> Result<Option<String>, DepotError> {
    let bytes = serde_json::to_vec(paper).map_err(|error| DepotError {
        exit: Exit::Bug,
        message: format!("write {}: {error}", depot.place(NAME)),
        hint: String::new(),
    })?;
    depot.put(NAME, &bytes, only)
}
