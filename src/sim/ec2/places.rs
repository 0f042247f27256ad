//! Zones, regions, network interfaces and addresses.

use super::filter::Filters;
use super::network::{done, zone_id};
use super::page::{Bounds, page};
use super::params::invalid;
use super::records::{Instance, State, Tags};
use super::{Ask, Ec2, when};
use crate::sim::api::{ApiError, Handled, Reply};
use crate::sim::partition;
use crate::sim::xml::Xml;

impl Ec2 {
    /// DescribeAvailabilityZones: those that the seed has a subnet in.
    pub(super) fn describe_availability_zones(&self, ask: &Ask) -> Handled {
        let known = ["zone-name", "zone-id", "region-name", "state", "zone-type", "opt-in-status", "group-name"];
        let filters = Filters::read(&ask.params, &known)?;
        let zones = self.network.zones();
        let names = ask.params.texts("ZoneName");
        if let Some(bad) = names.iter().find(|name| !zones.contains(name)) {
            return Err(invalid(format!("Invalid availability zone: [{bad}]")));
        }
        let found = zones.iter().filter(|zone| {
            (names.is_empty() || names.contains(zone))
                && filters.pass(&Tags::new(), |name| {
                    vec![match name {
                        "zone-name" => (*zone).clone(),
                        "zone-id" => zone_id(&self.region, zone),
                        "region-name" | "group-name" => self.region.clone(),
                        "state" => "available".to_owned(),
                        "zone-type" => "availability-zone".to_owned(),
                        _ => "opt-in-not-required".to_owned(),
                    }]
                })
        });
        let mut xml = Xml::new();
        xml.list("availabilityZoneInfo", found, |xml, zone| {
            xml.text("zoneName", zone)
                .text("zoneState", "available")
                .text("regionName", &self.region)
                .text("zoneId", zone_id(&self.region, zone))
                .text("groupName", &self.region)
                .text("networkBorderGroup", &self.region)
                .text("zoneType", "availability-zone")
                .text("optInStatus", "opt-in-not-required")
                .open("messageSet", |_| ());
        });
        Ok(Reply { body: xml.finish(), ..Reply::default() })
    }

    /// DescribeRegions: this world has one.
    pub(super) fn describe_regions(&self, ask: &Ask) -> Handled {
        let filters = Filters::read(&ask.params, &["region-name", "endpoint", "opt-in-status"])?;
        let names = ask.params.texts("RegionName");
        if let Some(bad) = names.iter().find(|name| **name != self.region) {
            return Err(invalid(format!("Invalid region name: {bad}")));
        }
        let endpoint = format!("ec2.{}.{}", self.region, partition::domain(&self.region));
        let pass = filters.pass(&Tags::new(), |name| {
            vec![match name {
                "region-name" => self.region.clone(),
                "endpoint" => endpoint.clone(),
                _ => "opt-in-not-required".to_owned(),
            }]
        });
        let mut xml = Xml::new();
        xml.list("regionInfo", pass.then_some(&self.region), |xml, region| {
            xml.text("regionName", region).text("regionEndpoint", &endpoint).text("optInStatus", "opt-in-not-required");
        });
        Ok(Reply { body: xml.finish(), ..Reply::default() })
    }

