//! The control port under `/_sim/`: what a test may see and do that no AWS user can. JSON, without signatures.
//!
//! | request | what it does |
//! |---|---|
//! | `GET /_sim/world` | ground truth: instances, images, queues .., calls by action, how often each fault fired |
//! | `GET /_sim/audit?since=SEQ` | JSON lines of every call after that number |
//! | `GET`, `POST /_sim/clock` | reads or drives the clock: `{"speed": 60}`, `{"advance": "10m"}`, `{"hold": true}`, `{"leap": true}` |
//! | `GET /_sim/clock?off=-90m` | the same clock, read by a machine whose own is wrong by so much |
//! | `GET`, `POST`, `DELETE /_sim/faults` | shows, replaces or empties the fault script |
//! | `GET /_sim/hosts/<id>` | its private address and its console so far |
//! | `POST /_sim/hosts/<id>` | `{"do": "kill"}`, `blackhole`, `restore`, `interrupt`, `reboot`, `rekey` |
//! | `POST /_sim/tags/<id>` | tags an instance as AWS itself would (`aws:...`), which no user may: `{"KEY": "value"}` |
//! | `GET`, `POST /_sim/gate` | lists gates, arms one: `{"action": "RunInstances", "call": 3, "point": "after-commit"}` |
//! | `POST /_sim/gate/release` | lets one go (same document) or all: `{"all": true}` |
//! | `POST /_sim/hooks/<name>` | a webhook: keeps what it is told, JSON |
//! | `GET /_sim/hooks` | what webhooks were told: `[{"name": .., "told": ..}]` |
//! | `POST /_sim/reset` | begins the world again; not with real hosts |

use super::clock::ClockOrder;
use super::faults::FaultScript;
use super::gates::{GateOrder, Release};
use super::hosts::HostAct;
use super::wire::Answer;
use super::world::World;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, Response, StatusCode};
use jiff::SignedDuration;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Where the control port begins.
pub(crate) const PREFIX: &str = "/_sim/";

/// Why a request is refused.
#[derive(Debug, PartialEq, Eq)]
struct Refusal(StatusCode, String);

fn bad(message: impl Into<String>) -> Refusal {
    Refusal(StatusCode::BAD_REQUEST, message.into())
}

/// What to do to a host.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct HostOrder {
    #[serde(rename = "do")]
    act: HostAct,
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|error| bad(format!("the body does not fit: {error}")))
}

/// Answers a request whose path begins with [`PREFIX`].
pub(crate) fn answer(world: &World, head: &Parts, body: &[u8]) -> Response<Answer> {
    let (status, kind, text) = match route(world, head, body) {
        Ok(Told::Json(value)) => (StatusCode::OK, "application/json", format!("{value}\n")),
        Ok(Told::Lines(lines)) => (StatusCode::OK, "application/x-ndjson", lines),
        Err(Refusal(status, message)) => (status, "application/json", format!("{}\n", json!({"error": message}))),
    };
    let mut response = Response::new(Answer::whole(text));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// What an answer holds.
enum Told {
    Json(Value),
    Lines(String),
}

fn route(world: &World, head: &Parts, body: &[u8]) -> Result<Told, Refusal> {
    let path = head.uri.path().strip_prefix(PREFIX).unwrap_or_default();
    let told = match (&head.method, path) {
        (&Method::GET, "world") => world.truth(),
        (&Method::GET, "audit") => {
            let since = since(head)?;
            return Ok(Told::Lines(world.audit(|audit| audit.lines_since(since))));
        }
        (&Method::GET, "clock") => json!(world.clock.reading().off(off(head)?)),
        (&Method::POST, "clock") => {
            let (mut order, off): (ClockOrder, _) = (read(body)?, off(head)?);
            order.until = order.until.map(|until| until.saturating_sub(off).unwrap_or(until));
            world.clock.order(&order).map_err(bad)?;
            // What became due by a jump has happened when the answer comes.
            world.tick();
            json!(world.clock.reading().off(off))
        }
        (&Method::GET, "faults") => json!(world.script()),
        (&Method::POST, "faults") => {
            let script: FaultScript = read(body)?;
            script.check().map_err(|error| bad(error.to_string()))?;
            world.set_script(script);
            json!(world.script())
        }
        (&Method::DELETE, "faults") => {
            world.set_script(FaultScript::default());
            json!(world.script())
        }
        (&Method::GET, "gate") => json!({"gates": world.gates.list()}),
        (&Method::POST, "gate") => {
            let order: GateOrder = read(body)?;
            if order.call == 0 {
                return Err(bad("call counts from 1"));
            }
            world.gates.arm(order);
            json!({"gates": world.gates.list()})
        }
        (&Method::POST, "gate/release") => {
            let which: Release = read(body)?;
            json!({"released": world.gates.release(&which), "gates": world.gates.list()})
        }
        (&Method::GET, "hooks") => world.hooked(),
        (&Method::POST, path) if path.starts_with("hooks/") => {
            world.hook(path.trim_start_matches("hooks/"), &read(body)?);
            json!("ok")
        }
        (&Method::POST, "reset") => {
            if world.origin.real_hosts {
                let message = "a world with real hosts is not reset: start another rehearsal cloud instead";
                return Err(Refusal(StatusCode::CONFLICT, message.to_owned()));
            }
            world.reset();
            json!(world.clock.reading())
        }
        (&Method::GET, path) if path.starts_with("hosts/") => {
            world.host(path.trim_start_matches("hosts/")).ok_or_else(|| bad("there is no such host"))?
        }
        (&Method::POST, path) if path.starts_with("hosts/") => {
            let id = path.trim_start_matches("hosts/");
            let order: HostOrder = read(body)?;
            world.act(id, order.act).map_err(|error| {
                let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::BAD_REQUEST);
                Refusal(status, format!("{}: {}", error.code, error.message))
            })?;
            json!({"id": id, "do": order.act})
        }
        (&Method::POST, path) if path.starts_with("tags/") => {
            let id = path.trim_start_matches("tags/");
            let tags: BTreeMap<String, String> = read(body)?;
            world.stamp(id, tags).map_err(|error| bad(format!("{}: {}", error.code, error.message)))?;
            json!({"id": id})
        }
        (method, path) => {
            return Err(Refusal(StatusCode::NOT_FOUND, format!("the control port has no {method} {PREFIX}{path}")));
        }
    };
    Ok(Told::Json(told))
}

fn since(head: &Parts) -> Result<u64, Refusal> {
    match asked(head, "since") {
        Some(value) => value.parse().map_err(|_| bad(format!("since={value} is not a number"))),
        None => Ok(0),
    }
}

/// How wrong the clock of the one who asks is.
fn off(head: &Parts) -> Result<SignedDuration, Refusal> {
    match asked(head, "off") {
        Some(value) => value.parse().map_err(|_| bad(format!("off={value} is not a time such as 10m or -90s"))),
        None => Ok(SignedDuration::ZERO),
    }
}

/// A parameter of the request's query.
fn asked(head: &Parts, wanted: &str) -> Option<String> {
    let query = head.uri.query().unwrap_or_default();
    form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == wanted).map(|(_, value)| value.into_owned())
}
