//! KMS, as far as it is read: keys and their grants.

use super::account::{Account, Key, role_path};
use super::api::{ApiError, Call, Handled, Payload, Reply};
use super::partition;
use super::seed::Seed;
use serde_json::{Value, json};

/// The key that AWS keeps for EBS in every account and region.
pub(crate) const EBS_ALIAS: &str = "alias/aws/ebs";
/// Its id here.
const EBS_KEY: &str = "0eb50eb5-0eb5-0eb5-0eb5-0eb50eb50eb5";

/// Answers a call; nothing is changed.
pub(crate) fn handle(call: &Call, seed: &Seed, account: &Account) -> Handled {
    let Payload::Json(input) = &call.payload else {
        return Err(ApiError::new("SerializationException", "KMS is spoken to in AWS JSON 1.1"));
    };
    let Some(asked) = input.get("KeyId").and_then(Value::as_str) else {
        return Err(ApiError::new(
            "ValidationException",
            "1 validation error detected: Value null at 'keyId' failed to satisfy constraint: Member must not be null",
        ));
    };
    let place = Place { account: &seed.account, region: &call.region };
    let body = match call.action.as_str() {
        "DescribeKey" => json!({"KeyMetadata": metadata(place, &find(place, account, asked)?)}),
        "ListGrants" => grants(place, account, asked)?,
        other => {
            return Err(ApiError::new(
                "UnknownOperationException",
                format!("the rehearsal cloud's KMS has no {other}: only keys and grants are read"),
            ));
        }
    };
    Ok(Reply { body: body.to_string(), ..Reply::default() })
}

/// Where keys are looked for.
#[derive(Clone, Copy, Debug)]
struct Place<'a> {
    account: &'a str,
    region: &'a str,
}

fn arn(place: Place<'_>, what: &str) -> String {
    let Place { account, region } = place;
    format!("arn:{}:kms:{region}:{account}:{what}", partition::of(region))
}

/// The ARN of a key that volumes in this region may be encrypted with; none when there is none of this name or it is not
/// enabled.
pub(crate) fn usable(account: &Account, number: &str, region: &str, asked: &str) -> Option<String> {
    let place = Place { account: number, region };
    let key = find(place, account, asked).ok().filter(|key| key.state == "Enabled")?;
    Some(arn(place, &format!("key/{}", key.id)))
}

/// The key behind an id, an alias or the ARN of either.
fn find(place: Place<'_>, account: &Account, asked: &str) -> Result<Key, ApiError> {
    let own = Key {
        id: EBS_KEY.to_owned(),
        aliases: vec![EBS_ALIAS.to_owned()],
        regions: Vec::new(),
        state: "Enabled".to_owned(),
        grants: Vec::new(),
    };
    let keys = account.keys.iter().chain([&own]);
    let named = |name: &str| asked == name || asked == arn(place, name);
    let hit = |key: &&Key| {
        let there = key.regions.is_empty() || key.regions.iter().any(|region| region == place.region);
        let id = asked == key.id || asked == arn(place, &format!("key/{}", key.id));
        there && (id || key.aliases.iter().any(|alias| named(alias)))
    };
    keys.clone().find(hit).cloned().ok_or_else(|| {
        let what = if asked.starts_with("arn:") {
            asked.to_owned()
        } else if asked.starts_with("alias/") {
            arn(place, asked)
        } else {
            arn(place, &format!("key/{asked}"))
        };
        let kind = if asked.contains("alias/") { "Alias" } else { "Key" };
        ApiError::new("NotFoundException", format!("{kind} '{what}' does not exist"))
    })
}

fn metadata(place: Place<'_>, key: &Key) -> Value {
    json!({
        "AWSAccountId": place.account,
        "Arn": arn(place, &format!("key/{}", key.id)),
        "KeyId": key.id,
        "CreationDate": 1_704_067_200.0,
        "Description": "",
        "Enabled": key.state == "Enabled",
        "KeyManager": if key.id == EBS_KEY { "AWS" } else { "CUSTOMER" },
        "KeySpec": "SYMMETRIC_DEFAULT",
        "CustomerMasterKeySpec": "SYMMETRIC_DEFAULT",
        "KeyState": key.state,
        "KeyUsage": "ENCRYPT_DECRYPT",
        "EncryptionAlgorithms": ["SYMMETRIC_DEFAULT"],
        "MultiRegion": false,
        "Origin": "AWS_KMS",
    })
}

