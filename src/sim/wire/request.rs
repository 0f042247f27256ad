//! Reads a request: whose it is, which service and action it wants, and what it says.

use super::super::api::{ApiError, Payload};
use super::super::partition;
use super::rest;
use super::service::{Reach, Service, Style};
use hyper::header::{AUTHORIZATION, HeaderMap};
use hyper::http::request::Parts;
use serde_json::Value;

/// What a request asks.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) style: Style,
    pub(super) service: String,
    pub(super) region: String,
    pub(super) action: String,
    pub(super) payload: Payload,
    pub(super) principal: String,
}

/// Who signed, and for which region and service: the signature itself is not checked.
struct Signed {
    principal: String,
    region: String,
    service: String,
}

/// Reads a whole request to the region `here`.
///
/// # Errors
///
/// With the error that AWS would give, and in which wrapping.
pub(super) fn read(here: &str, head: &Parts, body: &[u8]) -> Result<Asked, (Style, ApiError)> {
    let target = head.headers.get("x-amz-target").and_then(|value| value.to_str().ok());
    let pairs = if target.is_some() { Vec::new() } else { pairs(head, body) };
    let value = |wanted: &str| pairs.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str());
    // Until the signature tells the service, its manner of speech is guessed by what it says.
    let style = Style::guess(target, value("Version"));
    let Signed { principal, region, service } = signed(&head.headers).map_err(|error| (style, error))?;
    let Some(Service { style, speaks, reach, .. }) = Service::named(&service) else {
        let message = format!("the rehearsal cloud has no service {service}: it knows {}", Service::names());
        return Err((style, ApiError::new("InvalidAction", message)));
    };
    let (style, speaks) = (*style, *speaks);
    let refuse = |code: &str, message: String| Err((style, ApiError::new(code, message)));
    let taken = match reach {
        Reach::Here => region == here,
        Reach::Regions => partition::is_region(&region) && partition::of(&region) == partition::of(here),
        Reach::Partition => true,
    };
    if !taken {
        // Each region of AWS is an endpoint of its own, which takes no other region's signatures.
        let code = match style {
            Style::Ec2 => "AuthFailure",
            Style::S3 => "AuthorizationHeaderMalformed",
            Style::Query { .. } | Style::Json { .. } => "SignatureDoesNotMatch",
        };
        let message =
            format!("Credential should be scoped to a valid region, not '{region}': this endpoint is {here}.");
        let status = if style == Style::S3 { 400 } else { 403 };
        return Err((style, ApiError::new(code, message).with_status(status)));
    }
    if style == Style::S3 {
        let (action, payload) = rest::read(head, body).map_err(|error| (style, error))?;
        return Ok(Asked { style, service, action: action.to_owned(), payload, principal, region });
    }
    if let Style::Json { .. } = style {
        let action = target.and_then(|target| target.strip_prefix(speaks)?.strip_prefix('.'));
        let Some(action) = action else {
            return refuse("InvalidAction", format!("X-Amz-Target is {target:?}, not {speaks}.Action: update the SDK"));
        };
        let text = if body.is_empty() { b"{}" } else { body };
        return match serde_json::from_slice::<Value>(text) {
            Ok(value) => Ok(Asked {
                style,
                service,
                region,
                action: action.to_owned(),
                payload: Payload::Json(value),
                principal,
            }),
            Err(error) => refuse("SerializationException", format!("the body is not JSON: {error}")),
        };
    }
    let Some(action) = value("Action").map(str::to_owned) else {
        return refuse("MissingAction", "The request is missing an action or a required parameter.".to_owned());
    };
    let version = value("Version").unwrap_or_default();
    if version != speaks {
        return refuse(
            "NoSuchVersion",
            format!("The requested version ({version}) of service {service} does not exist"),
        );
    }
    Ok(Asked { style, service, region, action, payload: Payload::Query(pairs), principal })
}

/// Form parameters of the URL and the body, in that order.
fn pairs(head: &Parts, body: &[u8]) -> Vec<(String, String)> {
    let query = head.uri.query().unwrap_or_default().as_bytes();
    form_urlencoded::parse(query).into_owned().chain(form_urlencoded::parse(body).into_owned()).collect()
}

/// Reads `AWS4-HMAC-SHA256 Credential=AKIA../20260101/us-east-1/ec2/aws4_request, ...`.
fn signed(headers: &HeaderMap) -> Result<Signed, ApiError> {
    let Some(header) = headers.get(AUTHORIZATION) else {
        let message = "Request is missing Authentication Token";
        return Err(ApiError::new("MissingAuthenticationToken", message).with_status(403));
    };
    let scope = header.to_str().ok().and_then(|text| {
        let rest = text.strip_prefix("AWS4-HMAC-SHA256 ")?;
        rest.split(',').find_map(|part| part.trim().strip_prefix("Credential="))
    });
    let parts: Vec<&str> = scope.unwrap_or_default().split('/').collect();
    match parts.as_slice() {
        [principal, _date, region, service, "aws4_request"] if !principal.is_empty() => Ok(Signed {
            principal: (*principal).to_owned(),
            region: (*region).to_owned(),
            service: (*service).to_owned(),
        }),
        _ => Err(ApiError::new(
            "IncompleteSignature",
            "Authorization header requires 'Credential' parameter: access-key/date/region/service/aws4_request.",
        )),
    }
}
