//! On-demand prices that are built in, for where the price list can't be asked: an excerpt of it, with its day.

use crate::model::{Money, Region};
use jiff::civil::Date;

/// Blocks of `region day`, then lines of `family: size dollars, ...`; source and licence of use are in its head.
const TABLE: &str = include_str!("listed.txt");

/// A price with the day that it was read from AWS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dated {
    /// An hour of Linux on shared hardware.
    pub price: Money,
    /// When AWS told it.
    pub day: Date,
}

/// What an hour of this type costs on demand in this region, by the table; it has the common types of a few regions.
pub fn on_demand(region: &Region, kind: &str) -> Option<Dated> {
    let (family, size) = kind.split_once('.')?;
    let (day, rows) = blocks().find(|(name, ..)| *name == region.as_str()).map(|(_, day, rows)| (day, rows))?;
    let sizes = rows.lines().find_map(|row| row.strip_prefix(family)?.strip_prefix(": "))?;
    let price = sizes.split(", ").find_map(|cell| cell.strip_prefix(size)?.strip_prefix(' '))?;
    Some(Dated { price: Money::parse(price)?, day: day.parse().ok()? })
}

/// Every block: region, day, rows.
fn blocks() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    TABLE.split("\n\n").filter_map(|block| {
        let (head, rows) = block.split_once('\n')?;
        let (region, day) = head.split_once(' ')?;
        (region != "#").then_some((region, day, rows))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn prices_are_found_by_region_and_type() {
        let price = |region: &str, kind: &str| on_demand(&Region::new(region), kind).map(|dated| dated.price.micros());
        assert_eq!(price("us-east-1", "m7i.large"), Some(100_800));
        assert_eq!(price("us-east-1", "c7i.xlarge"), Some(178_500));
        assert_eq!(price("us-east-1", "c7i-flex.2xlarge"), Some(339_150));
        assert_eq!(price("us-gov-west-1", "m7i.large"), Some(127_050));
        for (region, kind) in [
            ("eu-central-1", "m7i.large"),
            ("us-east-1", "m7i.metal-24xl"),
            ("us-east-1", "m7i.larg"),
            ("us-east-1", "m7.large"),
            ("us-east-1", "m7i"),
            ("us-gov-east-1", "m8i.large"),
        ] {
            assert_eq!(price(region, kind), None, "{kind} in {region}");
        }
        let day = on_demand(&Region::new("us-east-1"), "t3.micro").unwrap().day;
        assert_eq!(day, jiff::civil::date(2026, 1, 19));
    }

    /// Every cell of the table is a price that is found again; no type comes twice, and a larger size costs no less.
    #[test]
    fn the_table_is_whole() {
        let mut seen = BTreeSet::new();
        for (region, _, rows) in blocks() {
            for row in rows.lines() {
                let (family, sizes) = row.split_once(": ").unwrap();
                let mut last = Money::ZERO;
                for cell in sizes.split(", ") {
                    let (size, _) = cell.split_once(' ').unwrap();
                    let kind = format!("{family}.{size}");
                    let dated = on_demand(&Region::new(region), &kind).unwrap_or_else(|| panic!("{kind} in {region}"));
                    // The accelerators of g5 and g6 are what is paid for there.
                    assert!(dated.price > last || family.starts_with('g'), "{kind} in {region}");
                    assert!(seen.insert((region, kind)));
                    last = dated.price;
                }
            }
        }
        assert!(seen.len() > 400, "{}", seen.len());
    }
}
