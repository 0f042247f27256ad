//! What goes wrong, by script: the document that `--faults` and `/_sim/faults` take.
//!
//! ```json
//! {
//!   "rules": [
//!     {"action": "CreateFleet", "skip": 1, "times": 2, "point": "after-commit", "do": "reset"},
//!     {"action": "*", "service": "ec2", "times": null, "share_percent": 5,
//!      "do": {"error": {"code": "RequestLimitExceeded", "status": 503, "message": "Request limit exceeded."}}}
//!   ],
//!   "deny": ["TerminateInstances", "sqs:PurgeQueue"],
//!   "hosts": [
//!     {"at": "90s", "which": "spot:0", "do": "kill"},
//!     {"when": {"action": "ReceiveMessage", "call": 40}, "which": "3", "do": "blackhole"}
//!   ],
//!   "lag_seconds": 300, "queue_lag_seconds": 60, "throttle": true,
//!   "empty_pools": [{"instance_type": "m7i.large", "zone": "*", "market": "spot"}],
//!   "pools": [{"instance_type": "m7i.large", "zone": "us-east-1a", "market": "*", "size": 3}],
//!   "quotas": {"on_demand_vcpus": 64, "spot_vcpus": 8},
//!   "account": {
//!     "missing_roles": ["AWSServiceRoleForEC2Spot"], "empty_profiles": ["worker"], "images_may_be_public": true,
//!     "keys": [{"id": "1234abcd-12ab-34cd-56ef-1234567890ab", "state": "Enabled", "grants": ["AWSServiceRoleForEC2Spot"]}],
//!     "ebs_default_key": "1234abcd-12ab-34cd-56ef-1234567890ab", "ipv6_only_subnets": ["subnet-0123456789abcdef0"]
//!   },
//!   "image_fails": false,
//!   "die_after_launch": {"share_percent": 10, "after_seconds": 20, "reason": "Server.InternalError"},
//!   "stuck": [{"state": "pending", "share_percent": 2}]
//! }
//! ```
//!
//! Each share is drawn by a hash of (seed, rule, action, parameters, attempt): the same call meets the same fate
//! whatever runs beside it.

mod check;
mod events;
mod script;

pub(crate) use events::{HostEvents, Instance};
pub(crate) use script::{Fault, Faults};

use super::account::Account;
use super::hosts::HostAct;
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

/// A fault script. Every field may be left out; the empty document is a world where all goes well.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FaultScript {
    /// Faults of single calls; the first rule that wants a call has it.
    pub(crate) rules: Vec<Rule>,
    /// Actions that the caller may not do: `Action`, `service:Action` or `service:*`. EC2 answers them with
    /// `UnauthorizedOperation`, the others with `AccessDenied`, dry runs too. `iam:PassRole` is needed by RunInstances with
    /// an instance profile. A fleet whose caller may not run instances
    /// succeeds, without an instance: its answer names the error.
    pub(crate) deny: Vec<String>,
    /// What happens to hosts, and when.
    pub(crate) hosts: Vec<HostEvent>,
    /// Longest visibility lag of an EC2 change, seconds of world time; the seed's own value if absent.
    pub(crate) lag_seconds: Option<u32>,
    /// How old the counters of a queue can be, seconds of world time.
    pub(crate) queue_lag_seconds: u32,
    /// Whether AWS's published token buckets refuse calls; true if absent.
    pub(crate) throttle: bool,
    /// Pools without capacity, whatever the seed says.
    pub(crate) empty_pools: Vec<PoolPattern>,
    /// Pools of another size than the seed says; of several that fit the first counts.
    pub(crate) pools: Vec<PoolSize>,
    /// Quotas other than the seed's.
    pub(crate) quotas: Quotas,
    /// What the account has besides machines.
    pub(crate) account: Account,
    /// Whether images made from now on end as `failed`.
    pub(crate) image_fails: bool,
    /// Instances that die soon after their launch.
    pub(crate) die_after_launch: Option<DieAfter>,
    /// States that some instances never leave.
    pub(crate) stuck: Vec<StuckState>,
}

impl Default for FaultScript {
    fn default() -> Self {
        Self {
            rules: Vec::new(),
            deny: Vec::new(),
            hosts: Vec::new(),
            lag_seconds: None,
            queue_lag_seconds: 0,
            throttle: true,
            empty_pools: Vec::new(),
            pools: Vec::new(),
            quotas: Quotas::default(),
            account: Account::default(),
            image_fails: false,
            die_after_launch: None,
            stuck: Vec::new(),
        }
    }
}

