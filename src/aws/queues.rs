//! SQS: queues made and ended through the journal, messages as data.

use super::Clients;
use super::classify::{classify_code, garbled};
use super::convert::{need, pages, read};
use super::exact::{capture, invalid, send};
use super::images::one;
use crate::gate::OwnedIds;
use crate::journal::{Draft, Permit};
use crate::model::{Fault, FaultKind, Sample, Tags};
use crate::time::Clock;
use aws_sdk_sqs::types::{
    BatchResultErrorEntry, ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry, Message,
    MessageAttributeValue, MessageSystemAttributeName, QueueAttributeName, SendMessageBatchRequestEntry,
};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

const CREATE: &str = "CreateQueue";
const DELETE: &str = "DeleteQueue";
const ATTRIBUTES: &str = "GetQueueAttributes";
const SEND: &str = "SendMessageBatch";
const ACKNOWLEDGE: &str = "DeleteMessageBatch";
const EXTEND: &str = "ChangeMessageVisibilityBatch";

/// Messages in one batch: SQS's bound.
const BATCH: usize = 10;

/// The message attribute that carries the item's own id, by which an item sent twice is known.
pub const ITEM_ATTRIBUTE: &str = "fleetwright-item";

/// Where messages go that were taken too often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redrive {
    /// ARN of the dead-letter queue.
    pub dead_letter_arn: String,
    /// Times that a message may be taken, at least 1.
    pub max_receives: u32,
}

/// A queue to be made. CreateQueue has no ClientToken: the name is the key, and the same request again answers the same queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueRequest {
    /// Unique within account and region, at most 80 of `A-Za-z0-9_-`.
    pub name: String,
    /// How long a taken message stays hidden, at most 12 hours.
    pub visibility: Duration,
    /// Where messages go that were taken too often.
    pub redrive: Option<Redrive>,
    /// Tags from birth.
    pub tags: Tags,
}

/// A message that was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// The item's own id, where the sender gave one.
    pub item: Option<String>,
    /// What it says.
    pub body: String,
    /// By which it is acknowledged or its time extended; new each time it is taken.
    pub receipt: String,
    /// How often it was taken, this time included.
    pub receives: u32,
}

