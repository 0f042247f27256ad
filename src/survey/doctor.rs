//! A doctor's look at the account: everything that the spec needs, side by side, each read failing for itself.

use super::base::base_image;
use super::offers::offers;
use super::when;
use crate::aws::Clients;
use crate::model::checkup::{Checkup, KeyFacts, NotChosen, QueueFacts, QuotaFacts, Seen, Way};
use crate::model::{Caller, Fault, Market, Offer, Region, Zone};
use crate::plan::doctor::{Wanted, family, linked_roles, trials, wanted};
use crate::plan::launch::template_name;
use crate::plan::types;
use crate::spec::Fleet;
use crate::time::Clock;
use std::collections::{BTreeMap, BTreeSet};
use tokio::task::JoinSet;

/// Looks at what the spec needs; SSH apart. Where the credentials are wrong nothing else is asked.
pub async fn examine(clients: &Clients, fleet: &Fleet, way: Way, clock: &dyn Clock) -> Checkup {
    let caller = clients.caller().await;
    let partition = fleet.region.partition().name;
    let right = |caller: &Caller| caller.account == fleet.account && caller.arn.split(':').nth(1) == Some(partition);
    let right = caller.as_ref().is_ok_and(right);
    let mut checkup = Checkup::begun(clock.now(), way, caller);
    checkup.session_end = Some(clients.session_end().await);
    if right {
        things(clients, fleet, &mut checkup).await;
        checkup.chosen = Box::pin(chosen(clients, fleet, &checkup)).await;
        Box::pin(account(clients, fleet, clock, &mut checkup)).await;
    }
    checkup
}

/// What everything else depends on: template, images, hosts.
async fn things(clients: &Clients, fleet: &Fleet, checkup: &mut Checkup) {
    let id = fleet.template_instance();
    let hosts = fleet.fleet.is_some();
    let name = template_name(fleet.name.as_str());
    let now = checkup.at;
    let (base, template, images, instances, made) = tokio::join!(
        async {
            match fleet.build() {
                Some(build) => Some(match base_image(clients, build, now).await {
                    Ok(found) => found.map_err(|none| NotChosen::None(none.message, none.hints.join("; "))),
                    Err(fault) => Err(NotChosen::Unseen(fault)),
                }),
                None => None,
            }
        },
        async {
            match id {
                Some(id) => Some(clients.instance(id).await),
                None => None,
            }
        },
        when(hosts, clients.images_of_fleet(&fleet.name)),
        when(hosts, clients.instances_of_fleet(&fleet.name)),
        when(hosts, clients.launch_template(&name)),
    );
    (checkup.template, checkup.base) = (template, base);
    (checkup.images, checkup.hosts, checkup.launch_template) = (images, instances, made);
}

/// The types that a launch would choose by its requirements, prices apart.
async fn chosen(clients: &Clients, fleet: &Fleet, checkup: &Checkup) -> Option<Result<Vec<String>, NotChosen>> {
    let hosts = fleet.fleet.as_ref().filter(|hosts| hosts.requirements.is_some())?;
    let known = wanted(fleet, checkup);
    if known.subnets.is_empty() {
        return None;
    }
    let architecture = known.architecture.as_ref().map(|(_, architecture)| architecture.as_str());
    let wish = types::wanted(hosts, &[], architecture);
    let spot = hosts.spot_percent > 0;
    let looked = async {
        let subnets = clients.subnets(&known.subnets).await?;
        let zones: BTreeSet<Zone> = subnets.into_iter().map(|subnet| subnet.zone).collect();
        let zones: Vec<Zone> = zones.into_iter().collect();
        Ok::<_, Fault>((offers(clients, &wish, &zones, spot).await?, zones))
    };
    Some(match looked.await {
        Err(fault) => Err(NotChosen::Unseen(fault)),
        Ok((offers, zones)) => types::choose(&wish, &offers, &zones, architecture, spot, fleet.region.as_str())
            .map_err(|none| NotChosen::None(none.message, none.hints.join("; "))),
    })
}

/// All the rest.
async fn account(clients: &Clients, fleet: &Fleet, clock: &dyn Clock, checkup: &mut Checkup) {
    let wanted = wanted(fleet, checkup);
    let hosts = fleet.fleet.is_some();
    let roles = linked_roles(fleet);
    let name = wanted.profile.as_deref().map(|profile| profile.rsplit('/').next().unwrap_or(profile).to_owned());
    let (subnets, types, roles, profile, keys, (quotas, used), sharing, queue, trials) = tokio::join!(
        when(!wanted.subnets.is_empty(), clients.subnets(&wanted.subnets)),
        when(!wanted.types.is_empty(), types(clients, &wanted)),
        all(roles.into_iter().map(|role| {
            let clients = clients.clone();
            async move { (role, clients.role_exists(role).await) }
        })),
        when(name.is_some(), async {
            let name = name.clone().unwrap_or_default();
            let seen = clients.instance_profile(&name).await;
            (name, seen)
        }),
        when(hosts || fleet.image.kms_key.is_some(), keys(clients, fleet)),
        quotas(clients, &wanted),
        when(fleet.template.is_some(), clients.image_sharing()),
        queue(clients, fleet, clock),
        all(trials(fleet, checkup).into_iter().map(|trial| {
            let clients = clients.clone();
            async move {
                let permission = clients.may(&trial).await;
                (trial, permission)
            }
        })),
    );
    (checkup.subnets, checkup.types, checkup.roles, checkup.profile) = (subnets, types, roles, profile);
    (checkup.quotas, checkup.vcpus_in_use, checkup.image_sharing) = (quotas, used, sharing);
    (checkup.queue, checkup.trials) = (queue, trials);
    match keys {
        Some(Ok(keys)) => checkup.keys = keys,
        Some(Err(fault)) => checkup.keys_unread = Some(fault),
        None => {}
    }
}

