//! Wraps what a service answered as AWS would, and breaks it when a fault wants that.

use super::super::api::{ApiError, Handled};
use super::super::faults::Effect;
use super::super::sqs::query_code;
use super::super::xml::Xml;
use super::service::Style;
use hyper::body::{Body, Bytes, Frame, SizeHint};
use hyper::header::HeaderValue;
use hyper::{Response, StatusCode};
use serde_json::json;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::Sleep;

/// How long a cut answer's first part has for its way to the client.
const CUT_AFTER: Duration = Duration::from_millis(20);

/// A body that may end before it should.
#[derive(Debug)]
pub(crate) struct Answer {
    bytes: Option<Bytes>,
    /// What Content-Length says.
    promised: u64,
    /// Set when the connection is to break after the bytes.
    cut: Option<Pin<Box<Sleep>>>,
}

impl Answer {
    /// A whole body.
    pub(crate) fn whole(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self { promised: bytes.len() as u64, bytes: Some(bytes), cut: None }
    }

    /// The first half of a body that promised to be whole.
    fn cut(bytes: &Bytes) -> Self {
        let half = bytes.slice(..bytes.len() / 2);
        Self { bytes: Some(half), promised: bytes.len() as u64, cut: Some(Box::pin(tokio::time::sleep(CUT_AFTER))) }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if let Some(bytes) = self.bytes.take().filter(|bytes| !bytes.is_empty()) {
            return Poll::Ready(Some(Ok(Frame::data(bytes))));
        }
        match &mut self.cut {
            // Pending makes hyper flush what it has.
            Some(sleep) => sleep.as_mut().poll(cx).map(|()| Some(Err(io::Error::other("cut by a fault")))),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.cut.is_none() && self.bytes.as_ref().is_none_or(Bytes::is_empty)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.promised)
    }
}

/// Wraps an answer, and breaks it by `effect` if that is one that breaks answers.
pub(super) fn wrap(
    style: Style,
    action: &str,
    request_id: &str,
    handled: &Handled,
    effect: Option<&Effect>,
) -> Response<Answer> {
    let carried_out = if action == "DeleteObject" { 204 } else { 200 };
    let status = handled.as_ref().map_or_else(|error| error.status, |_| carried_out);
    let text = match handled {
        Ok(reply) => match style {
            Style::Ec2 => ec2(action, request_id, &reply.body),
            Style::Query { namespace } => query(namespace, action, request_id, &reply.body),
            Style::Json { .. } => reply.body.clone(),
            Style::S3 if reply.body.is_empty() => String::new(),
            Style::S3 => listing(&reply.body),
        },
        Err(error) => refusal(style, request_id, error),
    };
    let object = handled.as_ref().ok().and_then(|reply| reply.object.as_ref());
    let bytes = object.map_or_else(|| Bytes::from(text), |object| Bytes::from(object.bytes.clone()));
    let answer = match effect {
        Some(Effect::Cut) => Answer::cut(&bytes),
        Some(Effect::CutClean) => Answer::whole(bytes.slice(..bytes.len() / 2)),
        Some(Effect::Garble) => Answer::whole(garbled(&bytes)),
        Some(Effect::Error(_) | Effect::Reset | Effect::Hang | Effect::Delay { .. } | Effect::LateCommit { .. })
        | None => Answer::whole(bytes),
    };
    let mut response = Response::new(answer);
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    let kind = match style {
        Style::Ec2 => "text/xml;charset=UTF-8".to_owned(),
        Style::Query { .. } => "text/xml".to_owned(),
        Style::Json { version, .. } => format!("application/x-amz-json-{version}"),
        Style::S3 if object.is_some() => "binary/octet-stream".to_owned(),
        Style::S3 => "application/xml".to_owned(),
    };
    let mut put = |name: &'static str, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    };
    put("content-type", &kind);
    if style == Style::S3 {
        put("x-amz-request-id", request_id);
        let told = handled.as_ref().map_or_else(|error| Some(&error.headers), |_| object.map(|object| &object.headers));
        for (name, value) in told.into_iter().flatten() {
            put(name, value);
        }
    } else {
        put("x-amzn-requestid", request_id);
    }
    // Only SQS was a query service once, and tells its errors in those words too.
    if let (Style::Json { version: "1.0", .. }, Err(error)) = (style, handled) {
        let fault = if error.status < 500 { "Sender" } else { "Receiver" };
        put("x-amzn-query-error", &format!("{};{fault}", query_code(&error.code)));
    }
    response
}

const DECLARATION: &str = r#"<?xml version="1.0" encoding="UTF-8"?>"#;

fn ec2(action: &str, request_id: &str, inner: &str) -> String {
    let mut id = Xml::new();
    id.text("requestId", request_id);
    let id = id.finish();
    format!(
        "{DECLARATION}\n<{action}Response xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\">{id}{inner}</{action}Response>"
    )
}

fn query(namespace: &str, action: &str, request_id: &str, inner: &str) -> String {
    let mut metadata = Xml::new();
    metadata.open("ResponseMetadata", |xml| {
        xml.text("RequestId", request_id);
    });
    let metadata = metadata.finish();
    format!(
        "<{action}Response xmlns=\"{namespace}\"><{action}Result>{inner}</{action}Result>{metadata}</{action}Response>"
    )
}

/// The one document that S3 answers here.
fn listing(inner: &str) -> String {
    format!(
        "{DECLARATION}\n<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">{inner}</ListBucketResult>"
    )
}

fn refusal(style: Style, request_id: &str, error: &ApiError) -> String {
    let mut xml = Xml::new();
    match style {
        Style::Ec2 => {
            xml.open("Response", |xml| {
                xml.open("Errors", |xml| {
                    xml.open("Error", |xml| {
                        xml.text("Code", &error.code).text("Message", &error.message);
                    });
                });
                xml.text("RequestID", request_id);
            });
        }
        Style::Query { .. } => {
            xml.open("ErrorResponse", |xml| {
                xml.open("Error", |xml| {
                    let fault = if error.status < 500 { "Sender" } else { "Receiver" };
                    xml.text("Type", fault).text("Code", &error.code).text("Message", &error.message);
                });
                xml.text("RequestId", request_id);
            });
        }
        Style::S3 => {
            xml.open("Error", |xml| {
                xml.text("Code", &error.code).text("Message", &error.message).text("RequestId", request_id);
                xml.text("HostId", "rehearsal");
            });
        }
        Style::Json { errors, .. } => {
            let kind = format!("{errors}{}", error.code);
            return json!({"__type": kind, "message": error.message}).to_string();
        }
    }
    format!("{DECLARATION}\n{}", xml.finish())
}

/// The same length, eight bytes in the middle overwritten with what neither XML nor JSON can hold.
fn garbled(bytes: &Bytes) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let middle = bytes.len() / 2;
    for (byte, noise) in bytes.iter_mut().skip(middle).zip(*b"\0<<&\xff\"}\x01") {
        *byte = noise;
    }
    bytes
}
