//! Tags: the only durable truth on AWS's side.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The fleet's name.
pub const FLEET: &str = "fleetwright:fleet";
/// The epoch: `<launch template id>:<version>`.
pub const EPOCH: &str = "fleetwright:epoch";
/// The release the host was made with, or was last given.
pub const RELEASE: &str = "fleetwright:release";
/// When the host powers itself off, RFC 3339 UTC.
pub const EXPIRES: &str = "fleetwright:expires";
/// The intent (ClientToken) of the call that made it.
pub const INTENT: &str = "fleetwright:intent";
/// Whoever set this does not want the thing ended, whatever its value.
pub const PROTECT: &str = "fleetwright:protect";
/// Since when a host is kept for inspection, counted out of the fleet; RFC 3339 UTC.
pub const QUARANTINE: &str = "fleetwright:quarantine";
/// The run that made an image.
pub const RUN: &str = "fleetwright:run";
/// Digest of the verification that an image rests on.
pub const ATTESTATION: &str = "fleetwright:attestation";
/// The run that makes an image only to copy it: it is ended when its encrypted copy is there, and launched by nobody.
pub const DRAFT: &str = "fleetwright:draft";
/// Digest of what a built template, and an image of it, was made of: base image, playbook and settings.
pub const BUILD: &str = "fleetwright:build";
/// The KMS key that an image was encrypted with, as the spec names it.
pub const KEY: &str = "fleetwright:kms-key";
/// The region of the fleet whose image this is a copy of, in another region.
pub const COPIED_FROM: &str = "fleetwright:copied-from";
/// The Auto Scaling group that an instance is a member of; AWS's own tag.
pub const GROUP: &str = "aws:autoscaling:groupName";
/// The tag that consoles show as the name.
pub const NAME: &str = "Name";
/// All our keys start so; a spec's own tags may not.
pub const PREFIX: &str = "fleetwright:";

/// A tag that a person puts on a host and takes off again; its value is the time when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Mark {
    /// Nothing of ours ends it.
    Protect,
    /// It takes no work and does not count.
    Quarantine,
}

impl Mark {
    /// The tag's key.
    pub fn key(self) -> &'static str {
        match self {
            Self::Protect => PROTECT,
            Self::Quarantine => QUARANTINE,
        }
    }
}

/// Key and value, ordered, so that what is made from them is the same bytes each time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Tags(pub BTreeMap<String, String>);

impl Tags {
    /// The value under a key.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// When what bears them was to be gone, where they say so readably.
    pub fn ends(&self) -> Option<Timestamp> {
        self.get(EXPIRES).and_then(|text| text.parse().ok())
    }

    /// The same tags and one more.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<String>) -> Self {
        self.0.insert(key.to_owned(), value.into());
        self
    }

    /// Pairs in key order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(k, v)| (k.as_str(), v.as_str()))
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Tags {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        Self(pairs.into_iter().map(|(k, v)| (k.into(), v.into())).collect())
    }
}
