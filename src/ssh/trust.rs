//! Decides whether a host is the one meant, from its key alone.

use super::known::{fingerprint, fingerprints};
use super::user_known::Known;
use super::{HostKeys, PublicKey, Target, UserKnownHosts};
use crate::model::{Address, InstanceId, shell_word};
use std::sync::Arc;

/// Whose word counts on host keys: the fleet's own store first, then the user's known_hosts. There is no trust on first
/// use: a key that neither knows is refused before any login is tried.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    fleet: Option<Arc<HostKeys>>,
    user: Option<Arc<UserKnownHosts>>,
}

impl Trust {
    /// Trusts what was pinned by instance id.
    pub fn pinned(keys: Arc<HostKeys>) -> Self {
        Self { fleet: Some(keys), user: None }
    }

    /// Also trusts the user's own known_hosts, by address, where nothing is pinned: for the template, which is older
    /// than its console's memory.
    #[must_use]
    pub fn or_user(mut self, hosts: Arc<UserKnownHosts>) -> Self {
        self.user = Some(hosts);
        self
    }

    /// Whether a key of the host is known.
    pub fn knows(&self, target: &Target) -> bool {
        !self.about(target).keys.is_empty()
    }

    /// What is known of the host.
    pub(super) fn about(&self, target: &Target) -> Known {
        let pinned =
            self.fleet.as_ref().map(|keys| keys.of(&InstanceId::from(target.alias.as_str()))).unwrap_or_default();
        let user = self.user.as_ref().map(|user| user.about(&target.address.host, target.address.port));
        let mut known = user.unwrap_or_default();
        if !pinned.is_empty() {
            known.keys = pinned;
            known.authority = false;
        }
        known
    }
}

/// Whether the host may go on, or why not, in one line.
pub(super) fn judge(known: &Known, target: &Target, shown: &PublicKey) -> Result<(), String> {
    let same = |key: &PublicKey| key.key_data() == shown.key_data();
    let (who, shown_as) = (&target.alias, fingerprint(shown));
    if known.revoked.iter().any(same) {
        return Err(format!("{who} showed the revoked key {shown_as}; known_hosts marks it @revoked"));
    }
    if known.keys.iter().any(same) {
        return Ok(());
    }
    if known.keys.is_empty() && known.authority {
        return Err(format!(
            "only an @cert-authority line speaks for {who}, and host certificates are not supported: compare {shown_as} \
             with the host's console, then add it to known_hosts as a plain key"
        ));
    }
    if known.keys.is_empty() {
        let Address { host, port } = &target.address;
        let add = match &known.file {
            Some(file) => {
                let file = shell_word(&file.display().to_string());
                format!("where it stands there too: ssh-keyscan -p {port} {host} >> {file}")
            }
            None => "then add it to known_hosts".to_owned(),
        };
        return Err(format!(
            "the key of {who} is not known: it showed {shown_as}; compare it with the host's console output, {add}"
        ));
    }
    let pinned = fingerprints(&known.keys);
    if known.keys.iter().any(|key| key.algorithm() == shown.algorithm()) {
        return Err(format!(
            "the key of {who} has changed: it showed {shown_as}, known is {pinned}; either another machine answers at \
             {} or the host was reinstalled: nothing was sent; replace the host, or remove its known key once you have \
             compared the new one with its console output",
            target.address
        ));
    }
    Err(format!(
        "{who} showed a key of another type than is known: it showed {shown_as}, known is {pinned}; nothing was sent; \
         compare with the host's console output and add the new key if it is there"
    ))
}
