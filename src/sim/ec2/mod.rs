//! EC2 as the rehearsal cloud answers it: plain data, world time handed in, bodies called through [`Hosts`].
//!
//! One call changes the world at most once, and reads it as the caller's replica shows it: who reads by id what this
//! reader cannot see yet gets the same `NotFound` as AWS would give, while uniqueness, capacity, quotas and tokens are
//! decided on the truth.
//!
//! [`Hosts`]: crate::sim::hosts::Hosts

mod actions;
mod agenda;
mod allocate;
mod attribute;
mod capacity;
mod copy_image;
mod cost;
mod create_image;
mod decoy;
mod defaults;
mod devices;
mod filter;
mod fleet;
mod fleet_describe;
mod ids;
mod image;
mod instances;
mod launch;
mod lifecycle;
mod members;
mod network;
mod outside;
mod page;
pub(in crate::sim) mod params;
mod places;
mod power;
mod records;
mod retire;
mod run;
mod snapshot;
mod spec;
mod spot;
mod start;
mod status;
mod tag;
mod template;
mod template_read;
mod template_write;
mod terminate;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_fleet;
mod tokens;
mod types;
mod visible;
mod volume;
mod wish;
mod world;

use super::api::{ApiError, Call, Handled, Payload};
use super::faults::Control;
use super::hosts::SharedHosts;
use super::partition;
use super::seed::{Seed, SeedType};
use super::xml::Xml;
pub(crate) use copy_image::source_region;

use agenda::Agenda;
use capacity::Capacity;
use ids::Ids;
use jiff::Timestamp;
use network::Network;
use params::Node;
use records::{Fleet, Image, Instance, Snapshot, Tags, Template, Volume};
use std::collections::BTreeSet;
use tokens::Tokens;
use visible::{Eye, Store};

/// The service and all its resources.
pub(crate) struct Ec2 {
    account: String,
    region: String,
    seed: u64,
    hosts: SharedHosts,
    control: Control,
    now: Timestamp,
    ids: Ids,
    agenda: Agenda,
    tokens: Tokens,
    capacity: Capacity,
    network: Network,
    types: Vec<SeedType>,
    profiles: Vec<String>,
    quota: (u32, u32),
    instances: Store<Instance>,
    volumes: Store<Volume>,
    images: Store<Image>,
    snapshots: Store<Snapshot>,
    templates: Store<Template>,
    fleets: Store<Fleet>,
}

impl std::fmt::Debug for Ec2 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ec2").field("region", &self.region).field("now", &self.now).finish_non_exhaustive()
    }
}

/// One call, read.
struct Ask<'a> {
    /// Parameters as a tree.
    params: Node,
    /// Parameters as they came, for the token table.
    pairs: &'a [(String, String)],
    /// Whose view of the world.
    eye: Eye,
    /// World time.
    now: Timestamp,
    /// The image that a CopyImage names, as the region sees it that has it.
    offered: Option<Image>,
}

/// An image that another region's EC2 may copy.
#[derive(Clone, Debug)]
pub(crate) struct Offered(Image);

/// Ids that a Describe call asks for; none means all.
struct Wanted(Option<BTreeSet<String>>);

impl Wanted {
    /// Whether this one is asked for.
    fn takes(&self, id: &str) -> bool {
        self.0.as_ref().is_none_or(|ids| ids.contains(id))
    }

    /// Whether ids were given.
    fn some(&self) -> bool {
        self.0.is_some()
    }
}

impl Ask<'_> {
    /// The ids in a list parameter, each checked to be there: an id that names nothing fails the whole call.
    fn wanted(&self, list: &str, kind: &str, exists: impl Fn(&str) -> bool) -> Result<Wanted, ApiError> {
        let ids = self.params.texts(list);
        if let Some(bad) = ids.iter().find(|id| !exists(id)) {
            return Err(ids::unknown(kind, bad));
        }
        Ok(Wanted((!ids.is_empty()).then(|| ids.into_iter().collect())))
    }

    /// Ids and paging exclude each other in the calls that list billed things.
    fn not_paged(&self, wanted: &Wanted, set: &str) -> Result<(), ApiError> {
        if wanted.some() && self.params.text("MaxResults").is_some() {
            return Err(ApiError::new(
                "InvalidParameterCombination",
                format!("The parameter {set} cannot be used with the parameter maxResults"),
            ));
        }
        Ok(())
    }
}

