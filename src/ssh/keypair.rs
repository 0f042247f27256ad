//! Makes a key pair for a rehearsal's operator; real fleets use the operator's own keys.

use russh::keys::ssh_key::LineEnding;
use russh::keys::{Algorithm, PrivateKey};

/// A fresh ed25519 key pair as OpenSSH keeps it.
pub struct KeyPair {
    /// The private half: a file of mode 0600 and nothing else.
    pub private: String,
    /// The public half, one line.
    pub public: String,
}

impl std::fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyPair").field("public", &self.public).finish_non_exhaustive()
    }
}

impl KeyPair {
    /// Makes a pair from the system's randomness.
    ///
    /// # Errors
    ///
    /// When it can't be written in OpenSSH's format.
    pub fn random() -> Result<Self, String> {
        let key =
            PrivateKey::random(&mut russh::keys::key::safe_rng(), Algorithm::Ed25519).map_err(|e| e.to_string())?;
        let private = key.to_openssh(LineEnding::LF).map_err(|e| e.to_string())?.to_string();
        let public = key.public_key().to_openssh().map_err(|e| e.to_string())?;
        Ok(Self { private, public })
    }
}
