//! Ids that look like AWS's and are the same for the same seed, and the errors for ids that name nothing.

use crate::sim::api::ApiError;
use crate::sim::draw::number;
use std::collections::BTreeMap;

/// Makes ids.
#[derive(Debug)]
pub(super) struct Ids {
    seed: u64,
    made: BTreeMap<&'static str, u64>,
}

impl Ids {
    /// No id made yet.
    pub(super) fn new(seed: u64) -> Self {
        Self { seed, made: BTreeMap::new() }
    }

    fn next(&mut self, kind: &'static str) -> u64 {
        let count = self.made.entry(kind).or_default();
        *count += 1;
        number(self.seed, &["id", kind, &count.to_string()])
    }

    /// `<kind>-` and 17 hexadecimal digits of which the first is 0, as EC2's long ids are.
    pub(super) fn long(&mut self, kind: &'static str) -> String {
        format!("{kind}-0{:016x}", self.next(kind))
    }

    /// `fleet-` and a UUID.
    pub(super) fn fleet(&mut self) -> String {
        let (high, low) = (self.next("fleet"), self.next("fleet"));
        let text = format!("{high:016x}{low:016x}");
        format!("fleet-{}-{}-{}-{}-{}", &text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..])
    }

    /// `sir-` and eight letters or digits.
    pub(super) fn spot_request(&mut self) -> String {
        let alphabet = b"abcdefghijkmnpqrstuvwxyz23456789";
        let mut number = self.next("sir");
        let mut id = String::from("sir-");
        for _ in 0..8 {
            // 32 letters: five bits each.
            id.push(char::from(alphabet[usize::try_from(number & 31).unwrap_or_default()]));
            number >>= 5;
        }
        id
    }
}

/// Whether a text has the form of such an id: 8 digits as of old, or 17.
pub(super) fn well_formed(id: &str, kind: &str) -> bool {
    id.strip_prefix(kind)
        .and_then(|rest| rest.strip_prefix('-'))
        .is_some_and(|hex| matches!(hex.len(), 8 | 17) && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')))
}

/// The error for an id that names nothing: EC2 tells a wrong form from an unknown id.
pub(super) fn unknown(kind: &str, id: &str) -> ApiError {
    let formed = well_formed(id, kind);
    let malformed = |code: &str| ApiError::new(code, format!("Invalid id: \"{id}\" (expecting \"{kind}-...\")"));
    let absent = |code: &str, what: &str| ApiError::new(code, format!("The {what} '{id}' does not exist"));
    match (kind, formed) {
        ("i", true) => ApiError::new("InvalidInstanceID.NotFound", format!("The instance ID '{id}' does not exist")),
        ("i", false) => ApiError::new("InvalidInstanceID.Malformed", format!("Invalid id: \"{id}\"")),
        ("ami", true) => ApiError::new("InvalidAMIID.NotFound", format!("The image id '[{id}]' does not exist")),
        ("ami", false) => malformed("InvalidAMIID.Malformed"),
        ("snap", true) => ApiError::new("InvalidSnapshot.NotFound", format!("The snapshot '{id}' does not exist.")),
        ("snap", false) => malformed("InvalidSnapshotID.Malformed"),
        ("vol", true) => ApiError::new("InvalidVolume.NotFound", format!("The volume '{id}' does not exist.")),
        ("vol", false) => malformed("InvalidVolumeID.Malformed"),
        ("subnet", _) => absent("InvalidSubnetID.NotFound", "subnet ID"),
        ("sg", true) => absent("InvalidGroup.NotFound", "security group"),
        ("sg", false) => malformed("InvalidGroupId.Malformed"),
        ("vpc", _) => absent("InvalidVpcID.NotFound", "vpc ID"),
        ("eni", _) => absent("InvalidNetworkInterfaceID.NotFound", "networkInterface ID"),
        ("key", _) => absent("InvalidKeyPair.NotFound", "key pair"),
        ("lt", true) => ApiError::new(
            "InvalidLaunchTemplateId.NotFound",
            format!("The specified launch template, with template ID {id}, does not exist."),
        ),
        ("lt", false) => malformed("InvalidLaunchTemplateId.Malformed"),
        ("fleet", _) => ApiError::new("InvalidFleetId.NotFound", format!("The fleet ID '{id}' does not exist")),
        ("sir", _) => ApiError::new(
            "InvalidSpotInstanceRequestID.NotFound",
            format!("The spot instance request ID '{id}' does not exist"),
        ),
        (_, _) => ApiError::new("InvalidID", format!("The ID '{id}' is not valid")),
    }
}

/// The error for a security group name that names nothing.
pub(super) fn unknown_group_name(name: &str) -> ApiError {
    ApiError::new("InvalidGroup.NotFound", format!("The security group '{name}' does not exist in default VPC"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_look_like_awss_and_repeat_for_a_seed() {
        let (mut one, mut two) = (Ids::new(7), Ids::new(7));
        let made: Vec<String> = (0..100).map(|_| one.long("i")).collect();
        assert!(made.iter().all(|id| well_formed(id, "i") && id.starts_with("i-0")));
        assert_eq!(made, (0..100).map(|_| two.long("i")).collect::<Vec<_>>());
        assert_eq!(made.iter().collect::<std::collections::BTreeSet<_>>().len(), 100);
        assert_eq!(one.fleet().len(), "fleet-12a34b55-67cd-8ef9-ba9b-9208d1234567".len());
        assert_eq!(one.spot_request().len(), 12);
    }

    #[test]
    fn a_wrong_form_is_not_an_unknown_id() {
        assert_eq!(unknown("i", "i-0123456789abcdef0").code, "InvalidInstanceID.NotFound");
        assert_eq!(unknown("i", "i-1234").code, "InvalidInstanceID.Malformed");
        assert_eq!(unknown("i", "i-0123456789ABCDEF0").code, "InvalidInstanceID.Malformed");
        assert_eq!(unknown("ami", "i-0123456789abcdef0").code, "InvalidAMIID.Malformed");
    }
}
