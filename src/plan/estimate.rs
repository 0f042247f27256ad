//! What a launch will cost and how long it takes, with every assumption named. Pure; what nobody knows stays unknown.

use super::bill::LEAST;
use super::rates::Rates;
use crate::model::buckets::{LAUNCHED, READS};
use crate::model::{Bucket, Cost, Market, Money, Zone, count};
use crate::time::tempo::per_second;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Hosts that one TerminateInstances call ends here.
const ENDED_PER_CALL: u64 = 500;
/// From the cheapest of the pools that may be used to the dearest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Range {
    /// In the cheapest pools.
    pub low: Cost,
    /// In the dearest.
    pub high: Cost,
}

/// What a launch comes to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Estimate {
    /// New hosts that it counts.
    pub hosts: u32,
    /// All new hosts for an hour, with their root volumes and public addresses.
    pub per_hour: Range,
    /// Until the job is done, where its length is known.
    pub job: Option<JobCost>,
    /// When nobody ends the hosts before they power themselves off.
    pub until_expiry: Range,
    /// World seconds until AWS's published limits let all hosts and all calls through; booting is not in it.
    pub launch_seconds: u64,
    /// Calls whose number grows with the fleet or that change something, by action.
    pub calls: BTreeMap<String, u64>,
    /// What all this rests on.
    pub assumptions: Vec<String>,
    /// Why prices are unknown or not of today, where they are.
    pub doubts: Vec<String>,
}

/// The cost of the job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct JobCost {
    /// World seconds.
    pub seconds: i64,
    /// What they follow from.
    pub because: String,
    /// The new hosts for so long.
    pub cost: Range,
}

/// How long a job will take, as far as the spec tells.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Job {
    /// Items of the feed, where they can be counted from here.
    pub items: Option<u64>,
    /// Items fed a second, on the mean.
    pub rate: Option<f64>,
    /// Seconds.
    pub deadline: Option<i64>,
}

/// All that an estimate is made from.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// New spot hosts.
    pub spot: u32,
    /// New on-demand hosts.
    pub on_demand: u32,
    /// Whether spot that can't be had is asked for on demand.
    pub fallback: bool,
    /// Types that may be used.
    pub types: &'a [String],
    /// Zones that may be used.
    pub zones: &'a [Zone],
    /// Most to pay for a spot hour.
    pub max_price: Option<Money>,
    /// What everything costs.
    pub rates: Rates<'a>,
    /// Seconds until a host powers itself off.
    pub expires: i64,
    /// Whether hosts are reached over SSH, which takes their consoles' host keys.
    pub consoles: bool,
    /// The job.
    pub job: Job,
}

/// Estimates.
pub fn estimate(input: &Input<'_>) -> Estimate {
    let hosts = input.spot.saturating_add(input.on_demand);
    let n = u64::from(hosts);
    let extras = input.rates.extras(n);
    let (spot, listed) = (bounds(input, Market::Spot), bounds(input, Market::OnDemand));
    let side = |pick: fn((Money, Money)) -> Money| {
        Cost::of(spot.map(pick), u64::from(input.spot))
            + Cost::of(listed.map(pick), u64::from(input.on_demand))
            + extras
    };
    let per_hour = Range { low: side(|(low, _)| low), high: side(|(_, high)| high) };
    let mut assumptions = Vec::new();
    if input.spot > 0 {
        assumptions.push("spot at the mean price of the last 24 h".to_owned());
        if input.fallback {
            let all = Cost::of(listed.map(|(_, high)| high), n) + extras;
            assumptions.push(match all.micro_usd {
                Some(_) => format!("were all hosts on demand, they would cost up to {all} an hour"),
                None => "spot that can't be had is asked for on demand, at a price that is not known".to_owned(),
            });
        }
    }
    if input.rates.offers.listed && (input.on_demand > 0 || input.spot > 0 && input.fallback) {
        assumptions.push("on demand at AWS's list price, asked for just now".to_owned());
    }
    if per_hour.low != per_hour.high {
        assumptions
            .push("which types and zones give the hosts is EC2's choice: from the cheapest to the dearest".to_owned());
    }
    assumptions.push(match input.rates.root_gib {
        Some(gib) => format!("a root volume of {gib} GiB a host, for 730 h a month"),
        None => "the size of the root volume is not known".to_owned(),
    });
    if input.rates.addresses {
        assumptions.push("a public IPv4 address a host: a subnet gives them".to_owned());
    }
    assumptions.push("no data transfer, queue calls or images".to_owned());
    let (launch_seconds, words) = arrival(n);
    assumptions.push(words);
    let reads = if input.consoles { n } else { 0 };
    let read_seconds = reads.saturating_sub(READS.holds.into()).div_ceil(READS.per_second.into());
    let calls = [
        ("CreateFleet", u64::from(n > 0)),
        ("GetConsoleOutput", reads),
        ("TerminateInstances", n.div_ceil(ENDED_PER_CALL)),
    ];
    Estimate {
        hosts,
        per_hour,
        job: length(&input.job).map(|(seconds, because)| JobCost {
            seconds,
            because,
            cost: lasting(per_hour, seconds),
        }),
        until_expiry: lasting(per_hour, input.expires),
        launch_seconds: launch_seconds.max(read_seconds),
        calls: calls.into_iter().filter(|(_, n)| *n > 0).map(|(action, n)| (action.to_owned(), n)).collect(),
        assumptions,
        doubts: input.rates.offers.doubts.clone(),
    }
}

