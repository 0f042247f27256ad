//! One message as it is sent: its text, its attributes, and the digests that SDKs check.

use super::super::api::ApiError;
use super::input::{Input, invalid, missing};
use data_encoding::{BASE64, HEXLOWER};
use md5::{Digest, Md5};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// A message may carry so many attributes.
const MOST_ATTRIBUTES: usize = 10;

/// The value of a message attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Datum {
    Text(String),
    Binary(Vec<u8>),
}

/// A message attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Attribute {
    /// `String`, `Number`, `Binary`, each with an optional `.label`.
    kind: String,
    datum: Datum,
}

/// Attributes by name.
pub(super) type Attributes = BTreeMap<String, Attribute>;

/// What a sender gives.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    /// The body.
    pub(super) body: String,
    /// Its attributes.
    pub(super) attributes: Attributes,
    /// System attributes: only `AWSTraceHeader` exists.
    pub(super) system: Attributes,
    /// Seconds until it is first visible; the queue's own delay if absent.
    pub(super) delay: Option<u32>,
}

impl Draft {
    /// Reads a SendMessage call or one entry of a batch.
    pub(super) fn read(input: Input) -> Result<Self, ApiError> {
        let body = input.text("MessageBody")?.ok_or_else(|| missing("MessageBody"))?;
        if body.is_empty() {
            return Err(invalid(
                "One or more parameters are invalid. Reason: The request must contain a non-empty MessageBody.",
            ));
        }
        if let Some(character) = body.chars().find(|c| !allowed(*c)) {
            return Err(ApiError::new(
                "InvalidMessageContents",
                format!("Invalid characters found in the message: U+{:04X} is not allowed", u32::from(character)),
            ));
        }
        if input.text("MessageDeduplicationId")?.is_some() {
            return Err(invalid(
                "The request includes parameter MessageDeduplicationId, which is not valid for this queue type",
            ));
        }
        let delay = input.number("DelaySeconds", 0..=900)?;
        let attributes = read_attributes(&input.map("MessageAttributes")?)?;
        if attributes.len() > MOST_ATTRIBUTES {
            return Err(invalid(format!(
                "Number of message attributes [{}] exceeds the allowed maximum [10].",
                attributes.len()
            )));
        }
        let system = read_attributes(&input.map("MessageSystemAttributes")?)?;
        if let Some(name) = system.keys().find(|name| *name != "AWSTraceHeader") {
            return Err(invalid(format!("Message system attribute name '{name}' is invalid.")));
        }
        Ok(Self { body: body.to_owned(), attributes, system, delay })
    }

    /// Bytes that count against the size limits: body, and names, types and values of the attributes.
    pub(super) fn size(&self) -> usize {
        let attributes =
            self.attributes.iter().map(|(name, attribute)| name.len() + attribute.kind.len() + attribute.bytes().len());
        self.body.len() + attributes.sum::<usize>()
    }

    /// What SendMessage answers beside the message id.
    pub(super) fn digests(&self) -> Map<String, Value> {
        let mut digests = Map::new();
        digests.insert("MD5OfMessageBody".to_owned(), md5_hex(self.body.as_bytes()).into());
        if let Some(digest) = attributes_md5(&self.attributes) {
            digests.insert("MD5OfMessageAttributes".to_owned(), digest.into());
        }
        if let Some(digest) = attributes_md5(&self.system) {
            digests.insert("MD5OfMessageSystemAttributes".to_owned(), digest.into());
        }
        digests
    }
}

/// `#x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF`.
fn allowed(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\r' | '\u{20}'..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..)
}

/// Digest of a body.
pub(super) fn md5_hex(bytes: &[u8]) -> String {
    HEXLOWER.encode(&Md5::digest(bytes))
}

fn read_attributes(given: &BTreeMap<&str, &Value>) -> Result<Attributes, ApiError> {
    given.iter().map(|(name, value)| Ok(((*name).to_owned(), Attribute::read(name, value)?))).collect()
}

impl Attribute {
    fn read(name: &str, value: &Value) -> Result<Self, ApiError> {
        let legal = !name.is_empty()
            && name.len() <= 256
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b))
            && !name.starts_with('.')
            && !name.ends_with('.')
            && !name.contains("..");
        if !legal {
            return Err(invalid(format!(
                "Message attribute name '{name}' is invalid: letters, digits, _ - and . only."
            )));
        }
        let input = Input::new(value)?;
        let kind = input.text("DataType")?.unwrap_or_default();
        let empty =
            || invalid(format!("The message attribute '{name}' must contain a non-empty message attribute value."));
        let datum = match kind.split('.').next().unwrap_or_default() {
            "Binary" => {
                let encoded = input.text("BinaryValue")?.filter(|text| !text.is_empty()).ok_or_else(empty)?;
                let decoded = BASE64.decode(encoded.as_bytes());
                Datum::Binary(decoded.map_err(|_| invalid(format!("The message attribute '{name}' is not base64.")))?)
            }
            base @ ("String" | "Number") => {
                let text = input.text("StringValue")?.filter(|text| !text.is_empty()).ok_or_else(empty)?;
                if base == "Number" && text.parse::<f64>().is_err() {
                    return Err(invalid(format!("Can't cast the value of message attribute '{name}' to a number.")));
                }
                Datum::Text(text.to_owned())
            }
            _ => {
                return Err(invalid(format!(
                    "The message attribute '{name}' has an invalid message attribute type, the set of supported type \
                     prefixes is Binary, Number, and String."
                )));
            }
        };
        Ok(Self { kind: kind.to_owned(), datum })
    }

    /// As ReceiveMessage shows it.
    pub(super) fn shown(&self) -> Value {
        match &self.datum {
            Datum::Text(text) => json!({"DataType": self.kind, "StringValue": text}),
            Datum::Binary(bytes) => json!({"DataType": self.kind, "BinaryValue": BASE64.encode(bytes)}),
        }
    }

    /// Its text, for `AWSTraceHeader`.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.datum {
            Datum::Text(text) => Some(text),
            Datum::Binary(_) => None,
        }
    }

    fn bytes(&self) -> &[u8] {
        match &self.datum {
            Datum::Text(text) => text.as_bytes(),
            Datum::Binary(bytes) => bytes,
        }
    }
}

/// The digest over attributes: for each name in order its length and bytes, type length and bytes, one byte for the
/// transport (1 text, 2 binary), value length and bytes; lengths are four bytes, big end first. `None` without any.
pub(super) fn attributes_md5(attributes: &Attributes) -> Option<String> {
    if attributes.is_empty() {
        return None;
    }
    let mut hasher = Md5::new();
    let sized = |hasher: &mut Md5, bytes: &[u8]| {
        hasher.update(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
        hasher.update(bytes);
    };
    for (name, attribute) in attributes {
        sized(&mut hasher, name.as_bytes());
        sized(&mut hasher, attribute.kind.as_bytes());
        hasher.update([match attribute.datum {
            Datum::Text(_) => 1,
            Datum::Binary(_) => 2,
        }]);
        sized(&mut hasher, attribute.bytes());
    }
    Some(HEXLOWER.encode(&hasher.finalize()))
}
