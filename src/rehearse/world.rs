//! The rehearsal's world, made from a spec: account, region, template, subnets, groups, key, queues, types and prices.

use crate::sim::seed::{Seed, SeedImage, SeedMount, SeedQueue, SeedSubnet, SeedTemplate, SeedType};
use crate::spec::Fleet;
use crate::spec::build::BaseImage;
use crate::spec::fleet::MountSource;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The image that the world's template was started from.
const BASE_IMAGE: &str = "ami-0f1ee7000000ba5e1";
/// A vCPU hour on demand, dollars: about what AWS's general-purpose families cost; a rehearsal's bill is an example.
const ON_DEMAND_VCPU_HOUR: f64 = 0.05;
/// Spot as a share of it.
const SPOT_SHARE: f64 = 0.35;
/// Received so often without an acknowledgement, an item goes to the dead-letter queue.
const MAX_RECEIVE: u32 = 5;
/// Visibility time-out of the job's queue, seconds: two minutes, as the example's workers ask for.
const VISIBILITY: u32 = 120;

/// Folders on this machine that the world's mounts show.
#[derive(Clone, Debug)]
pub struct Folders {
    /// Below it, mounts `from: scratch` are made.
    pub scratch: PathBuf,
    /// What mounts `from: items` show.
    pub items: PathBuf,
    /// What mounts `from: release` show.
    pub release: PathBuf,
}

/// The world that a spec lives in.
pub fn seed(fleet: &Fleet, public_key: &str, folders: &Folders) -> Seed {
    let hosts = fleet.fleet.as_ref();
    let region = fleet.region.as_str();
    let subnet_ids: Vec<String> = match hosts.map(|hosts| hosts.subnets.as_slice()) {
        Some(ids) if !ids.is_empty() => ids.iter().map(ToString::to_string).collect(),
        _ if fleet.build().is_some() => Vec::new(),
        _ => vec!["subnet-0aaa0000000000000".to_owned()],
    };
    let own = fleet.build().map(|build| build.subnet.to_string());
    let subnet_ids: Vec<String> = distinct(subnet_ids, own);
    let subnets: Vec<SeedSubnet> = subnet_ids
        .into_iter()
        .zip(('a'..='z').cycle())
        .map(|(id, zone)| SeedSubnet { id, zone: format!("{region}{zone}"), addresses: 4091 })
        .collect();
    let build = fleet.build();
    let groups: Vec<String> = match hosts.map(|hosts| hosts.security_groups.as_slice()) {
        Some(ids) if !ids.is_empty() => ids.iter().map(ToString::to_string).collect(),
        _ if build.is_some() => Vec::new(),
        _ => vec!["sg-0aaa0000000000000".to_owned()],
    };
    let groups = distinct(groups, build.into_iter().flat_map(|build| &build.security_groups).map(ToString::to_string));
    let key = hosts.and_then(|hosts| hosts.key_name.clone()).unwrap_or_else(|| "rehearsal".to_owned());
    let profile = hosts.and_then(|hosts| hosts.instance_profile.clone());
    let keys = distinct(vec![key.clone()], build.map(|build| build.key_name.clone()));
    let profiles = profile.clone().into_iter().collect();
    let profiles: Vec<String> = distinct(profiles, build.and_then(|build| build.instance_profile.clone()));
    let types: Vec<String> = match hosts {
        Some(hosts) if hosts.requirements.is_some() => catalogue(),
        Some(hosts) if !hosts.types.is_empty() => hosts.types.clone(),
        _ => vec!["m7i.large".to_owned()],
    };
    let types = distinct(types, build.map(|build| build.instance_type.clone()));
    let (owner, name) = match build.map(|build| &build.base_image) {
        Some(BaseImage::Newest { owner, name }) => {
            let owner = if owner == "self" { fleet.account.to_string() } else { owner.clone() };
            (Some(owner), Some(name.replace(['*', '?'], "0")))
        }
        Some(BaseImage::Named(_) | BaseImage::Found { .. }) | None => (None, None),
    };
    let template = fleet.template_instance().map(|id| SeedTemplate {
        id: id.to_string(),
        instance_type: types.first().cloned().unwrap_or_default(),
        subnet: subnets.first().map(|subnet| subnet.id.clone()).unwrap_or_default(),
        image: BASE_IMAGE.to_owned(),
        security_groups: groups.clone(),
        key_name: Some(key.clone()),
        instance_profile: profile.clone(),
        tags: BTreeMap::from([("Name".to_owned(), format!("{}-template", fleet.name))]),
        setup: fleet.rehearsal.setup.clone(),
    });
    Seed {
        account: fleet.account.to_string(),
        region: region.to_owned(),
        subnets,
        security_groups: groups,
        key_pairs: keys.into_iter().map(|key| (key, public_key.to_owned())).collect(),
        instance_profiles: profiles,
        images: vec![SeedImage {
            id: base_image(fleet),
            name: name.unwrap_or_else(|| "rehearsal-base".to_owned()),
            owner: owner.unwrap_or_else(|| "amazon".to_owned()),
            architecture: build
                .map(|build| &build.instance_type)
                .or(types.first())
                .map_or("x86_64", |name| architecture(name))
                .to_owned(),
        }],
        types: types.into_iter().collect::<BTreeSet<_>>().into_iter().map(offered).collect(),
        pools: Vec::new(),
        default_capacity: 100_000,
        on_demand_vcpus: 1_000_000,
        spot_vcpus: 1_000_000,
        template,
        queues: queues(fleet),
        buckets: buckets(fleet),
        decoys: true,
        mounts: mounts(fleet, folders),
        start: None,
        lag_seconds: 0,
    }
}

