//! Which instance types a launch may use: those named, checked, or those that have what is required.

use super::Unplannable;
use crate::exit::Exit;
use crate::model::{Offer, Zone};
use crate::spec::fleet::{Between, HostsSpec, Requirements};
use crate::spec::nearest;

/// Overrides of a fleet request: 300 for fleets of type request and maintain (EC2 API reference,
/// FleetLaunchTemplateConfigRequest); none is published for instant ones, which are held to the same.
const OVERRIDES: usize = 300;
/// Most types of a plan, as many as `fleet.types` takes.
const MOST: usize = 40;

/// What a spec asks for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Wanted<'a> {
    /// These types, in the order of preference.
    Named(&'a [String]),
    /// Any type that has what is required, of this architecture.
    Like(&'a Requirements, &'a str),
}

/// What the spec asks for; `template` is the template's type, `architecture` the image's.
pub fn wanted<'a>(hosts: &'a HostsSpec, template: &'a [String], architecture: Option<&'a str>) -> Wanted<'a> {
    match &hosts.requirements {
        Some(required) => {
            let own = required.architecture.as_deref();
            Wanted::Like(required, own.or(architecture).unwrap_or("x86_64"))
        }
        None if hosts.types.is_empty() => Wanted::Named(template),
        None => Wanted::Named(&hosts.types),
    }
}

/// The types to ask for, in the order of preference.
///
/// # Errors
///
/// A type that the region or every zone lacks, that the image can't run on, or that is not sold as wanted; or requirements
/// that nothing meets, with the nearest miss.
pub fn choose(
    wanted: &Wanted<'_>,
    offers: &[Offer],
    zones: &[Zone],
    architecture: Option<&str>,
    spot: bool,
    region: &str,
) -> Result<Vec<String>, Unplannable> {
    match wanted {
        Wanted::Named(names) => {
            for name in *names {
                check(name, offers, zones, architecture, spot, region)?;
            }
            Ok(names.to_vec())
        }
        Wanted::Like(required, own) => {
            if let Some(image) = architecture.filter(|image| image != own) {
                return Err(Unplannable::new(
                    Exit::Usage,
                    format!("`fleet.requirements.architecture` is {own}, but the image is {image}"),
                    "leave it out, or name an image of that architecture with --image",
                ));
            }
            matching(required, own, offers, zones)
        }
    }
}

/// Whether a named type can be launched at all.
fn check(
    name: &str,
    offers: &[Offer],
    zones: &[Zone],
    architecture: Option<&str>,
    spot: bool,
    region: &str,
) -> Result<(), Unplannable> {
    let refuse = |why: String| Err(Unplannable::new(Exit::Usage, why, "correct `fleet.types` in the spec"));
    let Some(offer) = offers.iter().find(|offer| offer.name == name) else {
        let known: Vec<&str> = offers.iter().map(|offer| offer.name.as_str()).collect();
        let hint = match nearest(name, &known) {
            Some(near) => format!("did you mean {near}? Correct `fleet.types` in the spec"),
            None => "aws ec2 describe-instance-type-offerings     # lists them; then correct `fleet.types`".to_owned(),
        };
        return Err(Unplannable::new(Exit::Usage, format!("{region} has no instance type {name}"), hint));
    };
    if let Some(image) = architecture.filter(|image| !offer.architectures.iter().any(|own| own == image)) {
        return refuse(format!("{name} is {}, but the image is {image}", offer.architectures.join(" and ")));
    }
    if !zones.iter().any(|zone| offer.zones.contains(zone)) {
        return refuse(format!("no zone of the fleet's subnets ({}) offers {name}", join(zones)));
    }
    if spot && !offer.spot {
        return refuse(format!("{name} is not sold as spot"));
    }
    Ok(())
}

/// Types that have what is required: the cheapest at the list price first, then those of unknown price by size and name.
/// List prices change rarely, so that two looks give the same order.
fn matching(
    required: &Requirements,
    architecture: &str,
    offers: &[Offer],
    zones: &[Zone],
) -> Result<Vec<String>, Unplannable> {
    let mut fit: Vec<&Offer> = offers.iter().filter(|offer| misses(required, offer, zones).is_empty()).collect();
    fit.sort_by_key(|offer| (offer.on_demand.is_none(), offer.on_demand, offer.vcpus, offer.memory_mib, &offer.name));
    fit.truncate(MOST.min(OVERRIDES / zones.len().max(1)));
    if !fit.is_empty() {
        return Ok(fit.into_iter().map(|offer| offer.name.clone()).collect());
    }
    let nearest = offers.iter().map(|offer| (misses(required, offer, zones), offer)).min_by_key(|(misses, offer)| {
        let vcpus = off(required.vcpus, u64::from(offer.vcpus), 1);
        (misses.len(), vcpus, off(required.memory_gib, offer.memory_mib, 1024), offer.name.clone())
    });
    let hint = match nearest {
        Some((misses, offer)) => format!("nearest is {}: {}", offer.name, misses.join(", ")),
        None => format!("the region offers no such type of architecture {architecture} at all"),
    };
    Err(Unplannable::new(
        Exit::Usage,
        format!(
            "no {architecture} instance type in {} has what `fleet.requirements` asks for: {} vCPUs and {} GiB",
            join(zones),
            words(required.vcpus),
            words(required.memory_gib),
        ),
        hint,
    ))
}

