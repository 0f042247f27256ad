//! Connects to one host and proves both sides to each other within one time-out.

use super::auth::Identities;
use super::trust::{Trust, judge};
use super::user_known::Known;
use super::{SshFault, SshFaultKind};
use crate::model::{Address, Host};
use russh::client::{self, ChannelOpenHandle, DisconnectReason, Handle, Msg};
use russh::keys::{Algorithm, EcdsaCurve, PublicKeyOrCertificate};
use russh::{Channel, Names, Preferred, cipher, compression, kex};
use std::borrow::Cow;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Where a host is, and who it must prove to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The name that host keys are stored under: the instance id.
    pub alias: String,
    /// Where to connect.
    pub address: Address,
    /// Who to log in as.
    pub user: String,
}

impl Target {
    /// The target that a host is.
    pub fn of(host: &Host) -> Self {
        Self { alias: host.id.as_str().to_owned(), address: host.address.clone(), user: host.user.clone() }
    }
}

/// Makes connections.
#[derive(Debug)]
pub struct Ssh {
    identities: Identities,
    within: Duration,
}

/// One connection, logged in. Dropping it ends it.
pub struct Session {
    pub(super) handle: Handle<Client>,
    /// Why the connection ended, once it has.
    pub(super) ended: Arc<Mutex<Option<String>>>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("closed", &self.handle.is_closed()).finish_non_exhaustive()
    }
}

/// How far a connection has come; told when the time is over.
const STAGES: [&str; 4] = ["connect", "greeting", "key exchange", "auth"];

impl Ssh {
    /// Connects with these identities; `within` is the wall time for everything up to the login.
    pub fn new(identities: Identities, within: Duration) -> Self {
        Self { identities, within }
    }

    /// Connects, checks the host's key, logs in. Nothing is retried here.
    pub async fn connect(&self, target: &Target, trust: &Trust) -> Result<Session, SshFault> {
        let stage = Arc::new(AtomicU8::new(0));
        timeout(self.within, self.enter(target, trust, &stage)).await.unwrap_or_else(|_| {
            let stage = STAGES[usize::from(stage.load(Ordering::Relaxed)).min(STAGES.len() - 1)];
            let message = format!("no answer from {} within {:?}", target.address, self.within);
            Err(SshFault::new(SshFaultKind::Unreachable, stage, message))
        })
    }

    async fn enter(&self, target: &Target, trust: &Trust, stage: &Arc<AtomicU8>) -> Result<Session, SshFault> {
        let Address { host, port } = &target.address;
        let unreachable = |error: std::io::Error| {
            SshFault::new(SshFaultKind::Unreachable, "connect", format!("{}: {error}", target.address))
        };
        let stream = TcpStream::connect((host.as_str(), *port)).await.map_err(unreachable)?;
        stream.set_nodelay(true).map_err(unreachable)?;
        stage.store(1, Ordering::Relaxed);

        let ended = Arc::new(Mutex::new(None));
        let known = trust.about(target);
        let config = Arc::new(config(&known));
        let client = Client { target: target.clone(), known, stage: Arc::clone(stage), ended: Arc::clone(&ended) };
        let mut handle = client::connect_stream(config, stream, client)
            .await
            .map_err(|error| handshake_fault(&error, stage.load(Ordering::Relaxed)))?;
        stage.store(3, Ordering::Relaxed);
        self.identities.login(&mut handle, &target.user).await?;
        Ok(Session { handle, ended })
    }
}

impl Session {
    /// Says goodbye; a connection that is gone already is fine.
    pub async fn close(self) {
        if self.handle.disconnect(russh::Disconnect::ByApplication, "", "").await.is_ok() {
            // The socket closes by itself soon after; a host that never answers is not waited for.
            let _closed = timeout(Duration::from_millis(200), self.handle).await;
        }
    }

    /// The fault of a connection that broke under a command.
    pub(super) fn lost(&self, stage: &'static str) -> SshFault {
        let why = self.ended.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let why = why.unwrap_or_else(|| "the host closed the connection".to_owned());
        SshFault::new(SshFaultKind::Lost, stage, format!("connection lost, unknown how far it got: {why}"))
    }
}

/// Preferences, all of them also OpenSSH's own: post-quantum key exchange costs 0.2 ms a host; AES-GCM is the cheapest
/// cipher on machines with AES instructions. RSA host keys are left out because nothing here can verify them.
fn config(known: &Known) -> client::Config {
    let mut keys = vec![
        Algorithm::Ed25519,
        Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 },
        Algorithm::Ecdsa { curve: EcdsaCurve::NistP384 },
        Algorithm::Ecdsa { curve: EcdsaCurve::NistP521 },
    ];
    // Types that are known come first, so that the host shows a key that can be compared.
    keys.sort_by_key(|kind| !known.keys.iter().any(|key| key.algorithm() == *kind));
    client::Config {
        preferred: Preferred {
            kex: Cow::Borrowed(&[
                kex::MLKEM768X25519_SHA256,
                kex::CURVE25519,
                kex::CURVE25519_PRE_RFC_8731,
                kex::EXTENSION_SUPPORT_AS_CLIENT,
                kex::EXTENSION_OPENSSH_STRICT_KEX_AS_CLIENT,
            ]),
            key: Cow::Owned(keys),
            cipher: Cow::Borrowed(&[cipher::AES_128_GCM, cipher::AES_256_GCM, cipher::CHACHA20_POLY1305]),
            compression: Cow::Borrowed(&[compression::NONE]),
            ..Preferred::DEFAULT
        },
        keepalive_interval: Some(Duration::from_secs(15)),
        keepalive_max: 3,
        // A backstop above the keepalives (4 x 15 s): ends what was left behind by a time-out in the key exchange.
        inactivity_timeout: Some(Duration::from_secs(75)),
        nodelay: true,
        ..client::Config::default()
    }
}

