//! The actions on single messages: sent, received, kept out longer, deleted.

use super::super::api::{ApiError, Call, Handled, Payload};
use super::attributes::Redrive;
use super::input::{Input, invalid, missing};
use super::message::{self, Draft};
use super::queue::{MOST_IN_FLIGHT, Message, Place, Queue};
use super::receipt::Receipt;
use super::{Sqs, answer, no_queue};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

/// Longest time that a message may stay out, from its receive: 12 hours.
const LONGEST_OUT: SignedDuration = SignedDuration::from_hours(12);

/// System attributes of a received message.
const SYSTEM: [&str; 6] = [
    "ApproximateReceiveCount",
    "ApproximateFirstReceiveTimestamp",
    "SentTimestamp",
    "SenderId",
    "AWSTraceHeader",
    "DeadLetterQueueSourceArn",
];

impl Sqs {
    pub(super) fn send_message(&mut self, input: Input, call: &Call) -> Handled {
        let name = self.name_of(input)?;
        let draft = Draft::read(input)?;
        let limit = self.queue(input, call.now)?.attributes.number("MaximumMessageSize") as usize;
        check_size(&draft, limit)?;
        let mut body = draft.digests();
        body.insert("MessageId".to_owned(), self.send(&name, draft, call)?.into());
        answer(&Value::Object(body))
    }

    /// Puts a checked message into a queue, and gives its id.
    pub(super) fn send(&mut self, name: &str, draft: Draft, call: &Call) -> Result<String, ApiError> {
        let number = self.next_number();
        let id = self.message_id(number);
        let lag = self.lag_seconds;
        let queue = self.queues.get_mut(name).ok_or_else(no_queue)?;
        queue.settle(call.now, lag);
        let delay = draft.delay.unwrap_or_else(|| queue.attributes.number("DelaySeconds"));
        let visible_at = (delay > 0)
            .then(|| call.now.saturating_add(SignedDuration::from_secs(delay.into())).unwrap_or(Timestamp::MAX));
        queue.insert((call.now, number), Message::new(id.clone(), draft, call.principal.clone(), visible_at));
        queue.sent += 1;
        queue.note(call.now, lag);
        Ok(id)
    }

    pub(super) fn receive_message(&mut self, input: Input, call: &Call) -> Handled {
        let now = call.now;
        let most = input.number("MaxNumberOfMessages", 1..=10)?.unwrap_or(1);
        let visibility = input.number("VisibilityTimeout", 0..=43_200)?;
        input.number("WaitTimeSeconds", 0..=20)?;
        let mut system = input.texts("MessageSystemAttributeNames")?;
        system.extend(input.texts("AttributeNames")?);
        let wanted = input.texts("MessageAttributeNames")?;
        let name = self.name_of(input)?;
        let (seed, lag) = (self.rng_seed, self.lag_seconds);
        let (source, dead_letter) = (self.arn(&name), self.dead_letter(&name));
        let queue = self.queue(input, now)?;
        let visibility = visibility.unwrap_or_else(|| queue.attributes.number("VisibilityTimeout"));
        if queue.counts().in_flight >= MOST_IN_FLIGHT {
            return Err(ApiError::new("OverLimit", "Too many messages are in flight: 120000.").with_status(403));
        }
        let (mut given, mut dead) = (Vec::new(), Vec::new());
        // Each message at most once in an answer, even with a visibility time-out of zero.
        let mut back = Vec::new();
        while given.len() < most as usize {
            let Some(key) = queue.oldest_waiting() else { break };
            let receives = queue.get(key).map_or(0, |message| message.receives);
            if dead_letter.as_ref().is_some_and(|(_, redrive)| receives >= redrive.max_receive) {
                dead.extend(queue.take(key).map(|message| (key, message)));
                continue;
            }
            let number = queue.number;
            let Some(message) = queue.hand_out(key, now, visibility.max(1), &call.principal) else { break };
            if visibility == 0 {
                back.push(key);
            }
            let handle = Receipt { queue: number, key, receive: message.receives }.handle(seed);
            given.push(show(message, key.0, &handle, &system, &wanted));
        }
        for key in back {
            queue.extend(key, now, 0);
        }
        queue.note(now, lag);
        if let Some((target, _)) = dead_letter
            && let Some(target) = self.queues.get_mut(&target)
        {
            bury(target, dead, &source, now, lag);
        }
        answer(&if given.is_empty() { json!({}) } else { json!({"Messages": given}) })
    }

    /// When an empty receive that may still wait is to be tried again: at the end of its wait, or as soon as a message
    /// of its queue comes back or becomes visible; a message sent meanwhile wakes it through the caller. `None` when
    /// the answer stands.
    pub(crate) fn look_again(&self, call: &Call, began: Timestamp, handled: &Handled) -> Option<Timestamp> {
        let empty = handled.as_ref().is_ok_and(|reply| reply.body == "{}");
        if call.service != "sqs" || call.action != "ReceiveMessage" || !empty {
            return None;
        }
        let Payload::Json(value) = &call.payload else { return None };
        let input = Input::new(value).ok()?;
        let queue = self.queues.get(&self.name_of(input).ok()?)?;
        let wait = input.number("WaitTimeSeconds", 0..=20).ok()?;
        let wait = wait.unwrap_or_else(|| queue.attributes.number("ReceiveMessageWaitTimeSeconds"));
        let end = began.saturating_add(SignedDuration::from_secs(wait.into())).ok()?;
        (call.now < end).then(|| queue.next_due().map_or(end, |due| due.min(end)))
    }

    pub(super) fn delete_message(&mut self, input: Input, now: Timestamp) -> Handled {
        self.delete(input, input, now)?;
        answer(&json!({}))
    }

