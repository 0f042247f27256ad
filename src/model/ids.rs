//! Identifiers as types, so that a subnet can never be passed where an instance is meant.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Wraps the text as it came from AWS or from the checked spec.
            pub fn new(text: impl Into<String>) -> Self {
                Self(text.into())
            }

            /// The identifier as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.to_owned())
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
    };
}

id!(/// A 12-digit AWS account.
    AccountId);
id!(/// An AWS region such as `us-east-1`.
    Region);
id!(/// An availability zone such as `us-east-1a`.
    Zone);
id!(/// The fleet's name in the spec, unique within account and region.
    FleetName);
id!(/// An EC2 instance, `i-...`.
    InstanceId);
id!(/// An AMI, `ami-...`.
    ImageId);
id!(/// An EBS snapshot, `snap-...`.
    SnapshotId);
id!(/// An EBS volume, `vol-...`.
    VolumeId);
id!(/// A subnet, `subnet-...`.
    SubnetId);
id!(/// A security group, `sg-...`.
    SecurityGroupId);
id!(/// A launch template, `lt-...`.
    TemplateId);

/// One execution of a mutating verb: a UUIDv7, so runs sort by their start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(uuid::Uuid);

impl RunId {
    /// Wraps a UUID; the composition root makes it (UUIDv7 from the clock it was given).
    pub fn new(id: uuid::Uuid) -> Self {
        Self(id)
    }

    /// The same, or, where the clock was set back behind the `newest` run that there is, one that sorts right after that:
    /// runs are told apart by their order, and an old teardown must not look newer than what was launched after it.
    #[must_use]
    pub fn after(self, newest: Option<Self>) -> Self {
        // A UUIDv7 begins with 48 bits of milliseconds.
        const REST: u32 = 80;
        match newest.filter(|newest| *newest >= self) {
            None => self,
            Some(newest) => {
                let time = (newest.0.as_u128() >> REST) + 1;
                Self(uuid::Uuid::from_u128(time << REST | self.0.as_u128() & ((1 << REST) - 1)))
            }
        }
    }

    /// Reads the hyphenated form, as in directory names.
    pub fn parse(text: &str) -> Option<Self> {
        uuid::Uuid::parse_str(text).ok().map(Self)
    }

    /// Whether this is what somebody means who names only the beginning or the end of it, with or without hyphens.
    pub fn named_by(self, text: &str) -> bool {
        let digits: String = text.chars().filter(|c| *c != '-').map(|c| c.to_ascii_lowercase()).collect();
        let hex = self.0.simple().to_string();
        !digits.is_empty() && (hex.starts_with(&digits) || hex.ends_with(&digits))
    }

    /// The last eight hex digits: random in a UUIDv7, short enough for names of AWS things.
    pub fn short(self) -> String {
        let hex = self.0.simple().to_string();
        hex[hex.len() - 8..].to_owned()
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

/// What makes a fleet itself: account, region and name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct FleetKey {
    /// The account that pays.
    pub account: AccountId,
    /// The region the fleet lives in.
    pub region: Region,
    /// The fleet's name in the spec.
    pub name: FleetName,
}

impl fmt::Display for FleetKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.account, self.region, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_named_by_either_end() {
        let run = RunId::parse("01a1fd99-939a-7961-8739-6368574e608e").unwrap();
        for name in ["01a1", "01A1FD99-93", "608e", "6368574e608e", "87396368574e608e", &run.to_string()] {
            assert!(run.named_by(name), "{name}");
        }
        for name in ["", "-", "939a", "608f", "01a1fd99-939a-7961-8739-6368574e608e0"] {
            assert!(!run.named_by(name), "{name}");
        }
    }

    #[test]
    fn runs_are_in_order_whatever_the_clock_says() {
        let run = |text| RunId::parse(text).unwrap();
        let (old, new) = (run("01a1fd99-939a-7961-8739-6368574e608e"), run("01a1fd99-939b-7000-8000-000000000000"));
        assert_eq!((new.after(None), new.after(Some(old))), (new, new));
        for (clock, newest) in [(old, new), (old, old)] {
            let next = clock.after(Some(newest));
            assert!(next > newest && next.short() == clock.short(), "{next}");
            assert_eq!(uuid::Uuid::parse_str(&next.to_string()).unwrap().get_version_num(), 7);
        }
    }
}
