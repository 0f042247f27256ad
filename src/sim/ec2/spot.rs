//! DescribeSpotPriceHistory, DescribeSpotInstanceRequests.

use super::filter::Filters;
use super::launch::holds;
use super::network::done;
use super::page::{Bounds, page};
use super::params::{Node, invalid};
use super::records::{Market, State, Tags};
use super::{Ask, Ec2, when, write_tags};
use crate::sim::api::{ApiError, Handled};
use crate::sim::draw::number;
use crate::sim::seed::SeedType;
use crate::sim::xml::Xml;
use jiff::Timestamp;

/// Prices change once a day at most, as they have since 2017; AWS keeps 90 days of them.
const DAY: i64 = 24 * 3600;
const KEPT: i64 = 90;

const PRODUCTS: [&str; 2] = ["Linux/UNIX", "Linux/UNIX (Amazon VPC)"];

fn time(node: &Node, name: &str) -> Result<Option<Timestamp>, ApiError> {
    node.text(name)
        .map(|text| text.parse().map_err(|_| invalid(format!("Invalid value '{text}' for {name}."))))
        .transpose()
}

impl Ec2 {
    /// A day's price in a zone: today's is the seed's, which is what instances cost; earlier ones lie within a tenth.
    fn price_on(&self, kind: &SeedType, zone: &str, day: i64, today: i64) -> u64 {
        let price = Self::price(kind, Market::Spot);
        if day == today {
            return price;
        }
        let percent = 90 + number(self.seed, &["price", &kind.name, zone, &day.to_string()]) % 21;
        price * percent / 100
    }

    /// Newest first; the last change before `StartTime` belongs to the answer.
    pub(super) fn describe_spot_price_history(&self, ask: &Ask) -> Handled {
        let known = ["availability-zone", "instance-type", "product-description", "spot-price", "timestamp"];
        let filters = Filters::read(&ask.params, &known)?;
        let today = ask.now.as_second().div_euclid(DAY);
        let day_of = |at: Timestamp| at.as_second().div_euclid(DAY);
        let last = time(&ask.params, "EndTime")?.map_or(today, day_of).min(today);
        let first = time(&ask.params, "StartTime")?.map_or(today - KEPT, day_of).clamp(today - KEPT, today);
        let kinds = ask.params.texts("InstanceType");
        let zone = ask.params.text("AvailabilityZone");
        let products = ask.params.texts("ProductDescription");
        let mut rows = Vec::new();
        for day in (first..=last).rev() {
            for kind in self.types.iter().filter(|kind| kinds.is_empty() || kinds.contains(&kind.name)) {
                for place in self.network.zones().into_iter().filter(|place| zone.is_none_or(|zone| zone == place)) {
                    let micros = self.price_on(kind, &place, day, today);
                    let price = format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000);
                    rows.push((kind.name.clone(), place, price, Timestamp::from_second(day * DAY).unwrap_or_default()));
                }
            }
        }
        let product = PRODUCTS.iter().find(|name| products.is_empty() || products.iter().any(|p| p == *name));
        let found = rows.into_iter().enumerate().filter(|(_, (kind, zone, price, at))| {
            product.is_some()
                && filters.pass(&Tags::new(), |name| match name {
                    "availability-zone" => vec![zone.clone()],
                    "instance-type" => vec![kind.clone()],
                    "product-description" => PRODUCTS.map(str::to_owned).to_vec(),
                    "spot-price" => vec![price.clone()],
                    _ => vec![when(*at)],
                })
        });
        let page = page(&ask.params, "DescribeSpotPriceHistory", Bounds(1, 1000), found)?;
        let mut xml = Xml::new();
        xml.list("spotPriceHistorySet", page.items, |xml, (kind, zone, price, at)| {
            xml.text("instanceType", kind)
                .opt("productDescription", product)
                .text("spotPrice", price)
                .text("timestamp", when(at))
                .text("availabilityZone", zone);
        });
        Ok(done(xml, page.next))
    }

    /// One request for each spot instance, in the state that follows from it.
    pub(super) fn describe_spot_instance_requests(&self, ask: &Ask) -> Handled {
        let known =
            ["spot-instance-request-id", "instance-id", "state", "status-code", "type", "launch.instance-type", "tag"];
        let filters = Filters::read(&ask.params, &known)?;
        let here =
            |id: &str| self.visible_instances(ask).any(|(_, instance)| instance.spot_request.as_deref() == Some(id));
        let wanted = ask.wanted("SpotInstanceRequestId", "sir", here)?;
        let found = self.visible_instances(ask).filter_map(|(place, instance)| {
            let request = instance.spot_request.as_ref()?;
            let (state, code) = match instance.state {
                State::Terminated if instance.notice.is_some() => ("closed", "instance-terminated-no-capacity"),
                State::Terminated => ("closed", "instance-terminated-by-user"),
                _ if instance.notice.is_some() => ("active", "marked-for-termination"),
                state if holds(state) => ("active", "fulfilled"),
                _ => ("disabled", "instance-stopped-by-user"),
            };
            let pass = wanted.takes(request)
                && filters.pass(&instance.spot_tags, |name| {
                    vec![match name {
                        "spot-instance-request-id" => request.clone(),
                        "instance-id" => instance.id.clone(),
                        "state" => state.to_owned(),
                        "status-code" => code.to_owned(),
                        "type" => "one-time".to_owned(),
                        _ => instance.instance_type.clone(),
                    }]
                });
            pass.then_some((place, (request, state, code, instance)))
        });
        let page = page(&ask.params, "DescribeSpotInstanceRequests", Bounds(5, 1000), found)?;
        let mut xml = Xml::new();
        xml.list("spotInstanceRequestSet", page.items, |xml, (request, state, code, instance)| {
            xml.text("spotInstanceRequestId", request)
                .text("type", "one-time")
                .text("state", state)
                .open("status", |xml| {
                    xml.text("code", code).text("updateTime", when(instance.since)).text("message", code);
                })
                .text("instanceId", &instance.id)
                .text("createTime", when(instance.launched))
                .text("productDescription", PRODUCTS[0])
                .text("launchedAvailabilityZone", &instance.zone)
                .text("instanceInterruptionBehavior", "terminate");
            write_tags(xml, &instance.spot_tags);
        });
        Ok(done(xml, page.next))
    }
}
