//! What a fleet has cost so far, what it costs an hour, and what is left of a budget: pure sums over hosts and prices.

use super::rates::Rates;
use crate::model::{Cost, Market, Money, Zone};
use jiff::{SignedDuration, Timestamp};

/// "billed in one-second increments, with a minimum of 60 seconds" (EC2 user guide, On-Demand Instances; spot alike).
pub(super) const LEAST: SignedDuration = SignedDuration::from_mins(1);

/// One host that was launched in this campaign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Used {
    /// For example `m7i.large`.
    pub instance_type: String,
    /// Its zone, where known.
    pub zone: Option<Zone>,
    /// Spot or on-demand.
    pub market: Market,
    /// When it was launched.
    pub from: Timestamp,
    /// How it ended.
    pub end: End,
}

/// How a host ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Not at all.
    Lives,
    /// By our own call, at that time.
    At(Timestamp),
    /// Nobody here knows when.
    Unknown,
}

/// What these hosts have cost until now.
pub fn so_far(used: &[Used], rates: &Rates<'_>, now: Timestamp) -> Cost {
    used.iter().map(|host| one(host, rates, now)).sum()
}

fn one(host: &Used, rates: &Rates<'_>, now: Timestamp) -> Cost {
    let hour = rates.host(&host.instance_type, host.zone.as_ref(), host.market);
    let (until, certain) = match host.end {
        End::Lives => (now, true),
        End::At(end) => (end, true),
        End::Unknown => (host.from, false),
    };
    let cost = hour.per_hour_for(until.duration_since(host.from).max(LEAST).as_secs());
    Cost { complete: cost.complete && certain, ..cost }
}

/// What the living ones cost an hour.
pub fn hourly(used: &[Used], rates: &Rates<'_>) -> Cost {
    let living = used.iter().filter(|host| host.end == End::Lives);
    living.map(|host| rates.host(&host.instance_type, host.zone.as_ref(), host.market)).sum()
}

/// How a budget stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Budget {
    /// Something is left.
    Left(Money),
    /// It is used up: by how much, at least.
    Reached(Cost),
}

/// Whether a budget is used up: so it is as soon as what is known reaches it.
pub fn stand(stop_at: Money, so_far: Cost) -> Budget {
    let known = so_far.micro_usd.unwrap_or_default();
    if known >= stop_at {
        Budget::Reached(so_far)
    } else {
        Budget::Left(Money::from_micros(stop_at.micros() - known.micros()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Offer, Offers};
    use proptest::prelude::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::constant(1_800_000_000, 0) + SignedDuration::from_secs(seconds)
    }

    fn used(kind: &str, market: Market, end: End) -> Used {
        Used { instance_type: kind.into(), zone: Some(Zone::new("a")), market, from: at(0), end }
    }

    fn offers() -> Offers {
        let offer = |name: &str, price| Offer {
            name: name.into(),
            on_demand: price,
            spot_price: price.map(|price| (Zone::new("a"), price)).into_iter().collect(),
            ..Offer::default()
        };
        let types = vec![offer("m7i.large", Some(Money::from_micros(100_000))), offer("odd.large", None)];
        Offers { types, gib_month: Some(Money::from_micros(80_000)), ..Offers::default() }
    }

    #[test]
    fn hosts_cost_by_the_second_a_minute_at_least() {
        let offers = offers();
        let rates = Rates { offers: &offers, root_gib: Some(0), addresses: false };
        let cost = |end, now| so_far(&[used("m7i.large", Market::OnDemand, end)], &rates, at(now)).to_string();
        assert_eq!(cost(End::Lives, 7200), "$0.2000");
        assert_eq!(cost(End::At(at(3600)), 7200), "$0.1000");
        assert_eq!(cost(End::Lives, 1), "$0.0017");
        assert_eq!(cost(End::Unknown, 7200), "at least $0.0017");
        let odd = [used("odd.large", Market::Spot, End::Lives), used("m7i.large", Market::Spot, End::Lives)];
        assert_eq!(hourly(&odd, &rates).to_string(), "at least $0.1000");
        assert_eq!(hourly(&odd[..1], &Rates { root_gib: None, ..rates }).to_string(), "unknown");
        assert_eq!(hourly(&[], &rates).to_string(), "$0.00");
    }

    #[test]
    fn a_budget_is_reached_by_what_is_known() {
        let stop = Money::from_micros(1_000);
        assert_eq!(stand(stop, Cost::UNKNOWN), Budget::Left(stop));
        assert_eq!(stand(stop, Cost::of(Some(Money::from_micros(400)), 2)), Budget::Left(Money::from_micros(200)));
        let over = Cost { micro_usd: Some(stop), complete: false };
        assert_eq!(stand(stop, over), Budget::Reached(over));
    }

    proptest! {
        /// More hosts and more time never cost less, and a host of unknown price never costs nothing.
        #[test]
        fn costs_only_grow(hosts in prop::collection::vec((any::<bool>(), any::<bool>()), 1..20), now in 0_i64..100_000) {
            let offers = offers();
            let rates = Rates { offers: &offers, root_gib: Some(8), addresses: false };
            let all: Vec<Used> = hosts.iter().map(|(known, lives)| {
                let end = if *lives { End::Lives } else { End::At(at(now / 2)) };
                used(if *known { "m7i.large" } else { "odd.large" }, Market::Spot, end)
            }).collect();
            let whole = so_far(&all, &rates, at(now));
            prop_assert_eq!(whole.complete, hosts.iter().all(|(known, _)| *known));
            prop_assert!(whole.micro_usd.is_none_or(|known| known > Money::ZERO));
            let fewer = so_far(&all[1..], &rates, at(now));
            prop_assert!(whole.micro_usd >= fewer.micro_usd.filter(|known| *known > Money::ZERO));
            prop_assert!(so_far(&all, &rates, at(now + 3600)).micro_usd >= whole.micro_usd);
        }
    }
}