impl Clients {
    /// The URL of the queue of this name, absent if there is none.
    pub async fn queue_by_name(&self, name: &str) -> Result<Option<String>, Fault> {
        const ACTION: &str = "GetQueueUrl";
        match read(ACTION, self.sqs().get_queue_url().queue_name(name).send()).await {
            Ok(answer) => need(ACTION, "queue URL", answer.queue_url).map(Some),
            Err(fault) if fault.kind == FaultKind::Gone => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    /// URLs of all queues whose names start so.
    pub async fn queues_with_prefix(&self, prefix: &str) -> Result<Vec<String>, Fault> {
        const ACTION: &str = "ListQueues";
        pages(ACTION, |token| {
            let call = self.sqs().list_queues().queue_name_prefix(prefix).max_results(1000).set_next_token(token);
            async {
                let answer = read(ACTION, call.send()).await?;
                Ok((answer.queue_urls.unwrap_or_default(), answer.next_token))
            }
        })
        .await
    }

    /// The queue's tags.
    pub async fn queue_tags(&self, url: &str) -> Result<Tags, Fault> {
        let answer = read("ListQueueTags", self.sqs().list_queue_tags().queue_url(url).send()).await?;
        Ok(answer.tags.unwrap_or_default().into_iter().collect())
    }

    /// The queue's ARN, as a redrive policy names it.
    pub async fn queue_arn(&self, url: &str) -> Result<String, Fault> {
        let mut attributes = self.attributes(url, [QueueAttributeName::QueueArn]).await?;
        need(ATTRIBUTES, "queue ARN", attributes.remove(&QueueAttributeName::QueueArn))
    }

    /// One look at a queue, and at its dead letters. SQS's counts may lag by a minute after the last message was sent.
    pub async fn sample(&self, url: &str, dead_letter_url: Option<&str>, clock: &dyn Clock) -> Result<Sample, Fault> {
        use QueueAttributeName::{
            ApproximateNumberOfMessages as Waiting, ApproximateNumberOfMessagesDelayed as Delayed,
            ApproximateNumberOfMessagesNotVisible as InFlight,
        };
        let counts = self.attributes(url, [Waiting, InFlight, Delayed]).await?;
        let dead = match dead_letter_url {
            Some(dead) => {
                let counts = self.attributes(dead, [Waiting, InFlight, Delayed]).await?;
                count(&counts, &Waiting).zip(count(&counts, &InFlight)).map(|(waiting, taken)| waiting + taken)
            }
            None => None,
        };
        Ok(Sample {
            at: clock.now(),
            waiting: count(&counts, &Waiting),
            in_flight: count(&counts, &InFlight),
            delayed: count(&counts, &Delayed),
            dead,
        })
    }

    async fn attributes<const N: usize>(
        &self,
        url: &str,
        names: [QueueAttributeName; N],
    ) -> Result<HashMap<QueueAttributeName, String>, Fault> {
        let call = self.sqs().get_queue_attributes().queue_url(url).set_attribute_names(Some(names.to_vec()));
        Ok(read(ATTRIBUTES, call.send()).await?.attributes.unwrap_or_default())
    }

    /// Drafts a queue. The SDK keeps attributes and tags unordered, so the captured body is put in order.
    pub async fn draft_create_queue(&self, request: &QueueRequest) -> Result<Draft, Fault> {
        let mut call = self.sqs().create_queue().queue_name(&request.name);
        call = call.attributes(QueueAttributeName::VisibilityTimeout, request.visibility.as_secs().to_string());
        if let Some(redrive) = &request.redrive {
            let policy = serde_json::json!({
                "deadLetterTargetArn": redrive.dead_letter_arn,
                "maxReceiveCount": redrive.max_receives,
            });
            call = call.attributes(QueueAttributeName::RedrivePolicy, policy.to_string());
        }
        for (key, value) in request.tags.iter() {
            call = call.tags(key, value);
        }
        let draft = capture(CREATE, None, |hook| call.customize().interceptor(hook).send()).await?;
        let mut body: serde_json::Value =
            serde_json::from_str(&draft.body).map_err(|error| invalid(CREATE, &error.to_string()))?;
        body.sort_all_objects();
        Ok(Draft { body: body.to_string(), ..draft })
    }

    /// Makes the drafted queue; answers its URL. `Exists` if there is one of that name with other attributes.
    pub async fn create_queue(&self, permit: &Permit) -> Result<String, Fault> {
        let call = self.sqs().create_queue().customize();
        let answer = send(CREATE, permit, |hook| call.interceptor(hook).send()).await?;
        need(CREATE, "queue URL", answer.queue_url)
    }

    /// Drafts the end of one queue, by its URL, with all its messages.
    ///
    /// # Errors
    ///
    /// `Invalid` unless there is exactly one URL.
    pub async fn draft_delete_queue(&self, url: &OwnedIds) -> Result<Draft, Fault> {
        let call = self.sqs().delete_queue().queue_url(one(DELETE, url)?);
        capture(DELETE, None, |hook| call.customize().interceptor(hook).send()).await
    }

    /// Ends the drafted queue; `Gone` when it is deleted already.
    pub async fn delete_queue(&self, permit: &Permit) -> Result<(), Fault> {
        let call = self.sqs().delete_queue().customize();
        send(DELETE, permit, |hook| call.interceptor(hook).send()).await.map(drop)
    }

    /// Sends up to ten items, each with its id as [`ITEM_ATTRIBUTE`]; one result for each item, in order. A failed call is
    /// an error for all, and says by its kind whether the items may be in the queue nevertheless.
    ///
    /// # Errors
    ///
    /// `Invalid` for none or more than ten.
    pub async fn send_batch(&self, url: &str, items: &[(String, String)]) -> Result<Vec<Result<(), Fault>>, Fault> {
        bounded(SEND, items.len())?;
        let mut entries = Vec::with_capacity(items.len());
        for (index, (item, body)) in items.iter().enumerate() {
            let id = MessageAttributeValue::builder().data_type("String").string_value(item).build();
            let entry = SendMessageBatchRequestEntry::builder()
                .id(index.to_string())
                .message_body(body)
                .message_attributes(ITEM_ATTRIBUTE, id.map_err(|error| invalid(SEND, &error.to_string()))?);
            entries.push(entry.build().map_err(|error| invalid(SEND, &error.to_string()))?);
        }
        let call = self.sqs().send_message_batch().queue_url(url).set_entries(Some(entries));
        let answer = read(SEND, call.send()).await?;
        let sent = answer.successful.into_iter().map(|entry| entry.id).collect();
        Ok(entry_results(SEND, items.len(), &sent, &answer.failed))
    }

    /// Takes up to `most` (1 to 10) messages and hides them for `visibility`; waits up to `wait` (at most 20 s) for the first.
    pub async fn receive(
        &self,
        url: &str,
        most: u32,
        visibility: Duration,
        wait: Duration,
    ) -> Result<Vec<Received>, Fault> {
        const ACTION: &str = "ReceiveMessage";
        let seconds = |span: Duration| i32::try_from(span.as_secs()).unwrap_or(i32::MAX);
        let call = self
            .sqs()
            .receive_message()
            .queue_url(url)
            .max_number_of_messages(i32::try_from(most.clamp(1, 10)).unwrap_or(10))
            .visibility_timeout(seconds(visibility))
            .wait_time_seconds(seconds(wait).min(20))
            .message_attribute_names(ITEM_ATTRIBUTE)
            .message_system_attribute_names(MessageSystemAttributeName::ApproximateReceiveCount);
        let messages = read(ACTION, call.send()).await?.messages.unwrap_or_default();
        messages.into_iter().map(|message| received(ACTION, message)).collect()
    }

    /// Acknowledges up to ten messages by their receipts; one result for each, in order.
    ///
    /// # Errors
    ///
    /// `Invalid` for none or more than ten.
    pub async fn acknowledge(&self, url: &str, receipts: &[String]) -> Result<Vec<Result<(), Fault>>, Fault> {
        bounded(ACKNOWLEDGE, receipts.len())?;
        let mut entries = Vec::with_capacity(receipts.len());
        for (index, receipt) in receipts.iter().enumerate() {
            let entry = DeleteMessageBatchRequestEntry::builder().id(index.to_string()).receipt_handle(receipt);
            entries.push(entry.build().map_err(|error| invalid(ACKNOWLEDGE, &error.to_string()))?);
        }
        let call = self.sqs().delete_message_batch().queue_url(url).set_entries(Some(entries));
        let answer = read(ACKNOWLEDGE, call.send()).await?;
        let deleted = answer.successful.into_iter().map(|entry| entry.id).collect();
        Ok(entry_results(ACKNOWLEDGE, receipts.len(), &deleted, &answer.failed))
    }

    /// Hides up to ten taken messages for `visibility` from now; zero gives them back at once. One result for each, in
    /// order; `Gone` or `Invalid` for a message that is nobody's any more.
    ///
    /// # Errors
    ///
    /// `Invalid` for none or more than ten.
    pub async fn extend(
        &self,
        url: &str,
        receipts: &[String],
        visibility: Duration,
    ) -> Result<Vec<Result<(), Fault>>, Fault> {
        bounded(EXTEND, receipts.len())?;
        let seconds = i32::try_from(visibility.as_secs()).unwrap_or(i32::MAX);
        let mut entries = Vec::with_capacity(receipts.len());
        for (index, receipt) in receipts.iter().enumerate() {
            let entry = ChangeMessageVisibilityBatchRequestEntry::builder().id(index.to_string());
            let entry = entry.receipt_handle(receipt).visibility_timeout(seconds);
            entries.push(entry.build().map_err(|error| invalid(EXTEND, &error.to_string()))?);
        }
        let call = self.sqs().change_message_visibility_batch().queue_url(url).set_entries(Some(entries));
        let answer = read(EXTEND, call.send()).await?;
        let extended = answer.successful.into_iter().map(|entry| entry.id).collect();
        Ok(entry_results(EXTEND, receipts.len(), &extended, &answer.failed))
    }
}

/// SQS takes one to ten entries at once.
fn bounded(action: &str, entries: usize) -> Result<(), Fault> {
    if (1..=BATCH).contains(&entries) {
        Ok(())
    } else {
        Err(invalid(action, &format!("{entries} entries in one batch")))
    }
}

/// A count that SQS gives as text; unknown is not zero.
fn count(counts: &HashMap<QueueAttributeName, String>, name: &QueueAttributeName) -> Option<u64> {
    counts.get(name)?.parse().ok()
}

/// One result for each entry; an entry that the answer does not name may or may not have been taken.
fn entry_results(
    action: &str,
    entries: usize,
    good: &BTreeSet<String>,
    failed: &[BatchResultErrorEntry],
) -> Vec<Result<(), Fault>> {
    let failed: BTreeMap<&str, &BatchResultErrorEntry> = failed.iter().map(|entry| (entry.id(), entry)).collect();
    let result = |index: usize| {
        let id = index.to_string();
        match failed.get(id.as_str()) {
            Some(entry) => {
                let message = entry.message().unwrap_or_default();
                let (kind, reason) = classify_code(entry.code(), message, if entry.sender_fault() { 400 } else { 500 });
                Err(Fault {
                    kind,
                    action: action.to_owned(),
                    code: entry.code().to_owned(),
                    message: message.to_owned(),
                    reason: reason.to_owned(),
                    request_id: None,
                })
            }
            None if good.contains(&id) => Ok(()),
            None => Err(garbled(action, &format!("the answer does not name entry {index}"))),
        }
    };
    (0..entries).map(result).collect()
}

/// The SDK's message as ours.
fn received(action: &str, message: Message) -> Result<Received, Fault> {
    let receives = message.attributes().and_then(|all| all.get(&MessageSystemAttributeName::ApproximateReceiveCount));
    let item = message.message_attributes().and_then(|all| all.get(ITEM_ATTRIBUTE)?.string_value());
    Ok(Received {
        item: item.map(str::to_owned),
        receives: receives.and_then(|count| count.parse().ok()).unwrap_or(1),
        body: need(action, "message body", message.body)?,
        receipt: need(action, "receipt handle", message.receipt_handle)?,
    })
}