    /// Deletes by receipt. On a standard queue an older receipt deletes as well, and a message that is gone is no error.
    pub(super) fn delete(&mut self, queue: Input, entry: Input, now: Timestamp) -> Result<(), ApiError> {
        let (seed, lag) = (self.rng_seed, self.lag_seconds);
        let queue = self.queue(queue, now)?;
        let receipt = read_receipt(entry, seed, queue)?;
        if queue.take(receipt.key).is_some() {
            queue.deleted += 1;
            queue.note(now, lag);
        }
        Ok(())
    }

    pub(super) fn change_visibility(&mut self, input: Input, now: Timestamp) -> Handled {
        self.change(input, input, now)?;
        answer(&json!({}))
    }

    /// Changes the visibility time-out of a message in flight, counted from now.
    pub(super) fn change(&mut self, queue: Input, entry: Input, now: Timestamp) -> Result<(), ApiError> {
        let (seed, lag) = (self.rng_seed, self.lag_seconds);
        let visibility = entry.number("VisibilityTimeout", 0..=43_200)?.ok_or_else(|| missing("VisibilityTimeout"))?;
        let queue = self.queue(queue, now)?;
        let receipt = read_receipt(entry, seed, queue)?;
        let Some(message) = queue.get(receipt.key) else {
            return Err(invalid(format!(
                "Value {} for parameter ReceiptHandle is invalid. Reason: Message does not exist or is not available \
                 for visibility timeout change.",
                entry.text("ReceiptHandle")?.unwrap_or_default()
            )));
        };
        if !matches!(message.place(), Place::InFlight(_)) {
            return Err(ApiError::new("MessageNotInflight", "The specified message isn't in flight."));
        }
        let out = message.last_received.map_or(SignedDuration::ZERO, |received| now.duration_since(received));
        if out + SignedDuration::from_secs(visibility.into()) > LONGEST_OUT {
            return Err(invalid(format!(
                "Value {visibility} for parameter VisibilityTimeout is invalid. Reason: Total VisibilityTimeout for \
                 the message is beyond the limit [43200 seconds]."
            )));
        }
        queue.extend(receipt.key, now, visibility);
        queue.note(now, lag);
        Ok(())
    }

    /// Name and policy of a queue's dead-letter queue, if that exists.
    fn dead_letter(&self, name: &str) -> Option<(String, Redrive)> {
        let redrive = self.queues.get(name)?.attributes.redrive()?;
        let target = self.queues.keys().find(|name| self.arn(name) == redrive.target)?;
        Some((target.clone(), redrive))
    }
}

/// Moves given-up messages. They keep id, time of sending (their retention goes on from it) and receive count.
fn bury(target: &mut Queue, dead: Vec<((Timestamp, u64), Message)>, source: &str, now: Timestamp, lag: u32) {
    target.settle(now, lag);
    for (key, mut message) in dead {
        message.dead_from.get_or_insert_with(|| source.to_owned());
        target.insert(key, message);
        target.sent += 1;
    }
    target.note(now, lag);
}

fn read_receipt(entry: Input, seed: u64, queue: &Queue) -> Result<Receipt, ApiError> {
    let handle = entry.text("ReceiptHandle")?.ok_or_else(|| missing("ReceiptHandle"))?;
    Receipt::read(handle, seed, queue.number)
}

/// Refuses what is larger than its queue allows.
pub(super) fn check_size(draft: &Draft, limit: usize) -> Result<(), ApiError> {
    if draft.size() <= limit {
        return Ok(());
    }
    Err(invalid(format!("One or more parameters are invalid. Reason: Message must be shorter than {limit} bytes.")))
}

/// A message as ReceiveMessage gives it.
fn show(message: &Message, sent: Timestamp, handle: &str, system: &[&str], wanted: &[&str]) -> Value {
    let mut shown = Map::new();
    shown.insert("MessageId".to_owned(), message.id.as_str().into());
    shown.insert("ReceiptHandle".to_owned(), handle.into());
    shown.insert("MD5OfBody".to_owned(), message::md5_hex(message.body.as_bytes()).into());
    shown.insert("Body".to_owned(), message.body.as_str().into());
    let mut attributes = Map::new();
    for name in SYSTEM.iter().filter(|name| system.iter().any(|wanted| *wanted == "All" || wanted == *name)) {
        let value = match *name {
            "ApproximateReceiveCount" => Some(message.receives.to_string()),
            "ApproximateFirstReceiveTimestamp" => message.first_received.map(|t| t.as_millisecond().to_string()),
            "SentTimestamp" => Some(sent.as_millisecond().to_string()),
            "SenderId" => Some(message.sender.clone()),
            "AWSTraceHeader" => message.trace.clone(),
            _ => message.dead_from.clone(),
        };
        if let Some(value) = value {
            attributes.insert((*name).to_owned(), value.into());
        }
    }
    if !attributes.is_empty() {
        shown.insert("Attributes".to_owned(), attributes.into());
    }
    let meant = |name: &str| {
        wanted.iter().any(|wanted| match wanted.strip_suffix(".*") {
            Some(prefix) => name.starts_with(prefix),
            None => *wanted == "All" || *wanted == name,
        })
    };
    let picked: message::Attributes = message
        .attributes
        .iter()
        .filter(|(name, _)| meant(name))
        .map(|(name, attribute)| (name.clone(), attribute.clone()))
        .collect();
    // The digest is over what is given, which is what a client can check.
    if let Some(digest) = message::attributes_md5(&picked) {
        let values: Map<String, Value> = picked.iter().map(|(name, a)| (name.clone(), a.shown())).collect();
        shown.insert("MD5OfMessageAttributes".to_owned(), digest.into());
        shown.insert("MessageAttributes".to_owned(), values.into());
    }
    Value::Object(shown)
}