/// The cheapest and the dearest pool of a market that may be used; unknown when any pool's price is.
fn bounds(input: &Input<'_>, market: Market) -> Option<(Money, Money)> {
    let mut range: Option<(Money, Money)> = None;
    for kind in input.types {
        let offer = input.rates.offers.types.iter().find(|offer| offer.name == *kind)?;
        for zone in input.zones.iter().filter(|zone| offer.zones.contains(*zone)) {
            let price = input.rates.price(kind, Some(zone), market)?;
            let most = input.max_price.filter(|_| market == Market::Spot);
            // A pool above the limit gives no host.
            if most.is_some_and(|most| price > most) {
                continue;
            }
            range = Some(range.map_or((price, price), |(low, high)| (low.min(price), high.max(price))));
        }
    }
    range
}

fn lasting(per_hour: Range, seconds: i64) -> Range {
    Range { low: per_hour.low.per_hour_for(seconds), high: per_hour.high.per_hour_for(seconds) }
}

/// How long the job takes, and why; no less than what a host is billed for.
pub fn length(job: &Job) -> Option<(i64, String)> {
    if let (Some(items), Some(rate)) = (job.items, job.rate) {
        #[expect(clippy::cast_precision_loss, reason = "an estimate; counts of items stay far below 2^52")]
        let seconds = jiff::SignedDuration::try_from_secs_f64((items as f64 / rate).ceil()).ok()?.as_secs();
        return Some((
            seconds.max(LEAST.as_secs()),
            format!("{items} items at {}, when the hosts keep up with the feed", per_second(rate)),
        ));
    }
    job.deadline.map(|seconds| (seconds, "the deadline: it may be done before".to_owned()))
}

/// World seconds until so many hosts may be launched, in words too.
fn arrival(hosts: u64) -> (u64, String) {
    let Bucket { holds, per_second } = LAUNCHED;
    let rest = hosts.saturating_sub(holds.into());
    if rest == 0 {
        return (0, format!("{} at once: AWS's published bucket lets {holds} through", count(hosts, "host")));
    }
    let seconds = rest.div_ceil(per_second.into());
    #[expect(clippy::cast_precision_loss, reason = "minutes for people, of at most 10,000 hosts")]
    let minutes = seconds as f64 / 60.0;
    let words = format!(
        "{hosts} hosts: {holds} now, the rest at {per_second}/s: {minutes:.1} min if CreateFleet draws on \
         RunInstances' bucket"
    );
    (seconds, words)
}

impl std::fmt::Display for Range {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (low, high) = (self.low.to_string(), self.high.to_string());
        // Ends that read the same are one figure.
        if low == high || !self.low.complete { f.write_str(&low) } else { write!(f, "{low} to {high}") }
    }
}

