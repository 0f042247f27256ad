//! What the journal says, and what its records add up to.

use crate::exit::Exit;
use crate::model::{Fault, FleetKey};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// Numbers the intents of one run, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct IntentId(pub u64);

/// A call that is about to be made: the exact bytes that will be sent, first and every further time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Draft {
    /// The API action, for example `CreateFleet`.
    pub action: String,
    /// The ClientToken inside the body, for actions that have one.
    pub token: Option<String>,
    /// The request body as the SDK serialised it.
    pub body: String,
}

impl Draft {
    /// Whether the call makes something that costs money or takes a name. The others are idempotent by nature and decided
    /// anew each time: when nobody knows how one came out, nothing is missing.
    pub fn makes(&self) -> bool {
        let makes = ["Create", "Copy"].iter().any(|word| self.action.starts_with(word));
        makes && !["CreateTags", "CreateOrUpdateTags"].contains(&self.action.as_str())
    }
}

/// How a call came out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Carried out; what it made or ended, and whatever the step needs to remember.
    Done {
        /// Ids of things made or ended.
        ids: Vec<String>,
        /// The step's own memory.
        data: Value,
        /// AWS's id of the request that was answered, for CloudTrail and for AWS's support; none when what became of the
        /// call was found by looking.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        request_id: Option<String>,
    },
    /// Certainly not carried out.
    Failed(Fault),
    /// Nobody knows yet.
    Unknown(Fault),
}

/// One record. Unknown kinds and fields are an error: a newer journal is never half understood.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Record {
    /// First record of every run.
    Begun {
        /// The run.
        run: String,
        /// The verb.
        verb: String,
        /// The fleet.
        fleet: FleetKey,
        /// Digest of the request: spec digest, verb and its arguments. The same command again goes on with this run.
        request: String,
        /// The plan as data.
        plan: Value,
        /// World time.
        at: Timestamp,
    },
    /// A call will be made. Durable before the first byte is sent.
    Intent {
        /// Its number.
        id: IntentId,
        /// The step that makes it.
        step: String,
        /// The call.
        call: Draft,
        /// World time.
        at: Timestamp,
    },
    /// A call is about to be sent once more: it may be carried out from now on as well.
    Again {
        /// The intent.
        id: IntentId,
        /// World time.
        at: Timestamp,
    },
    /// A call was made. A later outcome of the same intent replaces `Unknown`; nothing replaces the others.
    Outcome {
        /// The intent.
        id: IntentId,
        /// How it came out.
        outcome: Outcome,
        /// World time.
        at: Timestamp,
    },
    /// A step is finished and need not be run again.
    Step {
        /// The step.
        step: String,
        /// What later steps need of it.
        output: Value,
        /// World time.
        at: Timestamp,
    },
    /// Where a step stands within itself; the last one counts.
    Cursor {
        /// The step.
        step: String,
        /// Its own business.
        value: Value,
        /// World time.
        at: Timestamp,
    },
    /// The run is over and will not be gone on with.
    Ended {
        /// How.
        exit: Exit,
        /// World time.
        at: Timestamp,
    },
}

impl Record {
    /// When it was written, world time.
    pub fn at(&self) -> Timestamp {
        match self {
            Self::Begun { at, .. }
            | Self::Intent { at, .. }
            | Self::Again { at, .. }
            | Self::Outcome { at, .. }
            | Self::Step { at, .. }
            | Self::Cursor { at, .. }
            | Self::Ended { at, .. } => *at,
        }
    }
}

/// An intent and how it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct IntentState {
    /// Its number.
    pub id: IntentId,
    /// The step that made it.
    pub step: String,
    /// The call.
    pub call: Draft,
    /// When it was written.
    pub at: Timestamp,
    /// When it was last sent or answered: what it made was made before, or, while it is open, by an attempt begun by then.
    pub last: Timestamp,
    /// Whether its call may have been sent more than once.
    pub repeated: bool,
    /// How it came out; `None` when the process died before it could say.
    pub outcome: Option<Outcome>,
}

impl IntentState {
    /// Whether nobody knows if the call was carried out.
    pub fn open(&self) -> bool {
        match &self.outcome {
            None | Some(Outcome::Unknown(_)) => true,
            Some(Outcome::Done { .. } | Outcome::Failed(_)) => false,
        }
    }
}

/// What all records of one run add up to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fold {
    /// The first record's fields, once there.
    pub begun: Option<Begun>,
    /// Every intent in order.
    pub intents: Vec<IntentState>,
    /// Outputs of finished steps.
    pub steps: BTreeMap<String, Value>,
    /// Last cursor of each step.
    pub cursors: BTreeMap<String, Value>,
    /// How the run ended, if it did.
    pub ended: Option<Exit>,
    /// When its last record was written, world time; of a run that ended, its end.
    pub last: Option<Timestamp>,
}

