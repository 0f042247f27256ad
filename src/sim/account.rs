//! What the account has besides machines: roles, keys, defaults. Calls only read it; the fault script says what ails it.

use serde::{Deserialize, Serialize};

/// Service-linked roles that every account in use has had made for it, with the service behind each.
pub(crate) const LINKED_ROLES: [(&str, &str); 2] =
    [("AWSServiceRoleForEC2Spot", "spot.amazonaws.com"), ("AWSServiceRoleForAutoScaling", "autoscaling.amazonaws.com")];

/// The account. The empty document is a healthy one: both service-linked roles, AWS's own key for EBS, images that can't
/// be made public.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Account {
    /// Roles by name that are not there: service-linked ones, and those of instance profiles.
    pub(crate) missing_roles: Vec<String>,
    /// Instance profiles that have no role.
    pub(crate) empty_profiles: Vec<String>,
    /// KMS keys of the customer's own.
    pub(crate) keys: Vec<Key>,
    /// The key that new volumes are encrypted with, by id; AWS's own if absent.
    pub(crate) ebs_default_key: Option<String>,
    /// Subnets without IPv4: what is launched there has an IPv6 address only.
    pub(crate) ipv6_only_subnets: Vec<String>,
    /// Whether images may be shared with everybody.
    pub(crate) images_may_be_public: bool,
}

/// A customer managed KMS key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Key {
    /// A UUID.
    pub(crate) id: String,
    /// Its names, for example `alias/fleet`.
    #[serde(default)]
    pub(crate) aliases: Vec<String>,
    /// The regions that have it under this id and these names; every one if empty.
    #[serde(default)]
    pub(crate) regions: Vec<String>,
    /// `Enabled`, `Disabled`, `PendingDeletion` ..
    #[serde(default = "enabled")]
    pub(crate) state: String,
    /// Roles by name that have a grant on it.
    #[serde(default)]
    pub(crate) grants: Vec<String>,
}

fn enabled() -> String {
    "Enabled".to_owned()
}

/// The path of a role and its name, as ARNs end: service-linked roles live below the service's own path.
pub(crate) fn role_path(name: &str) -> String {
    match LINKED_ROLES.iter().find(|(role, _)| *role == name) {
        Some((_, service)) => format!("aws-service-role/{service}/{name}"),
        None => name.to_owned(),
    }
}
