//! Random draws as hashes of what they decide, so that threads and processes cannot change each other's luck.

use sha2::{Digest, Sha256};

/// The digest of a seed and the words that name the draw; each word is length-prefixed, so that none runs into the next.
fn digest(seed: u64, words: &[&str]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    hasher.update(seed.to_be_bytes());
    for word in words {
        hasher.update((word.len() as u64).to_be_bytes());
        hasher.update(word.as_bytes());
    }
    hasher.finalize().into()
}

/// A number, uniform over all of `u64`, that is the same for the same seed and words.
pub(crate) fn number(seed: u64, words: &[&str]) -> u64 {
    let mut first = [0; 8];
    first.copy_from_slice(&digest(seed, words)[..8]);
    u64::from_be_bytes(first)
}

/// Whether a draw of this share hits; 0 never does, 100 always.
pub(crate) fn hits(seed: u64, share_percent: u32, words: &[&str]) -> bool {
    number(seed, words) % 100 < u64::from(share_percent)
}

/// An identifier in the form that AWS gives to requests and messages.
pub(crate) fn uuid(seed: u64, words: &[&str]) -> String {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest(seed, words)[..16]);
    uuid::Builder::from_random_bytes(bytes).into_uuid().to_string()
}

/// SHA-256 in lower-case hexadecimal.
pub(crate) fn sha256_hex(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(&Sha256::digest(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_kept_apart() {
        assert_ne!(number(1, &["ab", "c"]), number(1, &["a", "bc"]));
        assert_ne!(number(1, &["a"]), number(2, &["a"]));
        assert_eq!(uuid(1, &["a"]), uuid(1, &["a"]));
    }

    #[test]
    fn a_share_is_about_that_share() {
        let hit = (0..10_000).filter(|n| hits(7, 30, &["x", &n.to_string()])).count();
        assert!((2_800..3_200).contains(&hit), "{hit}");
        assert!((0..1000).all(|n| hits(7, 100, &[&n.to_string()]) && !hits(7, 0, &[&n.to_string()])));
    }
}
