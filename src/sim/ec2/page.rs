//! Cuts long answers into pages with opaque tokens that stay good while the world changes.

use super::params::{Node, invalid};
use crate::sim::api::ApiError;
use crate::sim::draw::number;
use data_encoding::BASE64URL_NOPAD;

/// One page: what is on it, and the token of the next.
#[derive(Debug)]
pub(super) struct Page<T> {
    /// In order.
    pub(super) items: Vec<T>,
    /// `None` on the last page.
    pub(super) next: Option<String>,
}

/// Smallest and largest `MaxResults` of an action.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds(pub(super) usize, pub(super) usize);

/// The page that the parameters ask for. `items` carry places that never change and are in their order, so that a
/// token means the same place later.
pub(super) fn page<T>(
    params: &Node,
    scope: &str,
    bounds: Bounds,
    items: impl Iterator<Item = (usize, T)>,
) -> Result<Page<T>, ApiError> {
    let Bounds(least, most) = bounds;
    let size = params.number::<i64>("MaxResults")?;
    if let Some(size) = size {
        let fits = usize::try_from(size).is_ok_and(|size| (least..=most).contains(&size));
        if !fits {
            return Err(invalid(format!(
                "Value ( {size} ) for parameter maxResults is invalid. Expecting a value between {least} and {most}."
            )));
        }
    }
    let from = params.text("NextToken").map(|token| read(token, scope)).transpose()?.unwrap_or_default();
    let mut items = items.skip_while(|(place, _)| *place < from);
    let room = size.and_then(|size| usize::try_from(size).ok()).unwrap_or(usize::MAX);
    let mut taken = Vec::new();
    for (place, item) in items.by_ref() {
        if taken.len() == room {
            return Ok(Page { items: taken, next: Some(write(place, scope)) });
        }
        taken.push(item);
    }
    Ok(Page { items: taken, next: None })
}

/// The token's check is over the action too: a token of one call is no token of another.
fn write(place: usize, scope: &str) -> String {
    let place = place.to_string();
    let check = number(0, &["page", scope, &place]);
    BASE64URL_NOPAD.encode(format!("{place}.{check:016x}").as_bytes())
}

fn read(token: &str, scope: &str) -> Result<usize, ApiError> {
    let place = BASE64URL_NOPAD
        .decode(token.as_bytes())
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .and_then(|text| text.split_once('.')?.0.parse::<usize>().ok())
        .filter(|place| write(*place, scope) == token);
    place.ok_or_else(|| ApiError::new("InvalidNextToken", "The token provided is not valid"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ask(max: &str, token: Option<&str>) -> Result<Page<usize>, ApiError> {
        let mut pairs = vec![("MaxResults", max)];
        pairs.extend(token.map(|token| ("NextToken", token)));
        page(&Node::from_pairs(pairs), "DescribeThings", Bounds(5, 1000), (0..23).map(|n| (n, n)))
    }

    #[test]
    fn bounds_and_bad_tokens() {
        for bad in ["4", "1001", "-1", "0"] {
            assert_eq!(ask(bad, None).unwrap_err().code, "InvalidParameterValue", "{bad}");
        }
        assert_eq!(ask("5", Some("nonsense")).unwrap_err().code, "InvalidNextToken");
        let other = write(5, "DescribeOther");
        assert_eq!(ask("5", Some(&other)).unwrap_err().code, "InvalidNextToken");
    }

    proptest! {
        #[test]
        fn pages_join_to_the_whole(size in 5_usize..30) {
            let (mut all, mut token) = (Vec::new(), None::<String>);
            loop {
                let page = ask(&size.to_string(), token.as_deref()).unwrap();
                prop_assert!(page.items.len() <= size);
                all.extend(page.items);
                token = page.next;
                if token.is_none() { break }
            }
            prop_assert_eq!(all, (0..23).collect::<Vec<_>>());
        }
    }
}