/// The image that everything in the world is started from: the base image of a template that is built, where the spec says
/// its id.
pub fn base_image(fleet: &Fleet) -> String {
    let named = fleet.build().and_then(|build| build.base_image.id());
    named.map_or_else(|| BASE_IMAGE.to_owned(), ToString::to_string)
}

/// The buckets that the spec names, each once.
fn buckets(fleet: &Fleet) -> Vec<String> {
    let logs = fleet.worker.as_ref().and_then(|worker| worker.logs_to.as_ref());
    let names: BTreeSet<_> = fleet.state.iter().chain(logs).map(|place| place.bucket.clone()).collect();
    names.into_iter().collect()
}

/// A world for other tools, without any spec: three zones, usual types, one running template, one queue.
pub fn plain(public_key: &str) -> Seed {
    let zones = ['a', 'b', 'c'];
    Seed {
        account: "123456789012".to_owned(),
        region: "us-east-1".to_owned(),
        subnets: zones
            .iter()
            .map(|zone| SeedSubnet {
                id: format!("subnet-0{zone}{zone}{zone}0000000000000"),
                zone: format!("us-east-1{zone}"),
                addresses: 4091,
            })
            .collect(),
        security_groups: vec!["sg-0aaa0000000000000".to_owned()],
        key_pairs: BTreeMap::from([("rehearsal".to_owned(), public_key.to_owned())]),
        instance_profiles: vec!["worker".to_owned()],
        images: vec![SeedImage {
            id: BASE_IMAGE.to_owned(),
            name: "rehearsal-base".to_owned(),
            owner: "amazon".to_owned(),
            architecture: "x86_64".to_owned(),
        }],
        types: ["m7i.large", "m7a.large", "m6i.large", "c7i.large", "t3.micro", "t3.small", "m7g.large"]
            .into_iter()
            .map(|name| offered(name.to_owned()))
            // One of a former generation, which not every zone has.
            .chain([SeedType {
                zones: zones[..2].iter().map(|z| format!("us-east-1{z}")).collect(),
                ..offered("m3.large".to_owned())
            }])
            .collect(),
        pools: Vec::new(),
        default_capacity: 100_000,
        on_demand_vcpus: 1_000_000,
        spot_vcpus: 1_000_000,
        template: Some(SeedTemplate {
            id: "i-0123456789abcdef0".to_owned(),
            instance_type: "m7i.large".to_owned(),
            subnet: "subnet-0aaa0000000000000".to_owned(),
            image: BASE_IMAGE.to_owned(),
            security_groups: vec!["sg-0aaa0000000000000".to_owned()],
            key_name: Some("rehearsal".to_owned()),
            instance_profile: Some("worker".to_owned()),
            tags: BTreeMap::from([("Name".to_owned(), "template".to_owned())]),
            setup: None,
        }),
        queues: vec![SeedQueue {
            name: "items".to_owned(),
            visibility_timeout: VISIBILITY,
            dead_letter: None,
            max_receive: MAX_RECEIVE,
        }],
        buckets: Vec::new(),
        decoys: true,
        mounts: Vec::new(),
        start: None,
        lag_seconds: 0,
    }
}

/// These and those, each once.
fn distinct(mut these: Vec<String>, those: impl IntoIterator<Item = String>) -> Vec<String> {
    for one in those {
        if !these.contains(&one) {
            these.push(one);
        }
    }
    these
}

