//! Cuts a fleet into waves: a few hosts first, so that a bad release meets few.

/// How many hosts may come out bad before the rest is left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MaxFail {
    /// Percent of all hosts, 0..=100, rounded down.
    Percent(u8),
    /// So many hosts.
    Count(usize),
}

impl MaxFail {
    /// How many of `hosts` may come out bad.
    pub fn allowed(self, hosts: usize) -> usize {
        match self {
            Self::Percent(percent) => hosts / 100 * usize::from(percent) + hosts % 100 * usize::from(percent) / 100,
            Self::Count(count) => count,
        }
    }
}

/// The order in which hosts are worked on: each wave waits for the one before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waves {
    /// Sizes, none of them zero; they add up to the number of hosts.
    pub sizes: Vec<usize>,
    /// Whether the first wave is the canary, in which nothing may go wrong.
    pub canary: bool,
    /// How many hosts may come out bad over all waves.
    pub allowed: usize,
}

/// Up to here the hosts behind the canary are one wave: a tenth of less would be hardly more than a second canary.
const SMALL: usize = 20;

impl Waves {
    /// The canary, then a tenth of the rest, then the rest. A fault that one host in ten shows is met before nine tenths
    /// have it, and there are never more than two waits for the slowest of a wave.
    pub fn plan(hosts: usize, canary: usize, max_fail: MaxFail) -> Self {
        let first = canary.min(hosts);
        let rest = hosts - first;
        let tenth = if first == 0 || rest <= SMALL { 0 } else { rest.div_ceil(10) };
        let sizes = [first, tenth, rest - tenth].into_iter().filter(|size| *size > 0).collect();
        Self { sizes, canary: first > 0, allowed: max_fail.allowed(hosts) }
    }

    /// How many bad hosts stop the run once wave `index` is under way: one more than this many.
    pub fn allowed_in(&self, index: usize) -> usize {
        if index == 0 && self.canary { 0 } else { self.allowed }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn shapes() {
        let sizes = |hosts, canary| Waves::plan(hosts, canary, MaxFail::Percent(5)).sizes;
        assert_eq!(sizes(0, 1), Vec::<usize>::new());
        assert_eq!(sizes(1, 1), [1]);
        assert_eq!(sizes(16, 1), [1, 15]);
        assert_eq!(sizes(40, 1), [1, 4, 35]);
        assert_eq!(sizes(1000, 0), [1000]);
        assert_eq!(sizes(3, 5), [3]);
        assert_eq!(MaxFail::Percent(5).allowed(40), 2);
        assert_eq!(MaxFail::Percent(5).allowed(19), 0);
        assert_eq!(MaxFail::Count(3).allowed(1), 3);
    }

    proptest! {
        #[test]
        fn every_host_is_in_one_wave(hosts in 0usize..20_000, canary in 0usize..50, percent in 0u8..=100) {
            let waves = Waves::plan(hosts, canary, MaxFail::Percent(percent));
            prop_assert_eq!(waves.sizes.iter().sum::<usize>(), hosts);
            prop_assert!(waves.sizes.iter().all(|size| *size > 0));
            prop_assert!(waves.sizes.len() <= 3);
            prop_assert!(waves.allowed <= hosts);
            if canary > 0 && hosts > 0 {
                prop_assert_eq!(waves.sizes[0], canary.min(hosts));
                prop_assert_eq!(waves.allowed_in(0), 0);
            }
            if percent == 100 {
                prop_assert_eq!(waves.allowed, hosts);
            }
        }
    }
}
