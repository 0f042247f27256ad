//! Decides for each call whether a rule of the fault script hits it.

use super::super::api::{ApiError, Call, Payload};
use super::super::draw;
use super::super::partition;
use super::super::refusal::refuse;
use super::super::seed::Seed;
use super::{Effect, FaultScript, Point};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

/// What is to happen to one call.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Fault {
    /// When.
    pub(crate) point: Point,
    /// What.
    pub(crate) effect: Effect,
}

impl Fault {
    /// One word for the audit.
    pub(crate) fn name(&self) -> &'static str {
        match self.effect {
            Effect::Error(_) => "error",
            Effect::Reset => "reset",
            Effect::Cut => "cut",
            Effect::CutClean => "cut-clean",
            Effect::Garble => "garble",
            Effect::Hang => "hang",
            Effect::Delay { .. } => "delay",
            Effect::LateCommit { .. } => "late_commit",
        }
    }
}

/// How often a rule was asked and answered.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    seen: u32,
    fired: u32,
}

/// A script at work.
#[derive(Debug)]
pub(crate) struct Faults {
    script: FaultScript,
    seed: u64,
    counts: Vec<Count>,
    /// Sends of the same action with the same parameters, by hash.
    attempts: HashMap<u64, u32>,
}

impl Faults {
    /// Starts counting.
    pub(crate) fn new(script: FaultScript, seed: u64) -> Self {
        let counts = vec![Count::default(); script.rules.len()];
        Self { script, seed, counts, attempts: HashMap::new() }
    }

    /// The document.
    pub(crate) fn script(&self) -> &FaultScript {
        &self.script
    }

    /// The fault that this call meets, if any: that of the first rule that wants it. Every rule that the call fits
    /// counts it, so that `skip` does not depend on other rules.
    pub(crate) fn meet(&mut self, call: &Call) -> Option<Fault> {
        if self.script.rules.is_empty() {
            return None;
        }
        let parameters = match &call.payload {
            Payload::Query(pairs) => format!("{pairs:?}"),
            Payload::Json(value) => value.to_string(),
            Payload::Object { parameters, .. } => format!("{parameters:?}"),
        };
        let mut hasher = DefaultHasher::new();
        (&call.action, &parameters).hash(&mut hasher);
        let attempt = self.attempts.entry(hasher.finish()).or_default();
        *attempt += 1;
        let attempt = attempt.to_string();
        let mut met = None;
        for (n, (rule, count)) in self.script.rules.iter().zip(&mut self.counts).enumerate() {
            let fits = (rule.action == "*" || rule.action == call.action)
                && rule.service.as_ref().is_none_or(|service| *service == call.service);
            if !fits {
                continue;
            }
            count.seen += 1;
            let words = ["fault", &n.to_string(), &call.action, &parameters, &attempt];
            if met.is_none()
                && count.seen > rule.skip
                && rule.times.is_none_or(|times| count.fired < times)
                && draw::hits(self.seed, rule.share_percent, &words)
            {
                count.fired += 1;
                let point = rule.point.unwrap_or(match rule.effect {
                    Effect::Cut | Effect::CutClean | Effect::Garble => Point::AfterCommit,
                    Effect::Error(_)
                    | Effect::Reset
                    | Effect::Hang
                    | Effect::Delay { .. }
                    | Effect::LateCommit { .. } => Point::BeforeCommit,
                });
                met = Some(Fault { point, effect: rule.effect.clone() });
            }
        }
        met
    }

    /// The refusal of an action that the script denies. Who launches with an instance profile passes its role on.
    pub(crate) fn denied(&self, call: &Call, seed: &Seed) -> Option<ApiError> {
        let (service, action) = (&call.service, &call.action);
        let (partition, account) = (partition::of(&seed.region), &seed.account);
        if let ("ec2", Payload::Query(pairs)) = (service.as_str(), &call.payload)
            && self.script.deny.iter().any(|denied| denied == "iam:PassRole" || denied == "iam:*")
            && let Some((_, profile)) = pairs.iter().find(|(name, _)| name.starts_with("IamInstanceProfile."))
        {
            let role = profile.rsplit('/').next().unwrap_or(profile);
            let role = format!("arn:{partition}:iam::{account}:role/{role}");
            return Some(refuse(call, seed, "iam:PassRole", &role));
        }
        let hit = self.script.deny.iter().any(|denied| match denied.split_once(':') {
            Some((for_service, what)) => for_service == service && (what == "*" || what == action),
            None => denied == action,
        });
        hit.then(|| {
            let resource = format!("arn:{partition}:{service}:{}:{account}:*", seed.region);
            refuse(call, seed, &format!("{service}:{action}"), &resource)
        })
    }

    /// How often each rule has fired, for the world's ground truth.
    pub(crate) fn fired(&self) -> Value {
        let rules = self.script.rules.iter().zip(&self.counts);
        rules.map(|(rule, count)| json!({"action": rule.action, "seen": count.seen, "fired": count.fired})).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(action: &str, n: u32) -> Call {
        Call {
            service: "ec2".to_owned(),
            region: "us-east-1".to_owned(),
            action: action.to_owned(),
            payload: Payload::Query(vec![("N".to_owned(), n.to_string())]),
            principal: "AKIA".to_owned(),
            now: jiff::Timestamp::UNIX_EPOCH,
            request_id: "r".to_owned(),
        }
    }

    fn faults(text: &str, seed: u64) -> Faults {
        Faults::new(serde_json::from_str(text).expect(text), seed)
    }

    #[test]
    fn skip_and_times_count_fitting_calls_only() {
        let mut faults = faults(r#"{"rules":[{"action":"A","skip":1,"times":2,"do":"reset"}]}"#, 1);
        let hits: Vec<bool> = ["A", "B", "A", "A", "A"].iter().map(|a| faults.meet(&call(a, 0)).is_some()).collect();
        assert_eq!(hits, [false, false, true, true, false]);
    }

    #[test]
    fn draws_depend_on_parameters_and_attempt_not_on_order() {
        let text = r#"{"rules":[{"action":"*","times":null,"share_percent":50,"do":"hang"}]}"#;
        let (mut forwards, mut backwards) = (faults(text, 3), faults(text, 3));
        let one: Vec<bool> = (0..64).map(|n| forwards.meet(&call("A", n)).is_some()).collect();
        let mut two: Vec<bool> = (0..64).rev().map(|n| backwards.meet(&call("A", n)).is_some()).collect();
        two.reverse();
        assert_eq!(one, two);
        let again: Vec<bool> = (0..64).map(|n| forwards.meet(&call("A", n)).is_some()).collect();
        assert_ne!(one, again, "a second attempt has luck of its own");
    }

    #[test]
    fn denied_actions_are_refused_in_the_services_own_words() {
        let faults = faults(r#"{"deny":["RunInstances","sqs:*"]}"#, 1);
        let seed = crate::rehearse::world::plain("");
        let refusal = faults.denied(&call("RunInstances", 0), &seed).expect("denied");
        assert_eq!((refusal.code.as_str(), refusal.status), ("UnauthorizedOperation", 403));
        assert_eq!(faults.denied(&call("DescribeInstances", 0), &seed), None);
        let sqs = Call { service: "sqs".to_owned(), ..call("SendMessage", 0) };
        assert_eq!(faults.denied(&sqs, &seed).expect("denied").code, "AccessDenied");
    }
}