/// What ends a handshake.
#[derive(Debug)]
pub(super) enum Broken {
    Russh(russh::Error),
    HostKey(String),
    NotStrict,
}

impl From<russh::Error> for Broken {
    fn from(error: russh::Error) -> Self {
        Self::Russh(error)
    }
}

fn handshake_fault(broken: &Broken, stage: u8) -> SshFault {
    let at = STAGES[usize::from(stage).min(STAGES.len() - 1)];
    match broken {
        Broken::HostKey(why) => SshFault::new(SshFaultKind::HostKey, "host key", why),
        Broken::NotStrict => {
            let why = "the host does not know strict key exchange (CVE-2023-48795); update its OpenSSH";
            SshFault::new(SshFaultKind::Protocol, "key exchange", why)
        }
        Broken::Russh(russh::Error::NoCommonAlgo { kind: russh::AlgorithmKind::Key, theirs, .. }) => {
            let why = format!("the host has no ed25519 or ecdsa host key, only {}", theirs.join(", "));
            SshFault::new(SshFaultKind::Protocol, "key exchange", why)
        }
        Broken::Russh(error @ (russh::Error::NoCommonAlgo { .. } | russh::Error::WrongServerSig)) => {
            SshFault::new(SshFaultKind::Protocol, "key exchange", error.to_string())
        }
        Broken::Russh(russh::Error::Version) => {
            SshFault::new(SshFaultKind::Protocol, "greeting", "what answers there is no SSH server")
        }
        // A server that is overloaded (MaxStartups) or just booting hangs up here.
        Broken::Russh(error) => SshFault::new(SshFaultKind::Unreachable, at, format!("the host hung up: {error}")),
    }
}

/// Our side of the protocol: checks the host's key, and refuses whatever the host would like to open.
pub(super) struct Client {
    target: Target,
    known: Known,
    stage: Arc<AtomicU8>,
    ended: Arc<Mutex<Option<String>>>,
}

impl client::Handler for Client {
    type Error = Broken;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, Broken> {
        self.stage.store(2, Ordering::Relaxed);
        match shown {
            PublicKeyOrCertificate::PublicKey { key, .. } => {
                judge(&self.known, &self.target, key).map_err(Broken::HostKey)?;
                Ok(true)
            }
            PublicKeyOrCertificate::Certificate(_) => {
                Err(Broken::HostKey("the host showed a certificate, which is not supported".to_owned()))
            }
        }
    }

    async fn kex_done(&mut self, _: Option<&[u8]>, names: &Names, _: &mut client::Session) -> Result<(), Broken> {
        if names.strict_kex() { Ok(()) } else { Err(Broken::NotStrict) }
    }

    async fn disconnected(&mut self, reason: DisconnectReason<Broken>) -> Result<(), Broken> {
        let why = match reason {
            DisconnectReason::ReceivedDisconnect(info) => format!("the host said goodbye: {}", info.message),
            DisconnectReason::Error(Broken::Russh(error)) => error.to_string(),
            DisconnectReason::Error(Broken::HostKey(why)) => why,
            DisconnectReason::Error(Broken::NotStrict) => "strict key exchange ended".to_owned(),
        };
        *self.ended.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
        Ok(())
    }

    // The library accepts by default; dropping the reply refuses.

    async fn server_channel_open_forwarded_tcpip(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: u32,
        _: &str,
        _: u32,
        _: ChannelOpenHandle,
        _: &mut client::Session,
    ) -> Result<(), Broken> {
        Ok(())
    }

    async fn server_channel_open_forwarded_streamlocal(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: ChannelOpenHandle,
        _: &mut client::Session,
    ) -> Result<(), Broken> {
        Ok(())
    }

    async fn server_channel_open_agent_forward(
        &mut self,
        _: Channel<Msg>,
        _: ChannelOpenHandle,
        _: &mut client::Session,
    ) -> Result<(), Broken> {
        Ok(())
    }

    async fn server_channel_open_session(
        &mut self,
        _: Channel<Msg>,
        _: ChannelOpenHandle,
        _: &mut client::Session,
    ) -> Result<(), Broken> {
        Ok(())
    }

    async fn server_channel_open_direct_tcpip(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: u32,
        _: &str,
        _: u32,
        _: ChannelOpenHandle,
        _: &mut client::Session,
    ) -> Result<(), Broken> {
        Ok(())
    }

    async fn server_channel_open_direct_streamlocal(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: ChannelOpenHandle,
        _: &mut client::Session,
    ) -> Result<(), Broken> {
        Ok(())
    }

    async fn server_channel_open_x11(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: u32,
        _: ChannelOpenHandle,
        _: &mut client::Session,
    ) -> Result<(), Broken> {
        Ok(())
    }
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
