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
    let body = match call.action.as_str() {
        "DescribeKey" => json!({"KeyMetadata": metadata(seed, &find(seed, account, asked)?)}),
        "ListGrants" => grants(seed, account, asked)?,
        other => {
            return Err(ApiError::new(
                "UnknownOperationException",
                format!("the rehearsal cloud's KMS has no {other}: only keys and grants are read"),
            ));
        }
    };
    Ok(Reply { body: body.to_string(), ..Reply::default() })
}

fn arn(seed: &Seed, what: &str) -> String {
    format!("arn:{}:kms:{}:{}:{what}", partition::of(&seed.region), seed.region, seed.account)
}

/// The key behind an id, an ARN or the one alias that there is.
fn find(seed: &Seed, account: &Account, asked: &str) -> Result<Key, ApiError> {
    let own = Key { id: EBS_KEY.to_owned(), state: "Enabled".to_owned(), grants: Vec::new() };
    let keys = account.keys.iter().chain([&own]);
    let hit = |key: &&Key| {
        asked == key.id
            || asked == arn(seed, &format!("key/{}", key.id))
            || (key.id == EBS_KEY && (asked == EBS_ALIAS || asked == arn(seed, EBS_ALIAS)))
    };
    keys.clone().find(hit).cloned().ok_or_else(|| {
        let what = if asked.starts_with("arn:") {
            asked.to_owned()
        } else if asked.starts_with("alias/") {
            arn(seed, asked)
        } else {
            arn(seed, &format!("key/{asked}"))
        };
        let kind = if asked.contains("alias/") { "Alias" } else { "Key" };
        ApiError::new("NotFoundException", format!("{kind} '{what}' does not exist"))
    })
}

fn metadata(seed: &Seed, key: &Key) -> Value {
    json!({
        "AWSAccountId": seed.account,
        "Arn": arn(seed, &format!("key/{}", key.id)),
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
fn grants(seed: &Seed, account: &Account, asked: &str) -> Result<Value, ApiError> {
    if asked.contains("alias/") {
        return Err(ApiError::new("InvalidArnException", format!("{asked} is not a key's id or ARN")));
    }
    let key = find(seed, account, asked)?;
    let prefix = format!("arn:{}:iam::{}:role", partition::of(&seed.region), seed.account);
    let grants: Vec<Value> = key
        .grants
        .iter()
        .map(|role| {
            json!({
                "KeyId": arn(seed, &format!("key/{}", key.id)),
                "GrantId": super::draw::sha256_hex(format!("{}{role}", key.id).as_bytes()),
                "GranteePrincipal": format!("{prefix}/{}", role_path(role)),
                "IssuingAccount": format!("arn:{}:iam::{}:root", partition::of(&seed.region), seed.account),
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
        let key = Key { id: "k-1".to_owned(), state: "Disabled".to_owned(), grants };
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
        assert_eq!(ask(&account, "DescribeKey", "k-2"), Err("NotFoundException".to_owned()));
        assert_eq!(ask(&account, "ListGrants", EBS_ALIAS), Err("InvalidArnException".to_owned()));
        assert_eq!(ask(&account, "CreateGrant", "k-1"), Err("UnknownOperationException".to_owned()));
    }
}
