//! Spreads a fleet's target over its pools: pure, so that it can be tested without a world.

use super::capacity::Pool;
use std::cmp::Reverse;
use std::collections::HashMap;

/// One way to get an instance.
#[derive(Clone, Debug)]
pub(super) struct Slot {
    pub(super) pool: Pool,
    pub(super) subnet: String,
    /// Units of the target that one instance is worth.
    pub(super) weight: u32,
    pub(super) vcpus: u32,
    /// Millionths of a dollar an hour.
    pub(super) price: u64,
    /// Millionths of a dollar an hour that the caller would pay at most.
    pub(super) bid: Option<u64>,
    /// Lower comes first where the strategy looks at it.
    pub(super) priority: f64,
}

/// What there is to spend.
#[derive(Clone, Debug, Default)]
pub(super) struct Purse {
    pub(super) vcpus: u32,
    pub(super) addresses: HashMap<String, u32>,
    pub(super) pools: HashMap<Pool, u32>,
    /// MaxTotalPrice, millionths of a dollar an hour.
    pub(super) money: Option<u64>,
}

/// Why a slot gave no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Short {
    Capacity,
    Quota,
    Addresses,
    Bid,
    Money,
}

/// AllocationStrategy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Strategy {
    /// The cheapest pools, that many of them at once.
    LowestPrice(usize),
    /// In the order of the priorities.
    Prioritized,
    /// All pools in turn.
    Diversified,
    /// The fullest pool first.
    CapacityOptimized,
    /// The cheapest of the pools that hold all that is wanted, then the fullest.
    PriceCapacityOptimized,
}

/// How many instances each slot gives, and the slots that were asked for more than they had.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Allocation {
    pub(super) counts: Vec<u32>,
    pub(super) short: Vec<(usize, Short)>,
}

impl Allocation {
    /// Units of the target that are met.
    pub(super) fn met(&self, slots: &[Slot]) -> u32 {
        self.counts.iter().zip(slots).map(|(count, slot)| count * slot.weight).sum()
    }
}

impl Purse {
    fn short(&self, slot: &Slot) -> Option<Short> {
        let left = |map: Option<&u32>| map.copied().unwrap_or_default();
        if slot.bid.is_some_and(|bid| bid < slot.price) {
            Some(Short::Bid)
        } else if self.vcpus < slot.vcpus {
            Some(Short::Quota)
        } else if left(self.addresses.get(&slot.subnet)) == 0 {
            Some(Short::Addresses)
        } else if left(self.pools.get(&slot.pool)) == 0 {
            Some(Short::Capacity)
        } else if self.money.is_some_and(|money| money < slot.price) {
            Some(Short::Money)
        } else {
            None
        }
    }

    fn spend(&mut self, slot: &Slot) {
        self.vcpus -= slot.vcpus;
        if let Some(addresses) = self.addresses.get_mut(&slot.subnet) {
            *addresses -= 1;
        }
        if let Some(pool) = self.pools.get_mut(&slot.pool) {
            *pool -= 1;
        }
        if let Some(money) = &mut self.money {
            *money -= slot.price;
        }
    }
}