/// What all of them answer, in their order; they run side by side.
async fn all<T: Send + 'static>(reads: impl Iterator<Item = impl Future<Output = T> + Send + 'static>) -> Vec<T> {
    let mut running = JoinSet::new();
    for (n, read) in reads.enumerate() {
        running.spawn(async move { (n, read.await) });
    }
    let mut done = running.join_all().await;
    done.sort_by_key(|(n, _)| *n);
    done.into_iter().map(|(_, answer)| answer).collect()
}

/// The wanted types by name.
async fn types(clients: &Clients, wanted: &Wanted) -> Result<BTreeMap<String, Offer>, Fault> {
    let found = clients.types_named(&wanted.types).await?;
    Ok(found.into_iter().map(|offer| (offer.name.clone(), offer)).collect())
}

/// The keys that root volumes of hosts are encrypted with: that of the spec, in every region that gets the image; else a
/// baked image keeps the keys of its template's volumes; what is encrypted only at launch gets the region's default key.
async fn keys(clients: &Clients, fleet: &Fleet) -> Result<Vec<(String, Seen<KeyFacts>)>, Fault> {
    let mut named: Vec<(String, String)> = Vec::new();
    if let Some(key) = &fleet.image.kms_key {
        named.push(("image.encrypt".to_owned(), key.clone()));
    } else if let Some(template) = fleet.template_instance() {
        for (volume, key) in clients.volume_keys(template).await? {
            if !named.iter().any(|(_, known)| *known == key) {
                named.push((format!("volume {volume} of the template"), key));
            }
        }
    }
    if named.is_empty() && fleet.fleet.as_ref().is_some_and(|hosts| hosts.root.encrypted) {
        named.push(("the region's default".to_owned(), clients.default_volume_key().await?));
    }
    let own = named.into_iter().map(|(what, key)| (what, key, clients.clone()));
    let copies = fleet.image.kms_key.iter().flat_map(|key| {
        let there = |region: &Region| (format!("image.encrypt in {region}"), key.clone(), clients.in_region(region));
        fleet.image.copy_to.iter().map(there)
    });
    let seen = all(own.chain(copies).map(|(what, key, clients)| async move { (what, clients.key(&key).await) }));
    Ok(seen.await)
}

/// Quotas of the families that the wanted types belong to, in the markets that hosts are wanted in, and what is in use.
async fn quotas(clients: &Clients, wanted: &Wanted) -> (Vec<QuotaFacts>, Option<Seen<BTreeMap<&'static str, u32>>>) {
    let markets: Vec<Market> = [(Market::Spot, wanted.spot), (Market::OnDemand, wanted.on_demand)]
        .into_iter()
        .filter_map(|(market, hosts)| (hosts > 0).then_some(market))
        .collect();
    if markets.is_empty() {
        return (Vec::new(), None);
    }
    let mut asked: Vec<(&'static str, Market, &'static str)> = Vec::new();
    for market in markets {
        for family in wanted.types.iter().filter_map(|kind| family(kind)) {
            if let Some(code) = family.code(market).filter(|code| !asked.iter().any(|(known, ..)| known == code)) {
                asked.push((code, market, family.names));
            }
        }
    }
    let (types, used, limits) = tokio::join!(
        types(clients, wanted),
        clients.vcpus_running(),
        all(asked.iter().map(|(code, ..)| {
            let (clients, code) = (clients.clone(), *code);
            async move { clients.vcpu_quota(code).await }
        })),
    );
    let each = |code: &str, market: Market| {
        let of = |kind: &&String| family(kind).and_then(|family| family.code(market)) == Some(code);
        let types = types.as_ref().ok();
        let vcpus = wanted.types.iter().filter(of).filter_map(|kind| Some(types?.get(kind)?.vcpus));
        vcpus.max().unwrap_or(1)
    };
    let quotas = asked
        .iter()
        .zip(limits)
        .map(|((code, market, families), limit)| QuotaFacts {
            code,
            market: *market,
            families,
            vcpus_each: each(code, *market),
            limit,
        })
        .collect();
    let used = used.map(|running| {
        let mut sums: BTreeMap<&'static str, u32> = BTreeMap::new();
        for (kind, market, vcpus) in running {
            if let Some(code) = family(&kind).and_then(|family| family.code(market)) {
                *sums.entry(code).or_default() += vcpus;
            }
        }
        sums
    });
    // How large a host is decides what fits: without it nothing is known.
    (quotas, Some(types.and(used)))
}

/// The queue, where the spec names one.
async fn queue(clients: &Clients, fleet: &Fleet, clock: &dyn Clock) -> Option<QueueFacts> {
    let queue = fleet.queue.as_ref()?;
    let (counters, dead_letter) = tokio::join!(clients.sample(&queue.url, None, clock), async {
        let name = queue.dead_letter.clone()?;
        let seen = clients.queue_by_name(&name).await.map(|url| url.is_some());
        Some((name, seen))
    });
    Some(QueueFacts { counters: counters.map(drop), dead_letter })
}
