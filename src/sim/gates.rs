//! Holds chosen calls at a chosen point until they are let go, so that a test can kill a client exactly there.

use super::faults::Point;
use serde::{Deserialize, Serialize};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Notify;

/// Which call is to be held; also how a release names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GateOrder {
    /// The action; `*` is every action.
    pub(crate) action: String,
    /// The how manieth call of it counted from now; the first is 1.
    #[serde(default = "first")]
    pub(crate) call: u32,
    /// Where in its course.
    pub(crate) point: Point,
}

fn first() -> u32 {
    1
}

/// What `POST /_sim/gate/release` takes.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Release {
    /// Every gate, armed or held.
    All {
        /// Must be true.
        all: bool,
    },
    /// One gate.
    One(GateOrder),
}

/// How far a gate is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum GateState {
    /// Waits for its call.
    Armed,
    /// Its call has come and is on the way to the point.
    Coming,
    /// Its call is held.
    Held,
    /// Its call's client has gone; the call goes no further, even when released.
    Gone,
}

/// What `GET /_sim/gate` tells of a gate.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct GateReport {
    /// Which call.
    #[serde(flatten)]
    pub(crate) order: GateOrder,
    /// How far it is.
    pub(crate) state: GateState,
    /// Request id of the call once it has come.
    pub(crate) request_id: Option<String>,
    /// Its caller.
    pub(crate) principal: Option<String>,
}

#[derive(Debug)]
struct Gate {
    report: GateReport,
    seen: u32,
    opened: Arc<Notify>,
}

/// Every gate that has not been released.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gates(Arc<Mutex<Vec<Gate>>>);

impl Gates {
    fn with<T>(&self, act: impl FnOnce(&mut Vec<Gate>) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Arms a gate.
    pub(crate) fn arm(&self, order: GateOrder) {
        let report = GateReport { order, state: GateState::Armed, request_id: None, principal: None };
        self.with(|gates| gates.push(Gate { report, seen: 0, opened: Arc::new(Notify::new()) }));
    }

    /// Every gate.
    pub(crate) fn list(&self) -> Vec<GateReport> {
        self.with(|gates| gates.iter().map(|gate| gate.report.clone()).collect())
    }

    /// Lets go what was meant, and tells how many gates that were.
    pub(crate) fn release(&self, which: &Release) -> usize {
        self.with(|gates| {
            let before = gates.len();
            gates.retain(|gate| {
                let meant = match which {
                    Release::All { all } => *all,
                    Release::One(order) => *order == gate.report.order,
                };
                if meant {
                    // Kept by the notify when nobody waits yet: a call on its way to the point passes.
                    gate.opened.notify_one();
                }
                !meant
            });
            before - gates.len()
        })
    }

    /// A call has come: counts it, and gives it the gates that want it.
    pub(crate) fn arrive(&self, action: &str, request_id: &str, principal: &str) -> Vec<Ticket> {
        self.with(|gates| {
            let mut tickets = Vec::new();
            for gate in gates.iter_mut() {
                let order = &gate.report.order;
                if order.action != "*" && order.action != action {
                    continue;
                }
                gate.seen = gate.seen.saturating_add(1);
                if gate.seen == order.call && gate.report.state == GateState::Armed {
                    gate.report.state = GateState::Coming;
                    gate.report.request_id = Some(request_id.to_owned());
                    gate.report.principal = Some(principal.to_owned());
                    let (point, opened) = (gate.report.order.point, Arc::clone(&gate.opened));
                    tickets.push(Ticket { gates: self.clone(), point, opened, passed: false });
                }
            }
            tickets
        })
    }

    fn mark(&self, opened: &Arc<Notify>, state: GateState) {
        self.with(|gates| {
            for gate in gates.iter_mut().filter(|gate| Arc::ptr_eq(&gate.opened, opened)) {
                gate.report.state = state;
            }
        });
    }
}

/// A call's hold at one gate. Dropping it before it passed tells that the client has gone.
#[derive(Debug)]
pub(crate) struct Ticket {
    gates: Gates,
    point: Point,
    opened: Arc<Notify>,
    passed: bool,
}

impl Ticket {
    /// Waits at the gate if this is its point.
    pub(crate) async fn pass(&mut self, point: Point) {
        if self.passed || self.point != point {
            return;
        }
        self.gates.mark(&self.opened, GateState::Held);
        self.opened.notified().await;
        self.passed = true;
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if !self.passed {
            self.gates.mark(&self.opened, GateState::Gone);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(text: &str) -> GateOrder {
        serde_json::from_str(text).expect(text)
    }

    fn state(gates: &Gates) -> Vec<GateState> {
        gates.list().iter().map(|gate| gate.state).collect()
    }

    #[tokio::test]
    async fn the_nth_call_is_held_until_released() {
        let gates = Gates::default();
        gates.arm(order(r#"{"action": "RunInstances", "call": 2, "point": "before-commit"}"#));
        assert!(gates.arrive("RunInstances", "r1", "me").is_empty());
        assert!(gates.arrive("CreateTags", "r2", "me").is_empty());
        let mut ticket = gates.arrive("RunInstances", "r3", "me").pop().expect("the second call");
        ticket.pass(Point::AfterCommit).await;
        let held = tokio::spawn(async move { ticket.pass(Point::BeforeCommit).await });
        while state(&gates) != [GateState::Held] {
            tokio::task::yield_now().await;
        }
        assert_eq!(gates.list()[0].request_id.as_deref(), Some("r3"));
        assert_eq!(gates.release(&Release::One(order(r#"{"action": "X", "point": "before-commit"}"#))), 0);
        assert_eq!(gates.release(&serde_json::from_str(r#"{"all": true}"#).expect("all")), 1);
        held.await.expect("goes on");
        assert!(gates.list().is_empty());
    }

    #[tokio::test]
    async fn a_client_that_goes_is_told() {
        let gates = Gates::default();
        gates.arm(order(r#"{"action": "A", "point": "after-commit"}"#));
        let mut ticket = gates.arrive("A", "r", "me").pop().expect("held");
        let held = tokio::spawn(async move { ticket.pass(Point::AfterCommit).await });
        while state(&gates) != [GateState::Held] {
            tokio::task::yield_now().await;
        }
        held.abort();
        assert!(held.await.is_err());
        assert_eq!(state(&gates), [GateState::Gone]);
    }

    #[tokio::test]
    async fn a_gate_released_before_its_call_gets_there_lets_it_pass() {
        let gates = Gates::default();
        gates.arm(order(r#"{"action": "A", "point": "after-commit"}"#));
        let mut ticket = gates.arrive("A", "r", "me").pop().expect("coming");
        gates.release(&Release::All { all: true });
        ticket.pass(Point::AfterCommit).await;
    }
}
