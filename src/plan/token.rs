//! ClientTokens: named after what is wanted, not after who asks, so that a second machine converges instead of doubling.

use crate::model::FleetKey;
use data_encoding::BASE32_NOPAD;
use sha2::{Digest, Sha256};

/// Makes a token of at most 64 ASCII characters (EC2's limit) from the parts, in order.
///
/// 54 characters: `fw` and the 256-bit digest in base32 without padding. Parts are separated by a byte that can't occur in
/// them, so that `("a", "bc")` and `("ab", "c")` differ.
pub fn token(fleet: &FleetKey, parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    hash.update(fleet.to_string());
    for part in parts {
        hash.update([0]);
        hash.update(part);
    }
    format!("fw{}", BASE32_NOPAD.encode(&hash.finalize()).to_ascii_lowercase())
}

/// The intent tag of things made by calls that have no ClientToken: they belong to their run.
pub fn run_intent(run: &str) -> String {
    format!("run-{run}")
}

/// Hex SHA-256 over the parts: digests of requests and plans.
pub fn digest(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    data_encoding::HEXLOWER.encode(&hash.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{AccountId, FleetName, Region};

    #[test]
    fn tokens_differ_by_every_part_and_fit() {
        let fleet = FleetKey {
            account: AccountId::new("123456789012"),
            region: Region::new("us-east-1"),
            name: FleetName::new("crawl"),
        };
        let other = FleetKey { name: FleetName::new("crawl2"), ..fleet.clone() };
        let a = token(&fleet, &["lt-1:1", "capacity", "0"]);
        assert_eq!(a, token(&fleet, &["lt-1:1", "capacity", "0"]));
        assert!(a.len() <= 64 && a.is_ascii(), "{a}");
        for b in [
            token(&other, &["lt-1:1", "capacity", "0"]),
            token(&fleet, &["lt-1:1", "capacity", "1"]),
            token(&fleet, &["lt-1:1capacity", "0"]),
            token(&fleet, &["lt-1:1", "capacity0"]),
        ] {
            assert_ne!(a, b);
        }
    }
}
