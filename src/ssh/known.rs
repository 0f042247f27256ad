//! The fleet's own store of host keys, by instance id; the user's known_hosts is never written.

use super::PublicKey;
use crate::model::InstanceId;
use nix::fcntl::OFlag;
use russh::keys::HashAlg;
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use thiserror::Error;

/// What went wrong with the store.
#[derive(Debug, Error)]
pub enum HostKeysError {
    /// The file can't be read or written.
    #[error("use the host keys in {}: {source}", path.display())]
    Io {
        /// The store's file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A line is no key: somebody else wrote to it.
    #[error("read the host keys in {}: line {line} is no `instance-id key` line", path.display())]
    Corrupt {
        /// The store's file.
        path: PathBuf,
        /// Line number, from 1.
        line: usize,
    },
    /// Keys are pinned once, at first boot; other ones later are not believed.
    #[error(
        "pin the host key of {id}: {new} was offered, but {known} is pinned already; an instance never changes its host keys by itself"
    )]
    Pinned {
        /// The instance.
        id: InstanceId,
        /// SHA-256 fingerprints of the pinned keys.
        known: String,
        /// SHA-256 fingerprints of the offered keys.
        new: String,
    },
}

impl HostKeysError {
    /// What the operator can do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Io { source, .. } if source.kind() == ErrorKind::StorageFull => {
                "make room on the disk, then run the same command again"
            }
            Self::Io { .. } => "see to the disk and to who owns the file, then run the same command again",
            Self::Corrupt { .. } => "remove that line: the key of a host of ours is learnt from its console again",
            Self::Pinned { .. } => "a host that somebody else answers for: fleetwright down --only ID, then launch",
        }
    }
}

/// Host keys by instance id, kept in one file of the fleet's state directory in OpenSSH's own format, so that
/// `ssh -o UserKnownHostsFile=FILE -o HostKeyAlias=i-...` can use it too.
#[derive(Debug)]
pub struct HostKeys {
    path: PathBuf,
    keys: Mutex<BTreeMap<InstanceId, Vec<PublicKey>>>,
}

impl HostKeys {
    /// Opens the store; a file that is not there yet is an empty store. A symbolic link in its place is refused.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, HostKeysError> {
        let path = path.into();
        let mut text = String::new();
        match OpenOptions::new().read(true).custom_flags(OFlag::O_NOFOLLOW.bits()).open(&path) {
            Ok(mut file) => {
                file.read_to_string(&mut text).map_err(|source| HostKeysError::Io { path: path.clone(), source })?;
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(source) => return Err(HostKeysError::Io { path, source }),
        }
        let mut keys: BTreeMap<InstanceId, Vec<PublicKey>> = BTreeMap::new();
        for (i, line) in text.lines().enumerate() {
            let (id, key) = line
                .split_once(' ')
                .and_then(|(id, key)| Some((id, PublicKey::from_openssh(key).ok()?)))
                .ok_or_else(|| HostKeysError::Corrupt { path: path.clone(), line: i + 1 })?;
            keys.entry(InstanceId::from(id)).or_default().push(key);
        }
        Ok(Self { path, keys: Mutex::new(keys) })
    }

    /// The keys pinned for an instance; empty if there are none.
    pub fn of(&self, id: &InstanceId) -> Vec<PublicKey> {
        self.lock().get(id).cloned().unwrap_or_default()
    }

    /// Whether keys are pinned for an instance.
    pub fn knows(&self, id: &InstanceId) -> bool {
        self.lock().contains_key(id)
    }

