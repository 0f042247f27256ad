//! The Price List API: GetProducts for instance types, volumes and public addresses of this region.

use super::api::{ApiError, Call, Handled, Payload, Reply};
use super::draw;
use super::seed::Seed;
use serde_json::{Map, Value, json};

/// A GiB of gp3 for a month and an address for an hour, dollars: examples, as all prices of a rehearsal.
const GIB_MONTH: &str = "0.0800000000";
const ADDRESS_HOUR: &str = "0.0050000000";

/// A product's attributes, its unit and its price.
struct Product {
    service: &'static str,
    family: &'static str,
    attributes: Vec<(&'static str, String)>,
    unit: &'static str,
    price: String,
}

/// What the price list has for this world.
fn products(seed: &Seed) -> Vec<Product> {
    let place = |more: Vec<(&'static str, String)>| {
        let own = [("regionCode", seed.region.clone()), ("locationType", "AWS Region".to_owned())];
        own.into_iter().chain(more).collect::<Vec<_>>()
    };
    let text =
        |pairs: &[(&'static str, &str)]| pairs.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    let mut all: Vec<Product> = seed
        .types
        .iter()
        .map(|kind| Product {
            service: "AmazonEC2",
            family: "Compute Instance",
            attributes: place(vec![
                ("instanceType", kind.name.clone()),
                ("operatingSystem", "Linux".to_owned()),
                ("tenancy", "Shared".to_owned()),
                ("preInstalledSw", "NA".to_owned()),
                ("capacitystatus", "Used".to_owned()),
                ("marketoption", "OnDemand".to_owned()),
                ("vcpu", kind.vcpus.to_string()),
            ]),
            unit: "Hrs",
            price: kind.on_demand.clone(),
        })
        .collect();
    all.push(Product {
        service: "AmazonEC2",
        family: "Storage",
        attributes: place(text(&[("volumeApiName", "gp3"), ("usagetype", "EBS:VolumeUsage.gp3")])),
        unit: "GB-Mo",
        price: GIB_MONTH.to_owned(),
    });
    for (usage, price) in [("PublicIPv4:InUseAddress", ADDRESS_HOUR), ("PublicIPv4:IdleAddress", "0.0060000000")] {
        all.push(Product {
            service: "AmazonVPC",
            family: "VpcPublicIPv4",
            attributes: place(text(&[("group", "VPCPublicIPv4Address"), ("usagetype", usage)])),
            unit: "Hrs",
            price: price.to_owned(),
        });
    }
    all
}

impl Product {
    /// The product as the price list writes it, a JSON document in a text.
    fn written(&self, seed: u64) -> String {
        let attributes: Map<String, Value> = self.attributes.iter().map(|(k, v)| ((*k).to_owned(), json!(v))).collect();
        let words: Vec<&str> = self.attributes.iter().map(|(_, value)| value.as_str()).collect();
        let sku = draw::uuid(seed, &words).replace('-', "").to_uppercase()[..16].to_owned();
        let (offer, rate) = (format!("{sku}.JRTCKXETXF"), format!("{sku}.JRTCKXETXF.6YS6EN2CT7"));
        let dimension = json!({
            "unit": self.unit, "beginRange": "0", "endRange": "Inf", "rateCode": rate, "appliesTo": [],
            "pricePerUnit": {"USD": self.price},
        });
        let term = json!({"sku": sku, "offerTermCode": "JRTCKXETXF", "priceDimensions": {rate: dimension}});
        json!({
            "product": {"sku": sku, "productFamily": self.family, "attributes": attributes},
            "serviceCode": self.service,
            "terms": {"OnDemand": {offer: term}},
        })
        .to_string()
    }

    fn value(&self, field: &str) -> Option<&str> {
        match field {
            "productFamily" => Some(self.family),
            "ServiceCode" | "servicecode" => Some(self.service),
            _ => self.attributes.iter().find(|(name, _)| *name == field).map(|(_, value)| value.as_str()),
        }
    }
}

/// One constraint of a call.
struct Filter {
    kind: String,
    field: String,
    value: String,
}

impl Filter {
    fn read(node: &Value) -> Result<Self, ApiError> {
        let text = |name: &str| node.get(name).and_then(Value::as_str).map(str::to_owned);
        let (Some(kind), Some(field), Some(value)) = (text("Type"), text("Field"), text("Value")) else {
            return Err(refused("Filters need Type, Field and Value"));
        };
        if !["TERM_MATCH", "EQUALS", "CONTAINS", "ANY_OF", "NONE_OF"].contains(&kind.as_str()) {
            return Err(refused(&format!("Unknown filter type {kind}")));
        }
        if value.is_empty() || value.chars().count() > 1024 {
            return Err(refused("The value of a filter has 1 to 1024 characters"));
        }
        Ok(Self { kind, field, value })
    }

    fn passes(&self, product: &Product) -> bool {
        let Some(own) = product.value(&self.field) else { return false };
        let any = || self.value.split(',').any(|value| value.trim() == own);
        match self.kind.as_str() {
            "CONTAINS" => own.contains(&self.value),
            "ANY_OF" => any(),
            "NONE_OF" => !any(),
            _ => own == self.value,
        }
    }
}

fn refused(message: &str) -> ApiError {
    ApiError::new("InvalidParameterException", message)
}

/// Answers a call; the price list changes nothing.
pub(crate) fn handle(call: &Call, seed: &Seed, draws: u64) -> Handled {
    let Payload::Json(body) = &call.payload else { return Err(refused("the Price List API takes JSON")) };
    if call.action != "GetProducts" {
        let message = format!("the rehearsal cloud's price list knows GetProducts, not {}", call.action);
        return Err(ApiError::new("UnknownOperationException", message));
    }
    let service = body.get("ServiceCode").and_then(Value::as_str).ok_or_else(|| refused("ServiceCode is missing"))?;
    if !["AmazonEC2", "AmazonVPC"].contains(&service) {
        return Err(refused(&format!("Service code {service} is not known")));
    }
    let nodes = body.get("Filters").and_then(Value::as_array).cloned().unwrap_or_default();
    let filters = nodes.iter().map(Filter::read).collect::<Result<Vec<_>, _>>()?;
    let most = match body.get("MaxResults") {
        None => 100,
        Some(most) => most
            .as_u64()
            .and_then(|most| usize::try_from(most).ok())
            .filter(|most| (1..=100).contains(most))
            .ok_or_else(|| refused("MaxResults is 1 to 100"))?,
    };
    let from = match body.get("NextToken").and_then(Value::as_str) {
        None => 0,
        Some(token) => token
            .strip_prefix("page-")
            .and_then(|place| place.parse::<usize>().ok())
            .ok_or_else(|| ApiError::new("InvalidNextTokenException", "The pagination token is invalid"))?,
    };
    let products = products(seed);
    let found: Vec<&Product> = products
        .iter()
        .filter(|product| product.service == service && filters.iter().all(|filter| filter.passes(product)))
        .collect();
    let page: Vec<String> = found.iter().skip(from).take(most).map(|product| product.written(draws)).collect();
    let mut answer = json!({"FormatVersion": "aws_v1", "PriceList": page});
    if from + most < found.len()
        && let Value::Object(answer) = &mut answer
    {
        answer.insert("NextToken".to_owned(), json!(format!("page-{}", from + most)));
    }
    Ok(Reply { body: answer.to_string(), ..Reply::default() })
}
