//! One host's SSH address: its listener, its connections, and what the control port does to them.

use super::login::{Facts, Login};
use nix::sys::socket::{Backlog, listen};
use russh::MethodSet;
use russh::keys::PrivateKey;
use russh::server::{Config, run_stream};
use std::collections::BTreeMap;
use std::io;
use std::net::{Shutdown, SocketAddrV4};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// Connections that may wait to be accepted: more than the 64 that a fleet-wide command opens at once.
const BACKLOG: i32 = 1024;

/// How long a freed port may take to come back after a reboot.
const BIND_PATIENCE: Duration = Duration::from_secs(3);

/// A connect that is not answered within this has met a full backlog; on loopback a healthy one takes microseconds.
const HANGS: Duration = Duration::from_millis(30);

/// Messages of 32 KiB that a command's stdin may be behind before the whole connection waits for it.
const STDIN_BEHIND: usize = 1024;

/// Everything that is shared with the accepting task.
struct Shared {
    facts: Arc<Facts>,
    config: Mutex<Arc<Config>>,
    connections: Mutex<Connections>,
}

/// Second handles of the open connections, by which they are cut.
#[derive(Default)]
struct Connections {
    next: u64,
    open: BTreeMap<u64, std::net::TcpStream>,
}

/// A host's SSH server; cut off and gone when dropped.
pub(super) struct Sshd {
    listener: Arc<TcpListener>,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
    fillers: Vec<TcpStream>,
}

impl Sshd {
    /// Listens on the host's address.
    ///
    /// # Errors
    ///
    /// When the address stays taken.
    pub(super) async fn start(at: SocketAddrV4, key: PrivateKey, facts: Facts) -> io::Result<Self> {
        let listener = bind(at).await?;
        listen(&listener, Backlog::new(BACKLOG)?)?;
        let shared = Arc::new(Shared {
            facts: Arc::new(facts),
            config: Mutex::new(Arc::new(config(key))),
            connections: Mutex::default(),
        });
        let mut sshd = Self { listener: Arc::new(listener), shared, accepting: None, fillers: Vec::new() };
        sshd.accept();
        Ok(sshd)
    }

    /// Another host key for connections from now on, as after a swapped machine.
    pub(super) fn rekey(&self, key: PrivateKey) {
        *self.shared.config.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(config(key));
    }

    /// Lets connects hang: the socket stays bound, nobody accepts, and its backlog is full. An unbound address would
    /// refuse instead, which a client tells apart.
    ///
    /// # Errors
    ///
    /// When the socket can't be changed.
    pub(super) async fn blackhole(&mut self) -> io::Result<()> {
        if let Some(accepting) = self.accepting.take() {
            accepting.abort();
            // Aborted on purpose.
            accepting.await.ok();
        }
        cut(&self.shared);
        // Listening again with another backlog is how Linux changes it; 0 still lets one connection in.
        listen(&self.listener, Backlog::new(0)?)?;
        let address = self.listener.local_addr()?;
        while let Ok(filler) = timeout(HANGS, TcpStream::connect(address)).await {
            self.fillers.push(filler?);
        }
        Ok(())
    }

    /// Ends a black hole.
    ///
    /// # Errors
    ///
    /// When the socket can't be changed.
    pub(super) fn restore(&mut self) -> io::Result<()> {
        if self.accepting.is_none() {
            listen(&self.listener, Backlog::new(BACKLOG)?)?;
            self.fillers.clear();
            self.accept();
        }
        Ok(())
    }

    fn accept(&mut self) {
        let (listener, shared) = (self.listener.clone(), self.shared.clone());
        self.accepting = Some(tokio::spawn(async move {
            loop {
                match listener.accept().await {
                    Ok((stream, peer)) => {
                        tracing::debug!(host = %shared.facts.id, %peer, "ssh connection");
                        tokio::spawn(serve(stream, shared.clone()));
                    }
                    // Out of file descriptors, most likely: some will be free again.
                    Err(e) => {
                        tracing::warn!(host = %shared.facts.id, error = %e, "failed to accept an ssh connection");
                        sleep(Duration::from_millis(50)).await;
                    }
                }
            }
        }));
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        if let Some(accepting) = self.accepting.take() {
            accepting.abort();
        }
        cut(&self.shared);
    }
}

/// Ends every open connection at once.
fn cut(shared: &Shared) {
    let mut connections = shared.connections.lock().unwrap_or_else(PoisonError::into_inner);
    for (_, stream) in std::mem::take(&mut connections.open) {
        // One that is closed already is as good as cut.
        stream.shutdown(Shutdown::Both).ok();
    }
}

/// Binds, with patience: the listener of the boot before may need a moment to go.
async fn bind(at: SocketAddrV4) -> io::Result<TcpListener> {
    let begun = tokio::time::Instant::now();
    loop {
        match TcpListener::bind(at).await {
            Err(e) if e.kind() == io::ErrorKind::AddrInUse && begun.elapsed() < BIND_PATIENCE => {
                sleep(Duration::from_millis(10)).await;
            }
            other => return other,
        }
    }
}

fn config(key: PrivateKey) -> Config {
    let mut methods = MethodSet::empty();
    methods.push(russh::MethodKind::PublicKey);
    Config {
        methods,
        // A rehearsal has nothing to hide from a guesser, and real sshd answers a wrong key at once.
        auth_rejection_time: Duration::ZERO,
        auth_rejection_time_initial: Some(Duration::ZERO),
        keys: vec![key],
        // sshd's MaxAuthTries.
        max_auth_attempts: 6,
        inactivity_timeout: None,
        nodelay: true,
        channel_buffer_size: STDIN_BEHIND,
        ..Config::default()
    }
}

/// One connection from its first byte to its last.
async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    let Some((number, stream)) = enlist(stream, &shared) else { return };
    let config = shared.config.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let ended = match run_stream(config, stream, Login::new(shared.facts.clone())).await {
        Ok(session) => session.await,
        Err(e) => Err(e),
    };
    if let Err(e) = ended {
        tracing::debug!(host = %shared.facts.id, error = %e, "ssh connection ended");
    }
    shared.connections.lock().unwrap_or_else(PoisonError::into_inner).open.remove(&number);
}

/// Keeps a second handle of the connection.
fn enlist(stream: TcpStream, shared: &Shared) -> Option<(u64, TcpStream)> {
    // russh sets this only for listeners of its own.
    stream.set_nodelay(true).ok()?;
    let stream = stream.into_std().ok()?;
    let second = stream.try_clone().ok()?;
    let mut connections = shared.connections.lock().unwrap_or_else(PoisonError::into_inner);
    connections.next += 1;
    let number = connections.next;
    connections.open.insert(number, second);
    drop(connections);
    Some((number, TcpStream::from_std(stream).ok()?))
}
