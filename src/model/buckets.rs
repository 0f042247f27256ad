//! AWS's published request throttling of EC2: how many calls, and how many hosts by them, an account may use in a region.
//!
//! Numbers: "Request throttling for the Amazon EC2 API" in the EC2 developer guide, its tables of request and of resource
//! tokens.

/// A token bucket: an action may use what it holds at once, and then as much as it is filled with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// Tokens of a full bucket; above 0.
    pub holds: u32,
    /// Tokens that come back in a second; above 0.
    pub per_second: u32,
}

const fn bucket(holds: u32, per_second: u32) -> Bucket {
    Bucket { holds, per_second }
}

/// All reads that are filtered or paged, as ours are. The guide gives each such action a bucket of its own; ours share one.
pub const READS: Bucket = bucket(100, 20);
/// What [`READS`] is called where actions are named.
pub const READ: &str = "Describe";

/// The hosts that may be launched. Whether CreateFleet draws on it is not said; whoever plans assumes it.
pub const LAUNCHED: Bucket = bucket(1000, 2);

/// The calls of an action.
pub fn calls(action: &str) -> Bucket {
    match action {
        READ => READS,
        "RunInstances" => bucket(5, 2),
        "CreateTags" | "DeleteTags" => bucket(100, 10),
        "CopyImage" => bucket(100, 1),
        "TerminateInstances"
        | "DeregisterImage"
        | "CreateSnapshot"
        | "DeleteSnapshot"
        | "DeleteVolume"
        | "ModifyImageAttribute"
        | "CreateLaunchTemplateVersion"
        | "ModifyLaunchTemplate" => bucket(100, 5),
        // What changes something and is not listed apart; other services' calls too, which publish no figures.
        _ => bucket(50, 5),
    }
}

/// The hosts that calls of an action may name, where the guide counts them. Launches are not among them here: the capacity
/// ladder plans its requests by [`LAUNCHED`].
pub fn hosts(action: &str) -> Option<Bucket> {
    (action == "TerminateInstances").then_some(bucket(1000, 20))
}
