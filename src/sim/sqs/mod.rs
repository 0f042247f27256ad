//! SQS standard queues on world time: visibility time-outs, delays, dead letters at the next receive, late counters.
//!
//! Sources: the SQS API reference and developer guide. FIFO queues are refused.

mod attributes;
mod batch;
mod input;
mod message;
mod queue;
mod queues;
mod receipt;
mod receive;

use super::api::{ApiError, Call, Handled, Payload, Reply};
use super::draw;
use super::partition;
use super::seed::{Seed, SeedQueue};
use input::Input;
use jiff::{SignedDuration, Timestamp};
use queue::Queue;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// A deleted queue's name cannot be taken again for so long; a queue cannot be purged again for so long.
const COOL_DOWN: SignedDuration = SignedDuration::from_secs(60);

/// Every queue of the account in the region.
#[derive(Debug)]
pub(crate) struct Sqs {
    account: String,
    region: String,
    /// `http://address:port`: queue URLs begin with it.
    endpoint: String,
    rng_seed: u64,
    /// How old counters can be, seconds.
    lag_seconds: u32,
    queues: BTreeMap<String, Queue>,
    deleted: BTreeMap<String, Timestamp>,
    /// Counts messages and queues ever made.
    made: u64,
}

impl Sqs {
    /// The seed's queues, empty.
    pub(crate) fn new(seed: &Seed, rng_seed: u64, endpoint: &str, now: Timestamp) -> Self {
        let mut sqs = Self {
            account: seed.account.clone(),
            region: seed.region.clone(),
            endpoint: endpoint.to_owned(),
            rng_seed,
            lag_seconds: 0,
            queues: BTreeMap::new(),
            deleted: BTreeMap::new(),
            made: 0,
        };
        for queue in &seed.queues {
            let attributes = sqs.seeded(queue);
            let number = sqs.next_number();
            sqs.queues
                .insert(queue.name.clone(), Queue::new(queue.name.clone(), number, attributes, BTreeMap::new(), now));
        }
        sqs
    }

    /// How old counters can be from now on, seconds of world time.
    pub(crate) fn set_lag(&mut self, seconds: u32) {
        self.lag_seconds = seconds;
    }

    /// Carries a call out. A receive never waits here: see [`Sqs::look_again`].
    pub(crate) fn handle(&mut self, call: &Call) -> Handled {
        let Payload::Json(value) = &call.payload else {
            return Err(ApiError::new("InvalidAction", "SQS is spoken to in AWS JSON 1.0 here: update the SDK"));
        };
        let input = Input::new(value)?;
        match call.action.as_str() {
            "CreateQueue" => self.create_queue(input, call.now),
            "DeleteQueue" => self.delete_queue(input, call.now),
            "GetQueueUrl" => self.get_queue_url(input),
            "ListQueues" => self.list_queues(input),
            "GetQueueAttributes" => self.get_queue_attributes(input, call.now),
            "SetQueueAttributes" => self.set_queue_attributes(input, call.now),
            "PurgeQueue" => self.purge_queue(input, call.now),
            "TagQueue" => self.tag_queue(input),
            "UntagQueue" => self.untag_queue(input),
            "ListQueueTags" => self.list_queue_tags(input),
            "ListDeadLetterSourceQueues" => self.list_sources(input),
            "SendMessage" => self.send_message(input, call),
            "SendMessageBatch" => self.send_message_batch(input, call),
            "ReceiveMessage" => self.receive_message(input, call),
            "DeleteMessage" => self.delete_message(input, call.now),
            "DeleteMessageBatch" => self.delete_message_batch(input, call.now),
            "ChangeMessageVisibility" => self.change_visibility(input, call.now),
            "ChangeMessageVisibilityBatch" => self.change_visibility_batch(input, call.now),
            other => Err(ApiError::new(
                "UnsupportedOperation",
                format!("the rehearsal cloud's SQS has no {other}: standard queues and their messages only"),
            )),
        }
    }

