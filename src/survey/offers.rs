//! What a launch can be made of: types that the region has, the zones that offer them, and what they cost.

use super::when;
use crate::aws::Clients;
use crate::model::{Fault, Money, Offer, Offers, Zone};
use crate::plan::listed::on_demand;
use crate::plan::types::Wanted;
use jiff::Timestamp;
use jiff::civil::Date;
use std::collections::{BTreeMap, BTreeSet};

/// Looks at the types that are wanted, in these zones. Prices are still to be asked for.
///
/// # Errors
///
/// The first read that failed.
pub async fn offers(clients: &Clients, wanted: &Wanted<'_>, zones: &[Zone], spot: bool) -> Result<Vec<Offer>, Fault> {
    let (mut types, names) = match wanted {
        Wanted::Named(names) => {
            let mut types = clients.types_named(names).await?;
            let absent = names.iter().filter(|name| !types.iter().any(|offer| offer.name == **name));
            let like: Vec<String> = absent.flat_map(|name| patterns(name)).collect();
            // What a mistake may have meant; the plan refuses it either way.
            types.extend(clients.types_named(&like).await?);
            (types, *names)
        }
        Wanted::Like(required, architecture) => {
            let (current, burstable) = (required.current_only, required.burstable);
            (clients.types_like(architecture, current, burstable, spot).await?, &[][..])
        }
    };
    let mut zones = clients.offerings(zones, names).await?;
    for offer in &mut types {
        offer.zones = zones.remove(&offer.name).unwrap_or_default();
    }
    types.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(types)
}

/// Types whose names are like this one, as EC2's filters take patterns: of its family, or of its size.
fn patterns(name: &str) -> Vec<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
    match name.split_once('.') {
        Some((family, size)) if name.chars().all(|c| plain(c) || c == '.') && !family.is_empty() => {
            vec![format!("{family}.*"), format!("{}*.{size}", &family[..1])]
        }
        Some(_) | None => Vec::new(),
    }
}

/// What all sums are in.
const DOLLARS: &str = "USD";

/// What hosts have besides their types, as far as it decides which prices are asked for.
#[derive(Clone, Copy, Debug)]
pub struct Extras<'a> {
    /// Whether some are spot.
    pub spot: bool,
    /// The type of their root volumes.
    pub volume: &'a str,
    /// Whether they have public addresses.
    pub addresses: bool,
}

/// Asks what these types cost, and what their volumes and addresses do. A price that nobody tells stays unknown, and why is
/// said: a price is never a reason not to launch.
pub async fn price(clients: &Clients, offers: &mut Offers, extras: Extras<'_>, now: Timestamp) {
    let names: Vec<String> = offers.types.iter().map(|offer| offer.name.clone()).collect();
    let (listed, spot, volume, address) = tokio::join!(
        clients.list_prices(&names),
        when(extras.spot, clients.spot_price_history(&names, now)),
        clients.volume_price(extras.volume),
        when(extras.addresses, clients.address_price()),
    );
    let (spot, address) = (spot.unwrap_or_else(|| Ok(BTreeMap::new())), address.unwrap_or(Ok(None)));
    let mut doubts = BTreeSet::new();
    let mut known = |what: &str, fault: &Fault| {
        doubts.insert(format!("{what} could not be read: {fault}"));
    };
    offers.listed = listed.as_ref().is_ok_and(|listed| !listed.is_empty());
    let listed: BTreeMap<String, Money> = listed.unwrap_or_else(|fault| {
        known("list prices", &fault);
        BTreeMap::new()
    });
    let spot = spot.unwrap_or_else(|fault| {
        known("spot prices", &fault);
        BTreeMap::new()
    });
    // DescribeSpotPriceHistory has no field for the currency (EC2 API reference), and no sum here is of two.
    let currency = clients.region().partition().currency;
    let spot = if currency == DOLLARS {
        spot
    } else {
        doubts.insert(format!("prices in {} are in {currency}, not in dollars, and not counted", clients.region()));
        BTreeMap::new()
    };
    offers.gib_month = volume.unwrap_or_default();
    offers.address_hour = address.unwrap_or_default();
    for ((name, zone), price) in spot {
        if let Some(offer) = offers.types.iter_mut().find(|offer| offer.name == name) {
            offer.spot_price.insert(zone, price);
        }
    }
    let mut dated: BTreeMap<Date, Vec<&str>> = BTreeMap::new();
    for offer in &mut offers.types {
        offer.on_demand = listed.get(&offer.name).copied();
        if let (None, Some(old)) = (offer.on_demand, on_demand(clients.region(), &offer.name)) {
            offer.on_demand = Some(old.price);
            dated.entry(old.day).or_default().push(&offer.name);
        }
    }
    let dated = dated.iter().map(|(day, types)| {
        format!("the built-in table of {day} has the on-demand price of {}: AWS may have changed it", types.join(", "))
    });
    offers.doubts.extend(doubts.into_iter().chain(dated));
}
