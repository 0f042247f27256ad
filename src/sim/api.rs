//! What passes between the wire and the services: one call in, one reply or AWS error out.

use jiff::Timestamp;
use serde_json::{Map, Value};

/// How a service is spoken to.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Payload {
    /// EC2, Auto Scaling, STS: form parameters in the order they came.
    Query(Vec<(String, String)>),
    /// SQS: AWS JSON 1.0.
    Json(Value),
    /// S3: parameters from path, query and headers, by the names of the API reference, and the body.
    Object {
        /// For example `Bucket`, `Key`, `IfNoneMatch`.
        parameters: Map<String, Value>,
        /// What is stored.
        bytes: Vec<u8>,
    },
}

/// One call that has passed the wire (signature read, faults not yet applied).
#[derive(Clone, Debug)]
pub(crate) struct Call {
    /// `ec2`, `autoscaling`, `sts`, `sqs`.
    pub(crate) service: String,
    /// The region of the signature; for services of a whole partition too.
    pub(crate) region: String,
    /// For example `RunInstances`.
    pub(crate) action: String,
    /// What it says.
    pub(crate) payload: Payload,
    /// The access key id of the signature: who calls, and which reader's view of the world it sees.
    pub(crate) principal: String,
    /// World time at which the call is handled.
    pub(crate) now: Timestamp,
    /// Unique; also in the answer.
    pub(crate) request_id: String,
}

/// What a service answers when it carried the call out.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reply {
    /// For query services the XML inside the action's root element (`<reservationId>..`), without root and request id.
    /// For JSON services the whole body.
    pub(crate) body: String,
    /// Ids of things made by this call, for the audit.
    pub(crate) made: Vec<String>,
    /// Ids of things ended by this call, for the audit.
    pub(crate) ended: Vec<String>,
    /// What S3 answers where that is no document.
    pub(crate) object: Option<Object>,
}

/// The bytes of an object and what is told of it in headers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Object {
    /// The body of the answer.
    pub(crate) bytes: Vec<u8>,
    /// Names and values.
    pub(crate) headers: Vec<(&'static str, String)>,
}

/// An error as AWS would give it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ApiError {
    /// For example `InvalidInstanceID.NotFound`.
    pub(crate) code: String,
    /// AWS's wording, as close as is known.
    pub(crate) message: String,
    /// 301, 400, 403, 412, 500, 503.
    pub(crate) status: u16,
    /// What S3 tells beside it: names and values.
    pub(crate) headers: Vec<(&'static str, String)>,
}

impl ApiError {
    /// A client error, HTTP 400.
    pub(crate) fn new(code: &str, message: impl Into<String>) -> Self {
        Self { code: code.to_owned(), message: message.into(), status: 400, headers: Vec::new() }
    }

    /// The same with another HTTP status.
    pub(crate) fn with_status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }
}

/// What a service's handler gives back.
pub(crate) type Handled = Result<Reply, ApiError>;
