//! A small world for tests, and short ways to call it.

use super::Ec2;
use crate::sim::api::{ApiError, Call, Handled, Payload};
use crate::sim::faults::Control;
use crate::sim::hosts::{HostAct, Hosts, NewHost, Power};
use crate::sim::seed::Seed;
use jiff::{SignedDuration, Timestamp};
use std::sync::{Arc, Mutex};

/// Bodies that only write down what is asked of them.
#[derive(Debug, Default)]
pub(super) struct Ledger(Mutex<Vec<String>>);

impl Ledger {
    fn note(&self, line: String) {
        self.0.lock().unwrap().push(line);
    }

    /// What was asked about this id so far.
    pub(super) fn about(&self, id: &str) -> Vec<String> {
        self.0.lock().unwrap().iter().filter(|line| line.contains(id)).cloned().collect()
    }
}

impl Hosts for Ledger {
    fn create(&self, host: NewHost) {
        self.note(format!("create {} {}", host.id, host.address));
    }
    fn power(&self, id: &str, power: Power) {
        self.note(format!("{power:?} {id}"));
    }
    fn snapshot(&self, id: &str, image: &str) {
        self.note(format!("snapshot {id} {image}"));
    }
    fn forget_image(&self, image: &str) {
        self.note(format!("forget {image}"));
    }
    fn console(&self, id: &str) -> String {
        format!("console of {id}\n")
    }
    fn act(&self, id: &str, act: HostAct) {
        self.note(format!("{act:?} {id}"));
    }
    fn shutdown(&self) {}
}

/// The image that the template runs.
pub(super) const IMAGE: &str = "ami-0123456789abcdef0";
/// The template.
pub(super) const TEMPLATE: &str = "i-0123456789abcdef0";

/// A world under test.
pub(super) struct World {
    pub(super) ec2: Ec2,
    pub(super) hosts: Arc<Ledger>,
    pub(super) control: Control,
    pub(super) now: Timestamp,
    pub(super) principal: String,
}

/// The seed of the test world.
pub(super) fn seed() -> Seed {
    serde_json::from_value(serde_json::json!({
        "account": "123456789012", "region": "us-east-1",
        "subnets": [
            {"id": "subnet-aaa", "zone": "us-east-1a"}, {"id": "subnet-bbb", "zone": "us-east-1b"},
            {"id": "subnet-ccc", "zone": "us-east-1a", "addresses": 2},
        ],
        "security_groups": ["sg-workers"], "key_pairs": {"ops": "ssh-ed25519 AAAA ops"}, "instance_profiles": ["worker"],
        "types": [
            {"name": "m7i.large", "vcpus": 2, "memory_mib": 8192, "architecture": "x86_64", "on_demand": "0.10", "spot": "0.04"},
            {"name": "m7a.large", "vcpus": 2, "memory_mib": 8192, "architecture": "x86_64", "on_demand": "0.12", "spot": "0.03"},
            {"name": "m7g.large", "vcpus": 2, "memory_mib": 8192, "architecture": "arm64", "on_demand": "0.08", "spot": "0.02"},
        ],
        "images": [{"id": IMAGE, "name": "base", "owner": "123456789012", "architecture": "x86_64"}],
        "template": {"id": TEMPLATE, "instance_type": "m7i.large", "subnet": "subnet-aaa", "image": IMAGE,
            "security_groups": ["sg-workers"], "key_name": "ops", "tags": {"Name": "crawl"}},
    }))
    .unwrap()
}

impl World {
    /// The test world, changed before it starts.
    pub(super) fn with(change: impl FnOnce(&mut Seed)) -> Self {
        let mut seed = seed();
        change(&mut seed);
        let now = "2026-03-01T12:00:00Z".parse().unwrap();
        let hosts = Arc::new(Ledger::default());
        let ec2 = Ec2::new(&seed, 42, hosts.clone(), now);
        Self { ec2, hosts, control: Control::default(), now, principal: "AKIA1".to_owned() }
    }

    /// The test world as it is.
    pub(super) fn new() -> Self {
        Self::with(|_| ())
    }

    /// One call.
    pub(super) fn call(&mut self, action: &str, pairs: &[(&str, &str)]) -> Handled {
        let pairs = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let call = Call {
            service: "ec2".to_owned(),
            region: "us-east-1".to_owned(),
            action: action.to_owned(),
            payload: Payload::Query(pairs),
            principal: self.principal.clone(),
            now: self.now,
            request_id: "r".to_owned(),
        };
        self.ec2.advance(self.now);
        let offered = self.ec2.offer(&call);
        self.ec2.handle(&call, offered, &self.control)
    }

    /// One call that must work; its body.
    pub(super) fn ok(&mut self, action: &str, pairs: &[(&str, &str)]) -> String {
        self.call(action, pairs).unwrap_or_else(|error| panic!("{action}: {error:?}")).body
    }

    /// One call that must fail.
    pub(super) fn fails(&mut self, action: &str, pairs: &[(&str, &str)]) -> ApiError {
        match self.call(action, pairs) {
            Ok(reply) => panic!("{action} answered {}", reply.body),
            Err(error) => error,
        }
    }

    /// RunInstances with these on top of image, type and counts of 1; the new ids.
    pub(super) fn run(&mut self, pairs: &[(&str, &str)]) -> Vec<String> {
        let reply = self.call("RunInstances", &run(pairs)).unwrap();
        texts(&reply.body, "instanceId")
    }

    /// World time goes on.
    pub(super) fn pass(&mut self, seconds: i64) {
        self.now += SignedDuration::from_secs(seconds);
    }

    /// An instance's true state.
    pub(super) fn state(&mut self, id: &str) -> String {
        self.ec2.advance(self.now);
        let world = self.ec2.world(self.now);
        let all = world["instances"].as_array().unwrap();
        all.iter().find(|one| one["id"] == id).unwrap()["state"].as_str().unwrap().to_owned()
    }

    /// Instances that calls have made, whatever their state.
    pub(super) fn made(&self) -> usize {
        let world = self.ec2.world(self.now);
        world["instances"].as_array().unwrap().iter().filter(|one| one["owner"] == self.principal.as_str()).count()
    }
}

/// The least that RunInstances needs, with `pairs` in place of or beside it.
pub(super) fn run<'a>(pairs: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let base = [("ImageId", IMAGE), ("InstanceType", "m7i.large"), ("MinCount", "1"), ("MaxCount", "1")];
    let kept = base.into_iter().filter(|(name, _)| !pairs.iter().any(|(other, _)| other == name));
    kept.chain(pairs.iter().copied()).filter(|(_, value)| !value.is_empty()).collect()
}

/// The texts of all elements of this name.
pub(super) fn texts(body: &str, name: &str) -> Vec<String> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    body.split(&open).skip(1).filter_map(|rest| Some(rest.split_once(&close)?.0.to_owned())).collect()
}
