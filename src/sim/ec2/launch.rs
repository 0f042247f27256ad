//! Makes instances: the common end of RunInstances, CreateFleet and the world's start.

use super::agenda::Due;
use super::capacity::Pool;
use super::network::mac;
use super::records::{Attached, Instance, Interface, Market, Origin, Reason, State, Subnet, Volume};
use super::spec::{Spec, tags_for};
use super::{Ec2, cost};
use crate::sim::api::ApiError;
use crate::sim::draw::hits;
use crate::sim::hosts::NewHost;
use crate::sim::seed::SeedType;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};

/// What one call says about all its instances.
#[derive(Clone, Debug)]
pub(super) struct Birth {
    /// `r-...`
    pub(super) reservation: String,
    /// ClientToken.
    pub(super) token: Option<String>,
    /// The fleet, if a fleet made it.
    pub(super) fleet: Option<String>,
    /// Who.
    pub(super) origin: Origin,
    /// World time.
    pub(super) at: Timestamp,
}

impl Ec2 {
    /// The pool that a type in a subnet is taken from.
    pub(super) fn pool(kind: &SeedType, subnet: &Subnet, market: Market) -> Pool {
        Pool { instance_type: kind.name.clone(), zone: subnet.zone.clone(), market: market.word() }
    }

    /// Today's price of a type, millionths of a dollar an hour.
    pub(super) fn price(kind: &SeedType, market: Market) -> u64 {
        let text = match market {
            Market::Spot => &kind.spot,
            Market::OnDemand => &kind.on_demand,
        };
        cost::micros(text).unwrap_or_default()
    }

    /// vCPUs that the account's quota still allows in a market.
    pub(super) fn quota_left(&self, market: Market) -> u32 {
        let used: u32 = self
            .instances
            .all()
            .filter(|instance| instance.market == market && holds(instance.state))
            .map(|instance| instance.vcpus)
            .sum();
        let quota = match market {
            Market::Spot => self.control.quotas.spot_vcpus.unwrap_or(self.quota.1),
            Market::OnDemand => self.control.quotas.on_demand_vcpus.unwrap_or(self.quota.0),
        };
        quota.saturating_sub(used)
    }

    /// Makes one instance in `pending` with its interface, address and volumes, and its body.
    pub(super) fn give_birth(&mut self, spec: &Spec, subnet: &Subnet, birth: &Birth, index: usize) -> String {
        let id = self.ids.long("i");
        self.bear(&id, spec, subnet, birth, index);
        let (control, seed) = (self.control.clone(), self.seed);
        if let Some(die) = control.die_after_launch
            && hits(seed, die.share_percent, &["die", &id])
        {
            let after = SignedDuration::from_secs(i64::from(die.after_seconds));
            let at = birth.at.saturating_add(after).unwrap_or(Timestamp::MAX);
            self.agenda.set(at, Due::Die { id: id.clone(), reason: die.reason });
        }
        let pool = Self::pool(&spec.kind, subnet, spec.market);
        self.capacity.take(&pool);
        self.settle_later(&id, birth.at);
        id
    }

