//! What hosts cost: spot by its price history, everything else by the Price List API.

use super::Clients;
use super::convert::{need, pages, read};
use crate::model::{Fault, Money, Region, Zone};
use aws_sdk_ec2::types::InstanceType;
use aws_sdk_pricing::types::{Filter, FilterType};
use aws_smithy_types::DateTime;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use std::collections::BTreeMap;

const PRODUCTS: &str = "GetProducts";
const HISTORY: &str = "DescribeSpotPriceHistory";
/// Types asked about in one call: a filter's value has at most 1024 characters (Price List API, Filter).
const TYPES: usize = 50;
/// How far back spot prices count.
const DAY: SignedDuration = SignedDuration::from_hours(24);

/// The region of the Price List API for hosts in `region`: it answers in three regions of the commercial partition only, and
/// in none of the others in US dollars (AWS Billing, "AWS Price List Query API endpoints").
pub(super) fn price_region(region: &Region) -> Option<&'static str> {
    let name = region.as_str();
    if region.partition().name != "aws" {
        return None;
    }
    Some(match name.split('-').next().unwrap_or_default() {
        "eu" | "il" => "eu-central-1",
        "ap" | "me" => "ap-south-1",
        _ => "us-east-1",
    })
}

impl Clients {
    /// What an hour of Linux spot cost on the mean of the 24 h before `now`, by type and zone. No types, no call.
    pub async fn spot_price_history(
        &self,
        types: &[String],
        now: Timestamp,
    ) -> Result<BTreeMap<(String, Zone), Money>, Fault> {
        if types.is_empty() {
            return Ok(BTreeMap::new());
        }
        let kinds: Vec<_> = types.iter().map(|kind| InstanceType::from(kind.as_str())).collect();
        let raw = pages(HISTORY, |token| {
            let call = self
                .ec2()
                .describe_spot_price_history()
                .set_instance_types(Some(kinds.clone()))
                .product_descriptions("Linux/UNIX")
                // EC2 answers with the last change before it for each pool, too.
                .start_time(DateTime::from_secs((now - DAY).as_second()))
                .max_results(1000)
                .set_next_token(token);
            async {
                let answer = read(HISTORY, call.send()).await?;
                Ok((answer.spot_price_history.unwrap_or_default(), answer.next_token))
            }
        });
        let mut changes: BTreeMap<(String, Zone), Vec<(i64, Money)>> = BTreeMap::new();
        for entry in raw.await? {
            let (Some(kind), Some(zone)) = (entry.instance_type, entry.availability_zone) else { continue };
            let Some(price) = entry.spot_price.as_deref().and_then(Money::rounded_up) else { continue };
            let at = entry.timestamp.map_or(0, |time| time.secs());
            changes.entry((kind.as_str().to_owned(), Zone::new(zone))).or_default().push((at, price));
        }
        let mean = |changes: Vec<(i64, Money)>| mean(changes, (now - DAY).as_second(), now.as_second());
        Ok(changes.into_iter().filter_map(|(pool, changes)| Some((pool, mean(changes)?))).collect())
    }

    /// An hour of each of these types on demand: Linux, shared hardware, nothing preinstalled. Types that the price list does
    /// not have are absent; so is everything where the list can't be asked.
    pub async fn list_prices(&self, types: &[String]) -> Result<BTreeMap<String, Money>, Fault> {
        let mut found = BTreeMap::new();
        for chunk in types.chunks(TYPES) {
            let named = filter(FilterType::AnyOf, "instanceType", &chunk.join(","))?;
            let fixed = [
                ("operatingSystem", "Linux"),
                ("tenancy", "Shared"),
                ("preInstalledSw", "NA"),
                ("capacitystatus", "Used"),
                ("marketoption", "OnDemand"),
            ];
            for product in self.products("AmazonEC2", &fixed, vec![named]).await? {
                if let (Some(kind), Some(price)) = (attribute(&product, "instanceType"), on_demand(&product, "Hrs")) {
                    found.insert(kind.to_owned(), price);
                }
            }
        }
        Ok(found)
    }

    /// A GiB of a volume type (`gp3`) for a month.
    pub async fn volume_price(&self, kind: &str) -> Result<Option<Money>, Fault> {
        let products =
            self.products("AmazonEC2", &[("productFamily", "Storage"), ("volumeApiName", kind)], Vec::new()).await?;
        Ok(products.iter().find_map(|product| on_demand(product, "GB-Mo")))
    }

    /// A public IPv4 address in use for an hour.
    pub async fn address_price(&self) -> Result<Option<Money>, Fault> {
        let products = self.products("AmazonVPC", &[("group", "VPCPublicIPv4Address")], Vec::new()).await?;
        let in_use = |product: &&Value| {
            attribute(product, "usagetype").is_some_and(|usage| usage.ends_with("PublicIPv4:InUseAddress"))
        };
        Ok(products.iter().find(in_use).and_then(|product| on_demand(product, "Hrs")))
    }

