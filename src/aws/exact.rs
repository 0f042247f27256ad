//! Capture and replay: a call's bytes are made once, kept, and sent as they are every time.
//!
//! The SDK serialises a request, `Capture` takes the body and refuses to send; later an empty request of the same action
//! carries the stored body instead of its own, and the SDK signs it afresh. Hooks are synchronous, so nothing is committed
//! inside one: between the two the journal makes the body durable.

use super::classify;
use crate::journal::{Draft, Permit};
use crate::model::{Fault, FaultKind};
use aws_sdk_ec2::operation::RequestId;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::{
    BeforeTransmitInterceptorContextMut, BeforeTransmitInterceptorContextRef,
};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::ConfigBag;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use std::sync::{Arc, Mutex, PoisonError};

/// Takes the serialised body and stops the call.
#[derive(Clone, Debug, Default)]
pub(super) struct Capture(Arc<Mutex<Option<String>>>);

impl Intercept for Capture {
    fn name(&self) -> &'static str {
        "Capture"
    }

    fn read_after_serialization(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let body = context.request().body().bytes().ok_or("the request's body is a stream")?;
        let text = String::from_utf8(body.to_vec())?;
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(text);
        Err("captured, not sent".into())
    }
}

/// Puts the stored body in place of the serialised one.
#[derive(Clone, Debug)]
pub(super) struct Replay(String);

impl Intercept for Replay {
    fn name(&self) -> &'static str {
        "Replay"
    }

    fn modify_before_retry_loop(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let request = context.request_mut();
        request.headers_mut().try_insert("content-length", self.0.len().to_string())?;
        *request.body_mut() = SdkBody::from(self.0.clone());
        Ok(())
    }
}

/// The bytes that a call would send.
///
/// # Errors
///
/// `Invalid` when the SDK can't serialise the request.
pub(super) async fn capture<T, E, F>(
    action: &str,
    token: Option<&str>,
    call: impl FnOnce(Capture) -> F,
) -> Result<Draft, Fault>
where
    F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let capture = Capture::default();
    let fault = call(capture.clone()).await.err().map(|error| classify::fault(action, &error));
    let body = capture.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    match body {
        Some(body) => Ok(Draft { action: action.to_owned(), token: token.map(str::to_owned), body }),
        None => Err(fault.unwrap_or_else(|| invalid(action, "the SDK made no request"))),
    }
}

/// Sends the journalled bytes through an empty request of the same action.
///
/// # Errors
///
/// However the call failed; `Invalid` without sending anything when the permit is for another action.
pub(super) async fn send<T, E, F>(action: &str, permit: &Permit, call: impl FnOnce(Replay) -> F) -> Result<T, Fault>
where
    T: RequestId,
    F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let draft = permit.call();
    if draft.action != action {
        return Err(invalid(action, &format!("the journal permits {}, not {action}", draft.action)));
    }
    let answer = call(Replay(draft.body.clone())).await.map_err(|error| classify::fault(action, &error))?;
    permit.answered(answer.request_id());
    Ok(answer)
}

/// A request that never was one.
pub(super) fn invalid(action: &str, message: &str) -> Fault {
    Fault {
        kind: FaultKind::Invalid,
        action: action.to_owned(),
        code: "invalid-request".to_owned(),
        message: message.to_owned(),
        reason: "the request was refused before it was sent; this is a bug in fleetwright".to_owned(),
        request_id: None,
    }
}
