//! Subnets, security groups, key pairs, zones, and the loopback addresses that instances get.

use super::ids::Ids;
use super::page::{Bounds, page};
use super::records::{Group, Key, Subnet, Tags};
use super::visible::Store;
use super::{Ask, Ec2, filter::Filters, ids, write_tags};
use crate::sim::api::{Handled, Reply};
use crate::sim::draw::number;
use crate::sim::seed::Seed;
use crate::sim::xml::Xml;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use md5::{Digest, Md5};
use std::collections::{BTreeSet, HashMap};
use std::net::Ipv4Addr;

/// The one VPC and what lies in it.
#[derive(Debug)]
pub(super) struct Network {
    pub(super) vpc: String,
    pub(super) vpc_tags: Store<Tags>,
    pub(super) subnets: Store<Subnet>,
    pub(super) groups: Store<Group>,
    pub(super) default_group: String,
    pub(super) keys: Store<Key>,
    /// Addresses that instances hold, with their subnets.
    held: HashMap<Ipv4Addr, String>,
    /// Addresses taken from each subnet since the start.
    taken: HashMap<String, u32>,
    /// Next host number in each block.
    next: HashMap<u8, u16>,
}

/// 127.64.0.0/10 holds 64 blocks of 65536 addresses. Instances have loopback addresses, not 10.x ones, because their
/// bodies listen there: any address in 127.0.0.0/8 can be bound on Linux without configuring anything, and none of
/// them is ever routed.
const BLOCKS: u8 = 64;

impl Network {
    /// As the seed has it, plus the default security group that every VPC has.
    pub(super) fn new(seed: &Seed, ids: &mut Ids, at: Timestamp) -> Self {
        let vpc = ids.long("vpc");
        let default_group = ids.long("sg");
        let mut vpc_tags = Store::default();
        vpc_tags.insert(&vpc, at, Tags::new());
        let mut subnets = Store::default();
        for (subnet, block) in seed.subnets.iter().zip((0..BLOCKS).cycle()) {
            let (id, zone) = (subnet.id.clone(), subnet.zone.clone());
            subnets.insert(&subnet.id, at, Subnet { id, zone, block, room: subnet.addresses, tags: Tags::new() });
        }
        let mut groups = Store::default();
        groups.insert(
            &default_group,
            at,
            Group { id: default_group.clone(), name: "default".to_owned(), tags: Tags::new() },
        );
        for id in &seed.security_groups {
            let name = id.strip_prefix("sg-").unwrap_or(id).to_owned();
            groups.insert(id, at, Group { id: id.clone(), name, tags: Tags::new() });
        }
        let mut keys = Store::default();
        for (name, public) in &seed.key_pairs {
            let id = ids.long("key");
            let key = Key { id: id.clone(), name: name.clone(), public: public.clone(), tags: Tags::new() };
            keys.insert(&id, at, key);
        }
        let (held, taken, next) = (HashMap::new(), HashMap::new(), HashMap::new());
        Self { vpc, vpc_tags, subnets, groups, default_group, keys, held, taken, next }
    }

    /// Addresses free in a subnet now.
    pub(super) fn free(&self, subnet: &Subnet) -> u32 {
        subnet.room.saturating_sub(self.taken.get(&subnet.id).copied().unwrap_or_default())
    }

    /// Takes the next address of a subnet's block; like AWS it leaves out the first four and the last of a block,
    /// and every `.0`. `counts` is false for what was there before the seed counted free addresses.
    pub(super) fn take(&mut self, subnet: &Subnet, counts: bool) -> Ipv4Addr {
        let next = self.next.entry(subnet.block).or_insert(4);
        let address = loop {
            let [high, low] = next.to_be_bytes();
            *next = if *next >= 0xfffe { 4 } else { *next + 1 };
            let address = Ipv4Addr::new(127, 64 + subnet.block, high, low);
            if low != 0 && !self.held.contains_key(&address) {
                break address;
            }
        };
        self.held.insert(address, if counts { subnet.id.clone() } else { String::new() });
        if counts {
            *self.taken.entry(subnet.id.clone()).or_default() += 1;
        }
        address
    }

    /// Gives an address back.
    pub(super) fn give_back(&mut self, address: Ipv4Addr) {
        if let Some(taken) = self.held.remove(&address).and_then(|subnet| self.taken.get_mut(&subnet)) {
            *taken = taken.saturating_sub(1);
        }
    }

