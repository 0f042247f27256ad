//! Instance types, where they are offered, and the account's attributes.

use super::filter::Filters;
use super::network::{done, zone_id};
use super::page::{Bounds, page};
use super::params::invalid;
use super::records::Tags;
use super::{Ask, Ec2};
use crate::sim::api::{ApiError, Handled, Reply};
use crate::sim::seed::SeedType;
use crate::sim::xml::Xml;

const KNOWN: [&str; 13] = [
    "instance-type",
    "current-generation",
    "bare-metal",
    "burstable-performance-supported",
    "free-tier-eligible",
    "hypervisor",
    "processor-info.supported-architecture",
    "supported-usage-class",
    "supported-root-device-type",
    "supported-virtualization-type",
    "memory-info.size-in-mib",
    "vcpu-info.default-vcpus",
    "instance-storage-supported",
];

fn burstable(kind: &SeedType) -> bool {
    kind.name.starts_with('t')
}

fn facts(kind: &SeedType, name: &str) -> Vec<String> {
    match name {
        "instance-type" => vec![kind.name.clone()],
        "current-generation" => vec![kind.current.to_string()],
        "burstable-performance-supported" => vec![burstable(kind).to_string()],
        "hypervisor" => vec!["nitro".to_owned()],
        "processor-info.supported-architecture" => vec![kind.architecture.clone()],
        "supported-usage-class" => vec!["on-demand".to_owned(), "spot".to_owned()],
        "supported-root-device-type" => vec!["ebs".to_owned()],
        "supported-virtualization-type" => vec!["hvm".to_owned()],
        "memory-info.size-in-mib" => vec![kind.memory_mib.to_string()],
        "vcpu-info.default-vcpus" => vec![kind.vcpus.to_string()],
        _ => vec!["false".to_owned()],
    }
}

fn words(xml: &mut Xml, name: &str, words: &[&str]) {
    xml.open(name, |xml| {
        for word in words {
            xml.text("item", word);
        }
    });
}

impl Ec2 {
    /// DescribeInstanceTypes: those of the seed.
    pub(super) fn describe_instance_types(&self, ask: &Ask) -> Handled {
        let filters = Filters::read(&ask.params, &KNOWN)?;
        let names = ask.params.texts("InstanceType");
        let bad: Vec<&str> = names.iter().filter(|name| self.kind(name).is_err()).map(String::as_str).collect();
        if !bad.is_empty() {
            let message = format!("The following supplied instance types do not exist: [{}]", bad.join(", "));
            return Err(ApiError::new("InvalidInstanceType", message));
        }
        let found = self.types.iter().enumerate().filter(|(_, kind)| {
            (names.is_empty() || names.contains(&kind.name)) && filters.pass(&Tags::new(), |name| facts(kind, name))
        });
        let page = page(&ask.params, "DescribeInstanceTypes", Bounds(5, 100), found)?;
        let mut xml = Xml::new();
        xml.list("instanceTypeSet", &page.items, |xml, kind| {
            xml.text("instanceType", &kind.name)
                .text("currentGeneration", kind.current)
                .text("freeTierEligible", false)
                .text("bareMetal", false)
                .text("hypervisor", "nitro")
                .text("hibernationSupported", false)
                .text("burstablePerformanceSupported", burstable(kind))
                .text("instanceStorageSupported", false);
            words(xml, "supportedUsageClasses", &["on-demand", "spot"]);
            words(xml, "supportedRootDeviceTypes", &["ebs"]);
            words(xml, "supportedVirtualizationTypes", &["hvm"]);
            xml.open("processorInfo", |xml| words(xml, "supportedArchitectures", &[&kind.architecture]));
            let threads = if kind.vcpus > 1 && kind.architecture == "x86_64" { 2 } else { 1 };
            xml.open("vCpuInfo", |xml| {
                xml.text("defaultVCpus", kind.vcpus)
                    .text("defaultCores", (kind.vcpus / threads).max(1))
                    .text("defaultThreadsPerCore", threads);
            })
            .open("memoryInfo", |xml| {
                xml.text("sizeInMiB", kind.memory_mib);
            });
        });
        Ok(done(xml, page.next))
    }

    /// Why a type can't be launched in a zone; none where it is offered.
    pub(super) fn not_offered(kind: &SeedType, zone: &str) -> Option<String> {
        let offered = kind.zones.is_empty() || kind.zones.iter().any(|own| own == zone);
        (!offered).then(|| {
            format!(
                "Your requested instance type ({}) is not supported in your requested Availability Zone ({zone}). Please \
                 retry your request by not specifying an Availability Zone or choosing {}.",
                kind.name,
                kind.zones.join(", ")
            )
        })
    }

    /// DescribeInstanceTypeOfferings: every type in the region, and in the zones that its seed names, or all.
    pub(super) fn describe_instance_type_offerings(&self, ask: &Ask) -> Handled {
        let filters = Filters::read(&ask.params, &["instance-type", "location"])?;
        let kind = ask.params.text("LocationType").unwrap_or("region");
        let places: Vec<String> = match kind {
            "region" => vec![self.region.clone()],
            "availability-zone" => self.network.zones(),
            "availability-zone-id" => self.network.zones().iter().map(|zone| zone_id(&self.region, zone)).collect(),
            other => return Err(invalid(format!("Invalid value '{other}' for LocationType."))),
        };
        let has = |kind: &SeedType, place: &String| {
            let zone = |zone: &String| zone == place || zone_id(&self.region, zone) == *place;
            kind.zones.is_empty() || *place == self.region || kind.zones.iter().any(zone)
        };
        let rows = self
            .types
            .iter()
            .flat_map(|kind| places.iter().filter(move |place| has(kind, place)).map(move |place| (&kind.name, place)));
        let found = rows.enumerate().filter(|(_, (name, place))| {
            filters.pass(&Tags::new(), |filter| {
                vec![if filter == "location" { (*place).clone() } else { (*name).clone() }]
            })
        });
        let page = page(&ask.params, "DescribeInstanceTypeOfferings", Bounds(5, 1000), found)?;
        let mut xml = Xml::new();
        xml.list("instanceTypeOfferingSet", page.items, |xml, (name, place)| {
            xml.text("instanceType", name).text("locationType", kind).text("location", place);
        });
        Ok(done(xml, page.next))
    }

    /// DescribeAccountAttributes.
    pub(super) fn describe_account_attributes(&self, ask: &Ask) -> Handled {
        let names = ask.params.texts("AttributeName");
        let all = [
            ("supported-platforms", "VPC".to_owned()),
            ("default-vpc", self.network.vpc.clone()),
            ("max-instances", self.quota.0.to_string()),
            ("vpc-max-security-groups-per-interface", "5".to_owned()),
            ("max-elastic-ips", "5".to_owned()),
            ("vpc-max-elastic-ips", "5".to_owned()),
        ];
        if let Some(bad) = names.iter().find(|name| !all.iter().any(|(known, _)| known == name)) {
            return Err(invalid(format!("Value ({bad}) for parameter attributeName is invalid.")));
        }
        let mut xml = Xml::new();
        let found = all.iter().filter(|(name, _)| names.is_empty() || names.iter().any(|known| known == name));
        xml.list("accountAttributeSet", found, |xml, (name, value)| {
            xml.text("attributeName", name).list("attributeValueSet", [value], |xml, value| {
                xml.text("attributeValue", value);
            });
        });
        Ok(Reply { body: xml.finish(), ..Reply::default() })
    }
}
