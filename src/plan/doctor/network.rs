//! Subnets: there, one for each zone, with addresses enough, and reachable by the addresses that they give.

use super::finding::Notes;
use super::wanted;
use crate::exit::Exit;
use crate::model::checkup::Checkup;
use crate::model::{Subnet, SubnetId, count, count_is};
use crate::spec::Fleet;
use crate::spec::fleet::Connect;
use std::collections::BTreeMap;

pub(super) fn judge(fleet: &Fleet, checkup: &Checkup, notes: &mut Notes) {
    let subnets = match &checkup.subnets {
        None if fleet.fleet.is_some() => {
            return notes.unchecked("subnets", "the spec names none, and the template's is not known");
        }
        None => return,
        Some(Err(fault)) => return notes.needed("subnets", fault),
        Some(Ok(subnets)) => subnets,
    };
    let wanted = wanted(fleet, checkup);
    let absent: Vec<&str> =
        wanted.subnets.iter().filter(|id| !subnets.iter().any(|s| s.id == **id)).map(SubnetId::as_str).collect();
    if absent.is_empty() {
        let zones: Vec<String> = subnets.iter().map(|subnet| format!("{} ({})", subnet.id, subnet.zone)).collect();
        notes.ok("subnets", zones.join(", "));
    } else {
        notes.problem(
            "subnets",
            Exit::Usage,
            format!("{} not in {}", absent.join(", "), fleet.region),
            format!("aws ec2 describe-subnets --region {}     # then correct `fleet.subnets`", fleet.region),
        );
    }
    zones(subnets, notes);
    addresses(fleet, subnets, wanted.missing, notes);
}

/// A fleet request takes one subnet for each zone.
fn zones(subnets: &[Subnet], notes: &mut Notes) {
    let mut by_zone: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for subnet in subnets {
        by_zone.entry(subnet.zone.as_str()).or_default().push(subnet.id.as_str());
    }
    match by_zone.iter().find(|(_, ids)| ids.len() > 1) {
        Some((zone, ids)) => notes.problem(
            "zones",
            Exit::Usage,
            format!("{} are all in {zone}: a fleet request takes one subnet for each zone", ids.join(" and ")),
            "leave one of them in `fleet.subnets`",
        ),
        None if subnets.len() == 1 => notes.warning(
            "zones",
            "one subnet, so one zone: when its pools run dry there is nowhere else to look",
            "name a subnet of another zone in `fleet.subnets` too",
        ),
        None => notes.ok("zones", format!("{} zones, one subnet each", by_zone.len())),
    }
}

fn addresses(fleet: &Fleet, subnets: &[Subnet], missing: u32, notes: &mut Notes) {
    let six: Vec<&str> = subnets.iter().filter(|subnet| subnet.ipv6_only).map(|subnet| subnet.id.as_str()).collect();
    if !six.is_empty() {
        let found = format!("{} only: hosts there have no IPv4 address", six.join(", "));
        match fleet.ssh.connect {
            Connect::Private => notes.warning(
                "ipv6",
                format!("{found}; SSH uses their IPv6 one"),
                "this machine needs an IPv6 route to them, their types must be Nitro ones, and end them with `down`: whether \
                 `fleet.expires` works depends on their image",
            ),
            Connect::Public => notes.problem(
                "ipv6",
                Exit::Usage,
                format!("{found}, so there is none for `ssh.connect: public`"),
                "set `ssh.connect: private`, which takes the IPv6 address, or name other subnets",
            ),
        }
    }
    if missing == 0 {
        return notes.ok("addresses", "no more hosts are wanted");
    }
    // A subnet without IPv4 has a /64: 2^64 addresses.
    if !six.is_empty() {
        return notes.ok("addresses", format!("IPv6 has room for the {} to come", count(missing, "host")));
    }
    let known: Option<Vec<u32>> = subnets.iter().map(|subnet| subnet.free_addresses).collect();
    let Some(free) = known.filter(|_| !subnets.is_empty()) else {
        return notes.unchecked("addresses", "EC2 did not say how many are free");
    };
    let total: u32 = free.iter().fold(0, |sum, n| sum.saturating_add(*n));
    let dry: Vec<&str> =
        subnets.iter().filter(|subnet| subnet.free_addresses == Some(0)).map(|subnet| subnet.id.as_str()).collect();
    if total < missing {
        notes.problem(
            "addresses",
            Exit::Capacity,
            format!("{total} are free in all, {} to come", count_is(missing, "host")),
            "name more or larger subnets in `fleet.subnets`, or end what holds their addresses",
        );
    } else if dry.is_empty() {
        notes.ok("addresses", format!("{total} are free, {} to come", count_is(missing, "host")));
    } else {
        notes.warning(
            "addresses",
            format!(
                "{} has none left; the others have {total} for the {} to come",
                dry.join(", "),
                count(missing, "host")
            ),
            "name a larger subnet of that zone in `fleet.subnets`",
        );
    }
}