    /// The zones that have a subnet, in order.
    pub(super) fn zones(&self) -> Vec<String> {
        self.subnets.all().map(|subnet| subnet.zone.clone()).collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// A group's name.
    pub(super) fn group_name(&self, id: &str) -> String {
        self.groups.get(id).map(|group| group.name.clone()).unwrap_or_default()
    }
}

/// AWS's zone ids differ from account to account; here zone `a` is `az1` and so on.
pub(super) fn zone_id(region: &str, zone: &str) -> String {
    let parts: Vec<&str> = region.split('-').collect();
    let [area, side, number] = parts[..] else { return zone.to_owned() };
    let letter = zone.strip_prefix(region).and_then(|rest| rest.bytes().next()).unwrap_or(b'a');
    format!("{area}{}{number}-az{}", &side[..1.min(side.len())], letter.saturating_sub(b'a') + 1)
}

fn cidr(block: u8) -> String {
    format!("127.{}.0.0/16", 64 + block)
}

impl Ec2 {
    /// DescribeSubnets.
    pub(super) fn describe_subnets(&self, ask: &Ask) -> Handled {
        let known = [
            "subnet-id",
            "vpc-id",
            "availability-zone",
            "availabilityZone",
            "availability-zone-id",
            "state",
            "cidr-block",
            "available-ip-address-count",
            "default-for-az",
            "owner-id",
            "subnet-arn",
            "tag",
        ];
        let filters = Filters::read(&ask.params, &known)?;
        let wanted = ask.wanted("SubnetId", "subnet", |id| self.network.subnets.seen(id, &ask.eye).is_some())?;
        let region = &self.region;
        let found = self.network.subnets.all_seen(&ask.eye).filter(|(_, subnet)| {
            wanted.takes(&subnet.id)
                && filters.pass(&subnet.tags, |name| {
                    vec![match name {
                        "subnet-id" => subnet.id.clone(),
                        "vpc-id" => self.network.vpc.clone(),
                        "availability-zone" | "availabilityZone" => subnet.zone.clone(),
                        "availability-zone-id" => zone_id(region, &subnet.zone),
                        "state" => "available".to_owned(),
                        "cidr-block" => cidr(subnet.block),
                        "available-ip-address-count" => self.network.free(subnet).to_string(),
                        "default-for-az" => "true".to_owned(),
                        "owner-id" => self.account.clone(),
                        _ => self.arn("subnet", &subnet.id),
                    }]
                })
        });
        let page = page(&ask.params, "DescribeSubnets", Bounds(5, 1000), found)?;
        let mut xml = Xml::new();
        xml.list("subnetSet", &page.items, |xml, subnet| {
            xml.text("subnetId", &subnet.id)
                .text("subnetArn", self.arn("subnet", &subnet.id))
                .text("state", "available")
                .text("ownerId", &self.account)
                .text("vpcId", &self.network.vpc)
                .opt("cidrBlock", (!self.lacks_ipv4(&subnet.id)).then(|| cidr(subnet.block)))
                .text(
                    "availableIpAddressCount",
                    if self.lacks_ipv4(&subnet.id) { 0 } else { self.network.free(subnet) },
                )
                .text("ipv6Native", self.lacks_ipv4(&subnet.id))
                .text("availabilityZone", &subnet.zone)
                .text("availabilityZoneId", zone_id(region, &subnet.zone))
                .text("defaultForAz", true)
                .text("mapPublicIpOnLaunch", false)
                .text("assignIpv6AddressOnCreation", self.lacks_ipv4(&subnet.id));
            write_tags(xml, &subnet.tags);
        });
        Ok(done(xml, page.next))
    }

    /// DescribeSecurityGroups.
    pub(super) fn describe_security_groups(&self, ask: &Ask) -> Handled {
        let known = ["group-id", "group-name", "vpc-id", "owner-id", "description", "tag"];
        let filters = Filters::read(&ask.params, &known)?;
        let wanted = ask.wanted("GroupId", "sg", |id| self.network.groups.seen(id, &ask.eye).is_some())?;
        let names = ask.params.texts("GroupName");
        for name in &names {
            if !self.network.groups.all().any(|group| group.name == *name) {
                return Err(ids::unknown_group_name(name));
            }
        }
        let found = self.network.groups.all_seen(&ask.eye).filter(|(_, group)| {
            wanted.takes(&group.id)
                && (names.is_empty() || names.contains(&group.name))
                && filters.pass(&group.tags, |name| {
                    vec![match name {
                        "group-id" => group.id.clone(),
                        "group-name" | "description" => group.name.clone(),
                        "vpc-id" => self.network.vpc.clone(),
                        _ => self.account.clone(),
                    }]
                })
        });
        let page = page(&ask.params, "DescribeSecurityGroups", Bounds(5, 1000), found)?;
        let mut xml = Xml::new();
        xml.list("securityGroupInfo", &page.items, |xml, group| {
            xml.text("ownerId", &self.account)
                .text("groupId", &group.id)
                .text("groupName", &group.name)
                .text("groupDescription", &group.name)
                .text("vpcId", &self.network.vpc)
                .text("securityGroupArn", self.arn("security-group", &group.id))
                .open("ipPermissions", |_| ())
                .list("ipPermissionsEgress", ["0.0.0.0/0"], |xml, range| {
                    xml.text("ipProtocol", "-1").list("ipRanges", [range], |xml, range| {
                        xml.text("cidrIp", range);
                    });
                });
            write_tags(xml, &group.tags);
        });
        Ok(done(xml, page.next))
    }

