//! Machines that fleetwright did not launch, as the spec's `hosts` and the command line name them.

use super::read;
use crate::model::{Tags, tags};
use serde::{Deserialize, Serialize};

/// One of `hosts:`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForeignHost {
    /// Which machine or machines.
    pub which: Which,
    /// `port:` the port of `ssh` if absent.
    pub port: Option<u16>,
    /// `user:` the user of `ssh` if absent.
    pub user: Option<String>,
}

/// How machines are named that fleetwright did not launch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Which {
    /// One, where it is.
    At {
        /// `name:` what reports call it and `--only` takes; made from the address if absent. Unique.
        name: String,
        /// `address:` unique with its port.
        address: String,
    },
    /// `tag:` every running instance that has all of these tags.
    Tagged(Tags),
}

impl Which {
    /// `group:` the running members of an Auto Scaling group, which are tagged with its name.
    pub fn of_group(name: String) -> Self {
        Self::Tagged(Tags::from_iter([(tags::GROUP.to_owned(), name)]))
    }
}

impl std::fmt::Display for Which {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::At { name, .. } => f.write_str(name),
            Self::Tagged(pairs) => {
                if let Some(group) = pairs.get(tags::GROUP) {
                    return write!(f, "group {group}");
                }
                let pairs: Vec<String> = pairs.iter().map(|(key, value)| format!("{key}={value}")).collect();
                write!(f, "tag {}", pairs.join(" and "))
            }
        }
    }
}

/// One tag, `KEY=VALUE`.
///
/// # Errors
///
/// What is wanted, in words.
pub fn tag(text: &str) -> Result<(String, String), String> {
    read::tag(text).map_err(|wrong| wrong.wanted)
}

/// The name of an Auto Scaling group.
///
/// # Errors
///
/// What is wanted, in words.
pub fn group(text: &str) -> Result<String, String> {
    read::group_name(text).map_err(|wrong| wrong.wanted)
}

/// One machine, `[user@]address[:port]`.
///
/// # Errors
///
/// What is wanted, in words.
pub fn machine(text: &str) -> Result<ForeignHost, String> {
    read::machine(text).map_err(|wrong| wrong.wanted)
}
