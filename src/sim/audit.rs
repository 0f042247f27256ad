//! Every call that reached the cloud, in order: the ground truth of the safety tests.

use super::api::{Call, Payload};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fmt::Write;

/// One call. Written when it arrives; the lower half is filled in as it goes on, and nothing is ever taken away.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Entry {
    /// 1, 2, 3.. in order of arrival.
    pub(crate) seq: u64,
    /// World time of arrival.
    pub(crate) time: Timestamp,
    /// `ec2`, `sqs`, `sts`.
    pub(crate) service: String,
    /// For example `RunInstances`.
    pub(crate) action: String,
    /// Access key id.
    pub(crate) principal: String,
    /// Its `User-Agent`, empty when there is none: what CloudTrail would keep.
    pub(crate) user_agent: String,
    /// Also in the answer.
    pub(crate) request_id: String,
    /// As sent: an object; a query parameter that came twice is a list.
    pub(crate) parameters: Option<Box<RawValue>>,
    /// SHA-256 of the body's bytes, hexadecimal: equal for an exact replay.
    pub(crate) body_sha256: String,
    /// The ClientToken, if there was one.
    pub(crate) client_token: Option<String>,
    /// Fault that the script gave it.
    pub(crate) fault: Option<&'static str>,
    /// Place in the order in which calls were carried out; absent for calls that never were: refused by signature,
    /// permission or throttle, dry, hit by a fault before the commit, or given up by their client.
    pub(crate) commit: Option<u64>,
    /// World time at which it was carried out.
    pub(crate) commit_time: Option<Timestamp>,
    /// Ids made.
    pub(crate) made: Vec<String>,
    /// Ids ended.
    pub(crate) ended: Vec<String>,
    /// HTTP status as decided; absent while it is not.
    pub(crate) status: Option<u16>,
    /// AWS error code, if it was refused.
    pub(crate) error: Option<String>,
    /// Whether the whole answer was handed to the client's connection.
    pub(crate) answered: bool,
}

/// Every call so far.
#[derive(Debug, Default)]
pub(crate) struct Audit {
    entries: Vec<Entry>,
    commits: u64,
    calls: BTreeMap<String, u64>,
}

impl Audit {
    /// Notes an arrival and gives its number.
    pub(crate) fn arrive(&mut self, call: &Call, user_agent: &str, body_sha256: String) -> u64 {
        let seq = self.entries.len() as u64 + 1;
        *self.calls.entry(format!("{}:{}", call.service, call.action)).or_default() += 1;
        let parameters = parameters(&call.payload);
        let client_token = parameters.get("ClientToken").and_then(Value::as_str).map(str::to_owned);
        self.entries.push(Entry {
            seq,
            time: call.now,
            service: call.service.clone(),
            action: call.action.clone(),
            principal: call.principal.clone(),
            user_agent: user_agent.to_owned(),
            request_id: call.request_id.clone(),
            parameters: serde_json::value::to_raw_value(&parameters).ok(),
            body_sha256,
            client_token,
            fault: None,
            commit: None,
            commit_time: None,
            made: Vec::new(),
            ended: Vec::new(),
            status: None,
            error: None,
            answered: false,
        });
        seq
    }

    /// Changes what is known of a call. A number from before a reset is nobody's.
    pub(crate) fn fill(&mut self, seq: u64, request_id: &str, with: impl FnOnce(&mut Entry)) {
        let index = usize::try_from(seq).unwrap_or(usize::MAX).wrapping_sub(1);
        if let Some(entry) = self.entries.get_mut(index).filter(|entry| entry.request_id == request_id) {
            with(entry);
        }
    }

    /// The next place in the order of carrying out.
    pub(crate) fn next_commit(&mut self) -> u64 {
        self.commits += 1;
        self.commits
    }

    /// JSON lines of the calls after `seq`.
    pub(crate) fn lines_since(&self, seq: u64) -> String {
        let skip = usize::try_from(seq).unwrap_or(usize::MAX).min(self.entries.len());
        let mut lines = String::new();
        for entry in &self.entries[skip..] {
            if let Ok(line) = serde_json::to_string(entry) {
                let _infallible = writeln!(lines, "{line}");
            }
        }
        lines
    }

    /// Calls by `service:Action`.
    pub(crate) fn calls(&self) -> &BTreeMap<String, u64> {
        &self.calls
    }
}

/// Parameters as an object, without what names the call itself.
fn parameters(payload: &Payload) -> Value {
    match payload {
        Payload::Json(value) => value.clone(),
        Payload::Object { parameters, .. } => Value::Object(parameters.clone()),
        Payload::Query(pairs) => {
            let mut object = Map::new();
            for (name, value) in pairs.iter().filter(|(name, _)| name != "Action" && name != "Version") {
                let value = Value::from(value.as_str());
                match object.get_mut(name) {
                    None => {
                        object.insert(name.clone(), value);
                    }
                    Some(Value::Array(values)) => values.push(value),
                    Some(first) => *first = Value::Array(vec![first.take(), value]),
                }
            }
            Value::Object(object)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(token: &str) -> Call {
        let pairs = [("Action", "RunInstances"), ("ClientToken", token), ("X", "1"), ("X", "2")];
        Call {
            service: "ec2".to_owned(),
            region: "us-east-1".to_owned(),
            action: "RunInstances".to_owned(),
            payload: Payload::Query(pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()),
            principal: "AKIA".to_owned(),
            now: Timestamp::UNIX_EPOCH,
            request_id: "r-1".to_owned(),
        }
    }

    #[test]
    fn a_call_is_there_from_its_arrival_and_learns_its_end() {
        let mut audit = Audit::default();
        let seq = audit.arrive(&call("t"), "aws-cli", "digest".to_owned());
        let line: Value = serde_json::from_str(&audit.lines_since(0)).expect("one line");
        assert_eq!(line["parameters"], serde_json::json!({"ClientToken": "t", "X": ["1", "2"]}));
        assert_eq!(
            (&line["client_token"], &line["status"], &line["commit"]),
            (&"t".into(), &Value::Null, &Value::Null)
        );
        let commit = audit.next_commit();
        audit.fill(seq, "r-1", |entry| {
            entry.commit = Some(commit);
            entry.status = Some(200);
        });
        audit.fill(seq, "of another world", |entry| entry.status = Some(500));
        let line: Value = serde_json::from_str(&audit.lines_since(0)).expect("one line");
        assert_eq!((&line["commit"], &line["status"]), (&1.into(), &200.into()));
        assert_eq!(audit.lines_since(1), "");
        assert_eq!(audit.calls()["ec2:RunInstances"], 1);
    }
}