/// Takes instances one by one until the target is met or every slot is dry.
pub(super) fn allocate(slots: &[Slot], purse: &mut Purse, target: u32, strategy: Strategy) -> Allocation {
    let mut order: Vec<usize> = (0..slots.len()).collect();
    let free = |n: &usize| purse.pools.get(&slots[*n].pool).copied().unwrap_or_default();
    let unit_price = |n: &usize| slots[*n].price / u64::from(slots[*n].weight.max(1));
    let at_once = match strategy {
        Strategy::LowestPrice(pools) => {
            order.sort_by_key(unit_price);
            pools.max(1)
        }
        Strategy::Prioritized => {
            order.sort_by(|a, b| slots[*a].priority.total_cmp(&slots[*b].priority));
            1
        }
        Strategy::Diversified => slots.len().max(1),
        Strategy::CapacityOptimized => {
            order.sort_by_key(|n| Reverse(free(n)));
            1
        }
        Strategy::PriceCapacityOptimized => {
            let enough = |n: &usize| free(n).saturating_mul(slots[*n].weight) >= target;
            order.sort_by_key(|n| if enough(n) { (0, unit_price(n), Reverse(0)) } else { (1, 0, Reverse(free(n))) });
            1
        }
    };
    let mut result = Allocation { counts: vec![0; slots.len()], short: Vec::new() };
    let (mut left, mut turn) = (target, 0);
    while left > 0 && !order.is_empty() {
        let place = turn % at_once.min(order.len());
        let n = order[place];
        if let Some(short) = purse.short(&slots[n]) {
            result.short.push((n, short));
            order.remove(place);
            continue;
        }
        purse.spend(&slots[n]);
        result.counts[n] += 1;
        left = left.saturating_sub(slots[n].weight);
        turn = place + 1;
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{prop_assert, prop_assert_eq, proptest};

    fn slot(kind: &str, zone: &str, price: u64) -> Slot {
        let pool = Pool { instance_type: kind.into(), zone: zone.into(), market: "spot" };
        Slot { pool, subnet: format!("subnet-{zone}"), weight: 1, vcpus: 2, price, bid: None, priority: 0.0 }
    }

    fn purse(slots: &[Slot], free: &[u32]) -> Purse {
        let pools = slots.iter().zip(free).map(|(slot, free)| (slot.pool.clone(), *free)).collect();
        let addresses = slots.iter().map(|slot| (slot.subnet.clone(), 1000)).collect();
        Purse { vcpus: 1000, addresses, pools, money: None }
    }

    #[test]
    fn strategies_choose_differently() {
        let slots = [slot("a", "1", 30), slot("b", "1", 10), slot("c", "2", 20)];
        let counts = |strategy| allocate(&slots, &mut purse(&slots, &[9, 3, 5]), 4, strategy).counts;
        assert_eq!(counts(Strategy::LowestPrice(1)), [0, 3, 1]);
        assert_eq!(counts(Strategy::LowestPrice(2)), [0, 2, 2]);
        assert_eq!(counts(Strategy::CapacityOptimized), [4, 0, 0]);
        assert_eq!(counts(Strategy::PriceCapacityOptimized), [0, 0, 4]);
        assert_eq!(counts(Strategy::Diversified), [2, 1, 1]);
    }

    #[test]
    fn dry_slots_are_named_once_with_their_cause() {
        let mut slots = [slot("a", "1", 10), slot("b", "2", 20)];
        slots[1].bid = Some(5);
        let got = allocate(&slots, &mut purse(&slots, &[2, 9]), 4, Strategy::LowestPrice(1));
        assert_eq!(got, Allocation { counts: vec![2, 0], short: vec![(0, Short::Capacity), (1, Short::Bid)] });
    }

    proptest! {
        /// No pool, subnet, quota or price limit is ever overdrawn, and a target missed means that all is dry.
        #[test]
        fn nothing_is_overdrawn(
            free in proptest::collection::vec(0_u32..6, 1..6), vcpus in 0_u32..40, addresses in 0_u32..12,
            target in 1_u32..30, which in 0_usize..5,
        ) {
            let slots: Vec<Slot> =
                (0..free.len()).map(|n| slot(&format!("t{n}"), &format!("{}", n % 2), 10 + n as u64)).collect();
            let mut before = purse(&slots, &free);
            before.vcpus = vcpus;
            before.addresses.values_mut().for_each(|left| *left = addresses);
            let strategy = [Strategy::LowestPrice(2), Strategy::Prioritized, Strategy::Diversified,
                Strategy::CapacityOptimized, Strategy::PriceCapacityOptimized][which];
            let mut after = before.clone();
            let got = allocate(&slots, &mut after, target, strategy);
            let total: u32 = got.counts.iter().sum();
            prop_assert!(total <= target && total * 2 <= vcpus);
            for (n, count) in got.counts.iter().enumerate() { prop_assert!(*count <= free[n]); }
            for zone in 0..2 {
                let taken: u32 = got.counts.iter().enumerate().filter(|(n, _)| n % 2 == zone).map(|(_, c)| c).sum();
                prop_assert!(taken <= addresses);
            }
            prop_assert_eq!(total < target, got.short.len() == slots.len());
        }
    }
}