/// How far a value lies outside of its bounds.
fn off(bounds: Between, value: u64, unit: u64) -> u64 {
    let most = bounds.most.map_or(u64::MAX, |most| u64::from(most) * unit);
    (u64::from(bounds.least) * unit).saturating_sub(value) + value.saturating_sub(most)
}

/// What a type lacks, each in a few words; nothing when it fits.
fn misses(required: &Requirements, offer: &Offer, zones: &[Zone]) -> Vec<String> {
    let mut misses = Vec::new();
    if off(required.vcpus, u64::from(offer.vcpus), 1) > 0 {
        misses.push(format!("{} vCPUs", offer.vcpus));
    }
    if off(required.memory_gib, offer.memory_mib, 1024) > 0 {
        let (whole, rest) = (offer.memory_mib / 1024, offer.memory_mib % 1024);
        misses.push(if rest == 0 { format!("{whole} GiB") } else { format!("{} MiB", offer.memory_mib) });
    }
    if let Some(pattern) = required.exclude.iter().find(|pattern| like(pattern, &offer.name)) {
        misses.push(format!("excluded by `{pattern}`"));
    }
    let lacking: Vec<Zone> = zones.iter().filter(|zone| !offer.zones.contains(*zone)).cloned().collect();
    if !lacking.is_empty() {
        misses.push(format!("not offered in {}", join(&lacking)));
    }
    misses
}

fn words(bounds: Between) -> String {
    match bounds.most {
        None => format!("at least {}", bounds.least),
        Some(most) if most == bounds.least => format!("just {most}"),
        Some(most) => format!("{} to {most}", bounds.least),
    }
}

fn join(zones: &[Zone]) -> String {
    zones.iter().map(Zone::as_str).collect::<Vec<_>>().join(", ")
}