/// Unlike DescribeKey it takes no alias.
fn grants(place: Place<'_>, account: &Account, asked: &str) -> Result<Value, ApiError> {
    if asked.contains("alias/") {
        return Err(ApiError::new("InvalidArnException", format!("{asked} is not a key's id or ARN")));
    }
    let key = find(place, account, asked)?;
    let prefix = format!("arn:{}:iam::{}:role", partition::of(place.region), place.account);
    let grants: Vec<Value> = key
        .grants
        .iter()
        .map(|role| {
            json!({
                "KeyId": arn(place, &format!("key/{}", key.id)),
                "GrantId": super::draw::sha256_hex(format!("{}{role}", key.id).as_bytes()),
                "GranteePrincipal": format!("{prefix}/{}", role_path(role)),
                "IssuingAccount": format!("arn:{}:iam::{}:root", partition::of(place.region), place.account),
                "CreationDate": 1_704_067_200.0,
                "Operations": [
                    "Encrypt", "Decrypt", "ReEncryptFrom", "ReEncryptTo", "GenerateDataKey",
                    "GenerateDataKeyWithoutPlaintext", "DescribeKey", "CreateGrant",
                ],
            })
        })
        .collect();
    Ok(json!({"Grants": grants, "Truncated": false}))
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    fn ask(account: &Account, action: &str, key: &str) -> Result<Value, String> {
        let call = Call {
            service: "kms".to_owned(),
            region: "us-east-1".to_owned(),
            action: action.to_owned(),
            payload: Payload::Json(json!({"KeyId": key})),
            principal: "AKIA".to_owned(),
            now: Timestamp::UNIX_EPOCH,
            request_id: "r".to_owned(),
        };
        let reply = handle(&call, &crate::rehearse::world::plain(""), account).map_err(|error| error.code)?;
        Ok(serde_json::from_str(&reply.body).expect("JSON"))
    }

    #[test]
    fn keys_are_known_by_id_and_arn_and_the_own_one_by_its_alias() {
        let grants = vec!["AWSServiceRoleForAutoScaling".to_owned()];
        let aliases = vec!["alias/fleet".to_owned()];
        let regions = vec!["us-east-1".to_owned()];
        let key = Key { id: "k-1".to_owned(), aliases, regions, state: "Disabled".to_owned(), grants };
        let account = Account { keys: vec![key], ..Account::default() };
        let own = ask(&account, "DescribeKey", EBS_ALIAS).unwrap();
        assert_eq!(own["KeyMetadata"]["KeyManager"], "AWS");
        for name in ["k-1", "arn:aws:kms:us-east-1:123456789012:key/k-1"] {
            let key = ask(&account, "DescribeKey", name).unwrap();
            assert_eq!(
                (&key["KeyMetadata"]["KeyManager"], &key["KeyMetadata"]["Enabled"]),
                (&json!("CUSTOMER"), &json!(false))
            );
            let grants = ask(&account, "ListGrants", name).unwrap();
            let principal = "arn:aws:iam::123456789012:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling";
            assert_eq!(grants["Grants"][0]["GranteePrincipal"], principal);
        }
        assert_eq!(ask(&account, "DescribeKey", "alias/fleet").unwrap()["KeyMetadata"]["KeyId"], "k-1");
        let usable = |region, key| usable(&account, "123456789012", region, key);
        assert_eq!((usable("us-east-1", "k-1"), usable("us-west-2", "alias/other")), (None, None), "disabled, unknown");
        assert!(usable("us-west-2", EBS_ALIAS).is_some_and(|arn| arn.starts_with("arn:aws:kms:us-west-2:")));
        assert_eq!(ask(&account, "DescribeKey", "k-2"), Err("NotFoundException".to_owned()));
        assert_eq!(ask(&account, "ListGrants", EBS_ALIAS), Err("InvalidArnException".to_owned()));
        assert_eq!(ask(&account, "CreateGrant", "k-1"), Err("UnknownOperationException".to_owned()));
    }
}
