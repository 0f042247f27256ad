//! The actions on queues themselves: made, found, described, changed, purged, deleted.

use super::super::api::{ApiError, Handled, Reply};
use super::super::draw;
use super::attributes::Attributes;
use super::input::{Input, invalid, missing};
use super::queue::Queue;
use super::{COOL_DOWN, Sqs, answer, no_queue};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Attributes that only GetQueueAttributes gives.
const READ_ONLY: [&str; 6] = [
    "QueueArn",
    "CreatedTimestamp",
    "LastModifiedTimestamp",
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
];

impl Sqs {
    pub(super) fn create_queue(&mut self, input: Input, now: Timestamp) -> Handled {
        let name = input.text("QueueName")?.ok_or_else(|| missing("QueueName"))?;
        check_name(name)?;
        let given = input.text_map("Attributes")?;
        // Boto3 and the CLI name it Tags, the API reference tags.
        let mut tags = input.text_map("tags")?;
        tags.extend(input.text_map("Tags")?);
        let mut attributes = Attributes::default();
        attributes.set(&given)?;
        self.check_redrive(&attributes)?;
        let body = json!({"QueueUrl": self.url(name)});
        if let Some(queue) = self.queues.get(name) {
            let same = given.iter().all(|(key, value)| queue.attributes.shown(key).as_ref() == Some(value));
            return if same {
                answer(&body)
            } else {
                let odd = given.iter().find(|(key, value)| queue.attributes.shown(key).as_ref() != Some(value));
                let odd = odd.map_or("", |(key, _)| key);
                Err(ApiError::new(
                    "QueueNameExists",
                    format!("A queue already exists with the same name and a different value for attribute {odd}"),
                ))
            };
        }
        if self.deleted.get(name).is_some_and(|deleted| now.duration_since(*deleted) < COOL_DOWN) {
            return Err(ApiError::new(
                "QueueDeletedRecently",
                "You must wait 60 seconds after deleting a queue before you can create another with the same name.",
            ));
        }
        let number = self.next_number();
        self.queues.insert(name.to_owned(), Queue::new(name.to_owned(), number, attributes, tags, now));
        Ok(Reply { body: body.to_string(), made: vec![name.to_owned()], ..Reply::default() })
    }

    pub(super) fn delete_queue(&mut self, input: Input, now: Timestamp) -> Handled {
        let name = self.name_of(input)?;
        self.queues.remove(&name);
        self.deleted.insert(name.clone(), now);
        Ok(Reply { body: "{}".to_owned(), ended: vec![name], ..Reply::default() })
    }

    pub(super) fn get_queue_url(&self, input: Input) -> Handled {
        let name = input.text("QueueName")?.ok_or_else(|| missing("QueueName"))?;
        let owner = input.text("QueueOwnerAWSAccountId")?.unwrap_or(&self.account);
        if owner != self.account || !self.queues.contains_key(name) {
            return Err(no_queue());
        }
        answer(&json!({"QueueUrl": self.url(name)}))
    }

    pub(super) fn list_queues(&self, input: Input) -> Handled {
        let prefix = input.text("QueueNamePrefix")?.unwrap_or_default();
        let names = self.queues.keys().filter(|name| name.starts_with(prefix)).cloned().collect();
        self.page(input, names, "QueueUrls")
    }

    pub(super) fn list_sources(&self, input: Input) -> Handled {
        let target = self.arn(&self.name_of(input)?);
        let source = |queue: &&Queue| queue.attributes.redrive().is_some_and(|redrive| redrive.target == target);
        let names = self.queues.values().filter(source).map(|queue| queue.name.clone()).collect();
        self.page(input, names, "queueUrls")
    }

    /// One page of URLs. Only a call with MaxResults gets a NextToken, which is the last name of the page.
    fn page(&self, input: Input, names: Vec<String>, field: &str) -> Handled {
        let most = input.number("MaxResults", 1..=1000)?;
        let after = input.text("NextToken")?.unwrap_or_default();
        let mut left = names.into_iter().filter(|name| name.as_str() > after);
        let page: Vec<String> = left.by_ref().take(most.map_or(1000, |most| most as usize)).collect();
        let mut body = Map::new();
        if let (Some(_), Some(last), Some(_)) = (most, page.last(), left.next()) {
            body.insert("NextToken".to_owned(), last.as_str().into());
        }
        if !page.is_empty() {
            body.insert(field.to_owned(), page.iter().map(|name| self.url(name)).collect());
        }
        answer(&Value::Object(body))
    }

