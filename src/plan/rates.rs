//! What a host costs an hour: itself, its root volume, its public address.

use crate::model::{Cost, Market, Money, Offers, Zone};

/// Hours of a month as AWS bills volumes (EBS pricing, "730 hours").
const MONTH: i64 = 730;

/// Prices, and what every host of the fleet has besides its type.
#[derive(Clone, Copy, Debug)]
pub struct Rates<'a> {
    /// What types, volumes and addresses cost.
    pub offers: &'a Offers,
    /// GiB of the root volume, where known.
    pub root_gib: Option<u32>,
    /// Whether hosts have public IPv4 addresses.
    pub addresses: bool,
}

impl Rates<'_> {
    /// An hour of this type in this zone.
    pub fn price(&self, kind: &str, zone: Option<&Zone>, market: Market) -> Option<Money> {
        let offer = self.offers.types.iter().find(|offer| offer.name == kind)?;
        match market {
            Market::OnDemand => offer.on_demand,
            Market::Spot => offer.spot_price.get(zone?).copied(),
        }
    }

    /// What every host costs an hour besides itself.
    pub fn extras(&self, hosts: u64) -> Cost {
        let month = self.offers.gib_month.zip(self.root_gib).map(|(price, gib)| price.times(u64::from(gib)));
        // Rounded up, so that a small volume is not free.
        let volume = month.map(|month| Money::from_micros((month.micros() + MONTH - 1) / MONTH));
        let address = Cost::of(self.offers.address_hour, if self.addresses { hosts } else { 0 });
        Cost::of(volume, hosts) + address
    }

    /// All that one host costs an hour.
    pub fn host(&self, kind: &str, zone: Option<&Zone>, market: Market) -> Cost {
        Cost::of(self.price(kind, zone, market), 1) + self.extras(1)
    }
}
