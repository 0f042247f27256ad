//! What AWS itself must be allowed: service-linked roles, the hosts' own role, the keys of encrypted volumes.

use super::finding::Notes;
use crate::exit::Exit;
use crate::model::checkup::{Checkup, KeyFacts};
use crate::spec::Fleet;

/// Service-linked roles: the role, its service, who needs it.
const ROLES: [(&str, &str, &str); 2] = [
    ("AWSServiceRoleForEC2Spot", "spot.amazonaws.com", "spot hosts"),
    ("AWSServiceRoleForAutoScaling", "autoscaling.amazonaws.com", "Auto Scaling groups"),
];

/// The service-linked roles that the spec needs.
pub fn linked_roles(fleet: &Fleet) -> Vec<&'static str> {
    let [(spot, ..), (group, ..)] = ROLES;
    let needs_spot = fleet.fleet.as_ref().is_some_and(|hosts| hosts.spot_percent > 0);
    [(needs_spot, spot), (needs_group(fleet), group)]
        .into_iter()
        .filter_map(|(needs, role)| needs.then_some(role))
        .collect()
}

/// Whether Auto Scaling starts and ends hosts for this spec.
fn needs_group(fleet: &Fleet) -> bool {
    fleet.recycle.is_some()
}

pub(super) fn judge(fleet: &Fleet, checkup: &Checkup, notes: &mut Notes) {
    for (role, seen) in &checkup.roles {
        let service = ROLES.iter().find(|(name, ..)| name == role).map_or("", |(_, service, _)| service);
        match seen {
            Err(fault) => notes.unseen(role, fault),
            Ok(true) => notes.ok(role, "is there"),
            Ok(false) => notes.problem(
                role,
                Exit::Denied,
                "is not there, and only who may make it can ask AWS to",
                format!("aws iam create-service-linked-role --aws-service-name {service}"),
            ),
        }
    }
    match &checkup.profile {
        None => {}
        Some((_, Err(fault))) => notes.unseen("instance-profile", fault),
        Some((name, Ok(None))) => notes.problem(
            "instance-profile",
            Exit::Usage,
            format!("{name} is not in the account"),
            "aws iam list-instance-profiles     # then correct `fleet.instance_profile`",
        ),
        Some((name, Ok(Some(profile)))) => match &profile.role {
            Some(role) => notes.ok("instance-profile", format!("{name} gives hosts {role}")),
            None => notes.problem(
                "instance-profile",
                Exit::Usage,
                format!("{name} has no role: its hosts would have no credentials"),
                format!("aws iam add-role-to-instance-profile --instance-profile-name {name} --role-name ROLE"),
            ),
        },
    }
    if let Some(fault) = &checkup.keys_unread {
        notes.unseen("volume-key", fault);
    }
    for (what, seen) in &checkup.keys {
        match seen {
            Err(fault) => notes.unseen("volume-key", fault),
            Ok(key) => key_of(fleet, what, key, checkup, notes),
        }
    }
}

fn key_of(fleet: &Fleet, what: &str, key: &KeyFacts, checkup: &Checkup, notes: &mut Notes) {
    let arn = &key.arn;
    let region = arn.split(':').nth(3).unwrap_or_default();
    if key.state != "Enabled" {
        let fix = match key.state.as_str() {
            "PendingDeletion" => format!(
                "aws kms cancel-key-deletion --region {region} --key-id {arn} && aws kms enable-key --region {region} --key-id {arn}"
            ),
            _ => format!("aws kms enable-key --region {region} --key-id {arn}"),
        };
        return notes.problem("volume-key", Exit::Denied, format!("{arn} ({what}) is {}", key.state), fix);
    }
    if region != fleet.region.as_str() {
        return notes.ok("volume-key", format!("{arn} ({what}) is enabled; this fleet launches nothing there"));
    }
    let Some(grantees) = &key.grantees else {
        return notes.ok("volume-key", format!("{arn} ({what}) is AWS's own: whoever launches may use it"));
    };
    let grantees = match grantees {
        Ok(grantees) => grantees,
        Err(fault) => return notes.unseen("volume-key", fault),
    };
    let mut all = true;
    for (role, service, who) in ROLES.iter().filter(|(role, ..)| checkup.roles.iter().any(|(asked, _)| asked == role)) {
        let principal = format!(
            "arn:{}:iam::{}:role/aws-service-role/{service}/{role}",
            fleet.region.partition().name,
            fleet.account
        );
        if grantees.contains(&principal) {
            continue;
        }
        all = false;
        notes.warning(
            "volume-key",
            format!("{arn} ({what}) has no grant for {role}: unless its key policy lets that role, {who} end as they start"),
            format!(
                "aws kms create-grant --region {} --key-id {arn} --grantee-principal {principal} --operations Encrypt Decrypt \
                 ReEncryptFrom ReEncryptTo GenerateDataKey GenerateDataKeyWithoutPlaintext DescribeKey CreateGrant",
                fleet.region
            ),
        );
    }
    if all {
        notes.ok("volume-key", format!("{arn} ({what}) is enabled, with a grant for every role that starts hosts"));
    }
}
