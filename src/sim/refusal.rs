//! How a service says no to a caller who may not: its own code and words, EC2's with the encoded reason that STS decodes.

use super::api::{ApiError, Call};
use super::partition;
use super::seed::Seed;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

/// The caller of every call.
pub(crate) fn caller(seed: &Seed) -> String {
    format!("arn:{}:iam::{}:user/rehearsal", partition::of(&seed.region), seed.account)
}

/// Refuses `action` (`service:Action`) on `resource`, which need not be the action that was called: a launch with a role
/// needs `iam:PassRole` too.
pub(crate) fn refuse(call: &Call, seed: &Seed, action: &str, resource: &str) -> ApiError {
    let caller = caller(seed);
    let who = format!("User: {caller} is not authorized to perform: {action}");
    if call.service != "ec2" {
        let code = if ["sqs", "sts", "iam", "s3"].contains(&call.service.as_str()) {
            "AccessDenied"
        } else {
            "AccessDeniedException"
        };
        let why = if call.service == "sqs" || call.service == "sts" {
            who
        } else {
            format!("{who} on resource: {resource} because no identity-based policy allows the {action} action")
        };
        return ApiError::new(code, why).with_status(if code == "AccessDenied" { 403 } else { 400 });
    }
    let reason = json!({
        "allowed": false,
        "explicitDeny": false,
        "matchedStatements": {"items": []},
        "failures": {"items": []},
        "context": {
            "principal": {"id": "AIDAREHEARSALCLOUD000", "name": "rehearsal", "arn": caller},
            "action": action,
            "resource": resource,
            "conditions": {"items": []},
        },
    });
    let encoded = URL_SAFE_NO_PAD.encode(reason.to_string());
    let message = format!(
        "You are not authorized to perform this operation. {who} on resource: {resource} because no identity-based policy \
         allows the {action} action. Encoded authorization failure message: {encoded}"
    );
    ApiError::new("UnauthorizedOperation", message).with_status(403)
}

/// The reason inside an encoded message.
///
/// # Errors
///
/// `InvalidAuthorizationMessageException` for anything that was not encoded here.
pub(crate) fn decode(encoded: &str) -> Result<String, ApiError> {
    let bytes = URL_SAFE_NO_PAD.decode(encoded).ok().filter(|bytes| bytes.starts_with(b"{"));
    bytes.and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(|| {
        ApiError::new("InvalidAuthorizationMessageException", "Invalid authorization message: it cannot be decoded")
    })
}

#[cfg(test)]
mod tests {
    use super::super::api::Payload;
    use super::*;
    use jiff::Timestamp;

    #[test]
    fn what_is_encoded_is_decoded_and_nothing_else() {
        let mut seed = crate::rehearse::world::plain("");
        "us-gov-west-1".clone_into(&mut seed.region);
        let mut call = Call {
            service: "ec2".to_owned(),
            region: "us-east-1".to_owned(),
            action: "RunInstances".to_owned(),
            payload: Payload::Query(Vec::new()),
            principal: "AKIA".to_owned(),
            now: Timestamp::UNIX_EPOCH,
            request_id: "r".to_owned(),
        };
        let error = refuse(&call, &seed, "iam:PassRole", "arn:aws-us-gov:iam::123456789012:role/worker");
        assert_eq!((error.code.as_str(), error.status), ("UnauthorizedOperation", 403));
        assert!(error.message.contains("arn:aws-us-gov:iam::123456789012:user/rehearsal"), "{}", error.message);
        let encoded = error.message.rsplit(' ').next().unwrap();
        let decoded: serde_json::Value = serde_json::from_str(&decode(encoded).unwrap()).unwrap();
        assert_eq!(decoded["context"]["action"], "iam:PassRole");
        assert_eq!(decode("bm90IGpzb24").unwrap_err().code, "InvalidAuthorizationMessageException");
        "kms".clone_into(&mut call.service);
        assert_eq!(refuse(&call, &seed, "kms:DescribeKey", "*").code, "AccessDeniedException");
    }
}