/// A fault of single calls.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rule {
    /// The action, for example `CreateFleet`; `*` is every action. Dry runs are nobody's business: no rule sees them.
    pub(crate) action: String,
    /// Only calls of this service: `ec2`, `sqs`, `sts`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) service: Option<String>,
    /// Calls that pass before the first one is hit.
    #[serde(default)]
    pub(crate) skip: u32,
    /// How many calls are hit: once if absent, every one if `null`.
    #[serde(default = "once")]
    pub(crate) times: Option<u32>,
    /// Before or after the call is carried out; if absent, `after-commit` for `cut`, `cut-clean` and `garble`, which
    /// only an answer can suffer, else `before-commit`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) point: Option<Point>,
    /// What happens to it.
    #[serde(rename = "do")]
    pub(crate) effect: Effect,
    /// Share of the calls that would be hit that are; 100 if absent.
    #[serde(default = "all")]
    pub(crate) share_percent: u32,
}

#[expect(clippy::unnecessary_wraps, reason = "serde wants the field's own type")]
fn once() -> Option<u32> {
    Some(1)
}

fn all() -> u32 {
    100
}

/// Where in the course of a call something happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Point {
    /// Nothing has been carried out yet.
    BeforeCommit,
    /// Carried out, not yet answered.
    AfterCommit,
}

/// What happens to a call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Effect {
    /// It is answered with this error. After the commit this is a 5xx that lies.
    Error(ErrorEffect),
    /// The connection is reset (RST) without an answer.
    Reset,
    /// Half of the answer comes, then the connection ends: fewer bytes than Content-Length promised.
    Cut,
    /// Half of the answer comes with a Content-Length that fits: only the missing end of the document tells.
    CutClean,
    /// The answer comes whole, with some bytes overwritten.
    Garble,
    /// No answer until the client gives up.
    Hang,
    /// The call goes on after this many seconds of *wall* time, since client time-outs are wall time.
    Delay {
        /// Seconds.
        seconds: f64,
    },
    /// The connection is reset at once and the call is carried out later, whether or not the client still lives.
    #[serde(rename = "late_commit", alias = "late-commit")]
    LateCommit {
        /// Seconds of world time.
        seconds: f64,
    },
}

/// An error as AWS would give it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ErrorEffect {
    /// For example `InsufficientInstanceCapacity`.
    pub(crate) code: String,
    /// HTTP status; 500 if absent. Mind that EC2 gives capacity (500) and throttling (503) as server errors.
    #[serde(default = "server_error")]
    pub(crate) status: u16,
    /// The message.
    #[serde(default = "foretold")]
    pub(crate) message: String,
}

fn server_error() -> u16 {
    500
}

fn foretold() -> String {
    "An error that the fault script asked for.".to_owned()
}

/// Something that is done to a host at a time or after a call.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HostEvent {
    /// World time after this script was given, for example `90s` or `10m`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) at: Option<String>,
    /// After a call was carried out; exactly one of `at` and `when` is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) when: Option<When>,
    /// An instance id, a launch index (`3`: the fourth instance launched) or an index within a market (`spot:0`,
    /// `on-demand:2`). The template and strangers' instances have no index. The event waits until that host runs.
    pub(crate) which: String,
    /// What is done.
    #[serde(rename = "do")]
    pub(crate) act: HostAct,
}

/// After which call.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct When {
    /// The action.
    pub(crate) action: String,
    /// The how manieth call of it that was carried out since the script was given; the first is 1.
    #[serde(default = "first")]
    pub(crate) call: u32,
}

fn first() -> u32 {
    1
}

/// Capacity pools; `*` in a field is any value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PoolPattern {
    /// Instance type.
    #[serde(default = "any")]
    pub(crate) instance_type: String,
    /// Zone.
    #[serde(default = "any")]
    pub(crate) zone: String,
    /// `spot` or `on-demand`.
    #[serde(default = "any")]
    pub(crate) market: String,
}

fn any() -> String {
    "*".to_owned()
}