    /// The instance with everything around it, without timers and capacity.
    pub(super) fn bear(&mut self, id: &str, spec: &Spec, subnet: &Subnet, birth: &Birth, index: usize) {
        let counts = matches!(birth.origin, Origin::Call(_));
        let address = self.network.take(subnet, counts);
        let interface_id = self.ids.long("eni");
        let interface = Interface {
            mac: mac(self.seed, &interface_id),
            id: interface_id,
            attachment: self.ids.long("eni-attach"),
            tags: tags_for(&spec.tags, "network-interface"),
        };
        let spot = spec.market == Market::Spot;
        let instance = Instance {
            id: id.to_owned(),
            reservation: birth.reservation.clone(),
            index,
            token: birth.token.clone(),
            image: spec.image.id.clone(),
            instance_type: spec.kind.name.clone(),
            architecture: spec.kind.architecture.clone(),
            vcpus: spec.kind.vcpus,
            subnet: subnet.id.clone(),
            zone: subnet.zone.clone(),
            market: spec.market,
            spot_request: spot.then(|| self.ids.spot_request()),
            spot_tags: tags_for(&spec.tags, "spot-instances-request"),
            key: spec.key.clone(),
            groups: spec.groups.clone(),
            profile: spec.profile.clone(),
            user_data: spec.user_data.clone(),
            address,
            interface,
            root_device: spec.image.root_device.clone(),
            devices: self.volumes_for(id, spec, subnet, birth),
            metadata: spec.metadata.clone(),
            shutdown: spec.shutdown.clone(),
            guard: spec.guard,
            monitored: spec.monitored,
            ebs_optimized: spec.ebs_optimized,
            tenancy: spec.tenancy.clone(),
            tags: tags_for(&spec.tags, "instance"),
            state: State::Pending,
            step: 0,
            since: birth.at,
            reason: Some(Reason { code: "pending".to_owned(), message: "pending".to_owned() }),
            transition: String::new(),
            launched: birth.at,
            ended: None,
            fleet: birth.fleet.clone(),
            origin: birth.origin.clone(),
            notice: None,
            price: Self::price(&spec.kind, spec.market),
            billed: Vec::new(),
        };
        self.images.change(&spec.image.id, birth.at, |image| image.last_launched = Some(birth.at));
        // Nobody logs in to a decoy: it has no body.
        if birth.origin != Origin::Decoy {
            self.hosts.create(NewHost {
                id: id.to_owned(),
                image: spec.image.body.clone(),
                address,
                user_data: instance.user_data.as_ref().and_then(|text| STANDARD.decode(text).ok()),
                key_name: instance.key.clone(),
            });
        }
        self.instances.insert(id, birth.at, instance);
    }

    fn volumes_for(&mut self, id: &str, spec: &Spec, subnet: &Subnet, birth: &Birth) -> Vec<Attached> {
        let mut attached = Vec::new();
        for device in &spec.devices {
            let volume = self.ids.long("vol");
            self.volumes.insert(
                &volume,
                birth.at,
                Volume {
                    id: volume.clone(),
                    size: device.size,
                    kind: device.kind.clone(),
                    iops: device.iops,
                    throughput: device.throughput,
                    encrypted: device.encrypted,
                    key: device.key.clone(),
                    snapshot: device.snapshot.clone(),
                    zone: subnet.zone.clone(),
                    created: birth.at,
                    attached: Some((id.to_owned(), device.device.clone(), device.ends, birth.at)),
                    tags: tags_for(&spec.tags, "volume"),
                    origin: birth.origin.clone(),
                },
            );
            attached.push(Attached { device: device.device.clone(), volume, ends: device.ends, at: birth.at });
        }
        attached
    }
}

/// Whether an instance in this state takes up capacity and quota.
pub(super) fn holds(state: State) -> bool {
    matches!(state, State::Pending | State::Running | State::Stopping | State::ShuttingDown)
}

/// `InsufficientInstanceCapacity`: a server error at EC2, which is why SDKs retry it.
pub(super) fn no_capacity(kind: &str, zone: &str) -> ApiError {
    ApiError::new(
        "InsufficientInstanceCapacity",
        format!(
            "We currently do not have sufficient {kind} capacity in the Availability Zone you requested ({zone}). Our \
             system will be working on provisioning additional capacity."
        ),
    )
    .with_status(500)
}

/// The quota's error, which differs by market.
pub(super) fn over_quota(market: Market) -> ApiError {
    match market {
        Market::Spot => ApiError::new("MaxSpotInstanceCountExceeded", "Max spot instance count exceeded"),
        Market::OnDemand => ApiError::new(
            "VcpuLimitExceeded",
            "You have requested more vCPU capacity than your current vCPU limit allows for the instance bucket that the \
             specified instance type belongs to. Please visit http://aws.amazon.com/contact-us/ec2-request to request an \
             adjustment to this limit.",
        ),
    }
}

/// No address left in a subnet.
pub(super) fn no_addresses(subnet: &str) -> ApiError {
    ApiError::new(
        "InsufficientFreeAddressesInSubnet",
        format!(
            "There are not enough free addresses in subnet '{subnet}' to satisfy the requested number of instances."
        ),
    )
}

/// A spot bid below the price.
pub(super) fn too_cheap(bid: u64, price: u64) -> ApiError {
    let [bid, price] = [bid, price].map(|micros| format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000));
    ApiError::new(
        "SpotMaxPriceTooLow",
        format!(
            "Your Spot request price of {bid} is lower than the minimum required Spot request fulfillment price of {price}."
        ),
    )
}
