//! AWS's published request throttling for EC2: token buckets per action, and resource tokens, on world time.
//!
//! Numbers: "Request throttling for the Amazon EC2 API" in the EC2 developer guide.

use super::api::{ApiError, Call, Payload};
use jiff::Timestamp;
use std::collections::HashMap;

/// Capacity and refill of one bucket.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Rate {
    capacity: f64,
    /// Tokens per second.
    refill: f64,
}

const fn rate(capacity: f64, refill: f64) -> Rate {
    Rate { capacity, refill }
}

/// Describe calls that have a smaller bucket of their own when neither filtered nor paginated.
const COSTLY_WHEN_BARE: [&str; 7] = [
    "DescribeInstances",
    "DescribeInstanceStatus",
    "DescribeVolumes",
    "DescribeSnapshots",
    "DescribeSecurityGroups",
    "DescribeNetworkInterfaces",
    "DescribeSpotInstanceRequests",
];

/// The request bucket of an action.
fn request_rate(action: &str, bare: bool) -> Rate {
    match action {
        _ if bare => rate(50.0, 10.0),
        "RunInstances" | "StartInstances" => rate(5.0, 2.0),
        "CreateTags" | "DeleteTags" => rate(100.0, 10.0),
        "CopyImage" => rate(100.0, 1.0),
        "TerminateInstances"
        | "DeregisterImage"
        | "CreateSnapshot"
        | "DeleteSnapshot"
        | "CreateVolume"
        | "DeleteVolume"
        | "ModifyImageAttribute"
        | "CreateLaunchTemplateVersion"
        | "ModifyLaunchTemplate" => rate(100.0, 5.0),
        _ if ["Describe", "Get", "List", "Search"].iter().any(|verb| action.starts_with(verb)) => rate(100.0, 20.0),
        // Mutating and resource-intensive actions share their numbers.
        _ => rate(50.0, 5.0),
    }
}

/// The resource bucket of an action.
fn resource_rate(action: &str) -> Rate {
    match action {
        "RunInstances" | "StartInstances" => rate(1000.0, 2.0),
        // TerminateInstances and StopInstances.
        _ => rate(1000.0, 20.0),
    }
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    tokens: f64,
    filled: Timestamp,
}

/// Every bucket of the account in the region.
#[derive(Debug, Default)]
pub(crate) struct Buckets {
    requests: HashMap<String, Bucket>,
    resources: HashMap<&'static str, Bucket>,
}

impl Buckets {
    /// Takes one request token, then `cost` resource tokens of the named action.
    ///
    /// # Errors
    ///
    /// `RequestLimitExceeded` when either bucket has too few; the resource bucket is then left as it was.
    pub(crate) fn take(&mut self, call: &Call, cost: Option<(&'static str, u32)>) -> Result<(), ApiError> {
        let bare = is_bare(call);
        let key = if bare { format!("{} unfiltered", call.action) } else { call.action.clone() };
        let full = |rate: Rate| Bucket { tokens: rate.capacity, filled: call.now };
        let rate = request_rate(&call.action, bare);
        let mut granted = self.requests.entry(key).or_insert_with(|| full(rate)).take(rate, 1.0, call.now);
        if let Some((action, wanted)) = cost {
            let rate = resource_rate(action);
            let bucket = self.resources.entry(action).or_insert_with(|| full(rate));
            granted = granted && bucket.take(rate, f64::from(wanted), call.now);
        }
        if granted {
            Ok(())
        } else {
            Err(ApiError::new("RequestLimitExceeded", "Request limit exceeded.").with_status(503))
        }
    }
}

impl Bucket {
    fn take(&mut self, rate: Rate, wanted: f64, now: Timestamp) -> bool {
        let passed = now.duration_since(self.filled).as_secs_f64().max(0.0);
        self.tokens = (self.tokens + passed * rate.refill).min(rate.capacity);
        self.filled = now;
        // A millionth of a token forgives the rounding of many small refills.
        let granted = self.tokens + 1e-6 >= wanted;
        if granted {
            self.tokens -= wanted;
        }
        granted
    }
}

/// Whether a call asks for everything: no filter, no page size, no ids.
fn is_bare(call: &Call) -> bool {
    let Payload::Query(pairs) = &call.payload else { return false };
    let narrows =
        |name: &str| name.starts_with("Filter.") || name == "MaxResults" || name == "NextToken" || name.contains("Id.");
    COSTLY_WHEN_BARE.contains(&call.action.as_str()) && !pairs.iter().any(|(name, _)| narrows(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::SignedDuration;

    fn call(action: &str, pairs: &[(&str, &str)], seconds: i64) -> Call {
        Call {
            service: "ec2".to_owned(),
            region: "us-east-1".to_owned(),
            action: action.to_owned(),
            payload: Payload::Query(pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()),
            principal: "AKIA".to_owned(),
            now: Timestamp::UNIX_EPOCH + SignedDuration::from_secs(seconds),
            request_id: "r".to_owned(),
        }
    }

    fn granted(buckets: &mut Buckets, call: &Call, tries: usize) -> usize {
        (0..tries).filter(|_| buckets.take(call, None).is_ok()).count()
    }

    #[test]
    fn run_instances_bursts_five_then_two_a_second() {
        let mut buckets = Buckets::default();
        assert_eq!(granted(&mut buckets, &call("RunInstances", &[], 0), 10), 5);
        assert_eq!(granted(&mut buckets, &call("RunInstances", &[], 3), 10), 5, "never above the capacity");
        assert_eq!(granted(&mut buckets, &call("RunInstances", &[], 4), 10), 2);
        assert_eq!(granted(&mut buckets, &call("CreateTags", &[], 4), 200), 100, "each action has its own");
    }

    #[test]
    fn a_bare_describe_has_the_smaller_bucket() {
        let mut buckets = Buckets::default();
        assert_eq!(granted(&mut buckets, &call("DescribeInstances", &[], 0), 200), 50);
        assert_eq!(granted(&mut buckets, &call("DescribeInstances", &[("MaxResults", "100")], 0), 200), 100);
        assert_eq!(granted(&mut buckets, &call("DescribeImages", &[], 0), 200), 100);
    }

    #[test]
    fn instances_are_tokens_of_their_own() {
        let mut buckets = Buckets::default();
        let run = call("RunInstances", &[], 0);
        assert!(buckets.take(&run, Some(("RunInstances", 900))).is_ok());
        let refusal = buckets.take(&run, Some(("RunInstances", 101))).expect_err("100 are left");
        assert_eq!((refusal.code.as_str(), refusal.status), ("RequestLimitExceeded", 503));
        assert!(buckets.take(&run, Some(("RunInstances", 100))).is_ok());
        let later = call("RunInstances", &[], 10);
        assert!(buckets.take(&later, Some(("RunInstances", 21))).is_err());
        assert!(buckets.take(&later, Some(("RunInstances", 20))).is_ok(), "two a second");
    }
}