impl PoolPattern {
    /// Whether a pool is meant.
    pub(crate) fn matches(&self, instance_type: &str, zone: &str, market: &str) -> bool {
        let fits = |pattern: &str, value: &str| pattern == "*" || pattern == value;
        fits(&self.instance_type, instance_type) && fits(&self.zone, zone) && fits(&self.market, market)
    }
}

/// Capacity pools, and how many instances each of them holds, those launched so far included.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PoolSize {
    /// Which.
    #[serde(flatten)]
    pub(crate) pools: PoolPattern,
    /// Instances.
    pub(crate) size: u32,
}

/// vCPUs that the account may use, those in use included; the seed's own figure where absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Quotas {
    /// In on-demand instances.
    pub(crate) on_demand_vcpus: Option<u32>,
    /// In spot instances.
    pub(crate) spot_vcpus: Option<u32>,
}

/// Instances that die soon after their launch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DieAfter {
    /// Share of the instances launched from now on.
    #[serde(default = "all")]
    pub(crate) share_percent: u32,
    /// World time from launch to death.
    pub(crate) after_seconds: u32,
    /// Code of the StateReason, for example `Client.VolumeLimitExceeded`.
    pub(crate) reason: String,
}

/// A state that some instances never leave by themselves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StuckState {
    /// `pending`, `shutting-down` or `stopping`.
    pub(crate) state: String,
    /// Share of the instances that get stuck there.
    #[serde(default = "all")]
    pub(crate) share_percent: u32,
}

/// The world-shaping settings that the EC2 service honours.
#[derive(Clone, Debug, Default)]
pub(crate) struct Control {
    /// Longest visibility lag of a change, seconds of world time.
    pub(crate) lag_seconds: u32,
    /// Pools without capacity.
    pub(crate) empty_pools: Vec<PoolPattern>,
    /// Pools of another size than the seed says.
    pub(crate) pools: Vec<PoolSize>,
    /// Quotas other than the seed's.
    pub(crate) quotas: Quotas,
    /// What the account has besides machines.
    pub(crate) account: Account,
    /// Whether new images fail.
    pub(crate) image_fails: bool,
    /// Whether the caller may not run instances.
    pub(crate) launch_denied: bool,
    /// Instances that die soon.
    pub(crate) die_after_launch: Option<DieAfter>,
    /// States that are not left.
    pub(crate) stuck: Vec<StuckState>,
}

/// Why a fault script makes no sense.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("fault script: {0}")]
pub struct ScriptError(String);

impl FaultScript {
    /// What the EC2 service has to honour.
    pub(crate) fn control(&self, seed_lag: u32) -> Control {
        Control {
            lag_seconds: self.lag_seconds.unwrap_or(seed_lag),
            empty_pools: self.empty_pools.clone(),
            pools: self.pools.clone(),
            quotas: self.quotas,
            account: self.account.clone(),
            image_fails: self.image_fails,
            launch_denied: self
                .deny
                .iter()
                .any(|action| ["RunInstances", "ec2:RunInstances"].contains(&action.as_str())),
            die_after_launch: self.die_after_launch.clone(),
            stuck: self.stuck.clone(),
        }
    }
}

/// A span of world time in the friendly form, not negative.
pub(crate) fn span(text: &str) -> Option<SignedDuration> {
    text.parse::<SignedDuration>().ok().filter(|span| !span.is_negative())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_of_the_head_is_read() {
        let text = include_str!("mod.rs");
        let example: String = text
            .lines()
            .skip_while(|line| *line != "//! ```json")
            .skip(1)
            .take_while(|line| *line != "//! ```")
            .map(|line| line.trim_start_matches("//!"))
            .collect();
        let script: FaultScript = serde_json::from_str(&example).expect("the example is a fault script");
        script.check().expect("and makes sense");
        assert_eq!(script.rules[0].times, Some(2));
        assert_eq!(script.rules[1].times, None);
        let again: FaultScript =
            serde_json::from_value(serde_json::to_value(&script).expect("written")).expect("what is shown is taken");
        assert_eq!(again.rules[1].effect, script.rules[1].effect);
    }

    #[test]
    fn the_empty_document_is_a_quiet_world() {
        let script: FaultScript = serde_json::from_str("{}").expect("empty");
        assert!(script.throttle && script.rules.is_empty());
        assert_eq!(script.control(300).lag_seconds, 300);
    }
}
