//! From what the SDK says went wrong to one `Fault` of the closed list, with a reason that people understand.

use super::codes::{BY_ENDING, BY_MESSAGE, GROUPS};
use super::hooks::{Truncated, Unsent};
use crate::model::{Fault, FaultKind};
use aws_sdk_ec2::operation::RequestId;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use std::error::Error;
use std::io::ErrorKind as Io;

/// What is said when the call may have been carried out.
const UNKNOWN: &str = "no answer that can be trusted came; the call may have been carried out and is looked up first";

/// Classifies a failed call.
///
/// A thing that AWS does not know counts as `Gone` here; [`by_age`] corrects that for things made just now.
pub(super) fn fault<E>(action: &str, error: &SdkError<E, HttpResponse>) -> Fault
where
    E: ProvideErrorMetadata + Error + 'static,
{
    match error {
        SdkError::ServiceError(answer) => {
            let (meta, raw) = (answer.err().meta(), answer.raw());
            if raw.status().is_success() {
                // Whole, but not to be understood: the call was carried out, or it was not.
                return garbled(action, &chain(answer.err()));
            }
            let body = raw.body().bytes().unwrap_or_default();
            if meta.code().is_none() && is_aws_own(body) {
                return garbled(action, &glimpse(body));
            }
            let id = meta.request_id().or_else(|| request_id(body));
            let message = meta.message().map_or_else(|| glimpse(body), str::to_owned);
            answered(action, meta.code(), &message, raw.status().as_u16(), id)
        }
        SdkError::TimeoutError(_) => unanswered(action, error, Some("timeout")),
        _ => unanswered(action, error, None),
    }
}

/// Whether it is an error document as AWS writes them, in XML or JSON. It names a code; one without did not come through whole,
/// while what proxies say is meant as they say it.
fn is_aws_own(body: &[u8]) -> bool {
    let text = String::from_utf8_lossy(body);
    text.contains("<Error>") || text.contains("\"__type\"")
}

/// The request id inside an error document, for answers without the header: EC2 writes `RequestID`, STS `RequestId`.
fn request_id(body: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(body).ok()?;
    let within = |tag: &str| text.split_once(&format!("<{tag}>"))?.1.split_once('<').map(|(id, _)| id);
    within("RequestID").or_else(|| within("RequestId"))
}

/// The beginning of an answer that says nothing in AWS's own words, on one line.
fn glimpse(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(300)]);
    let words: Vec<&str> = text.split_whitespace().collect();
    if words.is_empty() { "an empty answer".to_owned() } else { words.join(" ") }
}

