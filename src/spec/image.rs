//! `image:` how images are named and kept, encrypted and copied; and the fleet as other regions see it.

use super::fleet::Fleet;
use crate::model::Region;
use serde::{Deserialize, Serialize};

/// `image:`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageSpec {
    /// `name:` the run's short id is appended; the fleet's name if absent.
    pub name: String,
    /// `keep:` newest images that `down --images` leaves, default 3.
    pub keep: u32,
    /// `encrypt.kms_key:` the key that images are encrypted with, also in other regions; as the template's volumes if absent.
    #[serde(default)]
    pub kms_key: Option<String>,
    /// `copy_to:` other regions that get a copy.
    #[serde(default)]
    pub copy_to: Vec<Region>,
}

impl Fleet {
    /// The same fleet in another region, where it has copies of its images and nothing else.
    #[must_use]
    pub fn abroad(&self, region: &Region) -> Self {
        Self { region: region.clone(), template: None, fleet: None, ..self.clone() }
    }
}