impl Estimate {
    /// The estimate as people read it below a plan, a line each.
    pub fn lines(&self) -> Vec<String> {
        let hours = |seconds: i64| match (seconds / 3600, seconds % 3600 / 60) {
            (0, minutes) => format!("{minutes} min"),
            (hours, 0) => format!("{hours} h"),
            (hours, minutes) => format!("{hours} h {minutes} min"),
        };
        let mut lines = vec![format!("cost: {} an hour for {}", self.per_hour, count(self.hosts, "new host"))];
        if let Some(job) = &self.job {
            lines.push(format!("cost of the job: {} for {} ({})", job.cost, hours(job.seconds), job.because));
        }
        lines.push(format!("cost when nobody ends the hosts before they expire: {}", self.until_expiry));
        lines.extend(self.assumptions.iter().map(|assumption| format!("assumed: {assumption}")));
        lines.extend(self.doubts.iter().cloned());
        let calls: Vec<String> = self.calls.iter().map(|(action, n)| format!("{n} {action}")).collect();
        if !calls.is_empty() {
            lines.push(format!(
                "calls, at least: {}; {} s by AWS's published buckets",
                calls.join(", "),
                self.launch_seconds
            ));
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Offer, Offers};
    use proptest::prelude::*;

    fn zones() -> Vec<Zone> {
        vec![Zone::new("a"), Zone::new("b")]
    }

    fn offers(prices: &[(Option<i64>, Option<i64>)]) -> Offers {
        let m = |price: Option<i64>| price.map(Money::from_micros);
        let types = (0..).zip(prices).map(|(n, (spot, listed))| Offer {
            name: format!("t{n}"),
            zones: zones().into_iter().collect(),
            on_demand: m(*listed),
            spot_price: m(*spot)
                .map(|price| zones().into_iter().map(|zone| (zone, price)).collect())
                .unwrap_or_default(),
            ..Offer::default()
        });
        Offers {
            types: types.collect(),
            gib_month: m(Some(80_000)),
            address_hour: m(Some(5_000)),
            listed: true,
            doubts: Vec::new(),
        }
    }

    fn made(offers: &Offers, spot: u32, on_demand: u32, job: Job, max_price: Option<i64>) -> Estimate {
        let types: Vec<String> = offers.types.iter().map(|offer| offer.name.clone()).collect();
        let rates = Rates { offers, root_gib: Some(30), addresses: true };
        estimate(&Input {
            spot,
            on_demand,
            fallback: true,
            types: &types,
            zones: &zones(),
            max_price: max_price.map(Money::from_micros),
            rates,
            expires: 12 * 3600,
            consoles: true,
            job,
        })
    }

    #[test]
    fn the_lines() {
        let offers = offers(&[(Some(35_000), Some(100_800)), (Some(41_000), Some(96_000))]);
        let job = Job { items: Some(72_000), rate: Some(2.5), deadline: Some(3600) };
        insta::assert_snapshot!(made(&offers, 2_250, 250, job, None).lines().join("\n"));
    }

    #[test]
    fn what_is_unknown_is_told() {
        let offers = offers(&[(Some(35_000), Some(100_800)), (None, Some(96_000))]);
        let half = made(&offers, 3, 1, Job::default(), None);
        assert_eq!(half.per_hour.to_string(), "at least $0.1292", "the extras and the cheaper on-demand type");
        let mut bare = offers.clone();
        (bare.gib_month, bare.address_hour) = (None, None);
        assert_eq!(made(&bare, 3, 0, Job::default(), None).per_hour.to_string(), "unknown");
        let capped = Offers { types: vec![offers.types[0].clone()], ..offers };
        assert_eq!(
            made(&capped, 1, 0, Job::default(), Some(34_999)).per_hour.low.dollars(),
            None,
            "no pool is cheap enough"
        );
    }

    #[test]
    fn the_issues_own_example() {
        assert_eq!(arrival(2_500).0, 750);
        assert!(
            arrival(2_500)
                .1
                .contains("1000 now, the rest at 2/s: 12.5 min if CreateFleet draws on RunInstances' bucket")
        );
        assert_eq!(arrival(1_000).0, 0);
        assert_eq!(length(&Job { items: None, rate: Some(1.0), deadline: None }), None);
        // EC2 bills a minute at least.
        assert_eq!(
            length(&Job { items: Some(100), rate: Some(100.0), deadline: None }).map(|(seconds, _)| seconds),
            Some(60)
        );
    }

    proptest! {
        /// More hosts never cost less or come sooner; a price that is unknown never makes anything cheaper or complete.
        #[test]
        fn grows_with_the_fleet(
            prices in prop::collection::vec((prop::option::of(1_i64..500_000), prop::option::of(1_i64..900_000)), 1..5),
            spot in 0_u32..3_000, on_demand in 0_u32..3_000, more in 1_u32..500,
        ) {
            let offers = offers(&prices);
            let one = made(&offers, spot, on_demand, Job::default(), None);
            for other in [made(&offers, spot + more, on_demand, Job::default(), None), made(&offers, spot, on_demand + more, Job::default(), None)] {
                prop_assert!(other.per_hour.low.micro_usd >= one.per_hour.low.micro_usd);
                prop_assert!(other.per_hour.high.micro_usd >= one.per_hour.high.micro_usd);
                prop_assert!(other.launch_seconds >= one.launch_seconds);
                prop_assert!(other.calls.get("TerminateInstances") >= one.calls.get("TerminateInstances"));
            }
            prop_assert!(one.per_hour.low.micro_usd <= one.per_hour.high.micro_usd);
            let spot_known = spot == 0 || prices.iter().all(|(spot, _)| spot.is_some());
            let listed_known = on_demand == 0 || prices.iter().all(|(_, listed)| listed.is_some());
            prop_assert_eq!(one.per_hour.low.complete, spot_known && listed_known);
            if spot + on_demand > 0 {
                prop_assert!(one.per_hour.low.micro_usd > Some(Money::ZERO));
            }
        }
    }
}
