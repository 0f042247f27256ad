//! Capacity pools: how many instances of a type fit in a zone and market now.

use crate::sim::faults::Control;
use crate::sim::seed::{Seed, SeedPool};
use std::collections::HashMap;

/// One pool.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Pool {
    /// For example `m7i.large`.
    pub(super) instance_type: String,
    /// For example `us-east-1a`.
    pub(super) zone: String,
    /// `spot` or `on-demand`.
    pub(super) market: &'static str,
}

/// What every pool holds at the start, and what has been taken since.
#[derive(Clone, Debug)]
pub(super) struct Capacity {
    rules: Vec<SeedPool>,
    default: u32,
    taken: HashMap<Pool, u32>,
}

fn fits(pattern: &str, word: &str) -> bool {
    pattern == "*" || pattern == word
}

impl Capacity {
    /// As the seed has it.
    pub(super) fn new(seed: &Seed) -> Self {
        Self { rules: seed.pools.clone(), default: seed.default_capacity, taken: HashMap::new() }
    }

    /// Instances that fit into a pool now. Of several rules in the seed the one with the fewest stars counts.
    pub(super) fn free(&self, pool: &Pool, control: &Control) -> u32 {
        let empty =
            control.empty_pools.iter().any(|pattern| pattern.matches(&pool.instance_type, &pool.zone, pool.market));
        if empty {
            return 0;
        }
        let rule = self
            .rules
            .iter()
            .filter(|rule| {
                fits(&rule.instance_type, &pool.instance_type)
                    && fits(&rule.zone, &pool.zone)
                    && fits(&rule.market, pool.market)
            })
            .min_by_key(|rule| [&rule.instance_type, &rule.zone, &rule.market].iter().filter(|w| **w == "*").count());
        let scripted = control
            .pools
            .iter()
            .find(|sized| sized.pools.matches(&pool.instance_type, &pool.zone, pool.market))
            .map(|sized| sized.size);
        let size = scripted.or(rule.map(|rule| rule.free)).unwrap_or(self.default);
        size.saturating_sub(self.taken.get(pool).copied().unwrap_or_default())
    }

    /// Takes one place.
    pub(super) fn take(&mut self, pool: &Pool) {
        *self.taken.entry(pool.clone()).or_default() += 1;
    }

    /// Gives one place back.
    pub(super) fn give_back(&mut self, pool: &Pool) {
        if let Some(taken) = self.taken.get_mut(pool) {
            *taken = taken.saturating_sub(1);
        }
    }
}
