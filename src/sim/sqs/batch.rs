//! The batch actions: up to ten entries, each of which succeeds or fails by itself.

use super::super::api::{ApiError, Call, Handled};
use super::input::{Input, missing};
use super::message::Draft;
use super::receive::check_size;
use super::{Sqs, answer, query_code};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

/// Bytes of all messages of one SendMessageBatch together.
const MOST_BYTES: usize = 1_048_576;

impl Sqs {
    pub(super) fn send_message_batch(&mut self, input: Input, call: &Call) -> Handled {
        let name = self.name_of(input)?;
        let limit = self.queue(input, call.now)?.attributes.number("MaximumMessageSize") as usize;
        let entries = entries(input)?;
        let drafts: Vec<_> = entries.iter().map(|(id, entry)| (*id, Draft::read(*entry))).collect();
        let bytes: usize = drafts.iter().filter_map(|(_, draft)| draft.as_ref().ok()).map(Draft::size).sum();
        if bytes > MOST_BYTES {
            return Err(ApiError::new(
                "BatchRequestTooLong",
                format!("Batch requests cannot be longer than {MOST_BYTES} bytes. You have sent {bytes} bytes."),
            ));
        }
        each(drafts, |draft| {
            let draft = draft?;
            check_size(&draft, limit)?;
            let mut result = draft.digests();
            result.insert("MessageId".to_owned(), self.send(&name, draft, call)?.into());
            Ok(result)
        })
    }

    pub(super) fn delete_message_batch(&mut self, input: Input, now: Timestamp) -> Handled {
        self.name_of(input)?;
        each(entries(input)?, |entry| self.delete(input, entry, now).map(|()| Map::new()))
    }

    pub(super) fn change_visibility_batch(&mut self, input: Input, now: Timestamp) -> Handled {
        self.name_of(input)?;
        each(entries(input)?, |entry| self.change(input, entry, now).map(|()| Map::new()))
    }
}

/// The entries with their ids, after the checks that refuse the whole batch.
fn entries(input: Input<'_>) -> Result<Vec<(&str, Input<'_>)>, ApiError> {
    let list = input.list("Entries")?;
    if list.is_empty() {
        return Err(ApiError::new("EmptyBatchRequest", "There should be at least one entry in the request."));
    }
    if list.len() > 10 {
        let message = format!("Maximum number of entries per request are 10. You have sent {}.", list.len());
        return Err(ApiError::new("TooManyEntriesInBatchRequest", message));
    }
    let mut entries: Vec<(&str, Input)> = Vec::new();
    for value in list {
        let entry = Input::new(value)?;
        let id = entry.text("Id")?.ok_or_else(|| missing("Id"))?;
        let legal = (1..=80).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b));
        if !legal {
            return Err(ApiError::new(
                "InvalidBatchEntryId",
                "A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can be at most \
                 80 letters long.",
            ));
        }
        if entries.iter().any(|(other, _)| *other == id) {
            return Err(ApiError::new("BatchEntryIdsNotDistinct", format!("Id {id} repeated.")));
        }
        entries.push((id, entry));
    }
    Ok(entries)
}

/// Carries each entry out. `Failed` is absent when nothing failed, as at AWS.
fn each<T>(entries: Vec<(&str, T)>, mut act: impl FnMut(T) -> Result<Map<String, Value>, ApiError>) -> Handled {
    let (mut successful, mut failed) = (Vec::new(), Vec::new());
    for (id, entry) in entries {
        match act(entry) {
            Ok(mut result) => {
                result.insert("Id".to_owned(), id.into());
                successful.push(Value::Object(result));
            }
            Err(error) => failed.push(json!({
                "Id": id,
                "SenderFault": error.status < 500,
                "Code": query_code(&error.code),
                "Message": error.message,
            })),
        }
    }
    let mut body = Map::new();
    body.insert("Successful".to_owned(), successful.into());
    if !failed.is_empty() {
        body.insert("Failed".to_owned(), failed.into());
    }
    answer(&Value::Object(body))
}