/// The fields of [`Record::Begun`].
#[derive(Clone, Debug, PartialEq)]
pub struct Begun {
    /// The run.
    pub run: String,
    /// The verb.
    pub verb: String,
    /// The fleet.
    pub fleet: FleetKey,
    /// Digest of the request.
    pub request: String,
    /// The plan as data.
    pub plan: Value,
    /// World time.
    pub at: Timestamp,
}

/// A record that can't follow what came before it: corruption, never repaired by guessing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("record {position} can't follow what came before it: {why}")]
pub struct IllegalRecord {
    /// Which record, from 1.
    pub position: u64,
    /// Which rule it breaks.
    pub why: &'static str,
}

impl Fold {
    /// Whether these records, all of one batch, can follow what is there; `position` is that of the first.
    ///
    /// # Errors
    ///
    /// As [`Fold::add`], which they would break.
    pub fn check(&self, position: u64, records: &[Record]) -> Result<(), IllegalRecord> {
        if let [record] = records {
            return self.may_follow(record).map_err(|why| IllegalRecord { position, why });
        }
        let mut after = self.clone();
        (position..).zip(records).try_for_each(|(position, record)| after.add(position, record.clone()))
    }

    /// Adds one record.
    ///
    /// # Errors
    ///
    /// When the record can't follow what came before: a second `Begun`, an intent whose number is not the next, an outcome
    /// or a repetition without intent or after a final outcome, anything after `Ended`.
    pub fn add(&mut self, position: u64, record: Record) -> Result<(), IllegalRecord> {
        self.may_follow(&record).map_err(|why| IllegalRecord { position, why })?;
        self.last = Some(record.at());
        match record {
            Record::Begun { run, verb, fleet, request, plan, at } => {
                self.begun = Some(Begun { run, verb, fleet, request, plan, at });
            }
            Record::Intent { id, step, call, at } => {
                self.intents.push(IntentState { id, step, call, at, last: at, repeated: false, outcome: None });
            }
            Record::Again { id, at } => {
                if let Some(intent) = self.intents.iter_mut().find(|intent| intent.id == id) {
                    intent.last = at;
                    intent.repeated = true;
                }
            }
            Record::Outcome { id, outcome, at } => {
                if let Some(intent) = self.intents.iter_mut().find(|intent| intent.id == id) {
                    intent.last = at;
                    intent.outcome = Some(outcome);
                }
            }
            Record::Step { step, output, at: _ } => {
                self.steps.insert(step, output);
            }
            Record::Cursor { step, value, at: _ } => {
                self.cursors.insert(step, value);
            }
            Record::Ended { exit, at: _ } => self.ended = Some(exit),
        }
        Ok(())
    }

    fn may_follow(&self, record: &Record) -> Result<(), &'static str> {
        if self.ended.is_some() {
            return Err("the run has ended");
        }
        if let Record::Begun { .. } = record {
            return if self.begun.is_some() { Err("the run has begun already") } else { Ok(()) };
        }
        if self.begun.is_none() {
            return Err("the run has not begun");
        }
        match record {
            Record::Intent { id, .. } if *id != self.next_intent() => Err("its intent number is not the next"),
            Record::Outcome { id, .. } | Record::Again { id, .. } => {
                match self.intents.iter().find(|intent| intent.id == *id) {
                    None => Err("its intent does not exist"),
                    Some(intent) if !intent.open() => Err("its intent has a final outcome"),
                    Some(_) => Ok(()),
                }
            }
            Record::Step { step, .. } if self.steps.contains_key(step) => Err("its step is finished already"),
            Record::Begun { .. }
            | Record::Intent { .. }
            | Record::Step { .. }
            | Record::Cursor { .. }
            | Record::Ended { .. } => Ok(()),
        }
    }

    /// The number that the next intent gets.
    pub fn next_intent(&self) -> IntentId {
        IntentId(self.intents.len() as u64 + 1)
    }

    /// Intents of a step, in order.
    pub fn of_step<'a>(&'a self, step: &'a str) -> impl Iterator<Item = &'a IntentState> {
        self.intents.iter().filter(move |intent| intent.step == step)
    }

    /// Whether this is a teardown that was carried out.
    pub fn tore_down(&self) -> bool {
        self.ended == Some(Exit::Done) && self.begun.as_ref().is_some_and(|begun| begun.verb == "down")
    }

    /// Open intents that may have made something: nobody may ask for it anew before they are settled.
    pub fn unresolved(&self) -> impl Iterator<Item = &IntentState> {
        self.open_intents().filter(|intent| intent.call.makes())
    }

    /// Intents of which nobody knows whether they were carried out.
    pub fn open_intents(&self) -> impl Iterator<Item = &IntentState> {
        self.intents.iter().filter(|intent| intent.open())
    }
}