    /// Pins keys learnt over a trusted channel, durably before it returns. The same keys again are fine, other ones are
    /// refused; `keys` must not be empty.
    pub fn pin(&self, id: &InstanceId, keys: &[PublicKey]) -> Result<(), HostKeysError> {
        let mut all = self.lock();
        if let Some(known) = all.get(id) {
            if keys.iter().all(|key| known.iter().any(|k| k.key_data() == key.key_data())) {
                return Ok(());
            }
            return Err(HostKeysError::Pinned { id: id.clone(), known: fingerprints(known), new: fingerprints(keys) });
        }
        if keys.is_empty() {
            return Ok(());
        }
        let bare = keys.iter().map(|key| PublicKey::new(key.key_data().clone(), "")).collect();
        all.insert(id.clone(), bare);
        let written = self.write(&all);
        if written.is_err() {
            all.remove(id);
        }
        written
    }

    /// Drops the keys of instances that are gone for good.
    pub fn forget(&self, ids: &[InstanceId]) -> Result<(), HostKeysError> {
        let mut all = self.lock();
        let before = all.len();
        all.retain(|id, _| !ids.contains(id));
        if all.len() == before { Ok(()) } else { self.write(&all) }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<InstanceId, Vec<PublicKey>>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes aside and renames: whoever reads sees the old or the new file, whole.
    fn write(&self, all: &BTreeMap<InstanceId, Vec<PublicKey>>) -> Result<(), HostKeysError> {
        let aside = self.path.with_extension(format!("{}.new", std::process::id()));
        let done = write_file(&aside, all).and_then(|()| {
            std::fs::rename(&aside, &self.path)?;
            self.path.parent().map_or(Ok(()), |dir| File::open(dir)?.sync_all())
        });
        done.map_err(|source| HostKeysError::Io { path: self.path.clone(), source })
    }
}

fn write_file(aside: &Path, all: &BTreeMap<InstanceId, Vec<PublicKey>>) -> std::io::Result<()> {
    match std::fs::remove_file(aside) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(aside)?;
    for (id, keys) in all {
        for key in keys {
            let key = key.to_openssh().map_err(std::io::Error::other)?;
            file.write_all(format!("{id} {key}\n").as_bytes())?;
        }
    }
    file.sync_all()
}

/// The fingerprint that ssh shows: `SHA256:...`, with the key's type.
pub fn fingerprint(key: &PublicKey) -> String {
    format!("{} ({})", key.fingerprint(HashAlg::Sha256), key.algorithm())
}

/// Several fingerprints in one line.
pub(super) fn fingerprints(keys: &[PublicKey]) -> String {
    keys.iter().map(fingerprint).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    const ED: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB9dG4kjRhQTtWTVzd2t27+t0DEHBPW7iOD23TUiYLio";
    const OTHER: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILIG2T/B0l0gaqj3puu510tu9N1OkQ4znY3LYuEm5zCF";

    fn key(text: &str) -> PublicKey {
        PublicKey::from_openssh(text).unwrap()
    }

    #[test]
    fn pins_survive_and_never_change() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("known_hosts");
        let id = InstanceId::from("i-1");
        let store = HostKeys::open(&path).unwrap();
        store.pin(&id, &[key(&format!("{ED} root@ip\u{1b}[2J"))]).unwrap();
        store.pin(&id, &[key(ED)]).unwrap();
        let refused = store.pin(&id, &[key(OTHER)]).unwrap_err().to_string();
        assert!(refused.contains("SHA256:") && refused.contains("i-1"), "{refused}");

        assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("i-1 {ED}\n"));
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let again = HostKeys::open(&path).unwrap();
        assert_eq!(again.of(&id), [key(ED)]);
        again.forget(std::slice::from_ref(&id)).unwrap();
        assert!(!HostKeys::open(&path).unwrap().knows(&id));
    }

    #[test]
    fn a_foreign_line_or_link_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("known_hosts");
        std::fs::write(&path, format!("i-1 {ED}\n\nhello\n")).unwrap();
        assert!(matches!(HostKeys::open(&path), Err(HostKeysError::Corrupt { line: 2, .. })));
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        let refused = HostKeys::open(&link).unwrap_err();
        assert!(matches!(refused, HostKeysError::Io { .. }));
        assert!(refused.to_string().contains("symbolic links"), "it says why: {refused}");
    }
}
