//! vCPU quotas: whether the hosts to come fit beside what runs, in each market, and the request that makes them fit.

use super::finding::Notes;
use super::{Wanted, wanted};
use crate::exit::Exit;
use crate::model::checkup::{Checkup, QuotaFacts};
use crate::model::{Market, count};
use crate::spec::Fleet;
use std::collections::BTreeMap;

pub(super) fn judge(fleet: &Fleet, checkup: &Checkup, notes: &mut Notes) {
    let wanted = wanted(fleet, checkup);
    if fleet.fleet.is_none() {
        return;
    }
    for (market, check, hosts) in
        [(Market::Spot, "spot", wanted.spot), (Market::OnDemand, "on-demand", wanted.on_demand)]
    {
        if hosts == 0 {
            continue;
        }
        let quotas: Vec<&QuotaFacts> = checkup.quotas.iter().filter(|quota| quota.market == market).collect();
        match &checkup.vcpus_in_use {
            _ if quotas.is_empty() => notes.unchecked(check, "no quota is known of the types, or the types are not"),
            None => notes.unchecked(check, "what runs was not counted"),
            Some(Err(fault)) => notes.unseen(check, fault),
            Some(Ok(used)) => fits(fleet, check, hosts, &wanted, &quotas, used, notes),
        }
    }
}

/// A market: hosts may be of any family, so what fits into each of them adds up.
fn fits(
    fleet: &Fleet,
    check: &str,
    hosts: u32,
    wanted: &Wanted,
    quotas: &[&QuotaFacts],
    used: &BTreeMap<&'static str, u32>,
    notes: &mut Notes,
) {
    let mut room = 0_u32;
    let mut said = Vec::new();
    for quota in quotas {
        let limit = match &quota.limit {
            Ok(limit) => *limit,
            Err(fault) => return notes.unseen(check, fault),
        };
        let used = used.get(quota.code).copied().unwrap_or(0);
        room = room.saturating_add(limit.saturating_sub(used) / quota.vcpus_each.max(1));
        said.push(format!("{} vCPUs of {}, {used} in use ({})", limit, quota.families, quota.code));
    }
    let said = said.join("; ");
    if room >= hosts {
        return notes.ok(check, format!("{said}: room for the {} to come", count(hosts, "host")));
    }
    let fix = quotas.first().map(|quota| {
        let used = used.get(quota.code).copied().unwrap_or(0);
        format!(
            "aws service-quotas request-service-quota-increase --region {} --service-code ec2 --quota-code {} \
             --desired-value {}",
            fleet.region,
            quota.code,
            used.saturating_add(hosts.saturating_mul(quota.vcpus_each))
        )
    });
    let fix = fix.unwrap_or_default();
    let found = format!("{said}: room for {room} of the {} to come", count(hosts, "host"));
    // Fewer may do: of all hosts, this market's share can be short by so many.
    if hosts - room <= wanted.spare {
        notes.warning(check, format!("{found}; `accept.min` can still be met"), fix);
    } else {
        notes.problem(check, Exit::Capacity, found, fix);
    }
}
