//! The ClientToken table: what was asked under a token before, and what came of it.

use super::params::invalid;
use crate::sim::api::ApiError;
use jiff::{SignedDuration, Timestamp};
use std::collections::HashMap;

/// AWS does not say how long it remembers; nobody may rely on more than a day.
const REMEMBERED: SignedDuration = SignedDuration::from_hours(24);

/// Parameters that say nothing about what is wanted.
const ASIDE: [&str; 8] =
    ["Action", "Version", "ClientToken", "DryRun", "AWSAccessKeyId", "Timestamp", "Expires", "SecurityToken"];

/// Where a token counts: RunInstances with a subnet or a zone looks no further than that zone, so the same token in
/// another zone launches again.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct TokenKey {
    /// The action.
    pub(super) action: String,
    /// As given; case counts.
    pub(super) token: String,
    /// The zone for zonal tokens.
    pub(super) zone: Option<String>,
}

#[derive(Clone, Debug)]
struct Entry {
    asked: Vec<(String, String)>,
    made: Vec<String>,
    at: Timestamp,
}

/// All tokens spent.
#[derive(Clone, Debug, Default)]
pub(super) struct Tokens(HashMap<TokenKey, Entry>);

impl Tokens {
    /// What an earlier call under this key made, if there was one with the same parameters.
    ///
    /// # Errors
    ///
    /// `IdempotentParameterMismatch` when it had others.
    pub(super) fn earlier(
        &self,
        key: &TokenKey,
        pairs: &[(String, String)],
        now: Timestamp,
    ) -> Result<Option<&[String]>, ApiError> {
        match self.0.get(key) {
            Some(entry) if now.duration_since(entry.at) < REMEMBERED => {
                if entry.asked == essence(pairs) {
                    Ok(Some(&entry.made))
                } else {
                    Err(ApiError::new(
                        "IdempotentParameterMismatch",
                        "The request uses the same client token as a previous, but non-identical request.",
                    ))
                }
            }
            Some(_) | None => Ok(None),
        }
    }

    /// Spends a token.
    pub(super) fn spend(&mut self, key: TokenKey, pairs: &[(String, String)], made: Vec<String>, now: Timestamp) {
        self.0.insert(key, Entry { asked: essence(pairs), made, at: now });
    }
}

/// The parameters that matter, in one order.
fn essence(pairs: &[(String, String)]) -> Vec<(String, String)> {
    let mut kept: Vec<_> = pairs
        .iter()
        .filter(|(name, _)| {
            !ASIDE.contains(&name.as_str()) && !name.starts_with("Signature") && !name.starts_with("X-Amz-")
        })
        .cloned()
        .collect();
    kept.sort();
    kept
}

/// Checks a token's form: at most 64 ASCII characters.
pub(super) fn check(token: &str) -> Result<(), ApiError> {
    if token.len() > 64 || !token.is_ascii() {
        return Err(invalid(format!(
            "Invalid value '{token}' for clientToken. It must be at most 64 ASCII characters long."
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(token: &str, zone: Option<&str>) -> TokenKey {
        TokenKey { action: "RunInstances".into(), token: token.into(), zone: zone.map(str::to_owned) }
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn order_and_signatures_do_not_matter_anything_else_does() {
        let now = Timestamp::UNIX_EPOCH;
        let mut tokens = Tokens::default();
        tokens.spend(key("t", None), &pairs(&[("A", "1"), ("B", "2"), ("Signature", "x")]), vec!["i-1".into()], now);
        let same = pairs(&[("B", "2"), ("Version", "2016-11-15"), ("A", "1"), ("Signature", "y")]);
        assert_eq!(tokens.earlier(&key("t", None), &same, now).unwrap(), Some(&["i-1".to_owned()][..]));
        let other = pairs(&[("A", "1"), ("B", "3")]);
        assert_eq!(tokens.earlier(&key("t", None), &other, now).unwrap_err().code, "IdempotentParameterMismatch");
        assert_eq!(tokens.earlier(&key("T", None), &other, now).unwrap(), None);
        assert_eq!(tokens.earlier(&key("t", Some("us-east-1a")), &other, now).unwrap(), None);
        let later = now + SignedDuration::from_hours(25);
        assert_eq!(tokens.earlier(&key("t", None), &other, later).unwrap(), None);
    }
}
