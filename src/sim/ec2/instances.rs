//! DescribeInstances.

use super::filter::Filters;
use super::network::{done, zone_id};
use super::page::{Bounds, page};
use super::power::write_state;
use super::records::{Instance, Market, State};
use super::{Ask, Ec2, when, write_tags};
use crate::sim::api::Handled;
use crate::sim::draw::number;
use crate::sim::partition;
use crate::sim::xml::Xml;
use jiff::SignedDuration;

/// Terminated instances stay visible for about an hour.
const SHOWN: SignedDuration = SignedDuration::from_hours(1);

/// Every filter that has an answer here or is known to have none.
const KNOWN: [&str; 53] = [
    "affinity",
    "architecture",
    "availability-zone",
    "availability-zone-id",
    "block-device-mapping.attach-time",
    "block-device-mapping.delete-on-termination",
    "block-device-mapping.device-name",
    "block-device-mapping.status",
    "block-device-mapping.volume-id",
    "client-token",
    "dns-name",
    "hypervisor",
    "iam-instance-profile.arn",
    "iam-instance-profile.name",
    "image-id",
    "instance-id",
    "instance-lifecycle",
    "instance-state-code",
    "instance-state-name",
    "instance-type",
    "instance.group-id",
    "instance.group-name",
    "ip-address",
    "key-name",
    "launch-index",
    "launch-time",
    "metadata-options.http-tokens",
    "metadata-options.http-endpoint",
    "metadata-options.http-put-response-hop-limit",
    "metadata-options.instance-metadata-tags",
    "monitoring-state",
    "network-interface.network-interface-id",
    "network-interface.private-ip-address",
    "network-interface.subnet-id",
    "network-interface.vpc-id",
    "owner-id",
    "platform-details",
    "private-dns-name",
    "private-ip-address",
    "reason",
    "reservation-id",
    "root-device-name",
    "root-device-type",
    "spot-instance-request-id",
    "state-reason-code",
    "subnet-id",
    "tag",
    "vpc-id",
    "tenancy",
    "virtualization-type",
    "group-id",
    "group-name",
    "state-reason-message",
];

impl Ec2 {
    /// What this reader sees of an instance, until an hour after its end.
    pub(super) fn visible(&self, id: &str, ask: &Ask) -> Option<&Instance> {
        self.instances.seen(id, &ask.eye).filter(|instance| fresh(instance, ask))
    }

