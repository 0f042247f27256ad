//! `template.build:` a template instance that is made, and by what.

use super::fleet::{Fleet, RootVolume};
use crate::model::{ImageId, InstanceId, SecurityGroupId, SubnetId};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// `template.build:`, whole: what it left out was taken from `fleet`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Build {
    /// `base_image:` what the instance is launched from.
    pub base_image: BaseImage,
    /// `instance_type:`
    pub instance_type: String,
    /// `playbook:` what makes a template of it.
    pub playbook: PathBuf,
    /// `subnet:` the first of `fleet.subnets` if absent.
    pub subnet: SubnetId,
    /// `security_groups:` those of `fleet` if absent.
    pub security_groups: Vec<SecurityGroupId>,
    /// `key_name:` that of `fleet` if absent.
    pub key_name: String,
    /// `instance_profile:` that of `fleet` if absent.
    pub instance_profile: Option<String>,
    /// The root volume: as those of hosts.
    pub root: RootVolume,
    /// When it powers itself off: as hosts do.
    pub expires: Duration,
}

/// `base_image:` by its id, or the newest of many.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum BaseImage {
    /// By its id.
    Named(ImageId),
    /// The newest of an owner's that bear a name.
    Newest {
        /// `owner:` `self`, `amazon`, `aws-marketplace` or an account.
        owner: String,
        /// `name:` in which `*` stands for any characters and `?` for one.
        name: String,
    },
    /// The one that was found to be the newest.
    Found {
        /// Its id.
        id: ImageId,
        /// Which it is and why, for people.
        told: String,
    },
}

impl BaseImage {
    /// Its id, once it is known.
    pub fn id(&self) -> Option<&ImageId> {
        match self {
            Self::Named(id) | Self::Found { id, .. } => Some(id),
            Self::Newest { .. } => None,
        }
    }

    /// Which was found, and why.
    pub fn told(&self) -> Option<&str> {
        match self {
            Self::Found { told, .. } => Some(told),
            Self::Named(_) | Self::Newest { .. } => None,
        }
    }
}

impl fmt::Display for BaseImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(id) | Self::Found { id, .. } => write!(f, "{id}"),
            Self::Newest { owner, name } => write!(f, "the newest of {owner}'s {name}"),
        }
    }
}

/// What a template that is not there yet is called in plans.
const TO_COME: &str = "the one that build makes";

impl Fleet {
    /// The template instance, where there is one: named by the spec, or built and there.
    pub fn template_instance(&self) -> Option<&InstanceId> {
        self.template.as_ref()?.instance.as_ref()
    }

    /// How the template instance is made, where the spec says so.
    pub fn build(&self) -> Option<&Build> {
        self.template.as_ref()?.build.as_ref()
    }
}

impl super::fleet::Template {
    /// The instance; a word for it where it is only planned.
    pub fn id(&self) -> InstanceId {
        self.instance.clone().unwrap_or_else(|| InstanceId::new(TO_COME))
    }
}