impl Ec2 {
    /// The world at its start: network, images, template instance and decoys of the seed.
    pub(crate) fn new(seed: &Seed, rng_seed: u64, hosts: SharedHosts, now: Timestamp) -> Ec2 {
        // What is there at the start has been there for a day: nobody's replica lags behind that.
        let before = now.saturating_sub(jiff::SignedDuration::from_hours(24)).unwrap_or(now);
        let mut ids = Ids::new(rng_seed);
        let network = Network::new(seed, &mut ids, before);
        let mut ec2 = Ec2 {
            account: seed.account.clone(),
            region: seed.region.clone(),
            seed: rng_seed,
            hosts,
            control: Control { lag_seconds: seed.lag_seconds, ..Control::default() },
            now,
            ids,
            agenda: Agenda::default(),
            tokens: Tokens::default(),
            capacity: Capacity::new(seed),
            network,
            types: seed.types.clone(),
            profiles: seed.instance_profiles.clone(),
            quota: (seed.on_demand_vcpus, seed.spot_vcpus),
            instances: Store::default(),
            volumes: Store::default(),
            images: Store::default(),
            snapshots: Store::default(),
            templates: Store::default(),
            fleets: Store::default(),
        };
        ec2.populate(seed, before);
        ec2
    }

    /// EC2 in another region of the same world: empty until something is copied there, and never with bodies, since
    /// there is no network to launch into.
    pub(crate) fn abroad(seed: &Seed, region: &str, rng_seed: u64, now: Timestamp) -> Ec2 {
        let seed = Seed {
            region: region.to_owned(),
            subnets: Vec::new(),
            security_groups: Vec::new(),
            key_pairs: std::collections::BTreeMap::default(),
            template: None,
            images: Vec::new(),
            queues: Vec::new(),
            decoys: false,
            ..seed.clone()
        };
        let rng_seed = super::draw::number(rng_seed, &["region", region]);
        Ec2::new(&seed, rng_seed, std::sync::Arc::new(super::hosts::NoHosts), now)
    }

    /// Carries a call out; `offered` is the image that it wants to copy, where there is one.
    pub(crate) fn handle(&mut self, call: &Call, offered: Option<Offered>, control: &Control) -> Handled {
        self.control = control.clone();
        self.advance(call.now);
        let Payload::Query(pairs) = &call.payload else {
            return Err(ApiError::new("MalformedQueryString", "EC2 takes form parameters"));
        };
        let eye = Eye { seed: self.seed, principal: call.principal.clone(), now: self.now, lag: control.lag_seconds };
        let params = Node::from_pairs(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let ask = Ask { params, pairs, eye, now: self.now, offered: offered.map(|Offered(image)| image) };
        self.act_on(&call.action, &ask)
    }

    /// Tokens that a call draws from its action's resource bucket.
    pub(crate) fn resource_cost(call: &Call) -> Option<(&'static str, u32)> {
        let Payload::Query(pairs) = &call.payload else { return None };
        let count = |list: &str| {
            let ids = pairs.iter().filter(|(name, _)| name.strip_prefix(list).is_some_and(|n| n.starts_with('.')));
            u32::try_from(ids.count()).unwrap_or(u32::MAX)
        };
        match call.action.as_str() {
            "RunInstances" => {
                let most = pairs.iter().find(|(name, _)| name == "MaxCount").and_then(|(_, value)| value.parse().ok());
                Some(("RunInstances", most.unwrap_or(1)))
            }
            "TerminateInstances" => Some(("TerminateInstances", count("InstanceId"))),
            "StartInstances" => Some(("StartInstances", count("InstanceId"))),
            "StopInstances" => Some(("StopInstances", count("InstanceId"))),
            _ => None,
        }
    }

    /// The instance profiles that launches may name.
    pub(crate) fn profiles(&self) -> &[String] {
        &self.profiles
    }

    /// An EC2 ARN in this account.
    fn arn(&self, kind: &str, id: &str) -> String {
        format!("arn:{}:ec2:{}:{}:{kind}/{id}", partition::of(&self.region), self.region, self.account)
    }
}

/// A time as EC2 writes it.
fn when(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

/// `<tagSet>`.
fn write_tags(xml: &mut Xml, tags: &Tags) {
    xml.list("tagSet", tags, |xml, (key, value)| {
        xml.text("key", key).text("value", value);
    });
}
