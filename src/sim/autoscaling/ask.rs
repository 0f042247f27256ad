//! Reads Auto Scaling's query parameters (`Name.member.1`), writes its lists and refuses in its words.

use crate::sim::api::ApiError;
use crate::sim::draw::number;
use crate::sim::ec2::params::Node;
use crate::sim::xml::Xml;
use data_encoding::BASE64URL_NOPAD;
use jiff::Timestamp;

/// The members of a list.
pub(super) fn members<'n>(node: &'n Node, name: &str) -> Vec<&'n Node> {
    node.list(&format!("{name}.member"))
}

/// The values of a list.
pub(super) fn texts(node: &Node, name: &str) -> Vec<String> {
    node.texts(&format!("{name}.member"))
}

/// A text that must be there.
pub(super) fn need<'n>(node: &'n Node, name: &str) -> Result<&'n str, ApiError> {
    node.text(name).ok_or_else(|| {
        let small = crate::sim::ec2::params::lower_first(name);
        invalid(format!(
            "1 validation error detected: Value null at '{small}' failed to satisfy constraint: Member must not be null"
        ))
    })
}

/// A whole number of zero or more.
pub(super) fn whole(node: &Node, name: &str) -> Result<Option<u32>, ApiError> {
    let Some(word) = node.text(name) else { return Ok(None) };
    let small = crate::sim::ec2::params::lower_first(name);
    match word.parse::<i64>() {
        Ok(number) => u32::try_from(number).map(Some).map_err(|_| {
            invalid(format!(
                "1 validation error detected: Value '{word}' at '{small}' failed to satisfy constraint: Member must have \
                 value greater than or equal to 0"
            ))
        }),
        Err(_) => Err(ApiError::new("MalformedInput", format!("Could not read '{word}' at '{small}' as a number"))),
    }
}

/// `true` or `false`.
pub(super) fn flag(node: &Node, name: &str) -> Result<Option<bool>, ApiError> {
    node.flag(name).map_err(|error| ApiError::new("MalformedInput", error.message))
}

/// A time.
pub(super) fn time(node: &Node, name: &str) -> Result<Option<Timestamp>, ApiError> {
    node.text(name)
        .map(|word| {
            word.parse().map_err(|_| ApiError::new("MalformedInput", format!("Could not read '{word}' as a timestamp")))
        })
        .transpose()
}

/// `ValidationError`.
pub(super) fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::new("ValidationError", message)
}

/// A time as Auto Scaling writes it.
pub(super) fn when(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

/// `<name><member>..</member>..</name>`.
pub(super) fn list<T>(
    xml: &mut Xml,
    name: &str,
    items: impl IntoIterator<Item = T>,
    mut fill: impl FnMut(&mut Xml, T),
) {
    xml.open(name, |xml| {
        for item in items {
            xml.open("member", |xml| fill(xml, item));
        }
    });
}

/// The page that `MaxRecords` and `NextToken` ask for, and the token of the next.
pub(super) fn page<T>(
    node: &Node,
    scope: &str,
    (usual, most): (u32, u32),
    items: Vec<T>,
) -> Result<(Vec<T>, Option<String>), ApiError> {
    let size = whole(node, "MaxRecords")?.unwrap_or(usual);
    if !(1..=most).contains(&size) {
        return Err(invalid(format!("MaxRecords must be between 1 and {most}, not {size}")));
    }
    let from = node.text("NextToken").map(|token| place(token, scope)).transpose()?.unwrap_or_default();
    let end = from.saturating_add(size as usize);
    let next = (items.len() > end).then(|| token(end, scope));
    Ok((items.into_iter().skip(from).take(size as usize).collect(), next))
}

fn token(place: usize, scope: &str) -> String {
    let check = number(0, &["page", scope, &place.to_string()]);
    BASE64URL_NOPAD.encode(format!("{place}.{check:016x}").as_bytes())
}

fn place(text: &str, scope: &str) -> Result<usize, ApiError> {
    let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).ok();
    let word = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    let place = word.and_then(|word| word.split_once('.')?.0.parse::<usize>().ok());
    place
        .filter(|place| token(*place, scope) == text)
        .ok_or_else(|| ApiError::new("InvalidNextToken", "The NextToken value is not valid."))
}