/// Whether a name matches a pattern in which `*` stands for any run of characters.
fn like(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((head, rest)) => name
            .strip_prefix(head)
            .is_some_and(|tail| (0..=tail.len()).any(|at| tail.get(at..).is_some_and(|tail| like(rest, tail)))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Money;
    use proptest::prelude::*;

    fn zones(names: &str) -> Vec<Zone> {
        names.chars().map(|zone| Zone::new(format!("us-east-1{zone}"))).collect()
    }

    fn offer(name: &str, vcpus: u32, gib: u64, price: Option<i64>) -> Offer {
        Offer {
            name: name.into(),
            vcpus,
            memory_mib: gib * 1024,
            architectures: vec!["x86_64".into()],
            spot: true,
            zones: zones("ab").into_iter().collect(),
            on_demand: price.map(Money::from_micros),
            ..Offer::default()
        }
    }

    fn required(vcpus: (u32, Option<u32>), memory: (u32, Option<u32>), exclude: &[&str]) -> Requirements {
        let between = |(least, most)| Between { least, most };
        Requirements {
            vcpus: between(vcpus),
            memory_gib: between(memory),
            architecture: None,
            current_only: true,
            burstable: false,
            exclude: exclude.iter().map(ToString::to_string).collect(),
        }
    }

    fn market() -> Vec<Offer> {
        vec![
            offer("c7i.large", 2, 4, Some(89_000)),
            offer("m6i.large", 2, 8, Some(96_000)),
            offer("m7a.large", 2, 8, None),
            offer("m7i.large", 2, 8, Some(100_800)),
            offer("m7i.xlarge", 4, 16, Some(201_600)),
            Offer { zones: zones("a").into_iter().collect(), ..offer("r7i.large", 2, 16, Some(132_300)) },
        ]
    }

    fn chosen(required: &Requirements) -> Result<Vec<String>, Unplannable> {
        choose(&Wanted::Like(required, "x86_64"), &market(), &zones("ab"), Some("x86_64"), true, "us-east-1")
    }

    #[test]
    fn the_cheapest_first_and_those_of_unknown_price_last() {
        let found = chosen(&required((2, None), (8, None), &[])).unwrap();
        assert_eq!(found, ["m6i.large", "m7i.large", "m7i.xlarge", "m7a.large"]);
        let found = chosen(&required((2, Some(2)), (4, Some(8)), &["m7*", "*a.large"])).unwrap();
        assert_eq!(found, ["c7i.large", "m6i.large"]);
    }

    #[test]
    fn what_nothing_meets_names_the_nearest_miss() {
        let nearest = |wanted: Requirements| chosen(&wanted).unwrap_err().hints.remove(0);
        assert_eq!(nearest(required((3, Some(3)), (8, None), &[])), "nearest is m6i.large: 2 vCPUs");
        assert_eq!(nearest(required((2, Some(2)), (16, None), &[])), "nearest is r7i.large: not offered in us-east-1b");
        assert_eq!(nearest(required((4, None), (9, None), &["m*"])), "nearest is m7i.xlarge: excluded by `m*`");
        let none = choose(
            &Wanted::Like(&required((1, None), (1, None), &[]), "arm64"),
            &[],
            &zones("a"),
            None,
            false,
            "us-east-1",
        );
        assert!(none.unwrap_err().hints[0].contains("no such type of architecture arm64"));
        let other = choose(
            &Wanted::Like(&required((1, None), (1, None), &[]), "arm64"),
            &[],
            &[],
            Some("x86_64"),
            false,
            "us-east-1",
        );
        assert!(other.unwrap_err().message.contains("but the image is x86_64"));
    }

    #[test]
    fn named_types_are_checked_and_keep_their_order() {
        let named = |names: &[&str], image: &str, spot: bool| {
            let names: Vec<String> = names.iter().map(ToString::to_string).collect();
            let mut market = market();
            market[0].spot = false;
            choose(&Wanted::Named(&names), &market, &zones("b"), Some(image), spot, "us-east-1")
                .map_err(|error| error.message)
        };
        assert_eq!(named(&["m7i.large", "m6i.large"], "x86_64", true).unwrap(), ["m7i.large", "m6i.large"]);
        assert_eq!(named(&["c7i.large"], "x86_64", false).unwrap(), ["c7i.large"]);
        for (names, image, why) in [
            (["m7i.larg"], "x86_64", "us-east-1 has no instance type m7i.larg"),
            (["q9z.metal-48xl"], "x86_64", "us-east-1 has no instance type q9z.metal-48xl"),
            (["m7i.large"], "arm64", "m7i.large is x86_64, but the image is arm64"),
            (["r7i.large"], "x86_64", "no zone of the fleet's subnets (us-east-1b) offers r7i.large"),
            (["c7i.large"], "x86_64", "c7i.large is not sold as spot"),
        ] {
            assert_eq!(named(&names, image, true).unwrap_err(), why);
        }
        let hint = |name: &str| {
            let names = [name.to_owned()];
            choose(&Wanted::Named(&names), &market(), &zones("b"), None, false, "us-east-1").unwrap_err().hints.concat()
        };
        assert!(hint("m7i.larg").starts_with("did you mean m7i.large?"), "{}", hint("m7i.larg"));
        assert!(hint("q9z.metal-48xl").starts_with("aws ec2 describe-instance-type-offerings"));
    }

    #[test]
    fn a_plan_stays_within_the_overrides_of_a_fleet() {
        let many: Vec<Offer> = (0..900).map(|n| offer(&format!("m{n}.large"), 2, 8, Some(n))).collect();
        for (count, most) in [(1, 40), (7, 40), (10, 30), (64, 4)] {
            let zones: Vec<Zone> = (0..count).map(|n| Zone::new(format!("z{n}"))).collect();
            let everywhere = |offer: &Offer| Offer { zones: zones.iter().cloned().collect(), ..offer.clone() };
            let many: Vec<Offer> = many.iter().map(everywhere).collect();
            let wanted = required((2, None), (8, None), &[]);
            let found = choose(&Wanted::Like(&wanted, "x86_64"), &many, &zones, None, false, "us-east-1").unwrap();
            assert_eq!((found.len(), found[0].as_str()), (most, "m0.large"), "{count} zones");
        }
    }

    proptest! {
        /// Whatever is offered, every chosen type has what is required, and the order in which AWS lists them is no matter.
        #[test]
        fn only_what_fits_is_chosen(
            sizes in prop::collection::vec((1_u32..9, 1_u64..33, prop::option::of(1_i64..500)), 0..30),
            least in 1_u32..9, most in prop::option::of(1_u32..9), memory in 1_u32..33, turn in 0_usize..30,
        ) {
            let mut offers: Vec<Offer> =
                (0..).zip(&sizes).map(|(n, (cpus, gib, price))| offer(&format!("t{n}.large"), *cpus, *gib, *price)).collect();
            let wanted = required((least, most), (memory, None), &["t3.*"]);
            let choose = |offers: &[Offer]| choose(&Wanted::Like(&wanted, "x86_64"), offers, &zones("ab"), None, true, "us-east-1");
            let found = choose(&offers);
            let fits = |o: &&Offer| o.vcpus >= least && most.is_none_or(|most| o.vcpus <= most)
                && o.memory_mib >= u64::from(memory) * 1024 && !o.name.starts_with("t3.");
            let fitting = offers.iter().filter(fits).count();
            prop_assert_eq!(found.as_ref().map_or(0, Vec::len), fitting.min(40));
            let turn = turn.min(offers.len());
            offers.rotate_left(turn);
            prop_assert_eq!(found, choose(&offers));
        }
    }
}