    /// DescribeVpcs: the one there is.
    pub(super) fn describe_vpcs(&self, ask: &Ask) -> Handled {
        let known = ["vpc-id", "state", "is-default", "isDefault", "cidr", "owner-id", "tag"];
        let filters = Filters::read(&ask.params, &known)?;
        let wanted = ask.wanted("VpcId", "vpc", |id| *id == self.network.vpc)?;
        let vpc = &self.network.vpc;
        let found = self.network.vpc_tags.all_seen(&ask.eye).filter(|(_, tags)| {
            wanted.takes(vpc)
                && filters.pass(tags, |name| {
                    vec![match name {
                        "vpc-id" => vpc.clone(),
                        "state" => "available".to_owned(),
                        "is-default" | "isDefault" => "true".to_owned(),
                        "cidr" => "127.64.0.0/10".to_owned(),
                        _ => self.account.clone(),
                    }]
                })
        });
        let page = page(&ask.params, "DescribeVpcs", Bounds(5, 1000), found)?;
        let mut xml = Xml::new();
        xml.list("vpcSet", &page.items, |xml, tags| {
            xml.text("vpcId", vpc)
                .text("ownerId", &self.account)
                .text("state", "available")
                .text("cidrBlock", "127.64.0.0/10")
                .text("instanceTenancy", "default")
                .text("isDefault", true);
            write_tags(xml, tags);
        });
        Ok(done(xml, page.next))
    }

    /// DescribeKeyPairs.
    pub(super) fn describe_key_pairs(&self, ask: &Ask) -> Handled {
        let filters = Filters::read(&ask.params, &["key-name", "key-pair-id", "fingerprint", "tag"])?;
        let names = ask.params.texts("KeyName");
        for name in &names {
            if !self.network.keys.all().any(|key| key.name == *name) {
                return Err(ids::unknown("key", name));
            }
        }
        let wanted = ask.wanted("KeyPairId", "key", |id| self.network.keys.seen(id, &ask.eye).is_some())?;
        let public = ask.params.flag("IncludePublicKey")?.unwrap_or(false);
        let mut xml = Xml::new();
        let found = self.network.keys.all_seen(&ask.eye).filter(|(_, key)| {
            (names.is_empty() || names.contains(&key.name))
                && wanted.takes(&key.id)
                && filters.pass(&key.tags, |name| {
                    vec![match name {
                        "key-name" => key.name.clone(),
                        "key-pair-id" => key.id.clone(),
                        _ => fingerprint(&key.public),
                    }]
                })
        });
        xml.list("keySet", found, |xml, (_, key)| {
            let kind = if key.public.starts_with("ssh-ed25519") { "ed25519" } else { "rsa" };
            xml.text("keyPairId", &key.id)
                .text("keyName", &key.name)
                .text("keyFingerprint", fingerprint(&key.public))
                .text("keyType", kind)
                .opt("publicKey", public.then_some(&key.public));
            write_tags(xml, &key.tags);
        });
        Ok(Reply { body: xml.finish(), ..Reply::default() })
    }
}

/// The answer of a paged call.
pub(super) fn done(mut xml: Xml, next: Option<String>) -> Reply {
    xml.opt("nextToken", next);
    Reply { body: xml.finish(), ..Reply::default() }
}

/// EC2 shows the MD5 of an imported key's blob, two digits at a time.
fn fingerprint(public: &str) -> String {
    let blob = public.split_whitespace().nth(1).and_then(|text| STANDARD.decode(text).ok()).unwrap_or_default();
    Md5::digest(&blob).iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":")
}

/// A locally administered card address from an id.
pub(super) fn mac(seed: u64, id: &str) -> String {
    let bytes = number(seed, &["mac", id]).to_be_bytes();
    format!("02:{:02x}:{:02x}:{:02x}:{:02x}:{:02x}", bytes[0], bytes[1], bytes[2], bytes[3], bytes[4])
}