    /// All instances that this reader sees.
    pub(super) fn visible_instances<'a>(&'a self, ask: &'a Ask) -> impl Iterator<Item = (usize, &'a Instance)> {
        self.instances.all_seen(&ask.eye).filter(|(_, instance)| fresh(instance, ask))
    }

    /// DescribeInstances.
    pub(super) fn describe_instances(&self, ask: &Ask) -> Handled {
        let filters = Filters::read(&ask.params, &KNOWN)?;
        let wanted = ask.wanted("InstanceId", "i", |id| self.visible(id, ask).is_some())?;
        ask.not_paged(&wanted, "instancesSet")?;
        let found = self.visible_instances(ask).filter(|(_, instance)| {
            wanted.takes(&instance.id) && filters.pass(&instance.tags, |name| self.instance_facts(instance, name))
        });
        let page = page(&ask.params, "DescribeInstances", Bounds(5, 1000), found)?;
        let reservations = page.items.chunk_by(|a, b| a.reservation == b.reservation);
        let mut xml = Xml::new();
        xml.list("reservationSet", reservations, |xml, instances| {
            xml.opt("reservationId", instances.first().map(|first| &first.reservation))
                .text("ownerId", &self.account)
                .open("groupSet", |_| ())
                .list("instancesSet", instances, |xml, instance| self.write_instance(xml, instance));
        });
        Ok(done(xml, page.next))
    }

    /// What the filters ask about an instance; no answer means no match.
    pub(super) fn instance_facts(&self, instance: &Instance, name: &str) -> Vec<String> {
        let gone = instance.state == State::Terminated;
        let devices = |fact: fn(&super::records::Attached) -> String| {
            if gone { Vec::new() } else { instance.devices.iter().map(fact).collect() }
        };
        let placed = |fact: String| if gone { Vec::new() } else { vec![fact] };
        match name {
            "architecture" => vec![instance.architecture.clone()],
            "availability-zone" => vec![instance.zone.clone()],
            "availability-zone-id" => vec![zone_id(&self.region, &instance.zone)],
            "block-device-mapping.attach-time" => devices(|device| when(device.at)),
            "block-device-mapping.delete-on-termination" => devices(|device| device.ends.to_string()),
            "block-device-mapping.device-name" => devices(|device| device.device.clone()),
            "block-device-mapping.status" => devices(|_| "attached".to_owned()),
            "block-device-mapping.volume-id" => devices(|device| device.volume.clone()),
            "client-token" => instance.token.clone().into_iter().collect(),
            "hypervisor" => vec!["xen".to_owned()],
            "iam-instance-profile.arn" => instance.profile.iter().map(|name| self.profile_arn(name)).collect(),
            "iam-instance-profile.name" => instance.profile.clone().into_iter().collect(),
            "image-id" => vec![instance.image.clone()],
            "instance-id" => vec![instance.id.clone()],
            "instance-lifecycle" => (instance.market == Market::Spot).then(|| "spot".to_owned()).into_iter().collect(),
            "instance-state-code" => vec![instance.state.code().to_string()],
            "instance-state-name" => vec![instance.state.word().to_owned()],
            "instance-type" => vec![instance.instance_type.clone()],
            "instance.group-id" | "group-id" => instance.groups.clone(),
            "instance.group-name" | "group-name" => {
                instance.groups.iter().map(|id| self.network.group_name(id)).collect()
            }
            "key-name" => instance.key.clone().into_iter().collect(),
            "launch-index" => vec![instance.index.to_string()],
            "launch-time" => vec![when(instance.launched)],
            "metadata-options.http-tokens" => vec![instance.metadata.tokens.clone()],
            "metadata-options.http-endpoint" => vec![instance.metadata.endpoint.clone()],
            "metadata-options.http-put-response-hop-limit" => vec![instance.metadata.hops.to_string()],
            "metadata-options.instance-metadata-tags" => vec![instance.metadata.tags.clone()],
            "monitoring-state" => vec![if instance.monitored { "enabled" } else { "disabled" }.to_owned()],
            "network-interface.network-interface-id" => placed(instance.interface.id.clone()),
            "private-ip-address" | "network-interface.private-ip-address" => placed(instance.address.to_string()),
            "subnet-id" | "network-interface.subnet-id" => placed(instance.subnet.clone()),
            "vpc-id" | "network-interface.vpc-id" => placed(self.network.vpc.clone()),
            "owner-id" => vec![self.account.clone()],
            "platform-details" => vec!["Linux/UNIX".to_owned()],
            "private-dns-name" => placed(dns_name(instance)),
            "reason" => vec![instance.transition.clone()],
            "reservation-id" => vec![instance.reservation.clone()],
            "root-device-name" => vec![instance.root_device.clone()],
            "root-device-type" => vec!["ebs".to_owned()],
            "spot-instance-request-id" => instance.spot_request.clone().into_iter().collect(),
            "state-reason-code" => instance.reason.iter().map(|reason| reason.code.clone()).collect(),
            "state-reason-message" => instance.reason.iter().map(|reason| reason.message.clone()).collect(),
            "tenancy" => vec![instance.tenancy.clone()],
            "virtualization-type" => vec!["hvm".to_owned()],
            // `dns-name`, `ip-address`, `affinity`: no instance here has one.
            _ => Vec::new(),
        }
    }

    fn profile_arn(&self, name: &str) -> String {
        format!("arn:{}:iam::{}:instance-profile/{name}", partition::of(&self.region), self.account)
    }

    /// One instance. A terminated one has lost its network and its devices, as at EC2.
    pub(super) fn write_instance(&self, xml: &mut Xml, instance: &Instance) {
        let gone = instance.state == State::Terminated;
        xml.text("instanceId", &instance.id).text("imageId", &instance.image);
        write_state(xml, "instanceState", instance.state);
        xml.text("privateDnsName", if gone { String::new() } else { dns_name(instance) })
            .text("dnsName", "")
            .text("reason", &instance.transition)
            .opt("keyName", instance.key.as_ref())
            .text("amiLaunchIndex", instance.index)
            .open("productCodes", |_| ())
            .text("instanceType", &instance.instance_type)
            .text("launchTime", when(instance.launched))
            .open("placement", |xml| {
                xml.text("availabilityZone", &instance.zone)
                    .text("availabilityZoneId", zone_id(&self.region, &instance.zone))
                    .text("groupName", "")
                    .text("tenancy", &instance.tenancy);
            })
            .open("monitoring", |xml| {
                xml.text("state", if instance.monitored { "enabled" } else { "disabled" });
            });
        if !gone {
            xml.text("subnetId", &instance.subnet)
                .text("vpcId", &self.network.vpc)
                .opt("privateIpAddress", (!self.lacks_ipv4(&instance.subnet)).then_some(instance.address))
                .opt("ipv6Address", self.lacks_ipv4(&instance.subnet).then(|| ipv6(instance)))
                .text("sourceDestCheck", true);
        }
        if let Some(reason) = &instance.reason {
            xml.open("stateReason", |xml| {
                xml.text("code", &reason.code).text("message", &reason.message);
            });
        }
        xml.text("architecture", &instance.architecture)
            .text("rootDeviceType", "ebs")
            .text("rootDeviceName", &instance.root_device)
            .list("blockDeviceMapping", instance.devices.iter().filter(|_| !gone), |xml, device| {
                xml.text("deviceName", &device.device).open("ebs", |xml| {
                    xml.text("volumeId", &device.volume)
                        .text("status", "attached")
                        .text("attachTime", when(device.at))
                        .text("deleteOnTermination", device.ends);
                });
            })
            .text("virtualizationType", "hvm")
            .opt("instanceLifecycle", (instance.market == Market::Spot).then_some("spot"))
            .opt("spotInstanceRequestId", instance.spot_request.as_ref())
            .opt("clientToken", instance.token.as_ref());
        write_tags(xml, &instance.tags);
        xml.text("hypervisor", "xen")
            .text("ebsOptimized", instance.ebs_optimized)
            .text("enaSupport", true)
            .list("groupSet", instance.groups.iter().filter(|_| !gone), |xml, id| {
                xml.text("groupId", id).text("groupName", self.network.group_name(id));
            })
            .list("networkInterfaceSet", (!gone).then_some(instance), |xml, instance| {
                self.write_interface(xml, instance, "");
            });
        if let Some(name) = &instance.profile {
            xml.open("iamInstanceProfile", |xml| {
                // AIPA and 17 digits, made from the name.
                let id = number(self.seed, &["profile", name]) % 100_000_000_000_000_000;
                xml.text("arn", self.profile_arn(name)).text("id", format!("AIPA{id:017}"));
            });
        }
        xml.open("cpuOptions", |xml| {
            let threads = if instance.vcpus > 1 && instance.architecture == "x86_64" { 2 } else { 1 };
            xml.text("coreCount", (instance.vcpus / threads).max(1)).text("threadsPerCore", threads);
        });
        write_metadata_options(xml, "metadataOptions", instance);
        xml.text("platformDetails", "Linux/UNIX").text("usageOperation", "RunInstances");
    }
}