    /// Products of this region; none where the partition has no price list in dollars.
    async fn products(
        &self,
        service: &str,
        exactly: &[(&str, &str)],
        mut filters: Vec<Filter>,
    ) -> Result<Vec<Value>, Fault> {
        let Some(region) = price_region(self.region()) else { return Ok(Vec::new()) };
        filters.push(filter(FilterType::TermMatch, "regionCode", self.region().as_str())?);
        for (field, value) in exactly {
            filters.push(filter(FilterType::TermMatch, field, value)?);
        }
        let raw = pages(PRODUCTS, |token| {
            let call = self.pricing(region).get_products().service_code(service).set_filters(Some(filters.clone()));
            let call = call.max_results(100).set_next_token(token);
            async {
                let answer = read(PRODUCTS, call.send()).await?;
                Ok((answer.price_list.unwrap_or_default(), answer.next_token))
            }
        });
        Ok(raw.await?.iter().filter_map(|text| serde_json::from_str(text).ok()).collect())
    }
}

fn filter(kind: FilterType, field: &str, value: &str) -> Result<Filter, Fault> {
    need(PRODUCTS, "filter", Filter::builder().r#type(kind).field(field).value(value).build().ok())
}

/// An attribute of a product of the price list.
fn attribute<'a>(product: &'a Value, name: &str) -> Option<&'a str> {
    product.get("product")?.get("attributes")?.get(name)?.as_str()
}

/// A product's on-demand price in this unit: the first above zero, since the free part of a step price is one of its own.
fn on_demand(product: &Value, unit: &str) -> Option<Money> {
    let terms = product.get("terms")?.get("OnDemand")?.as_object()?;
    let dimensions = terms.values().filter_map(|term| term.get("priceDimensions")?.as_object());
    let prices = dimensions.flat_map(|dimensions| dimensions.values()).filter_map(|dimension| {
        (dimension.get("unit")?.as_str()? == unit).then_some(())?;
        Money::rounded_up(dimension.get("pricePerUnit")?.get("USD")?.as_str()?)
    });
    prices.filter(|price| *price > Money::ZERO).min()
}

/// The mean over time, rounded up, of a price that changed at these instants; what held before the first is not known.
fn mean(mut changes: Vec<(i64, Money)>, from: i64, to: i64) -> Option<Money> {
    changes.sort_by_key(|(at, _)| *at);
    let ends = changes.iter().skip(1).map(|(at, _)| *at).chain([to]);
    let (mut seconds, mut sum) = (0_i128, 0_i128);
    for ((at, price), end) in changes.iter().zip(ends) {
        let held = i128::from((end.min(to) - (*at).max(from)).max(0));
        seconds += held;
        sum += held * i128::from(price.micros());
    }
    let newest = || changes.last().map(|(_, price)| *price);
    if seconds == 0 {
        return newest();
    }
    i64::try_from((sum + seconds - 1) / seconds).ok().map(Money::from_micros)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_price_list_is_asked_where_it_answers() {
        for (region, asked) in [
            ("us-west-2", Some("us-east-1")),
            ("sa-east-1", Some("us-east-1")),
            ("eu-north-1", Some("eu-central-1")),
            ("ap-southeast-2", Some("ap-south-1")),
            ("us-gov-west-1", None),
            ("cn-north-1", None),
        ] {
            assert_eq!(price_region(&Region::new(region)), asked, "{region}");
        }
    }

    #[test]
    fn a_price_counts_as_long_as_it_held() {
        let m = Money::from_micros;
        assert_eq!(mean(vec![], 0, 100), None);
        assert_eq!(mean(vec![(-500, m(10))], 0, 100), Some(m(10)), "the last change before the day");
        assert_eq!(mean(vec![(75, m(40)), (-500, m(20))], 0, 100), Some(m(25)));
        assert_eq!(mean(vec![(50, m(40))], 0, 100), Some(m(40)), "what held before is not known");
        assert_eq!(mean(vec![(0, m(1)), (99, m(2))], 0, 100), Some(m(2)), "rounded up");
    }

    #[test]
    fn a_product_has_its_price_in_dollars() {
        let product = |unit: &str, price: &Value| {
            json!({"product": {"attributes": {"instanceType": "m7i.large"}},
                   "terms": {"OnDemand": {"A.B": {"priceDimensions": {"A.B.C": {"unit": unit, "pricePerUnit": price}}}}}})
        };
        let good = product("Hrs", &json!({"USD": "0.1008000000"}));
        assert_eq!(on_demand(&good, "Hrs"), Some(Money::from_micros(100_800)));
        assert_eq!(attribute(&good, "instanceType"), Some("m7i.large"));
        for bad in [product("Quantity", &json!({"USD": "1"})), product("Hrs", &json!({"CNY": "1"})), json!({})] {
            assert_eq!(on_demand(&bad, "Hrs"), None, "{bad}");
        }
        assert_eq!(on_demand(&product("Hrs", &json!({"USD": "0.0000000000"})), "Hrs"), None, "no price is not 0");
    }
}
