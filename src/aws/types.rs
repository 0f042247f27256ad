//! Instance types: what they have, and which zones offer them.

use super::Clients;
use super::convert::{FILTER_VALUES, filter, need, pages, read};
use crate::model::{Fault, Offer, Zone};
use aws_sdk_ec2::types::{Filter, InstanceTypeInfo, LocationType, UsageClassType};
use std::collections::{BTreeMap, BTreeSet};

const TYPES: &str = "DescribeInstanceTypes";
const OFFERINGS: &str = "DescribeInstanceTypeOfferings";

impl Clients {
    /// The types with these names; one that the region does not have is absent. No names, no call.
    pub async fn types_named(&self, names: &[String]) -> Result<Vec<Offer>, Fault> {
        let mut found = Vec::new();
        for chunk in names.chunks(FILTER_VALUES) {
            found.extend(self.types(vec![filter("instance-type", chunk)]).await?);
        }
        Ok(found)
    }

    /// Virtual machines that boot from EBS, of this architecture; bare metal is left out, and so are types of earlier
    /// generations and those with CPU credits, as asked.
    pub async fn types_like(
        &self,
        architecture: &str,
        current_only: bool,
        burstable: bool,
        spot: bool,
    ) -> Result<Vec<Offer>, Fault> {
        let mut wanted = vec![
            filter("processor-info.supported-architecture", [architecture]),
            filter("bare-metal", ["false"]),
            filter("supported-root-device-type", ["ebs"]),
            filter("supported-virtualization-type", ["hvm"]),
        ];
        if current_only {
            wanted.push(filter("current-generation", ["true"]));
        }
        if !burstable {
            wanted.push(filter("burstable-performance-supported", ["false"]));
        }
        if spot {
            wanted.push(filter("supported-usage-class", ["spot"]));
        }
        self.types(wanted).await
    }

    async fn types(&self, filters: Vec<Filter>) -> Result<Vec<Offer>, Fault> {
        let raw = pages(TYPES, |token| {
            let call = self.ec2().describe_instance_types().set_filters(Some(filters.clone())).max_results(100);
            let call = call.set_next_token(token);
            async {
                let answer = read(TYPES, call.send()).await?;
                Ok((answer.instance_types.unwrap_or_default(), answer.next_token))
            }
        });
        raw.await?.iter().map(offer).collect()
    }

    /// Which of these zones offer which types; of `names` only, where any are given. No zones, no call.
    pub async fn offerings(&self, zones: &[Zone], names: &[String]) -> Result<BTreeMap<String, BTreeSet<Zone>>, Fault> {
        let mut found: BTreeMap<String, BTreeSet<Zone>> = BTreeMap::new();
        if zones.is_empty() {
            return Ok(found);
        }
        let mut filters = vec![filter("location", zones.iter().map(Zone::as_str))];
        if !names.is_empty() {
            filters.push(filter("instance-type", names));
        }
        let raw = pages(OFFERINGS, |token| {
            let call = self
                .ec2()
                .describe_instance_type_offerings()
                .location_type(LocationType::AvailabilityZone)
                .set_filters(Some(filters.clone()))
                .max_results(1000)
                .set_next_token(token);
            async {
                let answer = read(OFFERINGS, call.send()).await?;
                Ok((answer.instance_type_offerings.unwrap_or_default(), answer.next_token))
            }
        });
        for row in raw.await? {
            let name = need(OFFERINGS, "instance type", row.instance_type)?.as_str().to_owned();
            found.entry(name).or_default().insert(Zone::new(need(OFFERINGS, "location", row.location)?));
        }
        Ok(found)
    }
}

/// The SDK's type as ours, its zones and prices still to be asked for.
fn offer(raw: &InstanceTypeInfo) -> Result<Offer, Fault> {
    let vcpus = raw
        .v_cpu_info()
        .and_then(aws_sdk_ec2::types::VCpuInfo::default_v_cpus)
        .and_then(|count| u32::try_from(count).ok());
    let memory =
        raw.memory_info().and_then(aws_sdk_ec2::types::MemoryInfo::size_in_mib).and_then(|mib| u64::try_from(mib).ok());
    let architectures = raw.processor_info().map(|processor| processor.supported_architectures().to_vec());
    Ok(Offer {
        name: need(TYPES, "instance type", raw.instance_type())?.as_str().to_owned(),
        vcpus: need(TYPES, "number of vCPUs", vcpus)?,
        memory_mib: need(TYPES, "memory size", memory)?,
        architectures: architectures.unwrap_or_default().iter().map(|a| a.as_str().to_owned()).collect(),
        spot: raw.supported_usage_classes().contains(&UsageClassType::Spot),
        ..Offer::default()
    })
}
