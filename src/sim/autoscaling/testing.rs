//! A small world with a launch template, for tests of groups, and short ways to call it.

use crate::sim::api::{ApiError, Call, Handled, Payload};
use crate::sim::faults::FaultScript;
use crate::sim::hosts::{NoHosts, Upcall};
use crate::sim::world::{Attempt, Origin, World};
use serde_json::{Value, json};
use std::sync::Arc;

/// A world under test; its clock stands still but for [`Cloud::pass`].
pub(crate) struct Cloud(World);

/// A call's parameters.
pub(crate) type Pairs<'a> = &'a [(&'a str, &'a str)];

impl Cloud {
    /// Subnets `subnet-a` to `subnet-d`, each in a zone of its own, and the launch template `pack`.
    pub(crate) fn new(rng_seed: u64, faults: Value) -> Self {
        let zones = ["a", "b", "c", "d"];
        let seed = serde_json::from_value(json!({
            "account": "123456789012", "region": "us-east-1", "start": "2026-03-01T12:00:00Z",
            "subnets": zones.map(|zone| json!({"id": format!("subnet-{zone}"), "zone": format!("us-east-1{zone}")})),
            "security_groups": ["sg-workers"],
            "types": [
                {"name": "m7i.large", "vcpus": 2, "memory_mib": 8192, "architecture": "x86_64", "on_demand": "0.10", "spot": "0.04"},
                {"name": "m7a.large", "vcpus": 2, "memory_mib": 8192, "architecture": "x86_64", "on_demand": "0.12", "spot": "0.03"},
            ],
            "images": [{"id": "ami-0123456789abcdef0", "name": "base", "owner": "123456789012", "architecture": "x86_64"}],
        }))
        .expect("a seed");
        let faults: FaultScript = serde_json::from_value(faults).expect("a fault script");
        let endpoint = "http://127.0.0.1:1".to_owned();
        let origin = Origin { seed, rng_seed, faults, endpoint, hosts: Arc::new(NoHosts), real_hosts: false };
        let cloud = Self(World::new(origin, 0.0));
        cloud.ec2(
            "CreateLaunchTemplate",
            &[
                ("LaunchTemplateName", "pack"),
                ("LaunchTemplateData.ImageId", "ami-0123456789abcdef0"),
                ("LaunchTemplateData.InstanceType", "m7i.large"),
            ],
        );
        cloud
    }

    fn ask(&self, service: &str, action: &str, pairs: Pairs) -> Handled {
        let pairs = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let mut call = Call {
            service: service.to_owned(),
            region: "us-east-1".to_owned(),
            action: action.to_owned(),
            payload: Payload::Query(pairs),
            principal: "AKIA1".to_owned(),
            now: self.0.clock.now(),
            request_id: "r".to_owned(),
        };
        let now = call.now;
        match self.0.attempt(&mut call, 0, now) {
            Attempt::Done(handled) => handled,
            Attempt::Again(_) => panic!("only queues wait"),
        }
    }

    /// One call to EC2 that must work; its body.
    pub(crate) fn ec2(&self, action: &str, pairs: Pairs) -> String {
        self.ask("ec2", action, pairs).unwrap_or_else(|error| panic!("{action}: {error:?}")).body
    }

    /// One call to Auto Scaling that must work; its body.
    pub(crate) fn ok(&self, action: &str, pairs: Pairs) -> String {
        self.ask("autoscaling", action, pairs).unwrap_or_else(|error| panic!("{action} {pairs:?}: {error:?}")).body
    }

    /// One call to Auto Scaling that must fail.
    pub(crate) fn fails(&self, action: &str, pairs: Pairs) -> ApiError {
        self.ask("autoscaling", action, pairs).err().unwrap_or_else(|| panic!("{action} {pairs:?} was carried out"))
    }

    /// A group `web` of the template in three zones.
    pub(crate) fn group(&self, min: &str, max: &str, desired: &str, more: Pairs) {
        let base = [
            ("AutoScalingGroupName", "web"),
            ("LaunchTemplate.LaunchTemplateName", "pack"),
            ("LaunchTemplate.Version", "$Latest"),
            ("VPCZoneIdentifier", "subnet-a,subnet-b,subnet-c"),
            ("MinSize", min),
            ("MaxSize", max),
            ("DesiredCapacity", desired),
        ];
        let kept = base.into_iter().filter(|(name, _)| {
            !more
                .iter()
                .any(|(other, _)| other == name || name.starts_with("LaunchTemplate.") && other.starts_with("Mixed"))
        });
        let pairs: Vec<_> = kept.chain(more.iter().copied()).collect();
        self.ok("CreateAutoScalingGroup", &pairs);
    }

    /// World time goes on.
    pub(crate) fn pass(&self, seconds: i64) {
        let order = serde_json::from_value(json!({"advance": format!("{seconds}s")})).expect("an order");
        self.0.clock.order(&order).expect("the clock goes on");
        self.0.tick();
    }

    /// The group `web` in truth.
    pub(crate) fn web(&self) -> Value {
        self.0.truth()["groups"]
            .as_array()
            .and_then(|groups| groups.iter().find(|group| group["name"] == "web").cloned())
            .unwrap_or_default()
    }

    /// Its members that are in service, oldest first.
    pub(crate) fn serving(&self) -> Vec<Value> {
        let members = self.web()["instances"].as_array().cloned().unwrap_or_default();
        members.into_iter().filter(|member| member["state"] == "InService").collect()
    }

    /// `autoscaling/target-lifecycle-state` as an instance reads it.
    pub(crate) fn target_state(&self, id: &str) -> Option<String> {
        self.0.metadata(id)?.target_state
    }

    /// The world's time now.
    pub(crate) fn now(&self) -> jiff::Timestamp {
        self.0.clock.now()
    }

    /// An instance dies.
    pub(crate) fn kill(&self, id: &str) {
        self.ec2("TerminateInstances", &[("InstanceId.1", id)]);
    }
}
