//! Reads a call's JSON parameters with AWS's own complaints.

use super::super::api::ApiError;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

/// The parameters of a call or of one entry of a batch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Input<'a>(&'a Map<String, Value>);

/// A required parameter is not there.
pub(super) fn missing(name: &str) -> ApiError {
    ApiError::new("MissingParameter", format!("The request must contain the parameter {name}."))
}

/// A parameter has a value that it cannot have.
pub(super) fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::new("InvalidParameterValue", message)
}

fn wrong_type(name: &str, wanted: &str) -> ApiError {
    ApiError::new("SerializationException", format!("{name} can not be converted to {wanted}"))
}

impl<'a> Input<'a> {
    /// The parameters, which must be an object.
    pub(super) fn new(value: &'a Value) -> Result<Self, ApiError> {
        value.as_object().map(Self).ok_or_else(|| wrong_type("The request", "a structure"))
    }

    /// A string.
    pub(super) fn text(self, name: &str) -> Result<Option<&'a str>, ApiError> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => value.as_str().map(Some).ok_or_else(|| wrong_type(name, "a string")),
        }
    }

    /// A whole number within its bounds.
    pub(super) fn number(self, name: &str, bounds: RangeInclusive<u32>) -> Result<Option<u32>, ApiError> {
        let value = match self.0.get(name) {
            None | Some(Value::Null) => return Ok(None),
            Some(value) => value.as_i64().ok_or_else(|| wrong_type(name, "an integer"))?,
        };
        let fits = u32::try_from(value).ok().filter(|number| bounds.contains(number));
        fits.map(Some).ok_or_else(|| {
            let (low, high) = (bounds.start(), bounds.end());
            invalid(format!(
                "Value {value} for parameter {name} is invalid. Reason: Must be >= {low} and <= {high}, if provided."
            ))
        })
    }

    /// A list of strings; empty if absent.
    pub(super) fn texts(self, name: &str) -> Result<Vec<&'a str>, ApiError> {
        let list = self.list(name)?;
        list.iter().map(|item| item.as_str().ok_or_else(|| wrong_type(name, "a list of strings"))).collect()
    }

    /// A list; empty if absent.
    pub(super) fn list(self, name: &str) -> Result<&'a [Value], ApiError> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(&[]),
            Some(value) => value.as_array().map(Vec::as_slice).ok_or_else(|| wrong_type(name, "a list")),
        }
    }

    /// A map; empty if absent.
    pub(super) fn map(self, name: &str) -> Result<BTreeMap<&'a str, &'a Value>, ApiError> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(BTreeMap::new()),
            Some(Value::Object(map)) => Ok(map.iter().map(|(key, value)| (key.as_str(), value)).collect()),
            Some(_) => Err(wrong_type(name, "a map")),
        }
    }

    /// A map of strings; empty if absent.
    pub(super) fn text_map(self, name: &str) -> Result<BTreeMap<String, String>, ApiError> {
        let entry = |(key, value): (&str, &Value)| {
            let value = value.as_str().ok_or_else(|| wrong_type(name, "a map of strings"))?;
            Ok((key.to_owned(), value.to_owned()))
        };
        self.map(name)?.into_iter().map(entry).collect()
    }
}
