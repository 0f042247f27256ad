//! Logs in: keys of the agent first, then key files.

use super::known::fingerprint;
use super::session::Client;
use super::{PublicKey, SshFault, SshFaultKind};
use crate::model::count;
use russh::client::{AuthResult, Handle};
use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use russh::keys::{HashAlg, PrivateKey, PrivateKeyWithHashAlg, decode_secret_key};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::net::UnixStream;

/// sshd's default MaxAuthTries: the sixth refused key ends the connection, so a seventh is never asked.
const MOST_KEYS: usize = 6;

/// Names tried in `~/.ssh` when the spec names no files.
const USUAL: [&str; 3] = ["id_ed25519", "id_ecdsa", "id_rsa"];

/// What the user can prove to be: an agent, key files, and what stood in the way of others.
#[derive(Debug, Default)]
pub struct Identities {
    agent: Option<PathBuf>,
    files: Vec<KeyFile>,
    problems: Vec<String>,
    named: bool,
}

/// One key file: usable by itself, or only if the agent holds the same key.
#[derive(Debug)]
struct KeyFile {
    public: PublicKey,
    private: Option<Arc<PrivateKey>>,
}

impl Identities {
    /// Reads the key files that the spec names, else the usual ones in `home/.ssh` that are there. `agent_socket` is the
    /// value of `SSH_AUTH_SOCK`. Files that can't be used are not an error by themselves: they are named if no other key
    /// is let in.
    pub fn load(named: &[PathBuf], home: Option<&Path>, agent_socket: Option<OsString>) -> Self {
        let agent = agent_socket.filter(|path| !path.is_empty()).map(PathBuf::from);
        let mut identities = Self { agent, named: !named.is_empty(), ..Self::default() };
        if named.is_empty() {
            for file in USUAL.iter().filter_map(|name| Some(home?.join(".ssh").join(name))).filter(|file| file.exists())
            {
                identities.read(&file);
            }
        } else {
            for file in named {
                identities.read(file);
            }
        }
        identities
    }

    fn read(&mut self, file: &Path) {
        let name = file.display();
        let text = match std::fs::read_to_string(file) {
            Ok(text) => text,
            Err(error) => return self.problems.push(format!("{name} can't be read: {error}")),
        };
        let rsa = format!("{name} is an RSA key, which only an agent can use here: ssh-add {name}");
        match PrivateKey::from_openssh(&text) {
            Ok(key) if key.is_encrypted() => {
                self.problems.push(format!("{name} is encrypted and no agent holds it: ssh-add {name}"));
                self.files.push(KeyFile { public: key.public_key().clone(), private: None });
            }
            Ok(key) if key.algorithm().is_rsa() => {
                self.problems.push(rsa);
                self.files.push(KeyFile { public: key.public_key().clone(), private: None });
            }
            Ok(key) => self.push(key),
            Err(_) if text.contains("BEGIN RSA PRIVATE KEY") => self.problems.push(rsa),
            Err(_) => match decode_secret_key(&text, None) {
                Ok(key) => self.push(key),
                Err(russh::keys::Error::KeyIsEncrypted) => {
                    self.problems.push(format!("{name} is encrypted and no agent holds it: ssh-add {name}"));
                }
                Err(error) => self.problems.push(format!("{name} is no private key that can be used: {error}")),
            },
        }
    }

    fn push(&mut self, key: PrivateKey) {
        self.files.push(KeyFile { public: key.public_key().clone(), private: Some(Arc::new(key)) });
    }

    /// Tries keys until one is let in: those of the agent that the spec names, the agent's others, then files. At most
    /// six, and named files keep their place among them however many keys the agent holds.
    pub(super) async fn login(&self, client: &mut Handle<Client>, user: &str) -> Result<(), SshFault> {
        let mut problems = self.problems.clone();
        let mut tried: Vec<PublicKey> = Vec::new();
        if let Some(socket) = &self.agent {
            match agent(socket).await {
                Ok((mut agent, keys)) => {
                    for (key, hash) in self.choose(keys) {
                        let entered = client.authenticate_publickey_with(user, key.clone(), hash, &mut agent).await;
                        tried.push(key);
                        match entered {
                            Ok(AuthResult::Success) => return Ok(()),
                            Ok(AuthResult::Failure { .. }) => {}
                            Err(error) => problems.push(format!("the agent did not sign: {error}")),
                        }
                        if client.is_closed() {
                            return Err(closed(&tried));
                        }
                    }
                }
                Err(error) => problems.push(format!("the agent at {} did not answer: {error}", socket.display())),
            }
        }
        for file in &self.files {
            let Some(private) = &file.private else { continue };
            if tried.len() >= MOST_KEYS || tried.contains(&file.public) {
                continue;
            }
            let key = PrivateKeyWithHashAlg::new(Arc::clone(private), None);
            tried.push(file.public.clone());
            match client.authenticate_publickey(user, key).await {
                Ok(AuthResult::Success) => return Ok(()),
                Ok(AuthResult::Failure { .. }) if !client.is_closed() => {}
                _ => return Err(closed(&tried)),
            }
        }
        Err(denied(user, &tried, &problems))
    }

    fn choose(&self, keys: Vec<PublicKey>) -> Vec<(PublicKey, Option<HashAlg>)> {
        let named = |key: &PublicKey| self.files.iter().any(|file| file.public.key_data() == key.key_data());
        let (mut first, others): (Vec<_>, Vec<_>) = keys.into_iter().partition(named);
        let spare = if self.named { self.files.iter().filter(|file| file.private.is_some()).count() } else { 0 };
        first.extend(others.into_iter().take(MOST_KEYS.saturating_sub(spare + first.len())));
        first.truncate(MOST_KEYS);
        let hash = |key: &PublicKey| key.algorithm().is_rsa().then_some(HashAlg::Sha512);
        first.into_iter().map(|key| (key.clone(), hash(&key))).collect()
    }
}

/// Connects to the agent and lists its plain keys; certificates are left to their keys.
async fn agent(socket: &Path) -> Result<(AgentClient<UnixStream>, Vec<PublicKey>), russh::keys::Error> {
    let mut agent = AgentClient::connect_uds(socket).await?;
    let plain = |identity| match identity {
        AgentIdentity::PublicKey { key, .. } => Some(key),
        AgentIdentity::Certificate { .. } => None,
    };
    let keys = agent.request_identities().await?.into_iter().filter_map(plain).collect();
    Ok((agent, keys))
}

fn closed(tried: &[PublicKey]) -> SshFault {
    let message = format!("the host closed the connection after it had refused {}", count(tried.len(), "key"));
    SshFault::new(SshFaultKind::Auth, "auth", message)
}

fn denied(user: &str, tried: &[PublicKey], problems: &[String]) -> SshFault {
    let mut message = if tried.is_empty() {
        format!("no key to log in as {user} with: none in an agent, none in a file")
    } else {
        let tried = tried.iter().map(fingerprint).collect::<Vec<_>>().join(", ");
        format!("no key was let in as {user}: tried {tried}")
    };
    for problem in problems {
        message.push_str("; ");
        message.push_str(problem);
    }
    SshFault::new(SshFaultKind::Auth, "auth", message)
}
