//! Instance types as EC2 offers them, and what using them costs.

use super::{Money, Zone};
use std::collections::{BTreeMap, BTreeSet};

/// What a launch can be made of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offers {
    /// The types asked about, by name; one that the region does not have is absent.
    pub types: Vec<Offer>,
    /// A GiB of the hosts' root volume for a month, where the price list says so.
    pub gib_month: Option<Money>,
    /// A public IPv4 address for an hour, where the price list says so.
    pub address_hour: Option<Money>,
    /// Whether AWS's price list was asked just now, and answered.
    pub listed: bool,
    /// Why prices are unknown or not of today, where they are; for people.
    pub doubts: Vec<String>,
}

/// One instance type in one region.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offer {
    /// For example `m7i.large`.
    pub name: String,
    /// Quotas are counted in these.
    pub vcpus: u32,
    /// MiB.
    pub memory_mib: u64,
    /// `x86_64`, `arm64`; older types have several.
    pub architectures: Vec<String>,
    /// Whether it is sold as spot.
    pub spot: bool,
    /// The zones asked about that have it.
    pub zones: BTreeSet<Zone>,
    /// An hour at the list price, where known.
    pub on_demand: Option<Money>,
    /// An hour of spot on the mean of the last 24 h, in each zone where known.
    pub spot_price: BTreeMap<Zone, Money>,
}
