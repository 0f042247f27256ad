//! One of those who hear how a verb ended: what it hears of, and where its address comes from.

use crate::model::Occasion;
use serde::{Deserialize, Serialize};

/// One of `notify:`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notify {
    /// `events:` what it hears of; all but `interrupted` if absent.
    pub events: Vec<Occasion>,
    /// `webhook:` the environment variable that holds the address. The address is a secret: it is read when it is used, and
    /// never kept.
    pub webhook: String,
}

impl Notify {
    /// The address; why there is none in words that do not repeat it.
    ///
    /// # Errors
    ///
    /// What is wrong with the variable, as it fits after its name.
    pub fn address(&self, env: impl Fn(&str) -> Option<String>) -> Result<String, &'static str> {
        let address = env(&self.webhook).filter(|address| !address.is_empty()).ok_or("is not set")?;
        let host = |rest: &str| rest.split(['/', '?', '#']).next().unwrap_or_default().to_owned();
        let here = |rest: &str| {
            let host = host(rest);
            let name = host.rsplit_once(':').map_or(host.as_str(), |(name, _)| name);
            matches!(name, "127.0.0.1" | "localhost" | "[::1]")
        };
        let plain = !address.contains(|c: char| c.is_whitespace() || c.is_control());
        match address.split_once("://") {
            Some(("https", rest)) if plain && !host(rest).is_empty() => Ok(address),
            Some(("http", rest)) if plain && here(rest) => Ok(address),
            Some(("http", _)) => Err("is an http:// address: only https:// keeps it secret on its way"),
            Some(_) | None => Err("is no https:// address"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_https_or_stays_on_this_machine() {
        let hook = Notify { events: Vec::new(), webhook: "HOOK".into() };
        let of = |address: &str| hook.address(|name| (name == "HOOK").then(|| address.to_owned()));
        for good in [
            "https://hooks.slack.com/services/T0/B0/x",
            "https://h",
            "http://127.0.0.1:8080/x",
            "http://localhost/x",
            "http://[::1]:80/",
        ] {
            assert_eq!(of(good).as_deref(), Ok(good));
        }
        for bad in [
            "",
            "hooks.slack.com/services",
            "https://",
            "https:///x",
            "http://hooks.slack.com/x",
            "http://127.0.0.1.example.com/x",
            "http://localhost.example.com",
            "http://169.254.169.254/",
            "ftp://127.0.0.1/",
            "https://a b/",
            "https://a\nx",
        ] {
            let why = of(bad).unwrap_err();
            assert!(bad.len() < 9 || !why.contains(bad), "{why}");
        }
        assert_eq!(hook.address(|_| None), Err("is not set"));
    }
}