fn queues(fleet: &Fleet) -> Vec<SeedQueue> {
    let Some(queue) = &fleet.queue else { return Vec::new() };
    let name = queue.url.rsplit('/').next().unwrap_or_default().to_owned();
    let dead = queue.dead_letter.iter().map(|name| SeedQueue {
        name: name.clone(),
        visibility_timeout: VISIBILITY,
        dead_letter: None,
        max_receive: MAX_RECEIVE,
    });
    let mut all: Vec<SeedQueue> = dead.collect();
    all.push(SeedQueue {
        name,
        visibility_timeout: VISIBILITY,
        dead_letter: queue.dead_letter.clone(),
        max_receive: MAX_RECEIVE,
    });
    all
}

fn mounts(fleet: &Fleet, folders: &Folders) -> Vec<SeedMount> {
    fleet
        .rehearsal
        .mounts
        .iter()
        .map(|mount| SeedMount {
            at: mount.at.clone(),
            from: match &mount.from {
                MountSource::Scratch => scratch(&folders.scratch, &mount.at),
                MountSource::Items => folders.items.clone(),
                MountSource::Release => folders.release.clone(),
                MountSource::Folder(folder) => folder.clone(),
            },
            writable: mount.writable,
        })
        .collect()
}

/// The folder behind a scratch mount.
pub fn scratch(base: &Path, at: &Path) -> PathBuf {
    base.join(at.to_string_lossy().trim_matches('/').replace('/', "-"))
}

/// What a region offers to a spec that names no types: the families in use today, and one of before.
fn catalogue() -> Vec<String> {
    let sizes = ["large", "xlarge", "2xlarge", "4xlarge"];
    let families = ["m7i", "m7a", "m7g", "m6i", "c7i", "c7g", "r7i", "r7g", "t3", "m3"];
    families.iter().flat_map(|family| sizes.iter().map(move |size| format!("{family}.{size}"))).collect()
}

/// A type with a size and a price that follow from its name: exact figures are AWS's, these are the rehearsal's.
fn offered(name: String) -> SeedType {
    let vcpus = vcpus(&name);
    let (gib, share) = proportions(&name);
    let on_demand = f64::from(vcpus) * ON_DEMAND_VCPU_HOUR * share;
    SeedType {
        vcpus,
        memory_mib: vcpus * gib * 1024,
        current: generation(&name) >= 5 || name.starts_with('t'),
        zones: Vec::new(),
        architecture: architecture(&name).to_owned(),
        on_demand: format!("{on_demand:.4}"),
        spot: format!("{:.4}", on_demand * SPOT_SHARE),
        name,
    }
}

/// GiB of memory for each vCPU, and the price as a share of a general-purpose type's: little memory in `c`, much in `r`.
fn proportions(name: &str) -> (u32, f64) {
    match name.as_bytes().first() {
        Some(b'c') => (2, 0.85),
        Some(b'r') => (8, 1.32),
        _ => (4, 1.0),
    }
}

/// EC2's naming: the number behind the family's letters.
fn generation(name: &str) -> u32 {
    let digits: String = name.chars().skip_while(char::is_ascii_alphabetic).take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap_or(0)
}

/// EC2's naming: `large` has 2 vCPUs, `xlarge` 4, `Nxlarge` 4 N, smaller ones 1 or 2.
fn vcpus(name: &str) -> u32 {
    match name.split_once('.').map(|(_, size)| size) {
        Some("nano" | "micro" | "small" | "medium") => 1,
        Some("xlarge") => 4,
        Some(size) => size.strip_suffix("xlarge").and_then(|n| n.parse::<u32>().ok()).map_or(2, |n| n.min(64) * 4),
        None => 2,
    }
}

/// EC2's naming: a `g` after the generation means Graviton (`m7g`, `c7gn`), and so does the family `a1`.
fn architecture(name: &str) -> &'static str {
    let family = name.split('.').next().unwrap_or_default();
    let options =
        family.trim_start_matches(|c: char| c.is_ascii_alphabetic()).trim_start_matches(|c: char| c.is_ascii_digit());
    if options.contains('g') || family == "a1" { "arm64" } else { "x86_64" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_size_and_architecture() {
        assert_eq!(vcpus("m7i.large"), 2);
        assert_eq!(vcpus("m7i.4xlarge"), 16);
        assert_eq!(vcpus("t3.nano"), 1);
        assert_eq!((generation("m7i.large"), generation("m3.xlarge"), generation("c7gn.large")), (7, 3, 7));
        assert_eq!(architecture("m7g.large"), "arm64");
        assert_eq!(architecture("c7gn.large"), "arm64");
        assert_eq!(architecture("g5.xlarge"), "x86_64");
        assert_eq!(architecture("m7i.large"), "x86_64");
    }
}