    pub(super) fn get_queue_attributes(&mut self, input: Input, now: Timestamp) -> Handled {
        let wanted = input.texts("AttributeNames")?;
        let name = self.name_of(input)?;
        let known = |name: &str| READ_ONLY.contains(&name) || Attributes::names().any(|known| known == name);
        if let Some(odd) = wanted.iter().find(|name| **name != "All" && !known(name)) {
            return Err(ApiError::new("InvalidAttributeName", format!("Unknown Attribute {odd}.")));
        }
        let arn = self.arn(&name);
        // How old the counters are that this reader sees: another draw for each second of the world.
        let second = now.as_second().to_string();
        let age = draw::number(self.rng_seed, &["counters", &name, &second]) % (u64::from(self.lag_seconds) + 1);
        let then = now.saturating_sub(SignedDuration::from_secs(age.cast_signed())).unwrap_or(Timestamp::MIN);
        let queue = self.queue(input, now)?;
        let counts = queue.counts_at(then);
        let mut shown = Map::new();
        let names = READ_ONLY.into_iter().chain(Attributes::names());
        for name in names.filter(|name| wanted.iter().any(|wanted| *wanted == "All" || wanted == name)) {
            let value = match name {
                "QueueArn" => Some(arn.clone()),
                "CreatedTimestamp" => Some(queue.created.as_second().to_string()),
                "LastModifiedTimestamp" => Some(queue.modified.as_second().to_string()),
                "ApproximateNumberOfMessages" => Some(counts.waiting.to_string()),
                "ApproximateNumberOfMessagesNotVisible" => Some(counts.in_flight.to_string()),
                "ApproximateNumberOfMessagesDelayed" => Some(counts.delayed.to_string()),
                settable => queue.attributes.shown(settable),
            };
            if let Some(value) = value {
                shown.insert(name.to_owned(), value.into());
            }
        }
        answer(&if shown.is_empty() { json!({}) } else { json!({"Attributes": shown}) })
    }

    pub(super) fn set_queue_attributes(&mut self, input: Input, now: Timestamp) -> Handled {
        let name = self.name_of(input)?;
        let given = input.text_map("Attributes")?;
        if given.is_empty() {
            return Err(missing("Attribute.Name"));
        }
        let mut attributes = self.queues.get(&name).ok_or_else(no_queue)?.attributes.clone();
        attributes.set(&given)?;
        self.check_redrive(&attributes)?;
        let queue = self.queue(input, now)?;
        queue.attributes = attributes;
        queue.modified = now;
        answer(&json!({}))
    }

    pub(super) fn purge_queue(&mut self, input: Input, now: Timestamp) -> Handled {
        let lag = self.lag_seconds;
        let queue = self.queue(input, now)?;
        if queue.purged.is_some_and(|purged| now.duration_since(purged) < COOL_DOWN) {
            let name = &queue.name;
            return Err(ApiError::new(
                "PurgeQueueInProgress",
                format!("Only one PurgeQueue operation on {name} is allowed every 60 seconds."),
            )
            .with_status(403));
        }
        queue.purge();
        queue.purged = Some(now);
        queue.note(now, lag);
        answer(&json!({}))
    }

    pub(super) fn tag_queue(&mut self, input: Input) -> Handled {
        let name = self.name_of(input)?;
        let tags = input.text_map("Tags")?;
        let queue = self.queues.get_mut(&name).ok_or_else(no_queue)?;
        let mut after: BTreeMap<String, String> = queue.tags.clone();
        after.extend(tags);
        if after.len() > 50 {
            return Err(invalid(format!("Too many tags added for queue {name}.")));
        }
        queue.tags = after;
        answer(&json!({}))
    }

    pub(super) fn untag_queue(&mut self, input: Input) -> Handled {
        let name = self.name_of(input)?;
        let keys = input.texts("TagKeys")?;
        let queue = self.queues.get_mut(&name).ok_or_else(no_queue)?;
        queue.tags.retain(|key, _| !keys.contains(&key.as_str()));
        answer(&json!({}))
    }

    pub(super) fn list_queue_tags(&self, input: Input) -> Handled {
        let queue = self.queues.get(&self.name_of(input)?).ok_or_else(no_queue)?;
        answer(&if queue.tags.is_empty() { json!({}) } else { json!({"Tags": queue.tags}) })
    }

    /// A dead-letter queue must exist in the same account and region when it is named.
    fn check_redrive(&self, attributes: &Attributes) -> Result<(), ApiError> {
        let Some(redrive) = attributes.redrive() else { return Ok(()) };
        if self.queues.keys().any(|name| self.arn(name) == redrive.target) {
            return Ok(());
        }
        let policy = attributes.shown("RedrivePolicy").unwrap_or_default();
        Err(invalid(format!(
            "Value {policy} for parameter RedrivePolicy is invalid. Reason: Dead letter target does not exist."
        )))
    }
}

fn check_name(name: &str) -> Result<(), ApiError> {
    if std::path::Path::new(name).extension().is_some_and(|end| end == "fifo") {
        return Err(invalid(format!("{name}: the rehearsal cloud has standard queues only, no FIFO queues")));
    }
    let legal = (1..=80).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b));
    if legal {
        Ok(())
    } else {
        Err(invalid("Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length"))
    }
}