    /// The ground truth: exact counters, whatever the lag.
    pub(crate) fn world(&mut self, now: Timestamp) -> Value {
        let lag = self.lag_seconds;
        let queues = self.queues.values_mut().map(|queue| {
            queue.settle(now, lag);
            let counts = queue.counts();
            json!({
                "name": queue.name,
                "url": format!("{}/{}/{}", self.endpoint, self.account, queue.name),
                "waiting": counts.waiting,
                "in_flight": counts.in_flight,
                "delayed": counts.delayed,
                "sent": queue.sent,
                "received": queue.received,
                "redelivered": queue.redelivered,
                "holders": queue.holders(),
                "deleted": queue.deleted,
                "expired": queue.expired,
                "tags": queue.tags,
                "attributes": queue.attributes.stored(),
            })
        });
        queues.collect()
    }

    fn seeded(&self, queue: &SeedQueue) -> attributes::Attributes {
        let mut attributes = attributes::Attributes::default();
        attributes.put("VisibilityTimeout", queue.visibility_timeout.to_string());
        if let Some(dead_letter) = &queue.dead_letter {
            let policy = json!({"deadLetterTargetArn": self.arn(dead_letter), "maxReceiveCount": queue.max_receive});
            attributes.put("RedrivePolicy", policy.to_string());
        }
        attributes
    }

    fn arn(&self, name: &str) -> String {
        format!("arn:{}:sqs:{}:{}:{name}", partition::of(&self.region), self.region, self.account)
    }

    fn url(&self, name: &str) -> String {
        format!("{}/{}/{name}", self.endpoint, self.account)
    }

    fn next_number(&mut self) -> u64 {
        self.made += 1;
        self.made
    }

    /// The name in the call's QueueUrl, of a queue that exists. Only the path counts, as at AWS.
    fn name_of(&self, input: Input) -> Result<String, ApiError> {
        let url = input.text("QueueUrl")?.ok_or_else(|| input::missing("QueueUrl"))?;
        let mut parts = url.rsplit('/');
        let (name, account) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        if account == self.account && self.queues.contains_key(name) { Ok(name.to_owned()) } else { Err(no_queue()) }
    }

    /// The queue that the call names, with everything done that was due.
    fn queue(&mut self, input: Input, now: Timestamp) -> Result<&mut Queue, ApiError> {
        let name = self.name_of(input)?;
        let lag = self.lag_seconds;
        let queue = self.queues.get_mut(&name).ok_or_else(no_queue)?;
        queue.settle(now, lag);
        Ok(queue)
    }

    fn message_id(&self, number: u64) -> String {
        draw::uuid(self.rng_seed, &["message", &number.to_string()])
    }
}

fn no_queue() -> ApiError {
    ApiError::new("QueueDoesNotExist", "The specified queue does not exist.")
}

/// A JSON body without ids for the audit.
#[expect(clippy::unnecessary_wraps, reason = "every action ends with what a handler gives")]
fn answer(body: &Value) -> Handled {
    Ok(Reply { body: body.to_string(), ..Reply::default() })
}

/// The name that the query protocol had for an error's shape, which `x-amzn-query-error` still carries.
pub(crate) fn query_code(shape: &str) -> String {
    match shape {
        "QueueDoesNotExist" => "AWS.SimpleQueueService.NonExistentQueue".to_owned(),
        "QueueNameExists" => "QueueAlreadyExists".to_owned(),
        "QueueDeletedRecently"
        | "MessageNotInflight"
        | "TooManyEntriesInBatchRequest"
        | "EmptyBatchRequest"
        | "BatchEntryIdsNotDistinct"
        | "InvalidBatchEntryId"
        | "BatchRequestTooLong"
        | "PurgeQueueInProgress"
        | "UnsupportedOperation" => format!("AWS.SimpleQueueService.{shape}"),
        other => other.to_owned(),
    }
}

#[cfg(test)]
mod tests;
