//! IAM, as far as it is read: roles and instance profiles.

use super::account::{Account, LINKED_ROLES, role_path};
use super::api::{ApiError, Call, Handled, Payload, Reply};
use super::draw::number;
use super::partition;
use super::seed::Seed;
use super::xml::Xml;

/// When everything in IAM was made: nobody asks how old it is.
const MADE: &str = "2024-01-01T00:00:00Z";

/// Answers a call; nothing is changed. `profiles` are the instance profiles that there are.
pub(crate) fn handle(call: &Call, seed: &Seed, account: &Account, profiles: &[String]) -> Handled {
    let Payload::Query(pairs) = &call.payload else {
        return Err(ApiError::new("MalformedQueryString", "IAM takes form parameters"));
    };
    let named = |parameter: &str| {
        let value = pairs.iter().find(|(name, _)| name == parameter).map(|(_, value)| value.as_str());
        value.filter(|value| !value.is_empty()).ok_or_else(|| {
            ApiError::new("ValidationError", format!("1 validation error detected: Value at '{parameter}' is missing"))
        })
    };
    let prefix = format!("arn:{}:iam::{}", partition::of(&seed.region), seed.account);
    let missing = |kind: &str, name: &str| {
        ApiError::new("NoSuchEntity", format!("{kind} {name} cannot be found.")).with_status(404)
    };
    let mut xml = Xml::new();
    match call.action.as_str() {
        "GetRole" => {
            let name = named("RoleName")?;
            let known = LINKED_ROLES.iter().any(|(role, _)| *role == name) || profiles.iter().any(|role| role == name);
            if !known || account.missing_roles.iter().any(|role| role == name) {
                return Err(missing("The role with name", name));
            }
            xml.open("Role", |xml| role(xml, &prefix, name));
        }
        "GetInstanceProfile" => {
            let name = named("InstanceProfileName")?;
            if !profiles.iter().any(|profile| profile == name) {
                return Err(missing("Instance Profile", name));
            }
            xml.open("InstanceProfile", |xml| {
                xml.text("Path", "/")
                    .text("InstanceProfileName", name)
                    .text("InstanceProfileId", id("AIPA", name))
                    .text("Arn", format!("{prefix}:instance-profile/{name}"))
                    .text("CreateDate", MADE);
                // A profile's role has its name here. IAM's lists have `member`s.
                xml.open("Roles", |xml| {
                    if !account.empty_profiles.iter().any(|empty| empty == name) {
                        xml.open("member", |xml| role(xml, &prefix, name));
                    }
                });
            });
        }
        other => {
            return Err(ApiError::new(
                "InvalidAction",
                format!("Could not find operation {other} for version 2010-05-08: only reads of roles are rehearsed"),
            ));
        }
    }
    Ok(Reply { body: xml.finish(), ..Reply::default() })
}

fn id(prefix: &str, name: &str) -> String {
    format!("{prefix}{:017}", number(0, &[prefix, name]) % 100_000_000_000_000_000)
}

fn role(xml: &mut Xml, prefix: &str, name: &str) {
    let whole = role_path(name);
    let folder = whole.strip_suffix(name).unwrap_or_default();
    xml.text("Path", format!("/{folder}"))
        .text("RoleName", name)
        .text("RoleId", id("AROA", name))
        .text("Arn", format!("{prefix}:role/{whole}"))
        .text("CreateDate", MADE)
        .text("MaxSessionDuration", 3600);
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    fn ask(account: &Account, region: &str, action: &str, parameter: &str, value: &str) -> Handled {
        let mut seed = crate::rehearse::world::plain("");
        region.clone_into(&mut seed.region);
        let call = Call {
            service: "iam".to_owned(),
            region: "us-east-1".to_owned(),
            action: action.to_owned(),
            payload: Payload::Query(vec![(parameter.to_owned(), value.to_owned())]),
            principal: "AKIA".to_owned(),
            now: Timestamp::UNIX_EPOCH,
            request_id: "r".to_owned(),
        };
        handle(&call, &seed, account, &["worker".to_owned()])
    }

    #[test]
    fn roles_and_profiles_are_there_unless_they_are_not() {
        let well = Account::default();
        let role = ask(&well, "cn-north-1", "GetRole", "RoleName", "AWSServiceRoleForEC2Spot").unwrap().body;
        let arn = "arn:aws-cn:iam::123456789012:role/aws-service-role/spot.amazonaws.com/AWSServiceRoleForEC2Spot";
        assert!(role.contains(arn) && role.contains("<Path>/aws-service-role/spot.amazonaws.com/</Path>"), "{role}");
        let profile =
            |account: &Account| ask(account, "us-east-1", "GetInstanceProfile", "InstanceProfileName", "worker");
        assert!(profile(&well).unwrap().body.contains("<Roles><member>"));
        let ill = Account {
            missing_roles: vec!["AWSServiceRoleForEC2Spot".to_owned()],
            empty_profiles: vec!["worker".to_owned()],
            ..Account::default()
        };
        assert!(profile(&ill).unwrap().body.contains("<Roles></Roles>"));
        for (name, account) in [("AWSServiceRoleForEC2Spot", &ill), ("nobody", &well)] {
            let error = ask(account, "us-east-1", "GetRole", "RoleName", name).unwrap_err();
            assert_eq!((error.code.as_str(), error.status), ("NoSuchEntity", 404), "{name}");
        }
        assert_eq!(ask(&well, "us-east-1", "GetRole", "Name", "x").unwrap_err().code, "ValidationError");
        assert_eq!(ask(&well, "us-east-1", "CreateRole", "RoleName", "x").unwrap_err().code, "InvalidAction");
    }
}