/// An error and its causes on one line, each said once.
pub(super) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut at = error.source();
    while let Some(error) = at {
        let cause = error.to_string();
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
        at = error.source();
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// AWS answered with an error.
fn answered(action: &str, code: Option<&str>, message: &str, status: u16, request_id: Option<&str>) -> Fault {
    let (kind, reason) = match code {
        Some(code) => classify_code(code, message, status),
        None => by_status(status),
    };
    Fault {
        kind,
        action: action.to_owned(),
        code: code.map_or_else(|| format!("HTTP {status}"), str::to_owned),
        message: message.to_owned(),
        reason: reason.to_owned(),
        request_id: request_id.map(str::to_owned),
    }
}

/// The kind of an AWS code and what it means, for calls that failed and for the errors inside a fleet's answer.
///
/// `status` is the HTTP status, 0 where there is none; it decides only about codes that nobody here knows.
pub(super) fn classify_code(code: &str, message: &str, status: u16) -> (FaultKind, &'static str) {
    let code = code.strip_prefix("Client.").or_else(|| code.strip_prefix("Server.")).unwrap_or(code);
    let by_message = BY_MESSAGE.iter().find(|(known, part, ..)| *known == code && message.contains(part));
    if let Some((_, _, kind, reason)) = by_message {
        return (*kind, reason);
    }
    if let Some(group) = GROUPS.iter().find(|group| group.codes.contains(&code)) {
        return (group.kind, group.reason);
    }
    match BY_ENDING.iter().find(|(ending, ..)| code.ends_with(ending)) {
        Some((_, kind, reason)) => (*kind, reason),
        None => by_status(status),
    }
}

/// What the HTTP status alone says.
fn by_status(status: u16) -> (FaultKind, &'static str) {
    match status {
        429 => (FaultKind::Throttled, "too many API calls; the same call goes through later"),
        401 | 403 => {
            (FaultKind::Denied, "these credentials may not do this, or something between here and AWS refuses it")
        }
        500.. => (
            FaultKind::Server,
            "AWS failed inside; the call may have been carried out and is looked up before anything else",
        ),
        _ => (FaultKind::Invalid, "AWS refused this with a code that fleetwright does not know; it is not tried again"),
    }
}

/// No answer came, or none that can be read.
fn unanswered(action: &str, error: &(dyn Error + 'static), code: Option<&'static str>) -> Fault {
    let fault = |kind, code: &str, message: String, reason: &str| Fault {
        kind,
        action: action.to_owned(),
        code: code.to_owned(),
        message,
        reason: reason.to_owned(),
        request_id: None,
    };
    if let Some(unsent) = find::<Unsent>(error) {
        let message = plain(&unsent.to_string());
        let lower = message.to_lowercase();
        // The SDK shows the whole request here, whose words would mislead everything below.
        if lower.contains("failed to apply endpoint") {
            let reason = "write --endpoint-url or AWS_ENDPOINT_URL as http://HOST:PORT or https://HOST";
            return fault(FaultKind::Invalid, "not-sent", "the endpoint is no URL".to_owned(), reason);
        }
        if !["credential", "identity", "token"].iter().any(|word| lower.contains(word)) {
            return fault(FaultKind::Invalid, "not-sent", message, "the call could not be made; nothing was sent");
        }
        let reason = "log in (aws sso login), or name a profile with --profile or AWS_PROFILE";
        let message = if lower.contains("no credentials found in chain") {
            NOWHERE.to_owned()
        } else if lower.contains("provider was not enabled") {
            // How the SDK says that a profile that was asked for is in no file.
            "the profile is not there, or names no credentials".to_owned()
        } else {
            message
        };
        return fault(FaultKind::Denied, "no-credentials", message, reason);
    }
    if let Some(truncated) = find::<Truncated>(error) {
        return fault(FaultKind::Transport, "truncated", truncated.to_string(), UNKNOWN);
    }
    let io = find::<std::io::Error>(error).map(std::io::Error::kind);
    let code = code.unwrap_or(match (io, error.to_string().as_str()) {
        (Some(Io::ConnectionRefused | Io::HostUnreachable | Io::NetworkUnreachable), _) => "unreachable",
        (Some(Io::ConnectionReset | Io::BrokenPipe | Io::ConnectionAborted), _) => "reset",
        (Some(Io::UnexpectedEof), _) => "truncated",
        (Some(Io::TimedOut), _) => "timeout",
        (_, "response error") => "garbled",
        (_, _) => "connection",
    });
    let text = plain(&chain(error));
    let code = if code == "connection" && text.contains("dns error") { "unknown-host" } else { code };
    let reason = match code {
        "unreachable" => "nobody answers at the endpoint: check the network, the region and --endpoint-url",
        "unknown-host" => "the endpoint's name is not known: check the network, the region and --endpoint-url",
        _ => UNKNOWN,
    };
    fault(FaultKind::Transport, code, text, reason)
}

/// Where credentials were looked for, in short.
const NOWHERE: &str =
    "no credentials in the environment, a profile, a web identity, the container or the instance metadata";

/// The text without the layers that the SDK wraps around every error.
fn plain(text: &str) -> String {
    const LAYERS: [&str; 6] = [
        "an unknown error occurred: ",
        "dispatch failure: ",
        "response error: ",
        "request has timed out: ",
        "io error: ",
        "client error (Connect): ",
    ];
    let mut rest = text;
    while let Some(inner) = LAYERS.iter().find_map(|layer| rest.strip_prefix(layer)) {
        rest = inner;
    }
    rest.to_owned()
}

/// The first error of a type in a chain of causes.
fn find<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    let mut at = Some(error);
    while let Some(error) = at {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        at = error.source();
    }
    None
}

/// An answer that was read and makes no sense: as good as none.
pub(super) fn garbled(action: &str, message: &str) -> Fault {
    Fault {
        kind: FaultKind::Transport,
        action: action.to_owned(),
        code: "garbled".to_owned(),
        message: message.to_owned(),
        reason: UNKNOWN.to_owned(),
        request_id: None,
    }
}

/// A thing that AWS does not know may simply be too new: EC2 names up to about five minutes after its creation.
#[must_use]
pub fn by_age(fault: Fault, fresh: bool) -> Fault {
    if fresh && fault.kind == FaultKind::Gone {
        let reason = "made so recently that not every reader of AWS's sees it yet; it is asked for again".to_owned();
        Fault { kind: FaultKind::NotYetVisible, reason, ..fault }
    } else {
        fault
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_code_is_listed_once_and_has_its_reason() {
        let mut seen = BTreeSet::new();
        for group in GROUPS {
            assert!(group.reason.len() > 20 && !group.codes.is_empty());
            for code in group.codes {
                assert!(seen.insert(code), "{code} is listed twice");
                let (kind, reason) = classify_code(code, "", 400);
                assert_eq!((kind, reason), (group.kind, group.reason), "{code}");
            }
        }
    }

    #[test]
    fn codes_mean_what_the_fault_table_says() {
        use FaultKind::{
            Busy, Capacity, Denied, Exists, Gone, Interrupted, Invalid, NotYetVisible, Quota, Server, Throttled,
        };
        let cases = [
            // Both are 5xx at EC2, and both are definite: nothing was made.
            ("InsufficientInstanceCapacity", "", 500, Capacity),
            ("RequestLimitExceeded", "", 503, Throttled),
            ("UnfulfillableCapacity", "", 0, Capacity),
            ("MaxSpotInstanceCountExceeded", "", 400, Quota),
            ("VcpuLimitExceeded", "", 0, Quota),
            ("InsufficientFreeAddressesInSubnet", "", 400, Capacity),
            ("InvalidInstanceID.NotFound", "", 400, Gone),
            ("InvalidSomethingNew.NotFound", "", 400, Gone),
            ("InvalidAMIName.Duplicate", "", 400, Exists),
            ("ExpiredToken", "", 400, Denied),
            ("RequestExpired", "", 400, Denied),
            ("AuthFailure.ServiceLinkedRoleCreationNotPermitted", "", 403, Denied),
            ("IdempotentInstanceTerminated", "", 400, Interrupted),
            ("IdempotentParameterMismatch", "", 400, Invalid),
            (
                "InvalidParameterValue",
                "Value (x) for parameter a is invalid. Invalid IAM Instance Profile",
                400,
                NotYetVisible,
            ),
            ("InvalidParameterValue", "Instance is not in state 'running' or 'stopped'", 400, Busy),
            ("InvalidParameterValue", "something else", 400, Invalid),
            ("InvalidFleetConfiguration", "m9.huge is not supported in us-east-1e", 0, Capacity),
            ("Server.InternalError", "", 500, Server),
            ("NeverHeardOfIt", "", 400, Invalid),
            ("NeverHeardOfIt", "", 503, Server),
        ];
        for (code, message, status, kind) in cases {
            assert_eq!(classify_code(code, message, status).0, kind, "{code} {message}");
        }
    }

    #[test]
    fn only_what_is_gone_can_be_too_new() {
        let gone = answered("DescribeInstances", Some("InvalidInstanceID.NotFound"), "m", 400, Some("r-1"));
        assert_eq!(gone.request_id.as_deref(), Some("r-1"));
        assert_eq!(by_age(gone.clone(), false).kind, FaultKind::Gone);
        assert_eq!(by_age(gone, true).kind, FaultKind::NotYetVisible);
        let denied = answered("DescribeInstances", Some("UnauthorizedOperation"), "m", 403, None);
        assert_eq!(by_age(denied, true).kind, FaultKind::Denied);
    }

    #[test]
    fn a_time_out_may_have_been_carried_out() {
        let error: SdkError<aws_sdk_ec2::operation::create_fleet::CreateFleetError, HttpResponse> =
            SdkError::timeout_error("operation attempt timeout (single attempt) occurred after 90s");
        let fault = fault("CreateFleet", &error);
        assert_eq!((fault.kind, fault.code.as_str()), (FaultKind::Transport, "timeout"));
        assert!(fault.kind.outcome_unknown() && fault.message.ends_with("after 90s"), "{fault}");
    }

    #[test]
    fn an_unknown_refusal_is_shown_as_it_is() {
        let fault = answered("CreateFleet", Some("BrandNew"), "some text", 400, Some("r-2"));
        assert_eq!(fault.to_string(), "CreateFleet answered BrandNew: some text (request id r-2)");
        assert_eq!(answered("CreateFleet", None, "<html>", 502, None).code, "HTTP 502");
        // A refusal that was spoilt on the way is none; that of a proxy is one.
        assert!(is_aws_own(b"<Response><Errors><Error><Code>InvalidParameter</Code><Message>w\x00<<&\xff"));
        assert!(is_aws_own(br#"{"__type":"com.amazonaws.sqs#Queue"#));
        assert!(!is_aws_own(b"<html><title>Error</title>denied by the proxy") && !is_aws_own(b""));
    }
}
