//! What happens at every call of every client: it is counted, known to be sent or not, bears the run's name, and its answer
//! must be whole.

use super::classify::chain;
use crate::model::RunId;
use aws_config::AppName;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::{
    AfterDeserializationInterceptorContextRef, BeforeSerializationInterceptorContextRef,
    BeforeTransmitInterceptorContextRef, FinalizerInterceptorContextRef,
};
use aws_smithy_runtime_api::client::orchestrator::Metadata;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::{ConfigBag, Storable, StoreReplace};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Calls sent so far, by action.
#[derive(Clone, Debug, Default)]
pub(super) struct Counter(Arc<Mutex<BTreeMap<String, u64>>>);

impl Counter {
    /// A copy of the counts.
    pub(super) fn counts(&self) -> BTreeMap<String, u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Marks, for the length of one call, that its bytes are on their way.
#[derive(Debug)]
struct Sent;

impl Storable for Sent {
    type Storer = StoreReplace<Self>;
}

/// A call that failed before its first byte was sent: certainly not carried out.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Unsent(String);

impl Intercept for Counter {
    fn name(&self) -> &'static str {
        "CallCounter"
    }

    fn read_before_transmit(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        bag: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let action = bag.load::<Metadata>().map_or("unknown", Metadata::name).to_owned();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(action).or_default() += 1;
        bag.interceptor_state().store_put(Sent);
        Ok(())
    }

    fn read_after_execution(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        bag: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        match context.output_or_error() {
            Some(Err(error)) if bag.load::<Sent>().is_none() => Err(Unsent(chain(error)).into()),
            Some(_) | None => Ok(()),
        }
    }
}

/// Names program and run in the user agent. The run begins after the first calls, hence no setting of the clients.
#[derive(Clone, Debug, Default)]
pub(super) struct Named(Arc<Mutex<Option<RunId>>>);

impl Named {
    /// Later calls belong to this run.
    pub(super) fn within(&self, run: RunId) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(run);
    }

    /// At most 50 characters of those that the SDK allows: 12 and a hyphenated UUID's 36.
    fn name(&self) -> String {
        let run = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        run.map_or_else(|| "fleetwright".to_owned(), |run| format!("fleetwright-{run}"))
    }
}

impl Intercept for Named {
    fn name(&self) -> &'static str {
        "RunInUserAgent"
    }

    fn read_before_serialization(
        &self,
        _: &BeforeSerializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        bag: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        bag.interceptor_state().store_put(AppName::new(Named::name(self))?);
        Ok(())
    }
}

/// An answer that ends before its end. The SDK would take what is there as the whole.
#[derive(Debug, thiserror::Error)]
#[error("the answer to {action} breaks off after {bytes} bytes")]
pub(super) struct Truncated {
    action: String,
    bytes: usize,
}

/// Demands that an answer has its end: the closing root element (EC2, STS, IAM) or a complete JSON value ([`JSON`]).
#[derive(Clone, Copy, Debug)]
pub(super) struct WholeAnswer;

/// Services that answer in JSON, as the SDK names them.
const JSON: [&str; 4] = ["SQS", "Pricing", "KMS", "Service Quotas"];
/// SQS actions whose answer is empty when all is well.
const SILENT: [&str; 3] = ["DeleteQueue", "DeleteMessage", "ChangeMessageVisibility"];

impl Intercept for WholeAnswer {
    fn name(&self) -> &'static str {
        "WholeAnswer"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        bag: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let response = context.response();
        // A body that could not be read to its end is not here; the SDK's own error then stands.
        let Some(body) = response.body().bytes() else { return Ok(()) };
        let Some(metadata) = bag.load::<Metadata>() else { return Ok(()) };
        let success = response.status().is_success();
        let whole = if metadata.service() == "S3" {
            // Objects and empty answers have no form of their own; their checksums and lengths are the SDK's to hold.
            !success || metadata.name() != "ListObjectsV2" || body.trim_ascii_end().ends_with(b"</ListBucketResult>")
        } else if JSON.contains(&metadata.service()) {
            whole_json(body) || (body.is_empty() && (!success || SILENT.contains(&metadata.name())))
        } else {
            whole_xml(body, success.then(|| metadata.name()))
        };
        if whole { Ok(()) } else { Err(Truncated { action: metadata.name().to_owned(), bytes: body.len() }.into()) }
    }
}

/// Whether the bytes are one complete JSON value.
fn whole_json(body: &[u8]) -> bool {
    serde_json::from_slice::<serde::de::IgnoredAny>(body).is_ok()
}

/// Whether the last thing in the body is the closing tag of `<ActionResponse>`. The answer to a failed call may be empty or be
/// a proxy's page; if it is AWS's own error document, that has to be whole too.
fn whole_xml(body: &[u8], succeeded: Option<&str>) -> bool {
    let body = body.trim_ascii_end();
    if let Some(action) = succeeded {
        return body.ends_with(format!("</{action}Response>").as_bytes());
    }
    let start = String::from_utf8_lossy(&body[..body.len().min(512)]);
    let aws = start.contains("<Response") || start.contains("<ErrorResponse");
    !aws || body.ends_with(b"</Response>") || body.ends_with(b"</ErrorResponse>")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_a_whole_document() {
        assert!(whole_xml(b"<AResponse><x/></AResponse>\n", Some("A")));
        assert!(!whole_xml(b"<AResponse><x/></AResponse", Some("A")));
        assert!(!whole_xml(b"", Some("A")));
        assert!(whole_xml(b"", None));
        assert!(whole_xml(b"<html>Bad gateway", None));
        assert!(!whole_xml(b"<?xml version=\"1.0\"?><Response><Errors><Error><Code>X</Code>", None));
        assert!(whole_json(b"{\"a\":1}"));
        assert!(!whole_json(b"{\"a\":1"));
    }
}
