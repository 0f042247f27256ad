//! Other people's instances in the same account: what a careless filter would take for ours.

use super::Ec2;
use super::records::{Origin, Tags};
use crate::sim::seed::{Seed, SeedTemplate};
use jiff::Timestamp;

impl Ec2 {
    /// Decoys, none of which fleetwright made: one with the template's name and image, and tags that differ from ours
    /// in the key's case, in its punctuation, in the value's case and in its end.
    pub(super) fn decoys(&mut self, seed: &Seed, at: Timestamp) {
        let Some(like) = like(seed) else { return };
        let name = seed.template.as_ref().and_then(|template| template.tags.get("Name")).cloned();
        let name = name.unwrap_or_else(|| "fleet".to_owned());
        let sets: [&[(&str, String)]; 6] = [
            &[("Name", name.clone())],
            &[("Name", format!("{name}-0")), ("Fleetwright:Fleet", name.clone())],
            &[("Name", format!("{name}-1")), ("fleetwright-fleet", name.clone())],
            &[("fleetwright:fleet", format!("{name}-2"))],
            &[("fleetwright:fleet", name.to_uppercase()), ("fleetwright:release", "r1".to_owned())],
            &[("Name", "accounting-database".to_owned()), ("owner", "accounting".to_owned())],
        ];
        for tags in sets {
            let id = self.ids.long("i");
            let tags: Tags = tags.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
            self.seed_instance(&id, &like, &tags, Origin::Decoy, at);
        }
    }
}

/// The template, or something that could be one.
fn like(seed: &Seed) -> Option<SeedTemplate> {
    let made = || {
        let image = seed.images.first()?;
        Some(SeedTemplate {
            id: String::new(),
            instance_type: seed.types.iter().find(|kind| kind.architecture == image.architecture)?.name.clone(),
            subnet: seed.subnets.first()?.id.clone(),
            image: image.id.clone(),
            security_groups: seed.security_groups.iter().take(1).cloned().collect(),
            key_name: None,
            instance_profile: None,
            tags: Tags::new(),
            setup: None,
        })
    };
    seed.template.clone().or_else(made)
}
