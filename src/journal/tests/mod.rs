//! Tests of the journal as a whole: what survives cuts, flips, full disks and crashes.

mod broken;
mod crash;
mod dirs;
mod fuzz;
mod shared;

use super::memory::MemoryStore;
use super::{Begun, Draft, Journal, JournalError, Outcome, Permit};
use crate::exit::Exit;
use crate::model::{Fault, FaultKind, FleetKey};
use jiff::Timestamp;
use serde_json::json;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn begun(run: &str, verb: &str) -> Begun {
    Begun {
        run: run.to_owned(),
        verb: verb.to_owned(),
        fleet: FleetKey { account: "123456789012".into(), region: "us-east-1".into(), name: "crawl".into() },
        request: format!("digest of {verb}"),
        plan: json!({"steps": ["template", "launch"]}),
        at: at(0),
    }
}

fn draft(n: u32) -> Draft {
    Draft {
        action: "CreateFleet".to_owned(),
        token: Some(format!("fwtoken{n}")),
        body: format!("Action=CreateFleet&ClientToken=fwtoken{n}"),
    }
}

fn done() -> Outcome {
    Outcome::Done { ids: vec!["i-1".to_owned(), "i-2".to_owned()], data: json!({"fleet": "fleet-1"}), request_id: None }
}

fn unknown() -> Outcome {
    Outcome::Unknown(Fault {
        kind: FaultKind::Transport,
        action: "CreateFleet".to_owned(),
        code: "reset".to_owned(),
        message: "connection reset by peer".to_owned(),
        reason: "nobody knows whether the hosts were launched".to_owned(),
        request_id: None,
    })
}

/// A short campaign; every permit that was issued goes into `issued`, also when it breaks off.
fn campaign(store: &MemoryStore, issued: &mut Vec<Permit>) -> Result<(), JournalError> {
    let journal = Journal::create(Box::new(store.clone()), begun("run-1", "launch"))?;
    issued.push(journal.intend("template", draft(0), at(1))?);
    journal.settle(issued[0].intent(), done(), at(2))?;
    journal.step("template", json!({"version": 1}), at(2))?;
    issued.extend(journal.intend_all("launch", vec![draft(1), draft(2), draft(3)], at(3))?);
    journal.settle(issued[1].intent(), done(), at(4))?;
    journal.settle(issued[2].intent(), unknown(), at(5))?;
    journal.cursor("launch", json!({"line": 17}), at(6))?;
    journal.settle(issued[2].intent(), done(), at(7))?;
    journal.settle(issued[3].intent(), done(), at(8))?;
    journal.step("launch", json!(["i-1", "i-2"]), at(9))?;
    journal.end(Exit::Done, at(10))
}

fn whole() -> Vec<u8> {
    let store = MemoryStore::default();
    campaign(&store, &mut Vec::new()).unwrap();
    store.bytes()
}