    /// DescribeNetworkInterfaces: one for each instance that is not gone.
    pub(super) fn describe_network_interfaces(&self, ask: &Ask) -> Handled {
        let known = [
            "network-interface-id",
            "attachment.instance-id",
            "attachment.attachment-id",
            "attachment.status",
            "subnet-id",
            "vpc-id",
            "availability-zone",
            "private-ip-address",
            "addresses.private-ip-address",
            "group-id",
            "mac-address",
            "status",
            "owner-id",
            "description",
            "attachment.delete-on-termination",
            "tag",
        ];
        let filters = Filters::read(&ask.params, &known)?;
        let here = |id: &str| self.interfaces(ask).any(|(_, instance)| instance.interface.id == id);
        let wanted = ask.wanted("NetworkInterfaceId", "eni", here)?;
        let found = self.interfaces(ask).filter(|(_, instance)| {
            wanted.takes(&instance.interface.id)
                && filters.pass(&instance.interface.tags, |name| match name {
                    "network-interface-id" => vec![instance.interface.id.clone()],
                    "attachment.instance-id" => vec![instance.id.clone()],
                    "attachment.attachment-id" => vec![instance.interface.attachment.clone()],
                    "attachment.status" => vec!["attached".to_owned()],
                    "subnet-id" => vec![instance.subnet.clone()],
                    "vpc-id" => vec![self.network.vpc.clone()],
                    "availability-zone" => vec![instance.zone.clone()],
                    "private-ip-address" | "addresses.private-ip-address" => vec![instance.address.to_string()],
                    "group-id" => instance.groups.clone(),
                    "mac-address" => vec![instance.interface.mac.clone()],
                    "status" => vec!["in-use".to_owned()],
                    "attachment.delete-on-termination" => vec!["true".to_owned()],
                    "description" => vec![String::new()],
                    _ => vec![self.account.clone()],
                })
        });
        let page = page(&ask.params, "DescribeNetworkInterfaces", Bounds(5, 1000), found)?;
        let mut xml = Xml::new();
        xml.list("networkInterfaceSet", &page.items, |xml, instance| {
            xml.text("availabilityZone", &instance.zone);
            self.write_interface(xml, instance, "tagSet");
        });
        Ok(done(xml, page.next))
    }

    /// DescribeAddresses: there are none, since every instance is reached on loopback.
    pub(super) fn describe_addresses(ask: &Ask) -> Handled {
        let known = ["allocation-id", "instance-id", "public-ip", "domain", "private-ip-address", "tag"];
        Filters::read(&ask.params, &known)?;
        if let Some(id) = ask.params.texts("AllocationId").first() {
            let message = format!("The allocation ID '{id}' does not exist");
            return Err(ApiError::new("InvalidAllocationID.NotFound", message));
        }
        if let Some(address) = ask.params.texts("PublicIp").first() {
            return Err(ApiError::new("InvalidAddress.NotFound", format!("Address '{address}' not found.")));
        }
        let mut xml = Xml::new();
        // Addresses are listed by account, and this one has none.
        xml.open("addressesSet", |_| ());
        Ok(Reply { body: xml.finish(), ..Reply::default() })
    }

    /// An instance's interface; in DescribeInstances without tags, in DescribeNetworkInterfaces with them.
    pub(super) fn write_interface(&self, xml: &mut Xml, instance: &Instance, tags: &str) {
        let name = format!("ip-{}.ec2.internal", instance.address.to_string().replace('.', "-"));
        xml.text("networkInterfaceId", &instance.interface.id)
            .text("subnetId", &instance.subnet)
            .text("vpcId", &self.network.vpc)
            .text("ownerId", &self.account)
            .text("status", "in-use")
            .text("macAddress", &instance.interface.mac)
            .text("privateIpAddress", instance.address)
            .text("privateDnsName", &name)
            .text("sourceDestCheck", true)
            .text("interfaceType", "interface")
            .list("groupSet", &instance.groups, |xml, id| {
                xml.text("groupId", id).text("groupName", self.network.group_name(id));
            })
            .open("attachment", |xml| {
                xml.text("attachmentId", &instance.interface.attachment)
                    .text("deviceIndex", 0)
                    .text("networkCardIndex", 0)
                    .text("status", "attached")
                    .text("attachTime", when(instance.launched))
                    .text("deleteOnTermination", true);
                if !tags.is_empty() {
                    xml.text("instanceId", &instance.id).text("instanceOwnerId", &self.account);
                }
            })
            .list("privateIpAddressesSet", [&instance.address], |xml, address| {
                xml.text("privateIpAddress", address).text("privateDnsName", &name).text("primary", true);
            });
        if !tags.is_empty() {
            xml.list(tags, &instance.interface.tags, |xml, (key, value)| {
                xml.text("key", key).text("value", value);
            });
        }
    }

    fn interfaces<'a>(&'a self, ask: &'a Ask) -> impl Iterator<Item = (usize, &'a Instance)> {
        self.instances.all_seen(&ask.eye).filter(|(_, instance)| instance.state != State::Terminated)
    }
}
