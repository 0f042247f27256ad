//! STS: who am I.

use super::api::{ApiError, Call, Handled, Reply};
use super::xml::Xml;

/// Answers a call; STS changes nothing.
pub(crate) fn handle(call: &Call, account: &str) -> Handled {
    if call.action != "GetCallerIdentity" {
        return Err(ApiError::new(
            "InvalidAction",
            format!(
                "The action {} is not valid for this endpoint: the rehearsal cloud's STS knows GetCallerIdentity",
                call.action
            ),
        ));
    }
    let mut xml = Xml::new();
    xml.text("Arn", format!("arn:aws:iam::{account}:user/rehearsal"));
    // A user's unique id starts with AIDA and has 21 characters.
    xml.text("UserId", "AIDAREHEARSALCLOUD000").text("Account", account);
    Ok(Reply { body: xml.finish(), ..Reply::default() })
}
