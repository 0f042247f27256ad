//! Slots: stable indices that hosts keep, given after the launch from (intent, sorted ids).

use crate::model::{Instance, InstanceId, tags};
use std::collections::{BTreeMap, BTreeSet};

/// Gives every live host a slot: those that have one keep it, the others take the lowest free ones in the order of
/// (intent, id). Two machines that see the same hosts give the same slots.
pub fn assign(known: &BTreeMap<InstanceId, u32>, live: &[Instance]) -> BTreeMap<InstanceId, u32> {
    let mut slots: BTreeMap<InstanceId, u32> =
        live.iter().filter_map(|instance| known.get(&instance.id).map(|slot| (instance.id.clone(), *slot))).collect();
    let taken: BTreeSet<u32> = slots.values().copied().collect();
    let mut new: Vec<&Instance> = live.iter().filter(|instance| !slots.contains_key(&instance.id)).collect();
    new.sort_by_key(|instance| (instance.tags.get(tags::INTENT).map(str::to_owned), instance.id.clone()));
    let free = (0..=u32::MAX).filter(|slot| !taken.contains(slot));
    slots.extend(new.into_iter().map(|instance| instance.id.clone()).zip(free));
    slots
}
