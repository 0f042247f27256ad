//! Tests of the handshake against servers that OpenSSH can't be made into.

use super::*;
use crate::model::InstanceId;
use crate::ssh::HostKeys;
use russh::keys::PrivateKey;
use russh::server::{self, Auth};
use std::sync::atomic::AtomicUsize;

/// A server that lets everybody in and counts who asks.
struct Open(Arc<AtomicUsize>);

impl server::Handler for Open {
    type Error = russh::Error;

    async fn auth_publickey_offered(&mut self, _: &str, _: server::PublicKeyOffer<'_>) -> Result<Auth, russh::Error> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Ok(Auth::Accept)
    }

    async fn auth_publickey(&mut self, _: &str, _: server::VerifiedPublicKey<'_>) -> Result<Auth, russh::Error> {
        Ok(Auth::Accept)
    }
}

/// Connects to a server with these key exchanges; the outcome, and how many logins it saw.
async fn meet(kex: &'static [kex::Name]) -> (Result<(), SshFault>, usize) {
    let dir = tempfile::tempdir().unwrap();
    let key = || PrivateKey::random(&mut russh::keys::key::safe_rng(), Algorithm::Ed25519).unwrap();
    let (host, user) = (key(), key());
    let pins = HostKeys::open(dir.path().join("known")).unwrap();
    pins.pin(&InstanceId::from("i-1"), &[host.public_key().clone()]).unwrap();
    let file = dir.path().join("user");
    std::fs::write(&file, user.to_openssh(russh::keys::ssh_key::LineEnding::LF).unwrap()).unwrap();

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = Address { host: "127.0.0.1".into(), port: listener.local_addr().unwrap().port() };
    let logins = Arc::new(AtomicUsize::new(0));
    let seen = Open(Arc::clone(&logins));
    let config = server::Config {
        keys: vec![host],
        preferred: Preferred { kex: Cow::Borrowed(kex), ..Preferred::DEFAULT },
        ..server::Config::default()
    };
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        if let Ok(running) = server::run_stream(Arc::new(config), stream, seen).await {
            running.await.ok();
        }
    });
    let ssh = Ssh::new(Identities::load(&[file], None, None), Duration::from_secs(5));
    let target = Target { alias: "i-1".into(), address, user: "u".into() };
    let met = ssh.connect(&target, &Trust::pinned(Arc::new(pins))).await;
    (met.map(drop), logins.load(Ordering::SeqCst))
}

#[tokio::test]
async fn strict_key_exchange_is_required() {
    let (met, logins) = meet(&[kex::CURVE25519, kex::EXTENSION_OPENSSH_STRICT_KEX_AS_SERVER]).await;
    assert_eq!((met, logins), (Ok(()), 1));
    let (met, logins) = meet(&[kex::CURVE25519]).await;
    let fault = met.unwrap_err();
    assert_eq!((fault.kind, fault.stage, logins), (SshFaultKind::Protocol, "key exchange", 0), "{fault}");
    assert!(fault.message.contains("strict"), "{fault}");
}

#[tokio::test]
async fn old_key_exchanges_are_refused_by_name() {
    let (met, logins) = meet(&[kex::DH_G14_SHA256, kex::EXTENSION_OPENSSH_STRICT_KEX_AS_SERVER]).await;
    let fault = met.unwrap_err();
    assert_eq!((fault.kind, logins), (SshFaultKind::Protocol, 0));
    assert!(fault.message.contains("diffie-hellman-group14-sha256"), "{fault}");
}
