//! What all machines of a team share: objects that are written on a condition, as S3 has them.

use crate::exit::Exit;
use crate::time::SharedClock;
use std::fmt;
use std::sync::Arc;

/// On what condition an object is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum If {
    /// Whatever is there.
    Any,
    /// When nothing is there.
    New,
    /// When this version is there.
    Over(String),
}

/// An object as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// All of its bytes.
    pub bytes: Vec<u8>,
    /// Its version, for [`If::Over`].
    pub version: String,
}

/// The objects of one fleet. Calls block, as those to a disk do; they repeat what failed in passing themselves, so that a
/// write whose answer was lost may find its own object.
pub trait Depot: Send + Sync + fmt::Debug {
    /// The URL of an object, for messages.
    fn place(&self, name: &str) -> String;
    /// Writes an object; its version, or none when the condition did not hold.
    ///
    /// # Errors
    ///
    /// When nobody knows whether it is written.
    fn put(&self, name: &str, bytes: &[u8], only: &If) -> Result<Option<String>, DepotError>;
    /// Reads an object; none when it is not there.
    ///
    /// # Errors
    ///
    /// When it can't be read whole.
    fn get(&self, name: &str) -> Result<Option<Found>, DepotError>;
    /// Objects whose names begin with `prefix`, in order, with their sizes in bytes.
    ///
    /// # Errors
    ///
    /// When not all of them could be listed.
    fn list(&self, prefix: &str) -> Result<Vec<(String, u64)>, DepotError>;
}

/// Why the shared state can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct DepotError {
    /// How the process ends because of it.
    pub exit: Exit,
    /// What could not be done and why, as it fits after "failed to".
    pub message: String,
    /// What the operator can do about it.
    pub hint: String,
}

/// How a machine takes part.
#[derive(Clone)]
pub struct Team {
    /// Where the fleet's state is shared.
    pub depot: Arc<dyn Depot>,
    /// World time.
    pub clock: SharedClock,
    /// This machine's name, for people.
    pub host: String,
    /// What this state directory is known by, if it has no such name yet: random.
    pub id: String,
}

impl fmt::Debug for Team {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Team").field("depot", &self.depot).field("host", &self.host).finish_non_exhaustive()
    }
}
