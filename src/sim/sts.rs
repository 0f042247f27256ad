//! STS: who am I, and why was I refused.

use super::api::{ApiError, Call, Handled, Payload, Reply};
use super::refusal;
use super::seed::Seed;
use super::xml::Xml;

/// Answers a call; STS changes nothing here.
pub(crate) fn handle(call: &Call, seed: &Seed) -> Handled {
    let Payload::Query(pairs) = &call.payload else {
        return Err(ApiError::new("MalformedQueryString", "STS takes form parameters"));
    };
    let mut xml = Xml::new();
    match call.action.as_str() {
        "GetCallerIdentity" => {
            xml.text("Arn", refusal::caller(seed));
            // A user's unique id starts with AIDA and has 21 characters.
            xml.text("UserId", "AIDAREHEARSALCLOUD000").text("Account", &seed.account);
        }
        "DecodeAuthorizationMessage" => {
            let encoded = pairs.iter().find(|(name, _)| name == "EncodedMessage").map(|(_, value)| value.as_str());
            xml.text("DecodedMessage", refusal::decode(encoded.unwrap_or_default())?);
        }
        other => {
            return Err(ApiError::new(
                "InvalidAction",
                format!(
                    "The action {other} is not valid for this endpoint: the rehearsal cloud's STS knows GetCallerIdentity \
                     and DecodeAuthorizationMessage"
                ),
            ));
        }
    }
    Ok(Reply { body: xml.finish(), ..Reply::default() })
}
