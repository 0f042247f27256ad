//! A queue's attributes: which there are, what they may hold, what they are when not set.

use super::super::api::ApiError;
use serde_json::Value;
use std::collections::BTreeMap;

/// Attributes with whole numbers: name, least, most, default.
const NUMBERS: [(&str, u32, u32, u32); 5] = [
    ("DelaySeconds", 0, 900, 0),
    // 1 MiB since August 2025; older texts and SDKs say 256 KiB.
    ("MaximumMessageSize", 1024, 1_048_576, 1_048_576),
    // One minute to 14 days; four days.
    ("MessageRetentionPeriod", 60, 1_209_600, 345_600),
    ("ReceiveMessageWaitTimeSeconds", 0, 20, 0),
    ("VisibilityTimeout", 0, 43_200, 30),
];

/// Attributes that are kept and shown, and change nothing here.
const KEPT: [&str; 5] =
    ["Policy", "KmsMasterKeyId", "KmsDataKeyReusePeriodSeconds", "RedriveAllowPolicy", "SqsManagedSseEnabled"];

/// Where messages go that were received too often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Redrive {
    /// ARN of the dead-letter queue.
    pub(super) target: String,
    /// Receives that a message may have.
    pub(super) max_receive: u32,
}

/// What was set; the rest has its default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Attributes(BTreeMap<String, String>);

fn bad_value(name: &str, value: &str, reason: &str) -> ApiError {
    let end = if reason.is_empty() { String::new() } else { format!(" Reason: {reason}") };
    ApiError::new("InvalidAttributeValue", format!("Invalid value for the parameter {name}: {value}.{end}"))
}

impl Attributes {
    /// Sets what a call gives, after checking all of it.
    ///
    /// # Errors
    ///
    /// `InvalidAttributeName` for one that does not exist, `InvalidAttributeValue` for a value outside its bounds, and
    /// `InvalidParameterValue` for anything FIFO.
    pub(super) fn set(&mut self, given: &BTreeMap<String, String>) -> Result<(), ApiError> {
        for (name, value) in given {
            check(name, value)?;
        }
        for (name, value) in given {
            if value.is_empty() {
                self.0.remove(name);
            } else {
                self.put(name, value.clone());
            }
        }
        Ok(())
    }

    /// Sets one that is known to be right.
    pub(super) fn put(&mut self, name: &str, value: String) {
        self.0.insert(name.to_owned(), value);
    }

    /// A number attribute.
    pub(super) fn number(&self, name: &str) -> u32 {
        let default = NUMBERS.iter().find(|row| row.0 == name).map_or(0, |row| row.3);
        self.0.get(name).and_then(|value| value.parse().ok()).unwrap_or(default)
    }

    /// The value as GetQueueAttributes shows it: `None` if neither set nor defaulted.
    pub(super) fn shown(&self, name: &str) -> Option<String> {
        match self.0.get(name) {
            Some(value) => Some(value.clone()),
            None if name == "SqsManagedSseEnabled" => Some("true".to_owned()),
            None => NUMBERS.iter().find(|row| row.0 == name).map(|row| row.3.to_string()),
        }
    }

    /// What was set.
    pub(super) fn stored(&self) -> &BTreeMap<String, String> {
        &self.0
    }

    /// The redrive policy.
    pub(super) fn redrive(&self) -> Option<Redrive> {
        self.0.get("RedrivePolicy").and_then(|text| redrive(text).ok())
    }

    /// Names that can be set, for `All`.
    pub(super) fn names() -> impl Iterator<Item = &'static str> {
        NUMBERS.iter().map(|row| row.0).chain(KEPT).chain(["RedrivePolicy"])
    }
}

fn check(name: &str, value: &str) -> Result<(), ApiError> {
    if let Some((_, least, most, _)) = NUMBERS.iter().find(|row| row.0 == name) {
        let fits = value.parse::<u32>().is_ok_and(|number| (*least..=*most).contains(&number));
        return if fits {
            Ok(())
        } else {
            Err(bad_value(name, value, &format!("Must be between {least} and {most}.")))
        };
    }
    match name {
        "RedrivePolicy" if value.is_empty() => Ok(()),
        "RedrivePolicy" => redrive(value).map(|_| ()),
        "FifoQueue" | "ContentBasedDeduplication" | "DeduplicationScope" | "FifoThroughputLimit" => {
            Err(super::input::invalid(format!("{name}: the rehearsal cloud has standard queues only, no FIFO queues")))
        }
        _ if KEPT.contains(&name) => Ok(()),
        _ => Err(ApiError::new("InvalidAttributeName", format!("Unknown Attribute {name}."))),
    }
}

/// Reads a redrive policy; SDKs and people write maxReceiveCount as a number or as text.
fn redrive(text: &str) -> Result<Redrive, ApiError> {
    let wrong = |reason: &str| {
        super::input::invalid(format!("Value {text} for parameter RedrivePolicy is invalid. Reason: {reason}"))
    };
    let policy: Value = serde_json::from_str(text).map_err(|_| wrong("Redrive policy is not a valid JSON map."))?;
    let target = policy.get("deadLetterTargetArn").and_then(Value::as_str);
    let target =
        target.ok_or_else(|| wrong("Redrive policy does not contain mandatory attribute: deadLetterTargetArn."))?;
    let count = match policy.get("maxReceiveCount") {
        Some(Value::Number(number)) => number.as_u64(),
        Some(Value::String(text)) => text.parse().ok(),
        Some(_) => None,
        None => return Err(wrong("Redrive policy does not contain mandatory attribute: maxReceiveCount.")),
    };
    let count = count.and_then(|count| u32::try_from(count).ok()).filter(|count| (1..=1000).contains(count));
    let max_receive = count
        .ok_or_else(|| wrong("Invalid value for maxReceiveCount, valid values are from 1 to 1000 both inclusive."))?;
    Ok(Redrive { target: target.to_owned(), max_receive })
}