/// MetadataOptions; a change is applied at once.
pub(super) fn write_metadata_options(xml: &mut Xml, name: &str, instance: &Instance) {
    xml.open(name, |xml| {
        xml.text("state", if instance.state == State::Pending { "pending" } else { "applied" })
            .text("httpTokens", &instance.metadata.tokens)
            .text("httpPutResponseHopLimit", instance.metadata.hops)
            .text("httpEndpoint", &instance.metadata.endpoint)
            .text("httpProtocolIpv6", "disabled")
            .text("instanceMetadataTags", &instance.metadata.tags);
    });
}

/// The address of an instance without IPv4, from the block for documentation (RFC 3849): nobody listens there.
fn ipv6(instance: &Instance) -> std::net::Ipv6Addr {
    let [_, block, high, low] = instance.address.octets();
    let low = u16::from_be_bytes([high, low]);
    std::net::Ipv6Addr::new(0x2001, 0xdb8, u16::from(block), 0, 0, 0, 0, low)
}

fn fresh(instance: &Instance, ask: &Ask) -> bool {
    instance.ended.is_none_or(|ended| ask.now.duration_since(ended) < SHOWN)
}

fn dns_name(instance: &Instance) -> String {
    format!("ip-{}.ec2.internal", instance.address.to_string().replace('.', "-"))
}
