//! Instance types and what spot costs now.

use super::Clients;
use super::convert::{FILTER_VALUES, filter, need, pages, read};
use crate::model::{Fault, Money, Zone};
use aws_sdk_ec2::types::InstanceType;
use aws_smithy_types::DateTime;
use jiff::Timestamp;
use std::collections::BTreeMap;

/// What EC2 says about an instance type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypeFacts {
    /// For example `m7i.large`.
    pub name: String,
    /// Quotas are counted in these.
    pub vcpus: u32,
    /// `x86_64`, `arm64`; older types have several.
    pub architectures: Vec<String>,
}

impl Clients {
    /// The facts of these types by name; a type that the region does not offer is absent. No types, no call.
    pub async fn instance_types(&self, types: &[String]) -> Result<BTreeMap<String, TypeFacts>, Fault> {
        const ACTION: &str = "DescribeInstanceTypes";
        let mut found = BTreeMap::new();
        for chunk in types.chunks(FILTER_VALUES) {
            let wanted = filter("instance-type", chunk);
            let raw = pages(ACTION, |token| {
                let call = self.ec2().describe_instance_types().filters(wanted.clone()).max_results(100);
                let call = call.set_next_token(token);
                async {
                    let answer = read(ACTION, call.send()).await?;
                    Ok((answer.instance_types.unwrap_or_default(), answer.next_token))
                }
            });
            for facts in raw.await? {
                let name = need(ACTION, "instance type", facts.instance_type.as_ref())?.as_str().to_owned();
                let vcpus = facts.v_cpu_info.as_ref().and_then(|info| info.default_v_cpus);
                let vcpus = need(ACTION, "number of vCPUs", vcpus.and_then(|count| u32::try_from(count).ok()))?;
                let processor =
                    facts.processor_info.unwrap_or_else(|| aws_sdk_ec2::types::ProcessorInfo::builder().build());
                let architectures = processor.supported_architectures().iter().map(|a| a.as_str().to_owned()).collect();
                found.insert(name.clone(), TypeFacts { name, vcpus, architectures });
            }
        }
        Ok(found)
    }

    /// What an hour of spot costs at `now`, by type and zone (Linux). No types, no call.
    pub async fn spot_price_history(
        &self,
        types: &[String],
        now: Timestamp,
    ) -> Result<BTreeMap<(String, Zone), Money>, Fault> {
        const ACTION: &str = "DescribeSpotPriceHistory";
        if types.is_empty() {
            return Ok(BTreeMap::new());
        }
        let kinds: Vec<_> = types.iter().map(|kind| InstanceType::from(kind.as_str())).collect();
        let raw = pages(ACTION, |token| {
            let call = self
                .ec2()
                .describe_spot_price_history()
                .set_instance_types(Some(kinds.clone()))
                .product_descriptions("Linux/UNIX")
                // Starting now, EC2 answers with the last change before it for each pool.
                .start_time(DateTime::from_secs(now.as_second()))
                .max_results(1000)
                .set_next_token(token);
            async {
                let answer = read(ACTION, call.send()).await?;
                Ok((answer.spot_price_history.unwrap_or_default(), answer.next_token))
            }
        });
        let mut newest: BTreeMap<(String, Zone), (i64, Money)> = BTreeMap::new();
        for entry in raw.await? {
            let (Some(kind), Some(zone)) = (entry.instance_type, entry.availability_zone) else { continue };
            let Some(price) = entry.spot_price.as_deref().and_then(Money::parse) else { continue };
            let at = entry.timestamp.map_or(0, |time| time.secs());
            let slot = newest.entry((kind.as_str().to_owned(), Zone::new(zone))).or_insert((at, price));
            if at > slot.0 {
                *slot = (at, price);
            }
        }
        Ok(newest.into_iter().map(|(pool, (_, price))| (pool, price)).collect())
    }
}
